"""The jurisdiction matrix: what a law says, whom it binds, who says so and how sure that is. Not legal advice.

Unknown stays unknown: a cell that nobody filled answers `unknown`, and no function here makes a `no` of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

import msgspec

from leadline.errors import InputError
from leadline.law.records import Record
from leadline.law.terms import Answer, Binds, Confidence, Event, Id, Involved, Link, Name, Text, Unit, Verified

_ALIASES = {"UK": "GB", "EL": "GR"}  # in common use, reserved by ISO 3166 for it, but not the code


class Period(Record, frozen=True, kw_only=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    unit: Unit
    counts_from: Event


class Cell(Record, frozen=True, kw_only=True):
    """What one jurisdiction answers to one question, for those it binds.

    extent    the part of the country it holds for, where not the whole ("England and Wales")
    age       of `age` only: persons below it are covered
    deadline  of reporting, preservation and removal only: the published period
    """

    jurisdiction: Id
    question_id: Id
    answer: Answer
    binds: Binds
    confidence: Confidence
    verified: Verified
    as_of: date | None = None
    instrument: Text = ""
    provision: Text = ""
    source: Text = ""
    note: Text = ""
    extent: Text = ""
    age: Annotated[int, msgspec.Meta(ge=1, le=25)] | None = None
    deadline: Period | None = None

    @property
    def key(self) -> tuple[str, str, Binds]:
        return self.jurisdiction, self.question_id, self.binds


class Kind(StrEnum):
    COUNTRY = "country"
    UNION = "union"  # law of a union of states: holds in its members
    CONVENTION = "convention"
    REVIEW = "review"  # a comparison of laws, itself no law


class Status(StrEnum):
    IN_FORCE = "in-force"
    PROPOSED = "proposed"
    EXPIRED = "expired"


class Jurisdiction(Record, frozen=True, kw_only=True):
    """Whose law it is. `members`: countries it also holds in; empty where no list was checked."""

    id: Id
    name: Name
    kind: Kind = Kind.COUNTRY
    status: Status = Status.IN_FORCE
    members: tuple[Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")], ...] = ()
    source: Text = ""
    note: Text = ""


class Question(Record, frozen=True, kw_only=True):
    """`core`: asked of every country, so that silence shows as unknown. `asked_of`: whom an unfilled cell names."""

    id: Id
    text_key: Id
    text: Text
    asked_of: Binds
    core: bool = False
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """An operator's cell in place of a shipped one (None: it was not there), and the file and row it stands in."""

    cell: Cell
    shipped: Cell | None
    where: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What one law says, because of one country involved."""

    involved: Involved
    country: str
    jurisdiction: Jurisdiction
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    jurisdictions: Mapping[str, Jurisdiction]
    questions: Mapping[str, Question]
    cells: Mapping[tuple[str, str, Binds], Cell]
    corrections: tuple[Correction, ...] = ()

    def answers(self, jurisdiction: str, question_id: str) -> tuple[Cell, ...]:
        """The cells of one question, never none: where nobody filled one it is a cell that says unknown."""
        question = self.questions.get(question_id)
        if question is None:
            raise InputError("the matrix has no such question", where=question_id, mend=", ".join(self.questions))
        found = tuple(c for c in self.cells.values() if (c.jurisdiction, c.question_id) == (jurisdiction, question_id))
        return found or (_unfilled(jurisdiction, question),)

    def laws_in(self, country: str) -> tuple[Jurisdiction, ...]:
        """The country itself, known to the matrix or not, then the union law in force that holds in it."""
        code = country_code(country)
        own = self.jurisdictions.get(code) or Jurisdiction(id=code, name=code)
        unions = (j for j in self.jurisdictions.values() if code in j.members and j.status is Status.IN_FORCE)
        return own, *unions

    def row(self, jurisdiction: Jurisdiction) -> tuple[Cell, ...]:
        """Every question of a country that is core or filled; of other law only what is filled. In question order."""
        filled = {c.question_id for c in self.cells.values() if c.jurisdiction == jurisdiction.id}
        asked = (q.id for q in self.questions.values()
                 if q.id in filled or (q.core and jurisdiction.kind is Kind.COUNTRY))
        return tuple(cell for question_id in asked for cell in self.answers(jurisdiction.id, question_id))


def applies(matrix: Matrix, countries_by_role: Mapping[Involved, Iterable[str]]) -> tuple[Applied, ...]:
    """What the matrix says for the countries involved, in the order given; law that is not in force is left out.

    countries_by_role  ISO 3166 alpha-2 codes; a country that is not known is simply not given
    Raises InputError for what is no country code.
    """
    return tuple(
        Applied(involved, country_code(country), law, matrix.row(law))
        for involved, countries in countries_by_role.items()
        for country in countries
        for law in matrix.laws_in(country)
    )


def country_code(text: str) -> str:
    """ISO 3166 alpha-2 in capitals; UK and EL are read as GB and GR. Raises InputError."""
    code = text.strip().upper()
    if not re.fullmatch("[A-Z]{2}", code):
        raise InputError("this is no country code", mend="give two letters of ISO 3166, such as DE")
    return _ALIASES.get(code, code)


def _unfilled(jurisdiction: str, question: Question) -> Cell:
    return Cell(jurisdiction=jurisdiction, question_id=question.id, answer=Answer.UNKNOWN, binds=question.asked_of,
                confidence=Confidence.LOW, verified=Verified.UNVERIFIED, note="not in the matrix")
