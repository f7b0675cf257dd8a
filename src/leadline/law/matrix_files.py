"""Files of the jurisdiction matrix, shipped and the operator's, read and checked cell by cell. Fills no gap itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from leadline.errors import LawDataError
from leadline.law.matrix import Cell, Correction, Jurisdiction, Matrix, Question, country_code
from leadline.law.reading import SHIPPED, convert, list_files, read_rows
from leadline.law.terms import Answer, Binds

_TIMED = frozenset({"reporting", "preservation", "removal"})
_Key = tuple[str, str, Binds]
_Named = TypeVar("_Named", Jurisdiction, Question)


def load_matrix(overlays: Path | None = None, *, shipped: Path = SHIPPED) -> Matrix:
    """The shipped matrix, with the operator's cells over it. Raises LawDataError naming file, line and row.

    overlays  folder of YAML files in the shipped format; each of their cells needs a source and replaces the shipped
              cell of the same jurisdiction, question and `binds`, or stands beside it where there is none
    """
    jurisdictions = _by_id(shipped / "jurisdictions.yaml", "jurisdictions", Jurisdiction)
    questions = _by_id(shipped / "questions.yaml", "questions", Question)
    cells = _checked(_rows(shipped / "matrix"), jurisdictions, questions)
    matrix = Matrix(jurisdictions, questions, {key: cell for key, (_, cell) in cells.items()})
    return correct(matrix, _rows(overlays)) if overlays else matrix


def correct(matrix: Matrix, rows: Iterable[tuple[str, Cell]]) -> Matrix:
    """The matrix with these (where, cell) over it; a cell that was corrected before keeps its shipped one in sight.

    Raises LawDataError for a cell without a source, for one that breaks a rule, and for two that are the same.
    """
    own = _checked(rows, matrix.jurisdictions, matrix.questions)
    corrections = {c.cell.key: c for c in matrix.corrections}
    for key, (where, cell) in own.items():
        if not cell.source.strip():
            raise LawDataError("a correction needs a source", where=where, mend="add `source:`")
        earlier = corrections.get(key)
        corrections[key] = Correction(cell, earlier.shipped if earlier else matrix.cells.get(key), where)
    merged = {**matrix.cells, **{key: cell for key, (_, cell) in own.items()}}
    return Matrix(matrix.jurisdictions, matrix.questions, merged, tuple(corrections.values()))


def make_cell(fields: Mapping[str, object], where: str) -> Cell:
    """A cell from the fields of a form, as text or typed; empty ones are left out. Raises LawDataError."""
    return convert({name: value for name, value in fields.items() if value not in ("", None)}, Cell, where)


def dump_cells(cells: Iterable[Cell]) -> str:
    """An overlay file that reads back as these cells."""
    rows = [{k: v for k, v in msgspec.to_builtins(cell).items() if v not in ("", None)} for cell in cells]
    return yaml.safe_dump({"format": "matrix-1", "cells": rows}, sort_keys=False, allow_unicode=True)


def _by_id(path: Path, list_name: str, record_type: type[_Named]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for where, record in read_rows(path, f"{list_name}-1", list_name, record_type):
        if record.id in found:
            raise LawDataError(f"{record.id} is there twice", where=where, mend="keep one of them")
        found[record.id] = record
    return found


def _rows(folder: Path) -> Iterator[tuple[str, Cell]]:
    for path in list_files(folder):
        yield from read_rows(path, "matrix-1", "cells", Cell)


def _checked(
    rows: Iterable[tuple[str, Cell]], jurisdictions: Mapping[str, Jurisdiction], questions: Mapping[str, Question]
) -> dict[_Key, tuple[str, Cell]]:
    found: dict[_Key, tuple[str, Cell]] = {}
    for place, cell in rows:
        where = f"{place}: {cell.jurisdiction} {cell.question_id}"
        _check(cell, jurisdictions, questions, where)
        if cell.key in found:
            raise LawDataError("this cell is there twice", where=where, mend=f"see also {found[cell.key][0]}")
        found[cell.key] = (where, cell)
    return found


def _check(
    cell: Cell, jurisdictions: Mapping[str, Jurisdiction], questions: Mapping[str, Question], where: str
) -> None:
    def refuse(what: str, mend: str) -> None:
        raise LawDataError(what, where=where, mend=mend)

    unknown = cell.answer is Answer.UNKNOWN
    if cell.question_id not in questions:
        refuse("the matrix has no such question", f"use one of {', '.join(questions)}")
    if cell.jurisdiction not in jurisdictions and not _is_country(cell.jurisdiction):
        refuse("no such jurisdiction", "give an ISO 3166 code such as DE (GB, not UK), or an id of jurisdictions.yaml")
    if cell.as_of is None:
        refuse("a cell needs the date it was read on", "add `as_of: 2026-11-23`")
    if not unknown and not cell.source.strip():
        refuse("an answer needs a source", "add `source:`, or answer unknown")
    if cell.age is not None and (unknown or cell.question_id != "age"):
        refuse("an age stands only with a known answer to `age`", "take `age:` out")
    if cell.question_id == "age" and cell.answer is Answer.YES and cell.age is None:
        refuse("the age is missing", "add `age:`, or answer unknown")
    if cell.deadline and (cell.question_id not in _TIMED or cell.answer not in (Answer.YES, Answer.PARTIAL)):
        refuse("a deadline stands only with yes or partial to a duty", f"duties: {', '.join(sorted(_TIMED))}")


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isascii() and code.isalpha() and country_code(code) == code
