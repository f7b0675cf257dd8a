"""What is typed is read for what it means, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.workbench.search.query import MAX_TERMS, MAX_WORD_CHARS, Term, read_query, split_words


def terms(text: str) -> list[tuple[tuple[str, ...], bool]]:
    return [(term.words, term.is_prefix) for term in read_query(text).terms]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("one two", [(("one",), False), (("two",), False)]),
        ('"one two" three', [(("one", "two"), False), (("three",), False)]),
        ("begin*", [(("begin",), True)]),
        ('"one begin"*', [(("one", "begin"), True)]),
        ('no "end of it', [(("no",), False), (("end", "of", "it"), False)]),
        ("under_score well-known", [(("under", "score"), False), (("well", "known"), False)]),
        ("École STRASSE Straße", [(("ecole",), False), (("strasse",), False), (("strasse",), False)]),
        ("*** -- \"\" ' ( )", []),
        ("OR AND NOT NEAR", [(("or",), False), (("and",), False), (("not",), False), (("near",), False)]),
    ],
)
def test_words_phrases_and_beginnings_are_told_apart(typed: str, meant: list[object]) -> None:
    assert terms(typed) == meant


def test_a_kind_is_a_filter_and_no_word() -> None:
    query = read_query("kind:Report one kind:items")
    assert (query.text, query.kinds, query.terms) == ("one", frozenset({"report", "items"}), (Term(("one",)),))


def test_an_address_with_a_colon_is_no_filter() -> None:
    query = read_query("kind:report:7 https://example.org/a")
    assert (query.text, query.kinds) == ("kind:report:7 https://example.org/a", frozenset())


def test_a_text_in_quotation_marks_is_met_without_them() -> None:
    assert read_query('  "MP-1001   7" ').text == "MP-1001 7"


def test_more_words_than_are_looked_for_find_nothing_rather_than_a_part_of_it() -> None:
    assert len(terms(" ".join(f"w{n}" for n in range(MAX_TERMS)))) == MAX_TERMS
    assert terms(" ".join(f"w{n}" for n in range(MAX_TERMS + 1))) == []


@given(st.text(max_size=300))
def test_whatever_is_typed_gives_words_of_letters_and_digits_alone(typed: str) -> None:
    for term in read_query(typed).terms:
        assert term.words
        assert all(word.isalnum() and 0 < len(word) <= MAX_WORD_CHARS for word in term.words)


@given(st.text(max_size=200))
def test_words_in_the_index_are_met_by_themselves(text: str) -> None:
    assert split_words(" ".join(split_words(text))) == split_words(text)
