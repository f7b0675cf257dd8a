"""Labels derived from labels and answers, where a published mapping says so; never to a graver grade.

One step only: what was derived is not derived from again, so that each label stands on one cited source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from leadline.law.assessments import Given
from leadline.law.labels import Label
from leadline.law.records import Record
from leadline.law.terms import Confidence, Id, Link, Text, Verified


class LabelEnd(Record, frozen=True, kw_only=True):
    scheme: Id
    version: Id


class AnswerEnd(Record, frozen=True, kw_only=True):
    scheme: Id
    version: Annotated[int, msgspec.Meta(ge=1)]


class Step(Record, frozen=True, kw_only=True):
    """One row: from this label, or from these answers (question -> the codes it holds for, all must fit), to a code."""

    to: Id
    label: Id | None = None
    answers: dict[Id, Annotated[tuple[Id, ...], msgspec.Meta(min_length=1)]] = {}  # noqa: RUF012 - msgspec copies it


class LabelMapping(Record, frozen=True, kw_only=True):
    """`lossy`: the way back is not unique, or the source warns that it is not the same."""

    id: Id
    version: Annotated[int, msgspec.Meta(ge=1)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    link: Link
    confidence: Confidence
    verified: Verified
    lossy: bool
    to: LabelEnd
    rows: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    from_labels: LabelEnd | None = None
    from_answers: AnswerEnd | None = None
    note: Text = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one person answered under one version of a question scheme."""

    scheme: str
    version: int
    given: Given


@dataclass(frozen=True, slots=True)
class Derived:
    """A label with all that it stands on. It is an inference from a published table, not a person's statement."""

    label: Label
    came_from: str
    mapping: str
    mapping_version: int
    source: str
    confidence: Confidence
    lossy: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What another version of a scheme or mapping makes of one label scheme."""

    scheme: str
    before: tuple[Derived, ...]
    after: tuple[Derived, ...]

    @property
    def same_labels(self) -> bool:
        """Only what the labels stand on has changed."""
        return {d.label for d in self.before} == {d.label for d in self.after}


@dataclass(frozen=True)
class Mappings:
    """Every version that is loaded; the newest of each id is the one that derives."""

    known: Mapping[tuple[str, int], LabelMapping]

    def current(self) -> tuple[LabelMapping, ...]:
        newest: dict[str, LabelMapping] = {}
        for _, mapping in sorted(self.known.items()):
            newest[mapping.id] = mapping
        return tuple(newest.values())

    def derive(self, labels: Iterable[Label], answers: Iterable[Answers] = ()) -> tuple[Derived, ...]:
        """What the published mappings make of these. A scheme that already has a label gets no derived one.

        Two sources may disagree: then both labels are returned, each with what it stands on, and a person decides.
        """
        labels, answers = tuple(labels), tuple(answers)
        found: list[Derived] = []
        for mapping in self.current():
            if all(label.scheme != mapping.to.scheme for label in labels):
                found += _from_labels(mapping, labels)
                found += (d for one in answers for d in _from_answers(mapping, one))
        return tuple(dict.fromkeys(found))


def difference(old: Iterable[Derived], new: Iterable[Derived]) -> tuple[Change, ...]:
    """What has changed between two derivations, one Change for each label scheme that differs, by scheme."""
    before, after = _by_scheme(old), _by_scheme(new)
    return tuple(
        Change(scheme, before.get(scheme, ()), after.get(scheme, ()))
        for scheme in sorted(before.keys() | after.keys())
        if set(before.get(scheme, ())) != set(after.get(scheme, ()))
    )


def raises_grade(rank: int, of: int, to_rank: int, to_of: int) -> bool:
    """Is grade `to_rank` of `to_of` graver than grade `rank` of `of`? (1 is the least grave.)

    Grade r of n holds the share (r-1)/n .. r/n of its scale. It is raised where the whole of the new share lies above
    the old one; in whole numbers, without rounding. Between equal scales this is to_rank > rank.
    """
    return (to_rank - 1) * of >= rank * to_of


def _from_labels(mapping: LabelMapping, labels: tuple[Label, ...]) -> list[Derived]:
    end = mapping.from_labels
    if end is None:
        return []
    codes = [label for label in labels if (label.scheme, label.version) == (end.scheme, end.version)]
    return [_derived(mapping, step, str(label)) for label in codes for step in mapping.rows if step.label == label.code]


def _from_answers(mapping: LabelMapping, answers: Answers) -> list[Derived]:
    end = mapping.from_answers
    if end is None or (answers.scheme, answers.version) != (end.scheme, end.version):
        return []
    return [
        _derived(mapping, step, f"{end.scheme} {end.version}: {', '.join(step.answers)}")
        for step in mapping.rows
        if all(set(answers.given.get(q, ())) and set(answers.given[q]) <= set(codes)
               for q, codes in step.answers.items())
    ]


def _derived(mapping: LabelMapping, step: Step, came_from: str) -> Derived:
    label = Label(mapping.to.scheme, mapping.to.version, step.to)
    return Derived(label, came_from, mapping.id, mapping.version, mapping.source, mapping.confidence, mapping.lossy)


def _by_scheme(derived: Iterable[Derived]) -> dict[str, tuple[Derived, ...]]:
    found: dict[str, tuple[Derived, ...]] = {}
    for one in derived:
        found[one.label.scheme] = (*found.get(one.label.scheme, ()), one)
    return found

