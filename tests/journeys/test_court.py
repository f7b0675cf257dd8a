"""What a court's expert gets: the chain from the auditor, an exhibit from the office, each checked away from it."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

RECIPIENT = "Made-up court, chamber 3"


def verify_plainly(exhibit: Path, *arguments: str | Path) -> tuple[int, str]:
    """By the exhibit's own program, with a Python that has no package at all."""
    plain = getattr(sys, "_base_executable", sys.executable)
    command = [plain, "-I", "-S", str(exhibit / "verify.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_an_exhibit_is_asked_for_by_one_released_by_another_and_verified_offline(
    staffed_office: Any, make_visitor: Any, tmp_path: Path
) -> None:
    office, asker, releaser = staffed_office, make_visitor("asker"), make_visitor("releaser")
    asker.sign_in(office, "investigator")
    asker.page.goto(f"{office.address}/evidence/exhibits/new/?asset={office.filled['asset']}")
    asker.page.locator("input[name=recipient]").fill(RECIPIENT)
    asker.look("ask")
    asker.page.get_by_role("button", name="Ask").click()
    asker.page.wait_for_url(lambda url: "/new/" not in url)
    address = asker.page.url
    assert asker.page.get_by_role("button", name="Release").count() == 0  # not by who asked, whatever their role
    asker.look("asked")

    releaser.sign_in(office, "second")
    releaser.page.goto(address)
    assert RECIPIENT in releaser.page.content()
    releaser.look("to-release")
    releaser.page.get_by_role("button", name="Release").click()
    releaser.look("released")

    download = asker.page.get_by_role("button", name="Download")
    deadline = time.monotonic() + 120
    while download.count() == 0:  # the worker builds it
        assert time.monotonic() < deadline, asker.page.content()
        time.sleep(1)
        asker.page.goto(address)
    asker.look("ready")
    with asker.page.expect_download() as downloaded:
        download.click()
    packed = tmp_path / "exhibit.zip"
    downloaded.value.save_as(packed)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    (exhibit,) = (path for path in tmp_path.iterdir() if path.is_dir())

    code, said = verify_plainly(exhibit)
    assert code == 0, said
    code, said = verify_plainly(exhibit, exhibit, "--key", office.ask("public_key"))
    assert code == 0, said
    code, said = verify_plainly(exhibit, exhibit, "--key", "ab" * 32)  # the key of somebody else
    assert code == 4, said
    office.command("verify", exhibit)
    assert office.filled["asset"] in "".join(path.read_text() for path in exhibit.rglob("*.json"))

    changed = next(exhibit.rglob("*.jsonl"))
    changed.write_text(changed.read_text().replace('"act":"', '"act":"x', 1))
    code, said = verify_plainly(exhibit)
    assert (code, changed.name in said) == (4, True), said


def test_what_came_out_for_a_court_is_told_in_the_journal(staffed_office: Any, visitor: Any) -> None:
    office, page = staffed_office, visitor.page
    visitor.sign_in(office, "auditor")
    page.goto(f"{office.address}/journal/?object_id={office.filled['exhibit']}")
    visitor.look("journal-of-an-exhibit")
    for act in ("exhibit.requested", "exhibit.released", "exhibit.built"):
        assert act in page.content()
    page.goto(f"{office.address}/evidence/exhibits/{office.filled['exhibit']}/")
    assert page.get_by_role("heading", name="Not found").is_visible()  # an auditor reads the log, not the evidence
