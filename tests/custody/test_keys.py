"""Tests of keys: what a key file must be, wrapping bound to its place, and changing the key without losing anything."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from tests import forking

from leadline.custody.keys import FileKeySlot, InstanceKey, SigningKey, WatchedKeySlot, rewrap, rotate_key
from leadline.errors import KeyUnavailable, SealBroken

SECRET = bytes(range(32))
DATA_KEY = b"d" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "instance.key"


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


KINDS = pytest.mark.parametrize("kind", [InstanceKey, SigningKey])


@KINDS
def test_a_new_key_is_random_and_its_owners_alone(path: Path, kind: Any) -> None:
    kind.create(path)
    kind.create(path.with_name("other"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert path.read_bytes() != path.with_name("other").read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["instance.key", "other"]
    kind.load(path)


@KINDS
def test_a_key_that_is_there_is_never_replaced(path: Path, kind: Any) -> None:
    write(path, SECRET)
    with pytest.raises(KeyUnavailable, match="File exists"):
        kind.create(path)
    assert path.read_bytes() == SECRET
    assert [*path.parent.iterdir()] == [path]


def test_a_key_may_be_written_in_hex(path: Path) -> None:
    raw = InstanceKey.load(write(path, SECRET))
    for text in (SECRET.hex(), SECRET.hex().upper() + "\n"):
        assert InstanceKey.load(write(path, text.encode())).key_id == raw.key_id


@KINDS
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o610, 0o777])
def test_a_key_that_others_can_read_is_refused(path: Path, kind: Any, mode: int) -> None:
    with pytest.raises(KeyUnavailable, match="others can read"):
        kind.load(write(path, SECRET, mode))


@KINDS
def test_a_key_that_is_missing_is_refused(path: Path, kind: Any) -> None:
    with pytest.raises(KeyUnavailable, match="No such file"):
        kind.load(path)


@KINDS
def test_a_link_to_a_key_is_refused(path: Path, kind: Any) -> None:
    path.symlink_to(write(path.with_name("real"), SECRET))
    with pytest.raises(KeyUnavailable, match="cannot be opened"):
        kind.load(path)


@KINDS
def test_what_is_no_regular_file_is_refused_and_not_waited_for(path: Path, kind: Any) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyUnavailable, match="no regular file"):
        kind.load(path)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(KeyUnavailable, match="no regular file"):
        kind.load(path)


@pytest.mark.parametrize(
    "content",
    [b"", SECRET[:31], SECRET + b"\n", SECRET * 2, b"f" * 64, SECRET.hex().encode()[:-1] + b"g", bytes(32), b"f" * 32],
)
def test_a_file_that_holds_no_key_is_refused_and_not_shown(path: Path, content: bytes) -> None:
    with pytest.raises(KeyUnavailable, match="holds no key") as caught:
        InstanceKey.load(write(path, content))
    assert SECRET.hex()[:8] not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_refused(path: Path) -> None:
    write(path, SECRET)
    os.chown(path, 12345, 12345)
    with pytest.raises(KeyUnavailable, match="somebody else"):
        InstanceKey.load(path)


def test_a_key_whose_folder_others_can_write_to_is_refused(path: Path) -> None:
    InstanceKey.create(path)
    path.parent.chmod(0o770)
    with pytest.raises(KeyUnavailable, match="write to the key's folder"):
        InstanceKey.load(path)
    path.parent.chmod(0o1777)  # like /tmp: others can put files there, and not replace this one
    InstanceKey.load(path)


def test_a_watched_slot_takes_up_another_key_at_its_next_use(path: Path) -> None:
    InstanceKey.create(path)
    slot = WatchedKeySlot(path)
    before = slot.wrap(bytes(32), b"here")
    key = rotate_key(path)
    assert (slot.key_id, slot.is_current(before), slot.unwrap(before, b"here")) == (key.key_id, False, bytes(32))
    assert slot.is_current(slot.wrap(bytes(32), b"here"))
    path.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="others can read"):
        slot.wrap(bytes(32), b"here")


def test_a_key_is_never_shown(path: Path) -> None:
    for key in (InstanceKey(SECRET), SigningKey(SECRET), FileKeySlot(InstanceKey(SECRET))):
        for shown in (repr(key), str(key), f"{key}"):
            assert SECRET.hex()[:8] not in shown
            assert repr(SECRET)[2:10] not in shown


def test_a_disk_that_refuses_leaves_no_half_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(KeyUnavailable, match="No space left"):
        InstanceKey.create(path)
    assert [*path.parent.iterdir()] == []


# --- wrapping --------------------------------------------------------------------------------------------------------


def test_another_reader_can_unwrap_by_the_written_format() -> None:
    """As docs/vault.md has it, in seven lines that use nothing of ours."""
    wrapped = InstanceKey(SECRET).wrap(DATA_KEY, b"context")
    kek = HKDF(SHA256(), 32, salt=None, info=b"leadline/wrap/1").derive(SECRET)
    key_id = HKDF(SHA256(), 8, salt=None, info=b"leadline/key-id/1").derive(SECRET)
    assert (wrapped[:9], len(wrapped)) == (b"\x01" + key_id, 69)
    assert AESGCM(kek).decrypt(wrapped[9:21], wrapped[21:], wrapped[:9] + b"context") == DATA_KEY


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_what_is_wrapped_unwraps_in_its_context(data_key: bytes, context: bytes) -> None:
    key = InstanceKey(SECRET)
    wrapped = key.wrap(data_key, context)
    assert key.unwrap(wrapped, context) == data_key
    assert wrapped != key.wrap(data_key, context)


@given(st.integers(0, 69 * 8 - 1))
def test_one_changed_bit_of_a_wrapped_key_is_found(bit: int) -> None:
    key = InstanceKey(SECRET)
    wrapped = bytearray(key.wrap(DATA_KEY, b"context"))
    wrapped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((SealBroken, KeyUnavailable)):
        key.unwrap(bytes(wrapped), b"context")


@pytest.mark.parametrize("wrong", [b"", b"\x01", b"x" * 68, b"\x02" * 69, b"\x01" * 70])
def test_what_was_never_wrapped_is_refused(wrong: bytes) -> None:
    with pytest.raises(SealBroken):
        InstanceKey(SECRET).unwrap(wrong, b"")


def test_a_wrapped_key_does_not_open_elsewhere() -> None:
    key = InstanceKey(SECRET)
    with pytest.raises(SealBroken, match="not of this place"):
        key.unwrap(key.wrap(DATA_KEY, b"here"), b"there")


def test_another_instance_key_is_told_from_damage() -> None:
    wrapped = InstanceKey(SECRET).wrap(DATA_KEY, b"")
    with pytest.raises(KeyUnavailable, match="another key") as caught:
        InstanceKey(SECRET[::-1]).unwrap(wrapped, b"")
    assert InstanceKey(SECRET).key_id in str(caught.value)


# --- changing the key ------------------------------------------------------------------------------------------------


def test_the_newest_key_wraps_and_all_unwrap(path: Path) -> None:
    first = InstanceKey.create(path)
    old = FileKeySlot.load(path).wrap(DATA_KEY, b"c")
    second = rotate_key(path)
    slot = FileKeySlot.load(path)
    assert slot.key_id == second.key_id == InstanceKey.load(path).key_id != first.key_id
    assert slot.unwrap(old, b"c") == DATA_KEY
    assert not slot.is_current(old)
    fresh = rewrap(old, slot, b"c")
    assert slot.is_current(fresh)
    assert rewrap(fresh, slot, b"c") is fresh
    path.with_name(f"instance.key.old-{first.key_id}").unlink()
    slot = FileKeySlot.load(path)
    assert slot.unwrap(fresh, b"c") == DATA_KEY
    with pytest.raises(KeyUnavailable, match=first.key_id):
        slot.unwrap(old, b"c")


def test_keys_of_several_changes_all_stay(path: Path) -> None:
    InstanceKey.create(path)
    wrapped = []
    for _ in range(4):
        wrapped.append(FileKeySlot.load(path).wrap(DATA_KEY, b""))
        rotate_key(path)
    assert [FileKeySlot.load(path).unwrap(w, b"") for w in wrapped] == [DATA_KEY] * 4
    modes = {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert (modes, len([*path.parent.iterdir()])) == ({0o600}, 5)


def test_an_old_key_that_others_can_read_is_refused_too(path: Path) -> None:
    first = InstanceKey.create(path)
    rotate_key(path)
    path.with_name(f"instance.key.old-{first.key_id}").chmod(0o644)
    with pytest.raises(KeyUnavailable, match="others can read"):
        FileKeySlot.load(path)


KILLED = """
import os, signal, sys
from pathlib import Path
from leadline.custody.keys import rotate_key
calls, wanted = 0, int(sys.argv[2])
def count(name):
    real = getattr(os, name)
    def counted(*arguments, **options):
        global calls
        calls += 1
        if calls == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    setattr(os, name, counted)
for name in ("open", "fsync", "link", "replace", "unlink"):
    count(name)
rotate_key(Path(sys.argv[1]))
"""


def test_a_change_of_keys_that_is_killed_anywhere_loses_no_key(path: Path) -> None:
    """Killed before each act upon the disk in turn; then changed again, whole."""
    InstanceKey.create(path)
    wrapped, kills = [], 0
    while True:
        wrapped.append(FileKeySlot.load(path).wrap(DATA_KEY, b""))
        if forking.run(["-c", KILLED, str(path), str(kills + 1)], env=os.environ).returncode == 0:
            break
        kills += 1
        assert [FileKeySlot.load(path).unwrap(w, b"") for w in wrapped] == [DATA_KEY] * len(wrapped)
        wrapped.append(FileKeySlot.load(path).wrap(DATA_KEY, b""))
        rotate_key(path)
    assert kills >= 6
    assert [FileKeySlot.load(path).unwrap(w, b"") for w in wrapped] == [DATA_KEY] * len(wrapped)


# --- signing ---------------------------------------------------------------------------------------------------------


def test_it_signs_as_rfc_8032_has_it() -> None:
    """RFC 8032, section 7.1, TEST 2."""
    key = SigningKey(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert key.public_bytes.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
