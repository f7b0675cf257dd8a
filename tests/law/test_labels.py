"""Labels are (scheme, version, code); shipped schemes hold published codes and names and nothing more."""

from __future__ import annotations

import pytest

from leadline.errors import InputError, LawDataError
from leadline.law.labels import Label
from leadline.law.library import Library, load_library

from .conftest import Write

LEVELS = [f"level-{n}" for n in range(1, 11)]
SHIPPED = {
    ("interpol-baseline", "read-2026-11"): ["baseline"],
    ("ncmec", "2014-01"): ["A1", "A2", "B1", "B2"],
    ("uk", "2014-04-01"): ["A", "B", "C"],
    ("sap", "until-2014-03-31"): LEVELS[:5],
    ("copine", "misp-3"): LEVELS,
    ("iccam", "pre-ucs"): ["baseline", "national", "doubtful", "ignore"],
    ("ucs", "3"): [],
    ("vics:US", "current"): ["0", "1", "2", "3", "4", "5"],
    ("vics:US-DHS", "older"): ["0", "1", "2", "3", "4", "5"],
    ("vics:UK", "unpublished"): [],
    ("vics:CANADA", "unpublished"): [],
    ("vics:AUSTRALIA", "unpublished"): [],
    ("au-interpol", "read-2026-11"): ["1", "2", "3", "4"],
}
VICS_NAMES = {
    "vics:US": ["Non-Pertinent", "Child Abuse Material (CAM)", "Child Exploitive (Non-CAM)/Age Difficult",
                "CGI/Animation – Child Exploitive", "Comparison Images", "Uncategorized (in some tools)"],
    "vics:US-DHS": ["Uncategorized", "Child Exploitation (Illegal)", "Child Exploitation (Non-Illegal/Age Difficult)",
                    "CGI/Animation – Child Exploitive", "Exemplar/Comparison (Internal Use Only)", "Non-pertinent"],
}
UCS = """\
    format: labels-1
    id: ucs
    version: "3"
    name: Universal Classification Schema
    source: given to our office
    link: https://www.inhope.org/
    verified: verified
    codes: [{code: X1, name: X1}, {code: X2, name: X2}]
"""


def test_the_shipped_schemes_and_codes_are_these(library: Library) -> None:
    assert {key: [c.code for c in s.codes] for key, s in library.labels.schemes.items()} == SHIPPED


def test_vics_names_are_the_official_ones_and_others_say_no_more_than_their_code(library: Library) -> None:
    for (scheme, _), found in library.labels.schemes.items():
        names = [c.name for c in found.codes]
        if scheme in VICS_NAMES:
            assert names == VICS_NAMES[scheme]
        elif scheme not in ("au-interpol", "iccam"):
            assert all(name.lower().replace(" ", "-").endswith(code.code.lower())
                       for name, code in zip(names, found.codes, strict=True))


def test_zero_and_five_swap_their_meaning_between_two_tables_of_one_country(library: Library) -> None:
    new, old = library.labels.get("vics:US", "current"), library.labels.get("vics:US-DHS", "older")
    assert (new.codes[0].name.lower(), old.codes[5].name.lower()) == ("non-pertinent", "non-pertinent")
    assert library.labels.choose("vics:US", "current", "0") != library.labels.choose("vics:US-DHS", "older", "0")


@pytest.mark.parametrize("parts", [
    ("vics:US", "current", 1), ("vics:US", "current", ""), ("", "1", "1"), ("uk", None, "A"),
])
def test_a_label_is_never_a_bare_number(parts: tuple[str, str, str]) -> None:
    with pytest.raises(InputError, match="each a text"):
        Label(*parts)


def test_copine_is_read_from_others_and_never_chosen(library: Library) -> None:
    assert library.labels.read("copine", "misp-3", "level-3") == Label("copine", "misp-3", "level-3")
    with pytest.raises(InputError, match="not chosen"):
        library.labels.choose("copine", "misp-3", "level-3")
    assert "copine" not in {s.id for s in library.labels.choosable()}


@pytest.mark.parametrize("parts", [
    ("uk", "2014-04-01", "D"), ("uk", "2013", "A"), ("iwf", "1", "A"), ("ucs", "3", "X1"),
])
def test_an_unknown_scheme_version_or_code_is_refused(library: Library, parts: tuple[str, str, str]) -> None:
    with pytest.raises(InputError):
        library.labels.choose(*parts)


def test_an_empty_vocabulary_is_offered_only_once_it_is_loaded(library: Library, write: Write) -> None:
    assert {"ucs", "vics:UK"}.isdisjoint({s.id for s in library.labels.choosable()})
    own = load_library(write("labels/ucs.yaml", UCS)).labels
    assert own.choose("ucs", "3", "X2") == Label("ucs", "3", "X2")
    assert "ucs" in {s.id for s in own.choosable()}


def test_unverified_schemes_say_so(library: Library) -> None:
    unverified = {s.id for s in library.labels.schemes.values() if s.verified == "unverified"}
    assert unverified == {"ucs", "vics:UK", "vics:CANADA", "vics:AUSTRALIA"}
    assert all(s.loadable and not s.codes for s in library.labels.schemes.values() if s.id in unverified)


def test_ordered_schemes_are_ordered_as_their_sources_do(library: Library) -> None:
    ranked = {s.id: [c.code for c in sorted(s.codes, key=lambda c: c.severity or 0)]
              for s in library.labels.schemes.values() if s.ordered}
    assert ranked == {"uk": ["C", "B", "A"], "sap": LEVELS[:5], "copine": LEVELS}


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("id: ucs", "id: uk\n    loadable: true", ""),
    ('id: ucs\n    version: "3"', "id: uk\n    version: 2014-04-01", "is there already"),
    ("codes: [{code: X1, name: X1}, {code: X2, name: X2}]", "codes: []", "no codes"),
    ("{code: X2, name: X2}", "{code: X1, name: X2}", "a code is there twice"),
    ("name: X1}", "name: X1, severity: 1}", "severity must be given"),
    ("link: https://www.inhope.org/", "link: inhope", "link"),
])
def test_a_faulty_label_file_is_refused(write: Write, old: str, new: str, fault: str) -> None:
    assert old in UCS
    folder = write("labels/own.yaml", UCS.replace(old, new))
    if not fault:
        assert load_library(folder).labels.get("uk", "3").codes
        return
    with pytest.raises(LawDataError) as caught:
        load_library(folder)
    assert fault in caught.value.what
