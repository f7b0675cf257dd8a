"""A MISP: media-fingerprint objects of its events in, events, withdrawals and sightings out. Decides nothing.

PyMISP asks and sends (`exchange/misp_client.py`). Its answers are taken as the JSON they are: its loader of events sets
attributes of Python objects by the names in the answer.
"""

from __future__ import annotations

import bisect
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leadline.domain import EXACT_ALGORITHMS, Tlp
from leadline.errors import ActNotOffered, InputError, LeadlineError, SourceBroken
from leadline.exchange.connector import (
    Act,
    Checked,
    Checkpoint,
    ListConnector,
    Outgoing,
    Page,
    Sent,
    WebOptions,
)
from leadline.exchange.misp_events import read_event
from leadline.exchange.telling import Telling, Told, begin_at, pull_told
from leadline.exchange.web import Web

if TYPE_CHECKING:
    from pymisp import MISPEvent, PyMISP

_NEVER_S, _LONG_AGO_S = 1 << 40, -(1 << 60)
_WITHOUT = {  # no bytes of attached files above all, and nothing that a MISP adds by itself
    "includeAttachments": 0, "noSightings": 1, "noEventReports": 1, "includeFeedCorrelations": 0,
    "includeWarninglistHits": 0,
}  # fmt: skip
_SIGHTINGS = {Act.AFFIRM: "0", Act.DISPUTE: "1"}  # MISP's types: a sighting, a false positive
_HASHES = (*EXACT_ALGORITHMS, "pdq")


class MispOptions(WebOptions):
    """address        https://NAME of the MISP, with its folder where it has one
    tag            only events with this tag are asked for, as the MISP names it
    organisation   only events made by this organisation (its name, number or UUID there)
    with_files     `file` objects of MISP, too: any file whatever, so only with a tag or an organisation to trust
    whole_every_h  hours after which all is told anew: only so is it seen that an event was deleted
    info           headline of the events that are sent; every reader of the event sees it
    """

    address: str
    tag: str = ""
    organisation: str = ""
    with_files: bool = False
    whole_every_h: float = Field(24, gt=0)
    info: str = Field("Media fingerprints", min_length=1, max_length=200)


@dataclass(frozen=True, slots=True)
class _Index:
    """uuids: of the events that changed since then, sorted; next_s: when the last of all changed; total: of all."""

    uuids: Sequence[str]
    next_s: int
    unnamed: int
    total: int


class Misp(ListConnector):
    """Record keys are the UUIDs of objects. An index of events is asked first, then each event that changed."""

    name = "misp"
    title = "MISP events with media-fingerprint objects"
    secret_names = ("key",)
    act_names = frozenset({Act.SUBMIT, Act.WITHDRAW, Act.AFFIRM, Act.DISPUTE})
    unverified: ClassVar[tuple[str, ...]] = (
        "the REST interface follows the code of MISP and PyMISP; it was not run against a MISP",
        "whether every change of an object and of its tags moves the time of its event",
    )
    options_type = MispOptions
    options: MispOptions

    _web: Web | None = None
    _misp: PyMISP | None = None

    def _open(self) -> PyMISP:
        from leadline.exchange.misp_client import JSON, connect  # PyMISP takes half a second

        if self._web is None:
            self._web = Web(
                self._where, self.options.address, sleep=self.sleep, timeout_s=self.options.timeout_s,
                headers={"authorization": self.secrets["key"], "accept": JSON}, ca_file=self.options.ca_file,
            )  # fmt: skip
        if self._misp is None:
            self._misp = connect(self._web, self._where)
        return self._misp

    def _ask(self, question: Callable[[PyMISP], Any], shape: type[list[Any] | dict[str, Any]] = dict) -> Any:
        """Its answer, of that shape of JSON."""
        from leadline.exchange.misp_client import no_misp, telling

        misp = self._open()
        with telling(self._where):
            told = question(misp)
        if "errors" in _object(told):  # as MISP says it, sometimes with 200
            raise SourceBroken("it refuses what was asked", where=self._where, mend="check the rights of the key")
        if not isinstance(told, shape):
            raise no_misp(self._where)
        return told

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
            self._web = self._misp = None

    def check(self) -> Checked:
        told = self._ask_user()
        name = told["Organisation"].get("name") or f"organisation {told['User'].get('org_id')}"
        rights = {
            "perm_add": "this key may not add events",
            "perm_sync": "this key is not told what is deleted: after each change all events are asked for",
        }
        return Checked(str(name)[:200], tuple(note for name, note in rights.items() if not told["Role"].get(name)))

    def _ask_user(self) -> dict[str, dict[str, Any]]:
        told = self._ask(lambda misp: misp.get_user())
        return {name: _object(told.get(name)) for name in ("User", "Role", "Organisation")}

    # --- the list ----------------------------------------------------------------------------------------------------

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        indexes: list[tuple[int, _Index]] = []  # of the last telling only
        if checkpoint is not None:
            checkpoint, index = self._begin(checkpoint)
            indexes.append((checkpoint["since_s"], index))

        def tell(telling: Telling) -> Told:
            if not indexes or indexes[-1][0] != telling.since_s:
                indexes[:] = [(telling.since_s, self._ask_index(telling.since_s))]
            return self._tell(telling, indexes[-1][1])

        pages = pull_told(
            checkpoint, tell, self.clock, first_s=0, stale_s=_NEVER_S,
            whole_every_s=self.options.whole_every_h * 3600,
        )  # fmt: skip
        for page in pages:
            yield replace(page, checkpoint={**page.checkpoint, "events": indexes[-1][1].total})

    def _begin(self, checkpoint: Checkpoint) -> tuple[Checkpoint, _Index]:
        """With all told anew where something may have gone that nobody tells: an event is no longer in the index, or
        one changed, and this key is not told what was deleted in it. Not where a person said since when."""
        telling = {name: value for name, value in checkpoint.items() if name != "events"}
        index = self._ask_index(telling["since_s"])
        if telling["token"] or "events" not in checkpoint:
            return telling, index
        if index.total < checkpoint["events"] or (index.next_s > telling["since_s"] and not self._sees_deleted()):
            telling["whole_s"] = _LONG_AGO_S
        return telling, index

    def _sees_deleted(self) -> bool:
        """MISP tells deleted objects of other organisations' events to keys that may synchronise, and to no others."""
        return bool(self._ask_user()["Role"].get("perm_sync"))

    def start_at(self, since_s: int) -> Checkpoint:
        return begin_at(since_s, self.clock())

    def _tell(self, telling: Telling, index: _Index) -> Told:
        """One event. Sorted by UUID, so that what is deleted or added meanwhile moves none out of its place."""
        at = bisect.bisect_left(index.uuids, telling.token)
        next_s = max(index.next_s, telling.next_s)
        unknown = {"event without a UUID": index.unnamed} if index.unnamed and not telling.token else {}
        if at == len(index.uuids):
            return Told((), "", next_s, unknown=unknown)
        after = index.uuids[at + 1] if at + 1 < len(index.uuids) else ""
        event = self._ask_event(index.uuids[at], telling.since_s)
        told = read_event(
            event, self.defaults, f"{self._where}: event {index.uuids[at]}", of_files=self.options.with_files
        )
        return Told(told.records, after, next_s, told.faults, {**told.unknown, **unknown})

    def _ask_event(self, event: str, since_s: int) -> Mapping[str, Any]:
        """Empty where it was deleted after the index was told."""
        deleted = {"deleted": [0, 1]}  # what is there, and what was there
        try:
            told = self._ask(lambda misp: misp.direct_call(f"events/view/{event}", deleted, kw_params=_WITHOUT))
        except SourceBroken as error:
            if error.code != "page-expired" or event in self._ask_index(since_s).uuids:
                raise
            return {}
        told = told.get("Event")
        if not isinstance(told, dict) or str(told.get("uuid")).lower() != event:
            raise SourceBroken("it answers with another event, or with none", where=self._where, mend="pull again")
        return told

    def _ask_index(self, since_s: int) -> _Index:
        tag, organisation = self.options.tag or None, self.options.organisation or None
        told = self._ask(lambda misp: misp.search_index(minimal=True, tags=tag, org=organisation), list)
        rows = [_object(row) for row in told]
        found = [(_uuid(row.get("uuid")), _seconds(row.get("timestamp"))) for row in rows]
        uuids = sorted({name for name, time_s in found if name and time_s >= since_s})
        next_s = max((time_s for _, time_s in found), default=0)
        return _Index(uuids, next_s, sum(not name for name, _ in found), len(found))

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        """Submissions of one TLP and PAP go as one event; a request that fails is the outcome of all in it."""
        self._open()  # what fails here has tried none of them
        sent: dict[int, Sent] = {}
        submitted = [number for number, one in enumerate(outgoing) if one.act is Act.SUBMIT]
        for number, one in enumerate(outgoing):
            if one.act is not Act.SUBMIT:
                sent[number] = self._send_one(one)
        sent |= self._submit({number: outgoing[number] for number in submitted})
        return [sent[number] for number in range(len(outgoing))]

    def _send_one(self, one: Outgoing) -> Sent:
        try:
            key = _uuid(one.key)
            if not key:
                raise InputError("not a key of this source", where=self._where, mend="give the UUID of an object")
            if one.act is Act.WITHDRAW:
                self._ask(lambda misp: misp.delete_object(key))
                return Sent(one, key)
            return Sent(one, self._tell_sighting(one, key))
        except LeadlineError as error:
            return Sent(one, error=error)

    def _tell_sighting(self, one: Outgoing, key: str) -> str:
        if one.act not in _SIGHTINGS:
            raise ActNotOffered("this source takes no such act", where=self._where)
        told = _object(self._ask(lambda misp: misp.get_object(key)).get("Object"))
        attributes = told.get("Attribute")
        wanted = (one.algorithm,) if one.algorithm else _HASHES
        found = [
            _uuid(attribute.get("uuid"))
            for attribute in map(_object, attributes if isinstance(attributes, list) else [])
            if attribute.get("object_relation") in wanted
        ]
        if not found or not found[0]:
            raise InputError("the object has no such fingerprint", where=self._where, mend="name another algorithm")
        self._ask(lambda misp: misp.add_sighting({"type": _SIGHTINGS[one.act]}, found[0]))
        return found[0]

    def _submit(self, outgoing: Mapping[int, Outgoing]) -> dict[int, Sent]:
        from leadline.exchange.misp_objects import make_event, make_object, pap_of  # PyMISP takes half a second

        sent: dict[int, Sent] = {}
        made: dict[tuple[Tlp, str], list[tuple[int, Any]]] = defaultdict(list)
        for number, one in outgoing.items():
            try:
                if one.entry is None:
                    raise InputError("there is no entry to submit", where=self._where)
                made[one.entry.tlp, pap_of(one.entry)].append((number, make_object(one.entry)))
            except LeadlineError as error:
                sent[number] = Sent(one, error=error)
        for (tlp, pap), objects in made.items():
            today = datetime.fromtimestamp(self.clock(), UTC).date()
            event = make_event([of for _, of in objects], self.options.info, today, tlp, pap)
            failed = self._add(event)
            for number, of in objects:
                sent[number] = Sent(outgoing[number], "" if failed else of.uuid, failed)
        return sent

    def _add(self, event: MISPEvent) -> LeadlineError | None:
        try:
            self._ask(lambda misp: misp.add_event(event))
        except LeadlineError as error:
            return error
        return None


def _object(untrusted_value: object) -> dict[str, Any]:
    return untrusted_value if isinstance(untrusted_value, dict) else {}


def _uuid(untrusted_value: object) -> str:
    """As MISP writes them; empty for what is none, since it becomes part of an address."""
    try:
        return str(uuid.UUID(untrusted_value)) if isinstance(untrusted_value, str) else ""
    except ValueError:
        return ""


def _seconds(untrusted_value: object) -> int:
    text = str(untrusted_value) if isinstance(untrusted_value, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 11 else 0
