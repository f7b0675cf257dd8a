"""A bank's entries to each subscriber: what of it may leave, what changed since the last time, and nothing twice.

For one bank at a time. The ledger takes a publication over in one step, then the folder is brought to it; a kill at any
moment is made good by publishing again. Nothing of TLP:RED leaves, whoever asks.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec
from tuf.api.metadata import Metadata, Root

from leadline.domain import Entry, Tlp
from leadline.errors import ConfigError
from leadline.exchange.feed.contents import (
    FORMAT,
    VERSION,
    Head,
    Provenance,
    entry_line,
    line_digest,
    seal_part,
)
from leadline.exchange.feed.keys import Agreement
from leadline.exchange.feed.ledger import FileRow, Known, Ledger, Publication, Step
from leadline.exchange.feed.metadata import sign_online
from leadline.exchange.feed.receipts import PROOF_BYTES, next_proof
from leadline.exchange.feed.roots import Roots
from leadline.exchange.feed.shelf import PartWriter, Shelf
from leadline.exchange.feed.step import NextStep, Outgoing
from leadline.match.bank import Bank
from leadline.match.exports import check_reason
from leadline.match.folder import FEED_LOCK, hold_lock

_PAGE = 5_000
_LOCK_TIMEOUT_S = 10.0
STEPS_KEPT, STEPS_BETWEEN_WHOLES = 64, 32
_WHOLE_AFTER_SHARE, _WHOLE_AFTER_LEAST = 0.5, 1_000


@dataclass(frozen=True, slots=True)
class Terms:
    """lasts_s: how long what is signed holds, so that nobody can hold newer files back for longer.
    withdraw_within_s: how long a subscriber may take to prove that it applied a withdrawal.
    reason: of this publication, asked for as for an export (match/exports.py); actor: who publishes."""

    lasts_s: int
    withdraw_within_s: int
    reason: str
    actor: str


class Told(NamedTuple):
    """What one subscriber was told by one publication. serial: of its state now. stays: how many entries of the bank
    its agreement does not let out, by why: "kind" or "tlp"."""

    name: str
    serial: int
    entries: int
    withdrawn: int
    is_whole: bool
    stays: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Published:
    """version: of the signed files. is_new: something was written. told: who was told anything; removed: names."""

    version: int
    is_new: bool
    list_version: int
    told: tuple[Told, ...]
    removed: tuple[str, ...]
    expires: int


def publish(
    bank: Bank,
    directory: Path,
    roots: Roots,
    agreements: Sequence[Agreement],
    terms: Terms,
    *,
    now_s: float,
    say: Callable[[int], None] = lambda entries: None,
) -> Published:
    """Bring the folder to what the bank is now, for these subscribers and no others.

    say: told how many more entries were looked at. ConfigError where a reason is missing, the root has expired or will
    before the signed files, the ledger or folder belongs to another feed; BankLocked where another publication is on.
    """
    _require(bank, roots, terms, now_s)
    with hold_lock(bank.path, FEED_LOCK, _LOCK_TIMEOUT_S), closing(Ledger(bank.path)) as ledger:
        return _Publication(bank, Shelf(directory), ledger, roots, terms, int(now_s), say).run(agreements)


def _require(bank: Bank, roots: Roots, terms: Terms, now_s: float) -> None:
    check_reason(bank, terms.reason)
    if roots.root.expires.timestamp() <= now_s + terms.lasts_s:
        mend = "sign the next one: leadline feed keygen KEYS --rotate"
        raise ConfigError("the root expires before what would be signed under it", where=roots.publisher, mend=mend)


class _Publication:
    def __init__(
        self, bank: Bank, shelf: Shelf, ledger: Ledger, roots: Roots, terms: Terms, now: int, say: Callable[[int], None]
    ) -> None:
        self._bank, self._shelf, self._ledger, self._roots = bank, shelf, ledger, roots
        self._terms, self._now, self._say = terms, now, say
        self._told: list[Told] = []
        self._writes: list[Callable[[int], None]] = []  # into the ledger, given the version, all in one transaction
        self._returns_at = 0  # when the next suspended entry may be told again; 0: none is suspended

    def run(self, agreements: Sequence[Agreement]) -> Published:
        ledger, shelf = self._ledger, self._shelf
        self._require_same_feed()
        shelf.require(self._roots.all[0])
        self._roots.bind(self._bank.snapshot.manifest.identity)
        online = ledger.online()
        version = online.version if online else 0
        ahead, serials = shelf.ahead_of(version, self._all_roots(), [agreement.id for agreement in agreements])
        if not ahead:
            if online:
                shelf.project(self._roots.all, online)  # what a kill may have left undone, or a new folder
            shelf.remove_unnamed(ledger.kept_digests(), version)
        known = {subscriber.agreement.id: subscriber for subscriber in ledger.subscribers()}
        removed = self._remove_others(known, agreements)
        lost = self._lost_files()
        ledger.forget_changes()
        if looks := self._may_differ(agreements, lost or bool(ahead)):
            self._tell_all(agreements, known, serials, lost)
        if not self._told and not removed and not self._is_due(version, ahead):
            if looks or ledger.fact("directory") != str(shelf.folder.absolute()):
                self._note_look(agreements)
            return self._published(version, False, removed)
        self._write(max(version, ahead) + 1, agreements)
        return self._published(max(version, ahead) + 1, True, removed)

    def _require_same_feed(self) -> None:
        feed = self._ledger.fact("feed", self._roots.feed)
        if feed != self._roots.feed:
            mend = "use the keys that it was published with; a new feed begins with a new bank folder"
            raise ConfigError("this bank is published under other keys", where=self._bank.name, mend=mend)

    def _all_roots(self) -> list[Root]:
        return [Metadata[Root].from_bytes(data).signed for data in self._roots.all]

    def _remove_others(self, known: dict[str, Known], agreements: Sequence[Agreement]) -> list[str]:
        kept = {agreement.id for agreement in agreements}
        gone = [k for k in known.values() if not k.removed_at and k.agreement.id not in kept]
        for subscriber in gone:
            self._later(partial(self._remove, subscriber.number))
        return [subscriber.agreement.name for subscriber in gone]

    def _remove(self, number: int, version: int) -> None:
        self._ledger.remove_subscriber(number, self._now)

    def _lost_files(self) -> frozenset[int]:
        """Numbers of subscribers of whose files one is not in the folder any more, or never was."""
        return frozenset(number for number, row in self._ledger.files() if not self._shelf.holds(row))

    # --- whether there is anything to do -----------------------------------------------------------------------------

    def _look(self, agreements: Sequence[Agreement]) -> str:
        """What decides over what is told, in short."""
        manifest = self._bank.snapshot.manifest
        said = [manifest.identity, manifest.tlp, manifest.source, manifest.licence, self._bank.list_version, agreements]
        return hashlib.sha256(msgspec.json.encode(said)).hexdigest()

    def _may_differ(self, agreements: Sequence[Agreement], is_broken: frozenset[int] | bool) -> bool:
        returns_at = self._ledger.fact("returns-at", 0)
        self._returns_at = returns_at
        is_time = 0 < returns_at <= self._now
        return bool(is_broken) or is_time or self._ledger.fact("look") != self._look(agreements)

    def _note_look(self, agreements: Sequence[Agreement]) -> None:
        with self._ledger.writing():
            for write in self._writes:  # of agreements that are others and let out the same
                write(0)
            place = str(self._shelf.folder.absolute())
            self._ledger.set_facts({"look": self._look(agreements), "returns-at": self._returns_at, "directory": place})

    def _is_due(self, version: int, ahead: int) -> bool:
        """Whether what is signed has to be signed anew."""
        fact = self._ledger.fact
        is_half_over = fact("expires", 0) - self._now < self._terms.lasts_s // 2
        return not version or bool(ahead) or is_half_over or fact("root", 0) != self._roots.root.version

    # --- one subscriber ----------------------------------------------------------------------------------------------

    def _tell_all(
        self,
        agreements: Sequence[Agreement],
        known: Mapping[str, Known],
        ahead: Mapping[str, int],
        lost: frozenset[int],
    ) -> None:
        """In one walk over the bank."""
        self._returns_at = 0
        new = count(self._ledger.next_number())
        steps = [
            self._begin(agreement, known.get(agreement.id), ahead.get(agreement.id, 0), lost, new)
            for agreement in agreements
        ]
        for given in self._outgoing():
            for step in steps:
                step.offer(given)
        if self._bank.snapshot.manifest.tlp is Tlp.RED:
            for step in steps:
                step.stays["tlp"] = self._bank.count
        for step in steps:
            step.end()
            self._finish(step, known.get(step.agreement.id))

    def _begin(
        self, agreement: Agreement, known: Known | None, ahead: int, lost: frozenset[int], new: Iterator[int]
    ) -> NextStep:
        number, before = (known.number, known.serial) if known else (next(new), 0)
        is_whole = known is None or known.removed_at > 0 or number in lost or ahead > before
        since = max(before, ahead)
        piece = secrets.token_bytes(PROOF_BYTES)
        proof = piece if is_whole else next_proof(self._ledger.last_step(number), piece)
        writer = self._writer(agreement, 0 if is_whole else since, since + 1, piece)
        return NextStep(self._ledger, writer, agreement, number=number, since=since, proof=proof, is_whole=is_whole)

    def _finish(self, step: NextStep, known: Known | None) -> None:
        if not step.is_other and not step.is_whole:
            if known and known.agreement != step.agreement:
                self._later(partial(self._keep_agreement, step))
            return
        by = self._now + self._terms.withdraw_within_s if step.withdrawn else 0
        rows, wholes_before = step.writer.end(by), step.serial if step.is_whole else 0
        if not step.is_whole and self._is_whole_due(step.number, step.entries + step.withdrawn):
            rows, wholes_before = rows + self._write_whole(step), step.serial
        self._later(partial(self._keep, step, by, rows, wholes_before))
        told = Told(step.agreement.name, step.serial, step.entries, step.withdrawn, step.is_whole, dict(step.stays))
        self._told.append(told)

    def _write_whole(self, step: NextStep) -> list[FileRow]:
        """The whole list of this state, for those who come later."""
        writer = self._writer(step.agreement, 0, step.serial, step.proof)
        for given in self._outgoing():
            if step.agreement.admits(given.kind, given.tlp):
                writer.add(given.line, is_withdrawal=False)
        return writer.end(0)

    def _later(self, write: Callable[[int], None]) -> None:
        self._writes.append(write)

    def _writer(self, agreement: Agreement, since: int, serial: int, step: bytes) -> PartWriter:
        recipient, feed = agreement.recipient(), self._roots.feed

        def seal(part: int, lines: Sequence[bytes]) -> bytes:
            head = Head(
                format=FORMAT, version=VERSION, feed=feed, subscriber=agreement.id, since=since, serial=serial,
                part=part, proof=step.hex(),
            )  # fmt: skip
            return seal_part(head, lines, recipient)

        return PartWriter(self._shelf, agreement.id, since, serial, seal)

    def _outgoing(self) -> Iterator[Outgoing]:
        """Each entry that counts now, as it leaves; ids ascending."""
        manifest = self._bank.snapshot.manifest
        if manifest.tlp is Tlp.RED:
            return
        default = Provenance(manifest.source or self._roots.publisher, manifest.licence)
        for entry in self._entries():
            if entry.disabled_until > self._now:
                self._returns_at = min(self._returns_at or entry.disabled_until, entry.disabled_until)
            else:
                line = entry_line(entry, default)
                yield Outgoing(entry.id or 0, entry.kind, entry.tlp, line, line_digest(line))

    def _entries(self) -> Iterator[Entry]:
        after = 0
        while page := self._bank.entries_after(after, _PAGE):
            yield from page
            after = page[-1].id or 0
            self._say(len(page))

    def _is_whole_due(self, number: int, added: int) -> bool:
        rows = [row for of, row in self._ledger.files() if of == number]
        whole = max([row for row in rows if row.since == 0], key=lambda row: row.serial)
        size = sum(row.entries for row in rows if row.since == 0 and row.serial == whole.serial)
        steps = [row for row in rows if row.since >= whole.serial]
        written = added + sum(row.entries + row.withdrawn for row in steps)
        is_much = written > max(_WHOLE_AFTER_LEAST, _WHOLE_AFTER_SHARE * size)
        return is_much or len({row.serial for row in steps}) + 1 >= STEPS_BETWEEN_WHOLES

    def _keep(self, step: NextStep, by: int, rows: Sequence[FileRow], wholes_before: int, version: int) -> None:
        ledger, number = self._ledger, step.number
        # What leads to a state whose files were lost leads nowhere.
        dropped_until = step.serial if step.is_whole else step.serial - STEPS_KEPT
        ledger.drop_files(number, version, wholes_before=wholes_before, changes_until=dropped_until)
        ledger.keep_subscriber(number, step.agreement, step.serial)
        ledger.add_files(number, rows)
        ledger.add_step(number, Step(step.serial, step.proof, step.entries, step.withdrawn, by), self._now)

    def _keep_agreement(self, step: NextStep, version: int) -> None:
        self._ledger.keep_subscriber(step.number, step.agreement, step.since)

    # --- all of it ---------------------------------------------------------------------------------------------------

    def _write(self, version: int, agreements: Sequence[Agreement]) -> None:
        ledger, expires = self._ledger, self._now + self._terms.lasts_s
        self._shelf.sync()
        with ledger.writing():
            ledger.take_changes()
            ledger.forget_files(version)
            for write in self._writes:
                write(version)
            online = sign_online(version, ledger.targets(), self._roots.signer_of, expires)
            ledger.keep_online(online)
            ledger.set_facts({
                "feed": self._roots.feed, "root": self._roots.root.version, "expires": expires,
                "directory": str(self._shelf.folder.absolute()), "look": self._look(agreements),
                "returns-at": self._returns_at,
            })  # fmt: skip
            ledger.add_publication(self._record(version))
        self._shelf.project(self._roots.all, online)
        self._shelf.remove_unnamed(ledger.kept_digests(), version)

    def _record(self, version: int) -> Publication:
        told, withdrawn = sum(t.entries for t in self._told), sum(t.withdrawn for t in self._told)
        terms = self._terms
        return Publication(
            version, self._now, terms.actor, terms.reason, self._bank.list_version, told, withdrawn
        )  # fmt: skip

    def _published(self, version: int, is_new: bool, removed: Sequence[str]) -> Published:
        expires = self._ledger.fact("expires", 0)
        return Published(version, is_new, self._bank.list_version, tuple(self._told), tuple(removed), expires)
