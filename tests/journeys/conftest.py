"""A whole office, served as its operator would serve it, and a real browser. Nothing here is a stand-in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import forking
from tests.journeys.inside import PASSWORD
from tests.machine import Machine, made_once
from tests.servers import free_port, skip_without

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
START_TIMEOUT_S = 90
# Without a graphics card Debian's settings have one imitated, which costs more than to draw without.
_CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-gpu-rasterization", "--disable-gpu-compositing"]
STAFFED = "staffed.json"
STAFF = {
    "analyst": ["analyst"],
    "senior": ["senior"],
    "second": ["senior"],
    "investigator": ["investigator"],
    "auditor": ["auditor"],
    "administrator": ["administrator"],
    "leaver": ["senior"],
    "partner": ["analyst"],
    "maker": ["senior", "administrator"],
    "everything": ["senior", "auditor", "administrator", "curator"],
}


_last_window: dict[str, int] = {}  # by secret: a code is good once


def code_for(secret: str) -> str:
    """What an authenticator app shows (RFC 6238, 30 s, 6 digits): one that is good for a while, and not used yet."""
    while time.time() % 30 > 27 or _last_window.get(secret) == int(time.time()) // 30:
        time.sleep(0.2)
    _last_window[secret] = int(time.time()) // 30
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"


@dataclass
class RunningOffice:
    """`leadline up` in a process of its own. `people` and `filled`: who works there and what lies there already."""

    home: Path
    address: str
    public_address: str
    environment: dict[str, str]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)

    @property
    def setup_link(self) -> str:
        found = re.search(r"https?://\S+/join/\S+", "\n".join(self.lines))
        assert found is not None, "\n".join(self.lines)
        return found.group()

    def ask(self, function: str, **arguments: Any) -> Any:
        """A function of `inside`, in a process with this office's environment."""
        return ask_inside(self.environment, function, **arguments)

    def command(self, *arguments: str | Path, code: int = 0) -> str:
        """`leadline ARGUMENTS` as its operator would type it there; everything it said."""
        done = forking.run(["-m", "leadline", *map(str, arguments)], env=self.environment)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr


@contextmanager
def serve_office(home: Path, given: Mapping[str, str] | None = None) -> Iterator[RunningOffice]:
    """`given`: settings beside those that every journey needs."""
    ports, given = (free_port(), free_port()), given or {}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    environment.pop("DATABASE_URL", None)
    environment |= {
        "LEADLINE_HOME": str(home),
        "LEADLINE_ADDRESS": f"127.0.0.1:{ports[0]}",
        "LEADLINE_PUBLIC_ADDRESS": f"127.0.0.1:{ports[1]}",
        "LEADLINE_WEB_WORKERS": "1",  # one process can serve a few visitors, and starts in half the time
        "PYTHONUNBUFFERED": "1",
        **given,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "leadline", "up"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    scheme = "https" if "LEADLINE_TLS_KEY" in given else "http"
    addresses = [f"{scheme}://localhost:{port}" for port in ports]
    running = RunningOffice(home, *addresses, environment, process)
    reader = threading.Thread(target=_read, args=(running,), daemon=True)
    reader.start()
    try:
        _wait_for(running)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
        reader.join()
        process.stdout.close()
    assert code == 0, "\n".join(running.lines)


@pytest.fixture
def new_office(tmp_path: Path) -> Iterator[RunningOffice]:
    """From nothing, as a newcomer's."""
    with serve_office(tmp_path / "home") as running:
        yield running


@pytest.fixture
def running_office(prepared: Machine, tmp_path: Path) -> Iterator[RunningOffice]:
    """With keys and tables; nobody works there yet."""
    with serve_office(shutil.copytree(prepared.home, tmp_path / "home")) as running:
        yield running


@pytest.fixture(scope="package")
def staffed_office(prepared: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOffice]:
    """With STAFF, and one object of each kind. Each journey signs in people of its own: a code is good once."""
    staffed = made_once(tmp_path_factory, "staffed", staff_and_fill, like=prepared)
    home = shutil.copytree(staffed.home, tmp_path_factory.mktemp("office") / "home")
    with serve_office(home, {"LEADLINE_WEBHOOK_PRIVATE": "127.0.0.0/8"}) as running:
        told = json.loads((home / STAFFED).read_text())
        running.people, running.filled = told["people"], told["filled"]
        yield running


def staff_and_fill(machine: Machine) -> None:
    """STAFF work there, one object of each kind lies there; who and which is told by a file."""
    people = ask_inside(machine.environment, "make_people", roles=STAFF)
    filling = {"senior": "everything", "investigator": "investigator", "administrator": "administrator"}
    ids = {role: people[name]["id"] for role, name in (filling | {"analyst": "analyst"}).items()}
    allowed = machine.environment | {"LEADLINE_WEBHOOK_PRIVATE": "127.0.0.0/8"}
    filled = ask_inside(allowed, "fill_office", people=ids, hook_url=f"http://127.0.0.1:{free_port()}/in")
    (machine.home / STAFFED).write_text(json.dumps({"people": people, "filled": filled}))


def ask_inside(environment: Mapping[str, str], function: str, module: str = "inside", **arguments: Any) -> Any:
    """A function of `inside`, or of another such module, in a process with that environment."""
    done = forking.run(["-m", f"tests.journeys.{module}", function, json.dumps(arguments)], env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _read(running: RunningOffice) -> None:
    assert running.process.stdout is not None
    running.lines.extend(line.rstrip() for line in iter(running.process.stdout.readline, ""))


def _wait_for(running: RunningOffice) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    for address in (f"{running.address}/account/login/", f"{running.public_address}/en/"):
        while True:
            assert running.process.poll() is None, "\n".join(running.lines)
            assert time.monotonic() < deadline, "it did not come up:\n" + "\n".join(running.lines)
            try:
                with urllib.request.urlopen(address, timeout=5, context=unverified()):
                    break
            except OSError:
                time.sleep(0.2)


def unverified() -> ssl.SSLContext:
    """For the certificate that a test made itself."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """For one file: while it is open an event loop runs in this process, and Django refuses to work beside one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def chromium(driver: Any) -> Iterator[Any]:
    """Without windows: the pages are those of any Chromium."""
    with _launch(driver, "chromium-headless-shell") as browser:
        yield browser


@pytest.fixture
def windowed_chromium(driver: Any) -> Iterator[Any]:
    """The whole browser, in which one tab takes the focus from another."""
    with _launch(driver, "chromium") as browser:
        yield browser


@contextmanager
def _launch(driver: Any, package: str) -> Iterator[Any]:
    skip_without(package)
    browser = driver.chromium.launch(executable_path=f"/usr/bin/{package}", args=_CHROMIUM)
    yield browser
    browser.close()


@dataclass
class Visitor:
    """A page, and what a journey does with every page it comes to."""

    page: Any
    journey: str
    number: int = 0

    def look(self, name: str) -> None:
        """Keep a screenshot; no serious fault of accessibility, nothing refused by the browser."""
        self.keep(name)
        assert faults_of(self.page) == [], name

    def keep(self, name: str) -> None:
        """A screenshot alone, of a page that test_pages looks at."""
        self.number += 1
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{self.journey}-{self.number:02d}-{name}.jpeg"
        self.page.screenshot(path=path, full_page=True, quality=70)

    def sign_in(self, office: RunningOffice, name: str) -> None:
        """By password and authenticator app, to the first page."""
        person = office.people[name]
        self.page.goto(f"{office.address}/account/login/")
        self.page.locator("input[name=login]").fill(person["email"])
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.locator("input[name=code]").fill(code_for(person["secret"]))
        self.page.get_by_role("button", name="Sign in", exact=False).first.click()
        self.page.wait_for_url(f"{office.address}/")


def faults_of(page: Any) -> list[Any]:
    """Serious and critical faults that axe finds in a page: rule, and where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    worst = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in worst]


# Every control that takes the focus, in the order of the page; a group of radio buttons is one. Then what a screen
# reader is given as the name of whatever has the focus, and its place in that order (-1: the page itself).
_CONTROLS = """() => {
  const shown = e => e.getClientRects().length > 0 && e.checkVisibility({visibilityProperty: true});
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter(e => shown(e) && !e.disabled && e.type !== "hidden" && e.tabIndex >= 0 && !e.closest("[inert]"));
  const groups = new Set();
  window.walked = all.filter(e => {
    if (e.type !== "radio") return true;
    const group = (e.form ? [...document.forms].indexOf(e.form) : "") + e.name;
    return !groups.has(group) && groups.add(group);
  });
  document.body.tabIndex = -1;  // from the top: a blur alone leaves the walk where the focus was
  document.body.focus();
  document.body.removeAttribute("tabindex");
  return window.walked.length;
}"""
_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return [-1, "", ""];
  const text = ids => ids.split(" ").map(id => document.getElementById(id)?.textContent ?? "").join(" ");
  const labels = [...(e.labels ?? [])].map(l => l.textContent).join(" ");
  const own = ["A", "BUTTON", "SUMMARY"].includes(e.tagName) ? e.textContent : e.type === "submit" ? e.value : "";
  const said = e.getAttribute("aria-label") || text(e.getAttribute("aria-labelledby") ?? "");
  const name = said || labels || own || e.title;
  const same = w => w === e || (e.type === "radio" && w.type === "radio" && w.name === e.name && w.form === e.form);
  return [window.walked.findIndex(same), name.trim(), e.outerHTML.slice(0, 120)];
}"""


_STOPS_OF_A_DATE = 4


def faults_of_tabs(page: Any) -> list[str]:
    """Walk the page with the Tab key: controls that are passed over, are out of order, hold the focus, lack a name."""
    count, faults, came = page.evaluate(_CONTROLS), list[str](), list[int]()
    for _ in range(count * _STOPS_OF_A_DATE + 1):
        page.keyboard.press("Tab")
        at, name, shown = page.evaluate(_FOCUSED)
        if came and at == came[-1]:  # a date has a stop for its day, its month, its year
            continue
        if at < 0 and shown:
            faults.append(f"takes the focus, and is no control: {shown}")
        elif at < 0 or at in came:  # round once
            break
        else:
            faults += [] if name else [f"no name: {shown}"]
            faults += [f"out of order: {shown}"] if came and at < came[-1] else []
            came.append(at)
    show = "at => window.walked[at].outerHTML.slice(0, 120)"
    missed = [page.evaluate(show, at) for at in range(count) if at not in came]
    return faults + [f"not reached: {shown}" for shown in missed]


MakeVisitor = Callable[..., Visitor]


@pytest.fixture
def make_visitor(chromium: Any, request: pytest.FixtureRequest) -> Iterator[MakeVisitor]:
    """A profile of its own for each, in `browser` if given; `options` as Playwright's new_context takes them."""
    contexts, faults = [], []

    def make(who: str = "", browser: Any = chromium, **options: Any) -> Visitor:
        context = browser.new_context(**{"locale": "en-GB"} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        journey = request.node.name.removeprefix("test_")
        return Visitor(page, f"{journey}-{who}" if who else journey)

    yield make
    for context in contexts:
        context.close()
    # an answer that tells a person what is wrong is an error to the browser's console
    assert [fault for fault in faults if not re.search(r"the server responded with a status of 4\d\d", fault)] == []


@pytest.fixture
def visitor(make_visitor: MakeVisitor) -> Visitor:
    return make_visitor()
