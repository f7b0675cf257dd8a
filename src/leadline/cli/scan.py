"""`leadline scan`: a folder against banks, into an output folder. The work is in scan/run.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.config import load_settings
from leadline.cli.files import require_inputs
from leadline.cli.options import Banks, Json, Radius, UnsafeDecode
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, complain, emit, say, table
from leadline.cli.progress import ScanProgress
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.scan.summary import Summary


def scan_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders or files; never written.")],
    banks: Banks,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder for the results; not inside a PATH.")],
    radius: Radius = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=1024, help="Processes; default: one per core.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the scan in --out where it stopped.")] = False,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDR", help="Use a Ray cluster (extra leadline[ray]); local starts one here."),
    ] = None,
    grey: Annotated[
        bool, typer.Option("--grey", help="Decode brightness only: faster; PDQ mostly within 4 bits of the exact one.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write findings.csv too.")] = False,
    vics: Annotated[bool, typer.Option("--vics", help="Write VICS-shaped JSON too (not certified).")] = False,
    unsafe_decode: UnsafeDecode = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Show no progress.")] = False,
    json: Json = False,
) -> int:
    """Scan folders, files and archives against banks: what is known, near, unknown or unreadable.

    DIR gets findings.jsonl (one object a file), summary.json and report.html. The sources are never written. Links,
    devices and other file systems are listed as skipped. Stopped by Ctrl-C or by force, the same command with
    --resume goes on, without repeating or losing a file. --json prints the summary as one line.

    \b
    Examples:
      leadline scan /mnt/image --bank known --out result
      leadline scan /mnt/image --bank known --bank partner --out result --resume --csv

    Exit codes: 0 all read, 1 nothing read, 3 some files unreadable or a PATH skipped, 130 stopped and can resume.
    """
    from leadline.scan.run import scan_paths

    settings = load_settings()
    require_inputs(paths)
    with ScanProgress(wanted=not no_progress) as progress:
        summary = scan_paths(
            paths, banks, Path(out), radius_bits=radius, workers=workers or settings.workers, resume=resume,
            ray_address=ray, unsafe_decode=unsafe_decode, progress=progress.show, limits=settings.limits,
            grey=grey, csv=csv, vics=vics,
        )  # fmt: skip
    if json:
        emit(summary)
    else:
        say(*tell_summary(summary, Path(out)))
    return judge_summary(summary, ", ".join(paths))


def tell_summary(summary: Summary, out: Path) -> list[str]:
    """The verdict table, what known and near were, and where to look next."""
    rows: list[tuple[str, object]] = []
    for verdict, count in summary.verdicts.items():
        kinds = ", ".join(f"{kind} {number}" for kind, number in summary.kinds.get(verdict, {}).items())
        rows.append((verdict, f"{count}  ({kinds})" if kinds else count))
    rows += [
        ("in all", f"{summary.findings} ({summary.files} files, {summary.members} inside archives)"),
        ("seconds", f"{summary.seconds:g} ({summary.files_per_second:g} files/s)"),
        ("report", out / "report.html"),
    ]
    return table(rows)


def judge_summary(summary: Summary, where: str) -> int:
    """The exit code of a scan, with a word on why it is not 0."""
    if not summary.findings:
        complain(InputError("no files found", where=where, mend="name folders or files that hold some"))
        return EXIT_NOTHING
    for path, reason in summary.not_read.items():
        complain(InputError(f"not read: {reason}", where=path, mend="name what is meant itself"))
    if summary.unread:
        what = f"{summary.unread} of {summary.findings} unreadable"
        complain(InputError(what, where=where, mend="see the reasons in findings.jsonl"))
    skipped = summary.verdicts.get("skipped", 0)
    if summary.findings == skipped:
        what = f"nothing was read: all {skipped} skipped"
        complain(InputError(what, where=where, mend="see the reasons in findings.jsonl"))
    if summary.findings == skipped + summary.unread:
        return EXIT_NOTHING
    return EXIT_PARTLY if summary.unread or summary.not_read else EXIT_DONE
