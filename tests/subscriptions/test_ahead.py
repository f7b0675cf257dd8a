"""Reading ahead gives the same pages in the same order, and a fault where it stands."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from leadline.errors import SourceUnavailable
from leadline.exchange.connector import Page
from leadline.subscriptions.ahead import read_ahead


def pages(count: int, then: BaseException | None = None, taken: list[int] | None = None) -> Iterator[Page]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield Page((), {"at": number})
    if then is not None:
        raise then


def test_all_pages_come_in_order() -> None:
    with read_ahead(pages(20)) as ahead:
        assert [page.checkpoint["at"] for page in ahead] == list(range(20))


@pytest.mark.parametrize("fault", [SourceUnavailable("away"), KeyboardInterrupt(), ValueError("odd")])
def test_a_fault_comes_after_all_pages_before_it(fault: BaseException) -> None:
    seen = []

    def take_all() -> None:
        with read_ahead(pages(5, fault)) as ahead:
            for page in ahead:
                seen.append(page.checkpoint["at"])

    with pytest.raises(type(fault)):
        take_all()
    assert seen == [0, 1, 2, 3, 4]


def test_no_more_than_two_pages_wait_and_who_leaves_early_leaves_nothing_running() -> None:
    taken: list[int] = []
    with read_ahead(pages(1000, taken=taken)) as ahead:
        next(ahead)
        is_full = threading.Event()
        is_full.wait(0.3)
        assert len(taken) <= 4  # the one taken, two that wait, one in hand
    assert "source" not in {thread.name for thread in threading.enumerate()}


def test_collecting_is_on_again_afterwards_also_after_a_fault() -> None:
    def fail() -> None:
        with read_ahead(pages(3)):
            assert not gc.isenabled()
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        fail()
    assert gc.isenabled()
