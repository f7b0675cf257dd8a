"""Banks that lie on shards, seen as if they were here: the same answers, or an error; never one without a shard."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from leadline.domain import Fingerprints, Kind, Match
from leadline.errors import (
    BankError,
    BankLocked,
    BankNotFound,
    ConfigError,
    LeadlineError,
    ServiceError,
    ShardLost,
)
from leadline.match.fingerprints import FingerprintKind, load_kinds
from leadline.match.policy import NO_MATCH, MatchAnswer
from leadline.service.errands import Done, Errand
from leadline.service.lists import STALE_S
from leadline.service.parted import PartedBank
from leadline.service.parted_shelf import PartedShelf, Unsettled
from leadline.service.shard import Ask, BankFacts, Holds, Prints, Told, pack_prints

LIMIT = 100  # matches of an answer at most, as the matcher's own
_SERIOUSNESS = {kind: rank for rank, kind in enumerate(Kind)}
_encode, _told_decoder = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Told)
_OF_WRITERS: Mapping[str, type[LeadlineError]] = {kind.code: kind for kind in (BankError, BankLocked, BankNotFound)}
Send = Callable[[int, bytes], bytes]  # number of the shard, message -> answer; ShardLost where none comes


@dataclass(frozen=True, slots=True)
class RemoteBank:
    """A bank as its shards tell of it together. list_version: the sum over its parts; count: of all entries.
    identity: made of its parts', another where one of them is. manifest: source, tlp, licence and created, as far as
    all parts say the same."""

    name: str
    kind: Kind
    list_version: int
    count: int
    radius_bits: int
    quality_floor: int
    index_bytes: int
    changed_at: float
    identity: str
    manifest: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class RemoteOpened:
    banks: tuple[RemoteBank, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)


class Shards:
    """All shards at once. `send` is called by several threads."""

    def __init__(self, send: Send, count: int) -> None:
        self._send, self.count = send, count
        self._pool = ThreadPoolExecutor(max_workers=8 * count, thread_name_prefix="shard")

    def ask(self, ask: Ask) -> list[Told]:
        """One answer of each shard. ShardLost where one of them gives none."""
        message = _encode(ask)
        waiting = [self._pool.submit(self._send, number, message) for number in range(self.count)]
        return [self._read(number, told.result()) for number, told in enumerate(waiting)]

    def ask_one(self, number: int, ask: Ask) -> Told:
        return self._read(number, self._send(number, _encode(ask)))

    def run(self, errands: Mapping[int, Errand]) -> dict[int, Done | LeadlineError]:
        """What became of each, by number of its shard. Comes to its end when all have; raises nothing."""
        waiting = {number: self._pool.submit(self._run, number, errand) for number, errand in errands.items()}
        return {number: done.result() for number, done in waiting.items()}

    def _run(self, number: int, errand: Errand) -> Done | LeadlineError:
        try:
            told = _told_decoder.decode(self._send(number, _encode(Ask(errand=errand))))
        except ShardLost as error:
            return error
        except msgspec.DecodeError:
            return ShardLost(f"shard {number} answers in another form")
        if told.fault is not None:
            code, what = told.fault
            return _OF_WRITERS.get(code, ShardLost)(f"shard {number}: {what}")
        return told.done if told.done is not None else ShardLost(f"shard {number} is of another version")

    def _read(self, number: int, message: bytes) -> Told:
        told = _told_decoder.decode(message)
        if told.fault is not None:
            raise ShardLost(f"shard {number}: {told.fault[1]}")
        return told

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class RemoteMatcher:
    """What `Matcher` is, over shards. Blocks: ask it from a thread."""

    def __init__(self, lists: RemoteLists, names: tuple[str, ...] | None, radius_bits: int | None) -> None:
        self._lists, self._names, self._radius_bits = lists, names, radius_bits

    @property
    def banks(self) -> tuple[RemoteBank, ...]:
        banks = self._lists.opened.banks
        return banks if self._names is None else tuple(bank for bank in banks if bank.name in self._names)

    @property
    def needs_family_a(self) -> bool:
        return any(holds.needs_family_a for holds in self._lists.holds)

    @property
    def kinds(self) -> dict[str, FingerprintKind]:
        named = {name for holds in self._lists.holds for name in holds.kinds}
        return {name: kind for name, kind in load_kinds().items() if name in named}

    def match(self, files: Sequence[Fingerprints]) -> list[MatchAnswer]:
        found = self._ask(Ask(files=[pack_prints(file) for file in files]))
        return [found.get(at, NO_MATCH) for at in range(len(files))]

    def match_hashes(self, lines: Sequence[tuple[str, bytes]]) -> list[MatchAnswer]:
        found = self._ask(Ask(lines=list(lines)))
        return [found.get(at, NO_MATCH) for at in range(len(lines))]

    def match_rows(self, algorithm: str, rows: NDArray[np.uint8]) -> dict[int, MatchAnswer]:
        return self._ask(Ask(rows=(algorithm, rows.shape[1], rows.tobytes())))

    def _ask(self, ask: Ask) -> dict[int, MatchAnswer]:
        ask.banks = None if self._names is None else list(self._names)
        ask.radius_bits = self._radius_bits
        parts: dict[int, list[MatchAnswer]] = {}
        for told in self._lists.shards.ask(ask):
            for at, answer in (told.found or {}).items():
                parts.setdefault(at, []).append(answer)
        versions = self._lists.opened.versions
        return {at: _as_of_whole(merge(parts[at]), versions) for at in sorted(parts)}


def merge(parts: Sequence[MatchAnswer]) -> MatchAnswer:
    """The answers of several shards as the one that a matcher over all their banks gives.

    A false-positive entry stands in every part of its bank, so it is there more than once, and marks in each.
    """
    if len(parts) == 1:
        return parts[0]
    best: dict[tuple[str, int, str], Match] = {}
    for match in (match for part in parts for match in part.matches):
        best.setdefault((match.bank, match.entry, match.algorithm), match)
    chosen = sorted(best.values(), key=lambda match: (match.suppressed_by is not None, _rank(match)))
    truncated = any(part.truncated for part in parts) or len(chosen) > LIMIT
    matches = tuple(sorted(chosen[:LIMIT], key=_rank))
    return MatchAnswer(matches, truncated, tuple(dict.fromkeys(said for part in parts for said in part.reasons)))


def _as_of_whole(answer: MatchAnswer, versions: Mapping[str, int]) -> MatchAnswer:
    """With the list version of the whole bank in the place of its part's, as it is told everywhere else."""
    if not answer.matches:
        return answer
    matches = tuple(replace(m, list_version=versions.get(m.bank, m.list_version)) for m in answer.matches)
    return replace(answer, matches=matches)


def _rank(match: Match) -> tuple[int, float, str, int, str]:
    return _SERIOUSNESS[match.kind], match.distance, match.bank, match.entry, match.algorithm


class RemoteLists:
    """What `Lists` is, over shards. A shard sees by itself what others change in its folder."""

    is_remote = True

    def __init__(self, send: Send, count: int, *, state: Path, radius_bits: int | None = None) -> None:
        """state: the folder where it is written down what was begun with whole banks."""
        self.shards, self._unsettled = Shards(send, count), Unsettled(state)
        self._radius_bits = radius_bits
        self._writing = threading.Lock()
        self._left_out: frozenset[str] = frozenset()
        self.holds: tuple[Holds, ...] = ()
        self.opened = RemoteOpened()
        self.faults: dict[str, LeadlineError] = {}
        self.checked_at = time.monotonic()
        self.refresh()
        if self.faults and not self.opened.banks:
            raise next(iter(self.faults.values()))

    def kept(self, name: str) -> PartedBank:
        """As `Lists.kept`."""
        if name not in self.opened.versions:
            self.refresh()
        self._demand([name])
        return PartedBank(self.shards, name, lambda: self._unsettled.refuse(name))

    def kept_shelf(self) -> PartedShelf:
        """For those who make, rename and remove banks."""
        places = frozenset(number for number, held in enumerate(self.holds) if held.is_shelf)
        return PartedShelf(self.shards, places, self._unsettled)

    def count_prints(self) -> Counter[str]:
        """As `Lists.count_prints`. ShardLost."""
        parts: dict[str, list[Prints]] = {}
        for told in self.shards.ask(Ask(is_to_count=True)):
            for name, counted in (told.counted or {}).items():
                parts.setdefault(name, []).append(counted)
        found: Counter[str] = Counter()
        for of_bank in parts.values():
            for part in of_bank:
                found.update(part.all)
                found.subtract(part.in_every)
            found.update(of_bank[0].in_every)
        return +found

    def _demand(self, names: Sequence[str]) -> None:
        if unknown := [name for name in names if name not in self.opened.versions]:
            raise BankNotFound("no such bank", where=unknown[0][:100], mend="GET /v1/banks lists them")

    def refresh(self) -> dict[str, int]:
        """Ask every shard what it holds. As `Lists.refresh`; never raises. One that does not answer is a fault."""
        with self._writing:
            before, faults = dict(self.opened.versions), dict[str, LeadlineError]()
            holds = [self._ask_what_it_holds(number, faults) for number in range(self.shards.count)]
            there = tuple(held for held in holds if held is not None)
            if len(there) == len(holds):  # else what was known stands: each look-up asks the lost shard, and fails
                self._take(there, faults)
                self.checked_at = time.monotonic()
            self.faults = faults
            now = self.opened.versions
            return {name: version for name, version in now.items() if before.get(name) != version}

    def _ask_what_it_holds(self, number: int, faults: dict[str, LeadlineError]) -> Holds | None:
        try:
            held = self.shards.ask_one(number, Ask()).holds
        except (ShardLost, msgspec.DecodeError) as error:
            faults[f"shard {number}"] = error if isinstance(error, ShardLost) else ShardLost("answers in another form")
            return None
        for name, code in (held.faults if held else {}).items():
            faults[f"{name} on shard {number}"] = ServiceError("is at fault there", code=code)
        return held

    def _take(self, holds: tuple[Holds, ...], faults: dict[str, LeadlineError]) -> None:
        parts: dict[str, list[BankFacts]] = {}
        for held in holds:
            for facts in held.banks:
                parts.setdefault(facts.name, []).append(facts)
        positives = {name: {f.false_positives for f in facts} for name, facts in parts.items()}
        for name, numbers in positives.items():
            if numbers != {0} and (len(numbers) > 1 or len(parts[name]) < len(holds)):
                what = "its false-positive entries are not on every shard: matches there would not be marked"
                faults[f"{name}: false-positives"] = ConfigError(what, where=name, mend="leadline bank split")
        banks = tuple(_together(facts) for _, facts in sorted(parts.items()))
        self.holds = holds
        if banks != self.opened.banks:  # the same object says that nothing changed
            self.opened = RemoteOpened(banks, {bank.name: bank.list_version for bank in banks})

    def leave_out(self, names: frozenset[str]) -> None:
        self._left_out = names

    def matcher(self, names: tuple[str, ...] | None = None, radius_bits: int | None = None) -> RemoteMatcher:
        self._demand(names or ())
        chosen = tuple(self.opened.versions) if names is None else names
        asked = names if not self._left_out else tuple(name for name in chosen if name not in self._left_out)
        return RemoteMatcher(self, asked, self._radius_bits if radius_bits is None else radius_bits)

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self.checked_at > STALE_S

    def close(self) -> None:
        self.shards.close()


def _together(parts: Sequence[BankFacts]) -> RemoteBank:
    first = parts[0]
    again = first.false_positives * (len(parts) - 1)  # they stand in every part
    count = sum(part.count for part in parts) - again
    version = sum(part.list_version for part in parts)
    index_bytes, changed_at = sum(part.index_bytes for part in parts), max(part.changed_at for part in parts)
    identity = hashlib.sha256("".join(sorted(part.identity for part in parts)).encode()).hexdigest()[:32]
    return RemoteBank(
        first.name, first.kind, version, count, first.radius_bits, first.quality_floor, index_bytes, changed_at,
        identity, _manifest(parts),
    )  # fmt: skip


def _manifest(parts: Sequence[BankFacts]) -> dict[str, str | int]:
    """created: when the first of them was made."""
    told: dict[str, str | int] = {}
    for name in ("source", "tlp", "licence"):
        said = {str(getattr(part, name)) for part in parts}
        if len(said) == 1:
            told[name] = said.pop()
    return {**told, "created": min(part.created for part in parts)}
