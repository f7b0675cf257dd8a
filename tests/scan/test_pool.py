from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leadline.errors import BankNotFound, ScanError
from leadline.media.limits import Limits
from leadline.scan import wire
from leadline.scan.dispatch import Dispatcher, Job
from leadline.scan.pool import LocalLanes


@pytest.fixture
def lanes() -> Iterator[LocalLanes]:
    made = LocalLanes(wire.LaneConfig([], Limits()), 2)
    yield made
    made.close()


def names(lines: list[bytes]) -> list[str]:
    return [line.split(b'"')[3].rsplit(b"/", 1)[-1].decode() for line in lines]


def test_it_starts_a_killed_lane_anew_and_does_its_work_again(
    lanes: LocalLanes, tmp_path: Path, picture: Callable[[int], bytes]
) -> None:
    for number in range(96):
        (tmp_path / f"{number:02d}.jpg").write_bytes(picture(number % 3))
    items = [wire.WorkItem(os.fsencode(path)) for path in sorted(tmp_path.iterdir())]
    jobs = [Job(tuple(items[start : start + 4])) for start in range(0, 96, 4)]
    told: list[bytes] = []
    first = set(lanes.process_ids)
    for result in Dispatcher(lanes).run(jobs):
        told += result.lines
        if len(told) == 4:
            for process in lanes.process_ids:
                os.kill(process, signal.SIGKILL)
    assert names(told) == [f"{number:02d}.jpg" for number in range(96)]
    again = [line for result in Dispatcher(lanes).run(jobs) for line in result.lines]  # all may have been done by then
    assert again == told
    assert b"worker-lost" not in b"".join(told)
    assert not first & set(lanes.process_ids)


def test_it_leaves_no_process_behind(lanes: LocalLanes) -> None:
    processes = lanes.process_ids
    lanes.close()
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{process}") for process in processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(os.path.exists(f"/proc/{process}") for process in processes)


def test_it_stops_the_scan_where_a_lane_cannot_start(tmp_path: Path) -> None:
    lanes = LocalLanes(wire.LaneConfig([os.fsencode(tmp_path / "no-bank")], Limits()), 1)
    try:
        with pytest.raises(BankNotFound):
            list(Dispatcher(lanes).run([Job((wire.WorkItem(b"/x"),))]))
    finally:
        lanes.close()


@pytest.mark.parametrize("untrusted", [b"", b"LLW0\x93", b"LLW1", b"LLW1\xff\xff", b"LLW1\x93\xa4work\xc0\xc0"])
def test_it_refuses_messages_that_are_none_of_ours(untrusted: bytes) -> None:
    for decode in (wire.decode_request, wire.decode_reply, wire.decode_config):
        with pytest.raises(ScanError):
            decode(untrusted)
