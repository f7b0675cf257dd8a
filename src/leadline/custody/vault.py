"""The vault: files sealed under their SHA-256. No plaintext reaches a disk; what is acknowledged is there, whole.

A file is there once its record stands (`record.py`); the record is put in one step that only one writer can win, after
its blob. Who finishes a seal holds the list of erasures with others, who erases holds it alone, so what is found half
done while it is held alone belongs to nobody alive. Decides nothing: when to erase is its caller's question.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from leadline.custody import record as names
from leadline.custody.erasure import START, Act, ErasureList
from leadline.custody.keys import KeySlot
from leadline.custody.record import KeyRecord, Mark, check_address, key_name, prefix_of
from leadline.custody.seal import SealedFacts, Sealer, new_data_key, open_range, open_stream, sealed_size
from leadline.custody.storage import FolderStorage, Sink, Storage, open_storage
from leadline.errors import (
    AssetErased,
    AssetHeld,
    AssetNotFound,
    AssetRefused,
    ConfigError,
    ErasureListBroken,
    SealBroken,
    VaultUnavailable,
)

NO_LIMIT = 1 << 52  # what STREAM can count at our chunk size: 4 PiB
_REREADS = 3


class Sealed(NamedTuple):
    """A file in the vault: digests as hex, bytes of its plaintext, whether it had been there before."""

    sha256: str
    sha1: str
    md5: str
    size_bytes: int
    was_there: bool


def open_vault(
    place: str | Path, slot: KeySlot, erasures: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Vault:
    """The vault at a folder or `s3://BUCKET/PREFIX?endpoint=URL`, made there on the first opening and ready for work.

    What earlier writers left half done is finished, and erasures that this vault does not know of yet (of a backup
    that was restored) are carried out before anything can be read. ConfigError where the place may not be used,
    KeyUnavailable where the key is not the one that sealed, ErasureListBroken where the list is missing or older than
    the vault.
    """
    storage = open_storage(place)
    if isinstance(storage, FolderStorage) and erasures.resolve().is_relative_to(storage.root.resolve()):
        raise ConfigError("the list of erasures lies in the vault", where=str(erasures), mend="keep it apart")
    head = _read_or_none(storage, names.VAULT_NAME)
    if head is None:
        head = _found(storage, slot, erasures)
    names.check_key(names.read_head(head), slot)
    vault = Vault(storage, slot, ErasureList(erasures), clock=clock)
    storage.sweep()
    vault.finish_pending()
    vault.replay_erasures()
    return vault


def _found(storage: Storage, slot: KeySlot, erasures: Path) -> bytes:
    """Make a vault of an empty place; the list comes first, so that a vault without one is always a fault."""
    if next(storage.list(), None) is not None and _read_or_none(storage, names.VAULT_NAME) is None:
        mend = "restore this file, or name another place"
        raise ConfigError("not a vault, and not empty", where=names.VAULT_NAME, mend=mend)
    with contextlib.suppress(FileExistsError):
        ErasureList.create(erasures)
    storage.put(names.VAULT_NAME, msgspec.json.encode(names.make_head(slot)))
    return storage.read(names.VAULT_NAME)  # of two first openings at once, one wins


def _read_or_none(storage: Storage, name: str) -> bytes | None:
    try:
        return storage.read(name)
    except FileNotFoundError:
        return None


class Vault:
    """Use `open_vault`. One object serves all threads of a process; any number of processes share one vault."""

    def __init__(
        self,
        storage: Storage,
        slot: KeySlot,
        erasures: ErasureList,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.storage, self.erasures = storage, erasures
        self.slot, self._clock = slot, clock

    # --- in ------------------------------------------------------------------------------------------------------

    def put(
        self,
        untrusted_pieces: Iterable[bytes],
        *,
        limit_bytes: int,
        expected_sha256: str | None = None,
        allow_erased: bool = False,
    ) -> Sealed:
        """Seal a whole file; it is on the disk when this returns. Errors as those of `Draft`."""
        with self.begin(limit_bytes=limit_bytes) as draft:
            for piece in untrusted_pieces:
                draft.write(piece)
            return draft.commit(expected_sha256=expected_sha256, allow_erased=allow_erased)

    def begin(self, *, limit_bytes: int = NO_LIMIT) -> Draft:
        """A file that arrives piece by piece."""
        return Draft(self, limit_bytes)

    def commit(self, sink: Sink, facts: SealedFacts, blob: str, data_key: bytes, *, allow_erased: bool) -> Sealed:
        """What `Draft.commit` does with the storage."""
        for alone in (False, True):  # nearly always the first time suffices
            with self.erasures.hold(alone=alone):
                # Wrapped while it is held: whoever changes the key holds it alone, so none is put under the one before.
                made = names.make_record(facts, blob, data_key, self.slot)
                was_there = self._settle(sink, made, allow_erased, alone)
            if was_there is not None:
                return _sealed(made, was_there=was_there)
        raise AssertionError("held alone, it is settled")

    def _settle(self, sink: Sink, made: KeyRecord, allow_erased: bool, alone: bool) -> bool | None:
        """Whether it had been there; None where that can be settled only while the list is held alone."""
        is_erased = self.erasures.is_erased(made.sha256)
        if is_erased and not allow_erased:
            mend = "it was erased for a reason; whoever knows better can say so when sealing it"
            raise AssetErased("this file was erased here", where=made.sha256, mend=mend)
        if not is_erased and self._refresh_standing(made.sha256):
            return True
        is_mended = is_erased or _read_or_none(self.storage, key_name(made.sha256)) is not None
        if is_mended and not alone:
            return None
        try:
            return self._publish(sink, made, is_mended=is_mended, is_erased=is_erased)
        except BaseException:
            with contextlib.suppress(VaultUnavailable):  # else the next opening does it
                self._finish_one(made.sha256, made.blob, alone=alone)
            raise

    def _publish(self, sink: Sink, made: KeyRecord, *, is_mended: bool, is_erased: bool) -> bool:
        pending = names.pending_name(made.sha256, made.blob)
        self.storage.put(pending, b"")
        if is_erased:
            self.destroy(made.sha256)  # what an erasure that was cut off has left
        sink.keep_as(made.blob_name)
        was_there = not self.storage.put(key_name(made.sha256), made.encode(), replace=is_mended)
        if was_there:  # another writer of the same file was quicker; or this very put, and its answer was lost
            was_there = self.standing(made.sha256).blob != made.blob
        if is_erased:
            self.erasures.append(Act.ADMIT, made.sha256, "sealed-again", self._clock())
            self._follow_list()
        self._finish_one(made.sha256, made.blob, alone=is_mended)
        return was_there

    def _refresh_standing(self, sha256: str) -> bool:
        """Whether a whole file stands there already; its record is put again, so that it counts as new."""
        try:
            standing = self.standing(sha256)
            standing.unwrap(self.slot)
        except (AssetNotFound, SealBroken):
            return False
        sizes = {stored.name: stored.size_bytes for stored in self.storage.list(prefix_of(sha256))}
        if sizes.get(standing.blob_name) != sealed_size(standing.size_bytes):
            return False
        self.storage.put(key_name(sha256), standing.rewrapped(self.slot).encode(), replace=True)
        return True

    # --- out -----------------------------------------------------------------------------------------------------

    def open(self, sha256: str) -> Iterator[bytes]:
        """The file's bytes, piece by piece, each checked before it is given, the whole against its SHA-256 at the end.

        AssetNotFound, AssetErased, KeyUnavailable or SealBroken; of damage behind the first piece while iterating.
        """
        standing = self._readable(sha256)
        return self._stream(standing, standing.unwrap(self.slot))

    def read_range(self, sha256: str, start: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `start` on, or fewer at the end; only the chunks that hold them are read and checked."""
        if start < 0 or length < 0:
            raise ValueError("a range begins at 0 or later and has no negative length")
        standing = self._readable(sha256)
        bound = names.blob_context(standing.blob)
        read_at, data_key = self._reader(standing), standing.unwrap(self.slot)
        return self._named(standing, open_range(read_at, standing.size_bytes, data_key, bound, start, length))

    def _stream(self, standing: KeyRecord, data_key: bytes) -> Iterator[bytes]:
        digest, bound = hashlib.sha256(), names.blob_context(standing.blob)
        pieces = open_stream(self._reader(standing), standing.size_bytes, data_key, bound)
        for piece in self._named(standing, pieces):
            digest.update(piece)
            yield piece
        if digest.hexdigest() != standing.sha256:
            what = "what was sealed is not what its hash says"
            raise SealBroken(what, where=standing.sha256, mend="call someone", code="wrong-hash")

    def _reader(self, standing: KeyRecord) -> Callable[[int, int], bytes]:
        return partial(self.storage.read, standing.blob_name)

    def _named(self, standing: KeyRecord, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces; a fault among them with the name of the file."""
        try:
            yield from pieces
        except FileNotFoundError:
            self._refuse_erased(standing.sha256)
            mend = "restore it from a backup; call someone"
            raise SealBroken("a sealed file's blob is missing", where=standing.sha256, mend=mend) from None
        except SealBroken as error:
            raise SealBroken(error.what, where=standing.sha256, mend=error.mend) from None

    def _readable(self, sha256: str) -> KeyRecord:
        self._refuse_erased(check_address(sha256))
        return self.standing(sha256)

    def _refuse_erased(self, sha256: str) -> None:
        if self.erasures.is_erased(sha256):
            raise AssetErased("this file was erased", where=sha256, mend="nothing: it cannot be read again")

    def standing(self, sha256: str) -> KeyRecord:
        """The record that stands. AssetNotFound where there is none, SealBroken where it is damaged."""
        untrusted = b""
        for _ in range(_REREADS):  # one that is being replaced is overwritten while it is read
            try:
                untrusted = self.storage.read(key_name(sha256))
            except FileNotFoundError:
                raise AssetNotFound("no such file is sealed here", where=sha256, mend="check the hash") from None
            if any(untrusted):
                break
        return names.read_record(untrusted, sha256)

    def exists(self, sha256: str) -> bool:
        """Whether it is there and not erased; not whether it is whole (`verify`)."""
        return not self.erasures.is_erased(check_address(sha256)) and (
            _read_or_none(self.storage, key_name(sha256)) is not None
        )

    def facts(self, sha256: str) -> Sealed:
        """Its digests and size, checked under the key. Errors as those of `open`."""
        standing = self._readable(sha256)
        standing.unwrap(self.slot)
        return _sealed(standing, was_there=True)

    def size(self, sha256: str) -> int:
        """Bytes of its plaintext."""
        return self.facts(sha256).size_bytes

    def addresses(self) -> Iterator[str]:
        """The SHA-256 of each file that is there, about in order."""
        for stored in self.storage.list():
            found = names.read_name(stored.name)
            if found and not found[1] and not self.erasures.is_erased(found[0]):
                yield found[0]

    # --- erasing -------------------------------------------------------------------------------------------------

    def erase(self, sha256: str, *, reason: str = "erased") -> None:
        """Destroy the data key, then the blob. Nothing happens where it is erased already.

        The list knows it before anything is removed, so that a stop half-way is finished at the next opening. `reason`
        is a code. AssetNotFound where nothing of this hash was ever here, AssetHeld while it is on hold.
        """
        with self.erasures.hold(alone=True):
            self.refuse_held(sha256)
            if not self.erasures.is_erased(check_address(sha256)):
                if next(self.storage.list(prefix_of(sha256)), None) is None:
                    raise AssetNotFound("no such file is sealed here", where=sha256, mend="check the hash")
                self.erasures.append(Act.ERASE, sha256, reason, self._clock())
            self.destroy(sha256)
            self._follow_list()

    def refuse_held(self, sha256: str) -> None:
        if self.erasures.is_held(check_address(sha256)):
            raise AssetHeld("a legal hold is on this file", where=sha256, mend="end the hold first")

    def set_hold(self, sha256: str, *, is_on: bool, reason: str) -> bool:
        """Whether that was news. It stands in the list of erasures, which no backup holds and no restore replaces."""
        with self.erasures.hold(alone=True):
            if self.erasures.is_held(check_address(sha256)) is is_on:
                return False
            self.erasures.append(Act.HOLD if is_on else Act.RELEASE, sha256, reason, self._clock())
            self._follow_list()
        return True

    def replay_erasures(self, *, everything: bool = False) -> int:
        """Carry out what the list says and this vault does not know yet, or all of it anew; how many were there still.

        ErasureListBroken where the list is older than this vault, or another one.
        """
        if not everything and self._mark() == Mark(*self.erasures.head):
            return 0
        with self.erasures.hold(alone=True):
            return self._follow_list(everything=everything)

    def _follow_list(self, *, everything: bool = False) -> int:
        """The caller holds the list alone."""
        mark, destroyed = self._mark(), 0
        if self.erasures.hash_at(mark.line) != mark.hash:
            mend = "put the newest list of this vault in its place"
            what = "the list of erasures is not this vault's"
            raise ErasureListBroken(what, where=str(self.erasures.path), mend=mend)
        for erasure in self.erasures.lines(0 if everything else mark.line):
            if erasure.act is Act.ERASE and self.erasures.is_erased(erasure.sha256):
                destroyed += self.destroy(erasure.sha256)
        if (followed := Mark(*self.erasures.head)) != mark:
            self.storage.put(names.MARK_NAME, msgspec.json.encode(followed), replace=True)
        return destroyed

    def _mark(self) -> Mark:
        untrusted = _read_or_none(self.storage, names.MARK_NAME)
        try:
            return Mark(*START) if untrusted is None else msgspec.json.decode(untrusted, type=Mark)
        except msgspec.MsgspecError:
            return Mark(*START)  # then the whole list is followed again

    def destroy(self, sha256: str) -> bool:
        """Key first, then blobs; whether there was anything. The caller holds the list alone; to erase, use `erase`."""
        there = [stored.name for stored in self.storage.list(prefix_of(sha256))]
        for name in sorted(there, key=lambda name: not name.endswith(".key")):
            self.storage.remove(name)
        return bool(there)

    # --- upkeep --------------------------------------------------------------------------------------------------

    def finish_pending(self) -> int:
        """Remove blobs of seals that were cut off; how many seals there were. Waits until no seal is being finished."""
        if next(self.storage.list(names.PENDING), None) is None:
            return 0
        with self.erasures.hold(alone=True):
            return self.finish_pending_alone()

    def finish_pending_alone(self) -> int:
        """The same; the caller holds the list alone."""
        found = [names.read_pending(stored.name) for stored in self.storage.list(names.PENDING)]
        for sha256, blob in filter(None, found):
            self._finish_one(sha256, blob, alone=True)
        return len(found)

    def _finish_one(self, sha256: str, blob: str, *, alone: bool) -> None:
        if alone and self.erasures.is_erased(sha256):
            self.destroy(sha256)
        with contextlib.suppress(SealBroken):  # `verify` tells of a damaged record; its blobs are left as they are
            try:
                used = self.standing(sha256).blob
            except AssetNotFound:
                used = ""
            for stored in self.storage.list(prefix_of(sha256)):
                found = names.read_name(stored.name)
                is_unused = found is not None and found[1] not in ("", used)
                if is_unused and (found == (sha256, blob) or (alone and used == blob)):
                    self.storage.remove(stored.name)
        self.storage.remove(names.pending_name(sha256, blob))


class Draft:
    """A file that is being sealed. Only sealed bytes are written; leave it, and nothing of it stays."""

    def __init__(self, vault: Vault, limit_bytes: int) -> None:
        self._vault, self._blob, self._data_key = vault, secrets.token_hex(8), new_data_key()
        self._sink = vault.storage.begin()
        try:
            context = names.blob_context(self._blob)
            self._sealer = Sealer(self._sink.write, self._data_key, context, min(limit_bytes, NO_LIMIT))
        except BaseException:
            self._sink.discard()
            raise

    def write(self, untrusted: bytes) -> None:
        """AssetRefused beyond the limit, VaultUnavailable where the disk is full."""
        self._sealer.update(untrusted)

    def commit(self, *, expected_sha256: str | None = None, allow_erased: bool = False) -> Sealed:
        """It is in the vault, on the disk, when this returns; the draft is done with.

        AssetRefused where it is not what `expected_sha256` says; AssetErased where it was erased here, unless
        `allow_erased`; VaultUnavailable where the storage refuses.
        """
        wanted = check_address(expected_sha256) if expected_sha256 is not None else None
        try:
            facts = self._sealer.finish()
            if wanted not in (None, facts.sha256):
                mend = "send it again; what arrived was not kept"
                raise AssetRefused("not what its hash says", where=str(wanted), mend=mend, code="asset-hash-differs")
            return self._vault.commit(self._sink, facts, self._blob, self._data_key, allow_erased=allow_erased)
        finally:
            self._sink.discard()

    def discard(self) -> None:
        """Nothing of it stays. Safe to call twice, and after `commit`."""
        self._sink.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()


def _sealed(standing: KeyRecord, *, was_there: bool) -> Sealed:
    return Sealed(standing.sha256, standing.sha1, standing.md5, standing.size_bytes, was_there)
