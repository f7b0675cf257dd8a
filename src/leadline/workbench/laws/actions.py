"""The only writes of laws: a cell corrected with its source, into a file of the office's; what the office is."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction

from leadline.errors import LawDataError
from leadline.law.matrix import Cell, country_code
from leadline.law.matrix_files import correct, dump_cells, make_cell
from leadline.law.terms import Role
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.actions import record
from leadline.workbench.laws import access

_FILE = "corrections-by-page.yaml"
_WHERE = "the form"
_lock = threading.Lock()


@transaction.atomic
def correct_cell(by: Person, fields: Mapping[str, Any]) -> Cell:
    """Put a cell over the shipped one. LawDataError says what is missing: the source first of all.

    Cells that files of the office's hold are not touched: they are mended where they stand.
    """
    cell = make_cell(fields, _WHERE)
    if not cell.source.strip():
        raise LawDataError("a correction needs a source", where=_WHERE, mend="say where it can be read")
    path = access.own_folder() / "matrix" / _FILE
    details = {"jurisdiction": cell.jurisdiction, "question": cell.question_id, "binds": cell.binds.value}
    # First of all: the chain's lock, held to the end of the transaction, lets one process of the office in at a time.
    record("law.corrected", actor=str(by.pk), object_kind="law", object_id=cell.jurisdiction, details=details)
    with _lock:
        mine = {one.cell.key: one.cell for one in access.corrections() if _FILE in one.where}
        held = next((c for c in access.corrections() if c.cell.key == cell.key and _FILE not in c.where), None)
        if held is not None:
            raise LawDataError("a file of the office's holds this cell", where=held.where, mend="mend it there")
        mine[cell.key] = cell
        correct(access.library().matrix, [(_WHERE, cell)])  # its rules, before anything is written
        _write(path, dump_cells(mine.values()))
    return cell


@transaction.atomic
def declare_office(by: Person, country: str, role: Role, legal_basis: str) -> None:
    """Where the office is and what it is: deadlines are set only where a law binds just that."""
    set_office_setting(by, access.OWN_COUNTRY, country_code(country), legal_basis)
    set_office_setting(by, access.OWN_ROLE, role.value, legal_basis)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".new-{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
