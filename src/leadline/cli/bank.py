"""`leadline bank`: look into a bank, change it, check it, take it elsewhere. The folder is the only truth."""

from __future__ import annotations

import dataclasses
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli import bank_export, bank_fill, bank_upload
from leadline.cli.files import path_fields
from leadline.cli.options import Json, ask_reason, check_text, reason_option
from leadline.cli.output import (
    EXIT_DONE,
    EXIT_NOTHING,
    EXIT_PARTLY,
    EXIT_WRONG,
    Faults,
    complain,
    emit,
    encode_line,
    one_line,
    say,
    standard_output,
    table,
)
from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankCorrupt, ConfigError, InputError

if TYPE_CHECKING:
    from leadline.match.bank import Bank
    from leadline.match.exports import ExportRecord

app = typer.Typer(
    rich_markup_mode=None,
    help="Build, inspect and change banks: folders of fingerprints with what they mean.",
)
app.command("build")(bank_fill.build_command)
app.command("add")(bank_fill.add_command)
app.command("export")(bank_export.export_command)
app.command("upload")(bank_upload.upload_command)

_LISTED_AT_ONCE = 500
_MAX_LOOKED_AT = 500  # entries: more of them, not for a terminal, are a list that leaves
BankPath = Annotated[str, typer.Argument(metavar="BANK", help="Folder of the bank.")]
Gently = Annotated[
    bool, typer.Option("--gently", help="Give way to all that wants the processor; on a busy machine it takes long.")
]


def _open(path: str) -> Bank:
    from leadline.match.bank import Bank

    return Bank.open(Path(path))


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple | set | frozenset) else value


@app.command("info")
def info_command(bank: BankPath, json: Json = False) -> int:
    """Show what a bank holds: its name and kind, entries by kind and fingerprint, bytes of records and of index.

    \b
    Examples:
      leadline bank info known

    Exit codes: 0 shown, 1 no bank there or damaged.
    """
    told = {name: _plain(value) for name, value in dataclasses.asdict(_open(bank).info()).items() if name != "path"}
    record = path_fields(os.fsencode(bank)) | told
    if json:
        emit(record)
    else:
        say(*table((name.replace("_", " "), _told(value)) for name, value in record.items()))
    return EXIT_DONE


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_told, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


@app.command("list")
def list_command(
    bank: BankPath,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many entries; 0 for all.")] = 0,
    reason: Annotated[
        str,
        reason_option(
            "Why they leave; recorded beside the bank. Needed where more than 500 entries of a bank with illegal"
            " or exploitative ones go elsewhere than to a terminal."
        ),
    ] = "",
    json: Json = False,
) -> int:
    """List the entries of a bank, one a line.

    \b
    Examples:
      leadline bank list known --limit 20
      leadline bank list known --json --reason "for the second office, order 17" > entries.jsonl

    Exit codes: 0 listed, 1 no bank there or damaged, 2 a reason is missing.
    """
    opened = _open(bank)
    record = _begin_list(opened, min(limit or opened.count, opened.count), reason)
    entries, count = islice(opened.entries(), limit or None), 0
    show = _encode_entry if json else _show_entry
    with standard_output() as stream:
        measured = bank_export.Measured(stream)
        while lines := [show(entry) for entry in islice(entries, _LISTED_AT_ONCE)]:
            measured.write(b"".join(lines))
            stream.flush()
            count += len(lines)
    if record is not None:
        record.finish(count, measured.size_bytes, measured.digest.hexdigest())
    return EXIT_DONE


def _begin_list(bank: Bank, count: int, reason: str) -> ExportRecord | None:
    """The record of entries that leave: more than a look takes, and for no terminal. None where nothing is recorded."""
    from leadline.match.exports import ExportRecord

    if not reason and (count <= _MAX_LOOKED_AT or sys.stdout.isatty()):
        return None
    reason = ask_reason(reason, bank)
    return ExportRecord(bank, "list", reason) if reason else None


def _encode_entry(entry: Entry) -> bytes:
    return encode_line(entry_record(entry))


def _show_entry(entry: Entry) -> bytes:
    prints = " ".join(f"{name}:{value.hex()}" for name, value in entry.fingerprints.items())
    label = one_line(f"{entry.scheme} {entry.label}") or "-"
    return f"{entry.id}\t{entry.kind}\t{label}\t{prints}\n".encode()


def entry_record(entry: Entry) -> dict[str, object]:
    """An entry as one JSON object; fields without a value are left out."""
    fields = {
        name: getattr(entry, name)
        for name in Entry.__struct_fields__
        if name not in ("fingerprints", "id", "kind") and getattr(entry, name) not in ("", 0, None)
    }
    if entry.quality == 0:
        fields["quality"] = 0
    return {
        "id": entry.id,
        "kind": str(entry.kind),
        "fingerprints": {name: value.hex() for name, value in entry.fingerprints.items()},
        **fields,
    }


@app.command("remove")
def remove_command(
    bank: BankPath,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Numbers of entries.")] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="FILE", help="A file with one number a line; - for standard input.")
    ] = "",
    json: Json = False,
) -> int:
    """Remove entries; they match no more at once, in every process that has the bank open.

    \b
    Examples:
      leadline bank remove known 17 18
      leadline bank remove known --from withdrawn.txt

    Exit codes: 0 all removed, 1 none removed, 3 some were not there.
    """
    opened = _open(bank)
    given = [(f"argument {n}", text) for n, text in enumerate(ids or (), 1)]
    if from_:
        given += _numbers_in(from_)
    if not given:
        raise ConfigError("nothing to remove", where="leadline bank remove", mend="give numbers of entries, or --from")
    faults, wanted = Faults(bank), []
    for where, text in given:
        if text.isascii() and text.isdigit() and 0 < len(text) < 17:
            wanted.append(int(text))
        else:
            faults.note(InputError("not the number of an entry", where=where, mend="see `leadline bank list`"))
    distinct = list(dict.fromkeys(wanted))
    removed = opened.remove(distinct) if distinct else 0
    if removed < len(distinct):
        absent = len(distinct) - removed
        faults.note(InputError(f"{absent} of {len(distinct)} not there", where=bank, mend="see `leadline bank list`"))
    faults.finish()
    record: dict[str, object] = {
        "bank": opened.name,
        "removed": removed,
        "refused": len(distinct) - removed + len(given) - len(wanted),
        "merging": opened.merge_in_background() is not None,
    }
    if json:
        emit(record)
    else:
        say(*table(record.items()))
    return EXIT_DONE if not faults.count else EXIT_PARTLY if removed else EXIT_NOTHING


def _numbers_in(path: str) -> list[tuple[str, str]]:
    stream = sys.stdin if path == "-" else open(path, encoding="utf-8", errors="replace")
    with stream:
        return [(f"{path}: line {n}", line.strip()) for n, line in enumerate(stream, 1) if line.strip()]


@app.command("set")
def set_command(
    bank: BankPath,
    kind: Annotated[Kind | None, typer.Option("--kind", help="What entries added from now on say of a file.")] = None,
    tlp: Annotated[Tlp | None, typer.Option("--tlp", help="Who may see the bank (Traffic Light Protocol 2.0).")] = None,
    radius: Annotated[
        int | None, typer.Option("--radius", min=0, max=64, metavar="BITS", help="The bank's own PDQ radius.")
    ] = None,
    quality_floor: Annotated[
        int | None, typer.Option("--quality-floor", min=0, max=100, help="PDQ hashes of less quality do not match.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", callback=check_text, help="Whose list this is.")] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", callback=check_text, help="Terms the list came under.")
    ] = None,
    json: Json = False,
) -> int:
    """Change the settings of a bank; what its entries say of themselves stays, also the radius of false positives.

    Another quality floor makes the search index anew; writers wait meanwhile, readers do not.

    \b
    Examples:
      leadline bank set known --radius 25
      leadline bank set known --tlp red --quality-floor 60

    Exit codes: 0 done, 1 no bank there, damaged, or another writer at work, 2 a value out of range.
    """
    opened = _open(bank)
    changed = opened.set_settings(
        kind=kind, tlp=tlp, radius_bits=radius, quality_floor=quality_floor, source=source, licence=licence
    )
    info = opened.info()
    names = ("name", "kind", "tlp", "radius_bits", "quality_floor", "source", "licence", "list_version")
    record = {"changed": changed, **{name: _plain(getattr(info, name)) for name in names}}
    if json:
        emit(record)
    else:
        say(*table((name.replace("_", " "), _told(value)) for name, value in record.items()))
    return EXIT_DONE


@app.command("merge")
def merge_command(bank: BankPath, gently: Gently = False, json: Json = False) -> int:
    """Merge the segments and the log of a bank into one segment. Readers and writers go on meanwhile.

    \b
    Examples:
      leadline bank merge known
      leadline bank merge --gently known

    Exit codes: 0 merged, 1 no bank there, damaged, or another writer at work.
    """
    opened = _open(bank)
    opened.merge(gently=gently)
    record = {"bank": opened.name, "entries": opened.count, "list_version": opened.list_version}
    if json:
        emit(record)
    else:
        say(*table((name.replace("_", " "), value) for name, value in record.items()))
    return EXIT_DONE


@app.command("split")
def split_command(
    bank: BankPath,
    into: Annotated[int, typer.Option("--into", metavar="N", min=2, max=1024, help="Parts: as many as shards.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="FOLDER/0, FOLDER/1 ... get a part each.")],
    json: Json = False,
) -> int:
    """Split a bank that outgrows one machine's memory into parts of the same name, for the shards of `leadline serve`.

    Entries keep their ids; false positives stand in every part. The bank itself is not changed, and later changes of
    it do not reach the parts: change those, or split again.

    \b
    Examples:
      leadline bank split known --into 4 --out /srv/shards

    Exit codes: 0 split, 1 no bank there, or damaged, 2 a part is there already.
    """
    from leadline.match.split import split_bank

    opened = _open(bank)
    folders = [out / str(number) / opened.path.name for number in range(into)]
    counts = split_bank(opened, folders)
    for folder, count in zip(folders, counts, strict=True):
        if json:
            emit({**path_fields(os.fsencode(folder)), "entries": count})
        else:
            say(f"{folder}: {count} entries")
    return EXIT_DONE


@app.command("verify")
def verify_command(bank: BankPath, json: Json = False) -> int:
    """Check every checksum and every rule of a bank.

    \b
    Examples:
      leadline bank verify known

    Exit codes: 0 sound, 4 found wrong, 1 no bank there.
    """
    try:
        opened = _open(bank)
        faults = opened.verify()
    except BankCorrupt as error:
        faults = [str(error)]
    for fault in faults:
        complain(BankCorrupt(fault, where=bank, mend="restore the bank from a copy"))
    if json:
        emit({**path_fields(os.fsencode(bank)), "sound": not faults, "faults": [one_line(fault) for fault in faults]})
    elif not faults:
        say("sound")
    return EXIT_WRONG if faults else EXIT_DONE
