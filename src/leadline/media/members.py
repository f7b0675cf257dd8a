"""Reading a container through the wall: its members, one after the other, their bytes piece by piece.

Parses nothing. The limits that the worker keeps are counted here again, outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from leadline.media import wire
from leadline.media.facts import unpack_facts
from leadline.media.limits import MIB, RATIO_FREE_BYTES, Limits
from leadline.media.wall import Wall, refusal
from leadline.media.wire import Answer, Kind, Op, Request, Status

_PROGRESS_BYTES, _PROGRESS_MEMBERS = 64 * MIB, 1000  # what earns a container its time limit once more


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a container.

    name        raw bytes as stored, for people; empty for the one member of a bare .gz, .bz2 or .xz
    size_bytes  as the container declares it, unverified
    kind        "file" | "skipped"
    reason      why it is skipped: directory | link | device | encrypted | unsupported | too-large | undecodable |
                absent (the container tells of it and holds none of it) | ...
    role        "file": bytes that the container stores. Made from it by the reader, so nothing to match: "text" (a
                mail's plain text, UTF-8), "messages" (see `media.transcript`); "headers": a mail's own header lines
    facts       what the container claims of it, by name (`media.facts.FACTS`): checked for form, never for truth
    """

    name: bytes
    size_bytes: int
    kind: str
    reason: str
    _chunks: Callable[[], Iterator[memoryview]] = field(repr=False, compare=False)
    role: str = "file"
    facts: Mapping[str, str] = field(default_factory=dict)

    def chunks(self) -> Iterator[memoryview]:
        """Its bytes, each piece valid until the next is asked for; once, before the next member is asked for.

        Raises UntrustedMediaError after the last good piece where the member is damaged or passes a limit, and
        SandboxViolation where the child failed.
        """
        return self._chunks()

    def read_into(self, buffer: memoryview) -> int:
        """All its bytes into `buffer`; how many. Raises as `chunks`, and too-large where they do not fit."""
        filled = 0
        for chunk in self.chunks():
            if filled + len(chunk) > len(buffer):
                raise refusal(Status.TOO_LARGE)
            buffer[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled


class _Phase(Enum):
    OFFERED = 1  # the child waits to hear whether the member is wanted
    CHUNK = 2  # the child waits to hear whether the next piece is wanted
    PASSED = 3  # the child goes on by itself
    OVER = 4


def cpu_budget_s(limits: Limits, packed_bytes: int) -> float:
    return _time_earned_s(limits, packed_bytes + limits.max_total_bytes, limits.max_members)


def _time_earned_s(limits: Limits, size_bytes: int, members: int) -> float:
    return limits.timeout_s * (1 + size_bytes / _PROGRESS_BYTES + members / _PROGRESS_MEMBERS)


class Unpacking:
    """One container being read by a child that `wall` has begun for it."""

    def __init__(self, wall: Wall, packed_bytes: int, *, from_fd: bool, container: int = 0) -> None:
        self._wall, self._limits, self._child = wall, wall.limits, wall.children_begun
        self._from_fd, self._packed_bytes, self._container = from_fd, packed_bytes, container
        ratio_bytes = max(RATIO_FREE_BYTES, self._limits.max_ratio * packed_bytes)
        self._most_bytes = min(self._limits.max_total_bytes, ratio_bytes)
        self._waited_s = 0.0
        self._bytes_out = self._member_bytes = self._count = 0
        self._phase = _Phase.PASSED
        self._ended = Status.OK

    def members(self) -> Iterator[Member]:
        """Raises UntrustedMediaError after the last member where the container is damaged or passes a limit."""
        self._ask(Op.UNPACK)
        while self._phase is not _Phase.OVER:
            answer = self._hear(Kind.MEMBER)
            if answer.kind is Kind.MEMBER:
                self._phase = _Phase.OFFERED
                yield self._member(answer)
                self._pass_by(answer)
        if self._ended is not Status.OK:
            raise refusal(self._ended)

    def _pass_by(self, answer: Answer) -> None:
        if self._phase is _Phase.OFFERED and answer.status is not Status.OK:
            self._ask(Op.NEXT)
        elif self._phase in (_Phase.OFFERED, _Phase.CHUNK):
            self._ask(Op.SKIP)
        else:
            return
        self._phase = _Phase.PASSED

    def _member(self, answer: Answer) -> Member:
        self._count, self._member_bytes = self._count + 1, 0
        if self._count > self._limits.max_members or answer.count > wire.MAX_NAME_BYTES:
            raise self._wall.fail(Status.OUT_OF_BOUNDS, "the unpacker passed a limit")
        untrusted = bytes(memoryview(self._wall.output)[: answer.count + answer.facts_bytes])
        untrusted_name = untrusted[: answer.count]
        try:
            facts = unpack_facts(untrusted[answer.count :])
        except ValueError as error:
            raise self._wall.fail(Status.OUT_OF_BOUNDS, f"the unpacker answered out of bounds: {error}") from None
        number, role = self._count, facts.pop("role", "file")
        if answer.status is Status.OK:
            return Member(
                untrusted_name, answer.size_bytes, "file", "", lambda: self._chunks(number), role, facts
            )
        reason = answer.status.code
        return Member(untrusted_name, answer.size_bytes, "skipped", reason, lambda: iter(()), role, facts)

    def _chunks(self, number: int) -> Iterator[memoryview]:
        if number != self._count or self._phase is not _Phase.OFFERED:
            raise RuntimeError("a member's bytes can be read once, before the next member is asked for")
        self._ask(Op.NEXT)
        while True:
            self._phase = _Phase.PASSED
            answer = self._hear(Kind.CHUNK, Kind.MEMBER_END)
            if answer.kind is not Kind.CHUNK:
                break
            self._phase = _Phase.CHUNK
            yield self._chunk(answer)
            if self._count != number or self._phase is not _Phase.CHUNK:
                return  # the caller has gone on to the next member meanwhile
            self._ask(Op.NEXT)
        if answer.status is not Status.OK:
            raise refusal(answer.status)

    def _chunk(self, answer: Answer) -> memoryview:
        self._bytes_out += answer.count
        self._member_bytes += answer.count
        too_many = self._bytes_out > self._most_bytes or self._member_bytes > self._limits.max_member_bytes
        if too_many or not 0 < answer.count <= wire.CHUNK_BYTES:
            raise self._wall.fail(Status.OUT_OF_BOUNDS, "the unpacker passed a limit")
        return memoryview(self._wall.output)[: answer.count].toreadonly()

    def _ask(self, op: Op) -> None:
        if self._wall.children_begun != self._child:
            raise RuntimeError("the sandbox has gone on to something else; decode members in a second one")
        self._wall.ask(Request(op, int(self._from_fd), self._packed_bytes, self._container))

    def _hear(self, *expected: Kind) -> Answer:
        earned_s = _time_earned_s(self._limits, self._packed_bytes + self._bytes_out, self._count)
        answer, took_s = self._wall.hear(earned_s - self._waited_s)
        self._waited_s += took_s
        if answer.kind is Kind.END:
            self._phase, self._ended = _Phase.OVER, answer.status
        elif answer.kind not in expected:
            raise self._wall.fail(Status.OUT_OF_BOUNDS, "the unpacker answered out of turn")
        return answer
