"""`leadline journal`: the custody chain of the office, carried out for whoever checks it, and checked here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_WRONG, complain, emit, say
from leadline.custody import verify
from leadline.errors import ChainBroken, InputError

app = typer.Typer(rich_markup_mode=None, help="Carry the office's custody chain out, or check it.")


@app.command("export")
def export_command(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="New folder for it.")], json: Json = False
) -> int:
    """Write the whole chain, its anchors, their timestamps and the public key into a new folder.

    Check it anywhere: `leadline verify FOLDER/custody.jsonl --key FOLDER/key.hex`, better with a key and with anchors
    that you got another way. Lines hold ids, codes and hashes; no text, no names, no evidence.

    \b
    Examples:
      leadline journal export /mnt/out/chain-2026-11

    Exit codes: 0 written, 1 the folder is there already, or the disk refuses.
    """
    set_up_office()
    from leadline.workbench import chain

    target = Path(folder)
    try:
        target.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise InputError("it is there already", where=folder, mend="name a new folder") from None
    with (target / "custody.jsonl").open("xb") as file:
        count = sum(1 for line in chain.lines() if file.write(line))
    chain.write_proofs(target)
    if json:
        emit({"folder": str(target), "lines": count})
    else:
        say(f"{count} lines  {target}")
    return EXIT_DONE


@app.command("verify")
def verify_command(json: Json = False) -> int:
    """Check the chain in the database: against itself, its stored hashes, every anchor and every timestamp.

    Whoever owns this machine can change all of these; what was changed with them is told only by an anchor that
    reached somebody else: `leadline journal export`, then `leadline verify --anchor`.

    \b
    Examples:
      leadline journal verify

    Exit codes: 0 it holds, 4 found wrong.
    """
    set_up_office()
    from leadline.workbench import chain

    result = chain.check()
    if json:
        emit(verify.make_record(result))
    else:
        say(*verify.describe(result))
    if not result.ok:
        line = result.first_wrong_line
        where = f"custody line {line}" if line else result.faults[0].where
        complain(ChainBroken("the office's chain does not hold", where=where, mend="stop writing; call someone"))
    return EXIT_DONE if result.ok else EXIT_WRONG
