"""`/ncmec/BANK/v2`: a published bank as clients of NCMEC's hash sharing read lists. Decides nothing, tells no TLP:RED.

A range of time is a range of rows of the journal (told.py). What changes while its pages are read leaves the range
and stands in the next one, so that no page moves and nothing is missed.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from xml.parsers import expat

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from leadline.errors import BankLocked, RequestRefused
from leadline.match.admission import MAX_ID
from leadline.match.bank import Bank
from leadline.match.readers import GONE
from leadline.match.records import I64
from leadline.match.snapshot import Snapshot
from leadline.service.endpoints import demand, desk_of
from leadline.service.ncmec_xml import (
    FINGERPRINTS,
    PUBLISHER,
    moment,
    tell_rows,
    write_document,
    write_feedback,
    write_member,
    write_page,
    write_reason,
)
from leadline.service.publications import Published
from leadline.service.publishing import find_published
from leadline.service.subscribers import member_number
from leadline.service.tokens import Scope, Token
from leadline.service.told import Rows

PREFIX = "/ncmec/"
PAGE = 1000
_XML = "application/xml"
_BODY_BYTES = 16_384
_SLICE = 65_536  # rows looked at in one go for those that still count
_REASON_NAMES = ("not of the kind of this list", "benign file", "meets unrelated files", "wrong classification")
_TYPES = {name: kind for kind, (_, _, name) in FINGERPRINTS.items()}
REASONS = {
    kind: {str(uuid.uuid5(uuid.NAMESPACE_URL, f"leadline:feedback:{kind}:{name}")): name for name in _REASON_NAMES}
    for kind in _TYPES
}  # static, as readers expect it
T = TypeVar("T")
log = logging.getLogger("leadline.service")


@dataclass(frozen=True, slots=True)
class Place:
    """What a subscriber asks of: its token, the bank, and what lies beside it."""

    token: Token
    bank: Bank
    published: Published

    @property
    def publisher(self) -> str:
        """Our name as a member: who made the list, else what it is called."""
        return self.bank.snapshot.manifest.source or self.bank.name


def _find(request: Request) -> Place:
    call, desk = demand(request, Scope.SUBSCRIBE), desk_of(request)
    publication, bank = find_published(desk, call.token, request.path_params["name"])
    return Place(call.token, bank, desk.publications.of(publication, bank))


async def _in_thread(request: Request, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(desk_of(request).clerks, work)


def _tell(document: bytes) -> Response:
    return Response(document, headers={"cache-control": "no-store"}, media_type=_XML)


async def status(request: Request) -> Response:
    """Who the asker is here: the name of its token, under a number that outlives the token."""
    place, client = _find(request), request.client
    name = place.token.name
    who = write_member(member_number(name), name)
    address = client.host if client else ""
    return _tell(write_document("status", f"<ipAddress>{address}</ipAddress><username>{name}</username>{who}"))


async def members(request: Request) -> Response:
    """The publisher, and the asker: who else subscribes is not told."""
    place = _find(request)
    name = place.token.name
    told = write_member(PUBLISHER, place.publisher) + write_member(member_number(name), name)
    return _tell(write_document("members", told))


async def reasons(request: Request) -> Response:
    _find(request)
    kind = _type_of(request)
    told = "".join(write_reason(guid, name, kind) for guid, name in REASONS[kind].items())
    return _tell(write_document("availableFeedbackReasons", told))


# --- entries ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """Times in seconds since 1970, the first exclusive; start: of its rows, from 1."""

    after: int
    until: int | None
    start: int = 1
    size: int = PAGE


async def entries(request: Request) -> Response:
    place, asked = _find(request), _read_range(request.query_params)
    return _tell(await _in_thread(request, lambda: _page(place, asked)))


def _page(place: Place, asked: Range) -> bytes:
    """RequestRefused for a range that is not over yet: rows may still come to it."""
    rows, safe_until = _read_journal(place)
    until = safe_until if asked.until is None else asked.until
    if until > safe_until:
        mend = "set the clock right, or ask until now"
        raise RequestRefused("a time that has not come", where="to", mend=mend, code="range")
    first, end = rows.range_of(asked.after, until)
    chosen, follows = _choose(rows, first + asked.start - 1, end, asked.size)
    told = list(_contents(place, rows, chosen))
    next_page = ""
    if follows < end:
        span = f"from={moment(asked.after)}&to={moment(until)}"
        next_page = f"/v2/entries?{span}&start={follows - first + 1}&size={asked.size}&max={end - first}"
    said = place.published.subscribers.feedback_of(place.token, [entry_id for entry_id, *_ in told])
    who = write_member(member_number(place.token.name), place.token.name)
    feedback = {entry_id: write_feedback(who, given, REASONS) for entry_id, given in said.items()}
    if not next_page:
        _note_read(place, until, int(np.count_nonzero(rows.is_latest[first:end])))
    return write_page(told, place.publisher, feedback, next_page)


def _read_journal(place: Place) -> tuple[Rows, int]:
    """Rows, with the bank at least as new as they are. BankLocked while the first of them are being written."""
    journal, bank = place.published.journal, place.bank
    rows, safe_until = journal.read()
    if journal.version > bank.list_version:  # another worker was faster
        bank.refresh()
    if bank.snapshot.manifest.identity not in journal.rule:
        raise BankLocked("the bank is being published", where=bank.name, mend="retry in a moment")
    return rows, safe_until


def _choose(rows: Rows, at: int, end: int, size: int) -> tuple[I64, int]:
    """The next `size` rows from `at` on that no later row has replaced, and where the page after them begins."""
    found: list[I64] = []
    count = 0
    while at < end and count < size:
        stop = min(end, at + _SLICE)
        latest = at + np.flatnonzero(rows.is_latest[at:stop])[: size - count]
        count += len(latest)
        at = int(latest[-1]) + 1 if count == size else stop
        found.append(latest)
    return np.concatenate([np.empty(0, np.int64), *found]), at


def _contents(place: Place, rows: Rows, chosen: I64) -> Iterator[tuple[int, int, int, str]]:
    """As entries are now: what may not leave any more is passed over here, and told to be gone in a later range."""
    bodies = _bodies(place, np.sort(rows.ids[chosen[(rows.states[chosen] & GONE) == 0]]))
    for entry_id, state, at in zip(
        rows.ids[chosen].tolist(), rows.states[chosen].tolist(), rows.at[chosen].tolist(), strict=True
    ):
        if state & GONE:
            yield entry_id, state, at, ""
        elif entry_id in bodies:
            yield entry_id, *bodies[entry_id][:1], at, bodies[entry_id][1]


def _bodies(place: Place, ids: I64) -> Mapping[int, tuple[int, str]]:
    snapshot = place.bank.snapshot
    floor, now = snapshot.manifest.quality_floor, place.bank.now()
    found = {}
    for records, rows in _rows_of(snapshot, ids):
        for told in tell_rows(records, rows, place.published.publication, floor, now):
            found[told.entry_id] = told.state, told.body
    return found


def _rows_of(snapshot: Snapshot, ids: I64) -> Iterator[tuple[Any, I64]]:
    for table in snapshot.tables:
        rows = table.records.find_rows(ids)
        yield table.records, table.alive_of(rows[rows >= 0])


def _note_read(place: Place, until: int, count: int) -> None:
    try:
        place.published.subscribers.note_read(place.token, until, count)
    except OSError as error:
        log.warning("a subscriber's reading was not noted: %s", error.strerror)


def _read_range(query: Mapping[str, str]) -> Range:
    after = max(0, _time(query, "from") or 0)
    size = _number(query, "size", PAGE)
    _number(query, "max", 1)  # ours to tell, and nothing to go by
    return Range(after, _time(query, "to"), _number(query, "start", 1), min(size, PAGE))


def _time(query: Mapping[str, str], name: str) -> int | None:
    """Whole seconds; nothing where it is not given."""
    text = query.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() // 1)
    except (ValueError, OverflowError):
        raise RequestRefused("not a time", where=name, mend="2026-01-31T12:00:00Z", code="range") from None


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) > 0):
        raise RequestRefused("not a number", where=name, mend="a whole number from 1 on", code="range")
    return int(text)


# --- feedback --------------------------------------------------------------------------------------------------------


async def give_feedback(request: Request) -> Response:
    """It is written down beside the bank for a person to look at, and changes nothing by itself."""
    call, place = demand(request, Scope.SUBSCRIBE), _find(request)
    kind, entry_id = _type_of(request), request.path_params["id"]
    given = read_feedback(await call.body(_BODY_BYTES), kind)
    await _in_thread(request, lambda: _keep_feedback(place, request.path_params["member"], entry_id, kind, given))
    return Response(status_code=204)


def _keep_feedback(place: Place, member: str, entry_id: int, kind: str, given: tuple[str, ...]) -> None:
    is_ours = member == str(PUBLISHER) and entry_id <= MAX_ID
    found = _bodies(place, np.array([entry_id], np.int64)) if is_ours else {}
    _, tag, _ = FINGERPRINTS[_TYPES[kind]]
    if entry_id not in found or f"<{tag}>" not in found[entry_id][1]:
        mend = "GET .../v2/entries tells which there are"
        raise RequestRefused("no such entry, or no such fingerprint of it", status=404, mend=mend, code="no-entry")
    place.published.subscribers.give_feedback(place.token, entry_id, kind, given)


def _type_of(request: Request) -> str:
    kind: str = request.path_params["type"]
    if kind not in _TYPES:
        raise RequestRefused("no such type of fingerprint", where="type", mend=f"one of {', '.join(_TYPES)}")
    return kind


def read_feedback(untrusted: bytes, kind: str) -> tuple[str, ...]:
    """The reasons of a `feedbackSubmission`; none where it affirms. RequestRefused for anything else."""
    tags: list[str] = []
    guids: list[str] = []

    def begin(name: str, _attributes: Any) -> None:
        tags.append(name.rpartition("}")[2])
        if tags[-1] == "guid":
            guids.append("")

    def text(data: str) -> None:
        if guids and tags[-1] == "guid":
            guids[-1] += data

    try:
        _parse(untrusted, begin, text)
    except expat.ExpatError:
        raise RequestRefused("not XML", status=400, mend="send a feedbackSubmission") from None
    chosen = tuple(guid.strip().lower() for guid in guids)
    if tags == ["feedbackSubmission", "affirmative"]:
        return ()
    if tags == ["feedbackSubmission", "negative", "reasonIds"] + ["guid"] * len(chosen) and chosen:
        if set(chosen) <= REASONS[kind].keys():
            return tuple(dict.fromkeys(chosen))
        raise RequestRefused("no such reason", where="guid", mend=f"GET .../v2/feedback/{kind}/reasons lists them")
    raise RequestRefused("not a feedbackSubmission", mend="<affirmative/>, or <negative> with <reasonIds>")


def _parse(untrusted: bytes, begin: Callable[[str, Any], None], text: Callable[[str], None]) -> None:
    """No document type, so that no entity can be defined."""

    def refuse(*_arguments: Any) -> None:
        raise RequestRefused("a document type is not read", status=400, mend="send XML without it")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.CharacterDataHandler = begin, text
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(untrusted, True)


ROUTES = [
    Route("/ncmec/{name}/v2/status", status, name="ncmec-status", methods=["GET"]),
    Route("/ncmec/{name}/v2/members", members, name="ncmec-members", methods=["GET"]),
    Route("/ncmec/{name}/v2/entries", entries, name="ncmec-entries", methods=["GET"]),
    Route("/ncmec/{name}/v2/feedback/{type}/reasons", reasons, name="ncmec-reasons", methods=["GET"]),
    Route(
        "/ncmec/{name}/v2/entries/{member}/{id:int}/{type}/feedback",
        give_feedback,
        name="ncmec-feedback",
        methods=["PUT"],
    ),
]
