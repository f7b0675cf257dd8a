"""The vault: no plaintext on the disk, every kind of tampering found, a stop anywhere finished, erased stays erased."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import forking

from leadline.custody.keys import FileKeySlot, InstanceKey, rotate_key
from leadline.custody.seal import CHUNK_BYTES, open_stream, seal_stream
from leadline.custody.upkeep import FaultKind, copy_vault, remove_unnamed, rewrap_vault, verify_vault
from leadline.custody.vault import Vault, open_vault
from leadline.errors import AssetErased, AssetNotFound, AssetRefused, ErasureListBroken, KeyUnavailable, SealBroken

MARK = b"a phrase that must never be found on a disk, 0123456789 " * 3
LIMIT = 1 << 30


class Place:
    """A vault's folder, key and list, opened as often as wanted."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder, self.erasures = root, root / "vault", root / "apart" / "erasures"
        self.key = root / "key"
        for folder in (self.folder, self.erasures.parent):
            folder.mkdir(mode=0o700, parents=True)
        InstanceKey.create(self.key)

    def open(self) -> Vault:
        return open_vault(self.folder, FileKeySlot.load(self.key), self.erasures)

    def files(self, ending: str) -> list[Path]:
        return sorted(p for p in self.folder.rglob(f"*{ending}") if p.is_file())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def put(vault: Vault, data: bytes, **options: bool) -> str:
    return vault.put([data], limit_bytes=LIMIT, **options).sha256


def disk_of(root: Path) -> bytes:
    return b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_goes_in_comes_out(place: Place, size: int) -> None:
    data = os.urandom(size)
    vault = place.open()
    sealed = vault.put([data[:7], data[7:]], limit_bytes=LIMIT)
    assert sealed.sha256 == hashlib.sha256(data).hexdigest()
    assert (sealed.md5, sealed.sha1) == (hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest())
    assert b"".join(place.open().open(sealed.sha256)) == data
    assert b"".join(vault.read_range(sealed.sha256, size // 2, 100)) == data[size // 2 : size // 2 + 100]
    assert list(verify_vault(vault)) == []


def test_no_plaintext_reaches_the_disk_while_or_after_sealing(place: Place) -> None:
    vault = place.open()
    with vault.begin(limit_bytes=LIMIT) as draft:
        for _ in range(40_000):
            draft.write(MARK)
        assert MARK[:40] not in disk_of(place.root)
        sha256 = draft.commit().sha256
    assert MARK[:40] not in disk_of(place.root)
    vault.erase(sha256)
    assert MARK[:40] not in disk_of(place.root)


def test_the_same_content_is_there_once(place: Place) -> None:
    vault = place.open()
    first, again = (vault.put([MARK], limit_bytes=LIMIT) for _ in range(2))
    assert (first.was_there, again.was_there) == (False, True)
    assert len(place.files(".blob")) == 1


@pytest.mark.parametrize("limit", [0, 10])
def test_a_file_that_is_too_long_or_another_leaves_nothing(place: Place, limit: int) -> None:
    vault = place.open()
    with pytest.raises(AssetRefused):
        vault.put([MARK], limit_bytes=limit)
    with pytest.raises(AssetRefused):
        vault.put([MARK], limit_bytes=LIMIT, expected_sha256="0" * 64)
    assert list(vault.addresses()) == []
    assert place.files(".blob") == []


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_changed_bit_anywhere_is_found(data: st.DataObject) -> None:
    plain, key = b"p" * 1000, b"k" * 32
    sealed = bytearray()
    seal_stream([plain], sealed.extend, key, b"context", limit_bytes=LIMIT, chunk_bytes=64)
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(SealBroken):
        b"".join(open_stream(lambda o, n: bytes(sealed[o : o + n]), 1000, key, b"context"))


@pytest.mark.parametrize("how", ["cut", "prolonged", "reordered", "another context", "another key"])
def test_a_stream_that_was_cut_prolonged_or_mixed_does_not_open(how: str) -> None:
    key, sealed = b"k" * 32, bytearray()
    seal_stream([os.urandom(640)], sealed.extend, key, b"context", limit_bytes=LIMIT, chunk_bytes=64)
    head, chunks = bytes(sealed[:32]), [bytes(sealed[i : i + 80]) for i in range(32, len(sealed), 80)]
    if how == "reordered":
        chunks[0], chunks[1] = chunks[1], chunks[0]
    changed = {"cut": chunks[:-1], "prolonged": [*chunks, chunks[0]]}.get(how, chunks)
    mixed = head + b"".join(changed)
    context = b"other" if how == "another context" else b"context"
    other = b"x" * 32 if how == "another key" else key
    with pytest.raises(SealBroken):
        b"".join(open_stream(lambda o, n: mixed[o : o + n], 640, other, context))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("blob removed", FaultKind.MISSING_BLOB),
        ("key removed", FaultKind.MISSING_KEY),
        ("blob changed", FaultKind.DAMAGED_BLOB),
        ("key changed", FaultKind.DAMAGED_KEY),
        ("blobs swapped", FaultKind.DAMAGED_BLOB),
    ],
)
def test_verify_names_what_is_wrong(place: Place, damage: str, kind: FaultKind) -> None:
    vault = place.open()
    wanted, other = put(vault, MARK * 9), put(vault, MARK[::-1] * 9)
    blob, key = (next(p for p in place.files(e) if p.name.startswith(wanted)) for e in (".blob", ".key"))
    if damage.endswith("removed"):
        (blob if "blob" in damage else key).unlink()
    elif damage.endswith("changed"):
        path = blob if "blob" in damage else key
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    else:
        theirs = next(p for p in place.files(".blob") if p.name.startswith(other))
        ours = blob.read_bytes()
        blob.write_bytes(theirs.read_bytes())
        theirs.write_bytes(ours)
    found = list(verify_vault(place.open()))
    assert kind in {fault.kind for fault in found if wanted in fault.where}
    with pytest.raises((SealBroken, AssetNotFound)):
        b"".join(place.open().open(wanted))


def test_erased_stays_erased_also_after_an_older_backup_is_restored(place: Place) -> None:
    vault = place.open()
    gone, stays = put(vault, MARK), put(vault, MARK[::-1])
    backup = place.root / "backup"
    shutil.copytree(place.folder, backup)
    vault.erase(gone, reason="term-ended")
    with pytest.raises(AssetErased):
        vault.open(gone)
    with pytest.raises(AssetErased):
        put(vault, MARK)
    shutil.rmtree(place.folder)
    shutil.copytree(backup, place.folder)
    restored = place.open()
    assert list(restored.addresses()) == [stays]
    assert [p for p in place.files("") if gone in p.name] == []
    with pytest.raises(AssetErased):
        restored.open(gone)
    assert put(restored, MARK, allow_erased=True) == gone


def test_a_vault_without_its_list_of_erasures_does_not_open(place: Place) -> None:
    vault = place.open()
    sha256 = put(vault, MARK)
    vault.erase(sha256)
    place.erasures.unlink()
    with pytest.raises(ErasureListBroken):
        place.open()


def test_a_lost_or_another_key_opens_nothing(place: Place) -> None:
    put(place.open(), MARK)
    place.key.unlink()
    with pytest.raises(KeyUnavailable):
        place.open()
    InstanceKey.create(place.key)
    with pytest.raises(KeyUnavailable):
        place.open()


def test_a_key_is_changed_and_the_old_one_is_then_not_needed(place: Place) -> None:
    sha256 = put(place.open(), MARK)
    rotate_key(place.key)
    assert rewrap_vault(place.open()) == 2  # the file and the vault's own probe
    for old in place.root.glob("key.old-*"):
        old.unlink()
    assert b"".join(place.open().open(sha256)) == MARK


def test_files_that_nobody_names_are_swept_when_they_are_old_enough(place: Place) -> None:
    vault = place.open()
    named, unnamed = put(vault, MARK), put(vault, MARK[::-1])
    assert remove_unnamed(vault, lambda sha256: sha256 == named, older_than_s=3600) == []
    assert remove_unnamed(vault, lambda sha256: sha256 == named, older_than_s=0) == [unnamed]
    assert list(vault.addresses()) == [named]


def test_a_copy_holds_what_the_vault_holds(place: Place, tmp_path: Path) -> None:
    from leadline.custody.storage import FolderStorage

    vault = place.open()
    sha256 = put(vault, MARK)
    target = tmp_path / "copy"
    target.mkdir(mode=0o700)
    for _ in range(2):  # repeated, it copies what is new
        assert copy_vault(vault.storage, FolderStorage(target)) <= 1
    copied = open_vault(target, FileKeySlot.load(place.key), place.erasures)
    assert b"".join(copied.open(sha256)) == MARK


STORY = """
import os, random, signal, sys, threading, time
from pathlib import Path
from leadline.custody.keys import FileKeySlot
from leadline.custody.vault import open_vault
root, seed = Path(sys.argv[1]), int(sys.argv[2])
vault = open_vault(root / "vault", FileKeySlot.load(root / "key"), root / "apart" / "erasures")
random.seed(seed)
def die():
    time.sleep(random.uniform(0.0, 0.12))
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=die, daemon=True).start()
number = 0
while True:
    data = b"%d.%d." % (seed, number) * random.choice([1, 500, 200000])
    sha256 = vault.put([data], limit_bytes=1 << 30).sha256
    os.write(1, b"put " + sha256.encode() + b"\\n")
    if number % 3 == 2:
        vault.erase(sha256)
        os.write(1, b"erased " + sha256.encode() + b"\\n")
    number += 1
"""


def killed(place: Place, seed: int) -> Iterator[tuple[str, str]]:
    run = forking.run(["-c", STORY, str(place.root), str(seed)], env=os.environ)
    assert run.returncode == -signal.SIGKILL, run.stderr[-500:]
    for line in run.stdout.splitlines():
        act, _, sha256 = line.partition(" ")
        yield act, sha256


def test_a_kill_at_any_moment_loses_nothing_acknowledged_and_brings_nothing_back(place: Place) -> None:
    put_, erased = set(), set()
    for seed in range(100):  # a slow machine gets fewer done before each kill, and more kills
        if seed >= 8 and len(put_) > 8:
            break
        for act, sha256 in killed(place, seed):
            (put_ if act == "put" else erased).add(sha256)
    vault = place.open()
    assert list(verify_vault(vault)) == []
    there = set(vault.addresses())
    assert erased & there == set()
    lost = put_ - there - {sha256 for sha256 in put_ if vault.erasures.is_erased(sha256)}
    assert lost == set()
    assert len(put_) > 8


def test_a_sweep_never_wipes_what_is_being_kept_under_its_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper has the temporary file open already when its maker names it and lets go."""
    from leadline.custody import storage as storages

    vault = place.open()
    sink = vault.storage.begin()
    sink.write(b"a record")
    real = storages.fcntl.flock

    def name_it_first(fd: int, kind: int) -> None:
        monkeypatch.setattr(storages.fcntl, "flock", real)
        sink.keep_as("ab/made-up.key")
        sink.discard()
        real(fd, kind)

    monkeypatch.setattr(storages.fcntl, "flock", name_it_first)
    vault.storage.sweep()
    assert vault.storage.read("ab/made-up.key") == b"a record"
