"""Files of the jurisdiction matrix, shipped and the operator's, read and checked cell by cell. Fills no gap itself."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from leadline.errors import LawDataError
from leadline.law.matrix import Cell, Correction, Jurisdiction, Matrix, Question, country_code
from leadline.law.reading import SHIPPED, list_files, read_rows
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
    cells = _cells(shipped / "matrix", jurisdictions, questions)
    own = _cells(overlays, jurisdictions, questions) if overlays else {}
    corrections = []
    for key, (where, cell) in own.items():
        if not cell.source.strip():
            raise LawDataError("a correction needs a source", where=where, mend="add `source:`")
        corrections.append(Correction(cell, cells[key][1] if key in cells else None, where))
    merged = {key: cell for key, (_, cell) in {**cells, **own}.items()}
    return Matrix(jurisdictions, questions, merged, tuple(corrections))


def _by_id(path: Path, list_name: str, record_type: type[_Named]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for where, record in read_rows(path, f"{list_name}-1", list_name, record_type):
        if record.id in found:
            raise LawDataError(f"{record.id} is there twice", where=where, mend="keep one of them")
        found[record.id] = record
    return found


def _cells(folder: Path, jurisdictions: dict[str, Jurisdiction], questions: dict[str, Question]) -> dict[
    _Key, tuple[str, Cell]
]:
    found: dict[_Key, tuple[str, Cell]] = {}
    for path in list_files(folder):
        for where, cell in read_rows(path, "matrix-1", "cells", Cell):
            where = f"{where}: {cell.jurisdiction} {cell.question_id}"
            _check(cell, jurisdictions, questions, where)
            if cell.key in found:
                raise LawDataError("this cell is there twice", where=where, mend=f"see also {found[cell.key][0]}")
            found[cell.key] = (where, cell)
    return found


def _check(cell: Cell, jurisdictions: dict[str, Jurisdiction], questions: dict[str, Question], where: str) -> None:
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
