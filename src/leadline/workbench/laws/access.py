"""Reads of the law data: what is shipped with what the office added, for the countries involved. Not legal advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext

from leadline.law.deadlines import Deadlines, deadlines
from leadline.law.library import Library, load_library
from leadline.law.matrix import Applied, Correction, applies
from leadline.law.terms import Involved, Role
from leadline.workbench.accounts.access import office_setting

OWN_COUNTRY, OWN_ROLE = "own-country", "own-role"


def own_folder() -> Path:
    """Where the office's own law data lies; it need not be there."""
    return Path(settings.LEADLINE_HOME) / "law"


def library() -> Library:
    """Read again when a file of the office's folder changed. Raises LawDataError naming the file at fault."""
    folder = own_folder()
    files = tuple(sorted((str(p), p.stat().st_mtime_ns) for p in folder.rglob("*.y*ml"))) if folder.is_dir() else ()
    return _library(folder if files else None, files)


@lru_cache(maxsize=2)
def _library(folder: Path | None, _files: tuple[tuple[str, int], ...]) -> Library:
    return load_library(folder)


def own_country() -> str:
    return office_setting(OWN_COUNTRY, "")


def own_role() -> Role:
    return Role(office_setting(OWN_ROLE, Role.HOTLINE.value))


def laws_beside(others: Mapping[Involved, Iterable[str]] | None = None) -> tuple[Applied, ...]:
    """What applies for the office's own country, and for the others that are known to be involved."""
    own = {Involved.OWN: [own_country()]} if own_country() else {}
    return applies(library().matrix, {**own, **(others or {})})


def deadlines_of(received_at: datetime, *, sent_at: datetime | None = None, others: Iterable[str] = ()) -> Deadlines:
    """What binds this office from that moment; without a declared country nothing does."""
    if not own_country():
        return Deadlines((), ())
    matrix = library().matrix
    return deadlines(matrix, own_country(), own_role(), received_at, report_sent_at=sent_at, other_countries=others)


@dataclass(frozen=True, slots=True)
class LawBeside:
    """What applies beside a report or a review, and which periods run. Information, but for what binds this office."""

    applied: tuple[Applied, ...]
    deadlines: Deadlines
    questions: dict[str, str]


def law_beside(
    received_at: datetime, *, sent_at: datetime | None = None, others: Mapping[Involved, Iterable[str]] | None = None
) -> LawBeside:
    """received_at: when we learned of it; sent_at: when our own report of it went out; others: countries involved."""
    named = {involved: list(codes) for involved, codes in (others or {}).items()}
    flat = dict.fromkeys(code for codes in named.values() for code in codes)
    return LawBeside(laws_beside(named), deadlines_of(received_at, sent_at=sent_at, others=flat), question_texts())


def question_texts() -> dict[str, str]:
    return {question.id: question.text for question in library().matrix.questions.values()}


def countries() -> list[tuple[str, str]]:
    """Code and name of every law that the matrix knows."""
    laws = library().matrix.jurisdictions.values()
    return sorted(((law.id, gettext(law.name)) for law in laws), key=lambda pair: pair[1])


def corrections() -> tuple[Correction, ...]:
    return library().matrix.corrections
