"""Files of mappings, read and held against the rules: a published source, real codes, and no grade raised."""

from __future__ import annotations

from pathlib import Path

from leadline.errors import InputError, LawDataError
from leadline.law.assessments import Assessments, AssessmentScheme, Question
from leadline.law.labels import Labels, LabelScheme, Use
from leadline.law.mappings import LabelMapping, Mappings, Step, raises_grade
from leadline.law.reading import SHIPPED, list_files, read_file
from leadline.law.records import Code
from leadline.law.terms import Verified

_CHECKED = (Verified.VERIFIED, Verified.SEARCH)


def load_mappings(
    labels: Labels, assessments: Assessments, own: Path | None = None, *, shipped: Path = SHIPPED
) -> Mappings:
    """Shipped mappings and those of the operator's folder. Raises LawDataError naming the file and the row."""
    known: dict[tuple[str, int], LabelMapping] = {}
    for path in list_files(shipped / "mappings") + (list_files(own) if own else []):
        mapping = read_file(path, "mapping-1", LabelMapping)
        where = f"{path}: {mapping.id} {mapping.version}"
        if (mapping.id, mapping.version) in known:
            raise LawDataError("this mapping is there already", where=where, mend="raise `version`")
        if fault := _fault(mapping, labels, assessments):
            raise LawDataError(fault, where=where, mend="see docs/law.md")
        known[mapping.id, mapping.version] = mapping
    return Mappings(known)


def _fault(mapping: LabelMapping, labels: Labels, assessments: Assessments) -> str:
    if mapping.verified not in _CHECKED:
        return "a mapping derives only where its source was read: verified or search"
    if (mapping.from_labels is None) == (mapping.from_answers is None):
        return "give either from_labels or from_answers"
    try:
        target = labels.get(mapping.to.scheme, mapping.to.version)
        source, asked = _source(mapping, labels), _asked(mapping, assessments)
    except InputError as error:
        return str(error)
    if target.use is Use.IMPORT_ONLY:
        return f"{target.id} is read from others only: nothing is derived into it"
    questions = {q.id: q for q in asked.questions} if asked else {}
    for number, step in enumerate(mapping.rows, start=1):
        if fault := _step_fault(step, source, questions, target):
            return f"row {number}: {fault}"
    return ""


def _source(mapping: LabelMapping, labels: Labels) -> LabelScheme | None:
    end = mapping.from_labels
    return labels.get(end.scheme, end.version) if end else None


def _asked(mapping: LabelMapping, assessments: Assessments) -> AssessmentScheme | None:
    end = mapping.from_answers
    return assessments.get(end.scheme, end.version) if end else None


def _step_fault(step: Step, source: LabelScheme | None, questions: dict[str, Question], target: LabelScheme) -> str:
    to = target.find(step.to)
    if to is None:
        return f"{target.id} has no code {step.to}"
    if source:
        code = source.find(step.label or "")
        if code is None or step.answers:
            return f"`label:` must be a code of {source.id}, and the row holds no answers"
        return _grade_fault([(code, len(source.codes))] if source.ordered else [], to, target)
    if step.label is not None or not step.answers:
        return "the mapping is from answers: give `answers:` and no `label:`"
    grades: list[tuple[Code, int]] = []
    for question_id, codes in step.answers.items():
        question = questions.get(question_id)
        known = {c.code: c for c in question.codes} if question else {}
        if question is None or not set(codes) <= known.keys():
            return f"the scheme has no question {question_id} with these codes"
        grades += [(known[code], len(known)) for code in codes if question.grades]
    return _grade_fault(grades, to, target)


def _grade_fault(grades: list[tuple[Code, int]], to: Code, target: LabelScheme) -> str:
    """A grade that nothing can be held against could be raised unseen, so it is refused as well."""
    if to.severity is None:
        return ""
    if not grades:
        return f"{target.id} is a scale of grades, and this row comes from no grade: it cannot be checked"
    for code, of in grades:
        if code.severity is None or raises_grade(code.severity, of, to.severity, len(target.codes)):
            return f"{code.code} would be raised to {to.code}: no mapping may raise a grade"
    return ""
