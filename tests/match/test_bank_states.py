"""After any sequence of changes, crashes and reopenings a bank answers as brute force over what it acknowledged."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from leadline.domain import Entry, Kind
from leadline.match import writing as writing_module
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher

CENTRES = [np.random.default_rng(n).bytes(32) for n in range(3)]


def moved(centre: int, bits: int) -> bytes:
    """A hash `bits` away from one of three centres; equal arguments give equal hashes (duplicates)."""
    flips = np.zeros(256, np.uint8)
    flips[np.random.default_rng(bits).choice(256, bits, replace=False)] = 1
    return bytes(a ^ b for a, b in zip(CENTRES[centre], np.packbits(flips).tobytes(), strict=True))


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


hashes = st.builds(moved, st.integers(0, 2), st.sampled_from([0, 1, 5, 30, 31, 32, 64]))
drawn = st.builds(
    lambda pdq, md5, quality, disabled, kind: Entry(
        kind=kind, fingerprints={"pdq": pdq, **({"md5": bytes([md5]) * 16} if md5 else {})},
        quality=quality, disabled_until=disabled,
    ),
    hashes,
    st.integers(0, 4),
    st.sampled_from([None, 49, 50, 100]),
    st.sampled_from([0, 10, 20]),
    st.sampled_from([Kind.ILLEGAL, Kind.BENIGN, Kind.OTHER]),
)  # fmt: skip


class BankMachine(RuleBasedStateMachine):
    """`model` holds what was acknowledged; `reader` is another process's bank, stale until it refreshes."""

    @initialize(large=st.integers(1, 6), entries=st.lists(drawn, max_size=12))
    def start(self, large: int, entries: list[Entry]) -> None:
        self.log_entries, writing_module.LOG_ENTRIES = writing_module.LOG_ENTRIES, large
        self.folder = Path(tempfile.mkdtemp())
        self.now = 5
        Bank.create(self.folder / "bank", name="B", kind=Kind.ILLEGAL, kinds={})
        self.bank, self.reader = self.open(self.folder / "bank"), self.open(self.folder / "bank")
        self.model: dict[int, Entry] = {}
        self.seen: dict[int, Entry] = {}
        self.used = [10**6]  # an id that was never given
        self.add(entries)

    def teardown(self) -> None:
        writing_module.LOG_ENTRIES = self.log_entries
        shutil.rmtree(self.folder)

    def open(self, path: Path) -> Bank:
        return Bank.open(path, clock=lambda: self.now, kinds={})

    @rule(entries=st.lists(drawn, max_size=9))
    def add(self, entries: list[Entry]) -> None:
        result = self.bank.add(entries)
        assert not set(result.ids) & set(self.used)
        self.model.update(zip(result.ids, entries, strict=True))
        self.used += result.ids

    @rule(picks=st.lists(st.integers(0, 1000), min_size=1, max_size=4))
    def remove(self, picks: list[int]) -> None:
        some = [self.used[pick % len(self.used)] for pick in picks]
        there = {i for i in some if i in self.model}
        assert self.bank.remove(some) == len(there)
        for entry_id in there:
            del self.model[entry_id]

    @rule(pick=st.integers(0, 1000), entry=drawn)
    def update(self, pick: int, entry: Entry) -> None:
        entry_id = self.used[pick % len(self.used)]
        fields = {name: getattr(entry, name) for name in ("kind", "fingerprints", "quality", "disabled_until")}
        changed = Entry(id=entry_id, **fields)
        assert self.bank.update([changed]).added == (entry_id in self.model)
        if entry_id in self.model:
            self.model[entry_id] = changed

    @rule()
    def merge(self) -> None:
        self.bank.merge()

    @rule(
        entries=st.lists(drawn, max_size=4),
        picks=st.lists(st.integers(0, 1000), max_size=3),
        looks=st.tuples(st.booleans(), st.booleans()),
    )
    def merge_while_it_changes(self, entries: list[Entry], picks: list[int], looks: tuple[bool, bool]) -> None:
        """A writer changes the bank while its segment is made; the reader sees all of it, or some, or none."""
        draft, merging = writing_module.SegmentDraft, self.bank

        def make(*args: Any, **options: Any) -> Any:
            writing_module.SegmentDraft = draft  # type: ignore[misc]  # of many entries the writer makes one too
            self.bank = self.open(merging.path)
            for looks_now, change in zip(looks, (lambda: self.add(entries), lambda: self.remove(picks)), strict=True):
                if looks_now:
                    self.refresh_reader()
                change()
            return draft(*args, **options)

        writing_module.SegmentDraft = make  # type: ignore[misc,assignment]
        try:
            merging.merge()
        finally:
            writing_module.SegmentDraft = draft  # type: ignore[misc]
        self.bank = merging

    @rule()
    def reopen(self) -> None:
        self.bank = self.open(self.bank.path)

    @rule()
    def refresh_reader(self) -> None:
        self.reader.refresh()
        self.seen = dict(self.model)
        assert self.reader.list_version == self.bank.list_version

    @rule(seconds=st.integers(0, 8))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(entries=st.lists(drawn, min_size=1, max_size=4), share=st.floats(0, 1, exclude_max=True))
    def crash_while_adding(self, entries: list[Entry], share: float) -> None:
        """The machine stops when only a part of the change has reached the disk."""
        if len(entries) > writing_module.LOG_ENTRIES:
            return
        before = self.bank.snapshot.position.offset
        copy = self.folder / f"crash-{len(list(self.folder.iterdir()))}"
        log = self.bank.snapshot.log_path.name
        shutil.copytree(self.bank.path, copy)
        self.open(copy).add(entries)
        whole = (copy / log).stat().st_size
        with (copy / log).open("r+b") as file:
            file.truncate(before + int((whole - before) * share))
        self.bank, self.reader = self.open(copy), self.open(copy)
        self.seen = dict(self.model)

    @invariant()
    def it_answers_as_brute_force(self) -> None:
        if not hasattr(self, "model"):
            return
        self.check(self.bank, self.model)
        self.check(self.reader, self.seen)

    def check(self, bank: Bank, model: dict[int, Entry]) -> None:
        assert bank.count == len(model)
        assert {e.id: e.fingerprints for e in bank.entries()} == {i: e.fingerprints for i, e in model.items()}
        queries = [*CENTRES, moved(0, 5)]
        for query, answer in zip(queries, Matcher([bank]).match_hashes([("pdq", q) for q in queries]), strict=True):
            expected = self.expected(model, lambda e, q=query: distance(e.fingerprints["pdq"], q), 31, floor=50)
            assert {(m.entry, m.kind, m.distance) for m in answer.matches} == expected
        for number in (1, 4):
            (answer,) = Matcher([bank]).match_hashes([("md5", bytes([number]) * 16)])
            wanted = bytes([number]) * 16
            expected = self.expected(model, lambda e, w=wanted: 0 if e.fingerprints.get("md5") == w else 1, 0)
            assert {(m.entry, m.kind, m.distance) for m in answer.matches} == expected

    def expected(
        self, model: dict[int, Entry], measure: Callable[[Entry], int], radius: int, floor: int = 0
    ) -> set[tuple[int, Kind, int]]:
        return {
            (i, e.kind, measure(e))
            for i, e in model.items()
            if measure(e) <= radius
            and e.disabled_until <= self.now
            and (e.quality is None or e.quality >= floor)
        }


TestBankStates = BankMachine.TestCase
TestBankStates.settings = settings(
    max_examples=35,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
