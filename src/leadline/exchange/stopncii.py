"""StopNCII.org: its hash list in, our hashes and feedback out. Never decides what a hash means.

Follows the client that Meta publishes (python-threatexchange, exchanges/clients/stopncii); the official text goes to
members only. A withdrawn or deleted hash is removed here, which that client does not do.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from leadline.domain import Entry, Kind
from leadline.errors import ActNotOffered, HashFormatError, InputError, LeadlineError, ListFormatError, SourceBroken
from leadline.exchange.base import (
    EntryDefaults,
    entry_fields,
    kept_texts,
    located,
    parse_hex,
    record_digest,
    record_metadata,
)
from leadline.exchange.connector import (
    MAX_KEY_CHARS,
    Act,
    Checked,
    Checkpoint,
    ListConnector,
    Outgoing,
    Page,
    Record,
    Sent,
    WebOptions,
)
from leadline.exchange.telling import Telling, Told, begin_at, pull_told
from leadline.exchange.web import Web, read_json

SCHEME = "stopncii"
_KINDS = {"ImagePDQ": "pdq", "VideoMD5": "md5"}  # signalType -> fingerprint; VideoTMK, Text, URL: none here
_SIGNALS = {name: signal for signal, name in _KINDS.items()}
_GONE = frozenset({"withdrawn", "deleted"})
_STATUSES = _GONE | {"received", "active"}
_FEEDBACKS = frozenset(
    {"None", "Undefined", "QualityUnknown", "PendingReview", "Blocked", "NotBlocked", "Withdrawn", "Deleted"}
)
_OPINIONS = {Act.AFFIRM: "Blocked", Act.DISPUTE: "NotBlocked"}
_FIRST_S = 10  # what the published client asks for at the beginning
_STALE_S = 30 * 86_400
_MAX_PAGE_BYTES = 64 << 20
_SENT_AT_ONCE = 100
_MAX_TAGS, _MAX_WORD = 10, 40


class StopNciiOptions(WebOptions):
    """address: of the API; page_size: records a page."""

    address: str = "https://api.stopncii.org/v1"
    page_size: int = Field(800, ge=1, le=10_000)


class StopNcii(ListConnector):
    """Record keys are `signalType:hashValue` in small letters, as the source tells them apart.

    Each endpoint has a key of its own; those for sending are needed by who sends.
    """

    name = "stopncii"
    title = "StopNCII.org hash list"
    secret_names = ("subscription_key", "fetch_key")
    optional_secret_names = ("submit_key", "feedback_key")
    act_names = frozenset({Act.SUBMIT, Act.AFFIRM, Act.DISPUTE})
    unverified: ClassVar[tuple[str, ...]] = (
        "the protocol as a whole: it follows Meta's published client, not the official text",
        "whether startTimestamp is inclusive, and how long a page token lives",
        "what hashRegions holds; what the answers to submissions and feedback say",
    )
    options_type = StopNciiOptions
    options: StopNciiOptions

    _web: Web | None = None

    def _open(self) -> Web:
        if self._web is None:
            secrets = self.secrets
            headers = {
                "ocp-apim-subscription-key": secrets["subscription_key"], "x-functions-key": secrets["fetch_key"],
            }  # fmt: skip
            self._web = Web(
                self._where, self.options.address, headers=headers, sleep=self.sleep,
                timeout_s=self.options.timeout_s, ca_file=self.options.ca_file,
            )  # fmt: skip
        return self._web

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
            self._web = None

    def check(self) -> Checked:
        self._fetch(int(self.clock()), "", 1)
        absent = [name for name in self.optional_secret_names if not self.secrets.get(name)]
        notes = (f"no {name}: nothing of its kind can be sent" for name in absent)
        return Checked(notes=("its programme is for adults: see that --kind fits", *notes))

    # --- the list ----------------------------------------------------------------------------------------------------

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        yield from pull_told(checkpoint, self._tell, self.clock, first_s=_FIRST_S, stale_s=_STALE_S)

    def start_at(self, since_s: int) -> Checkpoint:
        return begin_at(max(since_s, _FIRST_S), self.clock())

    def _tell(self, telling: Telling) -> Told:
        answer = self._fetch(telling.since_s, telling.token, self.options.page_size)
        records, has_more = answer.get("hashRecords"), answer.get("hasMoreRecords")
        token = _text(answer.get("nextPageToken")) if has_more else ""
        if not isinstance(records, list) or not isinstance(has_more, bool) or (has_more and not token):
            # as an empty last page it would take the whole list away
            raise SourceBroken("its answer is no page of hashes", where=self._where, mend="retry, then tell the source")
        next_s = _seconds(answer.get("nextSetTimestamp")) or telling.next_s
        return read_records(records, self.defaults, self._where, token=token, next_s=next_s)

    def _fetch(self, since_s: int, token: str, page_size: int) -> dict[str, object]:
        asked = {"startTimestamp": since_s, "pageSize": page_size, **({"nextPageToken": token} if token else {})}
        return read_json(self._open().get("/FetchHashes", asked, most_bytes=_MAX_PAGE_BYTES), self._where)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        """Submissions and feedback, each up to 100 a request; a request that fails is the outcome of all in it."""
        sent: dict[int, Sent] = {}
        made: dict[bool, list[tuple[int, str, dict[str, object]]]] = {True: [], False: []}  # submissions, feedback
        for number, one in enumerate(outgoing):
            try:
                self._require_key(one.act)
                made[one.act is Act.SUBMIT].append((number, *self._payload(one)))
            except LeadlineError as error:
                sent[number] = Sent(one, error=error)
        for is_submission, waiting in made.items():
            for start in range(0, len(waiting), _SENT_AT_ONCE):
                batch = waiting[start : start + _SENT_AT_ONCE]
                failed = self._post(is_submission, [payload for _, _, payload in batch])
                for number, key, _ in batch:
                    sent[number] = Sent(outgoing[number], remote_id="" if failed else key, error=failed)
        return [sent[number] for number in range(len(outgoing))]

    def _require_key(self, act: Act) -> None:
        name = "submit_key" if act is Act.SUBMIT else "feedback_key"
        if act not in self.act_names:
            raise ActNotOffered("this source takes no such act", where=self._where)
        if not self.secrets.get(name):
            raise ActNotOffered(f"there is no {name}", where=self._where, mend="add the source again with it")

    def _payload(self, one: Outgoing) -> tuple[str, dict[str, object]]:
        """The record's key and what is sent of it."""
        if one.act is not Act.SUBMIT:
            _, _, value = one.key.partition(":")
            if not value:
                raise InputError("not a key of this source", where=self._where, mend="give signalType:hashValue")
            return one.key, {"hashValue": value, "feedbackValue": _OPINIONS[one.act], "tags": list(one.reasons)}
        algorithm = one.algorithm or "pdq"  # an MD5 stands for a video there, which only a person knows
        digest = one.entry.fingerprints.get(algorithm) if one.entry else None
        if digest is None or algorithm not in _SIGNALS:
            mend = f"it takes {' and '.join(_SIGNALS)}"
            raise InputError("the entry has no such fingerprint to submit", where=self._where, mend=mend)
        if one.entry is not None and one.entry.kind in (Kind.BENIGN, Kind.FALSE_POSITIVE):
            raise InputError("the entry is of a harmless file", where=self._where, mend="send what is to be blocked")
        signal, value = _SIGNALS[algorithm], digest.hex()
        feedback = {"tags": list(one.reasons), "feedbackValue": _OPINIONS[Act.AFFIRM]}
        return f"{signal}:{value}", {
            "lastModtimestamp": int(self.clock()), "signalType": signal, "hashValue": value, "CSPFeedbacks": [feedback],
        }  # fmt: skip

    def _post(self, is_submission: bool, payloads: list[dict[str, object]]) -> LeadlineError | None:
        path, list_name = ("/SubmitHashes", "hashRecords") if is_submission else ("/SubmitFeedback", "hashFeedbacks")
        key = self.secrets["submit_key" if is_submission else "feedback_key"]
        content = json.dumps({"count": len(payloads), list_name: payloads}).encode()
        try:
            self._open().send(
                "POST", path, content=content, content_type="application/json", headers={"x-functions-key": key}
            )
        except LeadlineError as error:
            return error
        return None


def read_records(
    untrusted_records: Sequence[object], defaults: EntryDefaults, where: str, *, token: str = "", next_s: int = 0
) -> Told:
    """Records of one page; a record that cannot be read is a fault with its place, and the rest goes on."""
    records: list[Record] = []
    faults: list[LeadlineError] = []
    unknown: Counter[str] = Counter()
    for number, untrusted_record in enumerate(untrusted_records, start=1):
        try:
            records.append(_read(untrusted_record, defaults, unknown))
        except (HashFormatError, ListFormatError) as error:
            changed = untrusted_record.get("lastModtimestamp") if isinstance(untrusted_record, dict) else None
            faults.append(located(error, f"{where}: record {number} of a page, changed {_seconds(changed)}"))
    return Told(records, token, next_s, faults, unknown)


def _read(untrusted_record: object, defaults: EntryDefaults, unknown: Counter[str]) -> Record:
    """A signal that nobody here knows is counted, and kept."""
    if not isinstance(untrusted_record, dict):
        raise ListFormatError("a record is no object", mend="tell the source")
    signal, value = _text(untrusted_record.get("signalType")), _text(untrusted_record.get("hashValue"))
    if signal not in _KINDS:
        return _keep(signal, value, untrusted_record, unknown)
    if not value or len(signal) + 1 + len(value) > MAX_KEY_CHARS:
        raise ListFormatError("a record has no hashValue, or an endless one", mend="tell the source")
    key, digest = f"{signal}:{value.lower()}", record_digest(untrusted_record)  # of any case: the same hash
    status = _text(untrusted_record.get("hashStatus"))
    if status.lower() in _GONE:
        return Record(key, digest, None)
    if status.lower() not in _STATUSES:
        unknown[f"hashStatus {_word(status) or 'missing'}"] += 1
    fields = entry_fields(defaults)
    if status:
        fields |= {"scheme": defaults.scheme or SCHEME, "label": _word(status)}
    algorithm = _KINDS[signal]
    entry = Entry(
        fingerprints={algorithm: parse_hex(algorithm, value)},
        source_id=key,
        last_seen=_seconds(untrusted_record.get("lastModtimestamp")),
        metadata=record_metadata(digest, _told_beside(untrusted_record, unknown)),
        **fields,
    )
    return Record(key, digest, entry)


def _keep(signal: str, value: str, untrusted_record: Mapping[str, object], unknown: Counter[str]) -> Record:
    """Its value may be long, and hold letters of both cases that differ."""
    kind, digest = _word(signal) or "missing", record_digest(untrusted_record)
    unknown[f"signalType {kind}"] += 1
    if _text(untrusted_record.get("hashStatus")).lower() in _GONE:
        kept = None
    else:
        kept = kept_texts({kind: value})
    name = f"{kind}:{value}"
    if len(name) > MAX_KEY_CHARS or not name.isprintable():
        name = f"{kind}:sha256={hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return Record(name, digest, None, kept)


def _told_beside(untrusted_record: Mapping[str, object], unknown: Counter[str]) -> dict[str, object]:
    """How many cases and opinions there are, never whose: case numbers stay out. Tags and regions as given."""
    values: dict[str, object] = {}
    cases = untrusted_record.get("caseNumbers")
    if isinstance(cases, dict):
        values["cases"] = _counts(cases.values())
    feedbacks = untrusted_record.get("CSPFeedbacks")
    told = [one for one in feedbacks if isinstance(one, dict)] if isinstance(feedbacks, list) else []
    if told:
        values["feedback"] = _counts(one.get("feedbackValue") for one in told)
        tags = {_word(tag) for one in told if isinstance(one.get("tags"), list) for tag in one["tags"]}
        values["tags"] = sorted(tags - {""})[:_MAX_TAGS]
    for one in told:
        value = _text(one.get("feedbackValue"))
        if value not in _FEEDBACKS:
            unknown[f"feedbackValue {_word(value) or 'missing'}"] += 1
    regions = untrusted_record.get("hashRegions")
    if isinstance(regions, list):
        values["regions"] = [_word(region) for region in regions if isinstance(region, str)][:_MAX_TAGS]
    return values


def _counts(untrusted_values: Iterable[object]) -> dict[str, int]:
    counted = Counter(_word(value) for value in untrusted_values)
    return dict(counted.most_common(_MAX_TAGS))


def _text(untrusted_value: object) -> str:
    return untrusted_value.strip() if isinstance(untrusted_value, str) else ""


def _word(untrusted_value: object) -> str:
    return "".join(c for c in _text(untrusted_value) if c.isprintable())[:_MAX_WORD]


def _seconds(untrusted_value: object) -> int:
    """Seconds since 1970; 0 for what is no such time."""
    if isinstance(untrusted_value, int) and not isinstance(untrusted_value, bool) and 0 <= untrusted_value < 1 << 37:
        return untrusted_value
    return 0
