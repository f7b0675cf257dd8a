"""The self-test decides on what happened, and Leadline fails closed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leadline.errors import SandboxUnavailable
from leadline.media import wall
from leadline.media.client import Sandbox, decoder_versions, self_test
from leadline.media.limits import MIB, Limits
from leadline.media.selftest import Attempt, Outcome, judge
from leadline.media.wall import Wall
from leadline.media.wire import Needs

LIMITS = Limits(max_file_bytes=MIB, max_pixels=1_000_000, memory_bytes=256 * MIB)


def test_every_probe_is_stopped_here_and_says_how() -> None:
    probes = self_test(LIMITS)
    assert [probe for probe in probes if not probe.stopped] == []
    told = {probe.name: probe.how for probe in probes}
    assert told["read a file"] == "killed by SIGSYS"
    assert told["spin for ever"] == "killed at its time limit"
    assert told["take unbounded memory"] == f"refused: {os.strerror(errno.ENOMEM)}"
    assert len(told) == len(probes) > len(Attempt)


def test_every_probe_gets_through_where_nothing_is_locked() -> None:
    """Else a probe that fails for a reason of its own would count as stopped by the lock."""
    refused_by_the_kernel = {Attempt.USE_IO_URING, Attempt.MAKE_A_USER_NAMESPACE}  # where an administrator says so
    unlocked = Wall(LIMITS, unsafe=True)
    try:
        outcomes = {tried: unlocked.probe(tried) for tried in Attempt if tried is not Attempt.SPIN_FOR_EVER}
    finally:
        unlocked.close()
    stopped = {tried for tried, outcome in outcomes.items() if judge(tried, outcome).stopped}
    assert stopped - refused_by_the_kernel == {Attempt.NOTHING}  # the control: there "stopped" means it answered


@pytest.mark.parametrize(
    ("tried", "outcome", "stopped"),
    [
        (Attempt.READ_A_FILE, Outcome(answered_errno=0), False),
        (Attempt.READ_A_FILE, Outcome(answered_errno=errno.EPERM), True),
        (Attempt.READ_A_FILE, Outcome(killed_by=signal.SIGSYS), True),
        (Attempt.READ_A_FILE, Outcome(killed_by=signal.SIGSEGV), False),
        (Attempt.READ_A_FILE, Outcome(), False),
        (Attempt.READ_A_FILE, Outcome(overran=True), False),
        (Attempt.SPIN_FOR_EVER, Outcome(overran=True), True),
        (Attempt.SPIN_FOR_EVER, Outcome(killed_by=signal.SIGSYS), False),
        (Attempt.NOTHING, Outcome(answered_errno=0), True),
        (Attempt.NOTHING, Outcome(killed_by=signal.SIGSYS), False),
    ],
)
def test_a_probe_counts_as_stopped_only_by_what_should_stop_it(
    tried: Attempt, outcome: Outcome, stopped: bool
) -> None:
    assert judge(tried, outcome).stopped is stopped


@pytest.mark.parametrize("weak", [one for one in Attempt if one is not Attempt.NOTHING])
def test_it_fails_closed_when_one_probe_gets_through(weak: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(self: Wall, tried: Attempt, needs: Needs = Needs.NOTHING) -> Outcome:
        if tried is weak:
            return Outcome(answered_errno=0)
        stopped = Outcome(overran=True) if tried is Attempt.SPIN_FOR_EVER else Outcome(killed_by=signal.SIGSYS)
        return stopped if tried is not Attempt.NOTHING else Outcome(answered_errno=0)

    monkeypatch.setattr(Wall, "probe", probe)
    monkeypatch.setattr(Wall, "__init__", lambda self, limits, unsafe: None)
    monkeypatch.setattr(Wall, "close", lambda self: None)
    sandbox = Sandbox(LIMITS)
    with pytest.raises(SandboxUnavailable, match=weak.name.lower().replace("_", " ")) as caught:
        sandbox.start()
    assert "--unsafe-decode" in caught.value.mend


def weakened(monkeypatch: pytest.MonkeyPatch, code: str) -> Sandbox:
    """A sandbox on a kernel that lacks something: `code` takes it from the worker before it starts."""
    own = "main(*map"
    monkeypatch.setattr(wall, "_BOOT", wall._BOOT.replace(own, f"from leadline.media import lock\n{code}\n{own}"))
    return Sandbox(LIMITS)


NO_FILTER = """
prctl = lock.Lock._prctl
lock.Lock._prctl = lambda self, what, *values: what == lock.PR_SET_SECCOMP or prctl(self, what, *values)
"""


@pytest.mark.parametrize("late_s", [0.0, 0.3], ids=["at once", "asked when the child is gone"])
def test_it_fails_closed_where_the_kernel_refuses_seccomp(monkeypatch: pytest.MonkeyPatch, late_s: float) -> None:
    sandbox, ask = weakened(monkeypatch, "lock.PR_SET_SECCOMP = 9999"), Wall.ask
    monkeypatch.setattr(Wall, "ask", lambda *given: (time.sleep(late_s), ask(*given)))
    with pytest.raises(SandboxUnavailable, match=os.strerror(errno.EINVAL)):
        sandbox.start()


def test_it_fails_closed_where_the_filter_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an emulator that accepts the filter and ignores it; Landlock still stands, and is not enough."""
    sandbox = weakened(monkeypatch, NO_FILTER)
    with pytest.raises(SandboxUnavailable, match="map executable memory: done"):
        sandbox.start()


def test_it_fails_closed_where_the_machine_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = weakened(monkeypatch, "lock.MACHINES.clear()")
    with pytest.raises(SandboxUnavailable, match="did not start"):
        sandbox.start()
    assert "no seccomp filter for this machine" in capfd.readouterr().err


def test_without_landlock_seccomp_alone_stops_every_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "make = lock.Lock.__init__\ndef blind(self, size):\n    make(self, size)\n    self.landlock_abi = 0\n"
    with weakened(monkeypatch, code + "lock.Lock.__init__ = blind") as sandbox:
        assert sandbox.versions["landlock-abi"] == "0"
        assert all(probe.stopped for probe in sandbox.probes)


def test_landlock_alone_denies_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defence in depth that is really there: with the filter off, a file still cannot be read."""
    weak = weakened(monkeypatch, f"{NO_FILTER}\nlock.resource.RLIMIT_NOFILE = lock.resource.RLIMIT_CORE")
    weak._wall = Wall(LIMITS, unsafe=False)
    try:
        assert weak.wall.probe(Attempt.NOTHING) == Outcome(answered_errno=0)
        if weak.versions["landlock-abi"] != "0":
            assert weak.wall.probe(Attempt.READ_A_FILE) == Outcome(answered_errno=errno.EACCES)
    finally:
        weak.close()


def test_it_says_so_on_a_system_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="darwin"):
        Sandbox(LIMITS).start()


def test_unsafe_is_named_in_the_isolation() -> None:
    with Sandbox(LIMITS, unsafe=True) as sandbox:
        assert sandbox.isolation == "none"
        assert sandbox.probes == []


def test_it_asks_the_worker_for_the_decoders_versions() -> None:
    named = decoder_versions()
    assert {"simplejpeg", "Pillow", "pillow-heif", "py7zr", "webp", "libtiff"} <= set(named)
    assert named["Pillow"][0].isdigit()


def test_no_decoder_is_loaded_outside_the_sandbox() -> None:
    outside = Path(wall.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(outside)!r}); import leadline.media.client; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "leadline.media.wall" in told
    assert not {"PIL", "pillow_heif", "simplejpeg", "py7zr", "zipfile", "tarfile"} & set(told)


def test_no_secret_of_the_environment_is_within_a_decoders_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "swordfish")
    with Sandbox(LIMITS) as sandbox:
        seen = Path(f"/proc/{sandbox.wall._zygote.pid}/environ").read_bytes()
    assert b"swordfish" not in seen


def test_the_versions_tell_the_landlock_that_the_lock_meets() -> None:
    """What doctor and summary.json show is asked of an unlocked worker, and must be what locks the others."""
    with Sandbox(LIMITS) as sandbox:
        assert decoder_versions()["landlock-abi"] == sandbox.versions["landlock-abi"]
