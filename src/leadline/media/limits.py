"""What one hostile file may cost. Plain numbers with units; reads no settings and enforces nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one sandbox; every one is enforced inside the wall, and those on answers again outside it.

    max_file_bytes    a larger picture is not decoded (its exact hashes are still computed outside)
    max_pixels        width x height of one picture, page or frame, checked before memory is asked for
    max_frames        of an animated or many-paged picture, evenly spread, the first always
    timeout_s         wall clock of one file; a container gets it again for each 64 MiB it holds or yields, and for
                      each 1,000 members
    memory_bytes      address space above what the worker maps before it sees a file (RLIMIT_AS)
    max_members       of one container
    max_member_bytes  of one unpacked member
    max_total_bytes   of all unpacked members of one container
    max_depth         containers within containers (counted by the caller, who opens them)
    max_ratio         unpacked : packed bytes of one container, once it has yielded 16 MiB
    batch_files       files that share one child while a batch is open
    """

    max_file_bytes: int = 256 * MIB
    max_pixels: int = 200_000_000
    max_frames: int = 64
    timeout_s: float = 20.0
    memory_bytes: int = 3 * GIB
    max_members: int = 100_000
    max_member_bytes: int = 256 * MIB
    max_total_bytes: int = 16 * GIB
    max_depth: int = 4
    max_ratio: int = 200
    batch_files: int = 64

    def __post_init__(self) -> None:
        for one in fields(self):
            if not 0 < getattr(self, one.name) < 1 << 48:
                raise ValueError(f"limit {one.name} must be positive and below 2**48")


RATIO_FREE_BYTES = 16 * MIB  # a small container may unpack to this much whatever its ratio: text packs well
