"""Pasted text."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain import ItemKind
from leadline.errors import InputError
from leadline.selectors import accounts, defang, split, url
from leadline.selectors.split import MAX_PASTE_CHARS, FoundItem, split_paste
from leadline.selectors.url import MAX_URL_CHARS

MD5, SHA1, LONG = "a1" * 16, "B2" * 20, "c3" * 32


def only(text: str) -> FoundItem:
    (found,) = split_paste(text)
    return found


def links(text: str) -> list[str]:
    return [item.value for item in split_paste(text) if item.kind is ItemKind.URL]


def test_a_paste_is_split_into_items_with_their_places() -> None:
    text = f"Seen today:\nhxxps[:]//example[.]org/a?utm_source=n (also example.net/b), {MD5}\n"
    text += "by @made_up, a@example.com."
    found = split_paste(text)
    assert [(i.kind, i.key) for i in found if i.kind is not ItemKind.TEXT] == [
        (ItemKind.URL, "//example.org/a"),
        (ItemKind.URL, "//example.net/b"),
        (ItemKind.HASH, MD5),
        (ItemKind.ACCOUNT, "@made_up"),
        (ItemKind.ACCOUNT, "email:a@example.com"),
    ]
    assert [text[i.start : i.end] for i in found] == [
        "Seen today:", "hxxps[:]//example[.]org/a?utm_source=n", "(also", "example.net/b", MD5, "by", "@made_up",
        "a@example.com",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a",
        "(https://example.org/a)",
        "<https://example.org/a>",
        '"https://example.org/a",',
        "see: https://example.org/a.",
        "https://example.org/a!?…",
        '<a href="https://example.org/a">there</a>',
        "[there](https://example.org/a)",
        "**https://example.org/a**",
        "hxxps :// example [.] org/a",
        "URL:https://example.org/a",
        "看https://example.org/a。",
        "example.org/a",
        "https://exam\u200bple.org/a\u200b",
    ],
)
def test_a_link_is_found_whatever_stands_around_it(text: str) -> None:
    assert [re.sub("^https?://", "", link) for link in links(text)] == ["example.org/a"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://example.org/a_(b)", ["https://example.org/a_(b)"]),
        ("https://a.example.com/x,https://b.example.com/y|hxxp://c.example.com/z", [
            "https://a.example.com/x", "https://b.example.com/y", "http://c.example.com/z"]),
        ("https://archive.example.com/web/https://example.org/", ["https://archive.example.com/web/https://example.org/"]),
        ("https://example.com/?next=https://example.org/,a", ["https://example.com/?next=https://example.org/,a"]),
        ("example dot org", ["https://example.org/"]),
        ("magnet:?xt=urn:btih:aa", ["magnet:?xt=urn:btih:aa"]),
        ("www.example.com example.rs 192.0.2.7:8080/x", [
            "https://www.example.com/", "https://example.rs/", "https://192.0.2.7:8080/x"]),
        ("http://[::1]/x", ["http://[::1]/x"]),
        ("clip.mov pictures.zip", []),
        ("clip.mov/a", ["https://clip.mov/a"]),
        ("and/or e.g. 3.14 1.2.3 main.cpp x@y a...b", []),
        ("the dot in the middle dot com", []),
    ],
)  # fmt: skip
def test_which_words_are_links(text: str, found: list[str]) -> None:
    assert links(text) == found


@pytest.mark.parametrize(
    ("text", "algorithms"),
    [
        (MD5, ("md5",)),
        (SHA1, ("sha1",)),
        (LONG, ("sha256", "pdq")),
        (f"pdq:{LONG}", ("pdq",)),
        (f"SHA-256:{LONG}", ("sha256",)),
    ],
)
def test_a_hash_says_what_it_may_be(text: str, algorithms: tuple[str, ...]) -> None:
    found = only(text)
    assert (found.kind, found.algorithms) == (ItemKind.HASH, algorithms)
    assert found.value == found.key == text.rpartition(":")[2].lower()


@pytest.mark.parametrize("text", ["a" * 31, "a1" * 17, "g1" * 16, "-".join(["a1" * 4] * 4)])
def test_other_digits_are_text(text: str) -> None:
    assert only(text).kind is ItemKind.TEXT


@pytest.mark.parametrize(
    ("text", "service", "key"),
    [
        ("https://t.me/made_up", "telegram", "telegram:made_up"),
        ("https://t.me/s/Made_Up?before=1", "telegram", "telegram:made_up"),
        ("https://www.instagram.com/made.up/?igsh=x", "instagram", "instagram:made.up"),
        ("https://x.com/MadeUp", "x", "x:madeup"),
        ("https://www.tiktok.com/@made.up", "tiktok", "tiktok:made.up"),
        ("https://www.reddit.com/user/made_up/", "reddit", "reddit:made_up"),
        ("name [at] example [dot] com", "email", "email:name@example.com"),
        ("mailto:Name@example.com?subject=x", "email", "email:name@example.com"),
        ("@made_up", "", "@made_up"),
        ("@made_up@example.social", "", "@made_up@example.social"),
    ],
)
def test_accounts_are_named_with_their_service(text: str, service: str, key: str) -> None:
    found = only(text)
    assert (found.kind, found.service, found.key) == (ItemKind.ACCOUNT, service, key)


@pytest.mark.parametrize(
    "text", ["https://x.com/home", "https://x.com/a/status/1", "https://t.me/joinchat/abc", "https://t.me/joinchat"]
)
def test_pages_of_a_service_that_are_no_profile_stay_links(text: str) -> None:
    assert only(text).kind is ItemKind.URL


def test_content_inside_a_link_is_neither_kept_nor_repeated() -> None:
    for content in ("AAAA", "AAAA" * MAX_URL_CHARS):
        found = [i for i in split_paste(f"look data:image/png;base64,{content} there") if i.problem]
        assert [(i.kind, i.start) for i in found] == [(ItemKind.TEXT, 5)]
        assert "AAAA" not in found[0].value


def test_what_looks_like_a_link_and_is_none_says_so() -> None:
    found = only("https://256.256.256.256/a")
    assert (found.kind, found.problem) == (ItemKind.TEXT, "url-format")
    assert found.value == "https://256.256.256.256/a"


def test_a_longer_text_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        split_paste("a" * (MAX_PASTE_CHARS + 1))
    assert caught.value.code == "paste-too-long"


_words = st.sampled_from(
    ["https://example.org/a", "hxxp[:]//a[.]b", "example.net", MD5, "@handle", "a@example.org", "data:,x", "text", "(",
     ")", ",", "dot", " dot ", "://", "[.]", "\n", "\u200b", "中", "。", "<", '"', "mailto:", "@", ".", "magnet:?a"]
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=600)
@given(st.lists(st.one_of(_words, st.sampled_from([" ", "\t", ""]), st.text(max_size=5)), max_size=25).map("".join))
def test_no_letter_is_lost_and_none_is_taken_twice(text: str) -> None:
    found = split_paste(text)
    places = [place for item in found for place in range(item.start, item.end)]
    assert places == sorted(set(places))
    missed = [sign for place, sign in enumerate(text) if place not in set(places)]
    assert not any(map(str.isalnum, missed))
    for item in found:
        assert item.start < item.end <= len(text)
        if item.kind is ItemKind.TEXT and not item.problem:
            assert item.value == text[item.start : item.end]


# Work is counted in lines of Python that run, as a clock would measure the machine. What runs inside one call of a
# pattern cannot be seen so; `test_no_pattern_can_run_away` bounds that by the patterns' own structure.
HOSTILE = [
    ".", ". ", "a.", "a. ", "://", "http://a", "http://a,", 'http://a"', "http://[", "[.]", " [.] ", "((((", "))))",
    "<>", "@", "a@", "a@b.", "[at]", " dot ", "a dot ", "data:", "data:,a ", "\u200c", "a\u200c", "\\.", "h*",
    "hxxp[:]//a[.]b ",
    "a" * 31 + " ", "\n", "xn--a. ", "https://example.org/?a=b&", "%", "{[(", "a1" * 16 + ",",
]  # fmt: skip


def count_lines(text: str) -> int:
    lines = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(tuple(m.__file__ or "" for m in (split, url, defang, accounts))):
            return None
        lines += event == "line"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        split_paste(text)
    finally:
        sys.settrace(previous)
    return lines


@pytest.mark.parametrize("unit", HOSTILE)
def test_work_grows_with_the_length_and_no_faster(unit: str) -> None:
    small, large = (count_lines((unit * (size // len(unit) + 1))[:size]) for size in (1_500, 6_000))
    assert large <= 4.4 * small + 500


def test_a_megabyte_of_nothing_useful_is_text_or_nothing() -> None:
    assert split_paste("." * MAX_PASTE_CHARS) == []
    assert [i.kind for i in split_paste("a." * (MAX_PASTE_CHARS // 2))] == [ItemKind.TEXT]
    assert [i.kind for i in split_paste("http://" * 100_000)] == [ItemKind.TEXT]
    with pytest.raises(InputError) as caught:
        split_paste("http://a," * 100_000 + " http://a " * 10_001)
    assert caught.value.code == "paste-too-many"


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in (split, url, defang, accounts):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{module.__name__}.{name}", value
    for domain, (_, form, _) in accounts._FORMS.items():
        yield domain, form


def _repeats(parsed: Any, inside: int = 0) -> Iterator[tuple[bool, int, int]]:
    """(possessive, most repetitions, repetitions of what is around it) of every repeat in a pattern."""
    for operation, argument in parsed:
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
            _, most, inner = argument
            yield operation is _constants.POSSESSIVE_REPEAT, int(most), inside
            yield from _repeats(inner, max(inside, int(most)))
        elif operation is _constants.BRANCH:
            for branch in argument[1]:
                yield from _repeats(branch, inside)
        elif operation is _constants.SUBPATTERN:
            yield from _repeats(argument[3], inside)
        elif operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            yield from _repeats(argument[1], inside)


def test_no_pattern_can_run_away() -> None:
    """A repeat either gives nothing back, or ends after a few hundred signs; none without end stands in another."""
    seen = 0
    for name, pattern in _patterns():
        for possessive, most, inside in _repeats(_parser.parse(pattern.pattern, pattern.flags)):
            seen += 1
            is_edge = name.endswith("_SPOKEN_LINK") and most > 1000  # blanks at the ends of one line of <= 1000 signs
            assert possessive or most <= 255 or is_edge, name
            assert most <= 255 or inside <= 1, name
    assert seen > 30
