"""NIST's NSRL as a database (RDS 3, SQLite) <-> benign entries. Of a stranger's it reads what its FILE names alone."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import quote

from leadline.domain import Entry
from leadline.errors import ListBroken, ListFormatError
from leadline.exchange import nsrl
from leadline.exchange.base import MAX_LINE_BYTES, EntryDefaults, RawRecord, file_of

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
# Of a minimal set, as NIST publishes it. Without a journal: a file that was cut off is never copied.
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE FILE (
    sha256 VARCHAR NOT NULL, sha1 VARCHAR NOT NULL, md5 VARCHAR NOT NULL, crc32 VARCHAR NOT NULL,
    file_name VARCHAR NOT NULL, file_size INTEGER NOT NULL, package_id INTEGER NOT NULL,
    CONSTRAINT PK_FILE__FILE PRIMARY KEY (sha256, sha1, md5, crc32, file_name, file_size, package_id)
);
CREATE TABLE MFG (
    manufacturer_id INTEGER NOT NULL, name VARCHAR NOT NULL,
    CONSTRAINT PK_MFG__MFG_ID PRIMARY KEY (manufacturer_id)
);
CREATE TABLE OS (
    operating_system_id INTEGER NOT NULL, name VARCHAR NOT NULL, version VARCHAR NOT NULL,
    manufacturer_id INTEGER NOT NULL,
    CONSTRAINT PK_OS__OS_ID PRIMARY KEY (operating_system_id, manufacturer_id)
);
CREATE TABLE PKG (
    package_id INTEGER NOT NULL, name VARCHAR NOT NULL, version VARCHAR NOT NULL, operating_system_id INTEGER NOT NULL,
    manufacturer_id INTEGER NOT NULL, language VARCHAR NOT NULL, application_type VARCHAR NOT NULL,
    CONSTRAINT PK_PGK__PKG_ID
        PRIMARY KEY (package_id, operating_system_id, manufacturer_id, language, application_type)
);
CREATE TABLE VERSION (
    version VARCHAR UNIQUE NOT NULL, build_set VARCHAR NOT NULL,
    build_date TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL, release_date TIMESTAMP NOT NULL,
    description VARCHAR NOT NULL,
    CONSTRAINT PK_VERSION__VERSION PRIMARY KEY (version)
);
CREATE VIEW DISTINCT_HASH AS SELECT DISTINCT sha256, sha1, md5, crc32 FROM FILE;
"""


def read(
    path: Path, *, where: str, defaults: EntryDefaults, raw: RawRecord | None = None
) -> Iterator[Entry | ListFormatError]:
    """Benign entries of an RDS 3 database, one for each row of FILE; repeats next to each other give one.

    The file is a stranger's, and SQLite parses it in this process: it is opened for reading alone, as one that nobody
    changes, its schema is not trusted, may be neither large nor deep, and may call nothing but upper() and lower(); a
    question that finds no row for minutes is stopped. What SQLite cannot read is the end of the list.
    """
    number, raw = 0, raw or RawRecord()
    try:
        with closing(_open(path)) as database:
            clock, before = _Steps(), nsrl.Repeats()
            database.set_progress_handler(clock.is_too_long, _STEPS_AT_ONCE)
            for number, untrusted_row in enumerate(database.execute(_QUESTION), 1):
                clock.steps = 0
                *untrusted, name, size = (_text(value) for value in untrusted_row)
                told = dict(zip(_HASHES, untrusted, strict=True))
                if before.is_new(told):
                    raw.value = list(untrusted_row)
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


def write(entries: Iterable[Entry], stream: BinaryIO, *, now_s: int) -> int:
    """A minimal set of RDS 3, made in the folder for temporary files. Returns how many entries have no row.

    A row has an entry of kind benign, not suspended at `now_s` (seconds since 1970), with a SHA-256, a SHA-1 and an
    MD5: no row of FILE lacks one. Entries that agree in name, size and digests share theirs.
    """
    with TemporaryDirectory() as folder:
        made = Path(folder, "set.db")
        try:
            with closing(sqlite3.connect(made)) as database:
                left_out = _fill(database, entries, datetime.fromtimestamp(now_s, UTC))
        except sqlite3.OperationalError as error:
            raise OSError(errno.EIO, str(error), folder) from error
        with made.open("rb") as whole:
            shutil.copyfileobj(whole, stream)
    return left_out


def _fill(database: sqlite3.Connection, entries: Iterable[Entry], now: datetime) -> int:
    database.executescript(_SCHEMA)
    product, when = nsrl.PRODUCT, now.strftime("%Y-%m-%d %H:%M:%S")
    version = (now.strftime("%Y.%m.%d"), when, when, "benign entries of a bank; no publication of NIST")
    database.execute("INSERT INTO MFG VALUES (?, 'unknown')", (product,))
    database.execute("INSERT INTO OS VALUES (?, 'unknown', '', ?)", (product, product))
    database.execute("INSERT INTO PKG VALUES (?, 'Leadline', '', ?, ?, '', '')", (product, product, product))
    database.execute("INSERT INTO VERSION VALUES (?, 'Leadline', ?, ?, ?)", version)
    left_out = 0
    for entry in entries:
        if digests := nsrl.digests_of(entry, _HASHES, int(now.timestamp())):
            row = (*digests, nsrl.CRC32, *file_of(entry), product)
            database.execute("INSERT OR IGNORE INTO FILE VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        else:
            left_out += 1
    database.commit()
    return left_out
