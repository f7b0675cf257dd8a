"""What gives way to look-ups, and what does not."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from leadline.match.gentle import giving_way


def test_long_work_and_its_threads_give_way_and_what_others_wait_for_does_not():
    own = partial(os.sched_getscheduler, 0)

    def work() -> list[int]:
        with giving_way() as promptly, ThreadPoolExecutor(1) as thread:
            return [own(), thread.submit(own).result(), promptly(own)]

    with ThreadPoolExecutor(1) as thread:  # it never comes back
        assert thread.submit(work).result() == [os.SCHED_IDLE, os.SCHED_IDLE, os.SCHED_OTHER]
    assert own() == os.SCHED_OTHER
