"""The public form's process: what is not in it, what leaves it, and what it refuses."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from tests import forking
from tests.machine import Machine
from tests.servers import free_port
from tests.workbench.public.pages import FORM, PAGES, open_page, read_answer, send_report, urlencoded

from leadline.domain import WORKBENCH_VARIABLES
from leadline.workbench.public.quiet import NoVisitor
from leadline.workbench.reports.models import Report

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"  # the Tor Project's own
VISITOR = "127.0.0.77"  # an address of this machine that nothing else here has


# --- headers ---------------------------------------------------------------------------------------------------------


def test_every_answer_forbids_scripts_keeps_nothing_and_sets_no_cookie(visitor: Client) -> None:
    answers = [visitor.get(f"/en/{path}") for path in PAGES]
    answers += [visitor.get(path) for path in ("/", "/exit/", "/favicon.ico", "/static/public/public.css", "/en/no/")]
    answers += [send_report(visitor, text="a report"), read_answer(visitor, "wrong"), visitor.delete("/en/report/")]
    for answer in answers:
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer["Cache-Control"] == "no-store"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer
        assert "ETag" not in answer
        assert "Last-Modified" not in answer
        assert not answer.cookies
        answer.close()


def test_the_onion_address_is_told_where_there_is_one_and_not_to_who_is_there(visitor: Client, settings: Any) -> None:
    assert "Onion-Location" not in visitor.get("/en/report/")
    settings.LEADLINE_PUBLIC_ONION = ONION
    settings.ALLOWED_HOSTS = ["testserver", ONION]
    assert visitor.get("/en/report/")["Onion-Location"] == f"http://{ONION}/en/report/"
    assert "Onion-Location" not in visitor.get("/en/report/", headers={"host": ONION})


# Options of a service in tor(1) 0.4.8 that keep it an onion service: none of those that the page warns of.
TORRC = {
    "SocksPort", "HiddenServiceDir", "HiddenServicePort", "HiddenServicePoWDefensesEnabled", "HiddenServicePoWQueueRate",
    "HiddenServicePoWQueueBurst", "HiddenServiceMaxStreams", "HiddenServiceMaxStreamsCloseCircuit",
    "HiddenServiceEnableIntroDoSDefense", "SafeLogging", "Log",
}  # fmt: skip


def test_the_torrc_of_the_manual_serves_the_form_behind_proof_of_work() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "onion.md").read_text()
    (block,) = re.findall(r"^```\n(.+?)^```$", manual, re.DOTALL | re.MULTILINE)
    said = dict(line.split(maxsplit=1) for line in block.splitlines() if line and not line.startswith("#"))
    assert said.keys() <= TORRC
    assert (said["HiddenServicePoWDefensesEnabled"], said["SocksPort"], said["SafeLogging"]) == ("1", "0", "1")
    (address,) = [one.default for one in WORKBENCH_VARIABLES if one.name == "LEADLINE_PUBLIC_ADDRESS"]
    assert said["HiddenServicePort"] == f"80 {address}"


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_file_is_refused_before_it_is_read(visitor: Client) -> None:
    body = b"--x\r\nContent-Disposition: form-data; name=f; filename=a.png\r\n\r\nbytes\r\n--x--\r\n"
    response = visitor.post("/en/report/", body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 415
    assert "takes no files" in response.content.decode()


def test_a_form_that_is_too_large_is_refused_before_it_is_read(visitor: Client) -> None:
    response = visitor.post("/en/report/", "text=" + "x" * (256 << 10), content_type=FORM)
    assert response.status_code == 413
    assert not Report.objects.exists()


def test_too_many_fields_are_refused(visitor: Client) -> None:
    token = open_page(visitor, "/en/report/").value("token")
    fields = urlencoded({"token": token, "text": "x", **{f"f{n}": "" for n in range(50)}})
    assert visitor.post("/en/report/", fields, content_type=FORM).status_code == 400
    assert not Report.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused(visitor: Client, method: str) -> None:
    response = getattr(visitor, method)("/en/report/")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, POST")


def test_a_name_that_is_not_ours_is_refused(visitor: Client) -> None:
    assert visitor.get("/en/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/people/", "/journal/", "/reports/", "/api/v1/reports", "/accounts/login/"])
def test_staff_addresses_are_not_there(visitor: Client, path: str) -> None:
    assert visitor.get(path).status_code == 404
    assert visitor.get(f"/en{path}").status_code == 404


def test_the_staff_sides_scripts_are_not_served(visitor: Client) -> None:
    for path in ("django_htmx/htmx.min.js", "leadline/leadline.css", "admin/css/base.css"):
        assert visitor.get(f"/static/{path}").status_code == 404
    style = visitor.get("/static/public/public.css")
    assert style.status_code == 200
    style.close()


# --- nothing of an address -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Invalid request from ip=203.0.113.7: bad", "Invalid request from ip=[address]: bad"),
        ("from 2001:db8::7 and ::1", "from [address] and [address]"),
        ("peer ::ffff:203.0.113.7", "peer [address]"),
        ("203.0.113.7:8401, [2001:db8::7]:443.", "[address]:8401, [[address]]:443."),
        ("gunicorn 23.0.0 at 12:30:59, level WARNING", "gunicorn 23.0.0 at 12:30:59, level WARNING"),
    ],
)
def test_addresses_are_struck_out_of_the_log(text: str, left: str) -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s", (text,), None)
    assert NoVisitor().filter(record)
    assert record.getMessage() == left


@given(
    address=st.ip_addresses(),
    before=st.sampled_from(["", "ip=", "from ", "["]),
    after=st.sampled_from(["", " ", "]", ": x"]),
)
def test_every_address_is_struck_out(address: Any, before: str, after: str) -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s%s%s", (before, address, after), None)
    NoVisitor().filter(record)
    assert record.getMessage() == f"{before}[address]{after}"


def test_of_an_error_only_its_type_is_logged() -> None:
    try:
        raise ValueError("what somebody wrote")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    NoVisitor().filter(record)
    assert "somebody" not in logging.Formatter().format(record)
    assert record.getMessage() == "failed: ValueError"


def test_no_address_is_in_the_database_the_memory_or_the_cache(visitor: Client) -> None:
    from django.conf import settings
    from django.db import connection

    from leadline.workbench.public import views

    send_report(visitor, text="a report", urls="https://example.org/1")
    read_answer(visitor, "wrong words")
    address = visitor.defaults["REMOTE_ADDR"]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert address not in repr(cursor.fetchall()), table
    assert address not in repr(vars(views.counter)) + repr(vars(views.spent))
    assert not (settings.LEADLINE_HOME / "counts.sqlite3").exists()  # the cache of the staff's side


# --- the process itself ----------------------------------------------------------------------------------------------

_LOOK = """
import django, json, sys
django.setup()
from django.conf import settings
from django.urls import get_resolver, URLPattern
from leadline.workbench.public import views
def walk(patterns):
    for p in patterns:
        if isinstance(p, URLPattern):
            yield p.callback.__module__
        else:
            yield from walk(p.url_patterns)
print(json.dumps({
    "apps": settings.INSTALLED_APPS, "middleware": settings.MIDDLEWARE, "modules": sorted(sys.modules),
    "views": sorted(set(walk(get_resolver().url_patterns))), "secret": settings.SECRET_KEY,
    "processors": [p for t in settings.TEMPLATES for p in t["OPTIONS"]["context_processors"]],
}))
"""


def _environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADLINE_", "DATABASE_"))}
    return kept | {"LEADLINE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "leadline.workbench.public_settings"} | more


def test_the_process_knows_no_sign_in_no_session_and_no_staff_view(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _LOOK], env=_environment(tmp_path), capture_output=True, text=True, check=True
    )
    seen = json.loads(run.stdout)
    assert seen["views"] == ["leadline.workbench.public.views"]
    for name in seen["apps"] + seen["middleware"] + seen["processors"]:
        assert not re.search(r"allauth|sessions?\b|contrib\.auth|csrf|messages|admin|workbench\.middleware", name)
    loaded = [m for m in seen["modules"] if re.match(r"allauth|ninja", m)]
    assert loaded == []
    staff = [m for m in seen["modules"] if re.fullmatch(r"leadline\.workbench\.(\w+\.)?(views|urls|api|middleware)", m)]
    assert set(staff) <= {"leadline.workbench.public.views", "leadline.workbench.public.middleware"}
    assert seen["secret"] not in (tmp_path / "keys" / "django.key").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEADLINE_PUBLIC_ONION", "example.onion"),
        ("LEADLINE_PUBLIC_ONION", ONION.removesuffix(".onion")),
        ("LEADLINE_PUBLIC_EXIT_URL", "javascript:alert(1)"),
        ("LEADLINE_PUBLIC_EXIT_URL", "http://plain.example/"),
        ("LEADLINE_PUBLIC_HELPLINE", "en=116 111;xx=1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_loud_fault(tmp_path: Path, name: str, value: str) -> None:
    run = forking.run(["-c", _LOOK], env=_environment(tmp_path, **{name: value}))
    assert run.returncode != 0
    assert name in run.stderr


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("", {}),
        ("Child Line 116 111", dict.fromkeys(("en", "fr", "nl", "de"), "Child Line 116 111")),
        ("fr=Écoute 103; nl=Praat 102", {"fr": "Écoute 103", "nl": "Praat 102"}),
    ],
)
def test_the_helpline_is_one_text_or_one_for_each_language(
    monkeypatch: pytest.MonkeyPatch, value: str, texts: dict[str, str]
) -> None:
    from leadline.workbench import settings as office

    monkeypatch.setenv("LEADLINE_PUBLIC_HELPLINE", value)
    assert office._by_language("LEADLINE_PUBLIC_HELPLINE", ["en", "fr", "nl", "de"]) == texts


@pytest.fixture
def served(prepared: Machine, tmp_path: Path) -> Iterator[tuple[int, Path, subprocess.Popen[bytes]]]:
    """The public form as `server.py` starts it, with its own office: port, home, process."""
    home, port = tmp_path / "home", free_port()
    shutil.copytree(prepared.home, home)
    environment = _environment(home, LEADLINE_PUBLIC_ADDRESS=f"127.0.0.1:{port}")
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "leadline.workbench.server", "public"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(port, process)
        yield port, home, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None
        try:
            _ask(port, b"GET /exit/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        except ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it did not start")


def _ask(port: int, request: bytes) -> bytes:
    """From an address of its own, so that it would be found wherever it was written down."""
    with socket.socket() as connection:
        connection.settimeout(30)
        connection.bind((VISITOR, 0))
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return answer


def _post(port: int, path: str, fields: dict[str, str]) -> bytes:
    body = urlencoded(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {FORM}\r\n"
    return _ask(port, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _token(page: bytes) -> str:
    found = re.search(rb'name="token" value="([^"]+)"', page)
    assert found
    return found[1].decode()


def test_served_for_real_it_takes_a_report_and_writes_no_address_anywhere(
    served: tuple[int, Path, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    port, home, _ = served
    get = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    form = _ask(port, get % (b"/en/report/", b"localhost"))
    time.sleep(3.1)  # the form's own shortest time, to the whole second
    secret = "the words of this report"
    sent = _post(port, "/en/report/", {"token": _token(form), "text": secret})
    assert sent.startswith(b"HTTP/1.1 200")
    _ask(port, get % (b"/en/%00/", b"evil.example"))
    _ask(port, b"BROKEN\r\n\r\n")  # gunicorn would name the sender
    (home / "keys" / "instance.key").unlink()
    closed = _post(port, "/de/report/", {"token": _token(form), "text": "never stored"})
    assert closed.startswith(b"HTTP/1.1 503")
    assert b"Im Moment geschlossen" in closed
    for answer in (form, sent, closed):
        assert b"set-cookie" not in answer.lower()
    written = (tmp_path / "log").read_bytes()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "leadline.sqlite3" for path in files)
    for bytes_on_disk in (written, *(path.read_bytes() for path in files)):
        assert VISITOR.encode() not in bytes_on_disk
        assert secret.encode() not in bytes_on_disk
        assert b"never stored" not in bytes_on_disk


def test_killed_in_the_middle_it_has_every_report_that_it_answered(
    served: tuple[int, Path, subprocess.Popen[bytes]],
) -> None:
    import sqlite3
    import threading

    port, home, process = served
    pages = [_ask(port, b"GET /en/report/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") for _ in range(12)]
    time.sleep(3.1)
    answered: list[str] = []

    def send(number: int, page: bytes) -> None:
        try:
            answer = _post(port, "/en/report/", {"token": _token(page), "text": f"text {number}"})
        except OSError:
            return
        if found := re.search(rb"R-\d{4}-\d{6}", answer):
            answered.append(found[0].decode())

    threads = [threading.Thread(target=send, args=pair) for pair in enumerate(pages)]
    for thread in threads:
        thread.start()
    while len(answered) < 3 and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout
    for pid in (*map(int, children.split()), process.pid):
        os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(answered) >= 3
    with sqlite3.connect(home / "leadline.sqlite3") as database:
        stored = {number for (number,) in database.execute("SELECT number FROM reports_report")}
        received = database.execute("SELECT count(*) FROM journal_line WHERE act = 'report.received'").fetchone()[0]
        bare = database.execute("SELECT count(*) FROM reports_report WHERE text_sealed IS NULL").fetchone()[0]
    database.close()
    assert set(answered) <= stored
    assert (received, bare) == (len(stored), 0)
