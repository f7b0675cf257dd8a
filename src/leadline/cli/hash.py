"""`leadline hash`: digests and perceptual hash of files. Compares with nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.config import load_settings
from leadline.cli.files import Named, path_fields, walk_files
from leadline.cli.options import Json, UnsafeDecode
from leadline.cli.output import Tally, complain, emit, say, table
from leadline.domain import Isolation, PdqFamily
from leadline.errors import InputError, LeadlineError
from leadline.media.client import Sandbox
from leadline.scan.names import show_name
from leadline.scan.record import fault_record, file_record

if TYPE_CHECKING:
    from leadline.scan.hashing import FileHasher


def hash_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, or folders to walk.")],
    json: Json = False,
    grey: Annotated[
        bool, typer.Option("--grey", help="Decode brightness only: faster; PDQ mostly within 4 bits of the exact one.")
    ] = False,
    family: Annotated[
        PdqFamily, typer.Option("--family", help="PDQ family: b full resolution, a 512x512 first.")
    ] = PdqFamily.B,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Print MD5, SHA-1, SHA-256 and, of pictures, PDQ and its quality.

    Each file is decoded in a locked child process of its own. Links, devices and FIFOs are named, never followed.
    A picture that cannot be decoded still gets its exact hashes, with the fault beside them.

    \b
    Examples:
      leadline hash photo.jpg
      leadline hash --json folder > hashes.jsonl
      leadline hash --family a photo.jpg

    Exit codes: 0 all done, 1 nothing done, 3 some files unreadable.
    """
    from leadline.scan.hashing import FileHasher

    settings, tally = load_settings(), Tally()
    with Sandbox(settings.limits, unsafe=unsafe_decode) as sandbox:
        hasher = FileHasher(sandbox, grey=grey, families=frozenset({family}), dihedral=False, limits=settings.limits)
        for named in walk_files(paths):
            record, fault = _hash(hasher, named)
            tally.refused += fault is not None
            tally.done += "sha256" in record
            if json:
                emit(record)
            else:
                _show(record)
            if fault is not None:
                complain(fault, show_name(named.shown))
    if not tally.done and not tally.refused:
        raise InputError("no files found", where=", ".join(paths), mend="name files or folders that hold some")
    return tally.exit_code


def _hash(hasher: FileHasher, named: Named) -> tuple[dict[str, object], LeadlineError | None]:
    if named.fault is not None:
        return path_fields(named.shown) | {"error": fault_record(named.fault)}, named.fault
    facts = hasher.hash_path(named.path)
    if facts.error is not None and not facts.fingerprints.exact:
        return path_fields(named.shown) | {"error": fault_record(facts.error)}, facts.error
    return path_fields(named.shown) | file_record(facts), facts.error


def _show(record: dict[str, object]) -> None:
    say(str(record["path"]))
    if "md5" not in record:
        return
    picture = f"{record['width']}x{record['height']}" if record["width"] else "no picture decoded"
    partial = ", decoded in part" if record["partial"] else ""
    unlocked = ", decoded without a sandbox" if record["isolation"] == Isolation.NONE else ""
    rows: list[tuple[str, object]] = [
        ("  type", f"{record['mime']}, {record['size']} bytes, {picture}{partial}{unlocked}"),
        *((f"  {name}", record[name]) for name in ("md5", "sha1", "sha256")),
    ]
    if record["pdq"]:
        rows.append(("  pdq", f"{record['pdq']}  quality {record['quality']}, family {record['pdq_family']}"))
    say(*table(rows))
