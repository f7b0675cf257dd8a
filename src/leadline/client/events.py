"""Server-sent events of `GET /v1/changes`: lines in, changes of banks out. Connects to nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from leadline.client.plans import Plan
from leadline.client.problems import decode
from leadline.client.records import Change
from leadline.errors import AnswerBroken, RequestRefused

PATH = "/v1/changes"
WHERE = f"GET {PATH}"
SILENCE_S = 45.0  # the service says every 15 seconds that it is still there
PLAN: Plan[None] = Plan("GET", PATH, lambda plan, reply: None)  # for the rules of repeating
_ID = re.compile(r"[A-Za-z0-9_=-]*")
_KINDS = ("change", "gone")


class _Told(msgspec.Struct):
    bank: str
    list_version: int | None = None
    entries: int | None = None


class Reader:
    """Of one connection (the WHATWG's form of event streams, as far as the service uses it)."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Change | None:
        """A change where this line, without its end, completes one. AnswerBroken for one that cannot be read."""
        if line:
            name, _, value = line.partition(":")
            if name:  # else it is a comment: the service is alive
                self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        kind = fields.get("event", "")
        if kind not in _KINDS or "data" not in fields or "id" not in fields:
            if fields:
                raise AnswerBroken("an event that is none of ours", where=WHERE)
            return None
        told = decode(fields["data"].encode(), _Told, WHERE)
        return Change(told.bank, fields["id"], kind == "gone", told.list_version, told.entries)


def headers_after(last: str) -> dict[str, str]:
    if not _ID.fullmatch(last):
        raise RequestRefused("not the id of a change", where="after", mend="give `id` of one that was heard")
    return {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})


def check_stream(headers: Mapping[str, str]) -> None:
    if not headers.get("content-type", "").startswith("text/event-stream"):
        raise AnswerBroken("not a stream of events", where=WHERE, mend="is it the address of a Leadline service?")
