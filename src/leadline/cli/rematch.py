"""`leadline rematch`: the findings of an old scan against new lists. The work is in scan/rematch.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Banks, Json, Radius
from leadline.cli.output import emit, say
from leadline.cli.progress import ScanProgress
from leadline.cli.scan import judge_summary, tell_summary
from leadline.errors import ConfigError


def rematch_command(
    findings: Annotated[str, typer.Argument(metavar="FINDINGS", help="The folder of a scan, or its findings.jsonl.")],
    banks: Banks,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Folder for the results; default: the scan's folder with -rematch."),
    ] = None,
    radius: Radius = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write findings.csv too.")] = False,
    vics: Annotated[bool, typer.Option("--vics", help="Write VICS-shaped JSON too (not certified).")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Show no progress.")] = False,
    json: Json = False,
) -> int:
    """Match the findings of an old scan against other banks, without the disk they came from.

    Writes a folder like that of a scan; the old one is not changed. Turned and mirrored copies are found too: findings
    hold the hashes of all eight transforms.

    \b
    Examples:
      leadline rematch result --bank known-2 --out result-2

    Exit codes: 0 all matched anew, 1 nothing matched anew, 3 some files were unreadable when they were scanned.
    """
    from leadline.scan.rematch import rematch

    target = Path(out) if out is not None else _beside(findings)
    with ScanProgress(wanted=not no_progress) as progress:
        summary = rematch(findings, banks, target, radius_bits=radius, progress=progress.show, csv=csv, vics=vics)
    if json:
        emit(summary)
    else:
        say(*tell_summary(summary, target))
    return judge_summary(summary, findings)


def _beside(findings: str) -> Path:
    source = Path(findings).absolute()
    folder = source if source.is_dir() else source.parent
    if not folder.name:
        raise ConfigError("no folder can be made beside it", where=findings, mend="name one: --out DIR")
    return folder.with_name(f"{folder.name}-rematch")
