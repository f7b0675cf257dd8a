"""What every page is made of: readable without script, cookie, picture or mouse, in four languages."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as office_settings
from django.test import Client
from tests.workbench.public.pages import (
    FORM,
    LANGUAGES,
    PAGES,
    Page,
    open_page,
    passphrase_in,
    read_answer,
    send_report,
    urlencoded,
)

from leadline.workbench import public, public_urls

WORKBENCH = Path(public.__file__).parents[1]
TEMPLATES = WORKBENCH / "templates" / "public"
STYLE = WORKBENCH / "static" / "public" / "public.css"


def every_page(visitor: Client, language: str) -> list[Page]:
    """Each page as it opens, and each as it answers."""
    answers = [
        send_report(visitor, language, urls="https://example.org/1"),
        send_report(visitor, language, email="wrong"),
        visitor.get(f"/{language}/nothing-here/"),
        visitor.put(f"/{language}/report/"),
    ]
    answers.append(read_answer(visitor, passphrase_in(answers[0]), language))
    token = open_page(visitor, f"/{language}/answer/").value("token")
    for passphrase in ("", "no such words"):
        fields = urlencoded({"token": token, "passphrase": passphrase})
        answers.append(visitor.post(f"/{language}/answer/", fields, content_type=FORM))
    return [open_page(visitor, f"/{language}/{path}") for path in PAGES] + [
        Page(answer.content.decode()) for answer in answers
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_sound_and_says_its_language(visitor: Client, language: str) -> None:
    for page in every_page(visitor, language):
        assert page.all("html")[0].attributes["lang"] == language
        assert len(page.all("h1")) == 1
        assert page.all("title")[0].text.strip(" ·")
        assert len(page.ids()) == len(set(page.ids()))
        assert page.all("main")[0].attributes["id"] == "main"
        assert page.all("a")[0].attributes["href"] == "#main"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_runs_nothing_is_drawn_and_nothing_comes_from_elsewhere(visitor: Client, language: str) -> None:
    for page in every_page(visitor, language):
        assert page.all("script", "style", "svg", "img", "iframe", "object", "video", "font", "picture") == []
        for element in page.elements:
            assert "style" not in element.attributes
            assert not [name for name in element.attributes if name.startswith("on")]
            for name in ("href", "src", "action"):
                assert re.match(r"[/#](?!/)", element.attributes.get(name, "/")), element
        assert "://" not in re.sub(r"https://example\.org/1", "", page.html)


def test_the_stylesheet_fetches_nothing() -> None:
    style = STYLE.read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|@font-face|//", style)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_has_its_label_and_every_description_is_there(visitor: Client, language: str) -> None:
    for page in every_page(visitor, language):
        labels = {e.attributes.get("for") for e in page.all("label") if e.text.strip()}
        for element in page.fields():
            assert element.attributes["id"] in labels
            assert element.attributes.get("spellcheck", "false") == "false"
            assert element.attributes.get("type") != "file"
            described = element.attributes.get("aria-describedby", "").split()
            assert set(described) <= set(page.ids())
        for element in page.elements:
            assert set(element.attributes.get("aria-labelledby", "").split()) <= set(page.ids())
        for fieldset in page.all("fieldset"):
            at = page.elements.index(fieldset)
            assert page.elements[at + 1].tag == "legend"
        for link in page.all("a"):
            target = link.attributes["href"]
            assert link.text.strip()
            if target.startswith("#"):
                assert target[1:] in page.ids()


@pytest.mark.parametrize("language", LANGUAGES)
def test_ticks_stand_in_a_fieldset_and_every_form_has_a_button(visitor: Client, language: str) -> None:
    page = open_page(visitor, f"/{language}/report/")
    ticks = [e for e in page.fields() if e.attributes.get("type") == "checkbox"]
    assert len(ticks) == 4
    assert all("fieldset" in e.inside and "label" in e.inside for e in ticks)
    assert [e.attributes["method"] for e in page.all("form")] == ["post"]
    assert all(e.attributes.get("type", "submit") == "submit" for e in page.all("button"))


def test_the_list_of_faults_comes_before_the_form_and_the_title_says_it(visitor: Client) -> None:
    page = Page(send_report(visitor, name="nothing else").content.decode())
    places = [page.elements.index(e) for e in (page.all("h1")[0], *_by_id(page, "faults"), page.all("form")[0])]
    assert places == sorted(places)
    assert page.all("title")[0].text.startswith("Not sent yet")


def _by_id(page: Page, name: str) -> list[Any]:
    return [e for e in page.elements if e.attributes.get("id") == name]


def test_the_headings_step_down_one_by_one(visitor: Client) -> None:
    for page in every_page(visitor, "en"):
        levels = [int(e.tag[1]) for e in page.all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


# --- contrast, as WCAG 2.2 counts it ---------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_is_the_published_one() -> None:
    assert _contrast("#ffffff", "#000000") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # WebAIM's example that just fails


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_seven_to_one_and_edges_three_to_one(scheme: int) -> None:
    roots = re.findall(r":root \{([^}]*)\}", STYLE.read_text(encoding="utf-8"))
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[scheme]))
    texts = [("ink", "paper"), ("ink", "tint"), ("ink", "warm"), ("quiet", "paper"), ("quiet", "tint")]
    texts += [
        ("main", "paper"),
        ("main", "tint"),
        ("main", "warm"),
        ("on-main", "main"),
        ("paper", "bad"),
        ("bad", "paper"),
    ]
    assert [pair for pair in texts if _contrast(*(colours[name] for name in pair)) < 7] == []
    edges = [("line", "paper"), ("main", "paper"), ("focus", "paper"), ("focus", "tint"), ("focus", "warm")]
    assert [pair for pair in edges if _contrast(*(colours[name] for name in pair)) < 3] == []


def test_sizes_are_relative_so_that_a_page_bends_at_any_zoom() -> None:
    style = STYLE.read_text(encoding="utf-8")
    assert not re.search(r"(?:width|height|font-size): *\d+px", style)
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in (TEMPLATES / "base.html").read_text()


# --- languages -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("asked", "language"),
    [("nl-BE,nl;q=0.9,en;q=0.5", "nl"), ("de-AT", "de"), ("fr", "fr"), ("sv,ja;q=0.5", "en"), ("", "en"), ("*", "en")],
)
def test_the_first_page_opens_in_the_browsers_language(visitor: Client, asked: str, language: str) -> None:
    response = visitor.get("/", headers={"accept-language": asked})
    assert (response.status_code, response["Location"]) == (302, f"/{language}/")


def test_a_page_leads_to_itself_in_the_other_languages(visitor: Client) -> None:
    page = open_page(visitor, "/fr/answer/")
    links = {e.attributes["hreflang"]: e.attributes["href"] for e in page.all("a") if "hreflang" in e.attributes}
    assert links == {"en": "/en/answer/", "nl": "/nl/answer/", "de": "/de/answer/"}
    assert all(visitor.get(href).status_code == 200 for href in links.values())


# --- help and the way out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_operators_helpline_stands_where_somebody_looks_for_help(
    visitor: Client, settings: Any, language: str
) -> None:
    settings.LEADLINE_PUBLIC_HELPLINE = {"en": "Child Line <116 111>", "fr": "Écoute", "nl": "Praat", "de": "Nummer"}
    for path in PAGES:
        assert settings.LEADLINE_PUBLIC_HELPLINE[language].split()[0] in open_page(visitor, f"/{language}/{path}").html
    assert "<116" not in visitor.get("/en/help/").content.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_to_a_child_whom_it_is_about(visitor: Client, language: str) -> None:
    for page in every_page(visitor, language):
        (heading,) = _by_id(page, "helping")
        assert heading.text.endswith("?")
        assert "112" in page.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_has_the_quick_exit_as_a_plain_link_first_and_last(visitor: Client, language: str) -> None:
    for page in every_page(visitor, language):
        exits = [e for e in page.all("a") if e.attributes["href"] == "/exit/"]
        assert len(exits) == 2
        assert exits[-1] is page.all("a")[-1]
        assert page.elements.index(exits[0]) < page.elements.index(page.all("main")[0])


def test_the_quick_exit_leads_to_the_site_of_the_settings_and_drops_what_the_browser_kept(
    visitor: Client, settings: Any
) -> None:
    settings.LEADLINE_PUBLIC_EXIT_URL = "https://weather.example/"
    response = visitor.get("/exit/")
    assert (response.status_code, response["Location"]) == (302, "https://weather.example/")
    assert "cache" in response["Clear-Site-Data"]
    assert response["Referrer-Policy"] == "no-referrer"


def test_the_staff_pages_are_not_among_the_addresses() -> None:
    names = [pattern.callback.__module__ for pattern in _views(public_urls.urlpatterns)]
    assert set(names) == {"leadline.workbench.public.views"}
    assert len(names) == 7
    assert "leadline.workbench.public_urls" not in office_settings.ROOT_URLCONF


def _views(patterns: list[Any]) -> list[Any]:
    return [view for p in patterns for view in (_views(p.url_patterns) if hasattr(p, "url_patterns") else [p])]
