"""Who works in the office at this moment: many at once, or one alone that nobody else may disturb. Decides nothing.

The lock is that of a file in LEADLINE_HOME and goes when its process ends, however it ends. A restore that was stopped
half-way leaves a mark there; nothing is served from such an office until the restore is repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from leadline.custody.anchor import sync_folder
from leadline.errors import ConfigError, WrongState


def lock_path() -> Path:
    return Path(settings.LEADLINE_HOME) / "running.lock"


def mark_path() -> Path:
    return Path(settings.LEADLINE_HOME) / "restoring"


@contextmanager
def at_work(*, alone: bool = False) -> Iterator[None]:
    """Until the block ends. WrongState where somebody is at work that this cannot go on beside."""
    descriptor = _take(alone=alone)
    try:
        yield
    finally:
        os.close(descriptor)  # processes that were forked meanwhile hold a copy, and with it the lock


def stay_at_work() -> None:
    """The same until this process ends."""
    _take(alone=False)  # never closed: with the last process that has it the lock goes


def _take(*, alone: bool) -> int:
    lock_path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(lock_path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        raise _taken(alone=alone) from None
    return descriptor


def _taken(*, alone: bool) -> WrongState:
    if alone:
        mend = "stop `leadline up` and every worker and server first, on all machines"
        return WrongState("the office is at work", where=str(lock_path()), mend=mend)
    mend = "wait until it is done, then start again"
    return WrongState("a restore, or a change of keys, is under way", where=str(lock_path()), mend=mend)


# --- a restore that is under way -------------------------------------------------------------------------------------


def begin_restore(said: dict[str, Any]) -> None:
    """From here on nothing is served until `end_restore`. What is said is what a repeated restore goes on from."""
    path, partial = mark_path(), mark_path().with_name(".restoring.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(0o600)
    partial.replace(path)
    sync_folder(path.parent)


def restore_under_way() -> dict[str, Any] | None:
    try:
        untrusted = json.loads(mark_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return untrusted if isinstance(untrusted, dict) else {}


def end_restore() -> None:
    mark_path().unlink()
    sync_folder(mark_path().parent)


def refuse_half_restored() -> None:
    """ConfigError while a restore has not come to its end: rows and vault may not fit each other."""
    if restore_under_way() is not None:
        mend = "run `leadline restore --replace BACKUP` again; it goes on where it stopped"
        raise ConfigError("a restore was stopped half-way", where=str(mark_path()), mend=mend)
