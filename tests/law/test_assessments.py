"""Shipped questions stop at neutral facts; an office's vocabularies are checked as they are loaded."""

from __future__ import annotations

import pytest

from leadline.errors import InputError, LawDataError
from leadline.law.library import Library, load_library

from .conftest import Write

OWN = """\
    format: assessment-1
    id: national
    version: {version}
    name: National vocabulary
    source: issued to our office
    link: https://example.org/scheme
    questions:
      - id: kind
        text_key: national.kind
        text: Kind
        codes: [{{code: still, name: Still}}, {{code: moving, name: Moving}}]
      - id: grade
        text_key: national.grade
        text: Grade
        show_if: {{question: kind, any_of: [moving]}}
        codes: [{{code: G1, name: G1, severity: 1}}, {{code: G2, name: G2, severity: 2}}]
      - id: marks
        text_key: national.marks
        text: Marks
        multiple: true
        show_if: {{question: grade, any_of: [G2]}}
        codes: [{{code: m1, name: m1}}, {{code: m2, name: m2}}]
"""


def own(version: int = 1) -> str:
    return OWN.format(version=version)


def test_the_only_shipped_questions_are_these_neutral_facts(library: Library) -> None:
    (scheme,) = library.assessments.schemes.values()
    assert (scheme.id, scheme.version) == ("leadline-facts", 1)
    assert {q.id: [c.code for c in q.codes] for q in scheme.questions} == {
        "age-band": ["0-2", "3-6", "7-10", "11-13", "14-15", "16-17", "adult", "undeterminable"],
        "depiction": ["real", "drawn", "generated", "undeterminable"],
        "self-generated": ["yes", "no", "undeterminable"],
        "live": ["yes", "no", "undeterminable"],
        "commercial": ["yes", "no", "undeterminable"],
    }
    assert not any(q.grades for q in scheme.questions)
    (age, *others) = scheme.questions
    assert age.scale == ("0-2", "3-6", "7-10", "11-13", "14-15", "16-17", "adult")  # undeterminable lies beside it
    assert not any(q.scale for q in others)


def test_answers_in_their_codes_pass_and_gaps_are_listed(library: Library) -> None:
    scheme = library.assessments.newest("leadline-facts")
    given = {"age-band": ["7-10"], "live": ["no"]}
    scheme.check(given)
    assert [q.id for q in scheme.missing(given)] == ["depiction", "self-generated", "commercial"]


@pytest.mark.parametrize("given", [
    {"age-band": ["8"]}, {"age-band": ["0-2", "3-6"]}, {"live": ["yes", "yes"]}, {"live": "yes"}, {"colour": ["red"]},
])
def test_other_answers_are_refused(library: Library, given: dict[str, list[str]]) -> None:
    with pytest.raises(InputError):
        library.assessments.newest("leadline-facts").check(given)


def test_a_question_shows_only_under_its_condition(write: Write) -> None:
    scheme = load_library(write("assessments/own.yaml", own())).assessments.get("national", 1)

    def shown(**given: list[str]) -> list[str]:
        return [q.id for q in scheme.shown(given)]

    assert shown() == ["kind"]
    assert shown(kind=["still"], grade=["G2"]) == ["kind"]
    assert shown(kind=["moving"]) == ["kind", "grade"]
    assert shown(kind=["moving"], grade=["G2"]) == ["kind", "grade", "marks"]
    scheme.check({"kind": ["moving"], "grade": ["G2"], "marks": ["m1", "m2"]})
    with pytest.raises(InputError, match="not asked"):
        scheme.check({"kind": ["still"], "grade": ["G2"]})


def test_old_versions_stay_readable_beside_the_newest(write: Write) -> None:
    write("assessments/own-1.yaml", own(1))
    found = load_library(write("assessments/own-2.yaml", own(2))).assessments
    assert (found.get("national", 1).version, found.newest("national").version) == (1, 2)
    with pytest.raises(InputError, match="no such question scheme"):
        found.newest("absent")


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("link: https://example.org/scheme", "note: none", "unknown field"),
    ("    link: https://example.org/scheme\n", "", "needs `link:`"),
    ("question: kind, any_of: [moving]", "question: marks, any_of: [m1]", "an earlier question"),
    ("question: kind, any_of: [moving]", "question: kind, any_of: [other]", "an earlier question"),
    ("id: grade", "id: kind", "is there twice"),
    ("code: m2", "code: m1", "a code is there twice"),
    ("severity: 2", "severity: 3", "severity must be given"),
    (", severity: 2", "", "severity must be given"),
    ("text: Kind", "text: Kind\n        order: [still, lost]", "order must name its own codes"),
    ("text: Kind", "text: Kind\n        order: [still, still]", "order must name its own codes"),
    ("text: Grade", "text: Grade\n        order: [G1, G2]", "order is for one answer"),
    ("id: national", "id: leadline-facts", "is there already"),
    ("name: G1,", f"name: {'word ' * 20},", "length <= 80"),
])
def test_a_faulty_vocabulary_is_refused_by_file(write: Write, old: str, new: str, fault: str) -> None:
    assert old in own()
    with pytest.raises(LawDataError) as caught:
        load_library(write("assessments/own.yaml", own().replace(old, new)))
    assert fault in caught.value.what
    assert "own.yaml" in caught.value.where
