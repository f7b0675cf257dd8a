from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import ConfigError, InputError, Interrupted
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan.hashing import hash_file
from leadline.scan.rematch import rematch
from leadline.scan.run import scan_paths

Draw = Callable[[int], bytes]


@pytest.fixture
def source(tmp_path: Path, picture: Draw) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(1))
    mirrored = scenes.mirror(scenes.draw_scene(2, 320, 240))
    (folder / "b-mirrored.png").write_bytes(scenes.encode_picture(mirrored, "PNG"))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    (folder / "link").symlink_to("a.jpg")
    (folder / "pack.zip").write_bytes(scenes.pack_zip({"1.jpg": picture(3)}))
    return folder


@pytest.fixture
def lists(tmp_path: Path, picture: Draw) -> list[Path]:
    """An empty list, and one of the three scenes."""
    entries = []
    for seed in (1, 2, 3):
        path = tmp_path / f"{seed}.jpg"
        path.write_bytes(picture(seed))
        facts = hash_file(path)
        prints = {"sha1": facts.fingerprints.exact["sha1"], "pdq": facts.fingerprints.views[0].pdq[0]}
        entries.append(Entry(Kind.EXPLOITATIVE, prints))
    empty = Bank.create(tmp_path / "empty", name="LIST", kind=Kind.EXPLOITATIVE)
    full = Bank.create(tmp_path / "full", name="LIST", kind=Kind.EXPLOITATIVE)
    full.add(entries)
    return [empty.path, full.path]


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]


def test_it_ends_as_a_scan_against_the_new_lists_would_without_the_disk(
    source: Path, lists: list[Path], tmp_path: Path
) -> None:
    before = scan_paths([source], [lists[0]], tmp_path / "before")
    scan_paths([source], [lists[1]], tmp_path / "anew")
    source.rename(tmp_path / "away")
    after = rematch(tmp_path / "before", [lists[1]], tmp_path / "after")
    assert lines(tmp_path / "after") == lines(tmp_path / "anew")
    assert (before.verdicts["known"], before.verdicts["near"]) == (0, 0)
    assert (after.verdicts["known"], after.verdicts["near"]) == (2, 1)
    assert after.verdicts["unreadable"] == after.verdicts["skipped"] == 1
    assert (tmp_path / "after/report.html").exists()


def test_it_takes_a_radius_of_its_own(source: Path, lists: list[Path], tmp_path: Path) -> None:
    scan_paths([source], [lists[0]], tmp_path / "before")
    assert rematch(tmp_path / "before", [lists[1]], tmp_path / "after", radius_bits=0).verdicts["near"] == 0


def test_it_refuses_what_are_no_findings(lists: list[Path], tmp_path: Path) -> None:
    (tmp_path / "findings.jsonl").write_bytes(b'{"path": "x"}\n')
    with pytest.raises(InputError, match="line 1"):
        rematch(tmp_path / "findings.jsonl", [lists[1]], tmp_path / "after")
    with pytest.raises(InputError, match="no findings there"):
        rematch(tmp_path / "missing", [lists[1]], tmp_path / "other")
    assert not (tmp_path / "after").exists()
    assert not (tmp_path / "other").exists()


def test_it_never_writes_where_it_reads(source: Path, lists: list[Path], tmp_path: Path) -> None:
    scan_paths([source], [lists[0]], tmp_path / "before")
    with pytest.raises(ConfigError, match="not empty"):
        rematch(tmp_path / "before", [lists[1]], tmp_path / "before")


def test_a_used_folder_is_refused_with_what_rematch_can_do(source: Path, lists: list[Path], tmp_path: Path) -> None:
    scan_paths([source], [lists[0]], tmp_path / "before")
    rematch(tmp_path / "before", [lists[1]], tmp_path / "after")
    with pytest.raises(ConfigError, match="not empty") as raised:
        rematch(tmp_path / "before", [lists[1]], tmp_path / "after")
    assert "--resume" not in raised.value.mend
    assert (tmp_path / "after" / "summary.json").exists()


def test_one_that_is_stopped_or_fails_leaves_nothing(
    source: Path, lists: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_paths([source], [lists[0]], tmp_path / "before")
    (tmp_path / "empty folder").mkdir()
    for number, fault in enumerate((KeyboardInterrupt(), OSError(28, "No space left on device"))):

        def fail(*_: object, fault: BaseException = fault, **__: object) -> None:
            raise fault

        monkeypatch.setattr("leadline.scan.finish.write_report", fail)
        with pytest.raises((Interrupted, OSError)):
            rematch(tmp_path / "before", [lists[1]], tmp_path / f"after-{number}")
        with pytest.raises((Interrupted, OSError)):
            rematch(tmp_path / "before", [lists[1]], tmp_path / "empty folder")
        assert not (tmp_path / f"after-{number}").exists()
        assert list((tmp_path / "empty folder").iterdir()) == []


def test_what_a_killed_one_left_is_taken_away_by_the_next(source: Path, lists: list[Path], tmp_path: Path) -> None:
    scan_paths([source], [lists[0]], tmp_path / "before")
    out = tmp_path / "after"
    first = rematch(tmp_path / "before", [lists[1]], out)
    state = json.loads((out / "state.json").read_text())
    (out / "state.json").write_text(json.dumps({**state, "finished": False}))
    for name in ("summary.json", "report.html"):
        (out / name).unlink()
    (out / "findings.jsonl").write_bytes((out / "findings.jsonl").read_bytes()[:100])
    assert rematch(tmp_path / "before", [lists[1]], out).verdicts == first.verdicts
