"""A MISP as a stand-in: its index, events with media-fingerprint objects, additions, sightings. All made up."""

from __future__ import annotations

import json
import re
import uuid
from functools import cached_property
from typing import Any, ClassVar

from leadline.exchange.mock.base import TOKEN, Asked, FaultKind, Mock, Reply, json_reply
from leadline.exchange.mock.timeline import FIRST_S, digits

_VIEW = re.compile(r"/events/view/([0-9a-f-]{36})/includeAttachments:0(?:/[A-Za-z]+:[01])*")
_OF_OBJECT = re.compile(r"/objects/(delete|view)/([0-9a-f-]{36})")
_SIGHTING = re.compile(r"/sightings/add/([0-9a-f-]{36})")
_TEMPLATE = "5b6c0f4e-9a4d-4f37-8d0e-6f2c1b7a90d3"
_TAGS = ("tlp:amber", "PAP:AMBER")
_TYPES = ("md5", "sha1", "sha256")
_KNOWN = {"types": [*_TYPES, "text"], "categories": ["Other"], "category_type_mappings": {}, "sane_defaults": {}}
_GREETINGS = {  # what PyMISP asks before anything else, beside the user
    "/servers/getVersion": {"version": "2.5.0", "pymisp_recommended_version": "2.5.0"},
    "/attributes/describeTypes.json": {"result": _KNOWN},
}


class MispMock(Mock):
    """objects: in each event. is_sync: whether the key may synchronise: only then deleted objects are told."""

    name: ClassVar[str] = "misp"

    def __init__(self, entries: int = 100, seed: int = 1, objects: int = 10) -> None:
        super().__init__(entries, seed)
        self._seed, self._objects, self.is_sync = seed, objects, False
        self._times: dict[str, int] = {}
        self._gone_objects: set[str] = set()
        self._gone_events: set[str] = set()
        self._added: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, list[str]] = {}
        self.sightings: list[tuple[str, str]] = []

    # --- what a test or a person changes -----------------------------------------------------------------------------

    def put(self, attributes: dict[str, str], tags: tuple[str, ...] = _TAGS, name: str = "media-fingerprint") -> str:
        """One more event with one object of these values by relation; gives the object's UUID."""
        event, made = str(uuid.uuid4()), str(uuid.uuid4())
        told = _object(made, name, attributes, int(self.clock()))
        self._added[event] = {"Event": self._event(event, [told], int(self.clock()), list(tags))}
        return made

    def withdraw(self, key: str) -> bool:
        """Deletes an object softly, as MISP does."""
        event = self._event_of(key)
        if event is None or key in self._gone_objects:
            return False
        self._gone_objects.add(key)
        self._times[event] = int(self.clock())
        return True

    def delete_event_of(self, key: str) -> None:
        """The whole event: nothing tells of it any more."""
        self._gone_events.add(self._event_of(key) or "")

    def tag_event_of(self, key: str, tags: list[str]) -> None:
        event = self._event_of(key) or ""
        self._tags[event], self._times[event] = tags, int(self.clock())

    # --- what is there -----------------------------------------------------------------------------------------------

    def _event_name(self, number: int) -> str:
        return str(uuid.UUID(hex=digits(self._seed + 1, number, 32)))

    def _object_name(self, number: int) -> str:
        return str(uuid.UUID(hex=digits(self._seed, number, 32)))

    def _event_of(self, key: str) -> str | None:
        for event, told in self._added.items():
            if any(one["uuid"] == key for one in told["Event"]["Object"]):
                return event
        number = int(key[-8:], 16)
        is_ours = number < self.entries and self._object_name(number) == key
        return self._event_name(number // self._objects) if is_ours else None

    def _time(self, event: str) -> int:
        if event in self._times:
            return self._times[event]
        if event in self._added:
            return int(self._added[event]["Event"]["timestamp"])
        return FIRST_S + int(event[-8:], 16)

    def _tell(self, event: str, *, with_deleted: bool) -> dict[str, Any] | None:
        if event in self._gone_events:
            return None
        if event in self._added:
            told: dict[str, Any] = dict(self._added[event]["Event"])
        else:
            number = int(event[-8:], 16)
            if self._event_name(number) != event:
                return None
            last = min((number + 1) * self._objects, self.entries)
            numbers = range(number * self._objects, last)
            told = self._event(event, [self._make(one) for one in numbers], self._time(event), list(_TAGS))
        objects = [{**one, "deleted": one["uuid"] in self._gone_objects} for one in told["Object"]]
        told["Object"] = [one for one in objects if with_deleted or not one["deleted"]]
        told["timestamp"] = str(self._time(event))
        if event in self._tags:
            told["Tag"] = [{"id": "1", "name": name} for name in self._tags[event]]
        return told

    def _make(self, number: int) -> dict[str, Any]:
        values = {"sha256": digits(self._seed, number, 64), "pdq": digits(self._seed + 2, number, 64)}
        facts = {"pdq-family": "b", "pdq-quality": "90", "classification-scheme": "example"}
        facts["classification-label"] = f"class-{number % 3}"
        return _object(self._object_name(number), "media-fingerprint", {**values, **facts}, FIRST_S + number)

    def _event(self, event: str, objects: list[dict[str, Any]], time_s: int, tags: list[str]) -> dict[str, Any]:
        return {
            "id": "1", "uuid": event, "info": "rehearsal", "date": "2026-01-01", "published": True,
            "timestamp": str(time_s), "Tag": [{"id": "1", "name": name} for name in tags],
            "Attribute": [], "Object": objects,
        }  # fmt: skip

    # --- the protocol ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != TOKEN:
            return json_reply({"name": "Authentication failed.", "message": "Authentication failed."}, 403)
        if asked.method == "GET" and asked.path in _GREETINGS:
            return json_reply(_GREETINGS[asked.path])
        if (asked.method, asked.path) == ("GET", "/users/view/me"):
            told = {"User": {"id": "7", "org_id": "42"}, "Role": {"perm_add": True, "perm_sync": self.is_sync}}
            return json_reply({**told, "Organisation": {"id": "42", "name": "Example Hotline"}, "UserSetting": []})
        if asked.method == "GET" and (found := _OF_OBJECT.fullmatch(asked.path)) and found[1] == "view":
            return self._view_object(found[2])
        if asked.method != "POST":
            return Reply(404)
        told = json.loads(asked.body)
        if asked.path == "/events/index":
            return self._index(told)
        if asked.path == "/events/add":
            return self._add(told)
        return self._answer_of_one(asked.path, told)

    def _answer_of_one(self, path: str, told: dict[str, Any]) -> Reply:
        if found := _VIEW.fullmatch(path):
            event = self._tell(found[1], with_deleted=self.is_sync and 1 in told.get("deleted", []))
            if event is None or self.has_fault(FaultKind.EXPIRED):
                return json_reply({"name": "Invalid event", "message": "Invalid event"}, 404)
            return json_reply({"Event": event})
        if (found := _OF_OBJECT.fullmatch(path)) and found[1] == "delete":
            if self.withdraw(found[2]):
                return json_reply({"saved": True, "success": True, "message": "Object deleted"})
            return json_reply({"saved": False, "errors": "Invalid object."}, 404)
        if found := _SIGHTING.fullmatch(path):
            self.sightings.append((found[1], told["type"]))
            return json_reply({"Sighting": {"type": told["type"]}})
        return Reply(404)

    def _index(self, told: dict[str, Any]) -> Reply:
        """All events in one answer, as MISP tells them. The rows of those that never changed are made once."""
        if not told.get("minimal"):
            return Reply(400)
        tag = told.get("tags")
        changed = dict.fromkeys((*self._times, *self._gone_events, *self._added))
        rows = [] if tag not in (None, *_TAGS) else [row for of, row in self._first_rows.items() if of not in changed]
        rows += [
            _row(event, self._time(event))
            for event in changed
            if event not in self._gone_events and self._has_tag(event, tag) and self._is_filled(event)
        ]
        body = ",".join(rows[::-1] if self.has_fault(FaultKind.OUT_OF_ORDER) else rows)
        return Reply(200, f"[{body}]".encode())

    @cached_property
    def _first_rows(self) -> dict[str, str]:
        """By event, of those that were there at first, as they were."""
        numbers = range(-(-self.entries // self._objects))
        return {(event := self._event_name(number)): _row(event, FIRST_S + number) for number in numbers}

    def _is_filled(self, event: str) -> bool:
        """An index of the minimal kind leaves out events whose attributes are all deleted."""
        if event not in self._times:
            return True
        told = self._tell(event, with_deleted=False)
        return bool(told and told["Object"])

    def _has_tag(self, event: str, tag: str | None) -> bool:
        if tag is None:
            return True
        told = self._tell(event, with_deleted=False) or {}
        return any(one["name"] == tag for one in told.get("Tag", []))

    def _add(self, told: dict[str, Any]) -> Reply:
        if not told.get("info") or told.get("published") is not False:
            return json_reply({"name": "Could not add Event", "errors": "Could not add Event"}, 403)
        event = self._event(told["uuid"], told["Object"], int(self.clock()), [tag["name"] for tag in told["Tag"]])
        self._added[told["uuid"]] = {"Event": event}
        return json_reply({"Event": event})

    def _view_object(self, key: str) -> Reply:
        event = self._tell(self._event_of(key) or "", with_deleted=False) if self._event_of(key) else None
        found = [one for one in (event or {}).get("Object", []) if one["uuid"] == key]
        return json_reply({"Object": found[0]}) if found else Reply(404)


def _row(event: str, time_s: int) -> str:
    """Of the index."""
    return json.dumps({"uuid": event, "timestamp": str(time_s), "published": True, "sighting_timestamp": "0"})


def _object(made: str, name: str, values: dict[str, str], time_s: int) -> dict[str, Any]:
    attributes = [
        {
            "uuid": str(uuid.uuid5(uuid.UUID(made), relation)), "type": relation if relation in _TYPES else "text",
            "object_relation": relation, "value": value, "deleted": False, "timestamp": str(time_s),
        }
        for relation, value in values.items()
    ]  # fmt: skip
    return {
        "id": "1", "uuid": made, "name": name, "meta-category": "file", "template_uuid": _TEMPLATE,
        "template_version": "1", "timestamp": str(time_s), "deleted": False, "Attribute": attributes,
    }  # fmt: skip
