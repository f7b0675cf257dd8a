"""A whole office, served as its operator would serve it, and a real browser. Nothing here is a stand-in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.servers import free_port, skip_without

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
START_TIMEOUT_S = 60


@dataclass
class RunningOffice:
    """`leadline up` in a process of its own."""

    home: Path
    address: str
    public_address: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def setup_link(self) -> str:
        found = re.search(r"http://\S+/join/\S+", "\n".join(self.lines))
        assert found is not None, "\n".join(self.lines)
        return found.group()


@pytest.fixture
def running_office(tmp_path: Path) -> Iterator[RunningOffice]:
    home, ports = tmp_path / "home", (free_port(), free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    environment |= {
        "LEADLINE_HOME": str(home),
        "LEADLINE_ADDRESS": f"127.0.0.1:{ports[0]}",
        "LEADLINE_PUBLIC_ADDRESS": f"127.0.0.1:{ports[1]}",
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("DATABASE_URL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "leadline", "up"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = RunningOffice(home, f"http://localhost:{ports[0]}", f"http://localhost:{ports[1]}", process)
    reader = threading.Thread(target=_read, args=(running,), daemon=True)
    reader.start()
    try:
        _wait_for(running)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, "\n".join(running.lines)
        reader.join()
        process.stdout.close()


def _read(running: RunningOffice) -> None:
    assert running.process.stdout is not None
    running.lines.extend(line.rstrip() for line in iter(running.process.stdout.readline, ""))


def _wait_for(running: RunningOffice) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert running.process.poll() is None, "\n".join(running.lines)
        try:
            with urllib.request.urlopen(f"{running.address}/account/login/", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("it did not come up:\n" + "\n".join(running.lines))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    skip_without("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
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
        from axe_playwright_python.sync_playwright import Axe

        self.number += 1
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{self.journey}-{self.number:02d}-{name}.png", full_page=True)
        found = Axe().run(self.page).response["violations"]
        worst = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        serious = [(fault["id"], [node["target"] for node in fault["nodes"]]) for fault in worst]
        assert serious == [], name


@pytest.fixture
def visitor(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield Visitor(page, request.node.name.removeprefix("test_"))
    context.close()
    assert [fault for fault in faults if "404" not in fault] == []
