"""Long work that gives way to look-ups: in a process of its own, on what of the processor and the disk nobody wants."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

_AGAIN_S = 60.0
T = TypeVar("T")


def start_merger(bank: Path, *, is_waited_for: bool) -> threading.Thread:
    """`match/merger.py` as a process, which outlives this one; the thread that waits for its end.

    In the session of its starter: where the system gives each session its share of the processor, only within one does
    a thread give way to another.
    """
    merger = subprocess.Popen(  # noqa: S603 (our own interpreter, our own code)
        [sys.executable, "-m", "leadline.match.merger", str(bank.absolute()), *(["--now"] if is_waited_for else [])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # an interrupt from the keyboard is not for it
    )
    waiting = threading.Thread(target=_wait_for, args=(merger,), name=f"merge {bank.name}", daemon=True)
    waiting.start()
    return waiting


def _wait_for(merger: subprocess.Popen[bytes]) -> None:
    if merger.wait():
        time.sleep(_AGAIN_S)  # what was refused (a full disk, another at work) is not tried again with each change


@contextmanager
def giving_way() -> Iterator[Callable[[Callable[[], T]], T]]:
    """From here on this thread, and those it starts, run where no other wants the processor, and never otherwise again:
    without a privilege there is no way back. What is yielded runs a function in a thread that does not give way.

    For a process of its own only: a thread that gives way while it holds the interpreter's lock stops all others.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="promptly") as prompt:
        prompt.submit(int).result()  # begun before: threads inherit how they are scheduled
        # Of this thread alone, and for the disk too. Not allowed, or not Linux: as others then.
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        yield lambda work: prompt.submit(work).result()
