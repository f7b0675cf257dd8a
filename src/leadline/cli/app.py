"""All commands under one name. Holds no behaviour of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from leadline import __version__
from leadline.cli import (
    backup,
    bank,
    case,
    compare,
    demo,
    doctor,
    exchange,
    feed,
    hash,
    journal,
    match,
    people,
    rematch,
    scan,
    search,
    serve,
    token,
    up,
    vault,
    verify,
)
from leadline.cli.config import load_settings
from leadline.cli.output import say
from leadline.cli.run import ReaderGone
from leadline.errors import Interrupted

EXIT_CODES = """Exit codes of every command: 0 all done; 1 nothing done; 2 wrong use or configuration; 3 done, with some
inputs refused or unreadable; 4 checked and found wrong (doctor, verify); 130 stopped by you, can resume; 141 the
reader of the output went away. What is named and is not there is an input: 1, or 3 where others were done.
Faults stand on standard error as `leadline: WHAT (WHERE): HOW TO MEND`."""


class Commands(TyperGroup):
    """Lets a stop by the person and a closed pipe reach `run` before typer makes its own of them."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("stopped by you", mend="run the same command again") from None
        except BrokenPipeError:
            raise ReaderGone from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Recognise known files: hash, match and scan against banks of fingerprints.",
    epilog=EXIT_CODES,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"leadline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and stop.")
    ] = False,
) -> None:
    load_settings()  # so that every command refuses settings it does not know


app.command("hash")(hash.hash_command)
app.add_typer(bank.app, name="bank")
app.add_typer(exchange.app, name="exchange")
app.add_typer(feed.app, name="feed")
app.command("match")(match.match_command)
app.command("compare")(compare.compare_command)
app.command("scan")(scan.scan_command)
app.command("rematch")(rematch.rematch_command)
app.command("verify")(verify.verify_command)
app.command("doctor")(doctor.doctor_command)
app.command("demo")(demo.demo_command)
app.command("up")(up.up_command)
app.command("serve")(serve.serve_command)
app.add_typer(token.app, name="token")
app.add_typer(people.app, name="people")
app.add_typer(vault.app, name="vault")
app.add_typer(journal.app, name="journal")
app.add_typer(case.app, name="case")
app.add_typer(search.app, name="search")
app.command("backup")(backup.backup_command)
app.command("restore")(backup.restore_command)
