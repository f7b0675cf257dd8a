"""Before a pull: what we believe to hold of a source is put right from the bank, which alone is the truth.

So a kill at any moment, holdings that were lost or are old, a bank that was restored from a copy or replaced by another
one all end the same: each entry of the source stands in the bank once, and the next pull tells what is missing.
"""

from __future__ import annotations

import numpy as np

from leadline.domain import EXACT_ALGORITHMS, Entry
from leadline.match.bank import Bank
from leadline.subscriptions.holdings import Holdings, State

_AT_ONCE = 1_000
_READABLE_AT_FIRST = {"md5", "sha1", "sha256", "pdq"}  # where holdings do not say it yet


def reconcile(bank: Bank, holdings: Holdings, terms: str, *, is_dry: bool = False) -> None:
    """terms: what makes an entry of a record (kind, TLP, address, ...). Where they are others than at the last pull,
    or more kinds of fingerprints can be read, every record is told again."""
    bank.refresh()
    identity = bank.snapshot.manifest.identity
    if holdings.fact("bank") not in ("", identity) or _is_older(bank, holdings):
        holdings.forget_all()
    _drop_removed(bank, holdings)
    doubles = _adopt(bank, holdings)
    if doubles and not is_dry:
        bank.remove(doubles)
    readable = {*EXACT_ALGORITHMS, "pdq", *bank.kinds}
    if holdings.fact("terms") not in ("", terms) or readable - _readable_before(holdings):
        holdings.doubt_all()
    holdings.set_facts({"bank": identity, "terms": terms, "readable": " ".join(sorted(readable))})


def _readable_before(holdings: Holdings) -> set[str]:
    """Kinds of fingerprints that the last pull could read. Of a record that held none of them nothing is here, so with
    one kind more (a plug-in, a newer leadline) the source is to tell its list again."""
    return set(holdings.fact("readable").split()) or _READABLE_AT_FIRST


def _is_older(bank: Bank, holdings: Holdings) -> bool:
    """Whether the bank has lost what it once had: it was restored from a copy."""
    if bank.list_version < int(holdings.fact("list-version") or 0):
        return True
    newest = holdings.newest()
    if newest is None:
        return False
    key, entry_id = newest
    if _has(bank, entry_id):
        return bank.get(entry_id).source_id != key
    return not bool(bank.snapshot.has_used(np.array([entry_id], np.int64))[0])


def _drop_removed(bank: Bank, holdings: Holdings) -> None:
    """What was about to be removed: it is, or it is still there and the source tells it again."""
    rows = holdings.unsettled(State.REMOVING)
    if rows:
        holdings.replace(rows, [(key, entry_id) for key, entry_id in rows.items() if _has(bank, entry_id)])


def _adopt(bank: Bank, holdings: Holdings) -> list[int]:
    """Entries of the source that the bank has beyond those held: of a batch that a kill cut, or all where nothing is
    held. Ids of those that stand there twice."""
    adding, doubles = holdings.adding(), list[int]()
    newest = holdings.newest()
    after = 0 if newest is None else newest[1]
    while page := bank.entries_after(after, _AT_ONCE):
        after = page[-1].id or 0
        told = {entry.source_id: entry.id or 0 for entry in page if _is_pulled(entry)}
        held = holdings.find(list(told))
        twice = {key for key in told if key in held and _has(bank, held[key].id)}
        doubles += [entry.id or 0 for entry in page if _is_pulled(entry) and entry.id != told[entry.source_id]]
        doubles += [told[key] for key in twice]
        holdings.replace([], [(key, entry_id) for key, entry_id in told.items() if key not in twice])
        bank.snapshot.cool()
    if adding:
        # The bank had it, and has it no more: a person took it out, and it stays out.
        found = holdings.find(list(adding))
        holdings.replace([], [(key, i) for key, i in adding.items() if key not in found and _was_taken_out(bank, i)])
        holdings.set_facts({"adding": "{}"})
    return doubles


def _was_taken_out(bank: Bank, entry_id: int) -> bool:
    return bool(bank.snapshot.has_used(np.array([entry_id], np.int64))[0]) and not _has(bank, entry_id)


def _has(bank: Bank, entry_id: int) -> bool:
    return bool(bank.snapshot.holds(np.array([entry_id], np.int64))[0])


def _is_pulled(entry: Entry) -> bool:
    """Made of a record; what a person added by hand is none of the source's. `left_out`: of metadata that were long."""
    return bool(entry.source_id) and ('"record"' in entry.metadata or '"left_out"' in entry.metadata)
