"""`leadline search`: the index of words, made anew. Finds nothing itself."""

from __future__ import annotations

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, emit, say

app = typer.Typer(rich_markup_mode=None, help="The index of words that the workbench finds things by.")


@app.callback()
def _only_named() -> None:
    """So that the one command below has a name of its own."""


@app.command("rebuild")
def rebuild_command(json: Json = False) -> int:
    """Empty the index and fill it from the office's rows, here and now; the office may go on working.

    Never needed in order: a worker follows every act, and does this by itself when LEADLINE_SEARCH_FIELDS changes.
    Until it is full again not everything is found by words.

    \b
    Examples:
      leadline search rebuild

    Exit codes: 0 made anew, 2 a setting or a key is missing.
    """
    set_up_office()
    from leadline.workbench.running import at_work
    from leadline.workbench.search.actions import fill

    with at_work():
        count = fill()
    if json:
        emit({"rows": count})
    else:
        say(f"{count} things are found by words")
    return EXIT_DONE
