"""Everything that crosses the wall, as fixed binary structs; both sides pack and unpack here and nowhere else.

Two channels, each a SOCK_SEQPACKET socket, so that a message arrives whole or not at all: parent-zygote (COMMAND) and
parent-child (REQUEST down, ANSWER up). Pixels, member names, facts and bytes lie in the output memory that parent and
child share; an answer says only how much of it counts. A message is copied by the kernel before it is read, so a child
cannot change it after it was checked. Never holds text for people, Python objects, or offsets the child may choose.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from leadline.media.facts import MAX_FACTS_BYTES
from leadline.media.keyring import DKIM_CHECK
from leadline.media.limits import Limits
from leadline.media.reduction import Reduction, Shape

VERSION = 3
MAX_NAME_BYTES = 64 << 10
CHUNK_BYTES = 1 << 22  # of a member at a time
MAX_DIMENSION = 1 << 30


class WireError(ValueError):
    """A message that is none of ours."""


class Status(IntEnum):
    """How an attempt ended. `code` (kebab case) is what errors and findings show."""

    OK = 0
    UNSUPPORTED = 1  # a type, codec or feature outside the allow-list
    UNDECODABLE = 2
    TOO_LARGE = 3
    TOO_MANY_PIXELS = 4
    EMPTY = 5
    TIMEOUT = 6
    CHILD_DIED = 7
    OUT_OF_BOUNDS = 8
    ENCRYPTED = 9
    TRUNCATED = 10
    OUT_OF_MEMORY = 11
    TOO_MANY_MEMBERS = 12
    RATIO_EXCEEDED = 13
    DIRECTORY = 14
    LINK = 15
    DEVICE = 16
    NAME_TOO_LONG = 17
    WORKER_FAULT = 18  # the worker itself is broken: a decoder missing, a fault of ours
    LOCK_FAILED = 19
    TOO_DEEP = 20  # parts within parts, beyond what the reader follows
    ABSENT = 21  # the container tells of it and holds no bytes of it
    TRAILING = 22  # read to its end, and behind that lie bytes that are none of it

    @property
    def code(self) -> str:
        return self.name.lower().replace("_", "-")


class Refused(Exception):
    """Within the sandbox: this file gets no further; `status` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.code)
        self.status = status


class Skipped(Exception):
    """Within the sandbox: the reader outside does not want the rest of this member."""


class Op(IntEnum):
    """What the parent asks of a child."""

    DECODE = 1
    NEXT = 2  # the next view, or the next chunk of a member
    SKIP = 3  # the next member, whatever is left of this one
    UNPACK = 4
    PROBE = 5
    RENDER = 6  # a rendition: answered by FACTS and a VIEW, or END


class Kind(IntEnum):
    """What an answer is."""

    FACTS = 1
    VIEW = 2
    MEMBER = 3
    CHUNK = 4
    MEMBER_END = 5
    END = 6


class Alpha(IntEnum):
    NONE = 0
    CONSTANT = 1
    VARIED = 2


class ViewName(IntEnum):
    PICTURE = 0
    ON_WHITE = 1
    ON_BLACK = 2
    FRAME = 3
    FRAME_ON_WHITE = 4
    FRAME_ON_BLACK = 5


def view_name(view: ViewName, number: int) -> str:
    name = view.name.lower().replace("_", "-")
    return f"{name} {number}" if view >= ViewName.FRAME else name


def parse_view(name: str) -> tuple[ViewName, int]:
    kind, _, number = name.partition(" ")
    return ViewName[kind.upper().replace("-", "_")], int(number or 0)


# Closed lists: a code outside them is out of bounds.
MIMES = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/heic",
    "image/bmp",
    "image/tiff",
    "image/x-icon",
)
DECODERS = ("simplejpeg", "Pillow", "pillow-heif")
MODES = (
    *("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "La", "RGBa", "RGBX"),
    *("I;16", "I;16L", "I;16B", "I;16N", "other"),
)

# What a container may be said to be where its content does not tell (0: go by content).
CONTAINERS = (
    "",
    "application/zip",
    "application/wacz",
    "application/x-7z-compressed",
    "application/x-tar",
    "application/gzip",
    "application/x-bzip2",
    "application/x-xz",
    "message/rfc822",
    "multipart/related",
    "application/warc",
    "application/har+json",
    "application/x-telegram-export+json",
    "application/x-discord-export+json",
    "text/x-whatsapp-chat",
    DKIM_CHECK,
)

_NO_REDUCTION = Reduction(Shape.WHOLE)
_REQUEST = struct.Struct("<BBHIQBBBBIIdd")
_ANSWER = struct.Struct("<BBBBBBBBIIIIQ")


@dataclass(frozen=True, slots=True)
class Request:
    op: Op
    flag: int = 0  # DECODE: grey; UNPACK: 1 = from the descriptor; PROBE: which
    size_bytes: int = 0
    container: int = 0  # UNPACK: which of CONTAINERS
    reduction: Reduction = _NO_REDUCTION  # RENDER; its blur is not the child's to do

    def pack(self) -> bytes:
        one = self.reduction
        view, number = parse_view(one.view)
        shown = one.shape, one.colour, view, 0, one.edge_px, number, *one.centre
        return _REQUEST.pack(self.op, self.flag, VERSION, self.container, self.size_bytes, *shown)

    @classmethod
    def unpack(cls, message: bytes) -> Request:
        op, flag, version, container, size_bytes, shape, colour, view, _, edge_px, number, *centre = _REQUEST.unpack(
            message
        )
        if version != VERSION or container >= len(CONTAINERS):
            raise WireError("wire version")
        name = view_name(ViewName(view), number)
        reduction = Reduction(Shape(shape), edge_px, bool(colour), (centre[0], centre[1]), view=name)
        return cls(Op(op), flag, size_bytes, container, reduction)


@dataclass(frozen=True, slots=True)
class Answer:
    """One fixed shape for all kinds, so that there is one thing to check.

    FACTS       width, height (oriented), count = frames, mime, decoder, mode, orientation, alpha, partial
    VIEW        view, count = frame number, width, height, channels, orientation, partial
    MEMBER      status (OK = a file, else why it is skipped), count = bytes of the name, facts_bytes behind it,
                size_bytes (as declared)
    CHUNK       count = bytes in the output memory
    MEMBER_END  status
    END         status; ends views and containers, and answers probes (count = errno)
    """

    kind: Kind
    status: Status = Status.OK
    mime: int = 0
    decoder: int = 0
    mode: int = 0
    orientation: int = 1
    alpha: Alpha = Alpha.NONE
    view: ViewName = ViewName.PICTURE
    channels: int = 0
    partial: bool = False
    width: int = 0
    height: int = 0
    count: int = 0
    size_bytes: int = 0
    facts_bytes: int = 0

    def pack(self) -> bytes:
        return _ANSWER.pack(
            self.kind,
            self.status,
            self.mime,
            self.decoder,
            self.mode,
            self.orientation,
            self.alpha,
            self.partial | self.channels << 1 | self.view << 4,
            self.width,
            self.height,
            self.count,
            self.facts_bytes,
            self.size_bytes,
        )

    @classmethod
    def unpack(cls, untrusted_message: bytes) -> Answer:
        """Every field in its range, or WireError."""
        if len(untrusted_message) != _ANSWER.size:
            raise WireError("message size")
        kind, status, mime, decoder, mode, orientation, alpha, bits, width, height, count, facts_bytes, size_bytes = (
            _ANSWER.unpack(untrusted_message)
        )
        if mime >= len(MIMES) or decoder >= len(DECODERS) or mode >= len(MODES):
            raise WireError("code outside its list")
        if not 1 <= orientation <= 8 or bits >> 7 or size_bytes >> 63:
            raise WireError("field outside its range")
        if width > MAX_DIMENSION or height > MAX_DIMENSION:
            raise WireError("dimension")
        if facts_bytes > (MAX_FACTS_BYTES if kind == Kind.MEMBER else 0):
            raise WireError("facts")
        try:
            enums = Kind(kind), Status(status), Alpha(alpha), ViewName(bits >> 4)
        except ValueError as error:
            raise WireError(str(error)) from None
        return cls(
            enums[0],
            enums[1],
            mime,
            decoder,
            mode,
            orientation,
            enums[2],
            enums[3],
            bits >> 1 & 7,
            bool(bits & 1),
            width,
            height,
            count,
            size_bytes,
            facts_bytes,
        )


def pixel_bytes(answer: Answer, max_pixels: int) -> int:
    """Bytes of a VIEW's pixels; WireError unless 1 or 3 channels and 1..max_pixels pixels."""
    if answer.channels not in (1, 3) or not 0 < answer.width * answer.height <= max_pixels:
        raise WireError("pixels outside the output memory")
    return answer.width * answer.height * answer.channels


def rendition_bytes(facts: Answer, view: Answer, reduction: Reduction, max_pixels: int) -> int:
    """Bytes of a rendition's pixels; WireError unless it has the size, channels and view that were asked for.

    What it may measure follows from the picture's size alone, which a child may lie about, and from the request.
    """
    if view.kind is not Kind.VIEW or not 0 < facts.width * facts.height <= max_pixels:
        raise WireError("no rendition")
    if (view.width, view.height) != reduction.size_px(facts.width, facts.height):
        raise WireError("a rendition of another size than was asked for")
    if view.channels != (3 if reduction.colour else 1) or view.orientation != 1:
        raise WireError("a rendition with other channels than were asked for")
    if (view.view, view.count) != parse_view(reduction.view):
        raise WireError("a rendition of another view")
    return view.width * view.height * view.channels


class Needs(IntFlag):
    """What a child's file needs beyond the common: decoders, loaded in the zygote when first asked for; threads."""

    NOTHING = 0
    HEIF = 1
    CONTAINERS = 2
    THREADS = 4  # a lock that lets the child start threads (libde265 cannot do without one), but no process


class Command(IntEnum):
    """What the parent asks of the zygote."""

    FORK = 1  # with one or two descriptors: the child's channel, and a container to read
    END = 2  # kill the oldest child, if it lives; answered with its wait status


_COMMAND = struct.Struct("<BBHIQ")
_WAITED = struct.Struct("<ii")
_VERSION_LINE = struct.Struct("<32s32s")
_START = struct.Struct("<HBBI9QdQQ")
READY = _VERSION_LINE.pack(b"", b"")  # ends the version lines: the zygote is warm


@dataclass(frozen=True, slots=True)
class Order:
    """One command to the zygote."""

    command: Command
    needs: Needs = Needs.NOTHING
    cpu_s: int = 0
    output_bytes: int = 0  # to page in before the first request: a guess, never a bound

    def pack(self) -> bytes:
        return _COMMAND.pack(self.command, self.needs, VERSION, self.cpu_s, self.output_bytes)

    @classmethod
    def unpack(cls, message: bytes) -> Order:
        command, needs, version, cpu_s, output_bytes = _COMMAND.unpack(message)
        if version != VERSION:
            raise WireError("wire version")
        return cls(Command(command), Needs(needs), cpu_s, output_bytes)


def pack_waited(pid: int, wait_status: int) -> bytes:
    return _WAITED.pack(pid, wait_status)


def unpack_waited(message: bytes) -> tuple[int, int]:
    pid, wait_status = _WAITED.unpack(message)
    return pid, wait_status


def pack_version(name: str, version: str) -> bytes:
    return _VERSION_LINE.pack(name.encode("ascii", "replace")[:32], version.encode("ascii", "replace")[:32])


def unpack_version(message: bytes) -> tuple[str, str]:
    if len(message) != _VERSION_LINE.size:
        raise WireError("no version line")
    name, version = _VERSION_LINE.unpack(message)
    return name.rstrip(b"\0").decode("ascii", "replace"), version.rstrip(b"\0").decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Start:
    """What the zygote is told once."""

    limits: Limits
    unsafe: bool
    parent_pid: int
    input_bytes: int
    output_bytes: int

    def pack(self) -> bytes:
        one = self.limits
        return _START.pack(
            VERSION,
            self.unsafe,
            0,
            self.parent_pid,
            one.max_file_bytes,
            one.max_pixels,
            one.max_frames,
            one.memory_bytes,
            one.max_members,
            one.max_member_bytes,
            one.max_total_bytes,
            one.max_depth,
            one.max_ratio,
            one.timeout_s,
            self.input_bytes,
            self.output_bytes,
        )

    @classmethod
    def unpack(cls, message: bytes) -> Start:
        version, unsafe, _, parent_pid, *numbers = _START.unpack(message)
        if version != VERSION:
            raise WireError("wire version")
        names = (
            *("max_file_bytes", "max_pixels", "max_frames", "memory_bytes", "max_members", "max_member_bytes"),
            *("max_total_bytes", "max_depth", "max_ratio", "timeout_s"),
        )
        limits = Limits(**dict(zip(names, numbers[:10], strict=True)))
        return cls(limits, bool(unsafe), parent_pid, numbers[10], numbers[11])
