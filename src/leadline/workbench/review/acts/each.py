"""One after the other, each by itself: what fails for one stops no other, and is told at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("leadline.review")


def each(things: Iterable[T], act: Callable[[T], int]) -> int:
    """The sum of what `act` gave. Raises the first failure after all were tried: the duty is marked as failed."""
    done, first = 0, None
    for thing in things:
        try:
            done += act(thing)
        except Exception as error:
            log.error("%s failed for one: %s", act.__name__, type(error).__name__)  # its text might hold evidence
            first = first or error
    if first is not None:
        raise first
    return done
