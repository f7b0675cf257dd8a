"""The words of the receipt."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.workbench.public.passphrase import (
    WORDS,
    language_of_words,
    make_passphrase,
    normalize_passphrase,
    word_list,
)

SEED = bytes(range(32))


def test_the_english_list_is_the_effs_large_one_without_hyphens_and_unkind_words() -> None:
    words = word_list("en")
    assert len(words) == 6**5 - 4 - 42  # eff.org/dice; drop-down, felt-tip, t-shirt, yo-yo are left out
    assert words[:3] == ("abacus", "abdomen", "abdominal")
    assert words[-1] == "zoom"


def test_the_german_list_is_dys2ps_long_one_without_unkind_words() -> None:
    assert len(word_list("de")) == 6**5 - 32


@pytest.mark.parametrize("language", ["en", "fr", "nl", "de"])
def test_a_passphrase_has_at_least_ninety_bits_in_every_language(language: str) -> None:
    words = word_list(language)
    assert len(set(words)) == len(words)
    assert WORDS * log2(len(words)) >= 90
    assert len(make_passphrase(SEED, language).split()) == WORDS


def test_german_pages_show_german_words_and_pages_without_a_list_english_ones() -> None:
    assert [language_of_words(code) for code in ("en", "de", "fr", "nl")] == ["en", "de", "en", "en"]
    assert set(make_passphrase(SEED, "de").split()) <= set(word_list("de"))
    assert make_passphrase(SEED, "fr") == make_passphrase(SEED, "en")


@given(seed=st.binary(min_size=16, max_size=64), language=st.sampled_from(["en", "de", "fr", "nl"]))
def test_every_word_shown_comes_back_as_it_was(seed: bytes, language: str) -> None:
    shown = make_passphrase(seed, language)
    assert normalize_passphrase(shown) == shown
    assert normalize_passphrase(f"  {shown.upper().replace(' ', '-')}.\n") == shown
    assert normalize_passphrase(shown.replace(" ", "\u00a0,\t")) == shown


def test_other_chance_gives_other_words() -> None:
    assert len({make_passphrase(SEED + bytes([n]), "en") for n in range(200)}) == 200


def test_every_word_of_the_list_is_as_likely_as_any_other() -> None:
    """2,000 passphrases: 14,000 words over four quarters of the list; 3,500 +- 6 standard deviations each."""
    words, quarters = word_list("en"), [0, 0, 0, 0]
    place = {word: n * 4 // len(words) for n, word in enumerate(words)}
    for n in range(2000):
        for word in make_passphrase(SEED + n.to_bytes(4, "big"), "en").split():
            quarters[place[word]] += 1
    assert all(abs(count - 3500) < 308 for count in quarters)


def test_a_seed_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError):
        make_passphrase(b"short", "en")


def test_the_choice_of_words_skips_numbers_that_would_favour_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """The greatest number of four bytes lies beyond the last whole multiple of the list: it must not choose a word."""
    from leadline.workbench.public import passphrase

    digests = iter([b"\xff" * 32, *[n.to_bytes(4, "big") + bytes(28) for n in range(WORDS)]])

    class Fixed:
        @staticmethod
        def new(*_: object) -> object:
            return type("Digest", (), {"digest": lambda self: next(digests)})()

    monkeypatch.setattr(passphrase, "hmac", Fixed)
    assert make_passphrase(SEED, "en").split() == list(word_list("en")[:WORDS])
