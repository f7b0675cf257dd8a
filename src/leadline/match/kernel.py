"""The one door to the compiled kernel: checks shapes, gives names; holds no algorithm and no state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline import _kernel
from leadline.domain import PDQ_BYTES
from leadline.errors import BankCorrupt, HashFormatError

U8 = NDArray[np.uint8]


class SearchResult(NamedTuple):
    """Matches of a batch of Q queries, K in all; of query q: slice(starts[q], starts[q + 1]).

    starts     int64 (Q + 1,)
    positions  uint32 (K,)  positions in the array the index was built from, by distance, then position
    distances  uint16 (K,)  bits
    truncated  bool (Q,)    true where `limit` cut the list
    """

    starts: NDArray[np.int64]
    positions: NDArray[np.uint32]
    distances: NDArray[np.uint16]
    truncated: NDArray[np.bool_]


class PdqResult(NamedTuple):
    """One picture hashed.

    hashes      1 or 8 of 32 bytes, in the order of domain.Transform
    quality     0..100
    recomputed  the estimate left a bit or the quality open, so pdqhash's own operations were replayed
    """

    hashes: tuple[bytes, ...]
    quality: int
    recomputed: bool


def cpu_isa() -> str:
    """The instruction set the kernel runs on here: serial | avx2 | avx512."""
    return _kernel.cpu_isa()


def pdq_hash(pixels: U8, *, orientation: int = 1, dihedral: bool = False, isa: int = -1) -> PdqResult:
    """PDQ of full-resolution pixels (family b), equal to pdqhash 0.2.x.

    pixels       uint8 (H, W) grey or (H, W, 3) RGB, rows contiguous
    orientation  EXIF 1..8, applied before hashing
    isa          -1 best, 0 serial, 1 AVX2, 2 AVX-512 (for tests)
    Raises ValueError on any other shape or orientation. Below 5x5: zero hash, quality 0.
    """
    hashes, quality, recomputed = _kernel.pdq_hash(pixels, orientation, dihedral, isa)
    return PdqResult(tuple(row.tobytes() for row in hashes), quality, recomputed)


def pdq_hash_reference(pixels: U8, *, orientation: int = 1) -> PdqResult:
    """The same by the plain running-sum path: the reading copy and oracle. Always all 8 hashes."""
    hashes, quality = _kernel.pdq_hash_reference(pixels, orientation)
    return PdqResult(tuple(row.tobytes() for row in hashes), quality, True)


def as_hash_rows(hashes: U8 | list[bytes]) -> U8:
    """(N, 32) C-contiguous uint8 from rows or a list of 32-byte hashes. Raises HashFormatError."""
    if isinstance(hashes, list):
        if any(len(h) != PDQ_BYTES for h in hashes):
            raise HashFormatError("a PDQ hash has 32 bytes", mend="give 64 hexadecimal digits")
        rows = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, PDQ_BYTES)
    else:
        rows = hashes
    if rows.ndim != 2 or rows.shape[1] != PDQ_BYTES or rows.dtype != np.uint8:
        raise HashFormatError("PDQ hashes are uint8 rows of 32 bytes", where=f"shape {rows.shape}")
    return np.ascontiguousarray(rows)


def build_index(hashes: U8 | list[bytes], *, threads: int = 1, layout: str = "auto") -> U8:
    """Build a search index over N 256-bit hashes and return its bytes (to be saved, mapped, opened).

    hashes  uint8 (N, 32); N may be 0; equal hashes are stored once
    layout  auto | scan | mih16 | mih-r2 (native/search.hpp)
    """
    return _kernel.build_index(as_hash_rows(hashes), threads, layout)


class HammingIndex:
    """An opened index: exact radius search, recall 1.0 at any radius. Holds a view of its buffer, copies nothing."""

    def __init__(self, buffer: U8) -> None:
        try:
            self._index = _kernel.HammingIndex(buffer)
        except ValueError as error:
            raise BankCorrupt(f"search index refused: {error}", mend="run `leadline bank verify`") from None

    @property
    def count(self) -> int:
        return self._index.count

    @property
    def distinct(self) -> int:
        return self._index.distinct

    @property
    def layout(self) -> str:
        return self._index.layout

    @property
    def size_bytes(self) -> int:
        return self._index.size_bytes

    def search(
        self,
        queries: U8 | list[bytes],
        radius_bits: int,
        *,
        dead: U8 | None = None,
        limit: int = 0,
        threads: int = 1,
        isa: int = -1,
    ) -> SearchResult:
        """All stored hashes within `radius_bits` (0..256) of each query.

        dead   bitmap of removed positions, uint8 (ceil(N / 8),), bit p % 8 of byte p // 8; or None
        limit  at most so many matches a query, nearest first; 0 = all
        Raises BankCorrupt when the index's bytes contradict themselves.
        """
        try:
            found = self._index.search(as_hash_rows(queries), radius_bits, dead, limit, threads, isa)
        except RuntimeError as error:
            raise BankCorrupt(f"search index damaged: {error}", mend="run `leadline bank verify`") from None
        return SearchResult(*found)


def scan_reference(hashes: U8, queries: U8, radius_bits: int) -> tuple[Any, Any, Any]:
    """Brute force in plain C++: (starts, positions, distances), for tests."""
    return _kernel.scan_reference(as_hash_rows(hashes), as_hash_rows(queries), radius_bits)
