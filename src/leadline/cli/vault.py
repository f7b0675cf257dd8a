"""`leadline vault`: everything that is sealed, read again; and a new key for all of it. Shows no content."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_PARTLY, EXIT_WRONG, complain, emit, say
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
    from leadline.workbench.running import at_work

    with at_work():
        found = check_vault()
    for fault in found.faults:
        complain(SealBroken(fault, where="vault", mend="restore it from a backup; call someone"))
    if json:
        emit({"files": found.files, "unrecorded": found.unrecorded, "sound": not found.faults, "faults": found.faults})
    elif not found.faults:
        say(f"sound: {found.files} sealed files, {found.unrecorded} of them not recorded yet")
    return EXIT_WRONG if found.faults else EXIT_DONE


@app.command("erasures")
def erasures_command(
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to; a copy that is there is replaced.")],
    json: Json = False,
) -> int:
    """Copy the list of erasures and holds to a place apart, such as a disk of another machine. Do it daily.

    It holds hashes, reason codes and times. Without the newest one, a restored backup brings back what was erased
    since, and forgets which files may not be erased.

    \b
    Examples:
      leadline vault erasures --out /mnt/other/erasures

    Exit codes: 0 copied, 1 the list is damaged, or the disk refuses.
    """
    set_up_office()
    from leadline.workbench.sealing import open_vault

    stands = open_vault().erasures.copy_to(Path(out).absolute())
    if json:
        emit({"line": stands.line, "hash": stands.hash})
    else:
        say(f"line {stands.line}  {stands.hash}")
    return EXIT_DONE


@app.command("rotate")
def rotate_command(json: Json = False) -> int:
    """Make a new instance key and wrap every data key under it. The sealed bytes stay as they are.

    The office may go on working: its processes take up the new key at once. Copy the new key to every other machine,
    and to where you keep it offline. The key before stays beside the new one, and this command, run again, makes no
    other but finishes; `leadline vault forget-key` removes it.

    \b
    Examples:
      leadline vault rotate

    Exit codes: 0 all under the new key, 1 stopped half-way (run it again), 2 the key is missing or open to others,
    3 done, but for damaged files or fields, which are named.
    """
    set_up_office()
    from leadline.workbench.evidence.actions import rotate_key
    from leadline.workbench.running import at_work

    with at_work():
        done, damaged = rotate_key()
    for one in damaged:
        complain(SealBroken("does not open, and was passed over", where=one, mend="restore it from a backup"))
    if json:
        emit({**done, "damaged": damaged})
    else:
        say(*(f"{name}  {value}" for name, value in done.items()))
        say("copy the new key offline now; once that is done, stop the office and run `leadline vault forget-key`")
    return EXIT_PARTLY if damaged else EXIT_DONE


@app.command("forget-key")
def forget_key_command(json: Json = False) -> int:
    """Remove the instance keys of before, once nothing is sealed under them any more. Stop the workbench first.

    Everything is looked through again; where one data key is still under a key of before, none is removed. Afterwards
    backups from before the change open only where a copy of the old key is kept.

    \b
    Examples:
      leadline vault forget-key

    Exit codes: 0 removed, or there was none, 1 the office is at work, or something still needs an old key.
    """
    set_up_office()
    from leadline.workbench.evidence.actions import forget_older_keys
    from leadline.workbench.running import at_work

    with at_work(alone=True):
        forgotten = forget_older_keys()
    if json:
        emit({"forgotten": forgotten})
    else:
        say(*(f"forgotten  {key_id}" for key_id in forgotten))
    return EXIT_DONE
