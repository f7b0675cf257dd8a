"""The client and the service in one story, over a socket: both clients tell the same, and changes are heard."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.service.conftest import MD5, PDQ, SHA1, SHA256
from tests.service.pictures import encoded, scene
from tests.service.served import Served, command, free_port, served

from leadline.client import AsyncClient, Client, Hash, NewEntry, packed
from leadline.domain import Kind, Tlp, Verdict
from leadline.errors import BankNotFound, HashFormatError, RequestRefused, ScopeMissing, TokenRefused
from leadline.service.tokens import Scope, Tokens

PICTURE = encoded(scene(1))
NEW = "e5" * 16


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for all tests here; what a test adds it removes."""
    from leadline.domain import Entry
    from leadline.match.bank import Bank

    folder = tmp_path_factory.mktemp("client")
    known = Bank.create(folder / "banks" / "known", name="known", kind=Kind.ILLEGAL)
    prints = {"md5": bytes.fromhex(MD5), "pdq": bytes.fromhex(PDQ)}
    known.add([Entry(Kind.ILLEGAL, prints, 7, quality=100, scheme="uk", label="A")])
    harmless = Bank.create(folder / "banks" / "harmless", name="harmless", kind=Kind.BENIGN)
    harmless.add([Entry(Kind.BENIGN, {"sha256": bytes.fromhex(SHA256)}, 9)])
    _, token = Tokens(folder / "state").add("test", frozenset(Scope))
    _, lesser = Tokens(folder / "state").add("lesser", frozenset({Scope.MATCH}))
    port = free_port()
    line = command(folder / "banks", folder / "state", port, "--workers", "1")
    with served(line, port, folder / "log", token) as service:
        service.lesser_token = lesser
        yield service


@pytest.fixture
def client(started: Served) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{started.port}", token=started.token) as client:
        yield client


@pytest.fixture
def lesser(started: Served) -> Iterator[Client]:
    """May match and nothing else."""
    with Client(f"http://127.0.0.1:{started.port}", token=started.lesser_token) as client:
        yield client


def test_look_ups_tell_all_that_the_token_may_read(client: Client) -> None:
    met, by_bytes, benign, nothing = client.match(MD5, bytes.fromhex(PDQ), Hash(SHA256, "sha256"), SHA1)
    (match,) = met.matches
    assert (match.bank, match.kind, match.entry, match.algorithm, match.label) == ("known", Kind.ILLEGAL, 7, "md5", "A")
    assert (match.distance, match.is_suppressed, match.flooding) == (0, False, False)
    assert by_bytes.matches[0].algorithm == "pdq"
    assert benign.matches[0].kind is Kind.BENIGN
    assert nothing.matches == ()
    assert set(met.lists) == {"known", "harmless"}
    assert client.match(MD5, banks=["harmless"])[0].matches == ()


def test_a_token_that_only_matches_is_told_less(lesser: Client) -> None:
    (match,) = lesser.match(MD5)[0].matches
    assert (match.bank, match.kind) == ("known", Kind.ILLEGAL)
    assert (match.entry, match.distance, match.label) == (None, None, None)
    with pytest.raises(ScopeMissing):
        lesser.scan(PICTURE)


def test_faults_of_the_service_are_those_of_the_tree(client: Client, started: Served) -> None:
    with pytest.raises(HashFormatError):
        client.match(MD5, "no hash")
    with pytest.raises(BankNotFound):
        client.match(MD5, banks=["absent"])
    with pytest.raises(RequestRefused):
        client.match(MD5, radius=65)
    wrong = "llt_abcdefgh_" + "x" * 43
    with Client(f"http://127.0.0.1:{started.port}", token=wrong) as stranger, pytest.raises(TokenRefused):
        stranger.match(MD5)


def test_many_and_packed_look_ups_are_answered_in_order(client: Client) -> None:
    hashes = [f"{number:032x}" for number in range(25_000)]
    hashes[12_345] = MD5
    hashes[20_000] = "no hash"
    answers = list(client.match_many(hashes))
    met = [at for at, answer in enumerate(answers) if not isinstance(answer, Exception) and answer.matches]
    assert (len(answers), met) == (25_000, [12_345])
    assert isinstance(answers[20_000], HashFormatError)
    rows = np.random.default_rng(1).integers(0, 256, (12_000, 32), np.uint8)
    rows[11_999] = np.frombuffer(bytes.fromhex(PDQ), np.uint8)
    told = client.match_packed(rows)
    assert told.matches["hash"].tolist() == [11_999]
    assert told.banks[told.matches["bank"][0]][0] == "known"
    assert told.matches["entry"].tolist() == [7]
    assert packed.ALGORITHMS[told.matches["algorithm"][0]] == "pdq"


def test_files_are_hashed_and_scanned_from_bytes_paths_and_streams(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    stream = io.BytesIO(b"before" + PICTURE)
    stream.seek(6)
    one, two, three = client.hash(PICTURE), client.hash(path), client.hash(stream)
    assert one == two == three
    assert (one.size, one.mime, one.error) == (len(PICTURE), "image/png", None)
    assert one.pdq is not None
    scanned = client.scan(PICTURE)
    assert (scanned.verdict, scanned.matches, scanned.pdq) == (Verdict.UNKNOWN, (), one.pdq)
    broken = client.scan(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    assert broken.verdict is Verdict.UNREADABLE
    assert broken.error is not None


def test_entries_come_and_go_and_listeners_hear_of_it(client: Client) -> None:
    heard = client.changes()
    first = {next(heard).bank, next(heard).bank}
    assert first == {"known", "harmless"}
    full = NewEntry(
        hashes={"md5": NEW, "pdq": "0f" * 32, "quality": 77, "family": "a"}, kind=Kind.ILLEGAL, label="A", scheme="uk",
        source="office", source_id="4711", licence="made up", tlp=Tlp.RED, note="made up", metadata={"a": [1, None]},
        disabled_until=0, first_seen=1, last_seen=2,
    )  # fmt: skip
    added = client.add_entries("known", [full, NewEntry(hashes={"md5": "no hash"})], key="once")
    assert client.add_entries("known", [full, NewEntry(hashes={"md5": "no hash"})], key="once") == added
    assert [refusal.index for refusal in added.refused] == [1]
    change = next(heard)
    assert (change.bank, change.list_version, change.is_gone) == ("known", added.list_version, False)
    (match,) = client.match(NEW)[0].matches
    assert (match.entry, match.label) == (added.ids[0], "A")
    removed = client.remove_entries("known", hashes=[NEW])
    assert removed.ids == (added.ids[0],)
    assert client.match(NEW)[0].matches == ()
    again = client.remove_entries("known", ids=removed.ids)
    assert (again.ids, len(again.refused)) == ((), 1)
    later = next(client.changes(change.id))
    assert (later.bank, later.list_version) == ("known", removed.list_version)


def test_banks_and_health_are_told(client: Client, lesser: Client) -> None:
    told = {bank.name: bank for bank in client.banks()}
    assert set(told) == {"known", "harmless"}
    assert (told["known"].kind, told["known"].radius) == (Kind.ILLEGAL, 31)
    assert lesser.banks()[0].radius is None
    health = client.health()
    assert (health.ready, health.reasons, set(health.lists)) == (True, (), {"known", "harmless"})


def test_the_async_client_does_the_same(client: Client, started: Served) -> None:
    async def story() -> None:
        async with AsyncClient(f"http://127.0.0.1:{started.port}", token=started.token) as service:
            hashes = [MD5, PDQ, SHA256, SHA1] * 50
            told = await asyncio.gather(*(service.match(text) for text in hashes))
            assert [answer.matches for (answer,) in told] == [answer.matches for answer in client.match(*hashes)]
            assert await service.hash(io.BytesIO(PICTURE)) == client.hash(PICTURE)
            assert (await service.scan(PICTURE, banks=["known"])).verdict is Verdict.UNKNOWN
            assert [bank.name for bank in await service.banks()] == [bank.name for bank in client.banks()]
            assert (await service.health()).ready
            rows = np.frombuffer(bytes.fromhex(PDQ), np.uint8).reshape(1, 32)
            assert (await service.match_packed(rows)).matches["entry"].tolist() == [7]
            many = [item async for item in service.match_many([MD5, b"short"])]
            assert [isinstance(item, HashFormatError) for item in many] == [False, True]
            async for change in service.changes():
                assert change.bank == "harmless"
                break
            added = await service.add_entries("known", [NewEntry(hashes={"md5": NEW})])
            assert (await service.remove_entries("known", ids=[added.ids[0] or 0])).ids == added.ids

    asyncio.run(story())


def test_connections_are_used_again(started: Served) -> None:
    opened: list[str] = []

    def note(name: str, info: object) -> None:
        if name == "connection.connect_tcp.started":
            opened.append(name)

    with Client(f"http://127.0.0.1:{started.port}", token=started.token) as client:
        send = client._http.send

        def traced(request: httpx.Request, **options: object) -> httpx.Response:
            request.extensions["trace"] = note
            return send(request, **options)  # type: ignore[arg-type]

        client._http.send = traced  # type: ignore[method-assign]
        for _ in range(10):
            client.match(MD5)
    assert len(opened) == 1
