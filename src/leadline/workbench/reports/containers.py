"""Foreign containers (mails, captures, chats, archives of these) -> their parts, read in the engine's sandbox only.

Nothing is fetched, shown or run. Bytes stay in memory and within bounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from leadline.errors import InputError, UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.keyring import DKIM_CHECK, pack_keys
from leadline.media.limits import Limits
from leadline.media.members import Member
from leadline.media.sniff import ARCHIVE_TYPES, CHAT_TYPES, CONTAINER_TYPES, REPORT_TYPES, sniff

MAX_TOTAL_BYTES = 1 << 29  # of all parts together, in memory
MAX_PARTS = 20_000
CHECK_TIMEOUT_S = 4.0  # of the signatures of a mail of ordinary size: see media.limits.Limits.timeout_s
_INSIDE = CHAT_TYPES | (REPORT_TYPES - {"message/rfc822"})  # what is opened again where an archive holds it
_NAME_CHARS = 300


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a container holds.

    role     file | headers | text | messages (media.members.Member)
    facts    what the container claims of it
    skipped  why there are no bytes of it: a code
    """

    name: str
    role: str
    facts: Mapping[str, str]
    data: bytes = field(repr=False)
    skipped: str = ""


@dataclass(slots=True)
class Reading:
    """What was read so far, and how it ended: `fault` is a code where the container was damaged or passed a limit."""

    parts: list[Part] = field(default_factory=list)
    total_bytes: int = 0
    fault: str = ""
    give_up_at: float = float("inf")  # by time.monotonic


def type_of(untrusted: bytes) -> str:
    return sniff(untrusted[:4096])


def read_container(untrusted: bytes, *, mime: str = "", give_up_at: float = float("inf")) -> Reading:
    """All parts of a container; captures and chats inside an archive are opened too, one level deep.

    mime        its type where content does not tell
    give_up_at  by time.monotonic: what was read until then is kept, and `fault` says too-slow
    Raises InputError where it is no container, and SandboxUnavailable.
    """
    mime = mime or type_of(untrusted)
    if mime not in CONTAINER_TYPES:
        raise InputError("no mail, capture, chat or archive of these", mend="check the file", code="no-container")
    reading = Reading(give_up_at=give_up_at)
    with Sandbox(Limits()) as sandbox:
        _read(sandbox, untrusted, mime, reading)
        if mime in ARCHIVE_TYPES:
            _read_inside(sandbox, reading)
    return reading


def _read_inside(sandbox: Sandbox, reading: Reading) -> None:
    outer, reading.parts = reading.parts, []
    for part in outer:
        inner = type_of(part.data) if part.role == "file" else ""
        if inner in _INSIDE or (inner == "application/gzip" and part.name.endswith(".warc.gz")):
            _read(sandbox, part.data, inner, reading)
        else:
            reading.parts.append(part)


def _read(sandbox: Sandbox, untrusted: bytes, mime: str, reading: Reading) -> None:
    try:
        sandbox.input_buffer(len(untrusted))[: len(untrusted)] = untrusted
        for member in sandbox.members(len(untrusted), from_fd=False, mime=mime):
            if time.monotonic() > reading.give_up_at:
                reading.fault = "too-slow"
                return
            reading.parts.append(_part(member, reading))
            if len(reading.parts) > MAX_PARTS:
                raise InputError("too many parts in one file", mend="send it in pieces", code="too-many-members")
    except UntrustedMediaError as error:
        reading.fault = error.code  # what could be read is kept


def _part(member: Member, reading: Reading) -> Part:
    name = member.name.decode("utf-8", "replace")[:_NAME_CHARS]
    if member.kind != "file":
        return Part(name, member.role, member.facts, b"", member.reason)
    data, fault = bytearray(), ""
    try:
        for chunk in member.chunks():
            data += chunk
            reading.total_bytes += len(chunk)
            if reading.total_bytes > MAX_TOTAL_BYTES:
                raise InputError("too large for one delivery", mend="send it in pieces", code="too-large")
    except UntrustedMediaError as error:
        fault = error.code
    return Part(name, member.role, member.facts, bytes(data), fault)


def texts_of(parts: list[Part]) -> Iterator[str]:
    for part in parts:
        if part.role == "text":
            yield part.data.decode("utf-8", "replace")


def check_dkim(untrusted_mail: bytes, records: Mapping[str, bytes]) -> tuple[str, str]:
    """pass | partial | fail | error, and the name of the record under which it holds; in a sandbox of its own.

    A mail whose signatures cannot be calculated in time is an error, and costs no more than that time.
    """
    untrusted = pack_keys(records, untrusted_mail)
    with Sandbox(Limits(timeout_s=CHECK_TIMEOUT_S)) as sandbox:
        try:
            sandbox.input_buffer(len(untrusted))[: len(untrusted)] = untrusted
            told = [member.facts for member in sandbox.members(len(untrusted), from_fd=False, mime=DKIM_CHECK)]
        except UntrustedMediaError:
            return "error", ""
    result, name = (told[0].get("dkim", ""), told[0].get("dkim_key", "")) if told else ("", "")
    is_known = result in ("fail", "error") or (result in ("pass", "partial") and name in records)
    return (result, name) if is_known else ("error", "")
