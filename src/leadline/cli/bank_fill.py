"""`leadline bank build` and `bank add`: inputs into a bank, with counts that add up. Decides nothing of an entry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.config import load_settings
from leadline.cli.files import path_fields, require_inputs
from leadline.cli.intake import Intake, Taken, shown_input
from leadline.cli.options import Digits64, Json, UnsafeDecode, check_text
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, Faults, complain, emit, say, say_isolation, table
from leadline.cli.progress import Counter
from leadline.domain import DEFAULT_QUALITY_FLOOR, DEFAULT_RADIUS_BITS, Kind, PdqFamily, Tlp
from leadline.errors import ConfigError, HashRefused, InputError, LeadlineError
from leadline.exchange.base import EntryDefaults, HashType
from leadline.exchange.detect import ListFormat

if TYPE_CHECKING:
    from leadline.match.bank import Bank

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Lists (CSV, plain text, VICS-shaped JSON, STIX), folders of media to be hashed, media files, or - for a"
        " list on standard input.",
    ),
]
Source = Annotated[
    str,
    typer.Option("--source", callback=check_text, help="Whose list this is; kept with every entry that names none."),
]
TlpOption = Annotated[Tlp | None, typer.Option("--tlp", help="Who may see the entries (Traffic Light Protocol 2.0).")]
Licence = Annotated[
    str, typer.Option("--licence", callback=check_text, help="Terms the list came under; kept with every entry.")
]
Format = Annotated[
    ListFormat | None, typer.Option("--format", help="Format of all inputs, where their content does not show it.")
]
Scheme = Annotated[
    str,
    typer.Option(
        "--scheme",
        callback=check_text,
        help="Whose codes the labels are, for lists that do not say, for example vics:US. A VICS list names it in its"
        " header since 2.0; without either, its labels get the scheme vics:unspecified.",
    ),
]
Family = Annotated[PdqFamily, typer.Option("--pdq-family", help="PDQ family of lists that do not say.")]
LabelKinds = Annotated[
    list[str] | None,
    typer.Option(
        "--label-kind",
        callback=check_text,
        metavar="LABEL=KIND",
        help="Kind of the entries with this label, or LABEL=skip to leave them out. A list of categories mixes kinds:"
        " say what each means, or all get the bank's.",
    ),
]


@dataclass(slots=True)
class Counts:
    """read = added + refused.

    refused_hashes  single malformed or useless hashes refused out of entries that were added
    renumbered      entries whose wished id was taken (the first 10,000 of each input are counted)
    """

    read: int = 0
    added: int = 0
    refused: int = 0
    refused_hashes: int = 0
    renumbered: int = 0


def build_command(
    inputs: Inputs,
    out: Annotated[str, typer.Option("--out", metavar="BANK", help="Folder of the new bank; must not exist.")],
    name: Annotated[str, typer.Option("--name", help="Name that matches are told under.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What an entry says of a file.")],
    source: Source = "",
    tlp: TlpOption = None,
    licence: Licence = "",
    radius: Annotated[
        int, typer.Option("--radius", min=0, max=64, metavar="BITS", help="The bank's own PDQ radius.")
    ] = DEFAULT_RADIUS_BITS,
    quality_floor: Annotated[
        int, typer.Option("--quality-floor", min=0, max=100, help="PDQ hashes of less quality do not match.")
    ] = DEFAULT_QUALITY_FLOOR,
    format_: Format = None,
    scheme: Scheme = "",
    pdq_family: Family = PdqFamily.B,
    label_kind: LabelKinds = None,
    hash_type: Digits64 = HashType.BOTH,
    json: Json = False,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Make a new bank from lists or media.

    CSV needs a header line with any of: id md5 sha1 sha256 pdq quality label scheme, and also pdq_family kind source
    source_id licence tlp note. Plain text holds one hash a line. VICS-shaped JSON (1.0-2.0) is read record by record;
    it follows public descriptions and is not certified by Project VIC. Media are hashed in the sandbox.
    A bad record is told with its place, and the rest goes on: read = added + refused.

    \b
    Examples:
      leadline bank build --out known --name known --kind illegal hashes.csv
      leadline bank build --out vic --name vic --kind illegal --label-kind 0=skip --label-kind 2=exploitative set.json
      leadline bank build --out ours --name ours --kind benign pictures/

    Exit codes: 0 all added, 1 nothing added, 3 some records refused.
    """
    from leadline.match.bank import Bank
    from leadline.match.folder import sync_folder

    settings, path = load_settings(), Path(out)
    require_inputs([given for given in inputs if given != "-"])
    if os.path.lexists(path):
        raise ConfigError("exists already", where=out, mend="choose another --out, or use `leadline bank add`")
    tlp = Tlp.AMBER_STRICT if tlp is None else tlp
    defaults = EntryDefaults(kind, source, tlp, licence, scheme, "", pdq_family, hash_type)
    intake = Intake(defaults, settings.limits, unsafe_decode, format_, kinds_by_label(label_kind))
    with _building(path) as folder:
        bank = Bank.create(
            folder, name=name, kind=kind, radius_bits=radius, quality_floor=quality_floor, source=source,
            tlp=tlp, licence=licence,
        )  # fmt: skip
        counts = _fill(bank, inputs, intake, settings.threads)
        if counts.added:
            bank.merge(threads=settings.threads)
            os.rename(folder, path)
            sync_folder(path.parent)  # else the name could be gone after a power cut
    if not counts.added:
        complain(InputError("no entry was added, so no bank was made", where=out, mend="correct the inputs"))
    return _finish(bank, out, counts, intake, json=json)


@contextmanager
def _building(path: Path) -> Iterator[Path]:
    """A folder beside `path` to build in: what stands under a bank's name is a whole bank."""
    folder = path.with_name(f"{path.name}.building-{os.getpid()}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def add_command(
    bank: Annotated[str, typer.Argument(metavar="BANK", help="Folder of the bank.")],
    inputs: Inputs,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Kind of the entries; default: the bank's.")] = None,
    source: Source = "",
    tlp: TlpOption = None,
    licence: Licence = "",
    format_: Format = None,
    scheme: Scheme = "",
    pdq_family: Family = PdqFamily.B,
    label_kind: LabelKinds = None,
    hash_type: Digits64 = HashType.BOTH,
    json: Json = False,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Add entries to a bank; they match at once, in every process that has the bank open.

    Reads the same inputs as `leadline bank build`. What was told as added is on disk.
    Where much has changed, a merge is started in the background; nothing waits for it.

    \b
    Examples:
      leadline bank add known new.csv
      leadline bank add known --kind false-positive wrong.txt

    Exit codes: 0 all added, 1 nothing added, 3 some records refused.
    """
    from leadline.match.bank import Bank

    settings = load_settings()
    opened = Bank.open(Path(bank))
    defaults = EntryDefaults(
        kind or opened.kind, source, Tlp.AMBER_STRICT if tlp is None else tlp, licence, scheme, "", pdq_family,
        hash_type,
    )  # fmt: skip
    intake = Intake(defaults, settings.limits, unsafe_decode, format_, kinds_by_label(label_kind))
    require_inputs([given for given in inputs if given != "-"])
    counts = _fill(opened, inputs, intake, settings.threads)
    return _finish(opened, bank, counts, intake, json=json, merging=opened.merge_in_background() is not None)


def kinds_by_label(given: Sequence[str] | None) -> dict[str, Kind | None]:
    found: dict[str, Kind | None] = {}
    for text in given or ():
        label, mark, kind = text.rpartition("=")
        if not mark or (kind != "skip" and kind not in tuple(Kind)):
            raise ConfigError(
                "not LABEL=KIND", where=f"--label-kind {text}", mend=f"KIND is one of {', '.join(Kind)} or skip"
            )
        found[label] = None if kind == "skip" else Kind(kind)
    return found


def _fill(bank: Bank, inputs: Sequence[str], intake: Intake, threads: int) -> Counts:
    counts = Counts()
    with Counter("entries") as counter:
        for path in inputs:
            _fill_one(bank, path, intake, counter, counts, threads)
    return counts


def _fill_one(bank: Bank, path: str, intake: Intake, counter: Counter, counts: Counts, threads: int) -> None:
    read = 0

    def entries() -> Iterator[Taken]:
        nonlocal read
        for item in intake.read(path):
            if not isinstance(item, HashRefused):
                read += 1
                counter.step()
            yield item

    result = bank.add(entries(), threads=threads)
    counts.read += read
    counts.added += result.added
    counts.refused += read - result.added
    counts.renumbered += len(result.renumbered)
    where = shown_input(path)
    faults = Faults(where)
    for refusal in result.refused:
        faults.note(_placed(refusal, where))
    counts.refused_hashes += result.refused_hashes
    faults.finish(result.refused_count)


def _placed(refusal: Any, where: str) -> LeadlineError:
    """Faults of readers name their place; those of the bank name a field, so the entry's number is added."""
    error: LeadlineError = refusal.error
    if where not in error.where:
        field = f", {error.where}" if error.where else ""
        error.where = f"{where}: entry {refusal.position + 1}{field}"
    return error


def _finish(bank: Bank, path: str, counts: Counts, intake: Intake, *, json: bool, merging: bool = False) -> int:
    record: dict[str, object] = {
        "bank": bank.name,
        **path_fields(os.fsencode(path)),
        "read": counts.read,
        "added": counts.added,
        "refused": counts.refused,
        "refused_hashes": counts.refused_hashes,
        "renumbered": counts.renumbered,
        "left_out": intake.left_out,
        "files": intake.files,
        "isolation": intake.isolation,
        "unknown": dict(intake.unknown),
        "entries": bank.count,
        "list_version": bank.list_version,
        "merging": merging,
    }
    if json:
        emit(record)
    else:
        record["unknown"] = ", ".join(f"{name} {count}" for name, count in intake.unknown.items()) or None
        say(*table((name.replace("_", " "), value) for name, value in record.items() if value is not None))
        say_isolation(intake.isolation)
    if not counts.added:
        return EXIT_NOTHING
    return EXIT_PARTLY if counts.refused or counts.refused_hashes else EXIT_DONE
