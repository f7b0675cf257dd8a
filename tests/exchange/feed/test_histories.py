"""Whatever happens to a bank, and whenever somebody publishes or pulls: whole list and changes make the bank."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.exchange.feed.conftest import DAY_S, NOW_S, Clock, Publisher, Reader, entry

from leadline.domain import Kind, Tlp
from leadline.exchange.feed import publishing, shelf
from leadline.exchange.feed.roots import create_roots, rotate
from leadline.match.bank import Bank

IDS = st.integers(1, 9)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), IDS, st.sampled_from(Tlp)),
        st.tuples(st.just("change"), IDS, st.sampled_from(Tlp)),
        st.tuples(st.just("suspend"), IDS),
        st.tuples(st.just("remove"), IDS),
        st.tuples(st.just("merge")),
        st.tuples(st.just("publish")),
        st.tuples(st.just("wait")),
        st.tuples(st.just("rotate")),
        st.tuples(st.just("pull"), st.sampled_from(["near", "far"]), st.integers(0, 3)),
    ),
    min_size=3,
    max_size=24,
)


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        bank = Bank.create(folder / "bank", name="list", kind=Kind.OTHER, tlp=Tlp.GREEN, clock=self.clock)
        create_roots(folder / "keys", "P", keys=1, threshold=1, expires_s=NOW_S + 900 * DAY_S)
        self.publisher = Publisher(folder, self.clock, bank)
        self.readers: dict[str, Reader] = {
            "near": self.publisher.admit("near"),
            "far": self.publisher.admit("far", tlp="green"),
        }
        self.publisher.publish()

    def alive(self) -> dict[int, Any]:
        return {entry.id or 0: entry for entry in self.publisher.bank.entries()}

    def do(self, act: str, *more: Any) -> None:
        bank = self.publisher.bank
        if act == "add" and more[0] not in self.alive():
            bank.add([entry(more[0], tlp=more[1])])
        elif act == "change" and more[0] in self.alive():
            bank.update([entry(more[0], tlp=more[1], label=str(bank.list_version))])
        elif act == "suspend" and more[0] in self.alive():
            bank.update([entry(more[0], disabled_until=int(self.clock.now) + DAY_S)])
        elif act == "remove":
            bank.remove([more[0]])
        elif act == "merge":
            bank.merge()
        elif act == "publish":
            self.publisher.publish()
        elif act == "wait":
            self.clock.now += 2 * DAY_S
            self.publisher.publish()
        elif act == "rotate":
            rotate(self.publisher.keys, new_root_keys=True, also_with=(), expires_s=NOW_S + 900 * DAY_S)
        elif act == "pull":
            self.readers[more[0]].pull(self.publisher.feed, most_pages=more[1])

    def expected(self, *labels: Tlp) -> dict[str, tuple[Any, ...]]:
        return {
            str(number): (dict(held.fingerprints), held.tlp, held.label)
            for number, held in self.alive().items()
            if held.tlp in labels and held.disabled_until <= self.clock.now
        }


def held(reader: Reader) -> dict[str, tuple[Any, ...]]:
    return {key: (dict(e.fingerprints), e.tlp, e.label) for key, e in reader.held.items()}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whole_list_and_changes_together_are_the_bank(steps: list[tuple[Any, ...]]) -> None:
    small = {"STEPS_BETWEEN_WHOLES": 3, "STEPS_KEPT": 4}
    with tempfile.TemporaryDirectory() as folder, mock.patch.multiple(publishing, **small):
        with mock.patch.object(shelf, "PART_ENTRIES", 2):
            world = World(Path(folder))
            for step in steps:
                world.do(*step)
            world.publisher.publish()
            for reader in world.readers.values():
                reader.pull(world.publisher.feed)
        wide = [tlp for tlp in Tlp if tlp is not Tlp.RED]
        assert held(world.readers["near"]) == world.expected(*wide)
        assert held(world.readers["far"]) == world.expected(Tlp.GREEN, Tlp.CLEAR)
