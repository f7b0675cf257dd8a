"""The cache that processes share: each count is of all, ends when it should, and names nobody."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from leadline.workbench.counts import FILE, SharedCache


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    settings.LEADLINE_HOME = tmp_path
    return tmp_path


def test_two_processes_count_together(home: Path) -> None:
    one, two = (SharedCache("", {}) for _ in range(2))  # neither remembers anything itself
    assert (one.add("tries", 1, 600), two.add("tries", 1, 600)) == (True, False)
    assert (one.incr("tries"), two.incr("tries"), two.decr("tries")) == (2, 3, 2)
    two.set("history", [1.5, 2.0], 600)
    assert one.get("history") == [1.5, 2.0]
    assert (one.delete("tries"), two.get("tries", "none")) == (True, "none")
    with pytest.raises(ValueError, match="nothing is counted"):
        one.incr("tries")


def test_a_count_ends_with_its_window_and_not_with_the_day(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, before_midnight = SharedCache("", {}), 20_000 * 86_400 - 5.0
    monkeypatch.setattr(time, "time", lambda: before_midnight)
    cache.add("tries", 1, 600)
    for later_s, count in ((300, 2), (599, 3)):
        monkeypatch.setattr(time, "time", lambda at=before_midnight + later_s: at)
        assert not cache.add("tries", 1, 600)
        assert cache.incr("tries") == count
    monkeypatch.setattr(time, "time", lambda: before_midnight + 601)
    assert cache.add("tries", 1, 600)


def test_the_file_names_nobody_and_forgets_its_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SharedCache("", {})
    cache.add("sign-in-from:203.0.113.9", 1, 600)
    assert b"203.0.113.9" not in (home / FILE).read_bytes()
    assert (home / FILE).stat().st_mode & 0o077 == 0
    with sqlite3.connect(home / FILE) as db:
        ((key,),) = db.execute("SELECT key FROM day")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    cache.get("anything")
    assert key not in (home / FILE).read_bytes()


def test_a_file_that_is_broken_or_cannot_be_written_stops_no_count(home: Path, settings: Any) -> None:
    cache = SharedCache("", {})
    (home / FILE).write_bytes(b"made up " * 1000)
    assert cache.add("tries", 1, 600)
    assert cache.add("tries", 1, 600)  # a new file
    assert not cache.add("tries", 1, 600)
    settings.LEADLINE_HOME = home / "absent"
    assert not cache.add("tries", 1, 600)  # as this process remembers it
    assert cache.incr("tries") == 2
    cache._own.clear()
