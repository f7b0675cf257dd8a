"""What one change is made of, and what it answers: ids, frame contents, results; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from leadline.domain import Entry
from leadline.errors import InputError, LeadlineError
from leadline.match.admission import MAX_ID, Refusal, Refusals
from leadline.match.build import AssignedIds
from leadline.match.combine import id_sections
from leadline.match.records import I64, Records
from leadline.match.snapshot import Snapshot
from leadline.match.table import Sections

_KEPT_RENUMBERED = 10_000


@dataclass(frozen=True, slots=True)
class AddResult:
    """What an add did. `ids` of the entries taken, in order.

    refused     the first 10,000 refusals; refused_count all of them, refused_hashes those of single hashes
    renumbered  (wished-for id, given id) where the wish could not be kept; the first 10,000
    """

    ids: Sequence[int] = ()
    added: int = 0
    refused: list[Refusal] = field(default_factory=list)
    refused_count: int = 0
    refused_hashes: int = 0
    renumbered: list[tuple[int, int]] = field(default_factory=list)


def add_result(wished: I64, assigned: AssignedIds, refusals: Refusals) -> AddResult:
    """The answer to an addition whose entries wished for some ids and were given others."""
    moved = assigned.renumbered[:_KEPT_RENUMBERED]
    renumbered = list(zip(wished[moved].tolist(), assigned.ids[moved].tolist(), strict=True))
    ids = _as_sequence(assigned.ids)
    return AddResult(ids, len(assigned.ids), refusals.kept, refusals.count, refusals.hashes, renumbered)


def frame_sections(records: Records, assigned: AssignedIds) -> Sections:
    """The payload of an addition or replacement: the records with their ids, and the next id after them."""
    beside = id_sections(assigned.ids, np.empty(0, np.int64))
    next_id = np.array([assigned.next_id], np.int64)
    return {**records.sections, "ids": assigned.ids, **beside, "next_id": next_id}


def only_existing(snapshot: Snapshot, entries: Sequence[Entry]) -> Iterator[Entry | LeadlineError]:
    """Each entry that names one that is there, once; an error in the place of any other."""
    ids = [e.id if e.id is not None and 0 < e.id <= MAX_ID else 0 for e in entries]
    alive = snapshot.holds(np.array(ids, np.int64))
    seen: set[int] = set()
    for entry, entry_id, is_there in zip(entries, ids, alive.tolist(), strict=True):
        if is_there and entry_id not in seen:
            yield entry
        else:
            yield InputError("no such entry, or named twice", where=str(entry.id), mend="add it, or name it once")
        seen.add(entry_id)


def _as_sequence(ids: I64) -> Sequence[int]:
    if len(ids) and bool((np.diff(ids) == 1).all()):
        return range(int(ids[0]), int(ids[-1]) + 1)
    return [int(i) for i in ids]
