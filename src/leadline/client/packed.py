"""Many hashes and their matches as bytes of fixed size: the packed form of `POST /v1/match` (docs/service.md).

Request:  "LLH1", algorithm u8, radius u8 (255: the banks' own), two zero bytes, count u32, then `count` hashes.
Answer:   "LLM1", banks u8, three zero bytes, hashes u32, matches u32; for each bank its list version u64, a length u8
          and its name in UTF-8; then `matches` records of `MATCH`, in the order of the hashes.
          Named are the banks that were met, and of the others those for which there is room.
All numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES
from leadline.errors import RequestRefused

REQUEST_TYPE, ANSWER_TYPE = "application/vnd.leadline.hashes", "application/vnd.leadline.matches"
ALGORITHMS = ("", "pdq", *EXACT_ALGORITHMS)  # by number; "": 32 bytes, looked up as SHA-256 and as PDQ
LENGTHS = {"": PDQ_BYTES, "pdq": PDQ_BYTES, **EXACT_ALGORITHMS}
OWN_RADIUS = 255
MAX_HASHES = 10_000
MAX_BANKS = MAX_NAME_BYTES = 255  # of one answer, and of a name in it
SUPPRESSED, FLOODING, TRUNCATED = 1, 2, 4  # bits of `flags`; truncated: the hash had more matches than are listed
NOT_TOLD = 0xFFFF  # in place of a distance and a threshold, where the token may not read them (entry: 0)
MATCH = np.dtype([
    ("hash", "<u4"), ("bank", "u1"), ("kind", "u1"), ("algorithm", "u1"), ("flags", "u1"),
    ("entry", "<u8"), ("distance", "<u2"), ("threshold", "<u2"), ("spare", "<u4"),
])  # fmt: skip
_REQUEST_HEAD, _ANSWER_HEAD, _BANK_HEAD = struct.Struct("<4sBB2xI"), struct.Struct("<4sB3xII"), struct.Struct("<QB")
Rows = NDArray[np.uint8]


class Asked(NamedTuple):
    """rows: uint8 (N, length). radius_bits: None where the banks' own holds."""

    algorithm: str
    rows: Rows
    radius_bits: int | None


class Told(NamedTuple):
    """matches: of dtype MATCH. banks: name and list version, by number. kind: by the order of domain.Kind."""

    hashes: int
    banks: tuple[tuple[str, int], ...]
    matches: NDArray[np.void]


def encode_request(algorithm: str, rows: Rows, radius_bits: int | None = None) -> bytes:
    """RequestRefused for another shape than (1..10,000, length of the algorithm)."""
    if algorithm not in ALGORITHMS or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != LENGTHS[algorithm]:
        raise RequestRefused("not hashes of that algorithm", where=algorithm, mend="uint8 rows of its length")
    if not 1 <= len(rows) <= MAX_HASHES:
        raise RequestRefused(f"{len(rows)} hashes", mend=f"send 1 to {MAX_HASHES}")
    radius = OWN_RADIUS if radius_bits is None else radius_bits
    return _REQUEST_HEAD.pack(b"LLH1", ALGORITHMS.index(algorithm), radius, len(rows)) + rows.tobytes()


def decode_request(untrusted: bytes) -> Asked:
    """RequestRefused for anything else than `encode_request` makes."""
    if len(untrusted) < _REQUEST_HEAD.size:
        raise RequestRefused("a packed request of too few bytes", mend="see docs/service.md")
    magic, number, radius, count = _REQUEST_HEAD.unpack_from(untrusted)
    if magic != b"LLH1" or number >= len(ALGORITHMS):
        raise RequestRefused("not a packed request", mend="see docs/service.md")
    length = LENGTHS[ALGORITHMS[number]]
    if not 1 <= count <= MAX_HASHES or len(untrusted) != _REQUEST_HEAD.size + count * length:
        raise RequestRefused("a packed request of another length than it says", where=f"{count} hashes")
    rows = np.frombuffer(untrusted, np.uint8, count * length, _REQUEST_HEAD.size).reshape(count, length)
    return Asked(ALGORITHMS[number], rows, None if radius == OWN_RADIUS else radius)


def nameable(banks: Sequence[tuple[str, int]], met: Set[str]) -> list[tuple[str, int]]:
    """The banks that an answer has room to name, in their order: those that were met, and of the others the first.

    RequestRefused where there is no room for all that were met.
    """
    short = [bank for bank in banks if len(bank[0].encode()) <= MAX_NAME_BYTES]
    spare = MAX_BANKS - len(met)
    if spare < 0 or not met <= {name for name, _ in short}:
        what = f"more banks were met, or longer names, than a packed answer has room for ({MAX_BANKS})"
        raise RequestRefused(what, mend="ask for the same hashes by JSON", code="packed-banks")
    named = met | set([name for name, _ in short if name not in met][:spare])
    return [bank for bank in short if bank[0] in named]


def encode_answer(hashes: int, banks: Sequence[tuple[str, int]], matches: NDArray[np.void]) -> bytes:
    head = _ANSWER_HEAD.pack(b"LLM1", len(banks), hashes, len(matches))
    named = [(name.encode(), version) for name, version in banks]
    told = b"".join(_BANK_HEAD.pack(version, len(name)) + name for name, version in named)
    return head + told + matches.tobytes()


def decode_answer(untrusted: bytes) -> Told:
    """RequestRefused for anything else than `encode_answer` makes."""
    try:
        magic, bank_count, hashes, count = _ANSWER_HEAD.unpack_from(untrusted)
        at, banks = _ANSWER_HEAD.size, list[tuple[str, int]]()
        for _ in range(bank_count):
            version, length = _BANK_HEAD.unpack_from(untrusted, at)
            at += _BANK_HEAD.size
            banks.append((untrusted[at : at + length].decode(), version))
            at += length
        if magic != b"LLM1" or len(untrusted) != at + count * MATCH.itemsize:
            raise ValueError
    except (struct.error, ValueError):
        raise RequestRefused("not a packed answer", mend="does it come from a Leadline service?") from None
    return Told(hashes, tuple(banks), np.frombuffer(untrusted, MATCH, count, at))
