"""`leadline backup` and `leadline restore`: the whole office, there and back. Neither copies keys or erasures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_PARTLY, complain, emit, say
from leadline.errors import BankCorrupt, SealBroken


def backup_command(
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Where to; else LEADLINE_BACKUPS.")] = "",
    json: Json = False,
) -> int:
    """Copy database, sealed files, banks and exhibits into a new folder, while the office goes on working.

    Keys are not in it: keep them apart, for without the instance key nothing that is sealed opens. Nor is the list of
    erasures and holds: it must outlive every backup, so that what was erased stays so, and what is on hold too.

    \b
    Examples:
      leadline backup
      leadline backup --to /mnt/safe

    Exit codes: 0 complete, 1 nothing was backed up, 3 made, but for damaged files or banks, which are named here and
    in its backup.json.
    """
    set_up_office()
    from django.conf import settings

    from leadline.workbench.backup import make_backup
    from leadline.workbench.evidence.actions import note_backup
    from leadline.workbench.running import at_work

    with at_work():
        made = make_backup(Path(to) if to else settings.LEADLINE_BACKUPS, _quiet if json else say)
        note_backup(made.folder.name, damaged=len(made.damaged) + len(made.banks))
    for sha256 in made.damaged:
        complain(SealBroken("a sealed file is damaged and not in it", where=sha256, mend="see `leadline vault verify`"))
    for name in made.banks:
        complain(BankCorrupt("a bank does not open from it", where=name, mend="see `leadline bank verify`"))
    if json:
        emit({"backup": str(made.folder), "damaged": list(made.damaged), "banks": list(made.banks)})
    else:
        say(f"backup  {made.folder}")
    return EXIT_PARTLY if made.damaged or made.banks else EXIT_DONE


def restore_command(
    backup: Annotated[str, typer.Argument(metavar="BACKUP", help="Folder of a backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the office that is here aside. It is not deleted.")
    ] = False,
    json: Json = False,
) -> int:
    """Bring the office back from a backup. Stop the workbench first, on all machines.

    Every file of the backup is checked before anything is touched. Then the list of erasures is replayed, so that
    what was erased since stays unreadable and what is on hold stays so, and a custody line says which part of the
    chain is missing. A restore that was stopped goes on when it is said again with --replace; until then nothing
    serves this office.

    \b
    Examples:
      leadline restore /mnt/safe/leadline-20261123T030000Z
      leadline restore --replace /mnt/safe/leadline-20261123T030000Z

    Exit codes: 0 restored, 1 the backup is damaged, the office is at work, or it stopped half-way; 2 an office is here
    already, or a key is missing; 3 restored, but for files that were damaged when the backup was made.
    """
    set_up_office(restoring=True)
    from leadline.workbench.backup import restore_backup
    from leadline.workbench.running import at_work

    with at_work(alone=True):
        restored = restore_backup(Path(backup), replace=replace, say=_quiet if json else say)
    record = {"backup": restored.backup, "line": restored.line, "head": restored.head, "erased_again": restored.erased}
    record |= {"damaged": list(restored.damaged)}
    for sha256 in restored.damaged:
        complain(SealBroken("was damaged when it was backed up", where=sha256, mend="use another backup for it"))
    if json:
        emit(record)
    else:
        say(f"restored up to line {restored.line}; {restored.erased} files stay erased")
    return EXIT_PARTLY if restored.damaged else EXIT_DONE


def _quiet(_: str) -> None:
    """Nothing but the answer on standard output."""
