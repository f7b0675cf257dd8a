"""The folder that a feed is published into: contents first, then what names them, timestamp.json last. Decides nothing.

It is only ever brought to what the ledger says; whoever reads along sees the version before or the new one, whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from leadline.errors import ConfigError, LeadlineError
from leadline.exchange.feed.contents import PART_BYTES, PART_ENTRIES
from leadline.exchange.feed.ledger import FileRow
from leadline.exchange.feed.metadata import CONTENTS, METADATA, RECEIPTS, TIMESTAMP_NAME, Online, metadata_name
from leadline.exchange.feed.places import NAME, RECEIPT_NAME
from leadline.exchange.feed.receipts import MAX_BYTES
from leadline.exchange.feed.telling import contents_path, tellings_for
from leadline.match.folder import TemporaryFile, make_folder, replace_file, sync_folder

_MAX_BYTES = 16 << 20


class Shelf:
    """One folder. ConfigError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            mend = "free disk space, check its rights, and publish again"
            raise ConfigError(f"not published: {error.strerror}", where=str(self.folder), mend=mend) from None

    def holds(self, row: FileRow) -> bool:
        try:
            return os.stat(self.folder / _name(row)).st_size == row.length
        except OSError:
            return False

    def add(self, sealed: bytes, subscriber: str, row_of: Callable[[str, int], FileRow]) -> FileRow:
        """A file of contents, synced under its final name. row_of: of its SHA-256 and length."""
        row = row_of(hashlib.sha256(sealed).hexdigest(), len(sealed))
        path = self.folder / _name(row)
        with self._told():
            make_folder(path.parent)
            made = TemporaryFile(path.parent)
            try:
                made.stream.write(sealed)
                made.keep_as(path)
            finally:
                made.discard()
        return row

    def sync(self) -> None:
        """What was added stays added, also after a power cut."""
        with self._told():
            for folder in filter(Path.is_dir, _listed(self.folder / CONTENTS)):
                sync_folder(folder)

    def require(self, first_root: bytes) -> None:
        """ConfigError where another feed lies there."""
        there = self.read(metadata_name("root", 1))
        if there and there != first_root:
            raise ConfigError("another feed lies there", where=str(self.folder), mend="give another --dir")

    def project(self, roots: Sequence[bytes], online: Online) -> None:
        """Roots, then targets and snapshot under their numbers, then timestamp.json: from here on readers see it."""
        with self._told():
            for name in (METADATA, CONTENTS, RECEIPTS):
                make_folder(self.folder / name)
            named = {metadata_name("root", number): data for number, data in enumerate(roots, 1)}
            named[metadata_name("targets", online.version)] = online.targets
            named[metadata_name("snapshot", online.version)] = online.snapshot
            for name, data in {**named, TIMESTAMP_NAME: online.timestamp}.items():
                if self.read(name) != data:
                    replace_file(self.folder / name, data)

    def read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""

    def remove_unnamed(self, kept: set[str], version: int) -> None:
        """Contents that no version names, and signed files older than the version before."""
        with self._told():
            for folder in filter(Path.is_dir, _listed(self.folder / CONTENTS)):
                for path in _listed(folder):
                    if path.name.split(".")[0] not in kept and _is_ours(path, self.folder):
                        path.unlink(missing_ok=True)
                if not os.listdir(folder):
                    folder.rmdir()
            for path in _listed(self.folder / METADATA):
                number, _, role = path.name.partition(".")
                is_old = number.isdigit() and int(number) < version - 1 and role != "root.json"
                if (is_old and _is_ours(path, self.folder)) or path.name.startswith("tmp-"):
                    path.unlink(missing_ok=True)

    def ahead_of(self, version: int, roots: Sequence[Root], subscribers: Sequence[str]) -> tuple[int, dict[str, int]]:
        """Where the folder is ahead of a ledger that was restored: its version, and state by subscriber; else 0, {}."""
        timestamp = self._signed(TIMESTAMP_NAME, Timestamp.type, roots)
        if not isinstance(timestamp, Timestamp) or timestamp.version <= version:
            return 0, {}
        targets = self._signed(metadata_name("targets", timestamp.version), Targets.type, roots)
        serials: dict[str, int] = {}
        if isinstance(targets, Targets):
            for subscriber in subscribers:
                with contextlib.suppress(LeadlineError):
                    told = tellings_for(targets.targets.values(), subscriber, "")
                    serials[subscriber] = max([telling.serial for telling in told] or [0])
        return timestamp.version, serials

    def _signed(self, name: str, role: str, roots: Sequence[Root]) -> object:
        data = self.read(name)[:_MAX_BYTES]
        for root in reversed(roots):
            try:
                made: Metadata[Any] = Metadata.from_bytes(data)
                root.verify_delegate(role, made.signed_bytes, made.signatures)
                return made.signed
            except (RepositoryError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return None

    def receipts(self) -> Iterator[tuple[Path, bytes]]:
        """What subscribers left in the folder, not yet believed."""
        for path in _listed(self.folder / RECEIPTS):
            if RECEIPT_NAME.fullmatch(path.name):
                with contextlib.suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                    yield path, file.read(MAX_BYTES + 1)


class PartWriter:
    """Lines into files of contents of one step, one part in memory at a time."""

    def __init__(
        self,
        shelf: Shelf,
        subscriber: str,
        since: int,
        serial: int,
        seal: Callable[[int, Sequence[bytes]], bytes],
    ) -> None:
        """seal: number of the part, lines -> what is written."""
        self._shelf, self._subscriber, self._since, self._serial, self._seal = shelf, subscriber, since, serial, seal
        self._lines: list[bytes] = []
        self._bytes = self._withdrawn = 0
        self._rows: list[FileRow] = []

    def add(self, line: bytes, *, is_withdrawal: bool) -> None:
        self._lines.append(line)
        self._bytes += len(line) + 1
        self._withdrawn += is_withdrawal
        if len(self._lines) >= PART_ENTRIES or self._bytes >= PART_BYTES:
            self._write()

    def end(self, withdraw_by: int) -> list[FileRow]:
        """All of them; at least one, though it may hold nothing."""
        if self._lines or not self._rows:
            self._write()
        return [row._replace(parts=len(self._rows), withdraw_by=withdraw_by) for row in self._rows]

    def _write(self) -> None:
        part, entries, withdrawn = len(self._rows), len(self._lines) - self._withdrawn, self._withdrawn
        path = contents_path(self._subscriber, self._since, self._serial, part)

        def row_of(sha256: str, length: int) -> FileRow:
            return FileRow(path, self._since, self._serial, part, 0, length, sha256, entries, withdrawn, 0)

        self._rows.append(self._shelf.add(self._seal(part, self._lines), self._subscriber, row_of))
        self._lines, self._bytes, self._withdrawn = [], 0, 0


def _name(row: FileRow) -> str:
    folder, _, name = row.path.partition("/")
    return f"{CONTENTS}/{folder}/{row.sha256}.{name}"


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_ours(path: Path, folder: Path) -> bool:
    return bool(NAME.fullmatch(path.relative_to(folder).as_posix())) or path.name.startswith("tmp-")
