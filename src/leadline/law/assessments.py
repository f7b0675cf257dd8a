"""Question schemes: what a person is asked about an item, in which codes, and when. Judges no answer.

Shipped questions stop at neutral facts. Questions that grade content are vocabularies that an office loads: codes
and names with a link to their official source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from leadline.errors import InputError, LawDataError
from leadline.law.reading import SHIPPED, list_files, read_file
from leadline.law.records import Code, Record, scale_fault
from leadline.law.terms import Id, Link, Name, Text

Given: TypeAlias = Mapping[str, Sequence[str]]  # question id -> the codes chosen


class ShowIf(Record, frozen=True, kw_only=True):
    """Ask only where the earlier question was answered with one of these codes."""

    question: Id
    any_of: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1)]


class Question(Record, frozen=True, kw_only=True):
    """`text` is what a page shows where `text_key` has no translation; `multiple` allows several codes.

    order  codes that lie on one scale, from its one end to the other: how far two answers lie apart is measured along
           it. What stands beside the scale (such as undeterminable) is left out. Of codes with a severity, that is it.
    """

    id: Id
    text_key: Id
    text: Name
    codes: Annotated[tuple[Code, ...], msgspec.Meta(min_length=1)]
    multiple: bool = False
    show_if: ShowIf | None = None
    order: tuple[Id, ...] = ()

    @property
    def grades(self) -> bool:
        return self.codes[0].severity is not None

    @property
    def scale(self) -> tuple[str, ...]:
        """Codes in their order; () where they have none, or where several may be given."""
        if self.multiple:
            return ()
        graded = sorted((code.severity, code.code) for code in self.codes if code.severity is not None)
        return self.order or tuple(code for _, code in graded)


class AssessmentScheme(Record, frozen=True, kw_only=True):
    id: Id
    version: Annotated[int, msgspec.Meta(ge=1)]
    name: Name
    source: Text
    questions: Annotated[tuple[Question, ...], msgspec.Meta(min_length=1)]
    link: Link | None = None

    def shown(self, given: Given) -> tuple[Question, ...]:
        """The questions to ask, given these answers; what hangs on a hidden question is hidden too."""
        found: dict[str, Question] = {}
        for question in self.questions:
            condition = question.show_if
            if condition is None or (
                condition.question in found and set(given.get(condition.question, ())) & set(condition.any_of)
            ):
                found[question.id] = question
        return tuple(found.values())

    def missing(self, given: Given) -> tuple[Question, ...]:
        return tuple(q for q in self.shown(given) if not given.get(q.id))

    def check(self, given: Given) -> None:
        """Raises InputError for an answer that is no code, to no question asked, or too many. Gaps are `missing`."""
        shown = {q.id: q for q in self.shown(given)}
        for question_id, codes in given.items():
            question = shown.get(question_id)
            if question is None:
                raise InputError("this question is not asked here", where=question_id, code="answer")
            known = [c.code for c in question.codes]
            if isinstance(codes, str) or not set(codes) <= set(known) or len(set(codes)) != len(codes):
                raise InputError("not answers to this question", where=question_id, code="answer",
                                 mend=f"a list out of {', '.join(known)}")
            if len(codes) > 1 and not question.multiple:
                raise InputError("this question takes one answer", where=question_id, code="answer")


@dataclass(frozen=True)
class Assessments:
    """Every version that is loaded: old answers stay readable."""

    schemes: Mapping[tuple[str, int], AssessmentScheme]

    def get(self, scheme: str, version: int) -> AssessmentScheme:
        found = self.schemes.get((scheme, version))
        if found is None:
            raise InputError("no such question scheme", where=f"{scheme} {version}", code="answer",
                             mend="load its file; see docs/law.md")
        return found

    def newest(self, scheme: str) -> AssessmentScheme:
        return self.get(scheme, max((v for s, v in self.schemes if s == scheme), default=0))


def load_assessments(own: Path | None = None, *, shipped: Path = SHIPPED) -> Assessments:
    """Shipped schemes and those of the operator's folder. Raises LawDataError naming the file."""
    schemes: dict[tuple[str, int], AssessmentScheme] = {}
    for path in list_files(shipped / "assessments") + (list_files(own) if own else []):
        scheme = read_file(path, "assessment-1", AssessmentScheme)
        if (scheme.id, scheme.version) in schemes:
            raise LawDataError(f"{scheme.id} {scheme.version} is there already", where=str(path),
                               mend="raise `version`")
        if fault := _fault(scheme):
            raise LawDataError(fault, where=str(path), mend="see docs/law.md")
        schemes[scheme.id, scheme.version] = scheme
    return Assessments(schemes)


def _fault(scheme: AssessmentScheme) -> str:
    earlier: dict[str, set[str]] = {}
    for question in scheme.questions:
        condition = question.show_if
        if question.id in earlier:
            return f"question {question.id} is there twice"
        if wrong := scale_fault(question.codes):
            return f"question {question.id}: {wrong}"
        known = {code.code for code in question.codes}
        if not set(question.order) <= known or len(set(question.order)) != len(question.order):
            return f"question {question.id}: order must name its own codes, each once"
        if question.order and (question.grades or question.multiple):
            return f"question {question.id}: order is for one answer out of codes without severity"
        if question.grades and scheme.link is None:
            return f"question {question.id} grades content, so the scheme needs `link:` to its official source"
        if condition and not set(condition.any_of) <= earlier.get(condition.question, set()):
            return f"question {question.id}: show_if must name an earlier question and codes of it"
        earlier[question.id] = known
    return ""
