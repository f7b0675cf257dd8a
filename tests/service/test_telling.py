"""Metrics are told, and tell of now, while other threads wait or the disk takes nothing; the end waits for neither."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.service.conftest import Worker

from leadline.service.counters import Counters
from leadline.service.desk import Desk

_CLERKS, _WAIT_S = 8, 8.0


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What waits for it goes on after some seconds."""
    event = threading.Event()
    yield event
    event.set()


def age_s(worker: Worker) -> float:
    told = worker.ask("GET", "/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in told if line.startswith("leadline_bank_checked_age_seconds "))


def test_metrics_are_told_while_all_clerks_wait_for_a_bank(worker: Worker, held: threading.Event) -> None:
    for _ in range(_CLERKS):
        worker.service.desk.clerks.submit(held.wait, _WAIT_S)
    begun = time.monotonic()
    assert age_s(worker) < _WAIT_S
    assert time.monotonic() - begun < _WAIT_S / 2


def test_metrics_tell_of_now_while_nothing_can_be_written(
    make_worker: Callable[..., Worker], held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_stuck = threading.Event()

    def wait(*_: object) -> None:
        is_stuck.set()
        held.wait(_WAIT_S)

    monkeypatch.setattr(Counters, "publish", wait)
    worker = make_worker()
    assert is_stuck.wait(_WAIT_S)
    monkeypatch.setattr(worker.service.desk.lists, "refresh", list)  # nothing is looked at any more
    worker.service.desk.lists.checked_at -= 1000
    assert age_s(worker) > 900
    monkeypatch.undo()


def test_a_disk_that_is_full_at_the_end_leaves_nothing_open(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Counters, "publish", refuse)
        patched.setattr(Desk, "close", lambda desk, real=Desk.close: closed.append(real(desk) is None))
        life = worker.service.living()
        kept = worker.service._desk
        worker.do(life.__aenter__())
        worker.do(life.__aexit__(None, None, None))
        worker.service._desk = kept
    assert closed == [True]
