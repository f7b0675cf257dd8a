"""Made-up, benign reports through every channel, so that a newcomer sees every screen alive. Never beside real ones.

Pictures are drawn here, or benign photographs of Debian packages where these are installed; kinds of the demo's bank
are labels on them. Names and addresses lie under example.org, example.net and .invalid, which nobody owns.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import encodebytes
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Reporter, Tlp, Urgency
from leadline.errors import SandboxUnavailable, WrongState
from leadline.exchange import bulk
from leadline.media.photos import find_photos
from leadline.media.scenes import draw_scene, encode_picture
from leadline.workbench.accounts.access import is_set_up
from leadline.workbench.accounts.actions import (
    accept_invitation,
    give_role,
    make_demo_link,
    make_setup_link,
    set_office_setting,
)
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.cases import actions as cases
from leadline.workbench.cases.outlines import outlines
from leadline.workbench.cases.states import MemberRole, PartyRole, SelectorKind
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks as evidence_tasks
from leadline.workbench.evidence.models import Asset, MediaMode
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.office import address_of
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.reports import access, actions
from leadline.workbench.reports import tasks as report_tasks
from leadline.workbench.reports.actions import Receipt
from leadline.workbench.reports.intake import Sender, receive_file
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Outcome, Reason, State

SOURCE = "demo"
BANK = "demo-drawings"
PASSPHRASE = "demo lantern harbour violet pebble orchard"  # noqa: S105  # of a made-up report
_ACTOR = "demo"
_SENDER = Sender(actor=_ACTOR, source=SOURCE, legal_order="made-up order 12/2026")
_URL = "https://gallery.example.net/album/7"


def fill_office(say: Callable[..., None]) -> None:
    """Fill an office without reports. WrongState where real ones are; a second time it only makes new links."""
    if Report.objects.exclude(source=SOURCE).exists():
        raise WrongState("this office has real reports", mend="give another LEADLINE_HOME for the demo")
    if not Report.objects.exists():
        if is_set_up():
            raise WrongState("people work in this office", mend="give another LEADLINE_HOME for the demo")
        say("filling the workbench with made-up people and reports")
        _fill(say)
    else:
        say("the demo's reports are there already")
    _tell_links(say)


def _fill(say: Callable[..., None]) -> None:
    people = _make_people()
    _receive_typed()
    _work_on_some(people[Role.ANALYST])
    try:
        _fill_evidence(people)
    except SandboxUnavailable:
        say("files are left out, for this machine cannot isolate decoders (leadline doctor)")
    _fill_office_pages(people)
    _open_case(people)


def _tell_links(say: Callable[..., None]) -> None:
    """No password is ever made up for anybody: who looks around joins by a link, as everybody does."""
    address = address_of(settings.LEADLINE_ADDRESS)
    say("", "come in by one of these links; each works once, within a day:")
    for what, roles in _LOOKING_AROUND.items():
        say(f"  {what}", f"    {address}/join/{make_demo_link(roles)}/")
    say("", f"the passphrase of a made-up reporter: {PASSPHRASE}", "")


_LOOKING_AROUND = {
    "to see every page (administrator, senior, auditor and curator in one)": (
        Role.ADMINISTRATOR, Role.SENIOR, Role.AUDITOR, Role.CURATOR,
    ),
    "to see what an analyst sees": (Role.ANALYST,),
    "to see what an investigator sees": (Role.INVESTIGATOR,),
}  # fmt: skip
_PEOPLE = {
    Role.ADMINISTRATOR: "Ada Madeup",
    Role.SENIOR: "Sam Madeup",
    Role.ANALYST: "Ann Madeup",
    Role.INVESTIGATOR: "Ira Madeup",
    Role.CURATOR: "Cor Madeup",
}


def _make_people() -> dict[Role, Person]:
    """They never sign in: their passwords are made by chance and told to nobody."""
    made = {}
    for role, name in _PEOPLE.items():
        token = make_demo_link([role]) if is_set_up() else make_setup_link()
        email, password = f"{role.value}@office.invalid", secrets.token_urlsafe(32)
        made[role] = accept_invitation(token, email=email, name=name, password=password)
    give_role(made[Role.ADMINISTRATOR], made[Role.CURATOR], Role.ANALYST)  # waits for a second person
    return made


class _Picture(NamedTuple):
    data: bytes
    name: str
    mime: str
    width: int
    height: int


def _picture(seed: int) -> _Picture:
    """A photograph where as many are installed, else a drawing; the same for the same number."""
    photos = find_photos()
    if seed < len(photos):
        photo = photos[seed]
        return _Picture(photo.path.read_bytes(), f"photo-{seed}.jpg", "image/jpeg", photo.width, photo.height)
    drawn = encode_picture(draw_scene(seed, 320, 240), "PNG")
    return _Picture(drawn, f"drawing-{seed}.png", "image/png", 320, 240)


# --- typed ------------------------------------------------------------------------------------------------------------


def _receive_typed() -> None:
    """Public form, staff form, API and bulk: each as its own pages would hand it over."""
    _receive(Channel.PUBLIC_FORM, _url(_URL), text="I met this album by chance.", passphrase=PASSPHRASE)
    _receive(
        Channel.PUBLIC_FORM,
        IncomingItem(ItemKind.ACCOUNT, "@made_up_handle", facts={"service": "example"}),
        text="This account writes to pupils of a made-up school.",
        urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}),
        passphrase="demo meadow copper thimble walnut ribbon",  # noqa: S106
    )
    _receive(Channel.STAFF_FORM, _url("hxxps://mirror[.]example[.]org/album/7"), text="Told by telephone.")
    _receive(Channel.API, _url(_URL), reporter=Reporter(organisation="Made-up Platform"), source_reference="MP-1001")
    _receive(Channel.API, _url(_URL))  # nothing new: a duplicate
    rows = b"url,note,urgency\n" + b"".join(
        b"https://forum.example.invalid/thread/%d,made up,%s\n" % (n, b"" if n % 4 else b"ongoing") for n in range(12)
    )
    for row in bulk.read(BytesIO(rows), where="demo.csv"):
        if isinstance(row.result, IncomingReport):
            actions.receive(row.result, channel=Channel.BULK, actor=_ACTOR, source=SOURCE)


def _url(value: str) -> IncomingItem:
    return IncomingItem(ItemKind.URL, value)


def _receive(
    channel: Channel,
    *items: IncomingItem,
    text: str = "",
    passphrase: str = "",
    urgency: frozenset[Urgency] = frozenset(),
    reporter: Reporter | None = None,
    source_reference: str = "",
) -> Receipt:
    incoming = IncomingReport(
        channel, items, text=text, urgency=urgency, reporter=reporter, source_reference=source_reference
    )
    return actions.receive(incoming, channel=channel, actor=_ACTOR, source=SOURCE, passphrase=passphrase)


# --- files ------------------------------------------------------------------------------------------------------------


def _files() -> list[tuple[Channel, str, bytes]]:
    return [
        (Channel.MAIL, "mail.eml", _mail(_picture(1))),
        (Channel.ICCAM, "iccam.json", _iccam()),
        (Channel.NCMEC, "ncmec.xml", _ncmec()),
        (Channel.CHAT, "telegram.json", _chat()),
        (Channel.CAPTURE, "page.mhtml", _capture(_picture(2))),
        (Channel.SCAN, "findings.jsonl", _findings()),
    ]


def _mail(picture: _Picture) -> bytes:
    return b"\r\n".join(
        (
            b"From: Made-up Partner <desk@partner.example.org>",
            b"To: reports@office.example.org",
            b"Subject: An album, again",
            b"Date: Mon, 02 Mar 2026 10:00:00 +0000",
            b"Message-ID: <demo-1@partner.example.org>",
            b"Authentication-Results: mx.office.example.org; spf=pass; dmarc=pass",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="demo"',
            b"",
            b"--demo",
            b"Content-Type: text/plain; charset=utf-8",
            b"",
            b"See hxxps://gallery[.]example[.]net/album/8 and the picture enclosed.",
            b"--demo",
            f"Content-Type: {picture.mime}".encode(),
            b"Content-Transfer-Encoding: base64",
            f'Content-Disposition: attachment; filename="{picture.name}"'.encode(),
            b"",
            encodebytes(picture.data).replace(b"\n", b"\r\n"),
            b"--demo--",
            b"",
        )
    )


def _iccam() -> bytes:
    body = {
        "hotlineReference": "DEMO-77",
        "urls": [{"urlString": "https://pictures.example.net/set/3", "memo": "made up"}],
        "memo": "a made-up report of another hotline",
    }
    return json.dumps(body).encode()


def _ncmec() -> bytes:
    return b"""<?xml version="1.0" encoding="UTF-8"?>
<report><incidentSummary><platform>Made-up Service</platform>
<incidentDateTime>2026-03-01T20:15:01Z</incidentDateTime></incidentSummary>
<internetDetails><webPageIncident><url>https://service.example.org/u/4711</url></webPageIncident></internetDetails>
<personOrUserReported><screenName>made_up</screenName></personOrUserReported>
<additionalInfo>a made-up remark</additionalInfo></report>"""


def _chat() -> bytes:
    def message(number: int, who: str, text: str) -> dict[str, object]:
        moment = {"date": f"2026-03-01T1{number}:00:00", "date_unixtime": str(1772359200 + 3600 * number)}
        return {"id": number, "type": "message", **moment, "from": who, "from_id": f"user{len(who)}", "text": text}

    talk = [
        message(1, "Sparrow", "Shall we meet at the made-up garden?"),
        message(2, "Finch (officer)", "Yes. Which page was it?"),
        message(3, "Sparrow", "https://gallery.example.net/album/9"),
    ]
    return json.dumps({"name": "Sparrow", "type": "personal_chat", "id": 4711, "messages": talk}).encode()


def _capture(picture: _Picture) -> bytes:
    return b"\r\n".join(
        (
            b"From: <Saved by a made-up browser>",
            b"Snapshot-Content-Location: https://hidden.example.invalid/board",
            b"Subject: A made-up board",
            b"Date: Mon, 02 Mar 2026 10:00:00 +0000",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/related; type="text/html"; boundary="demo"',
            b"",
            b"--demo",
            b"Content-Type: text/html",
            b"Content-Location: https://hidden.example.invalid/board",
            b"",
            b"<html><body><p>A made-up board</p></body></html>",
            b"--demo",
            f"Content-Type: {picture.mime}".encode(),
            b"Content-Transfer-Encoding: base64",
            f"Content-Location: https://hidden.example.invalid/{picture.name}".encode(),
            b"",
            encodebytes(picture.data).replace(b"\n", b"\r\n"),
            b"--demo--",
            b"",
        )
    )


def _findings() -> bytes:
    """Two lines as `leadline scan` writes them."""
    lines = []
    for seed, verdict in ((1, "known"), (2, "unknown")):
        data, name, mime, width, height = _picture(seed)
        digests = {algorithm: hashlib.new(algorithm, data).hexdigest() for algorithm in ("md5", "sha1", "sha256")}
        line: dict[str, object] = {
            "path": f"pictures/{name}", "size": len(data), "times": {"mtime": None, "ctime": None}, **digests,
            "mime": mime, "width": width, "height": height, "pdq": None, "quality": None, "pdq_family": None,
            "partial": False, "alpha": "none", "changed_while_read": False, "verdict": verdict, "kind": None,
            "reasons": [], "matches": [], "isolation": "batch", "decoder": None,
        }  # fmt: skip
        lines.append(json.dumps(line) + "\n")
    return "".join(lines).encode()


# --- evidence ---------------------------------------------------------------------------------------------------------


def _fill_evidence(people: dict[Role, Person]) -> None:
    """Files that are kept; one that a list knows, one that it comes to know later; an exhibit asked for, one ready."""
    senior, investigator = people[Role.SENIOR], people[Role.INVESTIGATOR]
    evidence.set_media_mode(people[Role.ADMINISTRATOR], MediaMode.KEEP, "made-up law, section 1", retention_days=30)
    curator = Actor.of_person(people[Role.CURATOR])
    banks.create_bank(curator, BANK, kind=Kind.ILLEGAL, reason="own-list")
    banks.add_entries(curator, BANK, [_entry(Kind.ILLEGAL, 1)], reason="own-assessment")
    for channel, name, data in _files():
        receive_file(channel, data, name, _SENDER, None)
    evidence_tasks.match_changes()
    banks.add_entries(curator, BANK, [_entry(Kind.ILLEGAL, 2)], reason="own-assessment")
    banks.add_entries(curator, BANK, [_entry(Kind.FALSE_POSITIVE, 3)], reason="harmless")  # waits for a second person
    evidence_tasks.match_changes()
    report_tasks.follow_matches()
    drawn = Asset.objects.get(sha256=hashlib.sha256(_picture(2).data).hexdigest())
    evidence.set_hold(senior, drawn, is_on=True, reason="own-case")
    ready = evidence.request_exhibit(investigator, [drawn], recipient="A made-up court", reason="court-order")
    evidence.decide_exhibit(senior, ready, release=True, reason="checked")
    evidence_tasks.build.call(str(ready.pk))
    evidence.request_exhibit(investigator, [drawn], recipient="A made-up police", reason="police-request")


def _entry(kind: Kind, seed: int) -> Entry:
    digest = hashlib.sha256(_picture(seed).data).digest()
    return Entry(kind, {"sha256": digest}, label=f"benign picture {seed}", source="leadline demo")


# --- worked on --------------------------------------------------------------------------------------------------------


def _work_on_some(analyst: Person) -> None:
    """One in every state."""
    queue = list(Report.objects.filter(channel=Channel.BULK, state=State.NEW).order_by("number")[:5])
    triaged, waiting, forwarded, closed, _ = queue
    for report in queue:
        actions.change_state(analyst, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    _move(analyst, waiting, State.WAITING, Reason.ASKED_PARTNER)
    _move(analyst, forwarded, State.FORWARDED, Reason.TO_HOTLINE)
    _move(analyst, closed, State.CLOSED, Reason.ASSESSED, Outcome.REMOVED)
    again = _receive(Channel.STAFF_FORM, _url("https://forum.example.invalid/thread/3"))
    assert again.report.attached_to_id == closed.pk, "a re-report opens what was closed"
    asked = Report.objects.get(channel=Channel.PUBLIC_FORM, urgency=0)
    actions.post_message(asked, text="Which page of the album was it?", actor=str(analyst.pk), from_reporter=False)
    _move(analyst, triaged, State.CLOSED, Reason.OUT_OF_SCOPE, Outcome.NOT_FOR_US)


def _move(by: Person, report: Report, to: State, reason: Reason, outcome: Outcome | None = None) -> None:
    actions.change_state(by, report.pk, to, reason, seen=State.TRIAGE, outcome=outcome)


def _open_case(people: dict[Role, Person]) -> None:
    """One that an investigator leads and an analyst works on, with something in each part of it."""
    lead, analyst = people[Role.INVESTIGATOR], people[Role.ANALYST]
    report = Report.objects.filter(channel=Channel.BULK).order_by("number").first()
    case = cases.open_case(lead, "A made-up site", things=[report], outline=outlines().newest("reported-site"))
    cases.add_member(lead, case.pk, analyst, MemberRole.WORKER, timedelta(days=30))
    party = cases.add_party(lead, case.pk, "person 1", PartyRole.WITNESS)
    cases.add_selector(lead, case.pk, SelectorKind.HANDLE, "made_up", PartyRole.WITNESS, party_id=party.pk)
    cases.add_task(lead, case.pk, "Ask the made-up host", assignee=analyst)
    note = cases.add_note(lead, case.pk, "The made-up host answers by mail.")
    cases.add_note(analyst, case.pk, "It answers by letter.", corrects=note.pk)


def _fill_office_pages(people: dict[Role, Person]) -> None:
    """Somebody on call, a change of handling that waits for a second person, a webhook, terms."""
    administrator, senior, now = people[Role.ADMINISTRATOR], people[Role.SENIOR], timezone.now()
    actions.set_on_call(senior, people[Role.ANALYST], now, now + timedelta(hours=12))
    held = Report.objects.filter(channel=Channel.API).order_by("number").first()
    assert held is not None
    actions.set_hold(senior, held.pk, True, reason="preservation-request")
    actions.set_handling(senior, held.pk, Sensitivity.ORDINARY, Tlp.AMBER, "source-asked")
    set_office_setting(administrator, access.CONTACT_DAYS, "90", "made-up law, section 2")
    # An event that the demo does not cause: nothing is sent anywhere.
    hooks.make_endpoint(administrator, "https://hooks.example.invalid/leadline", ["exhibit.received"])
