"""Reading a whole vault again, copying it, wrapping its keys anew, removing what nobody names. Mends no damage."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import msgspec

from leadline.custody import record as names
from leadline.custody.seal import sealed_size
from leadline.custody.storage import Storage, Stored
from leadline.custody.vault import Vault
from leadline.errors import AssetErased, AssetNotFound, KeyUnavailable, SealBroken

_COPY_BYTES = 8 << 20
_LOOKS, _BETWEEN_LOOKS_S = 8, 0.05
_ATTEMPTS = 5


class FaultKind(StrEnum):
    MISSING_KEY = "missing-key"  # a blob whose record is gone: it can never be read again
    MISSING_BLOB = "missing-blob"
    DAMAGED_KEY = "damaged-key"
    DAMAGED_BLOB = "damaged-blob"  # changed, cut, prolonged or mixed
    WRONG_HASH = "wrong-hash"  # opens, and is not what its name says
    UNKNOWN_KEY = "unknown-key"  # sealed under an instance key that is not here
    ERASED_YET_THERE = "erased-yet-there"  # `Vault.replay_erasures(everything=True)` ends that
    STRAY = "stray"  # a file or blob that belongs to nothing


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `where`: the SHA-256 of the file, or the name of a stray object."""

    kind: FaultKind
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}"


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been read again so far."""

    files: int
    size_bytes: int


def verify_vault(vault: Vault, tell: Callable[[Progress], None] = lambda _: None) -> Iterator[Fault]:
    """Read, open and hash every sealed file again; each fault once. Others may work meanwhile.

    What seems wrong is looked at again while nobody finishes a seal or erases, so that work under way is no fault.
    """
    files = size_bytes = 0
    for stem, group in groupby(vault.storage.list(), key=lambda stored: stored.name.partition(".")[0]):
        there = [*group]
        sha256 = stem.rpartition("/")[2]
        found, size = _inspect(vault, sha256, there)
        if found:
            with vault.erasures.hold(alone=True):
                vault.finish_pending_alone()
                found, size = _inspect(vault, sha256, [*vault.storage.list(f"{stem}.")] or _still(vault, there))
            yield from found
        files, size_bytes = files + bool(size >= 0), size_bytes + max(0, size)
        tell(Progress(files, size_bytes))


def verify_file(vault: Vault, sha256: str) -> list[Fault]:
    """The same for one file. AssetNotFound where it is not here."""
    there = [*vault.storage.list(names.prefix_of(names.check_address(sha256)))]
    if not there:
        raise AssetNotFound("no such file is sealed here", where=sha256, mend="check the hash")
    return _inspect(vault, sha256, there)[0]


def _still(vault: Vault, there: list[Stored]) -> list[Stored]:
    """Those that are there still; for names of another form than ours."""
    return [stored for old in there for stored in vault.storage.list(old.name) if stored.name == old.name]


def _inspect(vault: Vault, sha256: str, there: list[Stored]) -> tuple[list[Fault], int]:
    """Faults among the objects of one name, and the bytes of the file that were read again (-1: no file)."""
    ours = {stored.name: stored.size_bytes for stored in there if names.read_name(stored.name)}
    faults = [Fault(FaultKind.STRAY, _show(s.name)) for s in there if s.name not in ours and not _is_known(s.name)]
    if not ours:
        return faults, -1
    if vault.erasures.is_erased(sha256):
        return [*faults, Fault(FaultKind.ERASED_YET_THERE, sha256)], -1
    if names.key_name(sha256) not in ours:
        return [*faults, Fault(FaultKind.MISSING_KEY, sha256)], -1
    try:
        standing = vault.standing(sha256)
        standing.unwrap(vault.slot)
    except AssetNotFound:
        return [*faults, Fault(FaultKind.MISSING_KEY, sha256)], -1  # or erased since it was listed: looked at again
    except SealBroken:
        return [*faults, Fault(FaultKind.DAMAGED_KEY, sha256)], -1
    except KeyUnavailable:
        return [*faults, Fault(FaultKind.UNKNOWN_KEY, sha256)], -1
    unused = ours.keys() - {names.key_name(sha256), standing.blob_name}
    faults += [Fault(FaultKind.STRAY, name) for name in sorted(unused)]
    if standing.blob_name not in ours:
        return [*faults, Fault(FaultKind.MISSING_BLOB, sha256)], -1
    if ours[standing.blob_name] != sealed_size(standing.size_bytes):
        return [*faults, Fault(FaultKind.DAMAGED_BLOB, sha256)], -1
    return faults + _reread(vault, sha256), standing.size_bytes


def _reread(vault: Vault, sha256: str) -> list[Fault]:
    try:
        for _ in vault.open(sha256):
            pass
    except AssetErased:
        return []
    except AssetNotFound:
        return [Fault(FaultKind.MISSING_KEY, sha256)]
    except SealBroken as error:
        kind = FaultKind.WRONG_HASH if error.code == "wrong-hash" else FaultKind.DAMAGED_BLOB
        return [Fault(kind, sha256)]
    return []


def _is_known(name: str) -> bool:
    return name in (names.VAULT_NAME, names.MARK_NAME) or names.read_pending(name) is not None


def _show(untrusted_name: str) -> str:
    return untrusted_name.encode("unicode_escape", "surrogateescape").decode("ascii")[:200]


def rewrap_vault(vault: Vault, damaged: list[str] | None = None) -> int:
    """Wrap every data key under the key that wraps now; how many were not. Sealed files stay as they are.

    SealBroken or KeyUnavailable where one cannot be opened; with a list, its SHA-256 is put there and the others are
    done. The old key is done with when `count_older` says 0.
    """
    changed = _rewrap_head(vault)
    for sha256 in vault.addresses():
        try:
            with vault.erasures.hold(alone=True), contextlib.suppress(AssetNotFound):
                standing = vault.standing(sha256)
                fresh = standing.rewrapped(vault.slot)
                if fresh != standing:
                    vault.storage.put(names.key_name(sha256), fresh.encode(), replace=True)
                    changed += 1
        except (SealBroken, KeyUnavailable):
            if damaged is None:
                raise
            damaged.append(sha256)
    return changed


def count_older(vault: Vault) -> int:
    """How many data keys are not under the key that wraps now. Of a damaged record none is left to be opened."""
    head = names.read_head(vault.storage.read(names.VAULT_NAME))
    older = int(names.rewrap_head(head, vault.slot) != head)
    for sha256 in vault.addresses():
        with contextlib.suppress(AssetNotFound, SealBroken):
            older += not vault.slot.is_current(bytes.fromhex(vault.standing(sha256).wrapped))
    return older


def _rewrap_head(vault: Vault) -> int:
    head = names.read_head(vault.storage.read(names.VAULT_NAME))
    fresh = names.rewrap_head(head, vault.slot)
    if fresh != head:
        vault.storage.put(names.VAULT_NAME, msgspec.json.encode(fresh), replace=True)
    return int(fresh != head)


def remove_unnamed(vault: Vault, is_named: Callable[[str], bool], *, older_than_s: float) -> list[str]:
    """Destroy files that were sealed this long ago and that nobody names: whoever sealed them was cut off.

    `is_named` is asked again while no seal can be finished; sealing a file that is there makes it new. No erasure:
    the list does not hear of it. What is on hold stays, also where an older database that was restored knows nothing
    of it.
    """
    removed = []
    for sha256 in vault.addresses():
        if is_named(sha256):
            continue
        with vault.erasures.hold(alone=True):
            if vault.erasures.is_held(sha256):
                continue
            key, latest_s = names.key_name(sha256), time.time() - older_than_s
            is_old = any(s.name == key and s.modified_s <= latest_s for s in vault.storage.list(key))
            if is_old and not is_named(sha256):
                vault.destroy(sha256)
                removed.append(sha256)
    return removed


def copy_vault(
    source: Storage, target: Storage, erased: Container[str] = (), damaged: list[str] | None = None
) -> int:
    """Copy a vault, sealed as it is, while others work in it; how many files. Repeated, it copies what is new.

    A file whose record or blob is missing, damaged or of the wrong size is named in `damaged`, and the others are
    copied; without such a list it raises SealBroken. What only a key finds, `verify_vault` tells.

    At every moment the copy is consistent: of each file the blob comes before the record, and the copy never has a
    mark, so that whoever opens it follows the whole list of erasures. What is `erased` is removed. Needs no key.
    """
    target.remove(names.MARK_NAME)
    with contextlib.suppress(FileNotFoundError):
        target.put(names.VAULT_NAME, source.read(names.VAULT_NAME), replace=True)
    _forget_erased(target, erased)
    copied = 0
    for stem, group in groupby(source.list(), key=lambda stored: stored.name.partition(".")[0]):
        sha256 = stem.rpartition("/")[2]
        there = {stored.name for stored in group if names.read_name(stored.name)}
        if not there or sha256 in erased:
            continue
        try:
            if names.key_name(sha256) not in there:
                _refuse_keyless(source, sha256)
            copied += _copy_file(source, target, sha256)
        except SealBroken:
            if damaged is None:
                raise
            damaged.append(sha256)
    return copied


def _refuse_keyless(source: Storage, sha256: str) -> None:
    """SealBroken where blobs have lost their record: not where a seal is under way, or where they are erased by now."""

    def is_pending() -> bool:
        return next(source.list(f"{names.PENDING}{sha256}"), None) is not None

    for _ in range(_LOOKS):  # a seal that begins, or an erasure under way, looks just so for a moment
        begun = is_pending()
        there = {stored.name for stored in source.list(names.prefix_of(sha256))}
        if begun or not there or names.key_name(sha256) in there or is_pending():
            return
        time.sleep(_BETWEEN_LOOKS_S)
    raise SealBroken("the key of a sealed file is missing", where=sha256, mend="verify the vault")


def _copy_file(source: Storage, target: Storage, sha256: str) -> bool:
    """Whether it was copied: not where it is erased meanwhile. SealBroken where its record or blob is missing."""
    for _ in range(_ATTEMPTS):  # the record may be replaced meanwhile, by one that names another blob
        try:
            untrusted = source.read(names.key_name(sha256))
        except FileNotFoundError:
            return False
        if any(untrusted):
            with contextlib.suppress(FileNotFoundError):
                _copy_blob(source, target, names.read_record(untrusted, sha256))
                target.put(names.key_name(sha256), untrusted, replace=True)
                return True
    raise SealBroken("a sealed file cannot be copied", where=sha256, mend="verify the vault")


def _copy_blob(source: Storage, target: Storage, record: names.KeyRecord) -> None:
    name = record.blob_name
    size = next((stored.size_bytes for stored in source.list(name) if stored.name == name), None)
    if size is None:
        raise FileNotFoundError(name)
    if size != sealed_size(record.size_bytes):
        raise SealBroken("a sealed file was cut or prolonged", where=record.sha256, mend="verify the vault")
    if any(stored == Stored(name, size, stored.modified_s) for stored in target.list(name)):
        return  # a blob never changes
    sink = target.begin()
    try:
        for offset in range(0, size, _COPY_BYTES):
            sink.write(source.read(name, offset, _COPY_BYTES))
        sink.keep_as(name)
    finally:
        sink.discard()


def _forget_erased(target: Storage, erased: Container[str]) -> None:
    gone = [s.name for s in target.list() if (found := names.read_name(s.name)) and found[0] in erased]
    for name in sorted(gone, key=lambda name: not name.endswith(".key")):
        target.remove(name)
