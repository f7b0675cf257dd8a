"""Hears that a worker is told to end, before the server does: it waits for answers that would go on for ever."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heard(do: Callable[[], None]) -> Iterator[None]:
    """`do` is called in the running loop at the first SIGTERM or SIGINT; whoever listened before is told as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(do)
        others = before[signal.Signals(number)]
        if callable(others):
            others(number, frame)

    for number in before:
        signal.signal(number, hear)
        signal.siginterrupt(number, False)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
