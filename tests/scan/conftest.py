"""A folder of drawn pictures, lists of some of them, and facts as the hasher would give them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.domain import Entry, Fingerprints, Isolation, Kind, PdqFamily, ViewHashes
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan.hashing import FileFacts, blank_facts

MakeFacts = Callable[..., FileFacts]


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
