"""Removing a bank as a whole: its manifest first, so that nobody takes what is left for a bank. Asks nobody."""

from __future__ import annotations

import os
from pathlib import Path

from leadline.errors import BankError
from leadline.match.folder import EXPORTS, MERGE_LOCK, WRITE_LOCK, hold_lock, is_bank_file, sync_folder
from leadline.match.manifest import FILE_NAME


def remove_bank(path: Path, *, lock_timeout_s: float = 10.0) -> None:
    """Remove the bank's files, and its folder where nothing else lies in it. Who has it open goes on reading it.

    What is recorded of exports stays.

    BankLocked where a merge or writer is at work; BankError where a file cannot be removed.
    """
    with hold_lock(path, MERGE_LOCK, lock_timeout_s), hold_lock(path, WRITE_LOCK, lock_timeout_s):
        try:
            (path / FILE_NAME).unlink(missing_ok=True)
            sync_folder(path)
            for name in os.listdir(path):
                if is_bank_file(name) and name != EXPORTS:
                    (path / name).unlink(missing_ok=True)
            if not os.listdir(path):
                path.rmdir()
                sync_folder(path.parent)
        except OSError as error:
            raise BankError(f"not removed: {error.strerror}", where=str(path), mend="remove it by hand") from error
