"""What left a bank as a list, when, why and by whom: lines beside it, only added to. Writes no list."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from leadline.domain import Kind
from leadline.errors import BankError, ConfigError
from leadline.match.bank import Bank
from leadline.match.folder import EXPORTS, sync_folder

GUARDED = (Kind.ILLEGAL, Kind.EXPLOITATIVE)
MAX_REASON_CHARS = 1000


class ExportRecord:
    """One export: a line before its first byte leaves, another when all are written; both synced.

    An export that was cut off has the first line alone.
    """

    def __init__(self, bank: Bank, how: str, reason: str, *, now_s: float | None = None) -> None:
        self._bank, self._now_s = bank, now_s
        self._told = {"export": secrets.token_hex(8), "format": how, "list_version": bank.list_version}
        self._write({"state": "begun", **self._told, "reason": reason, "user": _user()})

    def finish(self, entries: int, size_bytes: int, sha256: str) -> None:
        """What was written: entries, bytes, and the SHA-256 of all bytes in hexadecimal digits."""
        told = {"entries": entries, "bytes": size_bytes, "sha256": sha256}
        self._write({"state": "written", **self._told, **told})

    def _write(self, told: Mapping[str, object]) -> None:
        seconds = time.time() if self._now_s is None else self._now_s
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        append_line(self._bank.path / EXPORTS, json.dumps({"time": moment, **told}))


def check_reason(bank: Bank, reason: str) -> str:
    """The reason without blanks around it. ConfigError where the bank holds what needs one, and there is none."""
    reason, kinds = reason.strip(), held_kinds(bank)
    if not reason and (guarded := [kind for kind in GUARDED if kind in kinds]):
        mend = "say why: --reason TEXT; it is recorded beside the bank"
        raise ConfigError(f"entries of kind {' and '.join(guarded)} leave with a reason", where=bank.name, mend=mend)
    if len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise ConfigError("no reason in one line", where=bank.name, mend=f"at most {MAX_REASON_CHARS} characters")
    return reason


def held_kinds(bank: Bank) -> set[Kind]:
    """The bank's own kind, and those of its entries."""
    return {bank.kind, *(kind for kind, count in bank.info().by_kind.items() if count)}


def append_line(path: Path, text: str) -> None:
    """One line more, on disk when this returns; whole lines alone, whoever else writes. BankError if it cannot be."""
    try:
        is_new = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(fd).st_size
            is_torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            data = (("\n" if is_torn else "") + text + "\n").encode()
            if os.write(fd, data) != len(data):
                raise BankError("the disk is full", where=str(path), mend="make room")
            os.fsync(fd)
        finally:
            os.close(fd)
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        mend = "an export is recorded beside its bank: make the folder writable"
        raise BankError(f"not recorded: {error.strerror}", where=str(path), mend=mend) from error


def _user() -> dict[str, object]:
    """Of the operating system; not from the environment, which anybody sets."""
    uid = os.getuid()
    try:
        return {"uid": uid, "name": pwd.getpwuid(uid).pw_name}
    except KeyError:
        return {"uid": uid}
