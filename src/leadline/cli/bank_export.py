"""`leadline bank export`: a bank as a list for other programs; what must not leave unnoticed is recorded first."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from leadline.cli.options import ask_reason, reason_option
from leadline.cli.output import EXIT_DONE, EXIT_PARTLY, complain, standard_output
from leadline.domain import Entry, Kind
from leadline.errors import ConfigError, InputError
from leadline.exchange import csv_list, hashdeep, icse, nsrl, nsrl_database, stix, text_list, vics

if TYPE_CHECKING:
    from leadline.match.bank import Bank


class ExportFormat(StrEnum):
    CSV = "csv"
    TEXT = "text"
    VICS = "vics"
    STIX = "stix"
    HASHDEEP = "hashdeep"
    ICSE = "icse"
    NSRL = "nsrl"
    NSRL_DATABASE = "nsrl-database"


class OneHash(StrEnum):
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    PDQ = "pdq"


_LEFT_OUT = {
    ExportFormat.TEXT: "have no hash that the list can hold",
    ExportFormat.STIX: "are suspended",
    ExportFormat.HASHDEEP: "lack a hash that the list has a column for",
    ExportFormat.ICSE: "have no MD5, SHA-1 or PhotoDNA",
    ExportFormat.NSRL: "lack a SHA-1 or an MD5, or are suspended",
    ExportFormat.NSRL_DATABASE: "lack a SHA-256, a SHA-1 or an MD5, or are suspended",
}


def _check_category_set(value: str) -> str:
    if not vics.is_category_set(value):
        raise typer.BadParameter("give letters, digits, _ . -")
    return value


def export_command(
    bank: Annotated[str, typer.Argument(metavar="BANK", help="Folder of the bank.")],
    format_: Annotated[ExportFormat, typer.Option("--format", help="csv keeps everything; the others keep less.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="File to write, or - for standard output.")],
    reason: Annotated[
        str,
        reason_option(
            "Why it leaves; recorded beside the bank. Needed where it holds illegal or exploitative entries, and"
            " asked for at a terminal."
        ),
    ] = "",
    only: Annotated[
        OneHash | None,
        typer.Option("--only", help="text: hashes of this kind alone, bare, for programs that take one kind."),
    ] = None,
    category_set: Annotated[
        str,
        typer.Option(
            "--category-set",
            callback=_check_category_set,
            help="vics: whose category codes the labels are (US, UK, CUSTOM ...).",
        ),
    ] = "CUSTOM",
    vics_version: Annotated[
        vics.Version, typer.Option("--vics-version", help="vics: for programs that read no newer one.")
    ] = vics.Version.V2_0,
) -> int:
    """Write a bank as a list. A CSV read back gives the same entries with the same numbers.

    Cells that a spreadsheet would take for formulas get an apostrophe, which reading takes away again. The VICS
    shape follows public descriptions and is not certified; a label becomes a Category only where its scheme is
    vics:CATEGORY_SET. STIX is a bundle of indicators, with an extension for perceptual hashes (docs/lists.md);
    suspended entries are left out. hashdeep has the columns that all entries have; icse is CSV with ICSE's columns.
    nsrl (NSRLFile.txt) and nsrl-database (RDS 3) are for benign entries alone: their readers pass over such files.

    What leaves with a reason is recorded in exports.jsonl beside the bank: when, by whom, how much, its SHA-256.

    \b
    Examples:
      leadline bank export known --format csv --out known.csv --reason "copy for the second office, order 17"
      leadline bank export harmless --format text --only pdq --out pdq.txt
      leadline bank export harmless --format nsrl --out NSRLFile.txt

    Exit codes: 0 all written, 1 nothing written, 2 a reason is missing or the format is not for entries of this kind,
    3 some entries were left out.
    """
    from leadline.match.bank import Bank
    from leadline.match.exports import ExportRecord

    if only and format_ is not ExportFormat.TEXT:
        raise ConfigError("--only is for plain text", where=f"--format {format_}", mend="leave --only out")
    if vics_version is not vics.Version.V2_0 and format_ is not ExportFormat.VICS:
        raise ConfigError("--vics-version is for VICS", where=f"--format {format_}", mend="leave --vics-version out")
    opened = Bank.open(Path(bank))
    if format_ in (ExportFormat.NSRL, ExportFormat.NSRL_DATABASE):
        _check_harmless(opened)
    reason = ask_reason(reason, opened)
    with _sink(out) as stream:
        record = ExportRecord(opened, format_, reason) if reason else None
        measured = Measured(stream)
        written = io.BufferedWriter(measured, 1 << 18)
        counted = _Counted(opened)
        left_out = _write(format_, counted, written, only, category_set, vics_version)
        written.flush()
        if record is not None:
            record.finish(counted.count - left_out, measured.size_bytes, measured.digest.hexdigest())
    if left_out:
        complain(InputError(f"{left_out} entries {_LEFT_OUT[format_]}", where=bank, mend="export as csv"))
    return EXIT_PARTLY if left_out else EXIT_DONE


def _check_harmless(bank: Bank) -> None:
    from leadline.match.exports import held_kinds

    if others := sorted(held_kinds(bank) - {Kind.BENIGN}):
        what = f"kind {' and '.join(others)}: whoever reads an NSRL set takes all of it for harmless"
        raise ConfigError(what, where=bank.name, mend="export a bank of kind benign alone, or in another --format")


def _write(
    how: ExportFormat,
    entries: _Counted,
    stream: BinaryIO,
    only: OneHash | None,
    category_set: str,
    vics_version: vics.Version,
) -> int:
    """How many were left out."""
    now_s = int(time.time())
    if how is ExportFormat.CSV:
        csv_list.write(entries.read(), stream)
        return 0
    if how is ExportFormat.VICS:
        vics.write(entries.read(), stream, category_set=category_set, version=vics_version)
        return 0
    if how is ExportFormat.TEXT:
        return text_list.write(entries.read(), stream, only=only or "")
    if how is ExportFormat.STIX:
        return stix.write(entries.read(), stream, made_s=now_s)
    if how is ExportFormat.HASHDEEP:
        return hashdeep.write(entries.read, stream)
    if how is ExportFormat.NSRL:
        return nsrl.write(entries.read(), stream, now_s=now_s)
    if how is ExportFormat.NSRL_DATABASE:
        return nsrl_database.write(entries.read(), stream, now_s=now_s)
    return icse.write(entries.read(), stream)


class _Counted:
    """The entries of a bank as it is now, as often as they are wanted; `count` is of the last time."""

    def __init__(self, bank: Bank) -> None:
        self._bank, self.count = bank, 0

    def read(self) -> Iterator[Entry]:
        self.count = 0
        for entry in self._bank.entries():
            self.count += 1
            yield entry


class Measured(io.RawIOBase):
    """Passes bytes on, and knows how many and their digest. Closing it closes nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.size_bytes, self.digest = stream, 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)
        return len(data)


@contextmanager
def _sink(out: str) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears under its name only when it is whole; never over another."""
    from leadline.match.folder import sync_folder

    if out == "-":
        with standard_output() as stream:
            yield stream
        return
    partial = f"{out}.part"
    if os.path.lexists(out):
        raise ConfigError("exists already", where=out, mend="choose another --out")
    try:
        with open(partial, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(partial, out)  # fails where something came to stand there meanwhile
        except PermissionError:  # a file system without links
            os.rename(partial, out)
        sync_folder(Path(out).parent)
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)
