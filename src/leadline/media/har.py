"""Web captures as HAR: the answers' content and what was sent, as members. Inside the sandbox only; fetches nothing.

Source: HTTP Archive 1.2 (w3c.github.io/web-performance/specs/HAR/Overview.html). Text content is what the browser
decoded, not the bytes of the wire, so exact hashes of text say little; base64 content is byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from leadline.media.json_events import first_text, read_events
from leadline.media.outlet import Counted, name_member, status_of
from leadline.media.transfer import Base64
from leadline.media.wire import Skipped, Status

_ENTRY = "log.entries.item"
_WANTED = {
    f"{_ENTRY}.{name}": name
    for name in (
        *("startedDateTime", "serverIPAddress", "request.url", "request.method", "response.status"),
        *("request.postData.mimeType", "request.postData.text", "request.postData.encoding"),
        *("response.content.mimeType", "response.content.text", "response.content.encoding"),
    )
}
_MAX_VALUES = 16  # of one key that comes more than once
_SLICE = 1 << 22


@dataclass(slots=True)
class _Entry:
    values: dict[str, list[object]] = field(default_factory=dict)

    def add(self, name: str, value: object) -> None:
        values = self.values.setdefault(name, [])
        if len(values) < _MAX_VALUES:
            values.append(value)

    def get(self, name: str) -> str:
        return first_text(self.values.get(name, ()))


def unpack_har(source: BinaryIO, out: Counted) -> Status:
    """What each request sent, where it sent something, and what each answer held; an answer kept empty is `absent`."""
    entry = _Entry()
    has_log = False
    try:
        for place, kind, value in read_events(source):
            has_log = has_log or place == "log.entries"
            if name := _WANTED.get(place):
                entry.add(name, value)
            elif place == _ENTRY and kind == "end_map":
                _tell(entry, out)
                entry = _Entry()
    except (EOFError, ValueError) as error:  # half an entry does not say how its content is written
        return status_of(error)
    return Status.OK if has_log else Status.UNSUPPORTED


def _tell(entry: _Entry, out: Counted) -> None:
    facts = {
        "format": "har",
        "role": "file",
        "url": entry.get("request.url"),
        "time": entry.get("startedDateTime"),
        "method": entry.get("request.method"),
        "ip_address": entry.get("serverIPAddress").strip("[]"),
    }
    if entry.values.get("request.postData.text"):
        sent = facts | {"direction": "request", "mime": entry.get("request.postData.mimeType")}
        _tell_content(entry, "request.postData", sent, out)
    status = entry.get("response.status")
    got = facts | {"direction": "response", "http_status": status, "mime": entry.get("response.content.mimeType")}
    _tell_content(entry, "response.content", got, out)


def _tell_content(entry: _Entry, where: str, facts: dict[str, str], out: Counted) -> None:
    name = name_member(facts["url"] or "entry")
    texts = [text for text in entry.values.get(f"{where}.text", ()) if isinstance(text, str) and text]
    if not texts:
        out.begin(name, 0, Status.ABSENT, facts)
    is_base64 = entry.get(f"{where}.encoding").lower() == "base64"
    for text in texts:
        size_bytes = len(text) * 3 // 4 - text[-2:].count("=") if is_base64 else len(text)
        if out.begin(name, size_bytes, Status.OK, facts):
            _write(text, is_base64, out)


def _write(text: str, is_base64: bool, out: Counted) -> None:
    decoder = Base64()
    try:
        for at in range(0, len(text), _SLICE):
            piece = text[at : at + _SLICE].encode("utf-8", "replace")
            out.write(decoder.feed(piece) if is_base64 else piece)
        out.write(decoder.finish())
        out.end(Status.UNDECODABLE if decoder.is_odd else Status.OK)
    except Skipped:
        pass
