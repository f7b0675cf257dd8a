"""Pages of a source into a bank, in batches: what is new, changed, withdrawn, the same, refused. Asks no source.

A batch is noted (holdings), changes the bank, and is settled together with the checkpoint after its last page. A kill
anywhere leaves a bank that the next pull brings to the same state; a source's withdrawal takes effect with its batch.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from leadline.domain import Entry, Kind
from leadline.errors import HashRefused, LeadlineError, Sentence, SourceShrank, sentence
from leadline.exchange.connector import Checkpoint, Page, Record
from leadline.match.bank import Bank
from leadline.match.changes import AddResult
from leadline.subscriptions.holdings import Held, Holdings

BATCH_RECORDS = 10_000  # no more than an addition can be told to have renumbered
_KEPT_FAULTS = 1_000
_SHRINK_FROM, _SHRINK_SHARE = 100, 0.5  # a whole list that loses so much is looked at by a person first


@dataclass(slots=True)
class Outcome:
    """told = added + changed + withdrawn + same + left_out + absent + refused.

    withdrawn  removed here, since the source withdrew it or no longer tells it (the latter count as told, too)
    left_out   of a label that this subscription skips, or removed here by a person before
    absent     withdrawn by the source, and never held here
    refused    records of which nothing could be taken; refused_hashes: single hashes out of records that were
    faults     the first 1,000 reasons, with their place
    unknown    things nobody here knows, and how often
    total      entries of this pull, where the source said so
    """

    told: int = 0
    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    same: int = 0
    left_out: int = 0
    absent: int = 0
    refused: int = 0
    refused_hashes: int = 0
    pages: int = 0
    total: int = 0
    is_complete: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    faults: list[LeadlineError] = field(default_factory=list)

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
        self.reasons[what.template if isinstance(what, Sentence) else what] += 1
        if len(self.faults) < _KEPT_FAULTS:
            self.faults.append(error)


_Pair: TypeAlias = tuple[Record, Entry]
_Made: TypeAlias = tuple[str, bytes, int]  # key, digest, id


class _Batch(NamedTuple):
    """What of a batch has to be done. new, changed: (record, entry); gone: (key, id); same: keys."""

    new: list[tuple[Record, Entry]]
    changed: list[tuple[Record, Entry]]
    gone: list[tuple[str, int]]
    same: list[str]


class Importer:
    """One pull. `label_kinds`: the kind of entries with this label, None: left out."""

    def __init__(
        self,
        bank: Bank,
        holdings: Holdings,
        *,
        label_kinds: Mapping[str, Kind | None] | None = None,
        allow_shrink: bool = False,
        is_dry: bool = False,
        say: Callable[[Outcome], None] = lambda outcome: None,
        batch_records: int = BATCH_RECORDS,
    ) -> None:
        self.outcome = Outcome()
        self._bank, self._holdings, self._label_kinds = bank, holdings, label_kinds or {}
        self._allow_shrink, self._is_dry, self._say, self._batch_records = allow_shrink, is_dry, say, batch_records
        self._round, self._in_round = 0, False
        self._waiting: dict[str, Record] = {}

    def run(self, pages: Iterator[Page]) -> Outcome:
        """Apply all of them. ExchangeError of the source comes through; what was settled before it stays."""
        self._start()
        last: Checkpoint | None = None
        try:
            for page in pages:
                if page.begins_whole:
                    self._settle(last)
                    self._round, self._in_round = self._round + 1, True
                self._take(page)
                last = page.checkpoint
                if page.is_last:
                    self._settle(last)
                    self._end_round(last)
                    self.outcome.is_complete = True
                    return self.outcome
                if len(self._waiting) >= self._batch_records:
                    self._settle(last)
        except LeadlineError:  # of the source: what came whole before is worth keeping
            self._settle(last)
            raise
        self._settle(last)
        return self.outcome

    def _start(self) -> None:
        holdings = self._holdings
        identity = self._bank.snapshot.manifest.identity
        if not self._is_dry:
            if holdings.fact("bank") not in ("", identity):
                holdings.forget_all()
            holdings.set_facts({"bank": identity})
            self._bank.refresh()
            holdings.recover(lambda ids: self._bank.snapshot.holds(np.array(ids, np.int64)).tolist())
        self._round, self._in_round = holdings.round, holdings.is_in_round

    def _take(self, page: Page) -> None:
        outcome = self.outcome
        for fault in page.faults:
            outcome.refuse(fault, is_record=not isinstance(fault, HashRefused))
        outcome.unknown.update(page.unknown)
        outcome.pages += 1
        outcome.total = page.total or outcome.total
        for record in page.records:
            outcome.told += 1
            if record.key in self._waiting:  # only the latest state counts
                outcome.same += 1
                del self._waiting[record.key]
            self._waiting[record.key] = record

    # --- a batch -----------------------------------------------------------------------------------------------------

    def _settle(self, checkpoint: Checkpoint | None) -> None:
        """All that waits, into the bank; then the checkpoint. With nothing read, nothing is written."""
        if checkpoint is None:
            return
        waiting, self._waiting = self._waiting, {}
        batch = self._sort(waiting)
        facts = self._facts(checkpoint)
        if self._is_dry:
            self._count(batch)
        else:
            self._apply(batch, facts)
        self._say(self.outcome)

    def _facts(self, checkpoint: Checkpoint) -> dict[str, str]:
        text = json.dumps(dict(checkpoint), separators=(",", ":"))
        return {"checkpoint": text, "round": str(self._round), "in-round": "1" if self._in_round else "0"}

    def _sort(self, waiting: Mapping[str, Record]) -> _Batch:
        batch, held = _Batch([], [], [], []), self._holdings.find(list(waiting))
        for key, record in waiting.items():
            entry = self._labelled(record.entry)
            before = held.get(key)
            if entry is None:
                self._sort_away(batch, record, before)
            elif before is None:
                batch.new.append((record, entry))
            elif before.digest == record.digest:
                batch.same.append(key)
            else:
                batch.changed.append((record, dataclasses.replace(entry, id=before.id)))
        self.outcome.same += len(batch.same)
        return batch

    def _sort_away(self, batch: _Batch, record: Record, before: Held | None) -> None:
        if before is not None:
            batch.gone.append((record.key, before.id))
        elif record.entry is None:
            self.outcome.absent += 1
        if record.entry is not None and before is None:
            self.outcome.left_out += 1

    def _labelled(self, entry: Entry | None) -> Entry | None:
        """With the kind that this subscription gives its label; None where it is left out."""
        if entry is None or entry.label not in self._label_kinds:
            return entry
        kind = self._label_kinds[entry.label]
        return None if kind is None else dataclasses.replace(entry, kind=kind)

    def _count(self, batch: _Batch) -> None:
        self.outcome.added += len(batch.new)
        self.outcome.changed += len(batch.changed)
        self.outcome.withdrawn += len(batch.gone)

    def _apply(self, batch: _Batch, facts: Mapping[str, str]) -> None:
        """Withdrawals first: nothing may match a moment longer than it must."""
        first = self._bank.snapshot.next_id
        new = [(record, dataclasses.replace(entry, id=first + at)) for at, (record, entry) in enumerate(batch.new)]
        self._holdings.note((record.key, entry.id or 0) for record, entry in [*new, *batch.changed])
        gone = list(batch.gone)
        self._bank.remove([entry_id for _, entry_id in gone])
        self.outcome.withdrawn += len(gone)
        made = [*self._change(batch.changed, gone), *self._add(new, gone)]
        self._holdings.settle(made, [key for key, _ in gone], batch.same, facts)

    def _change(self, changed: Sequence[_Pair], gone: list[tuple[str, int]]) -> list[_Made]:
        """What a person here suspended stays suspended; what a person here removed stays removed."""
        if not changed:
            return []
        held = self._bank.snapshot.holds(np.array([entry.id for _, entry in changed], np.int64)).tolist()
        there = [pair for pair, is_there in zip(changed, held, strict=True) if is_there]
        away = [pair for pair, is_there in zip(changed, held, strict=True) if not is_there]
        result = self._bank.update([self._keep_local(entry) for _, entry in there])
        taken = set(result.ids)
        kept = [pair for pair in there if pair[1].id in taken]
        refused = [pair for pair in there if pair[1].id not in taken]
        self._bank.remove([entry.id or 0 for _, entry in refused])  # the source no longer says what it said before
        gone.extend((record.key, entry.id or 0) for record, entry in refused)
        self._note_refusals(result, len(refused))
        self.outcome.changed += len(kept)
        self.outcome.left_out += len(away)
        return [(record.key, record.digest, entry.id or 0) for record, entry in [*kept, *away]]

    def _keep_local(self, entry: Entry) -> Entry:
        before = self._bank.get(entry.id or 0)
        return dataclasses.replace(entry, disabled_until=before.disabled_until, added=before.added)

    def _add(self, new: Sequence[_Pair], gone: list[tuple[str, int]]) -> list[_Made]:
        if not new:
            return []
        result = self._bank.add([entry for _, entry in new])
        given, taken = dict(result.renumbered), set(result.ids)
        made: list[_Made] = []
        for record, entry in new:
            entry_id = given.get(entry.id or 0, entry.id or 0)
            if entry_id in taken:
                made.append((record.key, record.digest, entry_id))
            else:
                gone.append((record.key, entry_id))
        self._note_refusals(result, len(new) - len(made))
        self.outcome.added += len(made)
        return made

    def _note_refusals(self, result: AddResult, records: int) -> None:
        """`records` were not taken, and nothing of them is held; of others single hashes were not."""
        self.outcome.refused += records
        self.outcome.refused_hashes += result.refused_hashes
        for refusal in result.refused:
            self.outcome.remember(refusal.error)

    # --- the end of a whole list -------------------------------------------------------------------------------------

    def _end_round(self, checkpoint: Checkpoint | None) -> None:
        """What the source has not told in this round is no longer its."""
        if not self._in_round or checkpoint is None:
            return
        holdings = self._holdings
        count, held = holdings.count_not_told(self._round), holdings.count
        if count > _SHRINK_FROM and count > _SHRINK_SHARE * held and not self._allow_shrink:
            template = "it no longer tells %(count)s of %(held)s entries; none was removed"
            what = sentence(template, count=count, held=held)
            raise SourceShrank(what, mend="ask the source; if it is right, pull with --allow-shrink")
        self.outcome.told += count
        self.outcome.withdrawn += count
        self._in_round = False
        if self._is_dry:
            return
        gone = list(holdings.not_told(self._round))
        self._bank.remove([entry_id for _, entry_id in gone])
        holdings.settle([], [key for key, _ in gone], [], self._facts(checkpoint))
