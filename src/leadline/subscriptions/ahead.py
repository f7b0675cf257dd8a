"""A source's next pages are fetched and read while those before go into the bank. Changes no order, no contents."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from leadline.exchange.connector import Page

_PAGES = 2  # more would not be faster, and pages may be long
_COLLECT_PAGES = 50
_LOOK_S = 0.1  # how often a reader that waits for room looks whether anybody still wants it
_LEAVE_S = 2.0  # a reader that waits for its source is not waited for
_Item: TypeAlias = "Page | BaseException | None"


@contextmanager
def read_ahead(pages: Iterator[Page]) -> Iterator[Iterator[Page]]:
    """The same pages. What the source raises is raised in its place; all pages before it come first."""
    ready: queue.Queue[_Item] = queue.Queue(_PAGES)
    is_over = threading.Event()
    reader = threading.Thread(target=_read, args=(pages, ready, is_over), name="source", daemon=True)
    reader.start()
    try:
        with _collecting_later():
            yield _take(ready)
    finally:
        is_over.set()
        reader.join(_LEAVE_S)


def _take(ready: queue.Queue[_Item]) -> Iterator[Page]:
    taken = 0
    while isinstance(item := ready.get(), Page):
        yield item
        taken += 1
        if taken % _COLLECT_PAGES == 0:  # answers of a source are cycles
            gc.collect()
    if item is not None:
        raise item


def _read(pages: Iterator[Page], ready: queue.Queue[_Item], is_over: threading.Event) -> None:
    try:
        for page in pages:
            if not _put(page, ready, is_over):
                return
        _put(None, ready, is_over)
    except BaseException as error:  # whatever it was: the other thread waits for it
        _put(error, ready, is_over)


def _put(item: _Item, ready: queue.Queue[_Item], is_over: threading.Event) -> bool:
    """False where nobody takes it any more."""
    while not is_over.is_set():
        try:
            ready.put(item, timeout=_LOOK_S)
            return True
        except queue.Full:
            continue
    return False


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Records hold no cycles, and would be looked through for some again and again: 15 % of a pull."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
