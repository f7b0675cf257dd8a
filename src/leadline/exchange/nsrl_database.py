"""NIST's NSRL as a database (RDS 3, SQLite) -> benign entries. Only reads, and only what its FILE names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from leadline.domain import Entry
from leadline.errors import ListBroken, ListFormatError
from leadline.exchange import nsrl
from leadline.exchange.base import MAX_LINE_BYTES, EntryDefaults

MAGIC = b"SQLite format 3\x00"
# A view in the full sets, a table in the minimal ones (the schema that NIST publishes with them).
_QUESTION = "SELECT sha256, sha1, md5, file_name, file_size FROM FILE"
_HASHES = ("sha256", "sha1", "md5")
_STEPS_AT_ONCE, _MOST_STEPS = 1_000_000, 2_000  # of SQLite's machine between two rows: minutes, not for ever
# Of a text, a schema, a statement; what NIST publishes stays far below.
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_LINE_BYTES, sqlite3.SQLITE_LIMIT_SQL_LENGTH: 65_536,
    sqlite3.SQLITE_LIMIT_COLUMN: 100, sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50, sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000, sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 10, sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0, sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}  # fmt: skip
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})
_FUNCTIONS = frozenset({"upper", "lower"})


def read(path: Path, *, where: str, defaults: EntryDefaults) -> Iterator[Entry | ListFormatError]:
    """Benign entries of an RDS 3 database, one for each row of FILE; repeats next to each other give one.

    The file is a stranger's, and SQLite parses it in this process: it is opened for reading alone, as one that nobody
    changes, its schema is not trusted, may be neither large nor deep, and may call nothing but upper() and lower(); a
    question that finds no row for minutes is stopped. What SQLite cannot read is the end of the list.
    """
    number = 0
    try:
        with closing(_open(path)) as database:
            clock, before = _Steps(), nsrl.Repeats()
            database.set_progress_handler(clock.is_too_long, _STEPS_AT_ONCE)
            for number, untrusted_row in enumerate(database.execute(_QUESTION), 1):
                clock.steps = 0
                *untrusted, name, size = (_text(value) for value in untrusted_row)
                told = dict(zip(_HASHES, untrusted, strict=True))
                if before.is_new(told):
                    yield from nsrl.checked(told, name, size, f"{where}: row {number}", defaults)
    except sqlite3.Error:
        mend = "give a whole NSRL database with its FILE, or NSRLFile.txt"
        yield ListBroken("the database cannot be read on", where=f"{where}: after row {number}", mend=mend)
        return
    if number == 0:
        yield ListBroken("its FILE is empty", where=where, mend="give a full or minimal set, not a delta")


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    for limit, most in _LIMITS.items():
        database.setlimit(limit, most)
    database.text_factory = lambda untrusted: untrusted.decode("utf-8", "backslashreplace")
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "mmap_size = 0"):
        database.execute(f"PRAGMA {setting}")
    database.set_authorizer(_authorise)
    return database


def _authorise(action: int, one: str | None, other: str | None, *_: object) -> int:
    is_allowed = action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and (other or "").lower() in _FUNCTIONS)
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


class _Steps:
    def __init__(self) -> None:
        self.steps = 0

    def is_too_long(self) -> bool:
        self.steps += 1
        return self.steps > _MOST_STEPS


def _text(untrusted_value: object) -> str:
    return untrusted_value if isinstance(untrusted_value, str) else str(untrusted_value or "")[:100]
