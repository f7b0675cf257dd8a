"""A TAXII 2.1 server as a stand-in: one collection of indicators, paged. All hashes are made up."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from leadline.exchange.mock.base import TOKEN, Asked, FaultKind, Mock, Reply, is_basic, json_reply
from leadline.exchange.mock.timeline import FIRST_S, Change, Timeline, digits, make_token, read_token

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
MEDIA_TYPE = "application/taxii+json;version=2.1"
EXTENSION = "extension-definition--3c1f2d1b-7d5e-4f0a-9a55-2f6d1c0be7a4"
GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
AUTHOR = "identity--2b6f0c1e-58aa-4d0f-8c6a-0a4b1f1d7c10"


class TaxiiMock(Mock):
    """has_next: its pages go on by `next`; without, by the date in its headers. has_sessions: `next` names a session,
    the same on each page, that moves on whenever it is asked (as medallion's does)."""

    name: ClassVar[str] = "taxii"

    def __init__(self, entries: int = 100, seed: int = 1, *, has_next: bool = True, has_sessions: bool = False) -> None:
        super().__init__(entries, seed)
        self.has_sessions, self._sessions = has_sessions, dict[str, tuple[int, int]]()
        self._seed, self.has_next, self.timeline = seed, has_next, Timeline(entries, self._make)

    def _make(self, number: int) -> Change:
        hashed = digits(self._seed, number, 64)
        name = f"indicator--{uuid.UUID(hex=digits(self._seed + 1, number, 32))}"
        told = indicator(name, f"[file:hashes.'SHA-256' = '{hashed}']", FIRST_S + number)
        told["extensions"] = {
            EXTENSION: {
                "extension_type": "property-extension",
                "fingerprints": [{"algorithm": "pdq", "value": digits(self._seed + 2, number, 64), "family": "b"}],
                "classification": {"scheme": "example", "label": f"class-{number % 3}"},
            }
        }
        return Change(name, FIRST_S + number, told)

    # --- what a test or a person changes -----------------------------------------------------------------------------

    def put(self, told: dict[str, Any]) -> str:
        """One more object, or another version of one; added now."""
        key = str(told["id"])
        self.timeline.put(Change(key, int(self.clock()), told), self._number(key))
        return key

    def withdraw(self, key: str) -> bool:
        """Revokes it, as its author would."""
        found = self.timeline.get(key, self._number(key))
        if found is None:
            return False
        self.put({**found.record, "modified": _iso(int(self.clock())), "revoked": True})
        return True

    def delete(self, key: str) -> None:
        """Takes it out of the collection: nothing tells of it any more."""
        self.timeline.put(Change(key, 0, {}), self._number(key))

    def _number(self, key: str) -> int | None:
        try:
            number = int(key[-8:], 16)
        except ValueError:
            return None
        return number if number < self.entries and self._make(number).key == key else None

    # --- the protocol ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        if not (is_basic(asked) or asked.headers.get("authorization") == f"Bearer {TOKEN}"):
            return json_reply({"title": "Authentication required"}, 401)
        if asked.headers.get("accept") != MEDIA_TYPE:
            return json_reply({"title": "Not acceptable"}, 406)
        told = {"id": COLLECTION, "title": "Example collection", "can_read": True, "can_write": False}
        if asked.method != "GET":
            return Reply(405)
        if asked.path == "/api/collections/":
            return json_reply({"collections": [told]})
        if asked.path == f"/api/collections/{COLLECTION}/":
            return json_reply({**told, "media_types": ["application/stix+json;version=2.1"]})
        return self._objects(asked) if asked.path == f"/api/collections/{COLLECTION}/objects/" else Reply(404)

    def _objects(self, asked: Asked) -> Reply:
        token, size = asked.query.get("next", ""), int(asked.query.get("limit", 100))
        if token and self.has_fault(FaultKind.EXPIRED):
            return json_reply({"title": "Invalid next value"}, 400)
        after = asked.query.get("added_after")
        since_s, start = int(datetime.fromisoformat(after).timestamp()) + 1 if after else 0, 0
        if token:
            since_s, start = self._sessions.pop(token) if self.has_sessions else read_token(token)
        is_backwards = self.has_fault(FaultKind.OUT_OF_ORDER)
        changes, has_more = self.timeline.page(since_s, start, size, is_backwards=is_backwards)
        types = asked.query.get("match[type]", "").split(",")
        changes = [one for one in changes if one.record]
        dates = [_iso(one.time_s) for one in changes]
        headers = {"x-taxii-date-added-first": min(dates), "x-taxii-date-added-last": max(dates)} if dates else {}
        told: dict[str, Any] = {"more": has_more}
        if objects := [one.record for one in changes if one.record["type"] in types]:
            told["objects"] = objects
        if has_more and self.has_next:
            told["next"] = self._next(token, since_s, start + size)
        return Reply(200, json_reply(told).body, MEDIA_TYPE, headers)

    def _next(self, token: str, since_s: int, start: int) -> str:
        if not self.has_sessions:
            return make_token(since_s, start)
        token = token or str(uuid.uuid4())
        self._sessions[token] = since_s, start
        return token


def indicator(name: str, pattern: str, time_s: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": name, "created_by_ref": AUTHOR, "created": _iso(time_s),
        "modified": _iso(time_s), "valid_from": _iso(time_s), "pattern": pattern, "pattern_type": "stix",
        "object_marking_refs": [GREEN], **more,
    }  # fmt: skip


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
