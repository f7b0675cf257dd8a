"""Banks on shards answer as they do on one machine, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from leadline.domain import Entry, Fingerprints, Kind, PdqFamily, ViewHashes
from leadline.errors import BankNotFound, ServiceError, ShardLost
from leadline.match.bank import Bank
from leadline.match.policy import MatchAnswer
from leadline.match.split import split_bank
from leadline.service.batcher import Query, search
from leadline.service.lists import Lists
from leadline.service.remote import RemoteLists
from leadline.service.shard import Shard

ROWS = np.random.default_rng(4).integers(0, 256, (400, 32), np.uint8)
SHARDS = 3


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
def both(
    shelves: tuple[Path, list[Path]], request: pytest.FixtureRequest
) -> Iterator[tuple[Lists, RemoteLists]]:
    whole, folders = shelves
    shards = open_shards(folders, request)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), SHARDS)
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
    with pytest.raises(ServiceError, match="not changed through the service"):
        remote.bank("known")


def test_a_change_on_a_shard_is_seen(
    shelves: tuple[Path, list[Path]], both: tuple[Lists, RemoteLists]
) -> None:
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

    remote = RemoteLists(send, SHARDS)
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


def test_false_positives_that_are_not_on_every_shard_are_a_fault(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for number in range(2):
        bank = Bank.create(tmp_path / f"{number}" / "known", name="known", kind=Kind.ILLEGAL)
        bank.add([Entry(Kind.ILLEGAL, {"md5": bytes([number + 1]) * 16}, number + 1)])
    bank.add([Entry(Kind.FALSE_POSITIVE, {"pdq": b"\1" * 32}, 50)])
    shards = open_shards([tmp_path / "0", tmp_path / "1"], request)
    remote = RemoteLists(lambda number, message: shards[number].answer(message), 2)
    assert list(remote.faults) == ["known: false-positives"]
