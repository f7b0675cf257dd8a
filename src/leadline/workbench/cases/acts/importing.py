"""A VICS case, JSON beside a folder of media, read in as a case of the office. The same case again goes on with it.

What the file calls a record stays with the record as an inference of somebody else's; nobody here has assessed it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from django.db import connection, transaction
from django.utils import timezone

from leadline.domain import EXACT_ALGORITHMS, Tlp
from leadline.errors import InputError, LeadlineError, ListFormatError, NotAllowed
from leadline.exchange.base import count_name
from leadline.exchange.vics_case import (
    PAP,
    SELECTOR,
    TLP,
    CaseHead,
    CaseMedia,
    identity_of,
    read_heads,
    read_media,
    sha256_of,
)
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, contents
from leadline.workbench.cases.acts.opening import make_case, stand_in_line
from leadline.workbench.cases.acts.people import write_selector
from leadline.workbench.cases.acts.things import link
from leadline.workbench.cases.acts.writing import lock_case, refuse_closed, tell
from leadline.workbench.cases.folder import MediaFolder, safe_parts
from leadline.workbench.cases.models import Case, Imported, ImportState
from leadline.workbench.cases.states import PAP_ORDER, TLP_ORDER, Pap, PartyRole, SelectorKind
from leadline.workbench.evidence.actions import set_handling, take_in
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.permissions import Sensitivity

SOURCE = "vics-import"
_AT_ONCE = 50
_PROPERTIES_CHARS = 100_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Handling:
    """How a case that is new here is handled, and its files with it."""

    tlp: Tlp = Tlp.AMBER_STRICT
    pap: Pap = Pap.AMBER
    sensitivity: Sensitivity = Sensitivity.SENSITIVE


@dataclass
class Tally:
    """What became of one case's records: came_in + without_file + refused is all of them.

    again   of those that came in, how many had come in before
    faults  code -> how many were refused, or named a file that is not there
    unknown name -> how many records held what nobody here knows: kept beside the record
    refused_hashes  malformed ones, each in a record with a good one, which stays
    """

    number: str
    case_id: str
    is_new: bool
    records: int = 0
    came_in: int = 0
    without_file: int = 0
    refused: int = 0
    again: int = 0
    refused_hashes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Read:
    """One record with what became of its file."""

    media: CaseMedia
    state: ImportState
    fault: str = ""
    asset: Asset | None = None


def import_cases(
    path: Path,
    folder: MediaFolder | None,
    *,
    lead: Person,
    handling: Handling,
    scheme: str = "",
    complain: Callable[[LeadlineError], None],
) -> list[Tally]:
    """Every case of a file; those that are here already go on where they stopped.

    Raises NotAllowed for a lead who may not, WrongState where the case is closed here, ListFormatError where the file
    holds no case or breaks off: nothing of it is in then. A record that would not end ends the list.
    """
    with path.open("rb") as stream:
        heads = read_heads(stream, where=path.name)
        stream.seek(0)
        digest = sha256_of(stream)
        if not heads:
            raise ListFormatError("no case found", where=path.name, mend='expect {"value": [...]} of cases or of Media')
        runs = {head.place: _Run.of(head, digest, path, lead, handling) for head in heads}
        stream.seek(0)
        try:
            for media in read_media(stream, where=path.name, scheme=scheme):
                runs[media.place].take(media, folder, complain)
        except ListFormatError as error:
            complain(error)
            runs[max(runs)].tally.faults[error.code] += 1
    tallies = [run.end() for run in runs.values()]
    _count_anew()
    return tallies


def _count_anew() -> None:
    """PostgreSQL plans by what it last counted: just after many rows came in it would look for each in all of them."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE cases_thing, cases_imported, evidence_asset")


def _check_lead(lead: Person, handling: Handling) -> None:
    actor = Actor.of_person(lead)
    if not access.may_join(lead):
        raise NotAllowed("this person may not lead a case", where="--lead", mend="name an analyst or a senior")
    if actor.clearance < handling.sensitivity or not actor.may_see(handling.tlp):
        raise NotAllowed("this person's role does not clear the case", where="--lead", mend="name a senior")


def _as_strict_as(handling: Handling, said: dict[str, str]) -> Handling:
    """What Leadline wrote into the file of how the case is handled may make it stricter, never looser."""
    tlp, pap = said.get(TLP, ""), said.get(PAP, "")
    if tlp in TLP_ORDER and TLP_ORDER.index(tlp) > TLP_ORDER.index(handling.tlp.value):
        handling = replace(handling, tlp=Tlp(tlp))
    if pap in PAP_ORDER and PAP_ORDER.index(pap) > PAP_ORDER.index(handling.pap.value):
        handling = replace(handling, pap=Pap(pap))
    return handling


class _Run:
    """The records of one case on their way in, some in one transaction."""

    def __init__(self, case: Case, handling: Handling, *, is_new: bool) -> None:
        self._case, self._handling = case, handling
        self.tally = Tally(case.number, str(case.pk), is_new)
        rows = case.imported.values_list("record", "state", "hashes")
        self._known: dict[str, tuple[str, dict[str, str]]] = {record: (state, held) for record, state, held in rows}
        self._waiting: list[_Read] = []
        self._begun_at = timezone.now()

    @classmethod
    @transaction.atomic
    def of(cls, head: CaseHead, digest: str, path: Path, lead: Person, handling: Handling) -> _Run:
        key = contents.source_key(identity_of(head, digest))
        handling = _as_strict_as(handling, dict(head.properties))
        stand_in_line()
        case = Case.objects.select_for_update().filter(source_key=key).first()
        is_new = case is None
        if case is None:
            _check_lead(lead, handling)
            title = head.fields.get("CaseNumber", "") or path.stem
            case = make_case(
                lead, title[: contents.MAX_TITLE_CHARS], tlp=handling.tlp, pap=handling.pap,
                sensitivity=handling.sensitivity, actor=SYSTEM, source_key=key, source=_source(head),
            )  # fmt: skip
        refuse_closed(case)
        _take_selectors(case, head)
        return cls(case, handling, is_new=is_new)

    def take(self, media: CaseMedia, folder: MediaFolder | None, complain: Callable[[LeadlineError], None]) -> None:
        self.tally.records += 1
        for name in media.unknown:
            count_name(self.tally.unknown, name)
        self.tally.refused_hashes += len(media.refused_hashes)
        for refused in media.refused_hashes:
            complain(refused)
        if media.fault is not None:
            complain(media.fault)
            if not media.unknown:
                self._refuse(media.fault.code)
                return
        state, held = self._known.get(media.record, ("", {}))
        if held and not _is_same(held, _hex(media)):
            self._refuse("record-differs")
        elif state == ImportState.TAKEN:
            self.tally.came_in += 1
            self.tally.again += 1
        else:
            read = _read(media, folder)
            self._known[media.record] = (read.state.value, _hex(media))
            self._count(read)
            self._waiting.append(read)
            if len(self._waiting) >= _AT_ONCE:
                self._write()

    def _refuse(self, code: str) -> None:
        self.tally.refused += 1
        self.tally.faults[code] += 1

    def _count(self, read: _Read) -> None:
        if read.state is ImportState.TAKEN:
            self.tally.came_in += 1
        elif read.state is ImportState.WITHOUT_FILE:
            self.tally.without_file += 1
            self.tally.faults.update([read.fault] if read.fault else [])
        else:
            self._refuse(read.fault)

    def end(self) -> Tally:
        self._write()
        self._note_end()
        return self.tally

    @transaction.atomic
    def _note_end(self) -> None:
        told = self.tally
        said = {
            "records": told.records, "came_in": told.came_in, "without_file": told.without_file,
            "refused": told.refused, "again": told.again, "refused_hashes": told.refused_hashes,
        }  # fmt: skip
        tell("case.read-in", self._case, None, reason=SOURCE, details=said)

    @transaction.atomic
    def _write(self) -> None:
        some, self._waiting = self._waiting, []
        if not some:
            return
        case = lock_case(self._case.pk)
        refuse_closed(case)
        for read in some:
            self._write_one(case, read)
        states = Counter(read.state.value.replace("-", "_") for read in some)
        tell("case.records-read", case, None, reason=SOURCE, details=dict(states))

    def _write_one(self, case: Case, read: _Read) -> None:
        media = read.media
        facts = contents.seal_text(
            json.dumps(dict(media.facts)), contents.record_context(case.pk, media.record), 1 << 16
        )
        values = {
            "asset": read.asset, "state": read.state.value, "fault": read.fault[:40], "hashes": _hex(media),
            "labels": [list(label) for label in media.labels], "source": SOURCE, "facts_sealed": facts,
            "imported_at": timezone.now(),
        }  # fmt: skip
        Imported.objects.update_or_create(case=case, record=media.record, defaults=values)
        if read.asset is None:
            return
        if not access.live_things(case).filter(asset=read.asset).exists():
            link(case, read.asset, SYSTEM)
        self._handle(case, read.asset)

    def _handle(self, case: Case, asset: Asset) -> None:
        """A file that is new here is handled as strictly as the case it came in; one that was here stays as it is."""
        handling = self._handling
        is_strict = handling.tlp is Tlp.RED or handling.sensitivity > asset.sensitivity
        if is_strict and asset.received_at >= self._begun_at:
            sensitivity = Sensitivity(max(asset.sensitivity, handling.sensitivity))
            set_handling(None, asset, sensitivity, handling.tlp, "source-asked")


def _hex(media: CaseMedia) -> dict[str, str]:
    return {name: value.hex() for name, value in sorted(media.hashes.items())}


def _is_same(held: dict[str, str], given: dict[str, str]) -> bool:
    """A later file may know more hashes of a record, and never others."""
    common = held.keys() & given.keys()
    return bool(common) and all(held[name] == given[name] for name in common)


def _source(head: CaseHead) -> str:
    """What goes out again with the case: of a file that says very much only its beginning."""
    kept: list[tuple[str, str]] = []
    room = _PROPERTIES_CHARS
    for name, value in head.properties:
        room -= len(name) + len(value)
        if room < 0:
            break
        if name != SELECTOR:
            kept.append((name, value))
    return json.dumps({"fields": dict(head.fields), "properties": kept})


def _take_selectors(case: Case, head: CaseHead) -> None:
    """Those that Leadline wrote into a case file, each in the role it has there. What is none is passed over."""
    for untrusted in (value for name, value in head.properties if name == SELECTOR):
        for kind, value, role in _selector(untrusted):
            write_selector(case, kind, value, role, actor=SYSTEM)


def _selector(untrusted: str) -> Iterator[tuple[SelectorKind, str, PartyRole]]:
    try:
        said: Any = json.loads(untrusted)
        kind, value, role = SelectorKind(said["kind"]), said["value"], PartyRole(said["role"])
        if isinstance(value, str):
            contents.spell(kind, value)
            yield kind, value, role
    except (ValueError, KeyError, TypeError, InputError):
        return


# --- one file --------------------------------------------------------------------------------------------------------


def _read(media: CaseMedia, folder: MediaFolder | None) -> _Read:
    """Its file taken in as the office's media mode says; a path that leads outside the folder is refused. So is a file
    of which nobody here can say whether it is its record's: of that the record alone is kept."""
    if media.fault is not None:
        return _Read(media, ImportState.REFUSED, media.fault.code)
    if folder is None or not media.paths:
        return _Read(media, ImportState.WITHOUT_FILE)
    for untrusted_path in media.paths:
        try:
            stream = folder.open_file(untrusted_path)
        except InputError as error:
            if error.code != "not-found":
                return _Read(media, ImportState.REFUSED, error.code)
            continue
        with stream:
            return _take(media, stream, safe_parts(untrusted_path)[-1])
    return _Read(media, ImportState.WITHOUT_FILE, "not-found")


def _take(media: CaseMedia, stream: BinaryIO, name: str) -> _Read:
    if not _fits(media, stream):
        return _Read(media, ImportState.REFUSED, "hash-differs")
    try:
        asset = take_in(stream, actor=SYSTEM, source=SOURCE, name=name)
    except (InputError, NotAllowed) as error:
        return _Read(media, ImportState.REFUSED, error.code)
    same = all(getattr(asset, name) == value for name, value in _hex(media).items() if name in EXACT_ALGORITHMS)
    if not same:  # it was changed between the two readings
        return _Read(media, ImportState.REFUSED, "hash-differs")
    return _Read(media, ImportState.TAKEN, asset=asset)


def _fits(media: CaseMedia, stream: BinaryIO) -> bool:
    """Whether the file is the one that the record speaks of: before it is taken in, not after."""
    wanted = {name: value for name, value in media.hashes.items() if name in EXACT_ALGORITHMS}
    sums = {name: hashlib.new(name, usedforsecurity=False) for name in wanted}
    while piece := stream.read(_CHUNK_BYTES):
        for one in sums.values():
            one.update(piece)
    stream.seek(0)
    return all(sums[name].digest() == value for name, value in wanted.items())
