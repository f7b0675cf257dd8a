"""A kill at any step of what changes files, inside one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """As of a process: nothing catches it."""


@contextmanager
def killed_at(number: int, steps: Iterable[tuple[type, str]]) -> Iterator[None]:
    """The process ends before (even numbers) or after (odd ones) the step number//2 of these methods."""
    done = 0

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if number == 2 * done - 2:
                raise Killed
            result = real(*arguments, **named)
            if number == 2 * done - 1:
                raise Killed
            return result

        return step

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in steps:
            patch.setattr(owner, name, wrapped(getattr(owner, name)))
        yield
