"""A whole case on the command line: lists built from media, a disk scanned, a list added to, all matched again."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from leadline.media import scenes


def leadline(*arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    """Run the program as a person would; its lines of JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "leadline", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def draw(path: Path, seed: int, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(scenes.encode_picture(scenes.draw_scene(seed, 240, 180), **options))
    return path


def verdicts(out: Path) -> dict[str, tuple[str, str | None]]:
    lines = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    return {os.path.basename(line["path"]): (line["verdict"], line["kind"]) for line in lines}


def test_an_investigator_finds_what_is_known_and_what_is_near(tmp_path: Path, visitor: Any) -> None:
    known, good, disk = tmp_path / "media/known", tmp_path / "media/good", tmp_path / "disk"
    for seed in (1, 2, 3):
        draw(known / f"{seed}.jpg", seed, quality=92)
    draw(good / "logo.png", 9, quality=92)
    leadline("bank", "build", "--out", tmp_path / "known", "--name", "KNOWN", "--kind", "illegal", known)
    leadline("bank", "build", "--out", tmp_path / "good", "--name", "GOOD", "--kind", "benign", good)

    draw(disk / "users/a/same.jpg", 1, quality=92)
    draw(disk / "users/a/coarse.jpg", 2, quality=40)
    mirrored = scenes.mirror(scenes.draw_scene(3, 240, 180))
    (disk / "users/a/mirrored.png").write_bytes(scenes.encode_picture(mirrored, "PNG"))
    draw(disk / "system/logo.jpg", 9, quality=92)
    draw(disk / "users/b/own.jpg", 20, quality=92)
    draw(disk / "users/b/own-again.jpg", 20, quality=60)
    (disk / "users/b/broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(40))
    (disk / "users/b/way-out").symlink_to("/")
    packed = {"deep/same.jpg": (disk / "users/a/same.jpg").read_bytes()}
    (disk / "users/b/backup.zip").write_bytes(scenes.pack_zip(packed))
    listing = {path: path.lstat().st_mtime_ns for path in sorted(disk.rglob("*"))}

    banks = ("--bank", tmp_path / "known", "--bank", tmp_path / "good")
    (summary,) = leadline("scan", disk, *banks, "--out", tmp_path / "out", "--csv", "--vics", "--json", code=3)
    assert verdicts(tmp_path / "out") == {
        "same.jpg": ("known", "illegal"),
        "coarse.jpg": ("near", "illegal"),
        "mirrored.png": ("near", "illegal"),
        "logo.jpg": ("known", "benign"),
        "own.jpg": ("unknown", None),
        "own-again.jpg": ("unknown", None),
        "broken.jpg": ("unreadable", None),
        "way-out": ("skipped", None),
        "backup.zip": ("unknown", None),
    }
    assert summary["verdicts"] == {"known": 3, "near": 2, "unknown": 3, "unreadable": 1, "skipped": 1}
    assert summary["clusters"]["clusters"] == 1
    assert {path: path.lstat().st_mtime_ns for path in sorted(disk.rglob("*"))} == listing
    with open(tmp_path / "out/findings.csv", encoding="utf-8-sig", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 10
    assert len(json.loads((tmp_path / "out/findings.vics.json").read_text())["value"]) == 8
    _sort_by_size(visitor.page, tmp_path / "out")

    leadline("scan", disk, *banks, "--out", tmp_path / "out", "--json", code=2)  # not empty: refused
    (again,) = leadline("scan", disk, *banks, "--out", tmp_path / "out", "--resume", "--json", code=3)
    assert again["resumed"] == 10

    (match,) = leadline("match", _pdq_of(tmp_path / "out", "own.jpg"), *banks, "--json")
    assert match["matches"] == []
    leadline("bank", "add", tmp_path / "known", disk / "users/b/own.jpg")
    disk.rename(tmp_path / "gone")
    leadline("rematch", tmp_path / "out", *banks, "--out", tmp_path / "after", code=3)
    after = verdicts(tmp_path / "after")
    assert after["own.jpg"] == ("known", "illegal")
    assert after["own-again.jpg"] == ("near", "illegal")
    assert after["broken.jpg"] == ("unreadable", None)


def _sort_by_size(page: Any, out: Path) -> None:
    page.goto((out / "report.html").as_uri())
    assert "Scan report" in page.title()
    head = page.locator("#findings th").filter(has_text="Size")
    sizes = sorted(json.loads(line)["size"] for line in (out / "findings.jsonl").read_text().splitlines())
    for told, expected in (("ascending", sizes), ("descending", sizes[::-1])):
        head.get_by_role("button").click()
        assert page.locator("[aria-sort]").all_inner_texts() == ["Size"]
        assert head.get_attribute("aria-sort") == told
        shown = page.locator("#findings tbody td:nth-child(4)")
        assert shown.evaluate_all("cells => cells.map(cell => Number(cell.dataset.sort))") == expected


def _pdq_of(out: Path, name: str) -> str:
    lines = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    return str(next(line["pdq"] for line in lines if line["path"].endswith(name)))
