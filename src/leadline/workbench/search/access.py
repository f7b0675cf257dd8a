"""Finding on behalf of somebody. The index only suggests: what is shown, and whether there is more, each thing's own
app decides in the same query, so that nobody learns of what they may not see, not even how much of it there is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from leadline.domain import SEARCH_FIELDS
from leadline.errors import InputError
from leadline.workbench.actors import Actor
from leadline.workbench.cursors import Slice, decode_cursor, encode_cursor, slice_rows
from leadline.workbench.journal.models import Line
from leadline.workbench.reports.access import SEARCHABLE, search_fields
from leadline.workbench.search import elsewhere
from leadline.workbench.search.index import first_of, holding
from leadline.workbench.search.kinds import TABLES
from leadline.workbench.search.models import Document, Progress
from leadline.workbench.search.query import Query, read_query
from leadline.workbench.search.table import Found, Table

FORM = 3  # of the index's rows; another one: all is made anew
KINDS = (*TABLES, *elsewhere.KINDS)
_EXACT, _WORDS = "exact", "words"


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind; `next` leads on in this kind."""

    kind: str
    found: list[Found]
    next: str | None = None


def find(actor: Actor, untrusted_text: str, *, kind: str = "", cursor: str = "", limit: int) -> list[Group]:
    """Of every kind that this person may see and that the query names, or of one; kinds with nothing are left out.

    A cursor belongs to one kind of one query; InputError where it is another one's.
    """
    query = read_query(untrusted_text)
    if cursor and not kind:
        raise InputError("a cursor goes on within one kind", where="cursor", mend="name its kind", code="cursor")
    if query.is_empty:
        return []
    asked = [name for name in KINDS if kind in ("", name) and _is_named(name, query) and _may(actor, name)]
    groups = [_group(actor, name, query, cursor, limit) for name in asked]
    return [group for group in groups if group.found]


def _is_named(kind: str, query: Query) -> bool:
    return not query.kinds or bool(query.kinds & {kind, _plural(kind)})


def _plural(kind: str) -> str:
    return "entries" if kind == "entry" else f"{kind}s"


def _may(actor: Actor, kind: str) -> bool:
    permission = TABLES[kind].permission if kind in TABLES else elsewhere.KINDS[kind].permission
    return actor.may(permission)


def _group(actor: Actor, kind: str, query: Query, cursor: str, limit: int) -> Group:
    scope = f"search:{kind}:{hashlib.sha256(repr(query).encode()).hexdigest()}"
    if kind in TABLES:
        return _of_table(actor, TABLES[kind], query, cursor, limit, scope)
    found, following = elsewhere.KINDS[kind].find(actor, query.text, cursor, limit, scope)
    return Group(kind, found, following)


# --- tables ----------------------------------------------------------------------------------------------------------


def _of_table(actor: Actor, table: Table, query: Query, cursor: str, limit: int, scope: str) -> Group:
    """First what the text names exactly, then what holds its words; the cursor says in which of the two it is."""
    stage, inner = _stage(cursor, scope)
    named, exact = table.exact(actor, query.text), []
    if stage == _EXACT:
        page = slice_rows(table.visible(actor).filter(named), table.order, inner, limit, scope)
        if page.next:
            return Group(table.name, table.show(page.rows), encode_cursor([_EXACT, page.next], scope))
        exact, inner = page.rows, ""
    documents, room = _documents(actor, table, query, named), limit - len(exact)
    if documents is None:
        return Group(table.name, table.show(exact))
    if not room:
        return Group(table.name, table.show(exact), encode_cursor([_WORDS, ""], scope) if documents.exists() else None)
    by_words = _page(documents, table.name, inner, room, scope)
    following = encode_cursor([_WORDS, by_words.next], scope) if by_words.next else None
    return Group(table.name, table.show([*exact, *_rows(actor, table, by_words.rows)]), following)


def _stage(cursor: str, scope: str) -> tuple[str, str]:
    if not cursor:
        return _EXACT, ""
    values = decode_cursor(cursor, scope)
    if len(values) != 2 or values[0] not in (_EXACT, _WORDS):
        raise InputError("not a cursor of this list", where="cursor", code="cursor")
    return values[0], values[1]


def _documents(actor: Actor, table: Table, query: Query, named: Q) -> QuerySet[Any] | None:
    """Those that hold the words, each asked of its own app in the same query; without what was named exactly."""
    wanted = table.ways(query)
    if not wanted or not is_ready():
        return None
    seen = table.visible(actor).order_by().exclude(named).filter(pk=OuterRef("object_id"))
    return holding(table.name, wanted).filter(Exists(seen))


def _page(documents: QuerySet[Any], kind: str, cursor: str, limit: int, scope: str) -> Slice:
    """As `slice_rows` cuts one, in the order that the documents come in: another one would sort all of them."""
    before = int(decode_cursor(cursor, scope)[0]) if cursor else None
    found = first_of(documents, kind, before, limit + 1)
    more = encode_cursor([found[limit - 1].pk], scope) if len(found) > limit else None
    return Slice(found[:limit], more)


def _rows(actor: Actor, table: Table, documents: Sequence[Document]) -> list[Any]:
    wanted = [document.object_id for document in documents]
    found = {row.pk: row for row in table.visible(actor).filter(pk__in=wanted)}
    return [found[one] for one in wanted if one in found]


# --- the index -------------------------------------------------------------------------------------------------------


def fields() -> tuple[str, ...]:
    """What goes into the index: what the settings name, without what the office does not search by at all."""
    off = set(SEARCHABLE) - set(search_fields())
    if "item" in off:
        off |= {"host", "note"}
    return tuple(name for name in SEARCH_FIELDS if name in settings.LEADLINE_SEARCH_FIELDS and name not in off)


def sealed_fields() -> tuple[str, ...]:
    """Those among them that are sealed elsewhere, and lie in the index in clear."""
    return tuple(name for name in fields() if SEARCH_FIELDS[name])


def made_for() -> str:
    """Names what the rows are made of; other kinds or fields, and all of it is made anew."""
    keyed = "+hosts" if "item" in search_fields() else ""
    return f"{FORM}:{','.join(TABLES)}:{','.join(fields())}{keyed}"


def is_ready() -> bool:
    """Whether words may be looked for: not while rows are there that were made for other fields."""
    progress = Progress.objects.first()
    return progress is not None and not progress.is_clearing and progress.made_for == made_for()


@dataclass(frozen=True, slots=True)
class Lag:
    """behind  lines of the journal that the index does not know; since  the moment of the first of them
    note       `never`, `clearing` or `filling` where it is being made, else nothing
    """

    behind: int
    since: datetime | None
    note: str = ""


def lag() -> Lag:
    progress = Progress.objects.first()
    head = Line.objects.order_by("-line").values_list("line", flat=True).first() or 0
    if progress is None:
        return Lag(head, None, "never")
    missed = Line.objects.filter(line__gt=progress.line).order_by("line").values_list("at", flat=True).first()
    since = datetime.fromisoformat(missed.replace("Z", "+00:00")).astimezone(UTC) if missed else None
    is_stale = progress.is_clearing or progress.made_for != made_for()
    return Lag(head - progress.line, since, "clearing" if is_stale else "filling" if progress.kind else "")
