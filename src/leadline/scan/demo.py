"""The main job on benign pictures the project draws itself: lists, copies, a scan. Touches only its own folder."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import ConfigError
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.media.client import Sandbox
from leadline.scan.finish import REPORT
from leadline.scan.hashing import FileFacts, FileHasher
from leadline.scan.run import Progress, scan_paths
from leadline.scan.summary import Summary

MARK = ".leadline-demo"  # only a folder that bears it is ever emptied
KNOWN, MARKED, GOOD, UNSEEN = range(18), range(18, 20), range(20, 26), range(26, 38)  # numbers of drawn scenes


@dataclass(frozen=True, slots=True)
class DemoResult:
    summary: Summary
    report: Path
    expected: dict[str, int]

    @property
    def as_expected(self) -> bool:
        return all(self.summary.verdicts.get(verdict, 0) == count for verdict, count in self.expected.items())


def run_demo(out: Path, *, progress: Progress | None = None, unsafe_decode: bool = False) -> DemoResult:
    """Draw, list, scan. `out` must be new, empty, or the folder of an earlier demo (which is emptied)."""
    _make_room(out)
    expected = draw_evidence(out / "evidence")
    banks = build_banks(out, unsafe_decode=unsafe_decode)
    summary = scan_paths(
        [out / "evidence"], banks, out / "result", progress=progress, unsafe_decode=unsafe_decode, csv=True
    )
    return DemoResult(summary, out / "result" / REPORT, expected)


def _make_room(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise ConfigError("the folder is not empty", where=str(out), mend="name a new folder with --out")
        for name in ("evidence", "lists", "result", "drawn"):
            shutil.rmtree(out / name, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@functools.lru_cache(maxsize=64)
def _drawn(seed: int) -> scenes.U8:
    return scenes.draw_scene(seed)


@functools.lru_cache(maxsize=64)
def _original(seed: int) -> bytes:
    return scenes.encode_picture(_drawn(seed), quality=92)


def _altered(seed: int) -> Iterator[tuple[str, bytes]]:
    """What happens to pictures on their way: smaller, coarser, brighter, blurred, mirrored, turned, another format."""
    drawn = _drawn(seed)
    yield "small.jpg", scenes.encode_picture(scenes.resize(drawn, 320, 240), quality=80)
    yield "coarse.jpg", scenes.encode_picture(drawn, quality=35)
    yield "bright.jpg", scenes.encode_picture(scenes.brighten(drawn, 1.12), quality=85)
    yield "mirrored.png", scenes.encode_picture(scenes.mirror(drawn), "PNG", compress_level=1)
    yield "turned.webp", scenes.encode_picture(scenes.rotate90(drawn), "WEBP", quality=85, method=0)
    yield "soft.jpg", scenes.encode_picture(scenes.blur(drawn, 1.2), quality=85)


def draw_evidence(folder: Path) -> dict[str, int]:
    """Write the folder to be scanned; returns the verdicts it must end with (false positives are known as such)."""
    for seed, (name, data) in ((s, part) for s in KNOWN for part in _altered(s)):
        _write(folder / "phone" / f"album-{seed % 5}" / f"{seed:03d}-{name}", data)
    for seed in KNOWN[:6]:
        _write(folder / "phone" / "received" / f"IMG_{4100 + seed}.jpg", _original(seed))
    for seed in MARKED:
        _write(folder / "phone" / "received" / f"IMG_{4300 + seed}.jpg", _original(seed))
    for seed in GOOD:
        _write(folder / "system" / "wallpapers" / f"{seed:03d}.jpg", _original(seed))
    for seed in UNSEEN:
        _write(folder / "camera" / f"DSC{seed:05d}.jpg", _original(seed))
    for seed, (name, data) in ((s, part) for s in UNSEEN[:4] for part in itertools.islice(_altered(s), s % 5 + 1)):
        _write(folder / "camera" / "edited" / f"DSC{seed:05d}-{name}", data)
    packed = {f"holiday/{seed:03d}.jpg": _original(seed) for seed in KNOWN[6:9]}
    packed |= {"holiday/note.txt": b"Three pictures.\n"}
    _write(folder / "old" / "backup.zip", scenes.pack_zip(packed))
    cut_off = _original(KNOWN[15])
    _write(folder / "old" / "cut-off.jpg", cut_off[: len(cut_off) * 19 // 20])
    _write(folder / "old" / "broken.png", b"\x89PNG\r\n\x1a\n" + bytes(64))
    _write(folder / "old" / "letter.txt", b"Nothing to see.\n")
    _write(folder / "old" / "film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(4096))
    (folder / "old" / "shortcut").symlink_to("backup.zip")
    edited = sum(seed % 5 + 1 for seed in UNSEEN[:4])
    return {
        "known": 6 + len(MARKED) + len(GOOD) + 3,
        "near": 6 * len(KNOWN) + 1,
        "unknown": len(UNSEEN) + edited + 4,
        "unreadable": 1,
        "skipped": 1,
    }


def build_banks(out: Path, *, unsafe_decode: bool = False) -> list[Bank]:
    """Three lists of drawn scenes: known (with two false positives marked), and known-good."""
    lists = out / "lists"
    lists.mkdir()
    with Sandbox(unsafe=unsafe_decode) as sandbox:
        hasher = FileHasher(sandbox, dihedral=False)
        known = [_entry(_hash(hasher, out, seed), Kind.ILLEGAL, seed) for seed in (*KNOWN, *MARKED)]
        marked = [_entry(_hash(hasher, out, seed), Kind.FALSE_POSITIVE, seed) for seed in MARKED]
        good = [_entry(_hash(hasher, out, seed), Kind.BENIGN, seed) for seed in GOOD]
    shutil.rmtree(out / "drawn", ignore_errors=True)
    known = [_perceptual(entry) if entry.source_id in _MARKED_IDS else entry for entry in known]
    return [
        _bank(lists / "demo", "DEMO", Kind.ILLEGAL, known),
        _bank(lists / "not-these", "NOT-THESE", Kind.FALSE_POSITIVE, marked),
        _bank(lists / "known-good", "KNOWN-GOOD", Kind.BENIGN, good),
    ]


_MARKED_IDS = frozenset(f"scene-{seed}" for seed in MARKED)


def _perceptual(entry: Entry) -> Entry:
    """Without exact digests: over an exact match to an illegal entry no false-positive entry has any say."""
    return Entry(entry.kind, {"pdq": entry.fingerprints["pdq"]}, quality=entry.quality, source_id=entry.source_id)


def _hash(hasher: FileHasher, out: Path, seed: int) -> FileFacts:
    path = out / "drawn" / f"{seed}.jpg"
    _write(path, _original(seed))
    facts = hasher.hash_path(str(path).encode())
    if facts.error is not None:
        raise facts.error
    return facts


def _entry(facts: FileFacts, kind: Kind, seed: int) -> Entry:
    view = facts.fingerprints.views[0]
    return Entry(
        kind,
        {**facts.fingerprints.exact, "pdq": view.pdq[0]},
        pdq_family=PdqFamily.B,
        quality=view.quality,
        source="drawn by Leadline",
        source_id=f"scene-{seed}",
        tlp=Tlp.CLEAR,
        note="a drawn scene: the demo's kinds are labels, nothing more",
    )


def _bank(path: Path, name: str, kind: Kind, entries: list[Entry]) -> Bank:
    bank = Bank.create(path, name=name, kind=kind, source="drawn by Leadline", tlp=Tlp.CLEAR)
    bank.add(entries)
    return bank
