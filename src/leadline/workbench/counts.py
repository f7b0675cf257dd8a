"""The cache of all web processes of this machine: counts of tries to sign in, and codes that were used.

One small SQLite file in LEADLINE_HOME, whatever the office's database is: whoever guesses passwords holds up no report
there, and no backup takes it along. No name and no address is in it: what is counted is named by an HMAC under a key of
the day, made by chance, which is gone for good a day later. Where the file cannot be written this process counts alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache

FILE = "counts.sqlite3"
_DAY_S = 86_400  # and nothing is kept longer
_WAIT_S = 2.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS day (number INTEGER PRIMARY KEY, key BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS held (name BLOB PRIMARY KEY, value TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_Answer = TypeVar("_Answer")
log = logging.getLogger("leadline.counts")


class SharedCache(BaseCache):
    """Django's cache over that file. Values are what JSON holds; each call is one transaction, so `incr` loses none."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._own = LocMemCache("counts", {"OPTIONS": {"MAX_ENTRIES": 200_000}})  # that none is pushed out by others

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        name = self.make_and_validate_key(key, version)
        return self._do(lambda held: held.get(name, default), lambda: self._own.get(key, default, version))

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        name, lasts_s = self.make_and_validate_key(key, version), self._lasts_s(timeout)

        def work(held: _Held) -> bool:
            is_new = held.get(name, held) is held
            if is_new:
                held.put(name, value, lasts_s)
            return is_new

        return self._do(work, lambda: self._own.add(key, value, timeout, version))

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        name, lasts_s = self.make_and_validate_key(key, version), self._lasts_s(timeout)
        self._do(lambda held: held.put(name, value, lasts_s), lambda: self._own.set(key, value, timeout, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """ValueError where nothing is counted. The count ends when it would have."""
        name = self.make_and_validate_key(key, version)

        def work(held: _Held) -> int:
            value = held.get(name, None)
            if value is None:
                raise ValueError("nothing is counted under this key")
            held.change(name, value + delta)
            return int(value + delta)

        return self._do(work, lambda: self._own.incr(key, delta, version))

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        value = self.get(key, self, version)
        if value is self:
            return False
        self.set(key, value, timeout, version)
        return True

    def delete(self, key: str, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version)
        return self._do(lambda held: held.drop(name), lambda: self._own.delete(key, version))

    def clear(self) -> None:
        if _file().exists():
            self._do(lambda held: held.drop_all(), lambda: None)
        self._own.clear()

    def _lasts_s(self, timeout: Any) -> float:
        until = self.get_backend_timeout(timeout)
        return float(_DAY_S) if until is None else min(float(_DAY_S), until - time.time())

    def _do(self, work: Callable[[_Held], _Answer], alone: Callable[[], _Answer]) -> _Answer:
        try:
            with _opened() as held:
                return work(held)
        except (sqlite3.Error, OSError) as error:
            log.warning("%s: %s; this process counts alone", FILE, type(error).__name__)
            if getattr(error, "sqlite_errorcode", None) in _BROKEN:
                _file().unlink(missing_ok=True)  # nothing in it lasts
            return alone()


class _Held:
    """What the file holds, within one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self._now = db, time.time()
        today = int(self._now // _DAY_S)
        db.execute("DELETE FROM day WHERE number NOT IN (?, ?)", (today, today - 1))
        # what lasts longer than anything may was written while the clock was ahead
        db.execute("DELETE FROM held WHERE until <= ? OR until > ?", (self._now, self._now + _DAY_S + 1))
        db.execute("INSERT OR IGNORE INTO day VALUES (?, ?)", (today, secrets.token_bytes(32)))
        self._keys = [key for (key,) in db.execute("SELECT key FROM day ORDER BY number DESC")]

    def _names(self, name: str) -> list[bytes]:
        """Under today's key and yesterday's: midnight lets nobody begin anew."""
        return [hmac.digest(key, name.encode(), hashlib.sha256) for key in self._keys]

    def get(self, name: str, default: Any) -> Any:
        for found in self._names(name):
            row = self._db.execute("SELECT value FROM held WHERE name = ?", (found,)).fetchone()
            if row is not None:
                return json.loads(row[0])
        return default

    def put(self, name: str, value: Any, lasts_s: float) -> None:
        self.drop(name)
        row = (self._names(name)[0], json.dumps(value), self._now + lasts_s)
        self._db.execute("INSERT INTO held VALUES (?, ?, ?)", row)

    def change(self, name: str, value: Any) -> None:
        for found in self._names(name):
            self._db.execute("UPDATE held SET value = ? WHERE name = ?", (json.dumps(value), found))

    def drop(self, name: str) -> bool:
        gone = [self._db.execute("DELETE FROM held WHERE name = ?", (found,)).rowcount for found in self._names(name)]
        return any(gone)

    def drop_all(self) -> None:
        self._db.execute("DELETE FROM held")


def _file() -> Path:
    return Path(settings.LEADLINE_HOME) / FILE


@contextmanager
def _opened() -> Iterator[_Held]:
    """One transaction that nobody else's runs beside. A crash of the machine may lose the file, and with it no more
    than counts: so nothing waits for the disk."""
    path = _file()
    path.touch(mode=0o600, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as db:
        for pragma in ("journal_mode = TRUNCATE", "synchronous = OFF", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            db.execute(table)
        yield _Held(db)
        db.execute("COMMIT")
