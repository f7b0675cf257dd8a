"""`leadline demo`: the main job on pictures that Leadline draws itself. The work is in scan/demo.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Json, UnsafeDecode
from leadline.cli.output import EXIT_DONE, EXIT_WRONG, complain, emit, say, table
from leadline.cli.progress import ScanProgress
from leadline.cli.scan import tell_summary
from leadline.errors import ScanError


def demo_command(
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="A new folder, or that of an earlier demo, which is emptied.")
    ] = "demo",
    unsafe_decode: UnsafeDecode = False,
    json: Json = False,
) -> int:
    """Draw benign pictures and altered copies of them, make lists of some, and scan the rest against these.

    What must be found is known beforehand, so the demo is a check too. Its kinds are labels on drawn scenes.

    \b
    Examples:
      leadline demo --out demo

    Exit codes: 0 all verdicts as they must be, 4 some were not.
    """
    from leadline.scan.demo import run_demo

    with ScanProgress() as progress:
        result = run_demo(Path(out), progress=progress.show, unsafe_decode=unsafe_decode)
    if json:
        emit(result.summary)
    else:
        say(*tell_summary(result.summary, result.report.parent))
    if result.as_expected:
        return EXIT_DONE
    wanted = "; ".join(table(result.expected.items()))
    complain(ScanError(f"verdicts are not as they must be: {wanted}", where=out, mend="see `leadline doctor`"))
    return EXIT_WRONG
