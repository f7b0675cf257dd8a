"""One change of a bank asked for over HTTP: in its turn, once, written down with its token. Knows no bank."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from leadline.errors import BankError, BankLocked
from leadline.service.changelog import ChangeLog
from leadline.service.kept import hold
from leadline.service.repeats import Repeats, Reply, Turn

_WAIT_S = 10.0
log = logging.getLogger("leadline.service")


@dataclass(frozen=True, slots=True)
class Act:
    """Who asks for what, of which bank. key: for idempotency, empty for none. request: what makes it the same one."""

    token_id: str
    name: str
    bank: str
    key: str
    request: bytes


Work = Callable[[Turn], tuple[int, Mapping[str, Any]]]


class Acts:
    """Of one state folder. Waits for files: in threads only."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._locks = folder / "locks"
        self.repeats = Repeats(folder / "keys", clock=clock)
        self._changes = ChangeLog(folder / "changes", clock=clock)

    def perform(self, act: Act, work: Work) -> Reply:
        """Do it, unless it was done. RequestRefused, BankLocked or BankError where nothing was changed."""
        try:
            with self.repeats.turn(act.token_id, act.key, act.request) as turn:
                if turn.reply is not None:
                    return turn.reply
                with self.alone(act.bank):
                    status, told = work(turn)
                reply = Reply(status, msgspec.Raw(msgspec.json.encode(told)))
                _keep(lambda: turn.finish(reply))
                return reply
        except OSError as error:
            raise BankError(f"nothing was changed: {error.strerror}", mend="free disk space, retry") from error

    @contextmanager
    def noted(self, act: Act, facts: Mapping[str, Any]) -> Iterator[Callable[[int, Sequence[int]], None]]:
        """Write down who is about to change what; what is yielded writes down what became of it. OSError before."""
        change = self._changes.begin(act.token_id, act.name, act.bank, facts)
        yield lambda list_version, ids: _keep(lambda: self._changes.finish(change, list_version, ids))

    @contextmanager
    def alone(self, bank: str, *, wait_s: float = _WAIT_S) -> Iterator[None]:
        """The turn of a bank's name, among all workers. BankLocked where it stays another's for so long."""
        lock = self._locks / f"{hashlib.sha256(bank.encode()).hexdigest()[:32]}.lock"
        with ExitStack() as stack:
            try:
                stack.enter_context(hold(lock, wait_s=wait_s))
            except BlockingIOError:
                raise BankLocked("another writer is at work", mend="retry when it has finished") from None
            yield


def _keep(write: Callable[[], None]) -> None:
    """After the change: it stands, whatever the disk says now, and a repeated request finds it by its plan."""
    try:
        write()
    except OSError as error:
        log.warning("a change was made and its end not written down: %s", error.strerror)
