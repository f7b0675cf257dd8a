"""The only writes of the index: a duty follows the journal, and walks through everything where it has to be made anew.

An act elsewhere knows nothing of it. A line of the journal stands in the transaction of its act, so what is followed
did happen; the index is behind by as many lines as health says.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import transaction

from leadline.workbench.journal.models import Line
from leadline.workbench.search import access, index
from leadline.workbench.search.kinds import TABLES
from leadline.workbench.search.models import Document, Progress
from leadline.workbench.search.table import Table

_LINES_AT_ONCE, _ROWS_AT_ONCE, _CLEARED_AT_ONCE = 500, 500, 5000
_BUDGET_S = 5.0  # of a round: other duties wait for it
_FIRST = next(iter(TABLES))
_EPOCH, _OF_ONE_MOMENT = datetime(1970, 1, 1, tzinfo=UTC), 2**17  # ids have room until the year 2190


def follow(budget_s: float = _BUDGET_S) -> int:
    """Go on until nothing is left to do or the time is over; in how many steps. Without news it takes no lock."""
    end, steps = time.monotonic() + budget_s, 0
    while time.monotonic() < end and _is_due():
        step()
        steps += 1
    return steps


def rebuild() -> None:
    """Have the next rounds make all of it anew."""
    with transaction.atomic():
        _progress()
        Progress.objects.update(made_for="", is_clearing=True)


def fill() -> int:
    """Make all of it anew, to its end; how many rows it has then."""
    rebuild()
    while _is_due():
        step()
    scrub()
    return Document.objects.count()


def scrub() -> bool:
    """Have the database forget what was taken out, where any of it was sealed elsewhere; whether anything was done."""
    if not Progress.objects.filter(is_unclean=True, is_clearing=False).exists():
        return False
    Progress.objects.update(is_unclean=False)  # before: what is taken out meanwhile asks for another round
    if not index.scrub():
        Progress.objects.update(is_unclean=True)
    return True


def _is_due() -> bool:
    progress = Progress.objects.first()
    if progress is None or progress.is_clearing or progress.kind or progress.made_for != access.made_for():
        return True
    return Line.objects.filter(line__gt=progress.line).exists()


@transaction.atomic
def step() -> None:
    """One piece of work, whole or not at all. Several workers take turns: the row of progress is locked."""
    progress, wanted = _progress(), access.made_for()
    if progress.made_for != wanted:
        progress.made_for, progress.is_clearing = wanted, True
    if progress.is_clearing:
        _clear(progress)
    else:
        _follow(progress)
        _walk(progress)
    progress.save()


def _progress() -> Progress:
    """Locked. The first one stands at the head of the journal: what was before is walked through."""
    found = Progress.objects.select_for_update().first()
    return found or Progress.objects.create(pk=1, line=_head(), made_for=access.made_for(), kind=_FIRST)


def _head() -> int:
    return Line.objects.order_by("-line").values_list("line", flat=True).first() or 0


def _clear(progress: Progress) -> None:
    some = list(Document.objects.order_by("pk").values_list("pk", flat=True)[:_CLEARED_AT_ONCE])
    Document.objects.filter(pk__in=some).delete()
    progress.is_unclean = progress.is_unclean or bool(some)  # for which fields they were made nobody knows any more
    if len(some) < _CLEARED_AT_ONCE:
        progress.is_clearing, progress.line, progress.kind, progress.after = False, _head(), _FIRST, ""


def _walk(progress: Progress) -> None:
    if not progress.kind:
        return
    table = TABLES[progress.kind]
    rows = table.model._default_manager.order_by("pk")
    rows = rows.filter(pk__gt=progress.after) if progress.after else rows
    ids = list(rows.values_list("pk", flat=True)[:_ROWS_AT_ONCE])
    refresh(table, ids)
    progress.after = str(ids[-1]) if ids else ""
    if len(ids) < _ROWS_AT_ONCE:
        names = list(TABLES)
        progress.kind = next(iter(names[names.index(table.name) + 1 :]), "")
        progress.after = ""


def _follow(progress: Progress) -> None:
    lines = list(Line.objects.filter(line__gt=progress.line).order_by("line")[:_LINES_AT_ONCE])
    if not lines:
        return
    for table in TABLES.values():
        about: dict[str, set[UUID]] = {}
        for line in lines:
            if line.object_kind in table.objects and (object_id := _uuid(line.object_id)):
                about.setdefault(line.act, set()).add(object_id)
        changed = {one for act, ids in about.items() for one in table.changed(list(ids), act)}
        ordered = sorted(changed)
        for begin in range(0, len(ordered), _ROWS_AT_ONCE):
            progress.is_unclean |= refresh(table, ordered[begin : begin + _ROWS_AT_ONCE])
    progress.line = lines[-1].line


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def refresh(table: Table, ids: Sequence[UUID]) -> bool:
    """Bring the rows of these things to what they say now. Whether words went that were sealed elsewhere."""
    said = {pk: (one.at, one.joined()) for pk, one in table.words(ids, access.fields()).items()}
    wanted = {pk: (at, words) for pk, (at, words) in said.items() if words}
    held = {row.object_id: row for row in Document.objects.filter(kind=table.name, object_id__in=list(ids))}
    gone = {row.pk for pk, row in held.items() if wanted.get(pk) != (row.at, row.words)}
    fresh = {pk: one for pk, one in wanted.items() if pk not in held or held[pk].pk in gone}
    Document.objects.filter(pk__in=gone).delete()
    places = _places({pk: at for pk, (at, _) in fresh.items()})
    rows = [
        Document(id=places[pk], kind=table.name, object_id=pk, at=at, words=words) for pk, (at, words) in fresh.items()
    ]
    Document.objects.bulk_create(sorted(rows, key=lambda row: row.pk))  # FTS5 ends a segment where an id is smaller
    return bool(gone and access.sealed_fields())


def _places(moments: dict[UUID, datetime]) -> dict[UUID, int]:
    """Free ids by which the newest come last: tenths of a millisecond, and a number that tells two of them apart."""
    left = {pk: place_of(at) + pk.int % _OF_ONE_MOMENT for pk, at in moments.items()}
    found: dict[UUID, int] = {}
    while left:
        taken = set(Document.objects.filter(pk__in=left.values()).values_list("pk", flat=True)) | set(found.values())
        for pk, place in list(left.items()):
            if place not in taken:
                found[pk] = left.pop(pk)
                taken.add(place)
        left = {pk: place + 1 for pk, place in left.items()}
    return found


def place_of(at: datetime) -> int:
    """The first id of a moment."""
    return (at - _EPOCH) // timedelta(microseconds=100) * _OF_ONE_MOMENT
