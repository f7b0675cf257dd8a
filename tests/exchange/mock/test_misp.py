"""The stand-in for a MISP: its index is all events in one answer, whose rows are not made for each."""

from __future__ import annotations

import json

import pytest

from leadline.exchange.mock.base import TOKEN, Asked
from leadline.exchange.mock.misp import MispMock


def index(mock: MispMock, **wanted: str) -> dict[str, str]:
    body = json.dumps({"minimal": 1, **wanted}).encode()
    told = json.loads(mock.answer(Asked("POST", "/events/index", {}, {"authorization": TOKEN}, body)).body)
    return {row["uuid"]: row["timestamp"] for row in told}


def test_rows_of_events_that_did_not_change_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[int] = []
    name = MispMock._event_name
    monkeypatch.setattr(MispMock, "_event_name", lambda mock, number: (named.append(number), name(mock, number))[1])
    mock = MispMock(entries=995)
    mock.clock = lambda: 1_790_000_000.0
    first = index(mock)
    assert (len(first), len(named)) == (100, 100)
    changed, gone = mock._object_name(7), mock._object_name(994)
    assert mock.withdraw(changed)
    mock.delete_event_of(gone)
    mock.put({"md5": "00" * 16}, tags=("tlp:red",))
    named.clear()
    second = index(mock)
    assert len(second) == 100
    assert [second[event] for event in second if second[event] != first.get(event)] == ["1790000000"] * 2
    assert len(named) <= 3
    assert len(index(mock, tags="tlp:red")) == 1
    assert len(index(mock, tags="tlp:amber")) == 99
