"""Made-up, benign reports through every channel, so that a newcomer sees every screen alive. Never beside real ones.

Pictures are drawn here; names and addresses lie under example.org, example.net and .invalid, which nobody owns. Kinds
of the demo's bank are labels on drawings.
"""

from __future__ import annotations

import hashlib
import json
from base64 import encodebytes
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from django.conf import settings

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Reporter, Urgency
from leadline.errors import SandboxUnavailable, WrongState
from leadline.exchange import bulk
from leadline.match.bank import Bank
from leadline.media.scenes import draw_scene, encode_picture
from leadline.workbench.reports import actions
from leadline.workbench.reports.actions import Receipt
from leadline.workbench.reports.intake import Sender, receive_file
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Outcome, Reason, State

SOURCE = "demo"
PASSPHRASE = "demo lantern harbour violet pebble orchard"  # noqa: S105  # of a made-up report
_ACTOR = "demo"
_SENDER = Sender(actor=_ACTOR, source=SOURCE, legal_order="made-up order 12/2026")
_URL = "https://gallery.example.net/album/7"


def fill_office(say: Callable[[str], None]) -> None:
    """Fill an office without reports. WrongState where real ones are; a second time does nothing."""
    if Report.objects.exclude(source=SOURCE).exists():
        raise WrongState("this office has real reports", mend="give another LEADLINE_HOME for the demo")
    if Report.objects.exists():
        say("the demo's reports are there already")
        return
    say("filling the workbench with made-up reports")
    _make_bank(Path(settings.LEADLINE_BANKS) / "demo-drawings")
    _receive_typed()
    for channel, name, data in _files():
        try:
            receive_file(channel, data, name, _SENDER, None)
        except SandboxUnavailable:
            say(f"{channel}: left out, for this machine cannot isolate decoders (leadline doctor)")
    _work_on_some()
    say(f"the passphrase of a made-up reporter: {PASSPHRASE}")


def _picture(seed: int) -> bytes:
    return encode_picture(draw_scene(seed, 320, 240), "PNG")


def _make_bank(path: Path) -> None:
    if (path / "manifest.json").exists():
        return
    bank = Bank.create(path, name="Demo drawings", kind=Kind.ILLEGAL, source="leadline demo", licence="Apache-2.0")
    digest = hashlib.sha256(_picture(1)).digest()
    bank.add([Entry(Kind.ILLEGAL, {"sha256": digest}, label="drawn scene 1", source="leadline demo")])


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


def _mail(picture: bytes) -> bytes:
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
            b"See hxxps://gallery[.]example[.]net/album/8 and the drawing enclosed.",
            b"--demo",
            b"Content-Type: image/png",
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="drawing.png"',
            b"",
            encodebytes(picture).replace(b"\n", b"\r\n"),
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


def _capture(picture: bytes) -> bytes:
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
            b"Content-Type: image/png",
            b"Content-Transfer-Encoding: base64",
            b"Content-Location: https://hidden.example.invalid/drawing.png",
            b"",
            encodebytes(picture).replace(b"\n", b"\r\n"),
            b"--demo--",
            b"",
        )
    )


def _findings() -> bytes:
    """Two lines as `leadline scan` writes them."""
    lines = []
    for name, seed, verdict in (("drawings/1.png", 1, "known"), ("drawings/2.png", 2, "unknown")):
        data = _picture(seed)
        digests = {algorithm: hashlib.new(algorithm, data).hexdigest() for algorithm in ("md5", "sha1", "sha256")}
        line: dict[str, object] = {
            "path": name, "size": len(data), "times": {"mtime": None, "ctime": None}, **digests, "mime": "image/png",
            "width": 320, "height": 240, "pdq": None, "quality": None, "pdq_family": None, "partial": False,
            "alpha": "none", "changed_while_read": False, "verdict": verdict, "kind": None, "reasons": [],
            "matches": [], "isolation": "batch", "decoder": None,
        }  # fmt: skip
        lines.append(json.dumps(line) + "\n")
    return "".join(lines).encode()


# --- worked on --------------------------------------------------------------------------------------------------------


def _work_on_some() -> None:
    """One in every state; nobody of the office is named, for nobody works here yet."""
    queue = list(Report.objects.filter(channel=Channel.BULK, state=State.NEW).order_by("number")[:4])
    triaged, waiting, forwarded, closed = queue
    for report in queue:
        actions.change_state(None, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    _move(waiting, State.WAITING, Reason.ASKED_PARTNER)
    _move(forwarded, State.FORWARDED, Reason.TO_HOTLINE)
    _move(closed, State.CLOSED, Reason.ASSESSED, Outcome.REMOVED)
    again = _receive(Channel.STAFF_FORM, _url("https://forum.example.invalid/thread/3"))
    assert again.report.attached_to_id == closed.pk, "a re-report opens what was closed"
    asked = Report.objects.get(channel=Channel.PUBLIC_FORM, urgency=0)
    actions.post_message(asked, text="Which page of the album was it?", actor=_ACTOR, from_reporter=False)
    _move(triaged, State.CLOSED, Reason.OUT_OF_SCOPE, Outcome.NOT_FOR_US)


def _move(report: Report, to: State, reason: Reason, outcome: Outcome | None = None) -> None:
    actions.change_state(None, report.pk, to, reason, seen=State.TRIAGE, outcome=outcome)
