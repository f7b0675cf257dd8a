from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.domain import Entry, Isolation, Kind
from leadline.errors import ConfigError, Interrupted
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan import run as run_module
from leadline.scan.hashing import hash_file
from leadline.scan.run import ProgressEvent, default_workers, scan_paths

Draw = Callable[[int], bytes]
NewBank = Callable[..., Bank]


def findings(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]


def test_it_gives_every_file_its_verdict_in_walk_order(scanned: Path, evidence: Path) -> None:
    root = f"{evidence}/"
    told = [(str(f["path"]).removeprefix(root), f["verdict"], f["kind"]) for f in findings(scanned)]
    assert told == [
        ("=1+1.txt", "unknown", None),
        ("broken.png", "unreadable", None),
        ("deep/er/copy.jpg", "unknown", None),
        ("deep/er/new-30.jpg", "unknown", None),
        ("deep/er/new-31.jpg", "unknown", None),
        ("deep/mirrored.png", "near", "illegal"),
        ("empty", "unknown", None),
        ("film.mp4", "unknown", None),
        ("known-0.jpg", "known", "illegal"),
        ("known-1.jpg", "known", "illegal"),
        ("known-2.jpg", "known", "illegal"),
        ("known-3.jpg", "known", "illegal"),
        ("known-4.jpg", "known", "illegal"),
        ("known-5.jpg", "known", "illegal"),
        ("known-broken.png", "known", "illegal"),
        ("link", "skipped", None),
        ("odd-\\xff.jpg", "unknown", None),
        ("pack.zip!in/1.jpg", "known", "illegal"),
        ("pack.zip!note.txt", "unknown", None),
        ("pack.zip", "unknown", None),
        ("pipe", "skipped", None),
    ]
    assert all(f["reasons"] for f in findings(scanned))


def test_it_says_how_a_near_picture_matched(scanned: Path) -> None:
    near = next(f for f in findings(scanned) if f["verdict"] == "near")
    (match,) = near["matches"]  # type: ignore[misc]
    assert (match["bank"], match["entry"], match["algorithm"], match["label"]) == ("KNOWN", 4, "pdq", "A")
    assert (match["transform"], match["threshold"], match["list_version"]) == ("flip_y", 31, 1)
    assert 0 <= match["distance"] <= 31


def test_it_states_the_isolation_of_every_finding(scanned: Path) -> None:
    assert {f["isolation"] for f in findings(scanned)} == {"batch"}


def test_it_sums_up_to_the_files_seen(scanned: Path) -> None:
    summary = json.loads((scanned / "summary.json").read_text())
    assert summary["verdicts"] == {"known": 8, "near": 1, "unknown": 9, "unreadable": 1, "skipped": 2}
    assert sum(summary["verdicts"].values()) == summary["findings"] == summary["files"] + summary["members"]
    assert summary["members"] == 2
    assert summary["kinds"] == {"known": {"illegal": 8}, "near": {"illegal": 1}}
    (listed,) = summary["lists"]
    assert (listed["name"], listed["entries"], listed["list_version"]) == ("KNOWN", 7, 1)
    assert summary["isolation"] == {"batch": 21}
    assert summary["versions"]["Pillow"]
    assert summary["host"]["cpu_isa"] in ("serial", "avx2", "avx512")
    assert summary["clusters"]["sizes"] == {"2": 1}


def test_its_page_shows_what_was_found_as_charts(scanned: Path) -> None:
    """Each chart by one of its bars, which `test_it_sums_up_to_the_files_seen` and the fixture know."""
    figures = re.findall(r"<figure.*?</figure>", (scanned / "report.html").read_text(), re.DOTALL)
    charts = {re.search(r"<figcaption>(.*?)</figcaption>", figure)[1]: figure for figure in figures}  # type: ignore[index]
    shown = {
        "Verdicts": "known: 8 files",
        "Types, by content": "image/jpeg: 11 files",
        "File sizes": "empty: 1 files",
        "Distance of pictures that matched, in bits": "0: ",
        "Pictures in a cluster of unknown near-duplicates": "2: 1 clusters",
    }
    assert charts.keys() == shown.keys()
    for caption, bar in shown.items():
        assert f"<title>{bar}" in charts[caption], caption


def test_it_clusters_near_duplicates_among_the_unknown(scanned: Path, evidence: Path) -> None:
    (cluster,) = [json.loads(line) for line in (scanned / "clusters.jsonl").read_text().splitlines()]
    both = {cluster["centre"]["path"], *(member["path"] for member in cluster["members"])}
    assert both == {f"{evidence}/deep/er/copy.jpg", f"{evidence}/deep/er/new-30.jpg"}


def test_it_leaves_the_source_as_it_was(evidence: Path, scanned: Path) -> None:
    assert sorted(os.listdir(evidence / "deep/er")) == ["copy.jpg", "new-30.jpg", "new-31.jpg"]
    for path in evidence.rglob("*.jpg"):
        assert path.stat().st_atime_ns <= path.stat().st_ctime_ns


@pytest.mark.parametrize("workers", [1, 2])
def test_it_finds_the_same_line_for_line_with_lanes_of_its_own(
    evidence: Path, bank: Path, scanned: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SMALL_JOBS", 0)
    scan_paths([evidence], [bank], tmp_path / "out", workers=workers)
    assert (tmp_path / "out/findings.jsonl").read_bytes() == (scanned / "findings.jsonl").read_bytes()


def test_it_refuses_to_write_into_what_it_scans(evidence: Path, bank: Path) -> None:
    with pytest.raises(ConfigError):
        scan_paths([evidence], [bank], evidence / "out")
    assert not (evidence / "out").exists()


def test_it_refuses_two_lists_of_one_name(evidence: Path, bank: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        scan_paths([evidence], [bank, bank], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_refuses_to_resume_with_another_radius(evidence: Path, bank: Path, tmp_path: Path) -> None:
    scan_paths([evidence / "deep"], [bank], tmp_path / "out")
    with pytest.raises(ConfigError, match="radius_bits"):
        scan_paths([evidence / "deep"], [bank], tmp_path / "out", radius_bits=10, resume=True)


def test_it_refuses_to_resume_with_another_list_put_in_the_place_of_the_first(
    evidence: Path, tmp_path: Path, picture: Draw
) -> None:
    made = tmp_path / "list"
    Bank.create(made, name="K", kind=Kind.ILLEGAL, clock=lambda: 1_000_000.0).add(
        [Entry(Kind.ILLEGAL, {"md5": hashlib.md5(picture(1)).digest()})]
    )
    scan_paths([evidence / "deep"], [made], tmp_path / "out")
    before = (tmp_path / "out/findings.jsonl").read_bytes()
    shutil.rmtree(made)
    Bank.create(made, name="K", kind=Kind.OTHER, clock=lambda: 1_000_060.0).add(
        [Entry(Kind.OTHER, {"md5": hashlib.md5(picture(2)).digest()})]
    )
    with pytest.raises(ConfigError, match="another list of that name"):
        scan_paths([evidence / "deep"], [made], tmp_path / "out", resume=True)
    assert (tmp_path / "out/findings.jsonl").read_bytes() == before


def test_it_reads_a_file_again_that_was_overwritten_since(bank: Path, tmp_path: Path, picture: Draw) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (source / name).write_bytes(b"nothing yet")
    (source / "d.zip").write_bytes(scenes.pack_zip({"x.txt": b"x", "y.txt": b"y"}))
    scan_paths([source], [bank], tmp_path / "out")
    (source / "b.jpg").write_bytes(picture(1))
    (source / "d.zip").write_bytes(scenes.pack_zip({"1.jpg": picture(2)}))
    summary = scan_paths([source], [bank], tmp_path / "out", resume=True)
    told = [(Path(str(f["path"])).name, f["verdict"]) for f in findings(tmp_path / "out")]
    assert told == [
        ("a.jpg", "unknown"), ("b.jpg", "known"), ("c.jpg", "unknown"), ("d.zip!1.jpg", "known"), ("d.zip", "unknown"),
    ]  # fmt: skip
    assert (summary.resumed, summary.findings, summary.files, summary.members) == (2, 5, 4, 1)
    assert sum(summary.verdicts.values()) == summary.findings
    scan_paths([source], [bank], tmp_path / "whole")
    assert (tmp_path / "out/findings.jsonl").read_bytes() == (tmp_path / "whole/findings.jsonl").read_bytes()


def test_pictures_only_near_to_known_good_are_clustered_as_the_unknown_are(
    tmp_path: Path, picture: Draw, new_bank: NewBank
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "listed.jpg").write_bytes(picture(1))
    for quality in (60, 70):
        again = scenes.encode_picture(scenes.draw_scene(1, 160, 120), quality=quality)
        (source / f"{quality}.jpg").write_bytes(again)
    prints = hash_file(source / "listed.jpg").fingerprints
    entry = Entry(Kind.BENIGN, {**prints.exact, "pdq": prints.views[0].pdq[0]}, quality=prints.views[0].quality)
    summary = scan_paths([source], [new_bank("GOOD", [entry], Kind.BENIGN)], tmp_path / "out")
    assert summary.kinds == {"known": {"benign": 1}, "near": {"benign": 2}}
    (cluster,) = [json.loads(line) for line in (tmp_path / "out/clusters.jsonl").read_text().splitlines()]
    assert cluster["size"] == 2
    assert "2 to known-good, to be looked at" in (tmp_path / "out/report.html").read_text()


def test_it_applies_the_radius_it_is_given(evidence: Path, bank: Path, tmp_path: Path) -> None:
    summary = scan_paths([evidence / "deep"], [bank], tmp_path / "out", radius_bits=0)
    assert summary.verdicts["near"] == 0
    with pytest.raises(ConfigError):
        scan_paths([evidence / "deep"], [bank], tmp_path / "far", radius_bits=65)


def test_it_tells_how_far_it_is_and_what_is_left(evidence: Path, bank: Path, tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    scan_paths([evidence], [bank], tmp_path / "out", progress=events.append)
    last = next(event for event in events if event.phase == "scanned")
    assert (last.done, last.total) == (19, 19)
    assert last.verdicts["known"] == 8
    assert last.bytes_read > 0


def test_it_stops_cleanly_when_a_person_interrupts_and_goes_on_later(
    evidence: Path, bank: Path, scanned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "BATCH_BYTES", 20_000)
    monkeypatch.setattr(run_module, "SMALL_JOBS", 99)
    monkeypatch.setattr(run_module, "TOLD_EVERY_S", 0)

    def interrupt(event: ProgressEvent) -> None:
        if event.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="--resume"):
        scan_paths([evidence], [bank], tmp_path / "out", progress=interrupt)
    assert 5 <= len(findings(tmp_path / "out")) < 21
    summary = scan_paths([evidence], [bank], tmp_path / "out", resume=True)
    assert (tmp_path / "out/findings.jsonl").read_bytes() == (scanned / "findings.jsonl").read_bytes()
    assert summary.resumed >= 5
    assert len(summary.runs) == 2


def test_it_says_so_in_every_finding_when_decoders_ran_without_a_sandbox(
    evidence: Path, bank: Path, tmp_path: Path
) -> None:
    scan_paths([evidence / "deep"], [bank], tmp_path / "out", unsafe_decode=True)
    assert {f["isolation"] for f in findings(tmp_path / "out")} == {Isolation.NONE}
    assert "without a sandbox" in (tmp_path / "out/report.html").read_text()


SCAN = """
import sys
from leadline.scan import run
run.BATCH_BYTES = 30_000
run.scan_paths([sys.argv[1]], [sys.argv[2]], sys.argv[3], workers=2, resume=True)
"""


def start_scan(source: Path, bank: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SCAN, source, bank, out], start_new_session=True)


def test_it_ends_equal_to_a_scan_never_killed(bank: Path, tmp_path: Path, picture: Draw) -> None:
    """Killed -9 four times, at four stages, with whatever it was doing then."""
    source = tmp_path / "source"
    for number in range(120):
        path = source / f"{number % 7}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number % 9))
    for number in range(6):
        pack = scenes.pack_zip({f"{n}.jpg": picture(n) for n in range(4)})
        (source / f"{number}/pack.zip").write_bytes(pack)
    assert start_scan(source, bank, tmp_path / "whole").wait(60) == 0
    whole = (tmp_path / "whole/findings.jsonl").read_bytes()
    killed = tmp_path / "killed"
    for part in (0.05, 0.3, 0.55, 0.8):
        process = start_scan(source, bank, killed)
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            path = killed / "findings.jsonl"
            if path.exists() and path.stat().st_size > part * len(whole):
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert start_scan(source, bank, killed).wait(60) == 0
    assert (killed / "findings.jsonl").read_bytes() == whole
    assert json.loads((killed / "summary.json").read_text())["verdicts"] == json.loads(
        (tmp_path / "whole/summary.json").read_text()
    )["verdicts"]


def test_it_takes_a_lane_for_each_cpu_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
    assert default_workers() == 3
