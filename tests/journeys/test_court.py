"""What a court's expert gets: the chain from the auditor, an exhibit from the office, each checked away from it."""

from __future__ import annotations

import json
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


def test_an_auditor_carries_the_chain_out_and_a_changed_copy_is_named(
    staffed_office: Any, visitor: Any, tmp_path: Path
) -> None:
    office, page = staffed_office, visitor.page
    left = Path(office.ask("sign_head"))  # the daily duty; what it sends is what the expert got another way
    visitor.sign_in(office, "auditor")
    page.goto(f"{office.address}/journal/?object_id={office.filled['exhibit']}")
    visitor.look("journal-of-an-exhibit")
    for act in ("exhibit.requested", "exhibit.released", "exhibit.built"):
        assert act in page.content()
    page.goto(f"{office.address}/journal/")
    visitor.look("journal")
    assert "Signed up to line" in page.content()
    taking = {
        "custody.jsonl": page.get_by_role("button", name="Download the chain"),
        "anchors.zip": page.get_by_role("link", name="Download anchors"),
    }
    for name, control in taking.items():
        with page.expect_download() as downloaded:
            control.click()
        downloaded.value.save_as(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "anchors.zip") as archive:
        archive.extractall(tmp_path / "proofs")
    (key,), chain = (tmp_path / "proofs").rglob("key.hex"), tmp_path / "custody.jsonl"
    assert key.read_text().strip() == office.ask("public_key")
    line = json.loads(left.read_text())["line"]
    said = office.command("verify", chain, "--key", key, "--anchor", left)
    assert f"anchored up to {line}" in said.replace("line ", ""), said
    assert "not anchored" in office.command("verify", chain)

    lines = chain.read_bytes().splitlines(keepends=True)
    changed, number = tmp_path / "changed.jsonl", len(lines) // 2
    actor = json.loads(lines[number - 1])["actor"]
    lines[number - 1] = lines[number - 1].replace(actor.encode(), b"somebody-else", 1)
    changed.write_bytes(b"".join(lines))
    assert f"first at line {number}" in office.command("verify", changed, "--key", key, "--anchor", left, code=4)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(chain.read_bytes().splitlines(keepends=True)[: line - 1]))
    office.command("verify", cut, "--anchor", left, code=4)  # whole in itself, and shorter than what was signed

    page.goto(f"{office.address}/evidence/exhibits/{office.filled['exhibit']}/")
    page.get_by_role("heading", name="Not found").wait_for()  # an auditor reads the log, not the evidence
    office.command("journal", "verify")
    office.command("journal", "export", tmp_path / "carried")
    office.command("verify", tmp_path / "carried" / "custody.jsonl", "--key", key, "--anchor", left)
