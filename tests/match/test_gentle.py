"""What gives way to look-ups, and what does not."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Kind
from leadline.match import merger
from leadline.match.bank import Bank
from leadline.match.gentle import giving_way


def test_long_work_and_its_threads_give_way_and_what_others_wait_for_does_not():
    own = partial(os.sched_getscheduler, 0)

    def work() -> list[int]:
        with giving_way() as promptly, ThreadPoolExecutor(1) as thread:
            return [own(), thread.submit(own).result(), promptly(own)]

    with ThreadPoolExecutor(1) as thread:  # it never comes back
        assert thread.submit(work).result() == [os.SCHED_IDLE, os.SCHED_IDLE, os.SCHED_OTHER]
    assert own() == os.SCHED_OTHER


def test_a_merge_that_somebody_waits_for_gives_way_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = str(tmp_path / "bank"), list[dict[str, Any]]()
    Bank.create(Path(path), name="BANK", kind=Kind.OTHER)
    monkeypatch.setattr(Bank, "merge", lambda self, **how: asked.append(how))
    for options in ((), ("--now",)):
        assert merger.main(path, *options) == 0
    assert asked == [{"gently": True, "only_due": True}, {"gently": False, "only_due": False}]
