"""The catalogues: whole, compiled, and sound in every language; and no page in French says English."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from enum import Enum

import polib
import pytest
from django.utils.translation import override
from django.utils.translation.template import templatize
from tests.workbench.strings import LANGUAGES, WORKBENCH, Text, catalogue, collect, of_template, text_of

from leadline import domain
from leadline.law import terms
from leadline.media.wire import Status
from leadline.selectors.url import UrlFlag
from leadline.workbench import permissions
from leadline.workbench.evidence import models as evidence
from leadline.workbench.reports import states
from leadline.workbench.review import models as review
from leadline.workbench.words import WORDS, why, word

# A place for a value, a tag of HTML, a command or a name of a file or field that stays as it is.
_PLACES = re.compile(r"%\(\w+\)[ds]|\{\w+\}|</?\w+>|`[^`]+`")


@pytest.fixture(scope="module")
def texts() -> dict[Text, list[str]]:
    return collect()


def entries_of(language: str) -> polib.POFile:
    return polib.pofile(str(catalogue(language)))


def translations_of(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def test_every_translatable_tag_of_the_templates_is_collected() -> None:
    sources = [(path.name, path.read_text(encoding="utf-8")) for path in WORKBENCH.rglob("*.html")]
    tags = sum(len(re.findall(r"{% (?:block)?trans(?:late)?\b", text)) for _, text in sources)
    calls = sum(len(re.findall(r"\bn?p?gettext\(", templatize(text, origin=name))) for name, text in sources)
    found = sum(len(list(of_template(text, name))) for name, text in sources)
    assert tags == calls == found > 700


def test_one_text_has_one_plural(texts: dict[Text, list[str]]) -> None:
    """A compiled catalogue finds both by the first: two plurals of one text would be mixed up. A context tells them apart."""
    firsts = [(text.context, text.one) for text in texts]
    assert sorted({one for one in firsts if firsts.count(one) > 1}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_nothing_else_is_in_the_catalogue(
    language: str, texts: dict[Text, list[str]]
) -> None:
    entries = entries_of(language)
    assert [entry.msgid for entry in entries if entry.fuzzy or entry.obsolete] == []
    assert [entry.msgid for entry in entries if not all(text.strip() for text in translations_of(entry))] == []
    assert {text_of(entry) for entry in entries} == set(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_of_its_text_and_all_its_plurals(language: str) -> None:
    entries = entries_of(language)
    forms = int(re.search(r"nplurals=(\d)", entries.metadata["Plural-Forms"])[1])  # type: ignore[index]
    wrong = []
    for entry in entries:
        wanted = [sorted(_PLACES.findall(text)) for text in (entry.msgid, entry.msgid_plural or entry.msgid)]
        wrong += [text for text in translations_of(entry) if sorted(_PLACES.findall(text)) not in wanted]
        wrong += [entry.msgid] if entry.msgid_plural and len(entry.msgstr_plural) != forms else []
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_file_is_up_to_date(language: str) -> None:
    with catalogue(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for entry in entries_of(language):
        if entry.msgid_plural and entry.msgctxt:
            found = compiled.npgettext(entry.msgctxt, entry.msgid, entry.msgid_plural, 5)
            assert found == entry.msgstr_plural[1]
        elif entry.msgid_plural:
            assert compiled.ngettext(entry.msgid, entry.msgid_plural, 5) == entry.msgstr_plural[1]
        elif entry.msgctxt:
            assert compiled.pgettext(entry.msgctxt, entry.msgid) == entry.msgstr
        else:
            assert compiled.gettext(entry.msgid) == entry.msgstr


def codes_of(kind: type[Enum]) -> Iterator[str]:
    yield from (str(code.value) for code in kind)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("role", permissions.Role), ("sensitivity", permissions.Sensitivity), ("report-state", states.State),
        ("report-reason", states.Reason), ("report-outcome", states.Outcome), ("channel", domain.Channel),
        ("urgency", domain.Urgency), ("item-kind", domain.ItemKind), ("flag", UrlFlag), ("kind", domain.Kind),
        ("verdict", domain.Verdict), ("transform", domain.Transform), ("asset-state", evidence.AssetState),
        ("exhibit-state", evidence.ExhibitState), ("setting-value", evidence.MediaMode), ("answer", terms.Answer),
        ("binds", terms.Binds), ("law-role", terms.Role), ("involved", terms.Involved),
        ("confidence", terms.Confidence), ("checked", terms.Verified), ("unit", terms.Unit), ("event", terms.Event),
        ("review-state", review.State), ("purpose", review.Purpose), ("level", review.Level),
        ("standing", review.Standing),
    ],
)  # fmt: skip
def test_every_code_has_its_word(kind: str, codes: type[Enum]) -> None:
    assert sorted(set(codes_of(codes)) - set(WORDS[kind])) == []


def test_every_way_in_which_a_file_is_not_decoded_has_its_word() -> None:
    codes = {status.name.lower().replace("_", "-") for status in Status if status is not Status.OK}
    assert sorted(codes - set(WORDS["fault"])) == []


def test_every_kind_of_code_that_a_template_names_has_a_table() -> None:
    named = {
        kind for path in WORKBENCH.rglob("*.html") for kind in re.findall(r'\|word:"([\w-]+)"', path.read_text("utf-8"))
    }
    assert named - set(WORDS) == set()


def test_a_code_without_a_word_is_shown_as_it_is() -> None:
    with override("en"):
        assert word("made-up", "report-state") == "made-up"
        assert why("made.up") == "made.up"
        assert why("tick.ongoing") == "ticked: ongoing"
    with override("fr"):
        assert why("tick.ongoing") == "coché : en cours"
