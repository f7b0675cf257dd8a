"""What subscribers said stands beside the bank, one synced line each; each hears of its own words only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leadline.errors import BankError
from leadline.match.folder import SUBSCRIBERS
from leadline.service.subscribers import Feedback, Subscribers, member_number
from leadline.service.tokens import Scope, Token

NOW = 1_800_000_000


class Moment:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


def token(name: str, number: str = "aaaaaaaa") -> Token:
    return Token(number, name, frozenset({Scope.SUBSCRIBE}), "", 0, lists=("known",))


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / SUBSCRIBERS).read_text().splitlines()]


def test_feedback_is_a_line_with_who_said_it(tmp_path: Path) -> None:
    said = Subscribers(tmp_path, clock=Moment())
    said.give_feedback(token("hotline b"), 7, "MD5", ())
    said.give_feedback(token("hotline b"), 7, "PDQ", ("1-2-3",))
    who = {"at": NOW, "act": "feedback", "token": "aaaaaaaa", "member": "hotline b", "entry": 7}
    assert lines(tmp_path) == [
        {**who, "fingerprint": "MD5", "verdict": "affirmative", "reasons": []},
        {**who, "fingerprint": "PDQ", "verdict": "negative", "reasons": ["1-2-3"]},
    ]
    assert (tmp_path / SUBSCRIBERS).stat().st_mode & 0o777 == 0o600


def test_a_member_hears_its_own_latest_words_also_under_a_new_token(tmp_path: Path) -> None:
    one, other = Subscribers(tmp_path, clock=Moment()), Subscribers(tmp_path, clock=Moment())
    one.give_feedback(token("b"), 7, "MD5", ())
    one.give_feedback(token("c"), 7, "MD5", ("x",))
    assert other.feedback_of(token("b", "bbbbbbbb"), [7, 8]) == {7: [Feedback(NOW, 7, "MD5")]}
    one.give_feedback(token("b"), 7, "MD5", ("y",))
    assert other.feedback_of(token("b"), [7]) == {7: [Feedback(NOW, 7, "MD5", ("y",))]}
    assert member_number("b") == member_number("b") != member_number("c")
    assert member_number("b") > 1


def test_a_reading_is_noted_where_there_was_something_and_now_and_then(tmp_path: Path) -> None:
    moment = Moment()
    said = Subscribers(tmp_path, clock=moment)
    for count, later_s in [(3, 0), (0, 60), (0, 3600), (2, 0)]:
        moment.now += later_s
        said.note_read(token("b"), int(moment.now) - 5, count)
    assert [(line["act"], line["until"], line["entries"]) for line in lines(tmp_path)] == [
        ("read", NOW - 5, 3), ("read", NOW + 3655, 0), ("read", NOW + 3655, 2),
    ]  # fmt: skip


def test_a_line_cut_off_by_a_kill_costs_no_other(tmp_path: Path) -> None:
    Subscribers(tmp_path).give_feedback(token("b"), 7, "MD5", ())
    with (tmp_path / SUBSCRIBERS).open("ab") as file:
        file.write(b'{"at":1,"act":"feed')
    again = Subscribers(tmp_path)
    again.give_feedback(token("b"), 8, "MD5", ())
    assert sorted(Subscribers(tmp_path).feedback_of(token("b"), [7, 8])) == [7, 8]


def test_what_the_disk_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / SUBSCRIBERS).mkdir()
    with pytest.raises(BankError, match="not noted"):
        Subscribers(tmp_path).give_feedback(token("b"), 7, "MD5", ())
