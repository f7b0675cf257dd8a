"""`leadline backup` and `leadline restore`: the whole office, there and back. Neither copies keys or erasures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.office import set_up_office
from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, emit, say


def backup_command(
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Where to; else LEADLINE_BACKUPS.")] = "",
    json: Json = False,
) -> int:
    """Copy database, sealed files, banks and exhibits into a new folder, while the office goes on working.

    Keys are not in it: keep them apart, for without them nothing in it opens. Nor is the list of erasures: it must
    outlive every backup, so that what was erased stays so.

    \b
    Examples:
      leadline backup
      leadline backup --to /mnt/safe

    Exit codes: 0 complete, 1 nothing was backed up.
    """
    set_up_office()
    from django.conf import settings

    from leadline.workbench.backup import make_backup
    from leadline.workbench.evidence.actions import note_backup
    from leadline.workbench.running import at_work

    with at_work():
        made = make_backup(Path(to) if to else settings.LEADLINE_BACKUPS, _quiet if json else say)
        note_backup(made.name)
    if json:
        emit({"backup": str(made)})
    else:
        say(f"backup  {made}")
    return EXIT_DONE


def restore_command(
    backup: Annotated[str, typer.Argument(metavar="BACKUP", help="Folder of a backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move the office that is here aside. It is not deleted.")
    ] = False,
    json: Json = False,
) -> int:
    """Bring the office back from a backup. Stop the workbench first.

    Every file of the backup is checked before anything is touched. Then the list of erasures is replayed, so that
    what was erased since stays unreadable, and a custody line says which part of the chain is missing.

    \b
    Examples:
      leadline restore /mnt/safe/leadline-20261123T030000Z
      leadline restore --replace /mnt/safe/leadline-20261123T030000Z

    Exit codes: 0 restored, 1 the backup is damaged, 2 an office is here already, or a key is missing.
    """
    set_up_office()
    from leadline.workbench.backup import restore_backup
    from leadline.workbench.running import at_work

    with at_work(alone=True):
        restored = restore_backup(Path(backup), replace=replace, say=_quiet if json else say)
    record = {"backup": restored.backup, "line": restored.line, "head": restored.head, "erased_again": restored.erased}
    if json:
        emit(record)
    else:
        say(f"restored up to line {restored.line}; {restored.erased} files stay erased")
    return EXIT_DONE


def _quiet(_: str) -> None:
    """Nothing but the answer on standard output."""
