"""Tokens that stand in for cookies."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import signing

from leadline.workbench.public import tokens
from leadline.workbench.public.tokens import FormToken, Spent, check_form_token


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_800_000_000.0]
    monkeypatch.setattr(signing.time, "time", lambda: now[0])
    monkeypatch.setattr(tokens.time, "time", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("age_s", "worth"),
    [
        (0, FormToken.TOO_SOON),
        (tokens.FORM_AT_LEAST_S + 1, FormToken.GOOD),
        (tokens.FORM_LASTS_S - 1, FormToken.GOOD),
        (tokens.FORM_LASTS_S + 1, FormToken.EXPIRED),
    ],
)
def test_a_form_token_is_good_between_two_seconds_and_twelve_hours(
    clock: list[float], age_s: int, worth: FormToken
) -> None:
    token = tokens.make_form_token("report")
    clock[0] += age_s
    assert check_form_token(token, "report")[0] is worth


@pytest.mark.parametrize("untrusted", ["", "x", "a:b:c", "é:1:2", "\x00", "e30:1vvvvv:AAAA"])
def test_what_we_did_not_sign_is_foreign(untrusted: str) -> None:
    assert check_form_token(untrusted, "report") == (FormToken.FOREIGN, "")


def test_a_token_of_one_form_is_no_good_for_another(clock: list[float]) -> None:
    token = tokens.make_form_token("read")
    clock[0] += 10
    assert check_form_token(token, "report")[0] is FormToken.FOREIGN


def test_a_token_of_another_key_is_foreign(clock: list[float], settings: Any) -> None:
    token = tokens.make_form_token("report")
    settings.SECRET_KEY = "another"
    clock[0] += 10
    assert check_form_token(token, "report")[0] is FormToken.FOREIGN


def test_a_ticket_gives_the_passphrase_back_for_half_an_hour_and_does_not_show_it(clock: list[float]) -> None:
    ticket = tokens.make_ticket("seven words")
    assert "seven" not in ticket
    assert tokens.open_ticket(ticket) == "seven words"
    clock[0] += tokens.TICKET_LASTS_S + 1
    assert tokens.open_ticket(ticket) is None


@pytest.mark.parametrize("untrusted", ["", "x" * 100, "é", "gAAAAA=="])
def test_a_ticket_that_is_not_ours_opens_nothing(untrusted: str) -> None:
    assert tokens.open_ticket(untrusted) is None


def test_the_same_form_sent_twice_has_one_seed_and_a_changed_one_another() -> None:
    assert tokens.receipt_seed("chance", "text") == tokens.receipt_seed("chance", "text")
    assert tokens.receipt_seed("chance", "text") != tokens.receipt_seed("chance", "text.")
    assert tokens.receipt_seed("chance", "text") != tokens.receipt_seed("other", "text")


def test_the_stored_key_of_a_request_does_not_give_the_words_away() -> None:
    from leadline.workbench.public.passphrase import make_passphrase

    seed = tokens.receipt_seed("chance", "text")
    stored = tokens.idempotency_key(seed)
    assert make_passphrase(bytes.fromhex(stored), "en") != make_passphrase(seed, "en")
    assert seed.hex() not in stored


def test_a_token_is_spent_once_and_the_memory_of_it_is_bounded() -> None:
    spent = Spent(most=2)
    assert [spent.spend("a"), spent.spend("a"), spent.spend("b"), spent.spend("c")] == [True, False, True, True]
    assert spent.spend("a")
    spent.take_back("c")
    assert spent.spend("c")
