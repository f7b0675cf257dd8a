"""Typed stub of the compiled kernel. Only `leadline.match.kernel` may import it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def cpu_isa() -> str: ...

# PDQ (native/pdq.hpp)
def pdq_hash(
    pixels: NDArray[np.uint8], orientation: int = 1, dihedral: bool = False, isa: int = -1
) -> tuple[NDArray[np.uint8], int, bool]: ...
def pdq_hash_reference(pixels: NDArray[np.uint8], orientation: int = 1) -> tuple[NDArray[np.uint8], int]: ...
def pdq_trace(pixels: NDArray[np.uint8], isa: int = -1) -> dict[str, Any]: ...  # the estimate's insides, for tests

# Search (native/search.hpp)
class HammingIndex:
    def __init__(self, buffer: NDArray[np.uint8]) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def distinct(self) -> int: ...
    @property
    def layout(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    def search(
        self,
        queries: NDArray[np.uint8],
        radius: int,
        dead: NDArray[np.uint8] | None = None,
        limit: int = 0,
        threads: int = 1,
        isa: int = -1,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint16], NDArray[np.bool_]]: ...

def build_index(hashes: NDArray[np.uint8], threads: int = 1, layout: str = "auto") -> NDArray[np.uint8]: ...
def scan_reference(
    hashes: NDArray[np.uint8], queries: NDArray[np.uint8], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint16]]: ...
