"""Tests of what keeps a vault in order, and of many at work in it at once."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests import forking

from leadline.custody.erasure import ErasureList
from leadline.custody.keys import FileKeySlot, InstanceKey, rotate_key
from leadline.custody.record import key_name, make_record, prefix_of, read_record
from leadline.custody.seal import CHUNK_BYTES
from leadline.custody.storage import FolderStorage
from leadline.custody.upkeep import (
    Fault,
    FaultKind,
    Progress,
    copy_vault,
    remove_unnamed,
    rewrap_vault,
    verify_file,
    verify_vault,
)  # fmt: skip
from leadline.custody.vault import Vault, open_vault
from leadline.errors import (
    AssetErased,
    AssetNotFound,
    ConfigError,
    ErasureListBroken,
    HashFormatError,
    KeyUnavailable,
    SealBroken,
    VaultUnavailable,
)  # fmt: skip

KEY, OTHER_KEY = InstanceKey(bytes(range(32))), InstanceKey(bytes(range(1, 33)))
LIMIT = 1 << 30
Open = Callable[..., Vault]


@pytest.fixture
def open_it(tmp_path: Path) -> Open:
    return lambda key=KEY: open_vault(tmp_path / "vault", key, tmp_path / "apart" / "list")


@pytest.fixture
def vault(open_it: Open) -> Vault:
    return open_it()


def put(vault: Vault, plain: bytes, **options: bool) -> str:
    return vault.put([plain], limit_bytes=LIMIT, **options).sha256


def path_of(vault: Vault, sha256: str, ending: str) -> Path:
    assert isinstance(vault.storage, FolderStorage)
    (name,) = [s.name for s in vault.storage.list(prefix_of(sha256)) if s.name.endswith(ending)]
    return vault.storage.root / name


def faults(vault: Vault) -> list[tuple[str, str]]:
    return sorted((fault.kind.value, fault.where) for fault in verify_vault(vault))


# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_record_whose_facts_were_changed_does_not_open(vault: Vault) -> None:
    sha256 = put(vault, b"plain")
    path = path_of(vault, sha256, ".key")
    good = path.read_bytes()
    record = read_record(good, sha256)
    for old, new in (
        (f'"size_bytes":{record.size_bytes}', '"size_bytes":4'), (record.md5, "0" * 32), (record.sha1, "0" * 40),
        (record.blob, "0" * 16), (record.wrapped, record.wrapped[:-2] + "00"), ('"version":1', '"version":2'),
        (record.wrapped, "zz"), ("{", '{"more":1,'), (good.decode(), "null"),
    ):  # fmt: skip
        path.write_bytes(good.replace(old.encode(), new.encode()))
        assert path.read_bytes() != good
        with pytest.raises(SealBroken):
            vault.open(sha256)
        assert ("damaged-key", sha256) in faults(vault)
    path.write_bytes(good)
    assert faults(vault) == []


@pytest.mark.parametrize("ending", [".key", ".blob", "both"])
def test_two_files_cannot_exchange_their_keys_blobs_or_both(vault: Vault, ending: str) -> None:
    one, two = put(vault, b"plain one"), put(vault, b"plain two")
    for each in (".key", ".blob") if ending == "both" else (ending,):
        a, b = path_of(vault, one, each), path_of(vault, two, each)
        kept = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(kept)
    kind = "damaged-blob" if ending == ".blob" else "damaged-key"
    assert faults(vault) == sorted([(kind, one), (kind, two)])
    for sha256 in (one, two):
        with pytest.raises(SealBroken):
            b"".join(vault.open(sha256))


def test_a_record_does_not_serve_another_file_though_its_name_is_written_over(vault: Vault) -> None:
    one, two = put(vault, b"plain one"), put(vault, b"plain two")
    forged = path_of(vault, two, ".key").read_bytes().replace(two.encode(), one.encode())
    blob = path_of(vault, two, ".blob")
    path_of(vault, one, ".key").write_bytes(forged)
    blob.with_name(blob.name.replace(two, one)).write_bytes(blob.read_bytes())
    for act in (vault.facts, vault.open):
        with pytest.raises(SealBroken):
            act(one)
    with pytest.raises(SealBroken):
        vault.read_range(one, 0, 1)


def test_an_older_seal_of_the_same_file_is_no_newer_one(vault: Vault, tmp_path: Path) -> None:
    sha256 = put(vault, b"plain")
    old = path_of(vault, sha256, ".blob").read_bytes()
    vault.erase(sha256)
    put(vault, b"plain", allow_erased=True)
    path_of(vault, sha256, ".blob").write_bytes(old)
    assert faults(vault) == [("damaged-blob", sha256)]


def test_what_opens_and_is_not_what_its_name_says_is_found(vault: Vault) -> None:
    """Only who holds the key can make it: such as a faulty release of ours."""
    sha256, wrong = put(vault, b"plain"), hashlib.sha256(b"another").hexdigest()
    old = read_record(path_of(vault, sha256, ".key").read_bytes(), sha256)
    facts = vault.facts(sha256)
    data_key = old.unwrap(KEY)
    lying = make_record(
        facts._replace(sha256=wrong), old.blob, data_key, KEY,  # type: ignore[arg-type]
    )  # fmt: skip
    vault.storage.put(key_name(wrong), lying.encode())
    vault.storage.put(lying.blob_name, path_of(vault, sha256, ".blob").read_bytes())
    assert faults(vault) == [("wrong-hash", wrong)]
    with pytest.raises(SealBroken, match="not what its hash says"):
        b"".join(vault.open(wrong))


def test_a_file_sealed_under_a_key_that_is_gone_is_told_from_damage(vault: Vault, open_it: Open) -> None:
    old = put(vault, b"plain")
    newer = open_it(FileKeySlot(OTHER_KEY, [KEY]))
    new = put(newer, b"newer")
    head = newer.storage.read("vault.json")
    rewrap_vault(newer)
    path_of(vault, old, ".key").write_bytes(make_old(newer, old))
    alone = open_it(OTHER_KEY)
    assert faults(alone) == [("unknown-key", old)]
    assert b"".join(alone.open(new)) == b"newer"
    with pytest.raises(KeyUnavailable):
        alone.open(old)
    with pytest.raises(KeyUnavailable):
        rewrap_vault(alone)
    newer.storage.put("vault.json", head, replace=True)
    with pytest.raises(KeyUnavailable):
        open_it(OTHER_KEY)


def make_old(vault: Vault, sha256: str) -> bytes:
    """Its record, wrapped under the first key again."""
    record = vault.standing(sha256)
    return record.rewrapped(FileKeySlot(KEY, [OTHER_KEY])).encode()


def test_strays_are_named_and_left(vault: Vault) -> None:
    sha256 = put(vault, b"plain")
    assert isinstance(vault.storage, FolderStorage)
    folder = path_of(vault, sha256, ".key").parent
    for path in (folder / "holiday.txt", folder / f"{sha256}.{'0' * 16}.blob", vault.storage.root / "note\n\x1b[2J"):
        path.write_bytes(b"1")
    (folder / f"{'0' * 64}.key").write_bytes(b"{}")  # a record in another one's folder
    name = folder.relative_to(vault.storage.root).as_posix()
    assert faults(vault) == sorted([
        ("stray", f"{name}/holiday.txt"), ("stray", f"{name}/{sha256}.{'0' * 16}.blob"), ("stray", r"note\n\x1b[2J"),
        ("stray", f"{name}/{'0' * 64}.key"),
    ])  # fmt: skip
    assert (folder / "holiday.txt").exists()
    assert b"".join(vault.open(sha256)) == b"plain"


def test_one_file_can_be_verified_alone(vault: Vault) -> None:
    good, bad = put(vault, b"good"), put(vault, b"bad")
    path_of(vault, bad, ".blob").unlink()
    assert verify_file(vault, good) == []
    assert verify_file(vault, bad) == [Fault(FaultKind.MISSING_BLOB, bad)]
    with pytest.raises(AssetNotFound):
        verify_file(vault, "0" * 64)


def test_verifying_tells_how_far_it_is(vault: Vault) -> None:
    for number in range(5):
        put(vault, b"x" * 100 + str(number).encode())
    told: list[Progress] = []
    assert [*verify_vault(vault, told.append)] == []
    assert told[-1] == Progress(5, 505)
    assert [p.files for p in told] == sorted(p.files for p in told)


def test_a_vault_that_is_no_vault_is_not_opened(open_it: Open, tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir(mode=0o700)
    (tmp_path / "vault" / "other.txt").write_bytes(b"1")
    with pytest.raises(ConfigError, match="not a vault"):
        open_it()
    assert not (tmp_path / "apart").exists()


def test_a_vault_that_has_lost_its_head_is_not_made_anew(vault: Vault, open_it: Open) -> None:
    put(vault, b"plain")
    vault.storage.remove("vault.json")
    with pytest.raises(ConfigError, match="not a vault"):
        open_it()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 9, b'{"version":1,"probe":"zz"}'])
def test_a_damaged_head_is_said(vault: Vault, open_it: Open, content: bytes) -> None:
    vault.storage.put("vault.json", content, replace=True)
    with pytest.raises(SealBroken, match="head is damaged"):
        open_it()


def test_the_list_of_erasures_may_not_lie_in_the_vault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lies in the vault"):
        open_vault(tmp_path / "vault", KEY, tmp_path / "vault" / "list")


@pytest.mark.parametrize("act", ["open", "exists", "size", "facts", "erase"])
@pytest.mark.parametrize("wrong", ["", "0" * 63, "A" * 64, "../../" + "0" * 58])
def test_what_is_no_hash_is_said_to_be_none(vault: Vault, act: str, wrong: str) -> None:
    with pytest.raises(HashFormatError):
        getattr(vault, act)(wrong)


def test_what_was_never_there_is_absent(vault: Vault) -> None:
    assert vault.exists("0" * 64) is False
    for act in (vault.open, vault.size, vault.erase):
        with pytest.raises(AssetNotFound):
            act("0" * 64)
    assert vault.erasures.head.line == 0


# --- mending, erasing, restoring -------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["blob gone", "blob cut", "key gone", "key damaged"])
def test_a_put_of_a_damaged_file_mends_it(vault: Vault, damage: str) -> None:
    plain = b"plain " * 1000
    sha256 = put(vault, plain)
    path = path_of(vault, sha256, ".blob" if "blob" in damage else ".key")
    path.unlink() if damage.endswith("gone") else path.write_bytes(path.read_bytes()[:-1])
    assert faults(vault) != []
    assert vault.put([plain], limit_bytes=LIMIT).was_there is False
    if damage == "key gone":  # its old blob is told from a seal that was cut off, and left to a person
        assert [kind for kind, _ in faults(vault)] == ["stray"]
    else:
        assert faults(vault) == []
    assert b"".join(vault.open(sha256)) == plain


def test_an_erased_file_that_was_put_back_by_hand_stays_unreadable(vault: Vault, tmp_path: Path) -> None:
    sha256 = put(vault, b"plain")
    paths = [path_of(vault, sha256, ending) for ending in (".key", ".blob")]
    contents = [path.read_bytes() for path in paths]
    vault.erase(sha256)
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with pytest.raises(AssetErased):
        vault.open(sha256)
    assert (vault.exists(sha256), [*vault.addresses()]) == (False, [])
    assert faults(vault) == [("erased-yet-there", sha256)]
    assert vault.replay_erasures(everything=True) == 1
    assert faults(vault) == []
    assert [path.exists() for path in paths] == [False, False]
    assert vault.replay_erasures(everything=True) == 0


def test_erasing_again_removes_what_was_put_back_by_hand(vault: Vault) -> None:
    sha256 = put(vault, b"plain")
    path = path_of(vault, sha256, ".key")
    content = path.read_bytes()
    vault.erase(sha256)
    path.write_bytes(content)
    vault.erase(sha256)
    assert (path.exists(), vault.erasures.head.line) == (False, 1)


def test_a_copy_laid_over_the_vault_brings_nothing_back(vault: Vault, open_it: Open, tmp_path: Path) -> None:
    sha256 = put(vault, b"plain")
    copy = FolderStorage(tmp_path / "copy")
    copy_vault(vault.storage, copy)
    vault.erase(sha256)
    copy_vault(copy, vault.storage)
    assert faults(vault) == [("erased-yet-there", sha256)]
    assert faults(open_it()) == []


def test_erasing_twice_is_erasing_once(vault: Vault) -> None:
    sha256 = put(vault, b"plain")
    vault.erase(sha256, reason="expired")
    vault.erase(sha256, reason="expired")
    assert [(e.sha256, e.reason) for e in vault.erasures.lines()] == [(sha256, "expired")]


def test_who_reads_while_it_is_erased_is_told_so(vault: Vault) -> None:
    sha256 = put(vault, os.urandom(3 * CHUNK_BYTES))
    pieces = vault.open(sha256)
    next(pieces)
    vault.erase(sha256)
    with pytest.raises(AssetErased):
        next(pieces)


def test_a_list_that_is_older_than_the_vault_is_refused(vault: Vault, open_it: Open, tmp_path: Path) -> None:
    one, two = put(vault, b"one"), put(vault, b"two")
    vault.erase(one)
    older = (tmp_path / "apart" / "list").read_bytes()
    vault.erase(two)
    (tmp_path / "apart" / "list").write_bytes(older)
    with pytest.raises(ErasureListBroken, match="no line 2"):
        open_it()


def test_another_vaults_list_is_refused(vault: Vault, open_it: Open, tmp_path: Path) -> None:
    vault.erase(put(vault, b"one"))
    other = open_vault(tmp_path / "vault2", KEY, tmp_path / "apart2" / "list")
    other.erase(put(other, b"two"))
    (tmp_path / "apart2" / "list").replace(tmp_path / "apart" / "list")
    with pytest.raises(ErasureListBroken, match="not this vault's"):
        open_it()


def test_a_restored_copy_follows_the_whole_list(vault: Vault, open_it: Open, tmp_path: Path) -> None:
    """The copy is of a time between two erasures, and is older than the second."""
    one, two, three = (put(vault, word) for word in (b"one", b"two", b"three"))
    copy = FolderStorage(tmp_path / "copy")
    assert copy_vault(vault.storage, copy) == 3
    vault.erase(one)
    assert copy_vault(vault.storage, copy) == 2  # without the list it forgets nothing
    vault.erase(two)
    restored = open_vault(tmp_path / "copy", KEY, tmp_path / "apart" / "list")
    assert [*restored.addresses()] == [three]
    assert not [s.name for s in copy.list() if one in s.name or two in s.name]


def test_a_copy_that_is_told_what_was_erased_forgets_it(vault: Vault, tmp_path: Path) -> None:
    one, two = put(vault, b"one"), put(vault, b"two")
    copy = FolderStorage(tmp_path / "copy")
    copy_vault(vault.storage, copy)
    vault.erase(one)
    copy_vault(vault.storage, copy, vault.erasures.erased())
    assert not [s.name for s in copy.list() if one in s.name]
    assert [s.name for s in copy.list() if two in s.name]


def test_a_file_that_cannot_be_copied_is_named(vault: Vault, tmp_path: Path) -> None:
    sha256 = put(vault, b"one")
    path_of(vault, sha256, ".blob").unlink()
    with pytest.raises(SealBroken, match="cannot be copied") as caught:
        copy_vault(vault.storage, FolderStorage(tmp_path / "copy"))
    assert sha256 in str(caught.value)


def test_sealing_what_is_there_makes_it_new_for_who_removes_the_unnamed(vault: Vault) -> None:
    sha256 = put(vault, b"plain")
    os.utime(path_of(vault, sha256, ".key"), (0, 0))
    put(vault, b"plain")
    assert remove_unnamed(vault, lambda _: False, older_than_s=3600) == []
    os.utime(path_of(vault, sha256, ".key"), (0, 0))
    asked: list[str] = []
    assert remove_unnamed(vault, lambda s: bool(asked.append(s)), older_than_s=3600) == [sha256]
    assert asked == [sha256, sha256]  # asked again while no seal can be finished
    assert put(vault, b"plain") == sha256  # it was no erasure


def test_sealing_what_is_there_wraps_it_under_the_newest_key(vault: Vault, open_it: Open) -> None:
    sha256 = put(vault, b"plain")
    newer = open_it(FileKeySlot(OTHER_KEY, [KEY]))
    assert put(newer, b"plain") == sha256
    assert rewrap_vault(newer) == 1  # the vault's probe only
    assert b"".join(open_it(OTHER_KEY).open(sha256)) == b"plain"


def test_an_old_process_does_not_bring_an_old_key_back(tmp_path: Path, open_it: Open) -> None:
    key = tmp_path / "key"
    InstanceKey.create(key)
    before = open_it(FileKeySlot.load(key))
    sha256 = put(before, b"plain")
    rotate_key(key)
    after = open_it(FileKeySlot.load(key))
    assert rewrap_vault(after) == 2
    with pytest.raises(KeyUnavailable):
        put(before, b"plain")
    newer = put(before, b"another")
    assert rewrap_vault(after) == 1  # what the old process sealed since: hence "until it answers 0"
    assert rewrap_vault(after) == 0
    alone = open_it(InstanceKey.load(key))
    assert [b"".join(alone.open(s)) for s in (sha256, newer)] == [b"plain", b"another"]


# --- many at once ----------------------------------------------------------------------------------------------------


def run_all(*acts: Callable[[], Any]) -> None:
    """Each in a thread; the first fault of any is raised."""
    raised: list[BaseException] = []

    def run(act: Callable[[], Any]) -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_writers_of_the_same_file_at_once_all_succeed_and_one_was_first(vault: Vault, open_it: Open) -> None:
    for number in range(10):
        plain, found = str(number).encode() * 2000, list[bool]()
        gate = threading.Barrier(4)

        def write(mine: Vault, plain: bytes = plain, found: list[bool] = found, gate: Any = gate) -> None:
            with mine.begin() as draft:
                draft.write(plain)
                gate.wait()
                found.append(draft.commit().was_there)

        run_all(*[partial(write, open_it()) for _ in range(4)])
        assert sorted(found) == [False, True, True, True]
        assert b"".join(vault.open(hashlib.sha256(plain).hexdigest())) == plain
    assert faults(vault) == []


def test_verifying_and_copying_while_others_work_finds_no_fault(vault: Vault, open_it: Open, tmp_path: Path) -> None:
    done = threading.Event()
    found: list[Fault] = []

    def work(name: str, mine: Vault) -> None:
        try:
            for number in range(60):
                sha256 = put(mine, f"{name} {number % 20}".encode() * 500, allow_erased=True)
                if number % 3 == 2:
                    mine.erase(sha256)
        finally:
            done.set()

    def look(mine: Vault) -> None:
        while not done.is_set():
            found.extend(verify_vault(mine))

    def copy(mine: Vault) -> None:
        while not done.is_set():
            copy_vault(mine.storage, FolderStorage(tmp_path / "copy"), mine.erasures.erased())

    first, second, third = open_it(), open_it(), open_it()
    run_all(lambda: work("same", first), lambda: work("same", second), lambda: look(third), lambda: copy(vault))
    assert found == []
    assert faults(vault) == []
    copied = open_vault(tmp_path / "copy", KEY, tmp_path / "apart" / "list")
    assert [f for f in verify_vault(copied) if f.kind is not FaultKind.STRAY] == []


def test_two_first_openings_at_once_make_one_vault(tmp_path: Path) -> None:
    for number in range(10):
        place = tmp_path / str(number)
        gate, opened = threading.Barrier(4), list[Vault]()

        def open_one(place: Path = place, gate: Any = gate, opened: list[Vault] = opened) -> None:
            gate.wait()
            opened.append(open_vault(place / "vault", KEY, place / "apart" / "list"))

        run_all(*[open_one] * 4)
        sha256 = put(opened[0], b"plain")
        assert [b"".join(vault.open(sha256)) for vault in opened] == [b"plain"] * 4


def test_an_erasure_waits_for_nobody_who_was_killed(vault: Vault, tmp_path: Path) -> None:
    """A process is killed with its file sealed and not yet named."""
    code = """
import os, signal, sys
from pathlib import Path
from leadline.custody.keys import InstanceKey
from leadline.custody.vault import open_vault
vault = open_vault(Path(sys.argv[1]) / "vault", InstanceKey(bytes(range(32))), Path(sys.argv[1]) / "apart" / "list")
real = vault.storage.put
def put(name, data, **options):
    if name.endswith(".key"):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(name, data, **options)
vault.storage.put = put
vault.put([b"never acknowledged"], limit_bytes=100)
"""
    sha256 = put(vault, b"plain")
    assert forking.run(["-c", code, str(tmp_path)], env=os.environ).returncode == -9
    assert len([*vault.storage.list("pending/")]) == 1
    vault.erase(sha256)
    assert faults(vault) == []  # without opening it anew
    assert [*vault.storage.list("pending/")] == []
    assert [s.name for s in vault.storage.list() if s.name.endswith(".blob")] == []


def test_a_seal_that_cannot_be_finished_for_long_is_refused_and_leaves_nothing(
    vault: Vault, open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ErasureList.hold
    monkeypatch.setattr(ErasureList, "hold", lambda self, *, alone: real(self, alone=alone, timeout_s=0.05))
    with vault.erasures.hold(alone=True):
        with pytest.raises(VaultUnavailable, match="another writer"):
            put(open_it(), b"plain")
    assert [*vault.addresses()] == []
    assert [s.name for s in vault.storage.list() if "." in s.name and s.name.endswith((".blob", ".key"))] == []
