"""Who comes in, how often, and how many at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadline.errors import TokenRefused, TooBusy
from leadline.service.guard import Guard
from leadline.service.options import Options
from leadline.service.problems import problem_of
from leadline.service.tokens import EVERYBODY, Scope, Tokens


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_read_from_the_header_or_from_the_address(tmp_path: Path) -> None:
    made, text = Tokens(tmp_path).add("shop", frozenset({Scope.MATCH}))
    guard = Guard(Options(state=tmp_path))
    assert guard.identify([(b"authorization", b"Bearer " + text.encode())]) == made
    assert guard.identify([], text.encode()) == made
    for headers in ([], [(b"authorization", b"Basic " + text.encode())], [(b"authorization", text.encode())]):
        with pytest.raises(TokenRefused):
            guard.identify(headers)


def test_without_tokens_everybody_is_let_in_but_may_not_change_banks(tmp_path: Path) -> None:
    guard = Guard(Options(state=tmp_path, no_token=True))
    assert guard.identify([]) is EVERYBODY
    assert Scope.CURATE not in EVERYBODY.scopes
    for name in (b"localhost", b"LocalHost:8420", b"127.0.0.1:8420", b"[::1]:8420"):
        assert guard.identify([(b"host", name)]) is EVERYBODY
    for name in (b"rebound.example:8420", b"localhost.example", b"127.0.0.1.example:80", b""):
        with pytest.raises(TokenRefused):  # a page of another site, whose name leads here
            guard.identify([(b"host", name)])
    with pytest.raises(TokenRefused):  # who sends one, means it
        guard.identify([(b"authorization", b"Bearer llt_x")])


def test_a_rate_is_kept_by_each_worker_for_its_share_and_says_when_to_come_again(tmp_path: Path) -> None:
    clock = Clock()
    made, _ = Tokens(tmp_path).add("shop", frozenset({Scope.MATCH}), per_minute=240)
    guard = Guard(Options(state=tmp_path, workers=2), clock=clock)  # two a second here, twice that at once
    for _ in range(4):
        guard.admit(made)
    with pytest.raises(TooBusy) as refused:
        guard.admit(made)
    assert refused.value.code == "too-many-requests"
    assert refused.value.retry_after_s == pytest.approx(0.5)
    clock.now += 0.5
    guard.admit(made)
    with pytest.raises(TooBusy):
        guard.admit(made)
    guard.admit(EVERYBODY)  # of another token


def test_a_rate_below_one_a_second_still_lets_one_through(tmp_path: Path) -> None:
    clock = Clock()
    made, _ = Tokens(tmp_path).add("slow", frozenset({Scope.MATCH}), per_minute=6)
    guard = Guard(Options(state=tmp_path), clock=clock)
    clock.now += 600
    guard.admit(made)
    with pytest.raises(TooBusy):
        guard.admit(made)
    clock.now += 1.5
    with pytest.raises(TooBusy) as refused:
        guard.admit(made)
    assert refused.value.retry_after_s == pytest.approx(8.5)
    (told,) = [value for name, value in problem_of(refused.value).headers if name == b"retry-after"]
    clock.now += int(told)
    guard.admit(made)  # who waits as long as it was told is let in


def test_more_at_once_than_a_worker_takes_are_told_to_come_again(tmp_path: Path) -> None:
    guard = Guard(Options(state=tmp_path, in_flight=2))
    guard.in_flight = 2
    with pytest.raises(TooBusy) as refused:
        guard.admit(EVERYBODY)
    assert refused.value.code == "busy"
