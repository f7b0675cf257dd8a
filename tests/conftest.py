"""Fixtures for every room. Sockets other than loopback are refused for the whole suite."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.machine import Machine, made_once

_OFFICE = Path(__file__).with_name("workbench")
_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30  # what a whole run leaves there, several times over


def _work_in_memory() -> None:
    """No test waits for a disk: folders of this run lie in memory where there is room, and go with the run.

    Whoever names a TMPDIR has them there, and keeps those of tests that failed.
    """
    if "TMPDIR" in os.environ or not _IN_MEMORY.is_dir() or shutil.disk_usage(_IN_MEMORY).free < _ROOM_BYTES:
        return
    folder = tempfile.mkdtemp(prefix="leadline-", dir=_IN_MEMORY)
    Path(folder).chmod(0o711)  # PostgreSQL's user has a folder of its own in it
    os.environ["TMPDIR"], tempfile.tempdir = folder, folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


_work_in_memory()
# In the background of a shell it is ignored, and so it would be by each process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile("ci")  # hypothesis' own: the same draws for everybody, no time limits

# Before pytest-django looks for them: the workbench's settings, over a home of this process's own.
os.environ["DJANGO_SETTINGS_MODULE"] = "leadline.workbench.settings"
# In one of several processes the home is given, see below: there settings are read before this line. A run that a test
# starts is none of them, and must not take this one's home for its own.
if os.environ.pop("PYTEST_XDIST_WORKER", None) is None:
    os.environ["LEADLINE_HOME"] = tempfile.mkdtemp(prefix="leadline-test-home-")
atexit.register(shutil.rmtree, os.environ["LEADLINE_HOME"], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Any) -> None:
    """Each process of a run has a home, and so a database, of its own."""
    for spec in specs:
        spec.env["LEADLINE_HOME"] = tempfile.mkdtemp(prefix="leadline-test-home-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file goes first, then the office's: what is left for the end is short, so that all end together."""
    items.sort(key=lambda item: (item.path.name != "test_postgresql.py", not item.path.is_relative_to(_OFFICE)))


def pytest_collection_finish() -> None:
    """What was imported stays to the end: Python's collector need not walk it a thousand times, nor come so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of published test data; absent means skipped here and failed in CI."""
    named = os.environ.get("LEADLINE_DATA", "")
    if named and Path(named).is_dir():
        return Path(named)
    if os.environ.get("CI") == "true":
        pytest.fail("LEADLINE_DATA is not set: a golden test must not be skipped in CI")
    pytest.skip("LEADLINE_DATA is not set: published test data absent")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An office with its keys and tables, which each test that needs one takes a copy of."""
    return made_once(tmp_path_factory, "prepared", Machine.prepare)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real_connect = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else ""
            if host not in ("127.0.0.1", "::1", "localhost"):
                raise AssertionError(f"a test tried to reach {host}")
        real_connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)
