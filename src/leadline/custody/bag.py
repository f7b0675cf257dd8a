"""Writes a BagIt 1.0 folder (RFC 8493), hashing every file as it is written. Reads none; knows nothing of custody."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

ALGORITHMS = ("sha256", "sha512")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold


class HashingFile:
    """A file that is being written, and its digests so far. Keeps the fault of a failed write for its owner."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sums = [hashlib.new(name) for name in ALGORITHMS]
        self.size_bytes = 0
        self.fault: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._stream.write(data)
        except OSError as error:
            self.fault = error
            raise
        for one in self.sums:
            one.update(data)
        self.size_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Asked for by encoders; what lasts is written at the end."""


class BagWriter:
    """Files below `root`, then `write_manifests`, tag files made from these, then `write_tag_manifests`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sums: dict[str, list[str]] = {}
        self._payload_bytes = 0

    @contextmanager
    def open(self, name: str) -> Iterator[HashingFile]:
        """A new file at `name` (with /, inside the bag); on the disk when the block ends."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("xb") as stream:
            file = HashingFile(stream)
            yield file
            stream.flush()
            os.fsync(stream.fileno())
        self._sums[name] = [one.hexdigest() for one in file.sums]
        self._payload_bytes += file.size_bytes if name.startswith("data/") else 0

    def write(self, name: str, data: bytes) -> None:
        with self.open(name) as file:
            file.write(data)

    def write_manifests(self, info: Sequence[tuple[str, str]]) -> str:
        """bagit.txt, bag-info.txt and the payload's manifests; SHA-512 of the manifest in SHA-512, as hex."""
        payload = [name for name in self._sums if name.startswith("data/")]
        told = [*info, ("Payload-Oxum", f"{self._payload_bytes}.{len(payload)}")]
        self.write("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        self.write("bag-info.txt", "".join(f"{label}: {value}\n" for label, value in told).encode())
        self._write_sums("manifest", payload)
        return self._sums["manifest-sha512.txt"][1]

    def write_tag_manifests(self) -> None:
        self._write_sums("tagmanifest", [name for name in self._sums if not name.startswith("data/")])

    def _write_sums(self, prefix: str, names: Sequence[str]) -> None:
        for position, algorithm in enumerate(ALGORITHMS):
            lines = [f"{self._sums[name][position]}  {name}\n" for name in sorted(names)]
            self.write(f"{prefix}-{algorithm}.txt", "".join(lines).encode())


def pack_bag(folder: Path, out: Path) -> str:
    """The bag as one zip; its SHA-256 as hex. The same bag gives the same bytes: names sorted, no times, no packing.

    Raises FileExistsError where `out` exists, OSError; a half zip never has that name.
    """
    if out.exists():
        raise FileExistsError(17, "stands there already", str(out))
    partial = out.with_name(f".{out.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as packed:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _ZIP_EPOCH)
                entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
                with path.open("rb") as source, packed.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        partial.rename(out)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return digest
