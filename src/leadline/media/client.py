"""The sandbox as the rest of Leadline sees it: bytes in; facts, pixels and members out. Loads no decoder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from leadline.domain import Isolation
from leadline.errors import SandboxUnavailable
from leadline.media import members, selftest, wire
from leadline.media.blur import blur
from leadline.media.limits import Limits
from leadline.media.members import Member, Unpacking
from leadline.media.png import write_png
from leadline.media.reduction import Rectangle, Reduction, Shape
from leadline.media.selftest import Attempt, Probe
from leadline.media.sniff import PICTURE_TYPES, sniff
from leadline.media.wall import SandboxViolation, Wall, refusal
from leadline.media.wire import Alpha, Answer, Kind, Needs, Op, Request, Status

__all__ = [
    "Member", "PictureFacts", "Probe", "Rendition", "Sandbox", "SandboxViolation", "View", "decoder_versions",
    "self_test",
]  # fmt: skip

_COMPOSITES = 2  # views of a frame besides itself: on white and on black
_HOLDS_NOT = "see docs/sandbox.md for kernels and containers that can; or accept the risk with --unsafe-decode"


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What a child said of a picture: checked for bounds, not for truth.

    width, height  as seen, after `orientation` (EXIF 1..8) is applied
    frames         how many there are, also those beyond the limit
    mode           as its decoder names it (Pillow's modes)
    alpha          none | constant | varied
    partial        truncated or damaged: decoded as far as it went
    """

    mime: str
    width: int
    height: int
    frames: int
    orientation: int
    mode: str
    alpha: str
    partial: bool
    decoder: str


@dataclass(frozen=True, slots=True)
class View:
    """What is hashed of a picture: `picture`, `frame N`, and where its alpha varies `on-white`, `frame-on-black N` ...

    pixels  uint8 (H, W) or (H, W, 3), not yet turned by `orientation`, read-only, valid until the next step
    """

    name: str
    pixels: NDArray[np.uint8]
    orientation: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Rendition:
    """A reduced picture, for a browser.

    png        grey or RGB, 8 bits a channel; IHDR, IDAT and IEND, nothing else
    rectangle  the part of the picture that it shows
    facts      of the picture; `width` and `height` are those of the view that is shown
    """

    png: bytes
    width: int
    height: int
    rectangle: Rectangle
    facts: PictureFacts


class Sandbox:
    """One zygote, and one locked child at a time. A context manager, for one thread at a time.

    One child per file, the next one made ready meanwhile; unless a batch is open: then up to `limits.batch_files`
    files share one.
    """

    def __init__(self, limits: Limits = Limits(), *, unsafe: bool = False) -> None:  # noqa: B008 (frozen)
        self.limits = limits
        self.probes: list[Probe] = []
        self._unsafe = unsafe
        self._is_batch = False
        self._wall: Wall | None = None
        self._opened = 0  # tells the views of one picture from those of the next
        self._served_files = 0
        self._child_can = Needs.NOTHING
        self._waited_s = 0.0
        self._files_alone = 0
        self._output_bytes = 0
        self._first: View | None = None
        self._has_more = False

    @property
    def isolation(self) -> Isolation:
        if self._unsafe:
            return Isolation.NONE
        return Isolation.BATCH if self._is_batch else Isolation.FILE

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the zygote and prove the lock. SandboxUnavailable where a probe is not stopped, unless `unsafe`."""
        self._wall = Wall(self.limits, unsafe=self._unsafe)
        try:
            if not self._unsafe:
                self._prove()
        except BaseException:
            self.close()
            raise

    def _prove(self) -> None:
        self.probes = self._probe_all()
        if failed := [probe for probe in self.probes if not probe.stopped]:
            where = "; ".join(f"{probe.name}: {probe.how}" for probe in failed)
            raise SandboxUnavailable("the sandbox does not hold", where=where, mend=_HOLDS_NOT)

    def _probe_all(self) -> list[Probe]:
        plain = [selftest.judge(tried, self.wall.probe(tried)) for tried in Attempt]
        looser = [selftest.judge(tried, self.wall.probe(tried, Needs.THREADS)) for tried in selftest.NEAR_THREADS]
        return plain + [replace(probe, name=f"{probe.name}, where threads are allowed") for probe in looser]

    def close(self) -> None:
        """End the child and the zygote. May be called twice."""
        if self._wall is not None:
            self._wall.close()
        self._wall, self._first, self._has_more = None, None, False

    @property
    def wall(self) -> Wall:
        if self._wall is None:
            raise SandboxUnavailable("the sandbox is not started", mend="call start(), or use it as a context manager")
        return self._wall

    @property
    def versions(self) -> dict[str, str]:
        """Of the decoders, as the zygote names them."""
        return dict(self.wall.versions)

    def begin_batch(self) -> None:
        """From here files share a child; docs/sandbox.md says what that risks."""
        self.wall.end_child()
        self._is_batch = True

    def end_batch(self) -> None:
        if self._wall is not None:
            self._wall.end_child()
        self._is_batch = False

    # --- pictures ------------------------------------------------------------------------------------------------

    def input_buffer(self, size_bytes: int) -> memoryview:
        """Writable shared memory for a file of that size. Children can read it and never change it."""
        if size_bytes > self.limits.max_file_bytes:
            raise refusal(Status.TOO_LARGE)
        return self.wall.input(size_bytes)

    def open_picture(self, size_bytes: int, *, grey: bool = False) -> PictureFacts:
        """Decode the first `size_bytes` of the input buffer.

        Raises UntrustedMediaError (empty, unsupported, undecodable, truncated, too-large, too-many-pixels,
        out-of-memory, timeout, worker-fault) and SandboxViolation (child-died, timeout, out-of-bounds).
        """
        facts = self._ask_about_picture(Request(Op.DECODE, int(grey), size_bytes))
        self._first = self._view(self._hear(Kind.VIEW))
        self._has_more = facts.count > 1 or facts.alpha is Alpha.VARIED
        return self._facts(facts)

    def make_rendition(self, size_bytes: int, reduction: Reduction) -> Rendition:
        """Of the picture in the first `size_bytes` of the input buffer, which may be asked again for another.

        Raises as `open_picture`; `absent` where the picture has no such view.
        """
        facts = self._ask_about_picture(Request(Op.RENDER, size_bytes=size_bytes, reduction=reduction))
        try:
            size = wire.rendition_bytes(facts, view := self._hear(Kind.VIEW), reduction, self.limits.max_pixels)
        except wire.WireError as error:
            raise self.wall.fail(Status.OUT_OF_BOUNDS, f"the decoder answered out of bounds: {error}") from None
        shape = (view.height, view.width) if view.channels == 1 else (view.height, view.width, 3)
        pixels = self.wall.pixels[:size].reshape(shape).copy()  # ours alone from here on
        self._finish_file()
        if reduction.shape is Shape.TILE:
            pixels = blur(pixels, reduction.blur_share * max(view.width, view.height))
        rectangle = reduction.rectangle(facts.width, facts.height)
        return Rendition(write_png(pixels), view.width, view.height, rectangle, self._facts(facts))

    def _ask_about_picture(self, request: Request) -> Answer:
        """Hand the input buffer to a child; its facts."""
        if request.size_bytes <= 0:
            raise refusal(Status.EMPTY)
        if request.size_bytes > self.limits.max_file_bytes:
            raise refusal(Status.TOO_LARGE)
        self._first, self._has_more, self._waited_s = None, False, 0.0
        self._opened += 1
        mime = sniff(self.wall.peek(4096))
        if mime not in PICTURE_TYPES:
            raise refusal(Status.UNSUPPORTED)
        if self._is_batch:
            self._take_child(mime)
            self.wall.ask(request)
        else:
            self._ask_alone(mime, request)
        facts = self._hear(Kind.FACTS)
        if facts.kind is Kind.END:
            self._finish_file()
            raise refusal(facts.status)
        return facts

    def views(self) -> Iterator[View]:
        """The opened picture's views, once, one after the other.

        May raise UntrustedMediaError after the last good view (a damaged frame, no time left) and SandboxViolation.
        """
        if self._first is None:
            return
        view, self._first, opened = self._first, None, self._opened
        yield view
        for _ in range(self.limits.max_frames * (1 + _COMPOSITES) + 1 if self._has_more else 0):
            if self._opened != opened:
                raise RuntimeError("another picture was opened before this one's views had ended")
            self.wall.ask(Request(Op.NEXT))
            answer = self._hear(Kind.VIEW)
            if answer.kind is Kind.END:
                self._finish_file()
                if answer.status is not Status.OK:
                    raise refusal(answer.status)
                return
            yield self._view(answer)
        if self._opened != opened:
            return
        if self._has_more:
            raise self.wall.fail(Status.OUT_OF_BOUNDS, "the decoder went on and on")
        self._finish_file()

    def _take_child(self, mime: str) -> None:
        """The batch's child, or a fresh one; the first HEIC ends a child that may not start threads."""
        needs = _needs_of(mime)
        can_go_on = self.wall.has_child and needs in self._child_can
        if not can_go_on or self._served_files >= self.limits.batch_files:
            self.wall.begin_child(self.limits.timeout_s * self.limits.batch_files, needs=needs)
            self._served_files, self._child_can = 0, needs
        self._served_files += 1

    def _ask_alone(self, mime: str, request: Request) -> None:
        """A child for this file only; from the second file on, the next file's is made ready while it works."""
        needs = _needs_of(mime)
        wipe_output = request.op is Op.RENDER  # what is drawn now is for a person, who may not see the last file
        self.wall.begin_child(self.limits.timeout_s, needs=needs, wipe_output=wipe_output)
        try:
            self.wall.ask(request)
        except SandboxViolation:  # a spare may have died of nothing that this file did
            self.wall.begin_child(self.limits.timeout_s, needs=needs, wipe_output=wipe_output)
            self.wall.ask(request)
        self._files_alone += 1
        if self._files_alone > 1:
            self.wall.prepare_spare(self.limits.timeout_s, self._output_bytes)

    def _finish_file(self) -> None:
        self._has_more = False
        if not self._is_batch:
            self.wall.end_child()
        else:
            self.wall.give_back_output()

    def _hear(self, expected: Kind) -> Answer:
        answer, took_s = self.wall.hear(self.limits.timeout_s - self._waited_s)
        self._waited_s += took_s
        if answer.kind is not expected and answer.kind is not Kind.END:
            raise self.wall.fail(Status.OUT_OF_BOUNDS, "the decoder answered out of turn")
        return answer

    def _facts(self, facts: Answer) -> PictureFacts:
        decoder = wire.DECODERS[facts.decoder]
        return PictureFacts(
            mime=wire.MIMES[facts.mime],
            width=facts.width,
            height=facts.height,
            frames=facts.count,
            orientation=facts.orientation,
            mode=wire.MODES[facts.mode],
            alpha=facts.alpha.name.lower(),
            partial=facts.partial,
            decoder=f"{decoder} {self.wall.versions.get(decoder, '')}".rstrip(),
        )

    def _view(self, answer: Answer) -> View:
        try:
            if answer.kind is not Kind.VIEW:
                raise wire.WireError("no pixels")
            size_bytes = wire.pixel_bytes(answer, self.limits.max_pixels)
        except wire.WireError as error:
            raise self.wall.fail(Status.OUT_OF_BOUNDS, f"the decoder answered out of bounds: {error}") from None
        shape = (answer.height, answer.width) if answer.channels == 1 else (answer.height, answer.width, 3)
        self._output_bytes = size_bytes
        name = wire.view_name(answer.view, answer.count)
        return View(name, self.wall.pixels[:size_bytes].reshape(shape), answer.orientation, answer.partial)

    # --- containers ----------------------------------------------------------------------------------------------

    def members(self, fd_or_size: int, *, from_fd: bool, mime: str = "") -> Iterator[Member]:
        """The members of a container: from a read-only descriptor (its position stays), or the input buffer's bytes.

        A container is an archive, a mail, a web capture or an exported chat; docs/sandbox.md says what is read of
        each. `mime` names its type (one of `sniff.CONTAINER_TYPES`) where its content does not tell.
        Always in a child of its own, batch or not. Decode members in a second Sandbox: this one is busy until the
        iterator ends. Raises as `open_picture`, after the members that could be read; also encrypted,
        too-many-members, ratio-exceeded.
        """
        if mime not in wire.CONTAINERS:
            raise ValueError("no such type of container")
        if from_fd and fcntl.fcntl(fd_or_size, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            raise ValueError("a container's descriptor must be read-only")
        packed_bytes = os.fstat(fd_or_size).st_size if from_fd else fd_or_size
        if packed_bytes <= 0:
            raise refusal(Status.EMPTY)
        if not from_fd and packed_bytes > self.limits.max_file_bytes:
            raise refusal(Status.TOO_LARGE)
        self._first, self._has_more = None, False
        cpu_s = members.cpu_budget_s(self.limits, packed_bytes)
        self.wall.begin_child(cpu_s, needs=Needs.CONTAINERS, container_fd=fd_or_size if from_fd else None)
        begun = self.wall.children_begun
        try:
            container = wire.CONTAINERS.index(mime)
            yield from Unpacking(self.wall, packed_bytes, from_fd=from_fd, container=container).members()
        finally:
            if self._wall is not None and self._wall.children_begun == begun:
                self._wall.end_child()


def _needs_of(mime: str) -> Needs:
    return Needs.HEIF | Needs.THREADS if mime == "image/heic" else Needs.NOTHING


def self_test(limits: Limits = Limits()) -> list[Probe]:  # noqa: B008 (frozen)
    """What a locked child was kept from, one probe after the other, stopped or not (for `leadline doctor`).

    Raises SandboxUnavailable where not even a child could be started.
    """
    sandbox = Sandbox(limits)
    sandbox._wall = Wall(limits, unsafe=False)
    try:
        return sandbox._probe_all()
    finally:
        sandbox.close()


def decoder_versions() -> dict[str, str]:
    """Name -> version of every decoder and container reader, asked of the worker: none is loaded here."""
    wall = Wall(Limits(), unsafe=True)  # it only speaks of itself; no file comes near it
    try:
        return dict(wall.versions)
    finally:
        wall.close()
