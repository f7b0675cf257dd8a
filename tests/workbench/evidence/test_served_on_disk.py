"""No media byte reaches the disk by any channel of an office as it is really served, in the modes that keep nothing.

The office's home, its user's home and its temporary folder are searched all the while, for the bytes themselves and
for what mails, forms and programs write them as.
"""

from __future__ import annotations

import base64
import imaplib
import io
import json
import os
import re
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.journeys.conftest import serve_office
from tests.machine import Machine
from tests.media.foreign import har, har_entry, mhtml, telegram, telegram_message
from tests.media.packed import zipped
from tests.workbench.evidence.served import ServedOffice
from tests.workbench.evidence.test_nothing_on_disk import MARK
from tests.workbench.reports.conftest import mail_with_file
from tests.workbench.reports.test_files import line as finding
from tests.workbench.reports.test_mailbox import PASSWORD, USER, dovecot

from leadline.media.scenes import draw_scene

__all__ = ["dovecot"]


def picture() -> bytes:
    """Small enough for the public form; the mark stands behind its end, where decoders do not look."""
    out = io.BytesIO()
    Image.fromarray(draw_scene(1, 32, 24)).save(out, "PNG", optimize=True)
    return out.getvalue() + MARK * 20


PNG = picture()
B64 = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{B64}"


def _needles() -> list[bytes]:
    """The mark, and what it is written as: base64 at each of its three places, of both alphabets, and hexadecimal."""
    found = [MARK, MARK.hex().encode(), MARK.hex().upper().encode()]
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.append(encode(b"\0" * shift + MARK)[4:-4])
    return found


NEEDLES = _needles()


def find_media(*folders: Path) -> list[str]:
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                data = path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            found += [str(path)] if any(needle in data for needle in NEEDLES) else []
    return found


@contextmanager
def searching(*folders: Path) -> Iterator[list[str]]:
    """Again and again while something comes in, and once more at the end."""
    found: list[str] = []
    is_over = threading.Event()

    def search() -> None:
        while not is_over.wait(0.1):
            found.extend(find_media(*folders))

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        yield found
    finally:
        is_over.set()
        searcher.join()
    found.extend(find_media(*folders))


def archive(members: dict[str, bytes] | None = None) -> bytes:
    """And the picture beside them, stored as it is: packed bytes would not be found where they should not be."""
    return zipped({**(members or {}), "a.png": PNG}, zipfile.ZIP_STORED)


def warc() -> bytes:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PNG) + PNG
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>\r\n"
        "WARC-Date: 2026-03-02T10:00:00Z\r\nWARC-Target-URI: https://example.org/a.png\r\n"
        f"Content-Type: application/http;msgtype=response\r\nContent-Length: {len(answer)}\r\n\r\n"
    )
    return head.encode() + answer + b"\r\n\r\n"


CHAT = f"02/03/2026, 10:00 - Ann: look at this\n02/03/2026, 10:01 - Ann: {URL}\n02/03/2026, 10:02 - Ben: no\n".encode()
TELEGRAM = telegram(telegram_message(1, f"look {URL}", photo="a.png"), telegram_message(2, "no"))
_PLACE = {"urlString": "https://example.org/a", "isSourceUrl": True, "memo": URL, "other": [{"deep": B64}]}
ICCAM = json.dumps({"hotlineReference": "made up 1", "memo": f"see {URL}", "urls": [_PLACE]}).encode()
NCMEC = f"""<?xml version="1.0" encoding="UTF-8"?><report><incidentSummary><incidentType>made up</incidentType>
<incidentDateTime>2026-03-02T10:00:00Z</incidentDateTime></incidentSummary><internetDetails><webPageIncident>
<url>https://example.org/a</url><additionalInfo>{URL}</additionalInfo></webPageIncident></internetDetails>
<additionalInfo>{URL}</additionalInfo></report>""".encode()


def by_import(channel: str, name: str, data: bytes) -> Callable[[ServedOffice], Any]:
    said = {"channel": channel, "legal_order": "made-up order", "source": "test", "tlp": "amber"}
    return lambda office: office.send_page("/reports/import/", said, {"file": (name, data)})


def by_upload(name: str, data: bytes) -> Callable[[ServedOffice], Any]:
    return lambda office: office.send_page("/evidence/assets/upload/", {}, {"file": (name, data)})


def by_bulk(name: str, data: bytes) -> Callable[[ServedOffice], Any]:
    return lambda office: office.send_page("/reports/bulk/", {"source": "test"}, {"file": (name, data)})


def by_staff_form(office: ServedOffice) -> Any:
    said = {"paste": f"see {URL} there\n{B64}", "tlp": "amber", "receive": "1"}
    return office.send_page("/reports/new/", said)


def by_program(office: ServedOffice) -> Any:
    said = {"text": f"see {URL} there\n{B64}", "items": [{"kind": "url", "value": "https://example.org/a", "note": URL}]}
    return office.send_program("/reports", json=said)


def by_mailbox(office: ServedOffice) -> None:
    host, _, port = office.running.environment["LEADLINE_IMAP_URL"].rpartition("@")[2].strip("/").partition(":")
    imap = imaplib.IMAP4(host, int(port), timeout=20)
    imap.login(USER, PASSWORD.replace(" ", "_"))
    _let_dovecot_in(office)
    imap.append("INBOX", "", "", mail_with_file("a.png", PNG))
    for _ in range(40):
        _let_dovecot_in(office)
        office.poll_mail()
        time.sleep(2)
        if imap.select("INBOX")[1] == [b"0"]:  # taken in, and expunged: this office keeps no media
            break
    imap.logout()


def _let_dovecot_in(office: ServedOffice) -> None:
    """Every pytest that starts closes the folder of all temporary folders again, and Dovecot is another user."""
    for parent in office.running.home.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o011)


CHANNELS: dict[str, Callable[[ServedOffice], Any]] = {
    "staff-upload": by_upload("a.png", PNG + b"\0" * (3 << 20)),
    "staff-upload-of-an-archive": by_upload("a.zip", archive()),
    "program-upload": lambda office: office.send_program("/assets", files={"file": ("a.png", PNG)}),
    "staff-form": by_staff_form,
    "program": by_program,
    "bulk-picture": by_bulk("a.csv", PNG),
    "bulk-list": by_bulk("a.csv", f'url,note\r\nhttps://example.org/a,"{URL}"\r\n'.encode()),
    "mail": by_import("mail", "a.eml", mail_with_file("a.png", PNG)),
    "mailbox": by_mailbox,
    "capture-warc": by_import("capture", "a.warc", warc()),
    "capture-har": by_import("capture", "a.har", har(har_entry("https://example.org/a.png", PNG, "image/png"))),
    "capture-mhtml": by_import("capture", "a.mhtml", mhtml("https://example.org/", b"<p>page", **{"a.png": PNG})),
    "capture-wacz": by_import("capture", "a.wacz", archive({"datapackage.json": b"{}", "archive/data.warc": warc()})),
    "chat": by_import("chat", "_chat.txt", CHAT),
    "chat-with-pictures": by_import("chat", "a.zip", archive({"_chat.txt": CHAT})),
    "telegram-with-pictures": by_import("chat", "b.zip", archive({"result.json": TELEGRAM})),
    "iccam": by_import("iccam", "a.json", ICCAM),
    "ncmec": by_import("ncmec", "a.xml", NCMEC),
    "ncmec-export": by_import("ncmec", "a.zip", archive({"report.pdf": b"%PDF-1.4 made up " + PNG})),
    "scan": by_import("scan", "findings.jsonl", finding("unknown", "a" * 64, path=URL).encode()),
    "public-form": lambda office: office.send_public(f"see {URL} there"),
}


@pytest.fixture(scope="module")
def served(prepared: Machine, tmp_path_factory: pytest.TempPathFactory, dovecot: int) -> Iterator[ServedOffice]:
    base = tmp_path_factory.mktemp("served")
    home, user, temporary = base / "home", base / "user", base / "temporary"
    for folder in (user, temporary):
        folder.mkdir(mode=0o700)
    shutil.copytree(prepared.home, home)
    given = {
        "TMPDIR": str(temporary),
        "HOME": str(user),
        "LEADLINE_IMAP_URL": f"imap://{USER}:{PASSWORD.replace(' ', '_')}@127.0.0.1:{dovecot}/",
    }
    with serve_office(home, given) as running:
        office = ServedOffice(running, (home, user, temporary))
        office.prepare()
        yield office


def test_the_search_would_find_every_form(tmp_path: Path) -> None:
    for number, data in enumerate((PNG, B64.encode(), b"x" + base64.b64encode(b"yy" + PNG), PNG.hex().encode(), CHAT)):
        (tmp_path / str(number)).write_bytes(data)
        assert len(find_media(tmp_path)) == number + 1


NOT_TAKEN = {"bulk-picture", "bulk-list"}  # no list; and a list is kept until somebody orders its import
NOT_WHERE_REFUSED = {"staff-upload", "staff-upload-of-an-archive", "program-upload"}


@pytest.mark.parametrize("mode", ["refuse", "hash-and-discard"])
def test_no_channel_brings_a_media_byte_to_the_disk(served: ServedOffice, mode: str) -> None:
    """All of them in one test: what one left behind is found by the search of the next one too, and named by it."""
    served.set_mode(mode)
    brought: dict[str, list[str]] = {}
    not_taken: dict[str, str] = {}
    for channel, send in CHANNELS.items():
        before = served.counts()
        with searching(*served.folders) as found:
            answer = send(served)
        if found:
            brought[channel] = sorted(set(found))
        if served.counts() == before:
            not_taken[channel] = "" if answer is None else f"{answer.status_code} {_faults_in(answer.text)}"
    assert brought == {}
    expected = NOT_TAKEN | (NOT_WHERE_REFUSED if mode == "refuse" else set())
    assert not_taken.keys() == expected, not_taken


def _faults_in(page: str) -> list[str]:
    return re.findall(r'class="error[^>]*>(.{0,300})', page, re.DOTALL) or [page[:300]]
