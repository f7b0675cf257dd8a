"""What a person does to a stand-in while it runs: it says what it understood, and what not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from leadline.exchange.mock.base import Asked, FaultKind, Mock, Reply, serving


class OneEntry(Mock):
    name = "one"

    def answer(self, asked: Asked) -> Reply:
        return Reply(200)

    def withdraw(self, key: str) -> bool:
        return key == "41-e0"


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/-/withdraw", b'{"key": "41-e0"}', 200, {"withdrawn": "41-e0"}),
        ("/-/withdraw", b'{"key": "e0"}', 404, {"key": "e0", "error": "no such entry, or withdrawn before"}),
        ("/-/withdraw", b"{}", 400, {"error": "not understood"}),
        ("/-/withdraw", b"[1]", 400, {"error": "not understood"}),
        ("/-/faults", b"nonsense", 400, {"error": "not understood"}),
        ("/-/faults", b'{"kind": "no-such"}', 400, {"error": "not understood"}),
        ("/-/faults", b'{"kind": "429", "times": 2}', 200, {"faults": 1}),
        ("/-/other", b"{}", 404, {"error": "not one of /-/faults, /-/withdraw, /-/asked"}),
    ],
)
def test_a_stand_in_says_what_it_was_told(path: str, body: bytes, status: int, says: dict[str, Any]) -> None:
    mock = OneEntry()
    with serving(mock) as address:
        try:
            with urllib.request.urlopen(urllib.request.Request(address + path, body)) as answer:
                code, told = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                code, told = error.code, json.load(error)
    assert code == status
    assert says.items() <= told.items()
    assert [fault.kind for fault in mock.faults] == ([FaultKind.TOO_MANY] if "faults" in says else [])
