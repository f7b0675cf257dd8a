"""Links made harmless and whole again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.selectors.defang import defang, refang, refang_address


@pytest.mark.parametrize(
    "written",
    [
        "hxxps://example.org/a.html",
        "hXXps://example[.]org/a[.]html",
        "hxxps[:]//example(.)org/a.html",
        "hxxps[://]example{.}org/a.html",
        "https:\\\\example[dot]org/a.html",
        "h**ps://example.org/a.html",
        "hxxps : // example [ . ] org/a.html",
        "htxps://example dot org/a.html",
        "https://example\\.org/a.html",
        "https://example[.org/a.html",
        "https://example.]org/a.html",
        "https://example([.])org/a.html",
        "<https://example.org/a.html>",
        "“https://example.org/a.html”",
        '  "<https://example.org/a.html>"  ',
        "https://exam\u200bple.org/\ufeffa.html",
        "\u202ahttps://example.org/a.html\u202c",
        "https://exa\u200cmple.org/a.html",
        "HTTPS://example.org/a.html",
    ],
)
def test_every_usual_way_to_defang_is_undone(written: str) -> None:
    assert refang(written) == "https://example.org/a.html"


def test_signs_after_a_host_that_was_not_defanged_are_left_alone() -> None:
    assert refang("hxxps://example.org/a[.]b(.)c dot d") == "https://example.org/a[.]b(.)c dot d"


def test_joiners_that_spell_a_domain_name_stay() -> None:
    spelled = "http://نامه\u200cای.example/"
    assert refang(spelled) == spelled


@pytest.mark.parametrize("written", ["name [at] example [dot] com", "name(at)example.com", "name@example[.]com"])
def test_addresses_are_made_whole(written: str) -> None:
    assert refang_address(written) == "name@example.com"


def test_what_is_shown_is_no_link() -> None:
    assert defang("https://example.org:8080/a.html?b=1") == "hxxps[:]//example[.]org:8080/a.html?b=1"
    assert defang("magnet:?xt=urn:btih:aa") == "magnet[:]?xt=urn:btih:aa"


_tails = st.text(st.sampled_from("ab./?#=&%-~()[]{}\\"), max_size=12).map("/{}".format)


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(["http", "https", "ftp", "ws"]), st.sampled_from(["example.org", "[::1]", "192.0.2.7"]), _tails)
def test_a_shown_link_becomes_the_same_link_again(scheme: str, host: str, tail: str) -> None:
    href = f"{scheme}://{host}{tail}"
    plain = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "[](){}\\"})
    assert refang(defang(href)) in (href, f"{scheme}://{host}{tail.translate(plain)}")
