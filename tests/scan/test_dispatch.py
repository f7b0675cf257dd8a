from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator

import pytest

from leadline.errors import BankCorrupt
from leadline.scan import wire
from leadline.scan.dispatch import Dispatcher, Job, Result


class PlayedLanes:
    """Lanes that answer one line a file (a zip: four members' first, two a reply), latest asked first; some die."""

    def __init__(self, count: int, dies: Callable[[bytes, int], bool] = lambda path, attempt: False) -> None:
        self.count = count
        self._dies = dies
        self._attempts: Counter[bytes] = Counter()
        self._under_way: dict[int, Iterator[bytes | None]] = {}
        self._asked: deque[int] = deque()
        self.shared: list[bool] = []

    def send(self, lane: int, message: bytes) -> None:
        request = wire.decode_request(message)
        if isinstance(request, wire.Work):
            self.shared.append(request.shared)
            self._under_way[lane] = self._play(request)
        self._asked.append(lane)

    def _play(self, work: wire.Work) -> Iterator[bytes | None]:
        lines: list[bytes] = []
        for done, item in enumerate(work.items):
            self._attempts[item.path] += 1
            if self._dies(item.path, self._attempts[item.path]):
                yield None
                return
            if item.path.endswith(b".zip"):
                if lines:
                    yield wire.encode(wire.Reply(lines, done, False))
                    lines = []
                for part in (0, 2):
                    yield wire.encode(wire.Reply([b"%s!%d\n" % (item.path, part + n) for n in (0, 1)], done, False))
                    if self._dies(item.path + b"!", self._attempts[item.path]):
                        yield None
                        return
            lines.append(item.path + b"\n")
        yield wire.encode(wire.Reply(lines, len(work.items), True, len(work.items)))

    def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
        lane = self._asked.pop()
        return [(lane, next(self._under_way[lane]))]

    def close(self) -> None:
        pass


def jobs(*batches: bytes) -> list[Job]:
    return [Job(tuple(wire.WorkItem(path) for path in batch.split())) for batch in batches]


def names(results: list[Result]) -> list[bytes]:
    found = []
    for line in (line for result in results for line in result.lines):
        if line.startswith(b"{"):
            told = json.loads(line)
            line = f"{told['path']}={told['error']['code']}\n".encode()
        found.append(line.strip())
    return found


ZIP = [b"c.zip!0", b"c.zip!1", b"c.zip!2", b"c.zip!3", b"c.zip"]


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_it_tells_findings_in_walk_order_however_the_lanes_answer(lanes: int) -> None:
    batches = [b"a b c.zip d", *(b"f%02d g%02d" % (n, n) for n in range(30))]
    found = names(list(Dispatcher(PlayedLanes(lanes), window=6).run(jobs(*batches))))
    assert found == [b"a", b"b", *ZIP, b"d", *(name for batch in batches[1:] for name in batch.split())]


def test_it_keeps_tokens_in_their_place() -> None:
    mixed = [*jobs(b"a b"), Job(token="one"), *jobs(b"c"), Job(token="two")]
    told = [result.token or names([result]) for result in Dispatcher(PlayedLanes(2)).run(mixed)]
    assert told == [[b"a", b"b"], "one", [b"c"], "two"]


def test_it_does_a_batch_again_when_its_lane_died() -> None:
    lanes = PlayedLanes(2, dies=lambda path, attempt: path == b"b" and attempt == 1)
    assert names(list(Dispatcher(lanes).run(jobs(b"a b c", b"d e")))) == [b"a", b"b", b"c", b"d", b"e"]


def test_it_gives_up_only_the_file_that_kills_lanes() -> None:
    lanes = PlayedLanes(2, dies=lambda path, attempt: path == b"b")
    found = names(list(Dispatcher(lanes).run(jobs(b"a b c", b"d e"))))
    assert found == [b"a", b"b=worker-lost", b"c", b"d", b"e"]
    assert lanes.shared.count(False) >= 3


def test_it_neither_repeats_nor_loses_members_when_a_lane_dies_inside_a_container() -> None:
    lanes = PlayedLanes(2, dies=lambda path, attempt: path == b"c.zip!" and attempt == 1)
    found = names(list(Dispatcher(lanes).run(jobs(b"a c.zip d", b"e"))))
    assert found == [b"a", *ZIP, b"d", b"e"]


@pytest.mark.parametrize("seed", range(60))
def test_it_tells_all_once_and_in_order_however_lanes_die(seed: int) -> None:
    dice = random.Random(seed)
    lanes = PlayedLanes(dice.randint(1, 4), dies=lambda path, attempt: attempt < 2 and dice.random() < 0.2)
    batches = [b" ".join(b"%02d-%d%s" % (n, m, dice.choice([b"", b".zip"])) for m in range(6)) for n in range(12)]
    found = names(list(Dispatcher(lanes, window=dice.randint(1, 9)).run(jobs(*batches))))
    whole = [(name, [b"%s!%d" % (name, n) for n in range(4)]) for batch in batches for name in batch.split()]
    assert found == [
        line for name, members in whole for line in ([*members, name] if name.endswith(b".zip") else [name])
    ]


def test_it_never_holds_more_than_its_window() -> None:
    taken = 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        while True:
            taken += 1
            yield from jobs(b"f%d" % taken)

    results = Dispatcher(PlayedLanes(3), window=8).run(endless())
    for told in range(1, 50):
        next(results)
        assert taken - told <= 9


def test_it_counts_files_and_bytes_once() -> None:
    lanes = PlayedLanes(2, dies=lambda path, attempt: path == b"b" and attempt == 1)
    results = list(Dispatcher(lanes).run(jobs(b"a b c.zip", b"d e")))
    assert sum(result.items for result in results) == 5


def test_it_stops_with_what_a_lane_failed_with() -> None:
    class Broken(PlayedLanes):
        def wait(self, timeout_s: float) -> list[tuple[int, bytes | None]]:
            return [(0, wire.encode(wire.Failure("bank-corrupt", "bank damaged", "DEMO", "verify it", 1)))]

    with pytest.raises(BankCorrupt, match="bank damaged"):
        list(Dispatcher(Broken(1)).run(jobs(b"a")))
