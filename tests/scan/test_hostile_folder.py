"""A folder of malformed files, made here: a scan says something of each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from tests.media.conftest import encode
from tests.media.packed import zipped
from tests.media.test_malformed import BOMBS, KINDS

from leadline.media import scenes
from leadline.scan.run import scan_paths

CUT = {f"cut.{kind.lower()}" for kind in KINDS}
PAGE = b"<html><script>alert(1)</script></html>"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    picture = Image.fromarray(scenes.draw_scene(7, 160, 120))
    whole = {kind: encode(picture, kind) for kind in KINDS}
    made = {f"cut.{kind.lower()}": data[: len(data) // 2] for kind, data in whole.items()}
    made |= {f"bomb-{number}": data for number, data in enumerate(BOMBS.values())}
    made |= {"polyglot.jpg": whole["JPEG"] + zipped({"note.txt": b"note"}), "polyglot.gif": whole["GIF"] + PAGE}
    made |= {"picture.txt": whole["PNG"], "page.jpg": PAGE, "packed.png": zipped({"in.jpg": whole["JPEG"]})}
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return folder


def test_every_file_of_a_hostile_folder_has_one_finding_and_the_counts_add_up(hostile: Path, tmp_path: Path) -> None:
    summary = scan_paths([hostile], [], tmp_path / "out", workers=1)
    lines = [json.loads(line) for line in (tmp_path / "out/findings.jsonl").read_text().splitlines()]
    found = {line["path"].removeprefix(f"{hostile}/"): line for line in lines}
    names = {path.name for path in hostile.iterdir()}
    assert len(lines) == len(found)
    assert found.keys() == names | {"packed.png!in.jpg"}
    assert all(line["reasons"] for line in lines)

    bombs = {name for name in names if name.startswith("bomb")}
    lost = {"cut.avif", "cut.heif", "cut.ico", "cut.webp"}
    assert {name for name, line in found.items() if line["verdict"] == "unreadable"} == bombs | lost
    assert {found[name]["error"]["code"] for name in bombs} == {"too-many-pixels"}
    assert {name for name, line in found.items() if line["partial"]} == CUT - lost
    read = {"polyglot.jpg", "polyglot.gif", "picture.txt", "packed.png!in.jpg"}
    assert {name for name, line in found.items() if line.get("pdq")} == read | CUT - lost

    counts = Counter(line["verdict"] for line in lines)
    assert {name: count for name, count in summary.verdicts.items() if count} == counts
    assert (summary.findings, summary.files, summary.members) == (len(lines), len(names), 1)
    assert sum(summary.errors.values()) == counts["unreadable"]
