"""Files made elsewhere: each through its own reader, in the sandbox, with what it holds going to evidence first."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from tests.exchange.test_ncmec_report import PARTS, whole
from tests.media.foreign import har, har_entry, http, mhtml, pack_records, record, telegram, telegram_message
from tests.media.test_archives import zipped
from tests.workbench.reports.conftest import draw_png, sha256

from leadline.domain import Channel
from leadline.errors import InputError, ReportFormatError
from leadline.workbench import demo
from leadline.workbench.accounts.models import ObjectGrant, Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.reports import access
from leadline.workbench.reports.intake import Sender, receive_file
from leadline.workbench.reports.models import Report

SENDER = Sender(actor="tester", source="unit", legal_order="made-up order 7")
URL = "https://board.example.org/thread"
PICTURE = draw_png(4)


def receive(channel: Channel, data: bytes, sender: Sender = SENDER) -> Report:
    (receipt,) = receive_file(channel, data, "file", sender, None)
    return receipt.report


def opened(report: Report, person: Person) -> access.ReportView:
    return access.open_report(Actor.of_person(person), report)


CHAT = telegram(
    telegram_message(1, "hello"),
    telegram_message(2, "see https://example.net/x and @made_up_name"),
    telegram_message(3, "", file="(File not included. Change data exporting settings to download.)"),
)


def test_a_conversation_is_kept_as_its_lines_with_its_legal_order(senior: Person) -> None:
    view = opened(receive(Channel.CHAT, CHAT), senior)
    assert view.facts["legal_order"] == "made-up order 7"
    assert (view.facts["messages"], view.facts["absent_files"], view.facts["formats"]) == (3, 1, ["telegram"])
    assert "[2024-01-01T10:00:00Z] Anna: hello" in view.text
    shown = [(item.kind, item.shown) for item in view.items]
    assert ("url", "hxxps[:]//example[.]net/x") in shown
    assert view.report.sensitivity == Sensitivity.RESTRICTED


def test_the_export_itself_is_taken_in_and_hashed(senior: Person) -> None:
    report = receive(Channel.CHAT, CHAT)
    assert report.items.get(kind="file").asset.sha256 == sha256(CHAT)


def test_a_conversation_in_an_archive_comes_with_its_pictures(senior: Person) -> None:
    report = receive(Channel.CHAT, zipped({"result.json": CHAT, "photos/1.png": PICTURE}))
    digests = set(report.items.filter(kind="file").values_list("asset__sha256", flat=True))
    assert sha256(PICTURE) in digests
    assert "hello" in opened(report, senior).text


def test_a_conversation_without_an_order_is_refused_before_a_byte_is_taken_in(office: Any) -> None:
    with pytest.raises(ReportFormatError):
        receive(Channel.CHAT, CHAT, Sender(actor="tester"))
    assert not Report.objects.exists()
    assert not Asset.objects.exists()


WARC = pack_records(
    record("response", URL, http(b"<html>x</html>", "Content-Type: text/html")),
    record("response", f"{URL}.png", http(PICTURE, "Content-Type: image/png")),
)


@pytest.mark.parametrize(
    "capture",
    [
        WARC,
        har(har_entry(URL, "<html>x</html>", "text/html"), har_entry(f"{URL}.png", PICTURE, "image/png")),
        mhtml(URL, b"<html>x</html>", **{f"{URL}.png": PICTURE}),
        zipped({"datapackage.json": b"{}", "archive/data.warc.gz": WARC}),
    ],
    ids=["warc", "har", "mhtml", "wacz"],
)
def test_a_capture_gives_its_page_and_its_pictures(senior: Person, capture: bytes) -> None:
    view = opened(receive(Channel.CAPTURE, capture), senior)
    assert [item.shown for item in view.items if item.kind == "url"] == ["hxxps[:]//board[.]example[.]org/thread"]
    assert Asset.objects.filter(sha256=sha256(PICTURE)).exists()
    assert Asset.objects.filter(sha256=sha256(capture)).exists()
    assert view.report.sensitivity == Sensitivity.RESTRICTED


def test_the_same_capture_under_refusal_leaves_no_hash_and_no_byte(refusing: None, senior: Person) -> None:
    report = receive(Channel.CAPTURE, WARC)
    assert not Asset.objects.exists()
    assert {tuple(item.flags) for item in report.items.filter(kind="file")} == {("media-refused",)}


def line(verdict: str, digest: str, **more: Any) -> str:
    whole_line = {
        "path": "a.png", "size": 3, "times": {"mtime": None, "ctime": None}, "md5": None, "sha1": None,
        "sha256": digest, "mime": None, "width": None, "height": None, "pdq": None, "quality": None,
        "pdq_family": None, "partial": False, "alpha": None, "changed_while_read": False, "verdict": verdict,
        "kind": None, "reasons": [], "matches": [], "isolation": "batch", "decoder": None, **more,
    }  # fmt: skip
    return json.dumps(whole_line)


def test_a_scan_gives_a_summary_and_its_hashes_known_ones_first(senior: Person) -> None:
    data = "\n".join((line("unknown", "b" * 64), line("known", "a" * 64), line("unreadable", None))).encode()  # type: ignore[arg-type]
    view = opened(receive(Channel.SCAN, data), senior)
    assert [item.shown for item in view.items] == ["a" * 64, "b" * 64]
    assert view.facts["scan"] == {"known": 1, "unknown": 1, "unreadable": 1}
    assert view.text == "3 files (known: 1, unknown: 1, unreadable: 1)"


def test_a_report_of_ncmec_and_one_shaped_for_iccam(senior: Person) -> None:
    ncmec = receive(Channel.NCMEC, whole(*PARTS))
    assert (ncmec.channel, ncmec.urgency_why) == ("ncmec", [["channel.ncmec", 10]])
    body = {"hotlineReference": "H-1", "urls": [{"urlString": "https://example.org/i"}]}
    iccam = receive(Channel.ICCAM, json.dumps(body).encode())
    assert (iccam.source_reference, iccam.item_count) == ("H-1", 1)


def test_of_several_records_those_before_a_bad_one_are_received_and_it_is_named(office: Any) -> None:
    good = {"urls": [{"urlString": "https://example.org/i"}]}
    with pytest.raises(ReportFormatError) as caught:
        receive_file(Channel.ICCAM, json.dumps([good, {"urls": 5}]).encode(), "f.json", SENDER, None)
    assert caught.value.field == "urls"
    assert Report.objects.count() == 1


@pytest.mark.parametrize("channel", [Channel.CHAT, Channel.CAPTURE, Channel.SCAN, Channel.ICCAM])
@pytest.mark.parametrize("data", [b"x", b"\x89PNG\r\n\x1a\n" + bytes(99), zipped({"a.txt": b"nothing"})])
def test_what_is_something_else_is_refused(office: Any, channel: Channel, data: bytes) -> None:
    with pytest.raises(InputError):
        receive(channel, data)
    assert not Report.objects.exists()


def test_a_text_that_is_no_report_of_ncmec_is_refused(office: Any) -> None:
    for data in (b"x", b"no xml at all", b"<html></html>", b"\0\0"):
        with pytest.raises(ReportFormatError):
            receive(Channel.NCMEC, data)
    assert not Report.objects.exists()


# --- what came, as it came --------------------------------------------------------------------------------------------


PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n"


@pytest.mark.parametrize("channel", [Channel.NCMEC, Channel.ICCAM, Channel.SCAN])
def test_the_hash_of_the_original_stands_with_every_report_of_it_and_in_the_chain(
    office: Any, channel: Channel
) -> None:
    original = {Channel.NCMEC: whole(*PARTS), Channel.ICCAM: demo._iccam(), Channel.SCAN: demo._findings()}[channel]
    for receipt in receive_file(channel, original, "file", SENDER, None):
        assert receipt.report.checks["original_sha256"] == sha256(original)
        line = Line.objects.get(act="report.received", object_id=str(receipt.report.pk))
        assert json.loads(line.details)["original_sha256"] == sha256(original)
    assert not Asset.objects.filter(sha256=sha256(original)).exists()


@pytest.mark.parametrize("channel", [Channel.NCMEC, Channel.ICCAM])
def test_where_files_are_kept_the_original_is_sealed(keeping: None, channel: Channel) -> None:
    original = whole(*PARTS) if channel is Channel.NCMEC else demo._iccam()
    (receipt,) = receive_file(channel, original, "file", SENDER, None)
    kept = [item.asset for item in receipt.items if item.asset and item.asset.state == "kept"]
    assert [asset.sha256 for asset in kept] == [sha256(original)]


def test_another_export_of_ncmec_is_a_report_of_that_file_under_the_media_mode(office: Any) -> None:
    (receipt,) = receive_file(Channel.NCMEC, PDF, "report.pdf", SENDER, None)
    (item,) = receipt.items
    assert item.asset is not None
    assert (item.kind, item.flags, item.asset.sha256) == ("file", ["discarded"], sha256(PDF))
    archive = zipped({"report.pdf": PDF, "a.png": PICTURE})
    (receipt,) = receive_file(Channel.NCMEC, archive, "report.zip", SENDER, None)
    assert {item.asset.sha256 for item in receipt.items if item.asset} == {sha256(archive), sha256(PICTURE)}


def test_where_media_are_refused_of_another_export_only_name_and_hash_stay(refusing: None) -> None:
    (receipt,) = receive_file(Channel.NCMEC, PDF, "report.pdf", SENDER, None)
    assert [(item.asset_id, item.flags) for item in receipt.items] == [(None, ["media-refused"])]
    assert receipt.report.checks["original_sha256"] == sha256(PDF)


# --- who brought it in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.ANALYST])
def test_who_imports_a_conversation_may_open_it_and_a_colleague_of_the_same_role_may_not(
    make_person: Any, client_of: Any, role: Role
) -> None:
    importer, colleague = make_person("importer", role), make_person("colleague", role)
    form = {"channel": "chat", "tlp": "red", "legal_order": "made-up order 7", "source": ""}
    page = client_of(importer).post("/reports/import/", {**form, "file": BytesIO(CHAT)})
    assert page.status_code == 200
    report = Report.objects.get()
    assert client_of(importer).get(f"/reports/{report.pk}/").status_code == 200
    assert client_of(colleague).get(f"/reports/{report.pk}/").status_code == 404
    grant = ObjectGrant.objects.get()
    assert (grant.person, grant.object_id) == (importer, str(report.pk))
    told = Line.objects.get(act="object.granted")
    assert (told.reason, told.object_id) == ("imported", str(report.pk))


def test_who_may_see_what_they_import_gets_no_grant(senior: Person) -> None:
    receive(Channel.CHAT, CHAT, replace(SENDER, importer=senior))
    assert not ObjectGrant.objects.exists()
