"""Every operation of the service's own API, as its document tells it. Answers nothing itself."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import msgspec

from leadline.client import packed
from leadline.domain import Isolation, Kind, PdqFamily, Tlp, Verdict
from leadline.service import curating, duty, entries, matching, ncmec, signed_feed
from leadline.service.alarms import Alarm
from leadline.service.answers import Fault, Met, MetFully
from leadline.service.openapi import JSON, Content, Operation, Parameter, make_document
from leadline.service.settings import BankSettings
from leadline.service.shelving import NewBank
from leadline.service.tokens import Scope

_MD5 = "0123456789abcdef0123456789abcdef"
_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"text/plain": Content({"type": "string"})}
_XML = {"application/xml": Content({"type": "string"})}
Lists = dict[str, Annotated[int, msgspec.Meta(ge=0)]]


# --- what is told, where the code that tells it builds it field by field ---------------------------------------------


# Without the scope `details` a match is `Met`, with it `MetFully`.
Matches = Annotated[
    list[Any],
    msgspec.Meta(extra_json_schema={
        "items": {"anyOf": [{"$ref": "#/components/schemas/Met"}, {"$ref": "#/components/schemas/MetFully"}]},
    }),
]  # fmt: skip


class LookUps(matching.Asked, frozen=True):
    """hashes: 1 to 10,000. banks: names; left out: all. radius: 0..64 bits, scope `details`; left out: each bank's own.
    seed: makes the roll-out ratio of banks decide in the same way each time."""


class Answer(msgspec.Struct, omit_defaults=True):
    """Of one hash: `matches` (also where there are none), or `error`: then it was no hash and was not looked up."""

    matches: Matches = []
    truncated: bool = False
    reasons: list[str] = []
    error: Fault | None = None


class Answers(msgspec.Struct):
    """answers: one for each hash, in order. lists: name -> version of the banks that were asked."""

    answers: list[Answer]
    lists: Lists


class HashedFile(msgspec.Struct, omit_defaults=True):
    """Digests always stand. error: why its picture could not be decoded."""

    size: int
    md5: str
    sha1: str
    sha256: str
    mime: str | None
    width: int | None
    height: int | None
    pdq: str | None
    quality: int | None
    pdq_family: PdqFamily | None
    partial: bool
    isolation: Isolation
    notes: list[str]
    name: str = ""
    error: Fault | None = None


class HashedFiles(msgspec.Struct):
    files: list[HashedFile]


class ScannedFile(HashedFile, kw_only=True):
    verdict: Verdict
    kind: Kind | None
    reasons: list[str]
    matches: Matches
    truncated: bool


class ScannedFiles(msgspec.Struct):
    files: list[ScannedFile]
    lists: Lists


class Readiness(msgspec.Struct):
    ready: bool
    reasons: list[str]
    warnings: list[str]
    lists: Lists


class Alarms(msgspec.Struct):
    alarms: list[Alarm]


class ToldBank(msgspec.Struct, omit_defaults=True):
    """What stands below `list_version` is not for tokens that only match."""

    name: str
    kind: Kind
    entries: int
    list_version: int
    radius: int = 0
    quality_floor: int = 0
    source: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    licence: str = ""
    created: int = 0
    settings: BankSettings | None = None
    fault: str | None = None


class BankPage(msgspec.Struct):
    """next: to go on from; null at the end."""

    banks: list[ToldBank]
    next: str | None


class MadeBank(msgspec.Struct):
    name: str
    kind: Kind
    list_version: int


class Refusal(msgspec.Struct):
    """index: which of those that were sent, from 0."""

    index: int
    code: str
    reason: str


class NewEntry(entries.NewEntry, frozen=True, kw_only=True):
    """kind, tlp: left out, the bank's. source: left out, the id of the token. radius: of a false-positive entry, how
    many bits around it it acts."""

    metadata: dict[str, Any] | None = None  # type: ignore[assignment]


class AddedEntries(msgspec.Struct):
    """ids: of each that was sent; null where it was refused."""

    bank: str
    list_version: int
    asked: int
    added: int
    ids: list[int | None]
    refused: list[Refusal]


class RemovedEntries(msgspec.Struct):
    """found: how many of those that were sent name an entry. ids: of the entries that are gone."""

    bank: str
    list_version: int
    asked: int
    found: int
    removed: int
    ids: list[int]
    refused: list[Refusal]


class KeptEntry(msgspec.Struct):
    id: int
    kind: Kind
    hashes: dict[str, str | int | None]
    tlp: Tlp
    label: str
    scheme: str
    source: str
    source_id: str
    licence: str
    note: str
    disabled_until: int
    first_seen: int
    last_seen: int
    metadata: Any
    added: int
    radius: int


class EntryPage(msgspec.Struct):
    """next: to go on from; null at the end."""

    entries: list[KeptEntry]
    next: int | None


# --- examples --------------------------------------------------------------------------------------------------------

_MET = {"bank": "known", "kind": "illegal"}
_MET_FULLY = {
    "bank": "known", "kind": "illegal", "entry": 7, "algorithm": "pdq", "distance": 12, "transform": "rotate90",
    "view": "picture", "threshold": 31, "list_version": 41, "scheme": "", "label": "", "family": "b",
    "suppressed_by": None, "flooding": False,
}  # fmt: skip
_FILE = {
    "name": "upload", "size": 48211, "md5": _MD5, "sha1": _MD5 + _MD5[:8], "sha256": _MD5 * 2, "mime": "image/jpeg",
    "width": 1024, "height": 768, "pdq": _MD5 * 2, "quality": 100, "pdq_family": "b", "partial": False,
    "isolation": "file", "notes": [],
}  # fmt: skip
_ENTRY = {"hashes": {"md5": _MD5, "pdq": _MD5 * 2, "quality": 100}, "label": "A", "scheme": "uk"}
_BANK_TOLD = {"name": "known", "kind": "illegal", "entries": 12843, "list_version": 41}
_ALARM = {
    "id": "3f1c9a7702b6e5d4", "kind": "flood", "subject": "known/7", "facts": {"bank": "known", "entry": 7},
    "raised": 1767225600, "last": 1767225660,
}  # fmt: skip


# --- parameters ------------------------------------------------------------------------------------------------------

_BANK = Parameter("name", "path", "Name of a bank.", {"type": "string", "minLength": 1, "maxLength": 100}, "known")
_ID = Parameter("id", "path", "Number of an entry.", {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}, 7)
_ALARM_ID = Parameter("id", "path", "Of the alarm.", {"type": "string", "pattern": "^[0-9a-f]{16}$"}, _ALARM["id"])
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_LIMIT = Parameter("limit", "query", "Of one page.", {"type": "integer", "minimum": 1, "maximum": 1000})
_BANKS = (
    "`details`, `curate` or `admin` will do as well as `match`, and tell also radius, floor, source, settings and "
    "faults, and the banks that no answer names."
)
_ON_SHARDS = "409 `id-twice`: two shards have different entries of this id. docs/scale.md says how that comes."
_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "The same request under the same key is made once, and answered the same for seven days.",
    {"type": "string", "pattern": "^[!-~]{1,200}$"},
    "3c1de1f2",
)
_FILES = {"type": "object", "additionalProperties": _BINARY, "minProperties": 1}
_UPLOADS = {"application/octet-stream": Content(_BINARY), "multipart/form-data": Content(_FILES)}
_PLACES = (
    Parameter("banks", "query", "Names, comma between; left out: all.", {"type": "string"}, "known"),
    Parameter("radius", "query", "Bits; scope `details`.", {"type": "integer", "minimum": 0, "maximum": 64}),
    Parameter("seed", "query", "Makes the ratios of banks decide the same each time.", {"type": "string"}),
)


_PUBLISHED = Parameter("name", "path", "Name of a published bank.", {"type": "string", "minLength": 1}, "known")
_MEMBER = Parameter("member", "path", "Number of the member whose entry it is.", {"type": "integer", "minimum": 1}, 1)
_FILE_NAME = Parameter("file", "path", "As the files before it name it.", {"type": "string"}, "timestamp.json")
_SUBSCRIBER = Parameter("subscriber", "path", "Id made of its keys.", {"type": "string"}, "0" * 32)
_AS_FEED = "docs/feed.md says what is signed by whom. Anything that is no file of a published feed is 404."
_TYPE = Parameter("type", "path", "Of fingerprint.", {"type": "string", "enum": sorted(ncmec.REASONS)}, "MD5")
_AS_NCMEC = "As clients of NCMEC's hash sharing v2 expect it; the token may be the password of Basic authentication."
_FEEDBACK = "<feedbackSubmission><affirmative/></feedbackSubmission>"


def _json(schema: Any, example: Any = None) -> dict[str, Content]:
    return {JSON: Content(schema, example)}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST", "/v1/match", "match", "Look up 1 to 10,000 hashes", (Scope.MATCH,),
        {200: {
            **_json(Answers, {"answers": [{"matches": [_MET]}, {"matches": []}], "lists": {"known": 41}}),
            packed.ANSWER_TYPE: Content(_BINARY),
        }},
        {
            **_json(LookUps, {"hashes": [_MD5, {"hash": _MD5 * 2, "algorithm": "pdq", "quality": 90}]}),
            packed.REQUEST_TYPE: Content(_BINARY),
        },
        problems=(404,),
        meaning="Matches hold distance and entry where the token has the scope `details`. docs/service.md has the "
        "packed form.",
    ),
    Operation(
        "GET", "/v1/match", "look-up", "Look up one hash", (Scope.MATCH,),
        {200: _json(Answers, {"answers": [{"matches": [_MET]}], "lists": {"known": 41}})},
        parameters=(Parameter("hash", "query", "As in a list by POST.", {"type": "string"}, _MD5, True), *_PLACES),
        problems=(404, 422),
        meaning="The answer is that of a list of one. A hash in an address may stand in the log of a proxy: ask by "
        "POST where it must not.",
    ),
    Operation(
        "POST", "/v1/hash", "hash", "Hash one file, or the files of a form", (Scope.HASH,),
        {200: _json(HashedFiles, {"files": [_FILE]})}, _UPLOADS, problems=(415, 501),
    ),
    Operation(
        "POST", "/v1/scan", "scan", "Hash files and look them up", (Scope.HASH, Scope.MATCH),
        {200: _json(ScannedFiles, {
            "files": [{
                **_FILE, "verdict": "known", "kind": "illegal", "reasons": [], "matches": [_MET_FULLY],
                "truncated": False,
            }],
            "lists": {"known": 41},
        })},
        _UPLOADS, _PLACES, problems=(404, 415, 501),
    ),
    Operation(
        "GET", "/v1/banks", "banks", "Which banks there are", (Scope.MATCH,),
        {200: _json(BankPage, {"banks": [_BANK_TOLD], "next": None})},
        parameters=(Parameter("after", "query", "`next` of the page before.", {"type": "string"}), _LIMIT),
        problems=(422,), meaning=_BANKS,
    ),
    Operation(
        "GET", "/v1/banks/{name}", "bank", "One bank", (Scope.MATCH,), {200: _json(ToldBank, _BANK_TOLD)},
        parameters=(_BANK,), problems=(404,), meaning=_BANKS,
    ),
    Operation(
        "POST", "/v1/banks", "bank-make", "Make a bank", (Scope.CURATE,),
        {201: _json(MadeBank, {"name": "known", "kind": "illegal", "list_version": 0})},
        _json(NewBank, {"name": "known", "kind": "illegal"}), (_KEY,), problems=(409, 501),
    ),
    Operation(
        "GET", "/v1/banks/{name}/settings", "bank-settings", "What the service does with a bank", (Scope.ADMIN,),
        {200: _json(BankSettings, {"enabled": True, "ratio": 1.0, "shadow": False})}, parameters=(_BANK,),
        problems=(404,),
    ),
    Operation(
        "PUT", "/v1/banks/{name}/settings", "bank-settings-set", "Set all of it", (Scope.ADMIN,),
        {200: _json(BankSettings, {"enabled": True, "ratio": 0.1, "shadow": False})},
        _json(BankSettings, {"ratio": 0.1}), (_BANK,), problems=(404,),
    ),
    Operation(
        "GET", "/v1/banks/{name}/entries", "entries", "Entries by id", (Scope.CURATE, Scope.DETAILS),
        {200: _json(EntryPage)},
        parameters=(
            _BANK,
            Parameter("after", "query", "`next` of the page before.", _NUMBER),
            _LIMIT,
        ),
        problems=(404, 422),
    ),
    Operation(
        "POST", "/v1/banks/{name}/entries", "entries-add", "Add 1 to 10,000 entries", (Scope.CURATE,),
        {200: _json(AddedEntries, {
            "bank": "known", "list_version": 42, "asked": 1, "added": 1, "ids": [8], "refused": [],
        })},
        _json({
            "type": "object", "required": ["entries"], "additionalProperties": False,
            "properties": {"entries": {
                "type": "array", "minItems": 1, "maxItems": 10_000, "items": {"$ref": "#/components/schemas/NewEntry"},
            }},
        }, {"entries": [_ENTRY]}),
        (_BANK, _KEY), problems=(404, 409),
        meaning="What is no entry is refused by itself and costs no other.",
    ),
    Operation(
        "GET", "/v1/banks/{name}/entries/{id}", "entry", "One entry", (Scope.CURATE, Scope.DETAILS),
        {200: _json(KeptEntry)}, parameters=(_BANK, _ID), problems=(404, 409), meaning=_ON_SHARDS,
    ),
    Operation(
        "PATCH", "/v1/banks/{name}/entries/{id}", "entry-change", "Change an entry", (Scope.CURATE, Scope.DETAILS),
        {200: _json(KeptEntry)}, _json(entries.EntryChange, {"disabled_until": 1767225600}), (_BANK, _ID, _KEY),
        problems=(404, 409), meaning=_ON_SHARDS,
    ),
    Operation(
        "POST", "/v1/banks/{name}/remove", "entries-remove", "Remove entries by ids, or by hashes", (Scope.CURATE,),
        {200: _json(RemovedEntries, {
            "bank": "known", "list_version": 43, "asked": 1, "found": 1, "removed": 1, "ids": [8], "refused": [],
        })},
        _json(curating.Removals, {"ids": [8]}), (_BANK, _KEY), problems=(404, 409), meaning=_ON_SHARDS,
    ),
    Operation(
        "GET", "/v1/changes", "changes", "Hear when a bank changes", (Scope.MATCH,),
        {200: {"text/event-stream": Content({"type": "string"})}},
        parameters=(Parameter(
            "Last-Event-ID", "header", "`id` of the last event that was heard: only what came after it is told.",
            {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"},
        ),),
        meaning="Server-sent events without an end: `change` with bank, list_version and entries (first of each bank "
        "as it is), `gone` with bank. A comment every 15 seconds says that the service is there.",
    ),
    Operation(
        "GET", "/v1/alarms", "alarms", "What a person is asked to look at", (Scope.ADMIN,),
        {200: _json(Alarms, {"alarms": [_ALARM]})},
        parameters=(Parameter("open", "query", "1: those that nobody has decided about.", {"type": "string"}),),
    ),
    Operation(
        "POST", "/v1/alarms/{id}/acknowledge", "alarm-acknowledge", "What a person found", (Scope.ADMIN,),
        {200: _json(Alarm, {**_ALARM, "decided": "real", "decided_by": "k3f7q2ab", "decided_at": 1767225700})},
        _json(duty.Acknowledgement, {"decided": "real"}), (_ALARM_ID,), problems=(404,),
    ),
    Operation(
        "GET", "/ncmec/{name}/v2/status", "ncmec-status", "Who the token is", (Scope.SUBSCRIBE,), {200: _XML},
        parameters=(_PUBLISHED,), problems=(404,), meaning=_AS_NCMEC,
    ),
    Operation(
        "GET", "/ncmec/{name}/v2/members", "ncmec-members", "The publisher, and who asks", (Scope.SUBSCRIBE,),
        {200: _XML}, parameters=(_PUBLISHED,), problems=(404,), meaning=_AS_NCMEC,
    ),
    Operation(
        "GET", "/ncmec/{name}/v2/entries", "ncmec-entries", "What changed in a time, page by page",
        (Scope.SUBSCRIBE,), {200: _XML},
        parameters=(
            _PUBLISHED,
            Parameter("from", "query", "Exclusive.", {"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
            Parameter(
                "to", "query", "Inclusive; left out: now. A time that has not come is refused.",
                {"type": "string", "format": "date-time"},
            ),
            *(
                Parameter(name, "query", "As in `next` of the page before.", {"type": "integer", "minimum": 1})
                for name in ("start", "size", "max")
            ),
        ),
        problems=(404, 422), meaning=_AS_NCMEC,
    ),
    Operation(
        "GET", "/ncmec/{name}/v2/feedback/{type}/reasons", "ncmec-reasons", "What negative feedback may say",
        (Scope.SUBSCRIBE,), {200: _XML}, parameters=(_PUBLISHED, _TYPE), problems=(404, 422), meaning=_AS_NCMEC,
    ),
    Operation(
        "PUT", "/ncmec/{name}/v2/entries/{member}/{id}/{type}/feedback", "ncmec-feedback",
        "What a subscriber found of a fingerprint", (Scope.SUBSCRIBE,), {204: {}},
        {"application/xml": Content({"type": "string"}, _FEEDBACK)}, (_PUBLISHED, _MEMBER, _ID, _TYPE),
        problems=(404,), meaning=_AS_NCMEC,
    ),
    Operation(
        "GET", "/feed/{name}/metadata/{file}", "feed-metadata", "A signed file of a Leadline feed", (Scope.SUBSCRIBE,),
        {200: _json({"type": "object"})}, parameters=(_PUBLISHED, _FILE_NAME), problems=(404,), meaning=_AS_FEED,
    ),
    Operation(
        "GET", "/feed/{name}/targets/{subscriber}/{file}", "feed-contents", "Contents, encrypted to one subscriber",
        (Scope.SUBSCRIBE,), {200: {"application/octet-stream": Content(_BINARY)}},
        parameters=(_PUBLISHED, _SUBSCRIBER, _FILE_NAME), problems=(404,), meaning=_AS_FEED,
    ),
    Operation(
        "POST", "/feed/{name}/receipts", "feed-receipt", "A subscriber's word that it applied a state",
        (Scope.SUBSCRIBE,), {200: _json(signed_feed.Taken, {"taken": True})},
        {JSON: Content({"type": "object"}, {"signed": {"serial": 7}, "signature": "00" * 64})}, (_PUBLISHED,),
        problems=(404,), meaning=_AS_FEED,
    ),
    Operation("GET", "/healthz", "healthz", "Is the process alive?", None, {200: _TEXT}),
    Operation(
        "GET", "/readyz", "readyz", "Are answers as new as the lists?", None,
        {
            200: _json(Readiness, {"ready": True, "reasons": [], "warnings": [], "lists": {"known": 41}}),
            503: _json(Readiness, {
                "ready": False, "reasons": ["known: bank-corrupt"], "warnings": [], "lists": {"known": 41},
            }),
        },
    ),
    Operation("GET", "/metrics", "metrics", "Metrics of Prometheus", (Scope.ADMIN,), {200: _TEXT}),
    Operation("GET", "/v1/openapi.json", "openapi", "This document", None, {200: _json({"type": "object"})}),
)  # fmt: skip
TYPES = (Met, MetFully, NewEntry)  # told or read item by item, so that no body's own type names them


@cache
def document() -> bytes:
    return msgspec.json.encode(make_document(OPERATIONS, TYPES))
