"""The shipped matrix against a table typed by hand from the research notes it comes from; nothing here is computed."""

from __future__ import annotations

import pytest

from leadline.law.library import Library
from leadline.law.terms import Answer

_UN = "unknown"
# country, access, live, age (None: unknown), reporting, preservation, confidence of `access` (None: unknown)
ROWS = [
    ("US", "yes", "yes", 18, "yes", "yes", "H"),
    ("GB", "partial", "partial", 18, "yes", _UN, "M"),
    ("CA", "yes", "yes", 18, "yes", "yes", "H"),
    ("AU", "yes", _UN, 18, "yes", _UN, "H"),
    ("NZ", "partial", _UN, None, _UN, _UN, "M"),
    ("IE", "yes", _UN, 18, _UN, _UN, "H"),
    ("DE", "yes", "partial", 18, "partial", _UN, "H"),
    ("FR", "partial", _UN, 18, _UN, _UN, "H"),
    ("IT", "yes", _UN, 18, _UN, _UN, "H"),
    ("ES", "yes", "yes", 18, _UN, _UN, "H"),
    ("NL", "yes", _UN, 18, _UN, _UN, "M"),
    ("BE", "yes", _UN, 18, _UN, _UN, "M"),
    ("AT", "yes", "yes", 18, _UN, _UN, "H"),
    ("CH", "yes", _UN, 18, _UN, _UN, "M"),
    ("PL", "yes", _UN, 18, _UN, _UN, "H"),
    ("SE", "yes", _UN, 18, _UN, _UN, "H"),
    ("DK", "yes", _UN, 18, _UN, _UN, "H"),
    ("NO", "yes", "partial", 18, _UN, _UN, "H"),
    ("FI", _UN, _UN, 18, _UN, _UN, None),
    ("IN", "yes", _UN, 18, "yes", _UN, "H"),
    ("PH", "yes", "yes", 18, "yes", _UN, "H"),
    ("MY", "yes", _UN, 18, _UN, _UN, "H"),
    ("JP", "no", _UN, 18, "partial", _UN, "M"),
    ("KR", "yes", _UN, 19, "partial", _UN, "H"),
    ("SG", "yes", _UN, 16, _UN, _UN, "H"),
    ("ZA", _UN, _UN, 18, "yes", "yes", None),
    ("KE", "no", "no", 18, _UN, _UN, "M"),
    ("BR", _UN, _UN, 18, "yes", "yes", None),
    ("MX", "no", _UN, 18, _UN, _UN, "M"),
    ("TH", _UN, _UN, 18, _UN, _UN, None),
]
INSTRUMENTS = [
    ("BUDAPEST", "access", "no", None), ("BUDAPEST", "age", "yes", 18), ("BUDAPEST", "live", _UN, None),
    ("LANZAROTE", "access", "yes", None), ("LANZAROTE", "live", "yes", None), ("LANZAROTE", "age", "yes", 18),
    ("EU-2011-93", "access", "yes", None), ("EU-2011-93", "live", "yes", None), ("EU-2011-93", "age", "yes", 18),
    ("EU-RECAST", "access", _UN, None), ("EU-RECAST", "live", "yes", None), ("EU-RECAST", "age", _UN, None),
    ("EU-2021-1232", "access", _UN, None), ("EU-2021-1232", "live", _UN, None), ("EU-2021-1232", "age", _UN, None),
    ("EU-DSA", "access", "no", None), ("EU-DSA", "age", _UN, None), ("EU-DSA", "live", _UN, None),
    ("EU-DSA", "notices", "yes", None), ("EU-DSA", "reasons", "yes", None), ("EU-DSA", "reporting", "partial", None),
    ("ICMEC", "access", _UN, None), ("ICMEC", "live", _UN, None), ("ICMEC", "age", _UN, None),
]
# what the notes say beside the answer: jurisdiction, question, a word of the cell that must not get lost
WORDS = [
    ("US", "reporting", "as soon as reasonably possible"), ("US", "preservation", "90 days"), ("US", "access", "2252A"),
    ("US", "live", "PL 110-401"), ("GB", "reporting", "SI 2026/268"), ("GB", "preservation", "UNVERIFIED"),
    ("CA", "access", "s163.1(4.1)-(4.2)"), ("CA", "live", "Doucette"), ("CA", "preservation", "C-16"),
    ("AU", "access", "s474.22"), ("AU", "reporting", "s474.25"), ("NZ", "access", "s131A"),
    ("IE", "access", "s6(1)(b)"),
    ("DE", "access", "OLG Hamburg"), ("DE", "age", "14-17 (184c)"), ("DE", "reporting", "BKA"),
    ("FR", "access", "Habitual"), ("FR", "reporting", "LCEN"), ("IT", "access", "L.238/2021"),
    ("ES", "access", "sabiendas"), ("ES", "live", "Attendance"), ("NL", "access", "ECLI:NL:PHR:2020:520"),
    ("NL", "access", "UNVERIFIED"), ("BE", "access", "UNVERIFIED"), ("AT", "access", "207a(3a)"),
    ("AT", "live", "215a"),
    ("CH", "access", "197(5)"), ("PL", "access", "202 §4a"), ("PL", "live", "UNVERIFIED"), ("SE", "access", "16:10a"),
    ("DK", "access", "§235(2)"), ("NO", "access", "§311(1)(c)"), ("NO", "live", "§310"), ("FI", "access", "HE 61/2025"),
    ("IN", "access", "2024 INSC 716"), ("IN", "reporting", "s19-20"), ("PH", "access", "RA 11930"),
    ("PH", "removal", "24 hours"), ("MY", "access", "Act 792"), ("JP", "access", "Art. 7(1)"),
    ("JP", "reporting", "Art. 16-3"), ("KR", "access", "Art. 11(5)"), ("KR", "reporting", "Art. 17"),
    ("SG", "access", "s377BK"), ("SG", "age", "377C"), ("ZA", "access", "s24B"), ("ZA", "preservation", "s27A"),
    ("KE", "access", "CMCA 2018"), ("BR", "access", "241-B"), ("BR", "preservation", "art. 15"),
    ("MX", "access", "202 bis"), ("TH", "access", "287/1"), ("BUDAPEST", "age", "16"), ("LANZAROTE", "access", "20(4)"),
    ("LANZAROTE", "live", "21(2)"), ("EU-2011-93", "live", "by means of ICT"), ("EU-RECAST", "access", "UNVERIFIED"),
    ("EU-2021-1232", "access", "3 Apr 2028"), ("EU-DSA", "notices", "anonymous"), ("EU-DSA", "reasons", "restriction"),
    ("EU-DSA", "reporting", "life or safety"), ("ICMEC", "access", "140 simple possession"),
]
PERIODS = [
    ("US", "preservation", 1, "years", "report-sent"),
    ("CA", "preservation", 21, "days", "report-sent"),
    ("PH", "reporting", 48, "hours", "unknown"),
    ("PH", "removal", 24, "hours", "unknown"),
    ("BR", "preservation", 6, "months", "unknown"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_country_of_the_table_answers_as_its_source_does(library: Library, row: tuple[object, ...]) -> None:
    country, access, live, age, reporting, preservation, confidence = row
    expected = {"access": access, "live": live, "reporting": reporting, "preservation": preservation,
                "age": _UN if age is None else "yes"}
    for question, answer in expected.items():
        (cell,) = library.matrix.answers(str(country), question)
        assert (question, cell.answer) == (question, answer)
        if question == "age":
            assert cell.age == age
        if question == "access" and confidence:
            assert cell.confidence == confidence


@pytest.mark.parametrize(("law", "question", "answer", "age"), INSTRUMENTS)
def test_every_international_instrument_answers_as_its_source_does(
    library: Library, law: str, question: str, answer: str, age: int | None
) -> None:
    (cell,) = library.matrix.answers(law, question)
    assert (cell.answer, cell.age) == (answer, age)


@pytest.mark.parametrize(("law", "question", "word"), WORDS)
def test_what_the_source_adds_to_an_answer_is_kept(library: Library, law: str, question: str, word: str) -> None:
    (cell,) = library.matrix.answers(law, question)
    assert word in f"{cell.instrument} {cell.provision} {cell.source} {cell.note}"


def test_the_published_periods_are_these_and_no_others(library: Library) -> None:
    found = [(c.jurisdiction, c.question_id, p.number, p.unit, p.counts_from)
             for c in library.matrix.cells.values() if (p := c.deadline)]
    assert sorted(found) == sorted(PERIODS)


def test_the_matrix_says_no_only_where_a_source_does(library: Library) -> None:
    said = {(c.jurisdiction, c.question_id) for c in library.matrix.cells.values() if c.answer is Answer.NO}
    assert said == {("JP", "access"), ("KE", "access"), ("KE", "live"), ("MX", "access"), ("BUDAPEST", "access"),
                    ("EU-DSA", "access")}


def test_the_table_has_no_row_that_is_not_checked_here(library: Library) -> None:
    checked = {str(row[0]) for row in ROWS} | {law for law, *_ in INSTRUMENTS}
    assert {c.jurisdiction for c in library.matrix.cells.values()} == checked == set(library.matrix.jurisdictions)


def test_how_far_a_cell_was_checked_is_marked_as_in_the_sources(library: Library) -> None:
    marks = {(law, question): library.matrix.answers(law, question)[0].verified for law, question in [
        ("US", "access"), ("CH", "access"), ("MX", "access"), ("DE", "live"), ("NL", "access"),
        ("EU-2011-93", "access"), ("EU-RECAST", "live"), ("AU", "live"), ("KR", "reporting")]}
    assert marks == {
        ("US", "access"): "verified", ("CH", "access"): "search", ("MX", "access"): "search",
        ("DE", "live"): "from-memory", ("NL", "access"): "unverified", ("EU-2011-93", "access"): "from-memory",
        ("EU-RECAST", "live"): "unverified", ("AU", "live"): "unverified", ("KR", "reporting"): "unverified",
    }
