"""A child that crashes, hangs or lies is contained, locked or not; a locked one cannot reach out either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.sandbox import MARK, LockContract, SandboxContract, show, violation

from leadline.errors import SandboxUnavailable
from leadline.media import wall
from leadline.media.client import Sandbox, SandboxViolation
from leadline.media.limits import MIB, Limits

CONTRACTS = Path(__file__).parents[1] / "contracts"
LIMITS = Limits(max_file_bytes=MIB, max_pixels=1_000_000, timeout_s=0.5, memory_bytes=256 * MIB, batch_files=3)


def hostile(unsafe: bool) -> Iterator[Sandbox]:
    own = "from leadline.media.worker import main"
    assert own in wall._BOOT
    with pytest.MonkeyPatch.context() as patch:
        boot = wall._BOOT.replace(own, f"sys.path.append({str(CONTRACTS)!r})\nfrom hostile_child import main")
        patch.setattr(wall, "_BOOT", boot)
        started = Sandbox(LIMITS, unsafe=unsafe)
        started.start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def locked() -> Iterator[Sandbox]:
    yield from hostile(unsafe=False)


@pytest.fixture(scope="module")
def unlocked() -> Iterator[Sandbox]:
    yield from hostile(unsafe=True)


class TestLockedSandbox(SandboxContract, LockContract):
    @pytest.fixture
    def sandbox(self, locked: Sandbox) -> Sandbox:
        return locked


class TestUnlockedSandbox(SandboxContract):
    @pytest.fixture
    def sandbox(self, unlocked: Sandbox) -> Sandbox:
        return unlocked


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    yield from hostile(unsafe=False)


def processes_of(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "pid=", "-g", str(group)], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def count_comes_to(group: int, count: int) -> bool:
    deadline = time.monotonic() + 5
    while len(processes_of(group)) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(processes_of(group)) == count


def test_it_names_the_signal_that_killed_a_child(own_sandbox: Sandbox) -> None:
    with pytest.raises(SandboxViolation, match=rf"signal {int(signal.SIGSYS)}"):
        show(own_sandbox, "open a file")


def test_it_says_so_when_the_zygote_is_gone(own_sandbox: Sandbox) -> None:
    os.kill(own_sandbox.wall._zygote.pid, signal.SIGKILL)
    own_sandbox.wall._zygote.wait()
    with pytest.raises(SandboxUnavailable):
        show(own_sandbox, "behave")


def test_a_child_that_dies_with_its_zygote_is_no_fault_of_its_file(own_sandbox: Sandbox) -> None:
    killing = threading.Timer(0.2, os.kill, (own_sandbox.wall._zygote.pid, signal.SIGKILL))
    data = MARK + b"spin"
    own_sandbox.input_buffer(len(data))[:] = data
    killing.start()
    with pytest.raises(SandboxUnavailable, match="gone"):
        own_sandbox.open_picture(len(data))
    killing.join()


def test_it_leaves_no_process_behind(own_sandbox: Sandbox) -> None:
    group = own_sandbox.wall._zygote.pid
    data = MARK + b"spin"
    own_sandbox.input_buffer(len(data))[:] = data
    with pytest.raises(SandboxViolation):
        own_sandbox.open_picture(len(data))
    own_sandbox.close()
    assert processes_of(group) == []


def test_everything_dies_with_the_parent() -> None:
    source = Path(wall.__file__).parents[2]
    story = f"""
import sys, time
sys.path[:0] = [{str(source)!r}, {str(CONTRACTS.parents[1])!r}]
from leadline.media import wall
from leadline.media.wire import Op, Request
from leadline.media.client import Sandbox
from leadline.media.selftest import Attempt
sandbox = Sandbox(unsafe=True)
sandbox.start()
sandbox.wall.begin_child(100)
sandbox.wall.ask(Request(Op.PROBE, Attempt.SPIN_FOR_EVER))
print(sandbox.wall._zygote.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", story], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        both = count_comes_to(group, 2)
        parent.kill()
    assert both
    assert count_comes_to(group, 0)


def test_a_batch_shares_a_child_and_then_takes_the_next(own_sandbox: Sandbox) -> None:
    begun: list[float] = []
    begin = own_sandbox.wall.begin_child
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_sandbox.wall, "begin_child", lambda *a, **k: (begun.append(1), begin(*a, **k)))
        own_sandbox.begin_batch()
        assert own_sandbox.isolation == "batch"
        for _ in range(7):
            show(own_sandbox, "behave")
        own_sandbox.end_batch()
        assert len(begun) == 3  # 3 + 3 + 1 files
        assert own_sandbox.isolation == "file"
        for _ in range(2):
            show(own_sandbox, "behave")
        assert len(begun) == 5


def children_of(sandbox: Sandbox) -> set[str]:
    zygote = sandbox.wall._zygote.pid
    assert count_comes_to(zygote, 2)  # the zygote and one spare child: the last file's is gone
    return set(processes_of(zygote)) - {str(zygote)}


def test_the_next_files_child_is_ready_and_none_serves_two_files(own_sandbox: Sandbox) -> None:
    seen: list[set[str]] = []
    show(own_sandbox, "behave")
    for _ in range(4):
        assert show(own_sandbox, "behave") == ["picture"]
        seen.append(children_of(own_sandbox))
    assert len(set.union(*seen)) == 4


def test_the_death_of_a_spare_child_is_not_held_against_the_next_file(own_sandbox: Sandbox) -> None:
    for _ in range(2):
        show(own_sandbox, "behave")
    (spare,) = children_of(own_sandbox)
    os.kill(int(spare), signal.SIGKILL)
    time.sleep(0.1)
    assert show(own_sandbox, "behave") == ["picture"]
    assert violation(own_sandbox, "crash") == "child-died"


def test_a_spare_child_that_does_not_fit_makes_way(own_sandbox: Sandbox) -> None:
    for _ in range(2):
        show(own_sandbox, "behave")
    own_sandbox.begin_batch()
    assert show(own_sandbox, "behave") == ["picture"]
    assert len(children_of(own_sandbox)) == 1  # the batch's own
    own_sandbox.end_batch()
