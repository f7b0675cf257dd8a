"""The nouns everyone shares: frozen dataclasses and enums. Does nothing, reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PDQ_BYTES = 32
PDQ_BITS = 256
DEFAULT_RADIUS_BITS = 31  # ThreatExchange pdq/README.md, "Matching": distance <= 31
DEFAULT_QUALITY_FLOOR = 50  # same source: discard quality <= 49
MAX_METADATA_BYTES = 4096
EXACT_ALGORITHMS: Mapping[str, int] = {"md5": 16, "sha1": 20, "sha256": 32}  # name -> digest bytes
EMPTY_FILE_DIGESTS = frozenset(
    bytes.fromhex(h)
    for h in (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
)


class Kind(StrEnum):
    """What an entry of a bank says of a file, most serious first (the order decides a verdict)."""

    ILLEGAL = "illegal"
    EXPLOITATIVE = "exploitative"
    OTHER = "other"
    FALSE_POSITIVE = "false-positive"
    BENIGN = "benign"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0 labels (first.org/tlp)."""

    RED = "red"
    AMBER_STRICT = "amber+strict"
    AMBER = "amber"
    GREEN = "green"
    CLEAR = "clear"


class PdqFamily(StrEnum):
    """How the picture was sized before PDQ.

    a  to 512x512 first (ThreatExchange's C++ command line, WASM)
    b  not at all: full resolution (pdqhash, HMA, vPDQ)
    """

    A = "a"
    B = "b"


class Transform(StrEnum):
    """The eight dihedral transforms, in the order in which `match.pdq` returns their hashes.

    Rotations are counter-clockwise; flip_x swaps top and bottom, flip_y mirrors left and right,
    flip_plus1 and flip_minus1 mirror along the diagonals (ThreatExchange pdqhashing.h).
    """

    ORIGINAL = "original"
    ROTATE90 = "rotate90"
    ROTATE180 = "rotate180"
    ROTATE270 = "rotate270"
    FLIP_X = "flip_x"
    FLIP_Y = "flip_y"
    FLIP_PLUS1 = "flip_plus1"
    FLIP_MINUS1 = "flip_minus1"


class Verdict(StrEnum):
    KNOWN = "known"
    NEAR = "near"
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"


class Isolation(StrEnum):
    """What stood between hostile bytes and the machine when a result was made."""

    FILE = "file"  # one locked child process for this file alone
    BATCH = "batch"  # one locked child process for up to 64 files of one source
    NONE = "none"  # --unsafe-decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a bank.

    fingerprints  name -> bytes: md5 (16), sha1 (20), sha256 (32), pdq (32), or a plug-in's kind
    id            stable within its bank for ever, 1..2**53-1; None until a bank assigns one
    quality       0..100 of the PDQ hash, or None where the list gave none
    times         seconds since 1970-01-01 UTC
    metadata      JSON text of an object, at most 4096 bytes, opaque to Leadline
    """

    kind: Kind
    fingerprints: Mapping[str, bytes]
    id: int | None = None
    pdq_family: PdqFamily = PdqFamily.B
    quality: int | None = None
    scheme: str = ""
    label: str = ""
    source: str = ""
    source_id: str = ""
    licence: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    note: str = ""
    disabled_until: int = 0
    first_seen: int = 0
    last_seen: int = 0
    added: int = 0
    radius_bits: int = 0  # of a false-positive entry: how far around it it acts
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """One fingerprint met one entry of a bank.

    algorithm     md5 | sha1 | sha256 | pdq | a plug-in's name
    distance      bits for pdq, 0 for exact hashes, the plug-in's own measure otherwise
    view          what was hashed: picture | on-white | on-black | frame N
    suppressed_by bank and entry of the false-positive entry that marks this match, or None
    """

    bank: str
    kind: Kind
    entry: int
    algorithm: str
    distance: float
    threshold: float
    list_version: int
    transform: Transform = Transform.ORIGINAL
    view: str = "picture"
    scheme: str = ""
    label: str = ""
    family: str = ""
    suppressed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What was computed from one file: exact digests, and perceptual hashes of each view of its picture."""

    exact: Mapping[str, bytes] = field(default_factory=dict)
    views: tuple[ViewHashes, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewHashes:
    """The perceptual hashes of one view (the picture, a composite of its alpha, a frame).

    pdq       up to 8 hashes of 32 bytes in the order of Transform (1 where transforms were not asked for)
    quality   0..100
    others    plug-in kind -> bytes
    """

    view: str
    family: PdqFamily
    pdq: tuple[bytes, ...]
    quality: int
    width: int
    height: int
    others: Mapping[str, bytes] = field(default_factory=dict)
