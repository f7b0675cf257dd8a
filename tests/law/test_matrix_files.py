"""Corrections by the operator, and faults named by file, line and row."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from leadline.errors import LawDataError
from leadline.law import reading
from leadline.law.library import load_library
from leadline.law.matrix_files import correct, dump_cells, load_matrix, make_cell

from .conftest import Write

CELL = """\
    format: matrix-1
    cells:
      - jurisdiction: {jurisdiction}
        question_id: {question}
        answer: {answer}
        binds: {binds}
        source: {source}
        as_of: 2026-12-01
        confidence: H
        verified: verified
"""
PERIOD = "deadline: {number: 24, unit: hours, counts_from: received}"


def cell(jurisdiction: str = "AU", question: str = "live", answer: str = "yes", binds: str = "anyone",
         source: str = "our counsel, letter of 1 December 2026", more: str = "") -> str:
    text = CELL.format(jurisdiction=jurisdiction, question=question, answer=answer, binds=binds, source=source)
    return text + (f"        {more}\n" if more else "")


def test_an_operators_cell_replaces_the_shipped_one_and_keeps_it_in_sight(write: Write) -> None:
    matrix = load_library(write("matrix/own.yaml", cell())).matrix
    (found,) = matrix.answers("AU", "live")
    assert (found.answer, found.source) == ("yes", "our counsel, letter of 1 December 2026")
    (correction,) = matrix.corrections
    assert correction.shipped is not None
    assert (correction.shipped.answer, correction.cell) == ("unknown", found)
    assert "own.yaml, line 3 (row 1)" in correction.where


def test_a_correction_changes_no_other_cell(write: Write) -> None:
    corrected, shipped = load_library(write("matrix/own.yaml", cell())).matrix, load_matrix()
    changed = {k for k in corrected.cells if corrected.cells[k] != shipped.cells.get(k)}
    assert changed == {("AU", "live", "anyone")}
    assert len(corrected.cells) == len(shipped.cells)


def test_a_country_that_was_not_there_can_be_added(write: Write) -> None:
    matrix = load_library(write("matrix/gr.yaml", cell("GR", "reporting", binds="hotline"))).matrix
    assert matrix.answers("GR", "reporting")[0].binds == "hotline"
    assert matrix.answers("GR", "access")[0].answer == "unknown"
    assert matrix.corrections[0].shipped is None


def test_a_cell_that_binds_others_stands_beside_the_shipped_one(write: Write) -> None:
    matrix = load_library(write("matrix/own.yaml", cell("US", "reporting", binds="hotline"))).matrix
    assert [c.binds for c in matrix.answers("US", "reporting")] == ["provider", "hotline"]


def test_norway_and_no_are_read_as_written(write: Write) -> None:
    matrix = load_library(write("matrix/no.yaml", cell("NO", "live", "no"))).matrix
    assert matrix.answers("NO", "live")[0].answer == "no"
    assert matrix.corrections[0].cell.jurisdiction == "NO"


@pytest.mark.parametrize(("text", "fault", "where"), [
    (cell(source='""'), "an answer needs a source", "own.yaml, line 3 (row 1): AU live"),
    (cell(answer="unknown", source='""'), "a correction needs a source", "AU live"),
    (cell(answer="maybe"), "Invalid enum value 'maybe' - at `$.answer`", "own.yaml, line 3 (row 1)"),
    (cell(question="possession"), "no such question", "AU possession"),
    (cell(jurisdiction="UK"), "no such jurisdiction", "UK live"),
    (cell(jurisdiction="Australia"), "no such jurisdiction", "Australia live"),
    (cell(more="anwser: no"), "unknown field `anwser`", "own.yaml, line 3 (row 1)"),
    (cell(more="answer: no"), "`answer` is given twice", "own.yaml, line 11"),
    (cell(more="age: 18"), "an age stands only with", "AU live"),
    (cell(question="age"), "the age is missing", "AU age"),
    (cell(more=PERIOD), "a deadline stands only with", "AU live"),
    (cell(question="reporting", answer="unknown", more=PERIOD), "a deadline stands only with", "AU reporting"),
    (cell(question="reporting", more=PERIOD.replace("24", "0")), "number", "row 1"),
    (cell().replace("2026-12-01", "soon"), "date", "row 1"),
    (cell().replace("        as_of: 2026-12-01\n", ""), "needs the date", "AU live"),
    (cell().replace("format: matrix-1", "format: matrix-2"), "not of the format matrix-1", "own.yaml"),
    (cell().replace("cells:", "rows:"), "the file must hold", "own.yaml"),
    ("- a\n- b\n", "one mapping", "own.yaml"),
    ("", "one mapping", "own.yaml"),
    ("format: [matrix-1\n", "not YAML", "own.yaml, line 2"),
    ("a: &x [1]\nb: *x\n", "aliases", "own.yaml"),
    ("? [a]\n: b\n", "not plain text", "own.yaml, line 1"),
])
def test_a_fault_is_named_by_file_and_row(write: Write, text: str, fault: str, where: str) -> None:
    with pytest.raises(LawDataError) as caught:
        load_library(write("matrix/own.yaml", text))
    assert fault in caught.value.what
    assert where in caught.value.where


def test_a_form_makes_a_cell_that_corrects_and_can_be_written_down(write: Write) -> None:
    form = {"jurisdiction": "NO", "question_id": "reporting", "answer": "no", "binds": "hotline", "confidence": "M",
            "verified": "search", "as_of": "2026-12-01", "source": "§ 1: «ja»\nnei", "age": "", "note": None}
    made = make_cell(form, "form 17")
    matrix = correct(load_matrix(), [("form 17", made)])
    assert matrix.answers("NO", "reporting")[1] == made
    assert matrix.corrections[0].where == "form 17: NO reporting"
    assert load_library(write("matrix/written.yaml", dump_cells([made]))).matrix.cells == matrix.cells


def test_every_shipped_cell_reads_back_as_it_was_written(write: Write) -> None:
    sourced = [c for c in load_matrix().cells.values() if c.source]
    written = load_library(write("matrix/all.yaml", dump_cells(sourced))).matrix
    assert written.cells == load_matrix().cells


def test_a_second_correction_keeps_the_shipped_cell_in_sight() -> None:
    form = {"jurisdiction": "AU", "question_id": "live", "binds": "anyone", "confidence": "M", "verified": "search",
            "as_of": "2026-12-01", "source": "ours"}
    matrix = load_matrix()
    for answer in ("no", "yes"):
        matrix = correct(matrix, [("form", make_cell({**form, "answer": answer}, "form"))])
    (correction,) = matrix.corrections
    assert correction.shipped is not None
    assert (correction.cell.answer, correction.shipped.answer) == ("yes", "unknown")


@pytest.mark.parametrize("field", [{"answer": "perhaps"}, {"age": "old"}, {"colour": "red"}, {"source": "x" * 1001}])
def test_a_form_with_a_fault_is_refused(field: dict[str, str]) -> None:
    form = {"jurisdiction": "AU", "question_id": "live", "answer": "yes", "binds": "anyone", "confidence": "M",
            "verified": "search", "as_of": "2026-12-01", "source": "ours"}
    with pytest.raises(LawDataError) as caught:
        make_cell(form | field, "form 17")
    assert caught.value.where == "form 17"


def test_the_same_cell_twice_is_refused_with_both_places(write: Write) -> None:
    write("matrix/a.yaml", cell())
    with pytest.raises(LawDataError, match="twice") as caught:
        load_library(write("matrix/b.yaml", cell(answer="no")))
    assert "b.yaml" in caught.value.where
    assert "a.yaml" in caught.value.mend


@pytest.mark.parametrize("hostile", [
    b"\xff\xfe\x00", b"[" * 500_000, b"a: " + b"x" * (1 << 20), b"!!python/object:os.x {}", b"- " * 5000, b"\x80abc",
])
def test_bytes_that_are_no_such_file_raise_the_same_error(write: Write, hostile: bytes) -> None:
    folder = write("matrix/own.yaml", "")
    (folder / "matrix/own.yaml").write_bytes(hostile)
    with pytest.raises(LawDataError):
        load_library(folder)


def test_without_the_c_library_the_same_is_read_and_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = load_library()
    monkeypatch.setattr(reading, "_LOADER", yaml.BaseLoader)
    assert load_library() == shipped
    folder = write("matrix/own.yaml", "[" * 5000)
    with pytest.raises(LawDataError, match="nested too deeply"):
        load_library(folder)


def test_a_file_that_would_be_passed_over_is_an_error(write: Write, tmp_path: Path) -> None:
    folder = write("matrix/own.yaml.bak", cell())
    with pytest.raises(LawDataError, match="not a YAML file"):
        load_library(folder)
    (folder / "matrix/own.yaml.bak").rename(folder / "own.yaml")
    with pytest.raises(LawDataError, match="this is not read"):
        load_library(folder)
    with pytest.raises(LawDataError, match="no such folder"):
        load_library(tmp_path / "absent")


def test_an_empty_folder_and_a_readme_change_nothing(write: Write) -> None:
    folder = write("README.txt", "ours")
    assert load_library(folder).matrix == load_library().matrix
