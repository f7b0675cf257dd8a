"""StopNCII.org as a stand-in: fetch by time and page token, submissions, feedback. All hashes are made up."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from leadline.exchange.mock.base import TOKEN, Asked, FaultKind, Mock, Reply, json_reply
from leadline.exchange.mock.timeline import FIRST_S, Change, Timeline, digits, make_token, read_token

FETCH_KEY, SUBMIT_KEY, FEEDBACK_KEY = "rehearsal-fetch-key", "rehearsal-submit-key", "rehearsal-feedback-key"
SIGNALS = ("ImagePDQ", "VideoMD5", "VideoTMK", "Text", "URL")
FEEDBACK = ("None", "QualityUnknown", "PendingReview", "Blocked", "NotBlocked", "Withdrawn", "Deleted")
_ENDPOINTS = {
    ("GET", "/v1/FetchHashes"): FETCH_KEY,
    ("POST", "/v1/SubmitHashes"): SUBMIT_KEY,
    ("POST", "/v1/SubmitFeedback"): FEEDBACK_KEY,
}
_VIDEO_EACH, _FEEDBACK_EACH = 5, 7  # one in so many
_KEPT_S = 30 * 86_400  # how long it tells what was withdrawn


class StopNciiMock(Mock):
    name: ClassVar[str] = "stopncii"

    def __init__(self, entries: int = 100, seed: int = 1) -> None:
        super().__init__(entries, seed)
        self._seed, self.timeline = seed, Timeline(entries, self._make)
        self.submitted: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []

    def _make(self, number: int) -> Change:
        is_video = number % _VIDEO_EACH == _VIDEO_EACH - 1
        signal, value = ("VideoMD5", 32) if is_video else ("ImagePDQ", 64)
        opinions = [{"source": "Example Platform", "feedbackValue": "Blocked", "tags": ["example"]}]
        told = [] if number % _FEEDBACK_EACH else opinions
        return self._change(signal, digits(self._seed, number, value), FIRST_S + number, "Received", told)

    def _change(
        self, signal: str, value: str, time_s: int, status: str, feedback: list[dict[str, Any]] | None = None
    ) -> Change:
        record = {
            "lastModtimestamp": time_s, "signalType": signal, "hashValue": value, "hashStatus": status,
            "caseNumbers": {str(uuid.uuid5(uuid.NAMESPACE_OID, value)): status},
        }  # fmt: skip
        return Change(f"{signal}:{value}", time_s, {**record, **({"CSPFeedbacks": feedback} if feedback else {})})

    # --- what a test or a person changes -----------------------------------------------------------------------------

    def put(self, signal: str, value: str, status: str = "Active", **more: Any) -> str:
        """One more record, or another state of it. Returns signalType:hashValue."""
        change = self._change(signal, value, int(self.clock()), status)
        self.timeline.put(change._replace(record={**change.record, **more}), self._number(change.key))
        return change.key

    def withdraw(self, key: str) -> bool:
        return self.set_status(key, "Withdrawn")

    def set_status(self, key: str, status: str) -> bool:
        """False where there is no such record."""
        if self.timeline.get(key, self._number(key)) is None:
            return False
        signal, _, value = key.partition(":")
        self.put(signal, value, status)
        return True

    def forget(self, key: str) -> None:
        """As if it had been withdrawn longer ago than is told."""
        signal, _, value = key.partition(":")
        gone = self._change(signal, value, 0, "Withdrawn")
        self.timeline.put(gone, self._number(key))

    def _number(self, key: str) -> int | None:
        try:
            number = int(key[-8:], 16)
        except ValueError:
            return None
        return number if number < self.entries and self._make(number).key == key else None

    # --- the protocol ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        wanted = _ENDPOINTS.get((asked.method, asked.path))
        if wanted is None:
            return Reply(404)
        given = asked.headers.get("ocp-apim-subscription-key"), asked.headers.get("x-functions-key")
        if given != (TOKEN, wanted):
            return json_reply({"statusCode": 401, "message": "Access denied due to invalid subscription key."}, 401)
        if asked.method == "GET":
            return self._fetch(asked)
        return self._submit(asked) if asked.path.endswith("SubmitHashes") else self._take_feedback(asked)

    def _fetch(self, asked: Asked) -> Reply:
        token = asked.query.get("nextPageToken", "")
        if token and self.has_fault(FaultKind.EXPIRED):
            return Reply(400)
        try:
            since_s, start = int(asked.query["startTimestamp"]), 0
            size = int(asked.query.get("pageSize", 800))
            if token:
                since_s, start = read_token(token)
        except (KeyError, ValueError):
            return Reply(400)
        is_backwards = self.has_fault(FaultKind.OUT_OF_ORDER)
        changes, has_more = self.timeline.page(since_s, start, size, is_backwards=is_backwards)
        records = [change.record for change in changes if self._is_told(change)]
        latest_s = max((change.time_s for change in changes), default=since_s)
        return json_reply({
            "count": len(records), "nextPageToken": make_token(since_s, start + size) if has_more else None,
            "nextSetTimestamp": latest_s, "hasMoreRecords": has_more, "hashRecords": records,
        })  # fmt: skip

    def _is_told(self, change: Change) -> bool:
        is_gone = change.record.get("hashStatus") in ("Withdrawn", "Deleted")
        return not is_gone or change.time_s > self.clock() - _KEPT_S

    def _submit(self, asked: Asked) -> Reply:
        told = json.loads(asked.body)
        records = told["hashRecords"]
        opinions = [one["feedbackValue"] for record in records for one in record["CSPFeedbacks"]]
        if told["count"] != len(records) or any(record["signalType"] not in SIGNALS for record in records):
            return Reply(400)
        if any(opinion not in FEEDBACK for opinion in opinions):
            return Reply(400)
        for record in records:
            self.submitted.append(record)
            self.put(record["signalType"], record["hashValue"], "Received", CSPFeedbacks=record["CSPFeedbacks"])
        return json_reply({})

    def _take_feedback(self, asked: Asked) -> Reply:
        told = json.loads(asked.body)
        feedbacks = told["hashFeedbacks"]
        if told["count"] != len(feedbacks) or any(one["feedbackValue"] not in FEEDBACK for one in feedbacks):
            return Reply(400)
        self.feedback += feedbacks
        return json_reply({})
