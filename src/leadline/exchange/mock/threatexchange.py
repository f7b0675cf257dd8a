"""Meta ThreatExchange as a stand-in: one privacy group, its descriptors and reactions. Hashes are made up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

from leadline.exchange.mock.base import Asked, FaultKind, Mock, Reply, json_reply
from leadline.exchange.mock.timeline import FIRST_S, Change, Timeline, digits, make_token, read_token

APP, OTHER_APP = "10000000000001", "10000000000002"
TOKEN = f"{APP}|rehearsal-token-0123456789"
GROUP = "1234567890"
_FIRST_ID = 800_000_000_000_000
_TYPES = (("HASH_PDQ", 64), ("HASH_MD5", 32), ("HASH_SHA1", 40), ("HASH_SHA256", 64))
_REACTED_EACH = 9  # one in so many
_KEPT_S = 90 * 86_400  # how long it tells deletions
_WORD = re.compile(r"[a-z_]+|[{}]")


class ThreatExchangeMock(Mock):
    name: ClassVar[str] = "threatexchange"

    def __init__(self, entries: int = 100, seed: int = 1) -> None:
        super().__init__(entries, seed)
        self._seed, self.timeline = seed, Timeline(entries, self._make)
        self._given_ids = 0
        self.reactions: list[tuple[str, str]] = []  # descriptor, reactions
        self.submitted: dict[str, dict[str, str]] = {}  # descriptor -> form

    def _make(self, number: int) -> Change:
        of_type, length = _TYPES[number % len(_TYPES)]
        reactions = [{"key": "HELPFUL", "value": f"{APP},{OTHER_APP}"}] if number % _REACTED_EACH == 0 else []
        return self._change(
            str(_FIRST_ID + number), of_type, digits(self._seed, number, length), FIRST_S + number, reactions=reactions
        )

    def _change(self, key: str, of_type: str, value: str, time_s: int, **of_descriptor: Any) -> Change:
        descriptor = {
            "id": f"9{key}", "owner": {"id": OTHER_APP}, "status": "MALICIOUS", "share_level": "AMBER",
            "tags": {"data": [{"id": "7", "text": "example"}]}, **of_descriptor,
        }  # fmt: skip
        record = {
            "id": key, "indicator": value, "type": of_type, "creation_time": FIRST_S, "last_updated": time_s,
            "should_delete": False, "descriptors": {"data": [descriptor]},
        }  # fmt: skip
        return Change(key, time_s, record)

    # --- what a test or a person changes -----------------------------------------------------------------------------

    def put(self, of_type: str, value: str, **of_descriptor: Any) -> str:
        """One more indicator. Returns its id."""
        key = self._new_id()
        self.timeline.put(self._change(key, of_type, value, int(self.clock()), **of_descriptor))
        return key

    def withdraw(self, key: str) -> bool:
        return self.edit(key, should_delete=True)

    def edit(self, key: str, *, time_s: int | None = None, **fields: Any) -> bool:
        """Tell it anew with other fields, None: without that field. False where there is none."""
        now = self.timeline.get(key, self._number(key))
        if now is None or now.record["should_delete"]:
            return False
        time_s = int(self.clock()) if time_s is None else time_s
        record = {**now.record, "last_updated": time_s, **fields}
        told = {name: value for name, value in record.items() if value is not None}
        self.timeline.put(Change(key, time_s, told), self._number(key))
        return True

    def _number(self, key: str) -> int | None:
        number = int(key) - _FIRST_ID if key.isdigit() else -1
        return number if 0 <= number < self.entries else None

    def _new_id(self) -> str:
        self._given_ids += 1
        return str(_FIRST_ID + self.entries + self._given_ids)

    # --- the protocol ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        if asked.query.get("access_token") != TOKEN:
            return _refusal(190, "Invalid OAuth access token.")
        _, _, *parts = asked.path.rstrip("/").split("/")  # /v21.0/...
        if asked.method == "POST" and parts == ["threat_descriptors"]:
            return self._submit(asked)
        if asked.method == "POST" and len(parts) == 1:
            return self._react(parts[0], asked)
        if asked.method == "DELETE" and len(parts) == 1:
            is_ours = self.submitted.pop(parts[0], None) is not None
            return json_reply({"success": True}) if is_ours else _refusal(100, "Unsupported delete request.")
        if parts == [GROUP]:
            return json_reply({
                "id": GROUP, "name": "Example Group", "members_can_see": True, "members_can_use": True,
                "threat_updates_enabled": True,
            })  # fmt: skip
        if parts == [GROUP, "threat_updates"]:
            return self._updates(asked)
        if len(parts) == 2 and parts[1] == "descriptors":
            return self._descriptors(parts[0], asked)
        return _refusal(100, "Unsupported get request.")

    def _updates(self, asked: Asked) -> Reply:
        query = asked.query
        after = query.get("after", "")
        if after and self.has_fault(FaultKind.EXPIRED):
            return _refusal(100, "Invalid cursor.")
        try:
            since_s, start = read_token(after) if after else (int(query.get("start_time", 0)), 0)
            size = min(int(query.get("limit", 25)), 1000)
        except ValueError:
            return _refusal(100, "Invalid parameter.")
        is_backwards = self.has_fault(FaultKind.OUT_OF_ORDER)
        changes, has_more = self.timeline.page(since_s, start, size, is_backwards=is_backwards)
        told = [change.record for change in changes if self._is_told(change, query.get("types", ""))]
        wanted = _wanted(_WORD.findall(query["fields"])) if "fields" in query else {}
        answer: dict[str, Any] = {"data": [_only(record, wanted) for record in told]}
        if has_more:
            cursor = make_token(since_s, start + size)
            link = f"http://{asked.headers['host']}{asked.path}?{urlencode({**query, 'after': cursor})}"
            answer["paging"] = {"cursors": {"before": "x", "after": cursor}, "next": link}
        return json_reply(answer)

    def _is_told(self, change: Change, types: str) -> bool:
        if types and change.record["type"] not in types.split(","):
            return False
        return not change.record["should_delete"] or change.time_s > self.clock() - _KEPT_S

    def _descriptors(self, key: str, asked: Asked) -> Reply:
        found = self.timeline.get(key, self._number(key))
        if found is None:
            return _refusal(100, "Unsupported get request.")
        wanted = _wanted(_WORD.findall(asked.query["fields"]))
        return json_reply({"data": [_only(one, wanted) for one in found.record["descriptors"]["data"]]})

    def _react(self, descriptor: str, asked: Asked) -> Reply:
        form = _form(asked)
        if descriptor in self.submitted or "reactions" not in form:
            return _refusal(100, "Invalid parameter.")
        self.reactions.append((descriptor, form["reactions"]))
        return json_reply({"success": True})

    def _submit(self, asked: Asked) -> Reply:
        form = _form(asked)
        needed = {"indicator", "type", "description", "status", "share_level", "privacy_type"}
        is_private = form.get("privacy_type") == "HAS_PRIVACY_GROUP" and form.get("privacy_members") == GROUP
        if not needed <= form.keys() or (form["share_level"] in ("AMBER", "RED") and not is_private):
            return _refusal(100, "Invalid parameter.")
        key = self.put(form["type"], form["indicator"], owner={"id": APP}, status=form["status"])
        descriptor = f"9{key}"
        self.submitted[descriptor] = form
        return json_reply({"id": descriptor, "success": True})


def _refusal(code: int, message: str) -> Reply:
    fault = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "rehearsal"}
    return json_reply({"error": fault}, 400)


def _form(asked: Asked) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(asked.body.decode()).items()}


def _wanted(words: list[str]) -> dict[str, Any]:
    """`id,owner{id}` -> {"id": {}, "owner": {"id": {}}}"""
    return _read_wanted(iter(words))


def _read_wanted(words: Iterator[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    last = ""
    for word in words:
        if word == "{":
            found[last] = _read_wanted(words)
        elif word == "}":
            return found
        else:
            last = word
            found[word] = {}
    return found


def _only(value: Any, wanted: dict[str, Any]) -> Any:
    """What was asked for of it; {}: all."""
    if not wanted:
        return value
    if isinstance(value, list):
        return [_only(one, wanted) for one in value]
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return {**value, "data": _only(value["data"], wanted)}
    if isinstance(value, dict):
        return {name: _only(value[name], of) for name, of in wanted.items() if name in value}
    return value
