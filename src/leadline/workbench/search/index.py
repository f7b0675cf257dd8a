"""Where the two databases differ: how words are met, and how what was taken out is gone from the disk too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, BooleanField, ExpressionWrapper, F, QuerySet
from django.db.models.expressions import RawSQL

from leadline.workbench.search.models import Document
from leadline.workbench.search.query import Term

_NEWEST = 2_000  # documents of a kind that are read through before all that hold a word are sorted: milliseconds
_PAGES_AT_ONCE = 500  # of the index, merged in one transaction: nobody else waits long


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def holding(kind: str, wanted: Sequence[Sequence[Term]]) -> QuerySet[Any]:
    """Documents of a kind that hold all of these, each in one of its ways; the newest first, by `place`, their id.

    FTS5 reads a list of rows from its end, so that of a word that a million hold the first page costs what of another
    word it costs; asked for a set of ids it writes all of them out before.

    Terms are of letters and digits alone (query.split_words), so that nothing a person types is syntax here.
    """
    documents = Document.objects.filter(kind=kind)
    if is_postgresql():
        asked = " & ".join(f"({' | '.join(map(_tsquery, ways))})" for ways in wanted)
        is_met = RawSQL("search_document.vector @@ to_tsquery('simple', %s)", (asked,), BooleanField())
        # A sum, so that no index is in its order: of a rare word the planner would read a million ids backwards.
        place = ExpressionWrapper(F("pk") + 0, BigIntegerField())
        return documents.filter(is_met).annotate(place=place).order_by("-place")
    asked = " AND ".join(f"({' OR '.join(map(_fts5, ways))})" for ways in wanted)
    met = documents.extra(
        tables=["search_words"],
        where=["search_words.rowid = search_document.id", "search_words MATCH %s"],
        params=[f'kind : "{kind}" AND words : ({asked})'],
    )
    placed: QuerySet[Any] = met.annotate(place=RawSQL("search_words.rowid", (), BigIntegerField()))
    return placed.order_by("-place")


def first_of(documents: QuerySet[Any], kind: str, before: int | None, count: int) -> list[Any]:
    """So many of `holding` for this kind, the newest before a place.

    PostgreSQL's index of words is in no order: rows of a frequent word are found among the newest of their kind, read
    through by themselves, and of a word that is not, few are sorted.
    """
    if not is_postgresql():
        return list((documents if before is None else documents.filter(place__lt=before))[:count])
    of_kind = Document.objects.filter(kind=kind).order_by("-pk")
    if before is not None:
        documents, of_kind = documents.filter(pk__lt=before), of_kind.filter(pk__lt=before)
    edge = next(iter(of_kind.values_list("pk", flat=True)[_NEWEST : _NEWEST + 1]), None)  # None: these are all
    found = list(documents.filter(pk__gt=edge or 0).order_by("-pk")[:count])
    return found if edge is None or len(found) == count else list(documents[:count])


def _tsquery(term: Term) -> str:
    return "(" + " <-> ".join(f"'{word}'" for word in term.words) + (":*)" if term.is_prefix else ")")


def _fts5(term: Term) -> str:
    return '"' + " ".join(term.words) + ('" *' if term.is_prefix else '"')


def scrub() -> bool:
    """Have the database forget what was taken out of the index. Not within a transaction. Whether it could.

    FTS5 only notes that a word is gone, and its `secure-delete` needs SQLite 3.42: so its segments are merged into one,
    in which no such note is left over, and the log is emptied. PostgreSQL takes dead rows out by VACUUM.
    """
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute("VACUUM search_document")
            return True
        merge = "INSERT INTO search_words(search_words, rank) VALUES ('merge', %s)"
        cursor.execute(merge, [-_PAGES_AT_ONCE])
        while True:
            before = connection.connection.total_changes
            cursor.execute(merge, [_PAGES_AT_ONCE])
            if connection.connection.total_changes - before < 2:  # as fts5.html says: there was nothing to do
                break
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return not cursor.fetchone()[0]
