"""Idempotency keys: the same request, sent again, is done once and answered the same. Kept for seven days.

A turn has two phases. `begin` writes what the work starts from (its plan) before anything is changed; `finish` writes
the answer. A worker that is killed in between leaves a plan without an answer, and whoever sends the request again
gets that plan back: with it the work tells what it has done already from what is left (see curation.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from leadline.errors import BankLocked, RequestRefused
from leadline.service.kept import hold, write_whole

KEPT_S = 7 * 86_400
_WAIT_S = 10.0


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw


class _Record(msgspec.Struct, frozen=True):
    """digest: of the request, so that its key is not used for another one."""

    digest: str
    at: int
    plan: dict[str, Any]
    reply: Reply | None = None


class Turn:
    """One request's turn. plan: of an earlier try that was cut off; reply: of one that came to its end."""

    def __init__(self, path: Path | None, digest: str, known: _Record | None, now: int) -> None:
        self._path, self._digest, self._now = path, digest, now
        self.plan = known.plan if known is not None else None
        self.reply = known.reply if known is not None else None

    def begin(self, plan: dict[str, Any]) -> None:
        """Write down what the work starts from. OSError: then nothing may be changed."""
        self._write(_Record(self._digest, self._now, plan))
        self.plan = plan

    def finish(self, reply: Reply) -> None:
        assert self.plan is not None
        self._write(_Record(self._digest, self._now, self.plan, reply))

    def _write(self, record: _Record) -> None:
        if self._path is not None:
            write_whole(self._path, msgspec.json.encode(record))


class Repeats:
    """Of one state folder. A key belongs to its token."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock

    @contextmanager
    def turn(self, token_id: str, key: str, request: bytes) -> Iterator[Turn]:
        """The turn of a request; no other of the same key is at work meanwhile. key: empty for none.

        RequestRefused `key-reused` where the key was another request's; BankLocked where one is at work for long.
        """
        if not key:
            yield Turn(None, "", None, 0)
            return
        name = hashlib.sha256(f"{token_id}\0{key}".encode()).hexdigest()
        path = self._folder / name[:2] / f"{name}.json"
        with ExitStack() as stack:
            try:
                stack.enter_context(hold(path.with_name("lock"), wait_s=_WAIT_S))
            except BlockingIOError:
                raise BankLocked("a request of this key is at work", mend="retry when it has finished") from None
            digest, known = hashlib.sha256(request).hexdigest(), self._read(path)
            if known is not None and known.digest != digest:
                mend = "give every request a key of its own"
                raise RequestRefused("this key was another request's", status=409, code="key-reused", mend=mend)
            yield Turn(path, digest, known, int(self._clock()))

    def prune(self) -> int:
        """Forget the keys that are older than seven days; how many."""
        forgotten, oldest = 0, self._clock() - KEPT_S
        for path in self._folder.glob("*/*.json"):
            try:
                with hold(path.with_name("lock"), wait_s=0):
                    if path.stat().st_mtime < oldest:
                        path.unlink()
                        forgotten += 1
            except (BlockingIOError, FileNotFoundError):
                continue
        return forgotten

    def _read(self, path: Path) -> _Record | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Record)
        except FileNotFoundError:
            return None
