"""What subscribers of a bank said and read: a file of JSON lines beside the bank, synced, only added to. No hash in it.

`feedback`: what a subscriber found of one fingerprint of an entry. `read`: until when a subscriber has read the list.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from leadline.errors import BankError
from leadline.match.folder import SUBSCRIBERS
from leadline.service.tokens import Token

_READ_AGAIN_S = 3600


class Feedback(msgspec.Struct, frozen=True):
    """fingerprint: as the protocol names it. reasons: none for an affirmation."""

    at: int
    entry: int
    fingerprint: str
    reasons: tuple[str, ...] = ()


class _Line(msgspec.Struct):
    act: str
    member: str
    at: int
    entry: int = 0
    fingerprint: str = ""
    reasons: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(_Line).decode


def member_number(name: str) -> int:
    """Of a subscriber, by the name of its token, so that it stays when the token is renewed. Greater than 1."""
    return 2 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:5], "big")


class Subscribers:
    """Of one bank, for all workers. Waits for the disk: in threads only."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = folder / SUBSCRIBERS, clock
        self._mutex = threading.Lock()
        self._read_bytes = 0
        self._said: dict[tuple[str, int], dict[str, Feedback]] = {}
        self._reads: dict[str, int] = {}

    def give_feedback(self, token: Token, entry: int, fingerprint: str, reasons: tuple[str, ...]) -> None:
        """What was said before of the same fingerprint counts no more. BankError: it is not noted."""
        verdict = "negative" if reasons else "affirmative"
        said = {"entry": entry, "fingerprint": fingerprint, "verdict": verdict, "reasons": reasons}
        try:
            self._append({"act": "feedback", **_who(token), **said})
        except OSError as error:
            what = f"the feedback was not noted: {error.strerror}"
            raise BankError(what, where=str(self._path), mend="free disk space, check permissions") from error

    def note_read(self, token: Token, until: int, count: int) -> None:
        """A subscriber has read all until a time; noted where there was anything, and about once an hour. OSError."""
        now = int(self._clock())
        if not count and now - self._reads.get(token.name, 0) < _READ_AGAIN_S:
            return
        self._reads[token.name] = now
        self._append({"act": "read", **_who(token), "until": until, "entries": count})

    def feedback_of(self, token: Token, entries: Iterable[int]) -> dict[int, list[Feedback]]:
        """What this subscriber said of some entries; never what others said. OSError."""
        with self._mutex:
            self._catch_up()
            found = {entry: self._said.get((token.name, entry), {}) for entry in entries}
        return {entry: list(said.values()) for entry, said in found.items() if said}

    def _append(self, told: Mapping[str, Any]) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            begins = os.fstat(fd).st_size
            is_torn = begins > 0 and os.pread(fd, 1, begins - 1) != b"\n"  # by a kill: the half line is passed over
            line = msgspec.json.encode({"at": int(self._clock()), **told})
            left = memoryview((b"\n" if is_torn else b"") + line + b"\n")
            try:
                while left:
                    left = left[os.write(fd, left) :]
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, begins)
                raise
        finally:
            os.close(fd)

    def _catch_up(self) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self._read_bytes:  # it was put back from a copy
            self._read_bytes, self._said = 0, {}
        if size == self._read_bytes:
            return
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            lines = file.read(size - self._read_bytes)
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            said = _decode(line)
        except msgspec.DecodeError:
            return  # a line that was cut off by a kill
        if said.act == "feedback":
            given = Feedback(said.at, said.entry, said.fingerprint, said.reasons)
            self._said.setdefault((said.member, said.entry), {})[said.fingerprint] = given


def _who(token: Token) -> dict[str, str]:
    return {"token": token.id, "member": token.name}
