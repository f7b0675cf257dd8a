"""Banks on shards answer as they do on one machine, or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.service import test_hma_document, test_openapi
from tests.service.conftest import MD5, SHA1, Worker

from leadline.domain import Entry, Fingerprints, Kind, PdqFamily, ViewHashes
from leadline.errors import BankNotFound, ShardLost
from leadline.match.bank import Bank
from leadline.match.policy import MatchAnswer
from leadline.match.split import split_bank
from leadline.service import app
from leadline.service.batcher import Query, search
from leadline.service.lists import Lists
from leadline.service.remote import RemoteLists
from leadline.service.shard import Shard

ROWS = np.random.default_rng(4).integers(0, 256, (400, 32), np.uint8)
SHARDS = 3
NOWHERE = Path("/nonexistent")  # where nothing was begun with a whole bank


def near(row: bytes, bits: int) -> bytes:
    return (int.from_bytes(row, "big") ^ ((1 << bits) - 1)).to_bytes(32, "big")


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """One folder of banks, and the same banks over three shards: `known` split, `other` on the last one."""
    folder = tmp_path_factory.mktemp("shards")
    whole = Bank.create(folder / "whole" / "known", name="known", kind=Kind.ILLEGAL)
    whole.add(
        Entry(Kind.ILLEGAL, {"pdq": row.tobytes(), "md5": row.tobytes()[:16]}, number, quality=90, label=f"{number}")
        for number, row in enumerate(ROWS, 1)
    )
    whole.add([Entry(Kind.FALSE_POSITIVE, {"pdq": near(ROWS[0].tobytes(), 3)}, 900)])
    shards = [folder / f"{number}" for number in range(SHARDS)]
    split_bank(whole, [shard / "known" for shard in shards])
    for place in (folder / "whole" / "other", shards[-1] / "other"):
        other = Bank.create(place, name="other", kind=Kind.OTHER)
        other.add([Entry(Kind.OTHER, {"pdq": near(ROWS[1].tobytes(), 5)}, 5)])
    return folder / "whole", shards


@pytest.fixture
def both(shelves: tuple[Path, list[Path]], request: pytest.FixtureRequest) -> Iterator[tuple[Lists, RemoteLists]]:
    whole, folders = shelves
    shards = open_shards(folders, request)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), SHARDS, state=NOWHERE)
    yield Lists((), shelf=whole), remote
    remote.close()


def open_shards(folders: list[Path], request: pytest.FixtureRequest) -> list[Shard]:
    shards = [Shard(str(folder)) for folder in folders]
    for shard in shards:
        request.addfinalizer(shard.close)
    return shards


def plain(answers: list[MatchAnswer]) -> list[object]:
    """Without list versions: each part of a split bank has its own."""
    return [
        ([(m.bank, m.entry, m.kind, m.distance, m.label, m.suppressed_by) for m in a.matches], a.truncated, a.reasons)
        for a in answers
    ]


QUERIES: list[Query] = [
    Query("pdq", near(ROWS[0].tobytes(), 3)),  # a false positive marks what lies on another shard
    Query("pdq", near(ROWS[1].tobytes(), 2)),  # two banks, on two shards
    Query("md5", ROWS[7].tobytes()[:16]),
    Query("pdq", bytes(32)),
    Query("pdq", near(ROWS[2].tobytes(), 2), quality=10),  # below the floor: reasons
]


def test_look_ups_say_the_same(both: tuple[Lists, RemoteLists]) -> None:
    local, remote = both
    expected = plain(search(local.matcher(), QUERIES))
    assert plain(search(remote.matcher(), QUERIES)) == expected
    assert [len(matches) for matches, _, _ in expected] == [2, 2, 1, 0, 0]  # type: ignore[misc]
    assert expected[0][0][0][5] == "known/900"  # type: ignore[index]


def test_packed_rows_and_files_say_the_same(both: tuple[Lists, RemoteLists]) -> None:
    local, remote = both
    rows = np.vstack([ROWS[:50], np.zeros((50, 32), np.uint8)])
    ours, theirs = local.matcher().match_rows("pdq", rows), remote.matcher().match_rows("pdq", rows)
    assert list(theirs) == list(ours)
    assert plain(list(theirs.values())) == plain(list(ours.values()))
    view = ViewHashes("picture", PdqFamily.B, tuple(near(ROWS[9].tobytes(), n) for n in range(8)), 100, 64, 64)
    files = [Fingerprints({"md5": ROWS[7].tobytes()[:16]}, (view,)), Fingerprints()]
    assert plain(remote.matcher().match(files)) == plain(local.matcher().match(files))


def test_banks_and_radius_narrow_it_in_the_same_way(both: tuple[Lists, RemoteLists]) -> None:
    local, remote = both
    for names, radius in ((("other",), None), (("known", "other"), 4), (("known",), 0)):
        assert plain(search(remote.matcher(names, radius), QUERIES)) == plain(
            search(local.matcher(names, radius), QUERIES)
        )
    with pytest.raises(BankNotFound):
        remote.matcher(("absent",))
    remote.leave_out(frozenset({"known"}))
    assert {m.bank for a in search(remote.matcher(), QUERIES) for m in a.matches} == {"other"}


def test_what_it_holds_is_told_as_of_one_bank(both: tuple[Lists, RemoteLists]) -> None:
    local, remote = both
    assert [(b.name, b.kind, b.count) for b in remote.opened.banks] == [
        (b.name, b.kind, b.count) for b in sorted(local.opened.banks, key=lambda bank: bank.name)
    ]
    assert remote.faults == {}
    before = remote.opened
    assert remote.refresh() == {}
    assert remote.opened is before, "who listens for changes would be woken for none"
    with pytest.raises(BankNotFound):
        remote.kept("absent")


def test_a_shard_whose_folder_is_that_of_one_bank_holds_that_bank(
    shelves: tuple[Path, list[Path]], both: tuple[Lists, RemoteLists], request: pytest.FixtureRequest
) -> None:
    folders = [*(folder / "known" for folder in shelves[1]), shelves[1][-1] / "other"]
    shards = [Shard(str(folder), is_bank=True) for folder in folders]
    for shard in shards:
        request.addfinalizer(shard.close)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), len(shards), state=NOWHERE)
    assert [(b.name, b.count) for b in remote.opened.banks] == [(b.name, b.count) for b in both[1].opened.banks]
    assert plain(search(remote.matcher(), QUERIES)) == plain(search(both[0].matcher(), QUERIES))


def test_a_change_on_a_shard_is_seen(shelves: tuple[Path, list[Path]], both: tuple[Lists, RemoteLists]) -> None:
    _, remote = both
    part, fresh = Bank.open(shelves[1][1] / "known"), Query("md5", b"\7" * 16)
    assert search(remote.matcher(), [fresh])[0].matches == ()
    part.add([Entry(Kind.ILLEGAL, {"md5": b"\7" * 16}, 4000)])
    for _ in range(200):  # the shard looks twice a second by itself
        if found := search(remote.matcher(), [fresh])[0].matches:
            break
        time.sleep(0.05)
    assert [match.entry for match in found] == [4000]
    assert list(remote.refresh()) == ["known"]
    part.remove([4000])


def test_a_shard_that_does_not_answer_makes_every_answer_an_error(
    shelves: tuple[Path, list[Path]], request: pytest.FixtureRequest
) -> None:
    shards, lost = open_shards(shelves[1], request), set[int]()

    def send(number: int, message: bytes) -> bytes:
        if number in lost:
            raise ShardLost(f"shard {number} does not answer")
        return shards[number].answer(message)

    remote = RemoteLists(send, SHARDS, state=NOWHERE)
    lost.add(2)
    matcher = remote.matcher()
    for query in QUERIES:
        with pytest.raises(ShardLost):
            search(matcher, [query])
    remote.refresh()
    assert list(remote.faults) == ["shard 2"]
    lost.clear()
    remote.refresh()
    assert remote.faults == {}
    assert search(remote.matcher(), QUERIES[:1])[0].matches


def test_a_shard_that_cannot_open_one_of_its_banks_answers_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name, number in (("known", 1), ("other", 2)):
        bank = Bank.create(tmp_path / name, name=name, kind=Kind.ILLEGAL)
        bank.add([Entry(Kind.ILLEGAL, {"md5": bytes([number]) * 16}, number)])
    (tmp_path / "other" / "manifest.json").write_text("{")
    (shard,) = open_shards([tmp_path], request)
    remote = RemoteLists(lambda number, message: shard.answer(message), 1, state=NOWHERE)
    assert list(remote.faults) == ["other on shard 0"]
    with pytest.raises(ShardLost, match="other cannot be read there"):
        search(remote.matcher(), [Query("md5", b"\2" * 16)])


THERE = {"name": "known", "bank": "known", "signal_type": "pdq", "type": "MD5"}


def ask_rightly(worker: Worker, label: str) -> httpx.Response:
    """As the walks over both documents do."""
    method, path = label.split()
    good = (test_openapi.GOOD | test_hma_document.GOOD).get(label) or {}
    body, form = good.get("body"), good.get("media_type", "").partition("/")[2]
    sent = {"json": {"json": body}, "octet-stream": {"content": body}, "xml": {"content": body}}.get(form, {})
    if form == "form-data":
        sent = {"files": {name: ("a", content) for name, content in body.items()}}
    address = re.sub(r"{(\w+)}", lambda found: str(THERE.get(found[1], 7)), path)
    return worker.ask(method, address, params=good.get("query"), **sent)


def test_every_address_is_answered_over_shards(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, make_worker: Callable[..., Worker]
) -> None:
    parts = [tmp_path / f"{number}" / "known" for number in range(2)]
    split_bank(Bank.open(tmp_path / "banks" / "known"), parts)
    shards = open_shards([part.parent for part in parts], request)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), 2, state=tmp_path / "state")
    monkeypatch.setattr(app, "open_lists", lambda options: remote)
    worker = make_worker(shelf=None, ray="somewhere", hashers=1)
    answers = worker.ask("POST", "/v1/match", json={"hashes": [MD5, SHA1]}).json()["answers"]
    assert [match["entry"] for answer in answers for match in answer["matches"]] == [7, 8]
    document = worker.ask("GET", "/v1/openapi.json").json()["paths"]
    labels = {f"{method.upper()} {path}" for path, methods in document.items() for method in methods}
    removal = "DELETE /c/bank/{bank}"
    for label in [*sorted((labels | set(test_hma_document.OPERATIONS)) - {"GET /v1/changes", removal}), removal]:
        answer = ask_rightly(worker, label)
        assert answer.status_code < 500, (label, answer.text)
    assert not any(part.exists() for part in parts), "the last one removed the bank"


def test_false_positives_that_are_not_on_every_shard_are_a_fault(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for number in range(2):
        bank = Bank.create(tmp_path / f"{number}" / "known", name="known", kind=Kind.ILLEGAL)
        bank.add([Entry(Kind.ILLEGAL, {"md5": bytes([number + 1]) * 16}, number + 1)])
    bank.add([Entry(Kind.FALSE_POSITIVE, {"pdq": b"\1" * 32}, 50)])
    shards = open_shards([tmp_path / "0", tmp_path / "1"], request)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), 2, state=NOWHERE)
    assert list(remote.faults) == ["known: false-positives"]
