"""One file, read once -> its exact digests, its type and the hashes of its picture. Writes nothing, judges nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from leadline.domain import Fingerprints, Isolation, PdqFamily, ViewHashes
from leadline.errors import ConfigError, LeadlineError, SandboxUnavailable, UntrustedMediaError
from leadline.match import pdq
from leadline.match.fingerprints import FingerprintKind
from leadline.media.client import PictureFacts, Sandbox, SandboxViolation, View
from leadline.media.limits import Limits
from leadline.media.sniff import (
    AV_TYPES,
    NOT_DECODED,
    NOT_OPENED,
    PICTURE_TYPES,
    ZIP_END_BYTES,
    ends_as_zip,
    sniff,
)
from leadline.scan.names import show_name
from leadline.scan.reading import HEAD_BYTES, changed_since, open_regular, read_fd, read_tail, stream_fd

FRAMES_NOT_COMPARED = "frames not compared"
_ZIP_BEHIND = "a ZIP lies behind what it begins as: not opened"
_ZIPS = frozenset({"application/zip", "application/wacz"})
_TRIES = 2  # of a file whose decoders died: mostly of something else


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is to be known of one file, before any list is asked.

    path       bytes of the file on disk; of a member, of the container that holds it
    member     bytes of the member's name inside its container, else None
    mtime_ns   nanoseconds since 1970 UTC, None where there is none; so ctime_ns
    width      of the picture as it is meant to be seen (orientation applied), 0 where there is none
    reasons    what reading and decoding had to say, in words
    error      why it could not be read (no digests) or not decoded (digests stand), else None
    alpha      none | constant | varied
    frames     how many the file holds, hashed or not
    """

    path: bytes
    member: bytes | None
    size_bytes: int
    mtime_ns: int | None
    mime: str
    width: int
    height: int
    fingerprints: Fingerprints
    partial: bool
    isolation: Isolation
    reasons: tuple[str, ...]
    error: LeadlineError | None
    changed_while_read: bool
    recomputed: bool
    decoder: str
    ctime_ns: int | None = None
    alpha: str = "none"
    frames: int = 1
    skipped: bool = False


def blank_facts(
    path: bytes,
    isolation: Isolation,
    *,
    member: bytes | None = None,
    size_bytes: int = 0,
    mtime_ns: int | None = None,
    ctime_ns: int | None = None,
    reasons: tuple[str, ...] = (),
    error: LeadlineError | None = None,
    skipped: bool = False,
) -> FileFacts:
    """Facts of what was never read: skipped, or out of reach."""
    return FileFacts(
        path, member, size_bytes, mtime_ns, "", 0, 0, Fingerprints(), False, isolation, reasons, error,
        False, False, "", ctime_ns, skipped=skipped,
    )  # fmt: skip


def changed_facts(facts: FileFacts, told: str) -> FileFacts:
    """The same, of a file that changed under the reader's hands."""
    reasons = (f"changed while it was read: {told}", *facts.reasons)
    return dataclasses.replace(facts, reasons=reasons, changed_while_read=True)


class Digests:
    """MD5, SHA-1 and SHA-256 of one stream."""

    def __init__(self) -> None:
        self._running = (hashlib.md5(), hashlib.sha1(), hashlib.sha256())

    def feed(self, data: memoryview | bytes) -> None:
        for running in self._running:
            running.update(data)

    def result(self) -> dict[str, bytes]:
        return {running.name: running.digest() for running in self._running}


@dataclass(frozen=True, slots=True)
class _Picture:
    facts: PictureFacts | None
    views: tuple[ViewHashes, ...]
    recomputed: bool
    partial: bool
    reasons: tuple[str, ...]
    error: LeadlineError | None


_NO_PICTURE = _Picture(None, (), False, False, (), None)


class FileHasher:
    """Hashes files one after the other through one sandbox; as little thread-safe as its sandbox.

    grey      decode luma only (faster; hashes within 4 bits)
    families  PDQ families to compute; dihedral: all 8 transforms of each
    kinds     plug-in fingerprints to compute beside PDQ
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        grey: bool = False,
        families: frozenset[PdqFamily] = frozenset({PdqFamily.B}),
        dihedral: bool = True,
        kinds: Iterable[FingerprintKind] = (),
        limits: Limits | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._grey, self._dihedral = grey, dihedral
        self._limits = limits or Limits()
        self.compute(families, kinds)

    def compute(self, families: frozenset[PdqFamily], kinds: Iterable[FingerprintKind]) -> None:
        """What to compute of pictures from here on."""
        self._families, self._kinds = families, tuple(kinds)

    def hash_path(self, path: bytes) -> FileFacts:
        """Never raises for what a file is or holds: that stands in `error`.

        Raises SandboxViolation and SandboxUnavailable only while a batch is open: the caller redoes the batch file
        by file (after `renew_sandbox`, where it is gone).
        """
        try:
            with open_regular(path) as (fd, status):
                return self._hash_fd(path, fd, status)
        except (SandboxViolation, SandboxUnavailable):
            raise
        except LeadlineError as error:
            return blank_facts(path, self._sandbox.isolation, error=error)
        except OSError as error:
            what = f"could not be read: {os.strerror(error.errno or 0)}"
            fault = LeadlineError(what, where=show_name(path), code="io-error")
            return blank_facts(path, self._sandbox.isolation, error=fault)

    def _hash_fd(self, path: bytes, fd: int, status: os.stat_result) -> FileFacts:
        digests = Digests()
        head = bytearray(min(HEAD_BYTES, status.st_size))
        done = read_fd(fd, memoryview(head))
        mime = sniff(bytes(head[:done]))
        decodable = mime in PICTURE_TYPES and status.st_size <= self._limits.max_file_bytes
        if decodable:
            buffer = self._sandbox.input_buffer(status.st_size)
            buffer[:done] = head[:done]
            done += read_fd(fd, buffer[done : status.st_size])
            digests.feed(buffer[:done])
            tail = bytes(buffer[max(0, done - ZIP_END_BYTES) : done])
            buffer.release()
        else:
            digests.feed(memoryview(head)[:done])
            done += stream_fd(fd, status.st_size - done, digests.feed)
            tail = bytes(head) if done == len(head) else read_tail(fd, done, ZIP_END_BYTES)
        changed = done != status.st_size or changed_since(fd, status) or os.read(fd, 1) != b""
        picture = self._hash_picture(done) if decodable else self._not_decoded(mime, done)
        facts = self._facts(
            path, None, done, mime, digests.result(), picture, status.st_mtime_ns, status.st_ctime_ns, tail
        )
        return changed_facts(facts, f"the hashes are of the first {done} bytes") if changed else facts

    def hash_buffer(
        self, path: bytes, member: bytes, data: memoryview, exact: Mapping[str, bytes], mtime_ns: int | None = None
    ) -> FileFacts:
        """A member of a container, whole in memory, its digests already made. Raises as `hash_path` does."""
        mime = sniff(bytes(data[:HEAD_BYTES]))
        if mime in PICTURE_TYPES and len(data) <= self._limits.max_file_bytes:
            buffer = self._sandbox.input_buffer(len(data))
            buffer[: len(data)] = data
            buffer.release()
            picture = self._hash_picture(len(data))
        else:
            picture = self._not_decoded(mime, len(data))
        tail = bytes(data[-ZIP_END_BYTES:])
        return self._facts(path, member, len(data), mime, dict(exact), picture, mtime_ns, None, tail)

    def describe_member(
        self, path: bytes, member: bytes, head: bytes, size_bytes: int, exact: Mapping[str, bytes],
        mtime_ns: int | None = None, tail: bytes = b"",
    ) -> FileFacts:  # fmt: skip
        """A member too large to hold: its digests and type only. tail: its last ZIP_END_BYTES."""
        mime = sniff(head[:HEAD_BYTES])
        return self._facts(
            path, member, size_bytes, mime, dict(exact), self._not_decoded(mime, size_bytes), mtime_ns, None, tail
        )

    def _not_decoded(self, mime: str, size_bytes: int) -> _Picture:
        if mime in PICTURE_TYPES:
            limit = self._limits.max_file_bytes
            fault = UntrustedMediaError(f"picture not decoded: larger than {limit} bytes", code="too-large")
            return dataclasses.replace(_NO_PICTURE, error=fault)
        if mime in AV_TYPES:
            return dataclasses.replace(_NO_PICTURE, reasons=(FRAMES_NOT_COMPARED,))
        if mime in NOT_DECODED:
            told = f"not compared as a picture: {NOT_DECODED[mime]} is not decoded"
            return dataclasses.replace(_NO_PICTURE, reasons=(told,))
        if mime in NOT_OPENED:
            told = f"not opened: what {NOT_OPENED[mime]} holds is not compared"
            return dataclasses.replace(_NO_PICTURE, reasons=(told,))
        return dataclasses.replace(_NO_PICTURE, reasons=("empty file",) if size_bytes == 0 else ())

    def _hash_picture(self, size_bytes: int) -> _Picture:
        """Decode what lies in the input buffer and hash each view."""
        found: list[ViewHashes] = []
        facts: PictureFacts | None = None
        error: LeadlineError | None = None
        recomputed = partial = False
        try:
            facts = self._sandbox.open_picture(size_bytes, grey=self._grey)
            for view in self._sandbox.views():
                hashes, serial = self._hash_view(view)
                found += hashes
                recomputed, partial = recomputed or serial, partial or view.partial
        except (SandboxViolation, SandboxUnavailable) as violation:
            if self._sandbox.isolation is Isolation.BATCH:
                raise
            error = violation
        except UntrustedMediaError as refused:
            error = refused
        partial = partial or (facts is not None and facts.partial)
        later = {view.view.rpartition(" ")[2] for view in found if view.view.startswith("frame")}
        frames = 1 + len(later)
        return _Picture(facts, tuple(found), recomputed, partial, _tell(facts, partial, frames), error)

    def _hash_view(self, view: View) -> tuple[list[ViewHashes], bool]:
        hashes, recomputed = pdq.hash_view(
            view.pixels, view=view.name, orientation=view.orientation, families=self._families,
            dihedral=self._dihedral,
        )  # fmt: skip
        if not self._kinds or not hashes:
            return hashes, recomputed
        upright = np.ascontiguousarray(pdq.turn_upright(view.pixels, view.orientation))
        values = {kind.name: kind.compute(upright) for kind in self._kinds}
        others = {name: value for name, value in values.items() if value is not None}
        return [dataclasses.replace(hashes[0], others=others), *hashes[1:]], recomputed

    def _facts(
        self, path: bytes, member: bytes | None, size_bytes: int, mime: str, exact: dict[str, bytes],
        picture: _Picture, mtime_ns: int | None, ctime_ns: int | None, tail: bytes,
    ) -> FileFacts:  # fmt: skip
        seen = picture.facts
        behind = (_ZIP_BEHIND,) if mime not in _ZIPS and ends_as_zip(tail) else ()
        return FileFacts(
            path, member, size_bytes, mtime_ns, seen.mime if seen else mime,
            seen.width if seen else 0, seen.height if seen else 0, Fingerprints(exact, picture.views),
            picture.partial, self._sandbox.isolation, (*picture.reasons, *behind), picture.error,
            False, picture.recomputed, seen.decoder if seen else "", ctime_ns,
            seen.alpha if seen else "none", seen.frames if seen else 1,
        )  # fmt: skip


def _tell(facts: PictureFacts | None, partial: bool, frames_hashed: int) -> tuple[str, ...]:
    told = ["decoded in part"] if partial else []
    if facts is not None and facts.frames > frames_hashed:
        told.append(f"{frames_hashed} of {facts.frames} frames hashed")
    return tuple(told)


def renew_sandbox(sandbox: Sandbox) -> None:
    """A new process for decoders where the old one is gone (killed for want of memory, say). Raises as `start`."""
    sandbox.close()
    sandbox.start()


def survive_decoders(sandbox: Sandbox, hash_it: Callable[[], FileFacts]) -> FileFacts:
    """What `hash_it` finds; where the decoders died, mostly of something else, they are renewed and it is asked once
    more. Other files can be decoded afterwards: else it raises as `renew_sandbox`."""
    for _ in range(_TRIES):
        facts = hash_it()
        if not isinstance(facts.error, SandboxUnavailable):
            break
        renew_sandbox(sandbox)
    return facts


def hash_file(
    path: str | bytes | os.PathLike[str], *, grey: bool = False, family: str = "b", unsafe_decode: bool = False
) -> FileFacts:
    """Exact digests and PDQ of one file, in a sandbox of its own (for many files: one FileHasher).

    Raises ConfigError for an unknown family, SandboxUnavailable where the machine cannot isolate decoders.
    What is wrong with the file itself stands in `error` of the answer.
    """
    if family not in tuple(PdqFamily):
        raise ConfigError("no such PDQ family", where=family, mend="a (512x512 first) or b (full resolution)")
    with Sandbox(unsafe=unsafe_decode) as sandbox:
        hasher = FileHasher(sandbox, grey=grey, families=frozenset({PdqFamily(family)}))
        return hasher.hash_path(os.fsencode(path))
