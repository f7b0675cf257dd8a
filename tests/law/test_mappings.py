"""Labels are derived only where a published mapping says so, and no mapping raises a grade."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.errors import LawDataError
from leadline.law.labels import Label
from leadline.law.library import Library, load_library
from leadline.law.mappings import Answers, Mappings, difference, raises_grade

from .conftest import Write
from .test_assessments import own as own_questions

SAP, UK = ("sap", "until-2014-03-31"), ("uk", "2014-04-01")
MAPPING = """\
    format: mapping-1
    id: own
    version: 1
    source: Official journal, table 3
    link: https://example.org/table
    confidence: H
    verified: verified
    lossy: false
"""
FROM_SAP = MAPPING + """\
    from_labels: {scheme: sap, version: until-2014-03-31}
    to: {scheme: uk, version: 2014-04-01}
    rows: [{label: level-3, to: B}]
"""
FROM_ANSWERS = MAPPING + """\
    from_answers: {scheme: national, version: 1}
    to: {scheme: uk, version: 2014-04-01}
    rows:
      - {answers: {grade: [G2], kind: [moving]}, to: A}
      - {answers: {grade: [G1]}, to: C}
"""


@pytest.mark.parametrize(("level", "category"), [(1, "C"), (2, "B"), (3, "B"), (4, "A"), (5, "A")])
def test_sap_levels_map_as_the_sentencing_council_published(library: Library, level: int, category: str) -> None:
    (found,) = library.mappings.derive([Label(*SAP, f"level-{level}")])
    assert found.label == Label(*UK, category)
    assert (found.mapping, found.mapping_version, found.confidence, found.lossy) == ("sap-uk", 1, "M", True)
    assert "Sentencing Council" in found.source
    assert found.came_from == f"sap (until-2014-03-31) level-{level}"


def test_nothing_else_is_derived(library: Library) -> None:
    """COPINE, NCMEC, ICCAM, Baseline and VICS have no published mapping, and neutral facts make no grade."""
    others = [s for s in library.labels.schemes.values() if s.id not in ("sap", "uk")]
    every = [Label(s.id, s.version, c.code) for s in others for c in s.codes]
    facts = Answers("leadline-facts", 1, {"age-band": ["0-2"], "depiction": ["real"], "commercial": ["yes"]})
    assert library.mappings.derive(every, [facts]) == ()
    assert [m.id for m in library.mappings.current()] == ["sap-uk"]


def test_a_label_of_another_version_is_not_mapped(library: Library) -> None:
    assert library.mappings.derive([Label("sap", "2002", "level-5")]) == ()


def test_a_label_that_is_there_is_never_overridden(library: Library) -> None:
    assert library.mappings.derive([Label(*SAP, "level-5"), Label(*UK, "C")]) == ()


def test_two_sources_that_disagree_are_both_shown(library: Library) -> None:
    found = library.mappings.derive([Label(*SAP, "level-5"), Label(*SAP, "level-1")])
    assert {d.label.code for d in found} == {"A", "C"}


def test_answers_derive_where_all_of_them_fit(write: Write) -> None:
    write("assessments/national.yaml", own_questions())
    mappings = load_library(write("mappings/own.yaml", FROM_ANSWERS)).mappings

    def codes(version: int = 1, **given: list[str]) -> list[str]:
        return [d.label.code for d in mappings.derive([], [Answers("national", version, given)])]

    assert codes(kind=["moving"], grade=["G2"]) == ["A"]
    assert codes(kind=["still"], grade=["G2"]) == []
    assert codes(grade=["G2"]) == []
    assert codes(grade=["G1"]) == ["C"]
    assert codes(grade=["G1", "G2"]) == []
    assert codes(2, grade=["G1"]) == []


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("level-3, to: B", "level-3, to: A", "level-3 would be raised to A"),
    ("level-3, to: B", "level-1, to: B", "level-1 would be raised to B"),
    ("level-3, to: B", "level-9, to: B", "must be a code of sap"),
    ("level-3, to: B", "level-3, to: D", "uk has no code D"),
    ("{label: level-3,", "{label: level-3, answers: {kind: [still]},", "holds no answers"),
    ("{label: level-3, to: B}", "{to: B}", "must be a code of sap"),
    ("scheme: sap, version: until-2014-03-31", "scheme: sap, version: other", "no such label scheme"),
    ("{scheme: uk, version: 2014-04-01}", "{scheme: copine, version: misp-3}", "nothing is derived into it"),
    ("scheme: sap, version: until-2014-03-31", "scheme: ncmec, version: 2014-01", "must be a code of ncmec"),
    ("verified: verified", "verified: from-memory", "only where its source was read"),
    ("verified: verified", "verified: unverified", "only where its source was read"),
    ("source: Official journal, table 3", 'source: ""', "length >= 1"),
    ("    source: Official journal, table 3\n", "", "missing required field `source`"),
    ("    confidence: H\n", "", "missing required field `confidence`"),
    ("    lossy: false\n", "", "missing required field `lossy`"),
    ("id: own", "id: sap-uk", "is there already"),
    ("    from_labels: {scheme: sap, version: until-2014-03-31}\n", "", "either from_labels or from_answers"),
])
def test_a_mapping_that_breaks_a_rule_is_refused_by_file(write: Write, old: str, new: str, fault: str) -> None:
    assert old in FROM_SAP
    with pytest.raises(LawDataError) as caught:
        load_library(write("mappings/own.yaml", FROM_SAP.replace(old, new)))
    assert fault in caught.value.what
    assert "own.yaml" in caught.value.where


def test_a_code_without_a_rank_never_becomes_a_grade(write: Write) -> None:
    text = FROM_SAP.replace("scheme: sap, version: until-2014-03-31", "scheme: ncmec, version: 2014-01")
    with pytest.raises(LawDataError, match="cannot be checked"):
        load_library(write("mappings/own.yaml", text.replace("level-3", "A1")))


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("{grade: [G1]}, to: C", "{grade: [G1, G2]}, to: A", "G1 would be raised to A"),
    ("{grade: [G1]}, to: C", "{kind: [still]}, to: C", "cannot be checked"),
    ("{grade: [G1]}, to: C", "{grade: [G9]}, to: C", "no question grade with these codes"),
    ("{grade: [G1]}, to: C", "{shade: [G1]}, to: C", "no question shade"),
    ("{answers: {grade: [G1]}, to: C}", "{label: level-1, to: C}", "from answers"),
])
def test_a_mapping_from_answers_is_held_to_the_same_rules(write: Write, old: str, new: str, fault: str) -> None:
    write("assessments/national.yaml", own_questions())
    assert old in FROM_ANSWERS
    with pytest.raises(LawDataError) as caught:
        load_library(write("mappings/own.yaml", FROM_ANSWERS.replace(old, new)))
    assert fault in caught.value.what


SCALES = st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


@given(SCALES, SCALES)
def test_a_grade_is_raised_where_its_whole_share_of_the_scale_lies_above(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    top_of_old, bottom_of_new = Fraction(*old), Fraction(new[0] - 1, new[1])
    assert raises_grade(*old, *new) == (bottom_of_new >= top_of_old)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_between_equal_scales_any_higher_rank_is_a_raise(old: int, new: int, size: int) -> None:
    assert raises_grade(old, size, new, size) == (new > old)


@given(SCALES, SCALES)
def test_the_least_grave_grade_is_never_a_raise_and_the_gravest_never_raised(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    assert not raises_grade(*old, 1, new[1])
    assert not raises_grade(old[1], old[1], *new)


def _scale(name: str, size: int) -> str:
    codes = ", ".join(f"{{code: g{n}, name: g{n}, severity: {n}}}" for n in range(1, size + 1))
    return dedent(f"""\
        format: labels-1
        id: {name}
        version: "1"
        name: {name}
        source: ours
        link: https://example.org/scale
        verified: verified
        codes: [{codes}]
        """)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_whatever_is_loaded_never_raises_a_grade(size: int, to_size: int, data: st.DataObject) -> None:
    rows = data.draw(st.dictionaries(st.integers(1, size), st.integers(1, to_size), min_size=1))
    raised = any(Fraction(to - 1, to_size) >= Fraction(rank, size) for rank, to in rows.items())
    lines = ", ".join(f"{{label: g{rank}, to: g{to}}}" for rank, to in rows.items())
    mapping = dedent(MAPPING) + (
        f'from_labels: {{scheme: x, version: "1"}}\nto: {{scheme: y, version: "1"}}\nrows: [{lines}]\n'
    )
    files = {"labels/x": _scale("x", size), "labels/y": _scale("y", to_size), "mappings/m": mapping}
    with TemporaryDirectory() as name:
        for file, text in files.items():
            path = Path(name) / f"{file}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        if raised:
            with pytest.raises(LawDataError, match="no mapping may raise a grade"):
                load_library(Path(name))
            return
        mappings = load_library(Path(name)).mappings
    for rank, to in rows.items():
        (found,) = mappings.derive([Label("x", "1", f"g{rank}")])
        assert found.label == Label("y", "1", f"g{to}")


def test_the_newest_version_of_a_mapping_derives_and_the_difference_shows(write: Write) -> None:
    again = FROM_SAP.replace("id: own\n    version: 1", "id: sap-uk\n    version: 2")
    second = again.replace("level-3, to: B", "level-3, to: C")
    mappings = load_library(write("mappings/sap-uk-2.yaml", second)).mappings
    labels = [Label(*SAP, "level-3"), Label(*SAP, "level-4")]
    old, new = load_library().mappings.derive(labels), mappings.derive(labels)
    assert [(d.label.code, d.mapping_version) for d in new] == [("C", 2)]
    (change,) = difference(old, new)
    assert (change.scheme, [d.label.code for d in change.before], [d.label.code for d in change.after]) == (
        "uk", ["B", "A"], ["C"])
    assert not change.same_labels


def test_a_difference_in_the_source_alone_is_shown_as_such(library: Library, write: Write) -> None:
    again = FROM_SAP.replace("id: own\n    version: 1", "id: sap-uk\n    version: 2")
    mappings = load_library(write("mappings/sap-uk-2.yaml", again)).mappings
    (change,) = difference(library.mappings.derive([Label(*SAP, "level-3")]), mappings.derive([Label(*SAP, "level-3")]))
    assert change.same_labels


def test_labels_that_come_and_go_are_differences_and_equal_ones_are_none(library: Library) -> None:
    derived = library.mappings.derive([Label(*SAP, "level-3")])
    (gone,), (come,) = difference(derived, ()), difference((), derived)
    assert (gone.after, come.before) == ((), ())
    assert difference(derived, derived) == ()
    assert Mappings({}).derive([Label(*SAP, "level-3")]) == ()
