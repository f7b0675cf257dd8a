"""What is found without an index: entries of banks, in their folders, and lines of the journal by their object."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from leadline.errors import BankNotFound, HashFormatError
from leadline.exchange.base import parse_hash
from leadline.workbench.actors import Actor
from leadline.workbench.banks.access import find_bank, find_entry, look_up, visible_banks
from leadline.workbench.cursors import slice_rows
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.permissions import Permission
from leadline.workbench.search.kinds import ENTRY
from leadline.workbench.search.table import Found

_OBJECT = re.compile(r"[A-Za-z0-9._:-]{1,128}")
Page = tuple[list[Found], str | None]


@dataclass(frozen=True, slots=True)
class Kind:
    permission: Permission
    find: Callable[[Actor, str, str, int, str], Page]


def find_entries(actor: Actor, text: str, cursor: str, limit: int, scope: str) -> Page:
    """By BANK/NUMBER, or by a hash, which is met as it is: what is near, the page of banks looks up."""
    if named := ENTRY.fullmatch(text):
        try:
            entry = find_entry(actor, find_bank(actor, named["bank"]), int(named["entry"]))
        except BankNotFound:
            return [], None
        return [_entry(named["bank"], entry.id or 0, str(entry.kind))], None
    try:
        lines = list(parse_hash(text).items()) if " " not in text else []
    except HashFormatError:
        return [], None
    ids = {view.bank.name: view.id for view in visible_banks(actor) if view.bank is not None} if lines else {}
    met = {(match.bank, match.entry): match for answer, _ in look_up(actor, lines, 0) for match in answer}
    found = [_entry(ids[bank], entry, str(match.kind)) for (bank, entry), match in met.items() if bank in ids]
    return found[:limit], None


def _entry(bank_id: str, entry_id: int, kind: str) -> Found:
    named = {"bank_id": bank_id, "entry_id": str(entry_id)}
    return Found("entry", f"{bank_id}/{entry_id}", f"{bank_id} / {entry_id}", ("bank_entry", named), (("kind", kind),))


def find_lines(actor: Actor, text: str, cursor: str, limit: int, scope: str) -> Page:
    """Of an object of the journal, newest first. Who may read lines may read all of them."""
    if not _OBJECT.fullmatch(text):
        return [], None
    page = slice_rows(visible_lines(object_id=text), ("-line",), cursor, limit, scope)
    return [
        Found("line", str(line.line), f"{line.line} · {line.act}", ("journal", {}), (("", line.object_kind),))
        for line in page.rows
    ], page.next


KINDS = {"entry": Kind(Permission.BANKS_READ, find_entries), "line": Kind(Permission.JOURNAL_READ, find_lines)}
