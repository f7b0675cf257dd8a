"""`leadline up --demo`: who looks around for the first time finds every page of the menu alive, in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.journeys.conftest import code_for, serve_office

# Pages that show a list, with at least so many rows; every other page of the menu shows a form or figures.
ROWS = {"Reports": 20, "Assets": 5, "Exhibits": 2, "Banks": 1, "People": 6, "Journal": 50, "Webhooks": 1, "Health": 8}


def fill(home: Path) -> list[str]:
    """The paths of the links that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADLINE_")}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "leadline", "up", "--demo", "--check"]
    given = {**environment, "LEADLINE_HOME": str(home)}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"http://localhost:\d+(/join/\S+/)", done.stdout + done.stderr)


def test_a_newcomer_looks_around(tmp_path: Path, visitor: Any) -> None:
    first, *_ = fill(tmp_path / "home")
    page = visitor.page
    with serve_office(tmp_path / "home") as office:
        page.goto(office.address + first)
        visitor.keep("join")
        page.get_by_label("E-mail address").fill("new@example.org")
        page.get_by_label("Name").fill("Newcomer")
        page.get_by_label("Password").fill("correct horse battery staple")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("link", name="Authenticator app").click()
        page.locator("input[name=code]").fill(code_for(page.locator("#authenticator_secret").input_value()))
        page.get_by_role("button", name="Activate").click()
        page.wait_for_url(lambda url: "/factors/app/" not in url)
        page.goto(office.address)
        visitor.look("start")
        menu = [(link.inner_text(), link.get_attribute("href")) for link in page.locator("nav a").all()]
        assert set(ROWS) <= {text for text, _ in menu}
        for text, path in menu:
            page.goto(office.address + str(path))
            visitor.keep(text.lower().replace(" ", "-"))
            assert page.locator("tbody tr").count() >= ROWS.get(text, 0), text
        for opened, name in (("/reports/", "report"), ("/evidence/assets/", "asset")):
            page.goto(office.address + opened)
            page.locator("tbody tr a").first.click()
            visitor.keep(name)
        for path in ("/evidence/assets/tasks/", "/evidence/exhibits/", "/reports/on-call/", "/reports/new/"):
            page.goto(office.address + path)
            visitor.keep(path.strip("/").replace("/", "-"))
        page.goto(office.public_address)
        visitor.keep("public-form")
