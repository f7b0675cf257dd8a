"""One shard of banks that are too large for one machine: asked and answering in bytes of our wire format, nothing else.

Its banks lie in a folder of bank folders. A bank may be spread over shards (`leadline bank split`): then each part has
its name, other entries, and all of its false-positive entries, so that each part marks as the whole would.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np

from leadline.domain import Fingerprints, Kind, PdqFamily, Tlp, ViewHashes
from leadline.errors import BankNotFound, LeadlineError, ShardLost
from leadline.match.bank import Bank
from leadline.match.info import count_prints
from leadline.match.policy import MatchAnswer
from leadline.match.records import KIND_CODES
from leadline.service import errands
from leadline.service.errands import Done, Errand
from leadline.service.lists import Lists
from leadline.service.whole_errands import run_whole

_REFRESH_S = 0.5
_LOCK_S = 5.0  # for another writer: less than those who ask wait for an answer (cluster.py)


class View(msgspec.Struct, array_like=True):
    view: str
    family: str
    pdq: list[bytes]
    quality: int
    width: int
    height: int
    others: dict[str, bytes]


class File(msgspec.Struct, array_like=True):
    """domain.Fingerprints on the wire."""

    exact: dict[str, bytes]
    views: list[View]


class Ask(msgspec.Struct):
    """One of `lines`, `rows`, `files`, `errand` and `is_to_count`; none of them: what the shard holds.

    banks        names, those that the shard does not hold included; None: all
    radius_bits  in place of the banks' own
    rows         hashes of one algorithm, one after the other
    """

    banks: list[str] | None = None
    radius_bits: int | None = None
    lines: list[tuple[str, bytes]] | None = None
    rows: tuple[str, int, bytes] | None = None  # algorithm, bytes of one hash, hashes
    files: list[File] | None = None
    errand: Errand | None = None
    is_to_count: bool = False


class BankFacts(msgspec.Struct, frozen=True):
    """identity: of this part; the parts of a bank have different ones."""

    name: str
    kind: Kind
    list_version: int
    count: int
    radius_bits: int
    quality_floor: int
    false_positives: int
    index_bytes: int = 0
    changed_at: float = 0.0
    identity: str = ""
    source: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    licence: str = ""
    created: int = 0


class Prints(msgspec.Struct):
    """Fingerprints of a part by kind: of all its entries, and of those that stand in every part."""

    all: dict[str, int]
    in_every: dict[str, int]


class Holds(msgspec.Struct):
    """What a shard has. faults: bank -> code. is_shelf: whether new banks can be made there."""

    banks: list[BankFacts]
    faults: dict[str, str]
    needs_family_a: bool
    kinds: list[str]
    is_shelf: bool = False


class Told(msgspec.Struct):
    """`found`: answers by number of the line, row or file; one that met nothing and has nothing to say is left out.
    `done`: what became of an errand. `counted`: by name of the bank."""

    found: dict[int, MatchAnswer] | None = None
    holds: Holds | None = None
    done: Done | None = None
    counted: dict[str, Prints] | None = None
    fault: tuple[str, str] | None = None  # code and what, of an error that is ours to tell


_ask_decoder, _encode = msgspec.msgpack.Decoder(Ask), msgspec.msgpack.Encoder().encode


class Shard:
    """Answers bytes with bytes, from any number of threads; keeps its banks fresh by itself."""

    def __init__(self, folder: str, threads: int = 1, *, is_bank: bool = False) -> None:
        """is_bank: whether the folder is that of one bank, not one of banks."""
        banks, shelf = ((Path(folder),), None) if is_bank else ((), Path(folder))
        self._lists, self._is_shelf = Lists(banks, shelf=shelf, threads=threads, lock_timeout_s=_LOCK_S), not is_bank
        self._whole = threading.Lock()
        self._end = threading.Event()
        threading.Thread(target=self._keep_fresh, daemon=True).start()

    def _keep_fresh(self) -> None:
        while not self._end.wait(_REFRESH_S):
            self._lists.refresh()

    def close(self) -> None:
        self._end.set()

    def answer(self, message: bytes) -> bytes:
        try:
            return _encode(self._answer(_ask_decoder.decode(message)))
        except LeadlineError as error:
            return _encode(Told(fault=(error.code, error.what)))

    def _answer(self, ask: Ask) -> Told:
        if ask == Ask():
            return Told(holds=self._holds())
        held = self._lists.opened.versions
        if unopened := sorted(self._lists.faults.keys() - held.keys()):  # without it an answer would be a miss
            raise ShardLost(f"{unopened[0]} cannot be read there")
        if ask.errand is not None:
            return Told(done=self._run(ask.errand))
        if ask.is_to_count:
            return Told(counted={bank.name: _count(bank) for bank in self._lists.opened.banks})
        names = None if ask.banks is None else tuple(name for name in sorted(ask.banks) if name in held)
        if names == ():
            return Told({})
        matcher = self._lists.matcher(names, ask.radius_bits)
        if ask.rows is not None:
            algorithm, length, data = ask.rows
            return Told(matcher.match_rows(algorithm, np.frombuffer(data, np.uint8).reshape(-1, length)))
        if ask.lines is not None:
            answers = matcher.match_hashes(ask.lines)
        else:
            answers = matcher.match([_prints(file) for file in ask.files or []])
        return Told({at: answer for at, answer in enumerate(answers) if answer != MatchAnswer()})

    def _run(self, errand: Errand) -> Done:
        """A bank that is brought here while it runs is seen within half a second, as for look-ups."""
        if isinstance(errand, errands.OfWhole):
            with self._whole:  # so one that nobody waits for any more has come to its end when the next one looks
                return run_whole(errand, self._lists)
        if errand.bank in self._lists.opened.versions:
            return errands.run(errand, self._lists.kept(errand.bank))
        if isinstance(errand, errands.Add | errands.Place | errands.Remove):
            raise BankNotFound("no such bank there any more")
        return Done()

    def _holds(self) -> Holds:
        banks, matcher = self._lists.opened.banks, self._lists.matcher()
        faults = {name: error.code for name, error in self._lists.faults.items()}
        if self._lists.is_stale:
            faults["shard"] = "stale"
        facts, kinds = [_facts(bank) for bank in banks], sorted(matcher.kinds)
        return Holds(facts, faults, matcher.needs_family_a, kinds, self._is_shelf)


def _facts(bank: Bank) -> BankFacts:
    code = KIND_CODES[Kind.FALSE_POSITIVE]
    positives = sum(table.count_by("kind").get(code, 0) for table in bank.snapshot.tables)  # asked twice a second
    manifest = bank.snapshot.manifest
    return BankFacts(
        bank.name, bank.kind, bank.list_version, bank.count, bank.radius_bits, bank.quality_floor, positives,
        bank.index_bytes, bank.changed_at,
        manifest.identity, manifest.source, manifest.tlp, manifest.licence, manifest.created,
    )  # fmt: skip


def _count(bank: Bank) -> Prints:
    return Prints(count_prints(bank.snapshot), count_prints(bank.snapshot, Kind.FALSE_POSITIVE))


def pack_prints(prints: Fingerprints) -> File:
    return File(
        dict(prints.exact),
        [
            View(v.view, v.family.value, list(v.pdq), v.quality, v.width, v.height, dict(v.others))
            for v in prints.views
        ],
    )


def _prints(file: File) -> Fingerprints:
    views = tuple(
        ViewHashes(v.view, PdqFamily(v.family), tuple(v.pdq), v.quality, v.width, v.height, v.others)
        for v in file.views
    )
    return Fingerprints(file.exact, views)
