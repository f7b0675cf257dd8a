"""Pages of a source into a bank, in batches: what is new, changed, withdrawn, the same, refused. Asks no source.

A batch is noted (holdings), changes the bank, and is settled together with the checkpoint after its last page. A kill
anywhere leaves a bank that the next pull brings to the same state; a source's withdrawal takes effect with its batch.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from leadline.domain import Entry, Kind
from leadline.errors import BankError, HashRefused, LeadlineError, ListFormatError, Sentence, SourceShrank, sentence
from leadline.exchange.base import count_name
from leadline.exchange.connector import MAX_KEY_CHARS, Checkpoint, Page, Record
from leadline.match.bank import Bank
from leadline.match.changes import AddResult
from leadline.subscriptions.holdings import Held, Holdings, Kept
from leadline.subscriptions.large import Fetched
from leadline.subscriptions.large_rows import Wanted
from leadline.subscriptions.recovery import reconcile

BATCH_RECORDS = 10_000
LONG_BATCH_RECORDS = 40_000  # where nearly all is new: they become a segment on disk, and do not stay in memory
_MOST_IN_LOG = 20_000  # the log lies in memory, and is read again whenever a segment is added
_MERGED_FROM = 150_000  # entries in the log: changes of entries all go there, 0.4 kB of memory each
_MERGE_WAIT_S = 300.0  # the source does not wait for ever
_READ_AT_ONCE = 256  # entries; a few hundred anywhere in a bank map most of its files, which count as our memory
_KEPT_FAULTS = 1_000
_MOST_KEPT_CHARS = 16 << 20  # that wait; one record may hold 32,768
_SHRINK_FROM, _SHRINK_SHARE = 100, 0.5  # a whole list that loses so much is looked at by a person first


@dataclass(slots=True)
class Outcome:
    """told = added + changed + withdrawn + same + left_out + absent + refused + kept.

    kept       without an entry, since nobody here can compare its fingerprints: new, or other than before
    withdrawn  removed here, since the source withdrew it or no longer tells it (the latter count as told, too)
    left_out   of a label that this subscription skips, or taken out here by a person before
    absent     withdrawn by the source, and not held here
    refused    records of which nothing could be taken; refused_hashes: single hashes out of records that were
    faults     the first 1,000 reasons, with their place
    unknown    things nobody here knows, and how often
    total      entries of this pull, where the source said so
    is_whole   the source has told its whole list, up to its end: what it has not told is gone here
    unconfirmed  why the source did not take the receipt of a list that is here whole; the next pull sends it again
    large      what was fetched of its large fingerprints, after the list
    """

    told: int = 0
    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    same: int = 0
    left_out: int = 0
    absent: int = 0
    kept: int = 0
    refused: int = 0
    refused_hashes: int = 0
    pages: int = 0
    total: int = 0
    is_complete: bool = False
    is_whole: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    faults: list[LeadlineError] = field(default_factory=list)
    unconfirmed: LeadlineError | None = None
    large: Fetched = field(default_factory=Fetched)

    def refuse(self, error: LeadlineError, *, is_record: bool) -> None:
        """What a page says that it could not read."""
        if is_record:
            self.told += 1
            self.refused += 1
        else:
            self.refused_hashes += 1
        self.remember(error)

    def remember(self, error: LeadlineError) -> None:
        what = error.said[0]
        count_name(self.reasons, what.template if isinstance(what, Sentence) else what)
        if len(self.faults) < _KEPT_FAULTS:
            self.faults.append(error)

    def note_unknown(self, unknown: Mapping[str, int]) -> None:
        for name, count in unknown.items():
            count_name(self.unknown, name, count)


def _first_seen(record: Record, entry: Entry, before: Entry) -> int:
    """As the source says, else the earliest time at which it told this entry: no clock of ours, so that a pull told
    again, or after a kill, makes the same of it."""
    if record.entry is not None and record.entry.first_seen:
        return record.entry.first_seen
    return min(filter(None, (before.first_seen or before.last_seen, entry.first_seen)), default=0)


_Pair: TypeAlias = tuple[Record, Entry]
_Made: TypeAlias = tuple[str, bytes, int]  # key, digest, id


class _Batch(NamedTuple):
    """What of a batch has to be done. new, changed: (record, entry); gone: (key, id); same: keys.

    kept     without an entry, new or changed
    dropped  keys of what was kept so and is not any more, or is another
    linked   with large fingerprints, among them what the bank may refuse; unlinked: keys of all others
    """

    new: list[_Pair]
    changed: list[_Pair]
    gone: list[tuple[str, int]]
    same: list[str]
    kept: list[Record]
    dropped: list[str]
    linked: list[Record]
    unlinked: list[str]

    @property
    def not_taken(self) -> set[str]:
        """Keys of what went, or was refused, and is not kept either."""
        return {key for key, _ in self.gone} - {record.key for record in self.kept}


def _wanted(batch: _Batch) -> tuple[list[Wanted], list[str]]:
    """Of a batch that the bank was given: large fingerprints that its records lead to, and keys of those without."""
    lost = batch.not_taken
    linked = [(record, record.linked or {}) for record in batch.linked if record.key not in lost]
    wanted = [Wanted(record.key, kind, record.digest, record.moment) for record, kinds in linked for kind in kinds]
    return wanted, [*batch.unlinked, *lost]


class Importer:
    """One pull.

    terms         what makes an entry of a record, as text: where it is another than last time, all is told again
    label_kinds   the kind of entries with this label, None: left out
    is_partial    the pull began in the middle (`start_at`), so that what it does not tell is not gone
    say           called after each page and batch
    """

    def __init__(
        self,
        bank: Bank,
        holdings: Holdings,
        *,
        terms: str = "",
        label_kinds: Mapping[str, Kind | None] | None = None,
        is_partial: bool = False,
        allow_shrink: bool = False,
        is_dry: bool = False,
        say: Callable[[Outcome], None] = lambda outcome: None,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        """Puts the holdings right, so `checkpoint` may be another one afterwards."""
        self.outcome = Outcome()
        self._bank, self._holdings, self._label_kinds = bank, holdings, label_kinds or {}
        self._allow_shrink, self._is_dry, self._say, self._batch_records = allow_shrink, is_dry, say, batch_records
        self._short_batch_records = batch_records
        self._long_batch_records = max(batch_records, LONG_BATCH_RECORDS if batch_records == BATCH_RECORDS else 0)
        reconcile(bank, holdings, terms, is_dry=is_dry)
        self._round, self._in_round = holdings.round, holdings.is_in_round
        if is_dry:
            holdings.forget_marks()
        # From the beginning with something held: what is not told any more went while nobody looked.
        self._begins_whole = not is_partial and holdings.checkpoint is None and not holdings.is_empty
        self._waiting: dict[str, Record] = {}
        self._merge_from = _MERGED_FROM
        self._kept_chars = 0  # of what waits

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Where the source is to be pulled from."""
        return self._holdings.checkpoint

    def run(self, pages: Iterator[Page]) -> Outcome:
        """Apply all of them. ExchangeError of the source comes through; what was settled before it stays."""
        last: Checkpoint | None = None
        for page in self._until_broken(pages):
            if isinstance(page, LeadlineError):
                self._settle(last)  # what came whole before is worth keeping
                raise page
            if page.begins_whole or self._begins_whole:
                self._settle(last)
                self._begin_round()
            self._take(page)
            last = page.checkpoint
            if page.is_last:
                self._settle(last)
                is_whole = self._in_round
                self._end_round(last)
                self.outcome.is_complete, self.outcome.is_whole = True, is_whole
                return self.outcome
            if len(self._waiting) >= self._batch_records or self._kept_chars > _MOST_KEPT_CHARS:
                self._settle(last)
        self._settle(last)
        return self.outcome

    @staticmethod
    def _until_broken(pages: Iterator[Page]) -> Iterator[Page | LeadlineError]:
        """Faults of the source apart from those of our disk, after which no checkpoint may be stored."""
        try:
            yield from pages
        except LeadlineError as error:
            yield error

    def _begin_round(self) -> None:
        self._round, self._in_round, self._begins_whole = self._holdings.next_round, True, False
        if self._is_dry:
            self._holdings.forget_marks()  # of a telling before, which was not ended

    def _take(self, page: Page) -> None:
        outcome = self.outcome
        for fault in page.faults:
            outcome.refuse(fault, is_record=not isinstance(fault, HashRefused))
        outcome.note_unknown(page.unknown)
        outcome.pages += 1
        outcome.total = page.total or outcome.total
        waiting, before, same = self._waiting, outcome.refused, 0
        for record in page.records:
            key = record.key
            if not (0 < len(key) <= MAX_KEY_CHARS and key.isprintable()):
                error = ListFormatError("a record without a usable name", where=f"page {outcome.pages}")
                outcome.refuse(error, is_record=True)
                continue
            if key in waiting:  # only the latest state counts
                del waiting[key]
                same += 1
            waiting[key] = record
            if record.kept is not None:
                self._kept_chars += sum(map(len, record.kept.values()))
        outcome.told += len(page.records) - (outcome.refused - before)
        outcome.same += same
        self._say(outcome)

    # --- a batch -----------------------------------------------------------------------------------------------------

    def _settle(self, checkpoint: Checkpoint | None) -> None:
        """All that waits, into the bank; then the checkpoint. With nothing read, nothing is written."""
        if checkpoint is None:
            return
        waiting, left = iter(self._waiting.values()), len(self._waiting)
        while left >= 2 * self._batch_records:  # a page may be the whole list: in pieces
            piece = list(islice(waiting, self._batch_records))
            self._settle_some(piece, None)
            left -= len(piece)
        self._settle_some(list(waiting), checkpoint)  # a small rest goes with the last: alone it would lie in the log
        self._waiting, self._kept_chars = {}, 0
        self._say(self.outcome)

    def _settle_some(self, records: Sequence[Record], checkpoint: Checkpoint | None) -> None:
        batch = self._sort(records)
        if self._is_dry:
            self._count(batch, records)
            return
        self._apply(batch, checkpoint)
        self._shorten_log()
        is_full = self._batch_records <= len(records) and 4 * len(batch.new) >= 3 * len(records)
        self._batch_records = self._long_batch_records if is_full else self._short_batch_records

    def _facts(self, checkpoint: Checkpoint) -> dict[str, str]:
        text = json.dumps(dict(checkpoint), separators=(",", ":"))
        round_ = {"round": str(self._round), "in-round": "1" if self._in_round else "0"}
        return {"checkpoint": text, "list-version": str(self._bank.list_version), **round_}

    def _sort(self, records: Sequence[Record]) -> _Batch:
        keys = [record.key for record in records]
        batch = _Batch([], [], [], [], [], [], [], [])
        held, kept = self._holdings.find(keys), self._holdings.find_kept(keys)
        has_large = self._holdings.large.has_any
        for record in records:
            entry = self._labelled(record)
            before = held.get(record.key)
            if record.linked and (entry is not None or record.kept is not None):
                batch.linked.append(record)
            elif has_large:
                batch.unlinked.append(record.key)
            if kept and self._sort_kept(batch, record, kept.get(record.key)) and before is None:
                continue
            if entry is None:
                self._sort_away(batch, record, before)
            elif before is None:
                batch.new.append((record, entry))
            elif before.digest == record.digest:
                batch.same.append(record.key)
            else:
                batch.changed.append((record, msgspec.structs.replace(entry, id=before.id)))
        self.outcome.same += len(batch.same)
        return batch

    def _sort_kept(self, batch: _Batch, record: Record, digest: bytes | None) -> bool:
        """Of a record that was kept without an entry (`digest`); whether that was all."""
        if digest is None:
            return False
        if record.kept is not None and digest == record.digest:
            batch.same.append(record.key)
            return True
        batch.dropped.append(record.key)
        is_withdrawn = record.entry is None and record.kept is None
        self.outcome.withdrawn += is_withdrawn
        return is_withdrawn

    def _sort_away(self, batch: _Batch, record: Record, before: Held | None) -> None:
        if record.kept is not None:
            batch.kept.append(record)
        if before is not None:
            batch.gone.append((record.key, before.id))
        elif record.kept is not None:
            self.outcome.kept += 1
        elif record.entry is None:
            self.outcome.absent += 1
        else:
            self.outcome.left_out += 1

    def _labelled(self, record: Record) -> Entry | None:
        """With the record's key, the kind that this subscription gives its label, first seen as far as it is known;
        None: left out."""
        entry = record.entry
        if entry is None:
            return None
        kind, first_seen = self._label_kinds.get(entry.label, entry.kind), entry.first_seen or entry.last_seen
        if kind is entry.kind and entry.source_id == record.key and entry.first_seen == first_seen:
            return entry
        if kind is None:
            return None
        return msgspec.structs.replace(entry, kind=kind, source_id=record.key, first_seen=first_seen)

    def _count(self, batch: _Batch, records: Sequence[Record]) -> None:
        self.outcome.added += len(batch.new)
        self.outcome.changed += len(batch.changed)
        self.outcome.withdrawn += len(batch.gone)
        if self._in_round:
            self._holdings.mark(record.key for record in records)

    def _apply(self, batch: _Batch, checkpoint: Checkpoint | None) -> None:
        """Withdrawals first: nothing may match a moment longer than it must."""
        first, gone = self._bank.snapshot.next_id, list(batch.gone)
        adding = {record.key: first + at for at, (record, _) in enumerate(batch.new)}
        self._holdings.note(adding, [record.key for record, _ in batch.changed], [key for key, _ in gone])
        self._remove(gone)
        batch = batch._replace(gone=gone)
        made = [*self._change(batch.changed, gone), *self._add(batch.new, gone)]
        self._bank.snapshot.cool()
        facts = {} if checkpoint is None else self._facts(checkpoint)
        lost = [*(key for key, _ in gone), *batch.dropped]
        kept = [Kept(one.key, kind, text, one.digest) for one in batch.kept for kind, text in (one.kept or {}).items()]
        wanted, unlinked = _wanted(batch)
        self._holdings.settle(
            made, lost, batch.same, kept, wanted=wanted, unlinked=unlinked, round_=self._round, facts=facts
        )

    def _shorten_log(self) -> None:
        """Wait for a merge where the log has become long; where none comes about, one is tried after as many again."""
        if sum(table.records.count for table in self._bank.snapshot.recent) < self._merge_from:
            return
        merging = self._bank.merge_in_background(is_waited_for=True)
        if merging is not None:
            merging.join(_MERGE_WAIT_S)
            self._bank.refresh()
        left = sum(table.records.count for table in self._bank.snapshot.recent)
        self._merge_from = left + _MERGED_FROM

    def _remove(self, gone: Sequence[tuple[str, int]]) -> None:
        removed = self._bank.remove([entry_id for _, entry_id in gone]) if gone else 0
        self.outcome.withdrawn += removed
        self.outcome.absent += len(gone) - removed  # a person took it out before

    def _change(self, changed: Sequence[_Pair], gone: list[tuple[str, int]]) -> list[_Made]:
        """What a person here suspended stays suspended; what a person here took out stays out."""
        if not changed:
            return []
        there: list[_Pair] = []
        result = self._bank.update(self._as_local(changed, there))
        taken = set(result.ids)
        refused = [(record.key, entry.id or 0) for record, entry in there if entry.id not in taken]
        if refused:  # the source no longer says what it said before; nor did a person take it out
            self._holdings.note_removing(key for key, _ in refused)
            self._bank.remove([entry_id for _, entry_id in refused])
        gone.extend(refused)
        self._note_refusals(result, there, len(refused))
        self.outcome.changed += len(taken)
        self.outcome.left_out += len(changed) - len(there)
        lost = {key for key, _ in refused}
        return [(record.key, record.digest, entry.id or 0) for record, entry in changed if record.key not in lost]

    def _as_local(self, changed: Sequence[_Pair], there: list[_Pair]) -> Iterator[Entry]:
        """Asked for by `Bank.update` while it holds the bank's lock: nobody suspends an entry in between."""
        snapshot, ids = self._bank.snapshot, np.array([entry.id for _, entry in changed], np.int64)
        held = snapshot.holds(ids).tolist()
        there += [changed[at] for at in snapshot.disk_order(ids).tolist() if held[at]]
        for number, (record, entry) in enumerate(there):
            if number % _READ_AT_ONCE == 0:
                snapshot.cool()
            before = self._bank.get(entry.id or 0)
            first_seen = _first_seen(record, entry, before)
            yield msgspec.structs.replace(
                entry, disabled_until=before.disabled_until, added=before.added, first_seen=first_seen
            )

    def _add(self, new: Sequence[_Pair], gone: list[tuple[str, int]]) -> list[_Made]:
        if not new:
            return []
        result = self._bank.add((entry for _, entry in new), most_in_log=_MOST_IN_LOG)
        ids = self._by_key(result, new)
        made = [(record.key, record.digest, ids[record.key]) for record, _ in new if record.key in ids]
        gone.extend((record.key, 0) for record, _ in new if record.key not in ids)
        self._note_refusals(result, new, len(new) - len(made))
        self.outcome.added += len(made)
        return made

    def _by_key(self, result: AddResult, new: Sequence[_Pair]) -> dict[str, int]:
        """Which id each got. Another writer may have taken those that were wished for."""
        if len(result.refused) == result.refused_count:
            refused = {refusal.position for refusal in result.refused if not refusal.entry_kept}
            keys = [record.key for at, (record, _) in enumerate(new) if at not in refused]
            return dict(zip(keys, result.ids, strict=True))
        found = {}  # so many refusals that the bank has not kept all of them
        for entry_id in result.ids:
            with contextlib.suppress(BankError):  # a person took it out this moment
                found[self._bank.get(entry_id).source_id] = entry_id
        return found

    def _note_refusals(self, result: AddResult, given: Sequence[_Pair], records: int) -> None:
        """`records` were not taken, and nothing of them is held; of others single hashes were not."""
        self.outcome.refused += records
        self.outcome.refused_hashes += result.refused_hashes
        for refusal in result.refused:
            error = refusal.error
            error.where = ", ".join(filter(None, (given[refusal.position][0].key, error.where)))
            self.outcome.remember(error)

    # --- the end of a whole list -------------------------------------------------------------------------------------

    def _end_round(self, checkpoint: Checkpoint | None) -> None:
        """What the source has not told in this round is no longer its."""
        if not self._in_round or checkpoint is None:
            return
        holdings = self._holdings
        count = holdings.count_not_marked(self._round) if self._is_dry else holdings.count_not_told(self._round)
        self._refuse_shrinking(count, holdings.count)
        self._in_round = False
        kept = holdings.count_kept_not_told(self._round, is_dry=self._is_dry)
        self.outcome.told += count + kept
        self.outcome.withdrawn += kept
        if self._is_dry:
            self.outcome.withdrawn += count
            return
        while gone := holdings.not_told(self._round, self._batch_records):
            keys = [key for key, _ in gone]
            holdings.note({}, [], keys)
            self._remove(gone)
            holdings.settle([], keys, [], unlinked=keys, round_=self._round, facts={})
        holdings.end_round(self._round, self._facts(checkpoint))

    def _refuse_shrinking(self, count: int, held: int) -> None:
        if count > _SHRINK_FROM and count > _SHRINK_SHARE * held and not self._allow_shrink:
            template = "it no longer tells %(count)s of %(held)s entries; none was removed"
            what = sentence(template, count=count, held=held)
            raise SourceShrank(what, mend="ask the source; if it is right, pull with --allow-shrink")
