"""Custody events as lines of an append-only hash chain. Holds ids and codes only; stores nothing, asks no clock."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from leadline.custody import verify
from leadline.custody.canonical import encode_canonical
from leadline.custody.verify import GENESIS, MAX_LINE_BYTES, ChainFault, read_lines
from leadline.errors import CustodyFormatError

__all__ = [
    "GENESIS", "START", "ChainFault", "CustodyEvent", "Detail", "Head", "decode_line", "encode_line", "encode_withheld",
    "find_fault", "format_time", "next_event", "read_lines",
]  # fmt: skip

Detail = str | int | bool | Sequence[str | int | bool]
_FRAME_BYTES = 256  # what a line holds beside its body: two hashes, a number and their names
_NO_DETAILS: Mapping[str, Detail] = MappingProxyType({})


class Head(NamedTuple):
    """Where a chain stands: number and hash of its last line."""

    line: int
    hash: str


START = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class CustodyEvent:
    """One act: who did what to which object, when and why. CustodyFormatError names a field that may not be so.

    `line` counts from 1. `at` is UTC as 2026-01-31T23:59:59.123Z. `act`, `object_kind` and `reason` are codes
    ([a-z][a-z0-9.-]{0,63}); `actor` and `object_id` are ids ([A-Za-z0-9._:-]{1,128}); `details` holds ids, whole
    numbers, yes/no or lists of these. So neither evidence nor free text can enter. `salt` (32 hex digits, random)
    keeps a line that an exhibit withholds from being guessed by hashing likely contents. `body_hash` and `hash` (64 hex
    digits) are computed, once: `hash` binds number, previous hash and body, each under a mark of its own.
    """

    line: int
    at: str
    actor: str
    act: str
    object_kind: str
    object_id: str
    reason: str
    details: Mapping[str, Detail]
    previous_hash: str
    salt: str
    body_hash: str = field(init=False, repr=False, compare=False)
    hash: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            verify.check_number(self.line)
            verify.check_text("previous_hash", self.previous_hash, verify.HASH)
            verify.check_body(_body(self))
        except verify.Malformed as error:
            raise CustodyFormatError(str(error), where=f"custody line {self.line}", mend="use ids and codes") from None
        body = encode_canonical(_body(self))
        if len(body) > MAX_LINE_BYTES - _FRAME_BYTES:
            raise CustodyFormatError("too many details", where=f"custody line {self.line}", mend="write two events")
        body_hash = hashlib.sha256(verify.BODY_MARK + body).hexdigest()
        bound = encode_canonical({"line": self.line, "previous_hash": self.previous_hash, "body_hash": body_hash})
        object.__setattr__(self, "body_hash", body_hash)
        object.__setattr__(self, "hash", hashlib.sha256(verify.LINE_MARK + bound).hexdigest())

    @property
    def head(self) -> Head:
        return Head(self.line, self.hash)


def next_event(
    previous: CustodyEvent | Head | None,
    *,
    at: str,
    actor: str,
    act: str,
    object_kind: str,
    object_id: str,
    reason: str,
    details: Mapping[str, Detail] = _NO_DETAILS,
    salt: str | None = None,
) -> CustodyEvent:
    """The event that follows `previous` (None: the first). A time before the last one is taken as it is."""
    head = previous.head if isinstance(previous, CustodyEvent) else previous or START
    salt = secrets.token_hex(16) if salt is None else salt
    return CustodyEvent(
        head.line + 1, at, actor, act, object_kind, object_id, reason, details, head.hash, salt
    )  # fmt: skip


def format_time(moment: datetime) -> str:
    """UTC with milliseconds, cut and not rounded. Raises CustodyFormatError for a time without a zone."""
    if moment.tzinfo is None:
        raise CustodyFormatError("a time without a zone", mend="give it one")
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _body(event: CustodyEvent) -> dict[str, object]:
    details = {name: list(v) if isinstance(v, list | tuple) else v for name, v in event.details.items()}
    return {"details": details, **{name: getattr(event, name) for name in verify.BODY_FIELDS}}


def encode_line(event: CustodyEvent) -> bytes:
    """The whole line as a chain file and an exhibit hold it, with its hash and its line feed."""
    own = {"line": event.line, "previous_hash": event.previous_hash, "hash": event.hash}
    return encode_canonical(_body(event) | own) + b"\n"


def encode_withheld(event: CustodyEvent) -> bytes:
    """The line without its body: it still binds all lines before it, and the body can be shown later and checked."""
    return encode_canonical({"line": event.line, "body_hash": event.body_hash, "hash": event.hash}) + b"\n"


def decode_line(untrusted_line: bytes) -> CustodyEvent:
    """A whole line -> its event. Raises CustodyFormatError; whether it fits its chain is `find_fault`'s question."""
    try:
        value = verify.parse_json(untrusted_line.removesuffix(b"\n"))
        if not isinstance(value, dict) or set(value) != verify.SHOWN_FIELDS:
            raise verify.Malformed("fields missing or not known")
        own_hash = value.pop("hash")
    except verify.Malformed as error:
        raise CustodyFormatError(f"no custody line: {error}", mend="export the chain again") from None
    event = CustodyEvent(**value)
    if own_hash != event.hash:
        raise CustodyFormatError("its hash does not fit", where=f"custody line {event.line}", mend="verify the chain")
    return event


def find_fault(untrusted_lines: Iterable[bytes], start: Head = START) -> ChainFault | None:
    """The first wrong line and why, or None. Reads one line at a time; `start` is a head known to be right."""
    return verify.check_chain((line.removesuffix(b"\n") for line in untrusted_lines), (), start).fault
