"""A folder of drawn pictures, lists of some of them, and facts as the hasher would give them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.domain import Entry, Fingerprints, Isolation, Kind, PdqFamily, ViewHashes
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan.hashing import FileFacts, blank_facts, hash_file
from leadline.scan.run import scan_paths

MakeFacts = Callable[..., FileFacts]
Draw = Callable[[int], bytes]


@pytest.fixture(scope="session")
def picture() -> Callable[[int], bytes]:
    """Number of a scene -> the bytes of a small JPEG of it."""
    made: dict[int, bytes] = {}

    def draw(seed: int) -> bytes:
        if seed not in made:
            made[seed] = scenes.encode_picture(scenes.draw_scene(seed, 160, 120), quality=90)
        return made[seed]

    return draw


@pytest.fixture
def facts() -> MakeFacts:
    def make(path: bytes = b"/evidence/a.jpg", pdq: bytes | None = None, **changes: object) -> FileFacts:
        views = ()
        if pdq is not None:
            views = (ViewHashes("picture", PdqFamily.B, (pdq,) * 8, 100, 160, 120),)
        exact = {"md5": bytes(16), "sha1": bytes(20), "sha256": bytes(32)}
        plain = dataclasses.replace(
            blank_facts(path, Isolation.BATCH, size_bytes=10, mtime_ns=0, ctime_ns=0),
            fingerprints=Fingerprints(exact, views),
            mime="image/jpeg",
        )
        return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def new_bank(tmp_path: Path) -> Callable[..., Bank]:
    def make(name: str, entries: list[Entry], kind: Kind = Kind.ILLEGAL, **options: object) -> Bank:
        bank = Bank.create(tmp_path / "lists" / name, name=name, kind=kind, **options)  # type: ignore[arg-type]
        bank.add(entries)
        return bank

    return make


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory, picture: Draw) -> Path:
    """A small folder in which every verdict occurs."""
    folder = tmp_path_factory.mktemp("scanned") / "evidence"
    (folder / "deep/er").mkdir(parents=True)
    for seed in range(6):
        (folder / f"known-{seed}.jpg").write_bytes(picture(seed))
    drawn = scenes.draw_scene(3, 160, 120)
    (folder / "deep/mirrored.png").write_bytes(scenes.encode_picture(scenes.mirror(drawn), "PNG"))
    for seed in (30, 31):
        (folder / f"deep/er/new-{seed}.jpg").write_bytes(picture(seed))
    (folder / "deep/er/copy.jpg").write_bytes(scenes.encode_picture(scenes.draw_scene(30, 160, 120), quality=60))
    (folder / "pack.zip").write_bytes(scenes.pack_zip({"in/1.jpg": picture(1), "note.txt": b"note"}))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    (folder / "known-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(31))
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100))
    (folder / "empty").touch()
    (folder / "=1+1.txt").write_bytes(b"text")
    (folder / os.fsdecode(b"odd-\xff.jpg")).write_bytes(picture(32))
    (folder / "link").symlink_to("broken.png")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory, evidence: Path) -> Path:
    """A list of the first six scenes, and of a file that no decoder reads."""
    made = Bank.create(tmp_path_factory.mktemp("lists") / "known", name="KNOWN", kind=Kind.ILLEGAL)
    entries = []
    for seed in range(6):
        facts = hash_file(evidence / f"known-{seed}.jpg")
        view = facts.fingerprints.views[0]
        prints = {**facts.fingerprints.exact, "pdq": view.pdq[0]}
        entries.append(Entry(Kind.ILLEGAL, prints, quality=view.quality, scheme="demo", label="A"))
    entries.append(Entry(Kind.ILLEGAL, {"md5": hash_file(evidence / "known-broken.png").fingerprints.exact["md5"]}))
    made.add(entries)
    return made.path


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory, evidence: Path, bank: Path) -> Path:
    out = tmp_path_factory.mktemp("scanned-out") / "out"
    scan_paths([evidence], [bank], out, csv=True, vics=True)
    return out
