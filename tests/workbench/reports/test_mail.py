"""A mail becomes a report and nothing else; who sent it is checked, never believed."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

import dkim
import pytest
from tests.workbench.reports.conftest import (
    BODY,
    Resolve,
    draw_png,
    mail_with_file,
    make_mail,
    make_report,
    sha256,
    sign_mail,
)

from leadline.errors import ReportFormatError
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports import access, containers
from leadline.workbench.reports import mail as reports_mail
from leadline.workbench.reports.intake import Sender, receive_mail
from leadline.workbench.reports.mail import Budgeted, find_keys, read_mail
from leadline.workbench.reports.models import Item, Report

SENDER = Sender(actor="tester", source="mail")


def test_links_and_accounts_of_a_mail_are_items_and_its_text_is_kept(analyst: Person, resolver: Resolve) -> None:
    report = receive_mail(make_mail(), SENDER, resolver).report
    view = access.open_report(Actor.of_person(analyst), report)
    assert [(item.kind, item.shown) for item in view.items] == [
        ("url", "hxxps[:]//example[.]net/page"),
        ("account", "@made_up_handle"),
    ]
    assert "Please look at" in view.text
    assert view.contact == {"name": "Ann", "email": "ann@example.org"}
    assert view.facts["mail"]["message_id"] == "<one@example.org>"
    assert report.channel == "mail"


def test_a_mail_executes_no_command(analyst: Person, resolver: Resolve) -> None:
    known = make_report("https://example.net/page", text="first")
    orders = "ERT-CONTENTREMOVED SET_MAINTENANCE close urgent child-at-risk-now"
    body = f"{known.number} closed\r\nhttps://example.net/page\r\n{orders}\r\n".encode()
    report = receive_mail(make_mail(body, subject=orders), SENDER, resolver).report
    known.refresh_from_db()
    assert (known.state, report.state, report.urgency) == ("new", "new", 0)


# --- DKIM ------------------------------------------------------------------------------------------------------------


def test_a_valid_signature_of_the_senders_domain_is_recorded(signing: Any, resolver: Resolve) -> None:
    signed = sign_mail(make_mail(), signing[0])
    assert read_mail(signed, resolver).checks == {"dkim": "pass", "aligned": True}


def test_a_changed_mail_fails(signing: Any, resolver: Resolve) -> None:
    forged = sign_mail(make_mail(), signing[0]).replace(b"example[.]net", b"example[.]com")
    assert read_mail(forged, resolver).checks["dkim"] == "fail"


def test_a_signature_of_another_domain_passes_but_is_not_aligned(signing: Any, resolver: Resolve) -> None:
    signed = sign_mail(make_mail(sender="ann@example.net"), signing[0])
    assert read_mail(signed, resolver).checks == {"dkim": "pass", "aligned": False}


def test_an_address_in_the_display_name_is_not_the_sender(signing: Any, resolver: Resolve) -> None:
    """SCART takes the first thing in From that looks like an address (hotline-scart, S1)."""
    signed = sign_mail(make_mail(sender='"boss@example.org" <x@example.net>'), signing[0])
    mail = read_mail(signed, resolver)
    assert mail.checks["aligned"] is False
    assert mail.incoming.reporter is not None
    assert mail.incoming.reporter.email == "x@example.net"


def test_a_second_from_line_is_told(resolver: Resolve) -> None:
    assert read_mail(make_mail(extra=b"From: boss@example.org\r\n"), resolver).checks["repeated"] == ["from"]


def test_an_unsigned_mail_and_one_that_was_not_looked_up_say_so(signing: Any, resolver: Resolve) -> None:
    assert read_mail(make_mail(), resolver).checks["dkim"] == "none"
    assert read_mail(sign_mail(make_mail(), signing[0]), None).checks["dkim"] == "not-checked"


@pytest.mark.parametrize("record", [None, b"", b"v=DKIM1; p=", b"\xff\xfe", b"v=DKIM1; k=rsa; p=AAAA"])
def test_a_broken_key_record_is_no_pass(signing: Any, record: bytes | None) -> None:
    checks = read_mail(sign_mail(make_mail(), signing[0]), lambda name, timeout_s: record).checks
    assert checks["dkim"] in {"fail", "error"}
    assert checks["aligned"] is False


def test_a_broken_signature_line_is_no_fault_of_ours(resolver: Resolve) -> None:
    for line in (b"DKIM-Signature: v=1; a=rsa-sha256\r\n", b"DKIM-Signature: \xff\xff;;==\r\n", b"DKIM-Signature:\r\n"):
        assert read_mail(make_mail(extra=line), resolver).checks["dkim"] in {"fail", "error"}


def test_what_the_receiving_server_says_is_recorded_as_its_claim(resolver: Resolve) -> None:
    """The topmost line only: those below it came with the mail. Form: RFC 8601 section 2.2."""
    extra = (
        b"Authentication-Results: mx.example.org;\r\n"
        b" spf=pass (sender ip=none; dmarc=pass) smtp.mailfrom=example.org;\r\n"
        b" dkim=fail header.d=example.org; dmarc=fail\r\nAuthentication-Results: evil.test; spf=pass; dmarc=pass\r\n"
    )
    checks = read_mail(make_mail(extra=extra), resolver).checks
    assert checks["claimed"] == {"spf": "pass", "dkim": "fail", "dmarc": "fail"}
    assert checks["dkim"] == "none"


def test_a_signature_of_the_begin_of_a_text_is_no_pass(signing: Any, resolver: Resolve) -> None:
    """Who passes the mail on may have written the rest (RFC 6376, 8.2)."""
    signature = dkim.sign(make_mail(), b"made", b"example.org", signing[0], include_headers=[b"from"], length=True)
    checks = read_mail(signature + make_mail() + b"and what a stranger adds\r\n", resolver).checks
    assert checks["dkim"] == "partial"


def test_a_line_of_blanks_that_no_library_finishes_is_settled_at_once(signing: Any, resolver: Resolve) -> None:
    """dkimpy alone takes 12 s for 80 kB, and hours for what a mail may hold."""
    body = BODY + b" " * 80_000 + b"x\r\n" + (b" " * 998 + b"x\r\n") * 1000
    forged = (
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=made; h=from:subject;"
        b" bh=MDAw; b=MTEx\r\n" * 4
    )
    begun = time.monotonic()
    assert read_mail(forged + make_mail(body), resolver).checks["dkim"] == "fail"
    assert time.monotonic() - begun < 30  # of it two sandboxes begin; without the wall and its function, minutes


def test_what_takes_too_long_behind_the_wall_is_an_error_and_ends(
    resolver: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library looks through all headers for every name in h=: a thousand million steps, by one mail of 1 MB."""
    monkeypatch.setattr(containers, "CHECK_TIMEOUT_S", 1.5)
    body_hash = base64.b64encode(hashlib.sha256(BODY).digest())
    names = b":".join(b"n%d" % n for n in range(20_000))
    signature = b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=made; bh=" + body_hash
    signature += b"; b=MTEx; h=from:" + names + b"\r\n"
    begun = time.monotonic()
    mail = signature + b"From: ann@example.org\r\n" + b"X-a: b\r\n" * 50_000 + b"\r\n" + BODY
    checks = read_mail(mail, resolver).checks
    assert time.monotonic() - begun < 30
    assert checks["dkim"] == "error"


def test_slow_name_servers_cost_a_mail_one_budget_and_a_round_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_mail, "DNS_TIMEOUT_S", 0.2)
    asked: list[float] = []

    def hang(name: str, timeout_s: float) -> bytes | None:
        asked.append(timeout_s)
        time.sleep(timeout_s)
        return None

    one_round = Budgeted(hang, 0.5)
    lines = b"".join(b"DKIM-Signature: v=1; d=example.org; s=s%d; b=AA==\r\n" % n for n in range(4))
    begun = time.monotonic()
    for _ in range(20):
        find_keys([f"s{n}._domainkey.example.org" for n in range(4)], one_round)
    assert time.monotonic() - begun < 8  # without a budget it were sixteen
    assert sum(asked) < 0.6
    assert read_mail(make_mail(extra=lines), one_round).checks["dkim"] == "error"


def test_a_key_is_asked_for_by_its_own_name_only(signing: Any) -> None:
    asked: list[str] = []

    def resolve(name: str, timeout_s: float) -> bytes | None:
        asked.append(name)
        return None

    odd = b"DKIM-Signature: v=1; d=evil example/..; s=a; b=AA==\r\n"
    read_mail(odd + sign_mail(make_mail(), signing[0]), resolve)
    assert asked == ["made._domainkey.example.org"]


def test_what_the_offices_own_mail_server_says_is_a_result_and_no_claim(resolver: Resolve) -> None:
    ours = b"Authentication-Results: MX.office.example.org; spf=pass; dmarc=fail\r\n"
    forged = b"Authentication-Results: mx.office.example.org; spf=fail\r\n"
    other = b"Authentication-Results: mx.elsewhere.example; spf=pass\r\n"
    said = read_mail(make_mail(extra=ours + forged), resolver, "mx.office.example.org").checks
    assert (said["received"], "claimed" in said) == ({"spf": "pass", "dmarc": "fail"}, False)
    for authserv_id, lines in (("mx.office.example.org", other + ours), ("", ours)):
        assert "received" not in read_mail(make_mail(extra=lines), resolver, authserv_id).checks


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_in_a_mail_is_hashed_and_not_kept_without_a_decision(office: Any, resolver: Resolve) -> None:
    picture = draw_png(7)
    receipt = receive_mail(mail_with_file("holiday.png", picture), SENDER, resolver)
    (item,) = receipt.items
    assert (item.kind, item.flags) == ("file", ["discarded"])
    assert item.asset is not None
    assert item.asset.sha256 == sha256(picture)
    assert list(office.vault.rglob("*.*")) == []


def test_where_media_are_refused_only_the_name_is_kept(refusing: None, resolver: Resolve) -> None:
    receipt = receive_mail(mail_with_file("holiday.png", draw_png(7)), SENDER, resolver)
    assert [(item.asset_id, item.flags) for item in receipt.items] == [(None, ["media-refused"])]
    assert not Asset.objects.exists()


def test_where_media_are_kept_the_mail_itself_is_sealed_too(keeping: None, resolver: Resolve) -> None:
    mail = mail_with_file("holiday.png", draw_png(7))
    receipt = receive_mail(mail, SENDER, resolver)
    kept = {item.asset.sha256 for item in receipt.items if item.asset and item.asset.state == "kept"}
    assert kept == {sha256(mail), sha256(draw_png(7))}


def test_a_report_of_the_hash_of_a_file_is_a_report_of_that_file(resolver: Resolve) -> None:
    picture = draw_png(9)
    first = receive_mail(mail_with_file("a.png", picture), SENDER, resolver)
    second = receive_mail(make_mail(f"sha256:{sha256(picture)}\r\n".encode()), SENDER, resolver)
    assert second.items[0].first_id == first.items[0].id


def test_a_mail_of_html_alone_still_gives_its_links(resolver: Resolve) -> None:
    html = b'<p>see <a href="https://example.net/hidden?x=1">this</a><script>alert(1)</script></p>'
    mail = make_mail(html).replace(b"text/plain", b"text/html")
    incoming = read_mail(mail, resolver).incoming
    assert "https://example.net/hidden?x=1" in [item.value for item in incoming.items]
    assert "script" not in incoming.text


# --- no mails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("untrusted", [b"no mail at all", b"\x89PNG\r\n\x1a\n" + bytes(50), b"Subject: x\r\n\r\nbody"])
def test_what_is_no_mail_is_refused(untrusted: bytes, resolver: Resolve) -> None:
    with pytest.raises(ReportFormatError):
        read_mail(untrusted, resolver)
    assert not Report.objects.exists()


def test_a_mail_cut_short_is_a_report_and_says_so(resolver: Resolve) -> None:
    mail = mail_with_file("a.png", draw_png(7))
    receipt = receive_mail(mail[: len(mail) - 400], SENDER, resolver)
    assert receipt.report.checks["damaged"] == "truncated"
    assert Item.objects.filter(report=receipt.report, kind="file").exists()


def test_no_byte_of_a_mail_reaches_the_disk(office: Any, resolver: Resolve) -> None:
    """Searched in every file of the office's folder and of the database: the made-up address in the text."""
    from django.db import connection

    receive_mail(make_mail(BODY + b"needle-in-a-mail"), SENDER, resolver)
    folders = [office.home]
    if connection.vendor == "sqlite":
        folders.append(Path(connection.settings_dict["NAME"]).parent)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"needle-in-a-mail" not in path.read_bytes(), path
