"""`leadline vault`: everything that is sealed, read again; and a new key for all of it. Shows no content."""

from __future__ import annotations

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_WRONG, complain, emit, say
from leadline.errors import SealBroken

app = typer.Typer(rich_markup_mode=None, help="Check the sealed files, or change the key they are sealed under.")


@app.command("verify")
def verify_command(json: Json = False) -> int:
    """Read every sealed file again, and hold what is there against what the office says it keeps.

    \b
    Examples:
      leadline vault verify

    Exit codes: 0 sound, 4 found wrong, 2 the key is missing or open to others.
    """
    set_up_office()
    from leadline.workbench.evidence.actions import check_vault

    found = check_vault()
    for fault in found.faults:
        complain(SealBroken(fault, where="vault", mend="restore it from a backup; call someone"))
    if json:
        emit({"files": found.files, "unrecorded": found.unrecorded, "sound": not found.faults, "faults": found.faults})
    elif not found.faults:
        say(f"sound: {found.files} sealed files, {found.unrecorded} of them not recorded yet")
    return EXIT_WRONG if found.faults else EXIT_DONE


@app.command("rotate")
def rotate_command(json: Json = False) -> int:
    """Make a new instance key and wrap every data key under it. The sealed bytes stay as they are.

    The key before stays beside the new one until you remove it. Once you do, older backups open no more.

    \b
    Examples:
      leadline vault rotate

    Exit codes: 0 all under the new key, 1 stopped half-way (run it again), 2 the key is missing or open to others.
    """
    set_up_office()
    from leadline.workbench.evidence.actions import rotate_key

    done = rotate_key()
    if json:
        emit(done)
    else:
        say(*(f"{name}  {value}" for name, value in done.items()))
    return EXIT_DONE
