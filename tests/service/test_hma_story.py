"""HMA's whole story over loopback, against the service as it is run: make a bank, add, match, switch off, remove."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.service.pictures import encoded, scene
from tests.service.served import Served, command, free_port, served

from leadline.service.tokens import Scope, Tokens

SEEN_BY_ALL_S = 10.0
FAR = "5" * 64


class HmaClient:
    """What a client of HMA knows: an address, and no credential beside it."""

    def __init__(self, address: str, token: str) -> None:
        """A slash ends the address, as in clients that put one more before each path."""
        self._http = httpx.Client(timeout=30)
        self._address, self.token = f"{address}/t/{token}/", token

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._http.request(method, f"{self._address}{path}", **request)

    def ask(self, method: str, path: str, **request: Any) -> Any:
        answer = self.send(method, path, **request)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def look_up(self, signal: str, signal_type: str = "pdq") -> Any:
        return self.ask("GET", "/m/lookup", params={"signal": signal, "signal_type": signal_type})

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """Two workers over an empty shelf."""
    shelf, state, port = tmp_path / "banks", tmp_path / "state", free_port()
    shelf.mkdir()
    scopes = frozenset({Scope.MATCH, Scope.DETAILS, Scope.HASH, Scope.CURATE})
    _, token = Tokens(state).add("hma", scopes)
    with served(command(shelf, state, port, "--workers", "2"), port, tmp_path / "log", token) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[HmaClient]:
    """Its token stands in the address, as for clients that can send no header."""
    made = HmaClient(f"http://127.0.0.1:{service.port}", service.token)
    yield made
    made.close()


def until(told: Callable[[], Any], expected: Any) -> None:
    """Soon on every worker: so twenty times in a row."""
    give_up_s, in_a_row = time.monotonic() + SEEN_BY_ALL_S, 0
    while in_a_row < 20:
        in_a_row = in_a_row + 1 if (last := told()) == expected else 0
        assert time.monotonic() < give_up_s, (last, expected)


def test_the_story_of_a_bank(service: Served, client: HmaClient, tmp_path: Path) -> None:
    assert httpx.get(f"http://127.0.0.1:{service.port}/status").text == "I-AM-ALIVE"
    assert client.ask("GET", "/c/banks") == []
    assert client.ask("POST", "/c/banks", json={"name": "STORY"}) == {"name": "STORY", "matching_enabled_ratio": 1.0}

    picture = encoded(scene(3))
    by_file = client.ask("POST", "/c/bank/STORY/content", files={"photo": ("a.png", picture)}, data={"note": "first"})
    pdq = by_file["signals"]["pdq"]
    by_hash = client.ask("POST", "/c/bank/STORY/signal", json={"pdq": FAR})
    assert by_hash["signals"] == {"pdq": FAR}

    met = {"STORY": [{"bank_content_id": by_file["id"], "distance": "0"}]}
    until(lambda: client.look_up(pdq), met)
    until(lambda: client.look_up(FAR), {"STORY": [{"bank_content_id": by_hash["id"], "distance": "0"}]})
    near = f"{int(pdq, 16) ^ 0b111:064x}"
    assert client.look_up(near) == {"STORY": [{"bank_content_id": by_file["id"], "distance": "3"}]}
    beyond = f"{int(pdq, 16) ^ (2**32 - 1):064x}"
    assert client.look_up(beyond) == {}

    jpeg = encoded(scene(3), "JPEG", quality=80)
    (match,) = client.ask("POST", "/m/lookup", files={"photo": ("b.jpg", jpeg)})["pdq"]["STORY"]
    assert match["bank_content_id"] == by_file["id"]
    assert client.ask("GET", "/m/index/status", params={"signal_type": "pdq"})["pdq"]["size"] == 2

    content = f"/c/bank/STORY/content/{by_file['id']}"
    assert client.ask("GET", content)["note"] == "first"
    assert client.ask("PUT", content, json={"disable_until_ts": 0})["disable_until_ts"] == 0
    until(lambda: client.look_up(pdq), {})
    client.ask("PUT", content, json={"disable_until_ts": 1})
    until(lambda: client.look_up(pdq), met)
    client.ask("PUT", "/c/bank/STORY", json={"enabled": False})
    until(lambda: client.look_up(pdq), {})
    client.ask("PUT", "/c/bank/STORY", json={"enabled": True})
    until(lambda: client.look_up(pdq), met)

    assert client.ask("DELETE", content) == {"deleted": 1}
    until(lambda: client.look_up(pdq), {})
    assert client.ask("DELETE", "/c/bank/STORY") == {"message": "Done"}
    until(lambda: client.look_up(FAR), {})
    until(lambda: client.ask("GET", "/c/banks"), [])

    _ask_wrongly(client)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in written:
        content_bytes = path.read_bytes()
        assert service.token.encode() not in content_bytes, path
        assert picture not in content_bytes
        assert jpeg not in content_bytes
    assert tmp_path / "log" in written


def _ask_wrongly(client: HmaClient) -> None:
    """What goes wrong is said, and the token that stood in the address is not in it."""
    token = client.token
    for method, path, request in (
        ("GET", "/m/absent", {}),
        ("GET", "/m/lookup?signal=x&signal_type=pdq", {}),
        ("GET", f"/m/lookup?signal={token}&signal_type=pdq", {}),
        ("GET", "/h/hash?url=http://127.0.0.1/", {}),
        ("GET", f"/c/bank/{token}", {}),
        ("POST", "/c/banks", {"content": b"{" * 1000}),
        ("POST", "/m/lookup", {"files": {"photo": ("a", b"\xff\xd8\xff\xe0" + bytes(500))}}),
        ("POST", "/m/lookup", {"content": b"--b", "headers": {"content-type": "multipart/form-data; boundary=b"}}),
        ("POST", "/m/lookup", {"content": b"x", "headers": {"content-encoding": "gzip"}}),
    ):
        answer = client.send(method, path, **request)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert list(answer.json()) == ["message"]
        assert token not in answer.text
