"""Members of archives, mails and captures, within limits: from disk and from inside one another. In memory only."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from leadline.errors import LeadlineError, SandboxUnavailable, UntrustedMediaError
from leadline.media.client import Member, Sandbox, SandboxViolation
from leadline.media.limits import Limits
from leadline.media.sniff import ARCHIVE_TYPES, PICTURE_TYPES, REPORT_TYPES, sniff
from leadline.scan.hashing import Digests, FileFacts, FileHasher, blank_facts, renew_sandbox
from leadline.scan.names import MEMBER_MARK
from leadline.scan.reading import HEAD_BYTES, open_regular

GROUP_FILES = 64
GROUP_BYTES = 64 << 20  # held in memory so that a batch that goes wrong can be redone file by file

OPENED_TYPES = ARCHIVE_TYPES | REPORT_TYPES
_SKIPPED = {"link": "link inside a container, not followed", "device": "device inside a container, not opened"}
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
    """One member in hand: its bytes where they are worth decoding, else only what streamed by."""

    name: bytes
    head: bytes
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

    def read(self, path: bytes) -> Groups:
        """Facts of all members of a container on disk, in its order, in groups; of a nested one its members first.

        The generator returns why it had to stop early, or None. A member's name is the chain inner.zip!name.
        """
        budget = _Budget(self._limits.max_members, self._limits.max_total_bytes)
        try:
            with open_regular(path) as (fd, _):
                members = self._room(1).members(fd, from_fd=True)
                return (yield from self._walk(path, b"", members, 1, budget))
        except SandboxUnavailable as error:
            self.close()  # whichever it was that is gone: all are started anew when they are next needed
            return error
        except LeadlineError as error:
            return error

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
                budget.spend(member.size_bytes)
                name = prefix + (member.name or _bare_name(prefix or path))
                if member.kind != "file":
                    held.append(self._not_read(path, name, member))
                    continue
                part = self._take(name, member)
                budget.spend(max(0, part.size_bytes - member.size_bytes), members=0)  # a mail declares no sizes
                if isinstance(part.error, SandboxViolation):
                    fault = part.error
                if part.mime in OPENED_TYPES and part.error is None:
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
        """Stream one member through its digests, and hold it while it looks worth decoding."""
        digests, head, size = Digests(), bytearray(), 0
        data: bytearray | None = bytearray()
        error: LeadlineError | None = None
        try:
            for chunk in member.chunks():
                digests.feed(chunk)
                size += len(chunk)
                head += chunk[: max(0, HEAD_BYTES - len(head))]
                if data is not None:
                    data += chunk
                    if not self._worth_holding(head, size):
                        data = None
        except UntrustedMediaError as refused:
            error = refused
        exact = {} if error is not None else digests.result()
        return _Part(name, bytes(head), data, size, exact, error)

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
        yield [container_facts(facts, count, fault)]

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
        if part.error is not None:
            isolation = self._pictures.isolation
            return blank_facts(
                path, isolation, member=part.name, size_bytes=part.size_bytes, error=part.error
            )
        if part.data is None:
            return self._hasher.describe_member(path, part.name, part.head, part.size_bytes, part.exact)
        facts = self._hasher.hash_buffer(path, part.name, memoryview(part.data), part.exact)
        if isinstance(facts.error, SandboxUnavailable):
            renew_sandbox(self._pictures)
        return facts


def _bare_name(container: bytes) -> bytes:
    """What a bare .gz, .bz2 or .xz holds has no name of its own: photo.jpg.gz holds photo.jpg."""
    last = container.rstrip(MEMBER_MARK).rsplit(b"/", 1)[-1].rsplit(MEMBER_MARK, 1)[-1]
    return last.rsplit(b".", 1)[0] if b"." in last[1:] else last


def container_facts(facts: FileFacts, members: int, fault: LeadlineError | None) -> FileFacts:
    """A container's own facts, once its members are through: how many there were, and what stopped it if anything."""
    told = f"container of {members} {'member' if members == 1 else 'members'}"
    if fault is None:
        return replace(facts, reasons=(*facts.reasons, told))
    error = UntrustedMediaError(
        f"contents not all read: {fault.what}", where=fault.where, mend=fault.mend, code=fault.code
    )
    return replace(facts, reasons=(*facts.reasons, told), error=facts.error or error, partial=members > 0)
