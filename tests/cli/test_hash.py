"""`leadline hash`."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

FIELDS = {
    "path", "size", "md5", "sha1", "sha256", "mime", "width", "height", "pdq", "quality", "pdq_family", "partial",
    "isolation",
}  # fmt: skip


def test_a_picture_has_all_fields_of_the_contract(run: Any, pictures: Path) -> None:
    path = pictures / "one.png"
    ended = run("hash", "--json", path)
    assert (ended.code, ended.err) == (0, "")
    (record,) = ended.objects
    assert set(record) == FIELDS
    assert record["path"] == str(path)
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["md5"] == hashlib.md5(path.read_bytes()).hexdigest()
    assert (record["width"], record["height"], record["mime"]) == (640, 480, "image/png")
    assert len(record["pdq"]) == 64
    assert 0 <= record["quality"] <= 100
    assert (record["pdq_family"], record["partial"], record["isolation"]) == ("b", False, "file")


def test_folders_are_walked_and_each_file_has_a_line(run: Any, pictures: Path) -> None:
    (pictures / "link.png").symlink_to("one.png")
    ended = run("hash", "--json", pictures)
    assert ended.code == 3
    records = {Path(r["path"]).name: r for r in ended.objects}
    assert sorted(records) == ["broken.png", "link.png", "note.txt", "one.png", "other.jpg", "turned.png"]
    assert "sha256" in records["broken.png"]
    assert records["broken.png"]["error"]["code"]
    assert set(records["link.png"]) == {"path", "error"}
    note = records["note.txt"]
    assert "error" not in note
    assert [note[name] for name in ("width", "height", "pdq", "quality", "pdq_family")] == [None] * 5
    assert len(ended.faults) == 2


def test_paths_are_shown_as_they_were_given(run: Any, pictures: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(pictures.parent)
    assert run("hash", "--json", "pictures/one.png").objects[0]["path"] == "pictures/one.png"
    assert run("hash", "--json", "pictures").objects[-1]["path"] == "pictures/turned.png"


def test_names_that_are_no_utf8_survive(run: Any, pictures: Path) -> None:
    raw = os.fsencode(pictures) + b"/\xff\n.png"
    os.rename(pictures / "one.png", raw)
    (record,) = run("hash", "--json", os.fsdecode(raw)).objects
    assert record["path"].endswith("/\\xff\\x0a.png")
    assert base64.b64decode(record["path_b64"]) == raw
    assert "sha256" in record


def test_grey_and_family_a_are_near_the_exact_hash(run: Any, pictures: Path) -> None:
    def pdq(*options: str) -> int:
        return int(run("hash", "--json", *options, pictures / "other.jpg").objects[0]["pdq"], 16)

    assert (pdq() ^ pdq("--grey")).bit_count() <= 4
    ended = run("hash", "--json", "--family", "a", pictures / "other.jpg")
    assert ended.objects[0]["pdq_family"] == "a"


def test_people_see_the_hashes(run: Any, pictures: Path) -> None:
    ended = run("hash", pictures / "one.png")
    assert hashlib.sha1((pictures / "one.png").read_bytes()).hexdigest() in ended.out
    assert "640x480" in ended.out


def test_an_empty_folder_is_nothing_done(run: Any, tmp_path: Path) -> None:
    ended = run("hash", tmp_path)
    assert ended.code == 1
    assert "no files found" in ended.faults[0]
