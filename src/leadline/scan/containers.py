"""Members of archives, mails and captures, within limits: from disk and from inside one another. In memory only."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple

from leadline.errors import LeadlineError, SandboxUnavailable, UntrustedMediaError
from leadline.media.client import Member, Sandbox, SandboxViolation
from leadline.media.limits import Limits
from leadline.media.sniff import ARCHIVE_TYPES, PICTURE_TYPES, REPORT_TYPES, ZIP_END_BYTES, sniff
from leadline.media.wire import Status
from leadline.scan.hashing import (
    Digests,
    FileFacts,
    FileHasher,
    blank_facts,
    changed_facts,
    renew_sandbox,
    survive_decoders,
)
from leadline.scan.names import MEMBER_MARK
from leadline.scan.reading import HEAD_BYTES, changed_since, open_regular

GROUP_FILES = 64
GROUP_BYTES = 64 << 20  # held in memory so that a batch that goes wrong can be redone file by file

OPENED_TYPES = ARCHIVE_TYPES | REPORT_TYPES
_SKIPPED = {"link": "link inside a container, not followed", "device": "device inside a container, not opened"}


class Ended(NamedTuple):
    """How the reading of a container on disk ended.

    fault    why it had to stop early, or None
    changed  whether it is another file, or other bytes, than were hashed
    """

    fault: LeadlineError | None
    changed: bool = False


Groups = Generator[list[FileFacts], None, LeadlineError | None]


@dataclass(slots=True)
class _Budget:
    """What one container on disk may cost in all, however its parts nest."""

    members: int
    total_bytes: int

    def spend(self, size_bytes: int, members: int = 1) -> None:
        self.members -= members
        self.total_bytes -= size_bytes
        if self.members < 0 or self.total_bytes < 0:
            raise UntrustedMediaError("container holds more than the limits allow", code="too-large")


@dataclass(slots=True)
class _Part:
    """One member in hand: its bytes where they are worth decoding, else only what streamed by.

    error: why these are not, or perhaps not, all of its bytes; they count nevertheless
    """

    name: bytes
    head: bytes
    tail: bytes
    data: bytearray | None
    size_bytes: int
    exact: dict[str, bytes]
    error: LeadlineError | None = None

    @property
    def mime(self) -> str:
        return sniff(self.head)


class ContainerReader:
    """One lane's reader of containers: a sandbox for each depth of nesting, started when first needed."""

    def __init__(
        self, hasher: FileHasher, pictures: Sandbox, limits: Limits, new_sandbox: Callable[[], Sandbox]
    ) -> None:
        self._hasher, self._pictures, self._limits = hasher, pictures, limits
        self._new_sandbox = new_sandbox
        self._rooms: list[Sandbox] = []
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()
        self._rooms.clear()

    def _room(self, depth: int) -> Sandbox:
        while len(self._rooms) < depth:
            self._rooms.append(self._open.enter_context(self._new_sandbox()))
        return self._rooms[depth - 1]

    def read(self, facts: FileFacts) -> Generator[list[FileFacts], None, Ended]:
        """Facts of all members of a container on disk, in its order, in groups; of a nested one its members first.

        facts: of the container itself, from when it was hashed. A member's name is the chain inner.zip!name.
        """
        budget = _Budget(self._limits.max_members, self._limits.max_total_bytes)
        fault: LeadlineError | None
        changed = False
        try:
            with open_regular(facts.path) as (fd, status):
                changed = (status.st_size, status.st_mtime_ns, status.st_ctime_ns) != (
                    facts.size_bytes, facts.mtime_ns, facts.ctime_ns,
                )  # fmt: skip
                members = self._room(1).members(fd, from_fd=True)
                fault = yield from self._walk(facts.path, b"", members, 1, budget)
                changed = changed or changed_since(fd, status)
        except SandboxUnavailable as error:
            self.close()  # whichever it was that is gone: all are started anew when they are next needed
            fault = error
        except LeadlineError as error:
            fault = error
        return Ended(fault, changed)

    def _walk(
        self, path: bytes, prefix: bytes, members: Iterator[Member], depth: int, budget: _Budget
    ) -> Groups:
        held: list[_Part | FileFacts] = []
        held_bytes = 0
        fault: LeadlineError | None = None
        try:
            for member in members:
                if member.reason in ("directory", "absent") or member.role != "file":
                    continue  # no file: what a folder holds comes by itself, headers and made text are in no list
                budget.spend(0)
                name = prefix + (member.name or _bare_name(prefix or path))
                if member.kind != "file":
                    held.append(self._not_read(path, name, member))
                    continue
                part = self._take(name, member)
                budget.spend(part.size_bytes, members=0)  # as they came: what is declared may be a lie, or nothing
                if isinstance(part.error, SandboxViolation):
                    fault = part.error
                if part.mime in OPENED_TYPES and part.size_bytes:
                    yield self._finish(path, held)
                    held, held_bytes = [], 0
                    yield from self._nest(path, part, depth, budget)
                else:
                    held.append(part)
                    held_bytes += len(part.data or b"")
                if len(held) >= GROUP_FILES or held_bytes >= GROUP_BYTES:
                    yield self._finish(path, held)
                    held, held_bytes = [], 0
        except SandboxUnavailable:
            raise  # the container will be read anew, so what is in hand comes again
        except LeadlineError as error:
            fault = error
        yield self._finish(path, held)
        return fault

    def _not_read(self, path: bytes, name: bytes, member: Member) -> FileFacts:
        """A member its reader passed over: a link or a device is skipped, anything else could not be read."""
        told = _SKIPPED.get(member.reason)
        error = None if told else UntrustedMediaError(f"member not read: {member.reason}", code=member.reason)
        return blank_facts(
            path,
            self._pictures.isolation,
            member=name,
            size_bytes=member.size_bytes,
            reasons=(told,) if told else (),
            error=error,
            skipped=told is not None,
        )

    def _take(self, name: bytes, member: Member) -> _Part:
        """Stream one member through its digests, and hold it while it looks worth decoding.

        What a damaged one gave before its fault is kept: a wrong checksum must not take a known file out of the match.
        """
        digests, head, tail, size = Digests(), bytearray(), b"", 0
        data: bytearray | None = bytearray()
        error: LeadlineError | None = None
        try:
            for chunk in member.chunks():
                digests.feed(chunk)
                size += len(chunk)
                head += chunk[: max(0, HEAD_BYTES - len(head))]
                tail = (tail + bytes(chunk[-ZIP_END_BYTES:]))[-ZIP_END_BYTES:]
                if data is not None:
                    data += chunk
                    if not self._worth_holding(head, size):
                        data = None
        except UntrustedMediaError as refused:
            error = refused
        exact = digests.result() if size or error is None else {}
        return _Part(name, bytes(head), tail, data, size, exact, error)

    def _worth_holding(self, head: bytearray, size_bytes: int) -> bool:
        if size_bytes > self._limits.max_member_bytes:
            return False
        return len(head) < HEAD_BYTES or sniff(bytes(head)) in PICTURE_TYPES | OPENED_TYPES

    def _nest(self, path: bytes, part: _Part, depth: int, budget: _Budget) -> Generator[list[FileFacts]]:
        """The members of a container inside a container, then its own facts."""
        fault: LeadlineError | None
        count = 0
        if depth >= self._limits.max_depth:
            fault = UntrustedMediaError(f"container nested deeper than {depth}, not opened", code="too-deep")
        elif part.data is None:
            fault = UntrustedMediaError("container too large to be opened inside another", code="too-large")
        else:
            room = self._room(depth + 1)
            buffer = room.input_buffer(len(part.data))
            buffer[: len(part.data)] = part.data
            buffer.release()
            inner = room.members(len(part.data), from_fd=False)
            groups = self._walk(path, part.name + MEMBER_MARK, inner, depth + 1, budget)
            while True:
                try:
                    group = next(groups)
                except StopIteration as stop:
                    fault = stop.value
                    break
                count += len(group)
                yield group
        facts = self._facts(path, replace(part, data=None))
        yield [container_facts(facts, count, Ended(fault))]

    def _finish(self, path: bytes, held: list[_Part | FileFacts]) -> list[FileFacts]:
        """Parts in hand -> facts, sharing one decoding child; redone one by one where that child goes wrong."""
        parts = [part for part in held if isinstance(part, _Part) and part.data is not None]
        if len(parts) > 1:
            self._pictures.begin_batch()
            try:
                return [self._facts(path, part) for part in held]
            except SandboxViolation:
                pass
            except SandboxUnavailable:
                renew_sandbox(self._pictures)
            finally:
                self._pictures.end_batch()
        return [self._facts(path, part) for part in held]

    def _facts(self, path: bytes, part: _Part | FileFacts) -> FileFacts:
        if isinstance(part, FileFacts):
            return replace(part, isolation=self._pictures.isolation)
        if part.error is not None and not part.size_bytes:
            isolation = self._pictures.isolation
            return blank_facts(path, isolation, member=part.name, error=part.error)
        facts = survive_decoders(self._pictures, lambda: self._hash_once(path, part))
        return facts if part.error is None else _not_whole(facts, part.error)

    def _hash_once(self, path: bytes, part: _Part) -> FileFacts:
        if part.data is not None:
            return self._hasher.hash_buffer(path, part.name, memoryview(part.data), part.exact)
        return self._hasher.describe_member(path, part.name, part.head, part.size_bytes, part.exact, tail=part.tail)


def _not_whole(facts: FileFacts, error: LeadlineError) -> FileFacts:
    told = f"damaged or cut off in its container: the hashes are of the {facts.size_bytes} bytes that came out"
    fault = UntrustedMediaError(f"member not whole: {error.code.replace('-', ' ')}", code=error.code)
    return replace(facts, partial=True, error=fault, reasons=(told, *facts.reasons))


def _bare_name(container: bytes) -> bytes:
    """What a bare .gz, .bz2 or .xz holds has no name of its own: photo.jpg.gz holds photo.jpg."""
    last = container.rstrip(MEMBER_MARK).rsplit(b"/", 1)[-1].rsplit(MEMBER_MARK, 1)[-1]
    return last.rsplit(b".", 1)[0] if b"." in last[1:] else last


def container_facts(facts: FileFacts, members: int, ended: Ended) -> FileFacts:
    """A container's own facts, once its members are through: how many there were, and what stopped it if anything."""
    fault = ended.fault
    told = [f"container of {members} {'member' if members == 1 else 'members'}"]
    if fault is not None and fault.code == Status.TRAILING.code:
        told.append("bytes behind its end were not read")
        fault = None
    facts = replace(facts, reasons=(*facts.reasons, *told))
    if ended.changed and not facts.changed_while_read:
        facts = changed_facts(facts, "its members may not be of the bytes that were hashed")
    if fault is None:
        return facts
    error = UntrustedMediaError(
        f"contents not all read: {fault.what}", where=fault.where, mend=fault.mend, code=fault.code
    )
    return replace(facts, error=facts.error or error, partial=members > 0)
