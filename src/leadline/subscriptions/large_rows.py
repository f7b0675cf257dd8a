"""Which record of a source leads to which large fingerprint, which file holds it, what is missing and why.

Tables beside those of holdings.py, in the same file and written in the same transactions. Of the fingerprints it holds
kinds, digests and sizes, never an address: that comes anew with the record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

# A file that no row names any more is loose until it is removed; so is one that is about to come.
TABLES = (
    "CREATE TABLE large (key TEXT NOT NULL, kind TEXT NOT NULL, record BLOB NOT NULL, moment INTEGER NOT NULL, "
    "round INTEGER NOT NULL, file BLOB, size INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 1, "
    "tries INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', PRIMARY KEY (key, kind)) WITHOUT ROWID",
    "CREATE INDEX large_due ON large (tries, moment, key, kind) WHERE due",
    "CREATE INDEX large_file ON large (file, size) WHERE file IS NOT NULL",
    "CREATE TABLE loose (file BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TRIGGER large_gone AFTER DELETE ON large WHEN old.file IS NOT NULL "
    "BEGIN INSERT OR IGNORE INTO loose VALUES (old.file); END",
    "CREATE TRIGGER large_other AFTER UPDATE OF file ON large WHEN old.file IS NOT NULL AND old.file IS NOT new.file "
    "BEGIN INSERT OR IGNORE INTO loose VALUES (old.file); END",
)
# Another state of a record may lead to another fingerprint: what was held stays until that has come.
_PUT = (
    "INSERT INTO large (key, kind, record, moment, round) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, kind) DO UPDATE SET "
    "due = max(due, record <> excluded.record), tries = CASE WHEN record <> excluded.record THEN 0 ELSE tries END, "
    "why = CASE WHEN record <> excluded.record THEN '' ELSE why END, record = excluded.record, "
    "moment = excluded.moment, round = excluded.round"
)


class Wanted(NamedTuple):
    """A large fingerprint that a record leads to. record: its digest; moment: as of `exchange.connector.Record`."""

    key: str
    kind: str
    record: bytes
    moment: int


class Due(NamedTuple):
    """One that is to be fetched, in the order in which they are."""

    moment: int
    key: str
    kind: str


class Row(NamedTuple):
    """One that is held. file: 32 bytes, SHA-256. entry_id: of its record's entry, None where it has none."""

    key: str
    kind: str
    file: bytes
    size: int
    entry_id: int | None


class LargeCount(NamedTuple):
    """Of one kind: how many are held, in how many bytes on disk, and how many are missing; one whose record changed is
    held and missing until its new state has come."""

    kind: str
    held: int
    held_bytes: int
    missing: int


class Failed(NamedTuple):
    """One that could not be fetched. why: the code of an error, or one of large.py's."""

    key: str
    kind: str
    why: str


_Ask = Callable[..., list[tuple[Any, ...]]]
_Writing = Callable[[], AbstractContextManager[sqlite3.Connection]]


class LargeRows:
    """Part of `Holdings`, which lends its file."""

    def __init__(self, ask: _Ask, writing: _Writing) -> None:
        self._ask, self._writing = ask, writing
        self.has_any = bool(ask("SELECT 1 FROM large LIMIT 1"))

    def put(self, file: sqlite3.Connection, wanted: Sequence[Wanted], gone: Iterable[tuple[str]], round_: int) -> None:
        """Inside a transaction. gone: keys of records that lead to none, as rows."""
        if not (self.has_any or wanted):
            return
        file.executemany("DELETE FROM large WHERE key = ?", gone)
        file.executemany(_PUT, ((*one, round_) for one in wanted))
        # kinds that this state of its record no longer names
        file.executemany("DELETE FROM large WHERE key = ? AND record <> ?", ((one.key, one.record) for one in wanted))
        self.has_any = True

    # --- what is to be fetched ---------------------------------------------------------------------------------------

    def due(self, after: Due, at_most: int) -> list[Due]:
        """Never tried, beyond `after`, in the order of time."""
        query = (
            "SELECT moment, key, kind FROM large WHERE due AND tries = 0 AND (moment, key, kind) > (?, ?, ?) "
            "ORDER BY moment, key, kind LIMIT ?"
        )
        return [Due(*row) for row in self._ask(query, (*after, at_most))]

    def failed_before(self, at_most: int) -> list[Due]:
        """Of those tried in vain the ones that were tried least often; in the order of time."""
        query = "SELECT moment, key, kind FROM large WHERE due AND tries > 0 ORDER BY tries, moment LIMIT ?"
        return sorted(Due(*row) for row in self._ask(query, (at_most,)))

    def expect(self, digest: bytes) -> None:
        """A file of this name is about to be there: after a kill nobody else knows of it."""
        with self._writing() as file:
            file.execute("INSERT OR IGNORE INTO loose VALUES (?)", (digest,))

    def take(self, key: str, kind: str, digest: bytes, size: int) -> None:
        """It is there."""
        query = "UPDATE large SET file = ?, size = ?, due = 0, tries = 0, why = '' WHERE key = ? AND kind = ?"
        with self._writing() as file:
            file.execute(query, (digest, size, key, kind))
            file.execute("DELETE FROM loose WHERE file = ?", (digest,))

    def fail(self, failed: Iterable[Failed]) -> None:
        query = "UPDATE large SET tries = tries + 1, why = ? WHERE key = ? AND kind = ?"
        with self._writing() as file:
            file.executemany(query, ((one.why, one.key, one.kind) for one in failed))

    def forget_files(self) -> None:
        """Somebody removed them: they are to be fetched again."""
        with self._writing() as file:
            file.execute("UPDATE large SET file = NULL, size = 0, due = 1 WHERE file IS NOT NULL")

    def leave(self, why: str) -> None:
        """All that is due and was not tried is left with the source for this reason."""
        with self._writing() as file:
            file.execute("UPDATE large SET why = ? WHERE due AND tries = 0 AND why <> ?", (why, why))

    def loose(self, at_most: int) -> list[tuple[bytes, bool]]:
        """(file, whether a row names it all the same)."""
        query = "SELECT file, EXISTS (SELECT 1 FROM large WHERE large.file = loose.file) FROM loose LIMIT ?"
        return [(digest, bool(is_named)) for digest, is_named in self._ask(query, (at_most,))]

    def forget_loose(self, digests: Iterable[bytes]) -> None:
        with self._writing() as file:
            file.executemany("DELETE FROM loose WHERE file = ?", ((digest,) for digest in digests))

    # --- what is there -----------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        """On disk: what several records share counts once."""
        rows = self._ask("SELECT sum(size) FROM (SELECT DISTINCT file, size FROM large WHERE file IS NOT NULL)")
        return int(rows[0][0] or 0)

    def counts(self) -> list[LargeCount]:
        """By kind, the most frequent first."""
        if not self.has_any:
            return []
        files = "SELECT DISTINCT kind, file, size FROM large WHERE file IS NOT NULL"
        sizes: dict[str, int] = dict(self._ask(f"SELECT kind, sum(size) FROM ({files}) GROUP BY kind"))  # noqa: S608
        rows = self._ask("SELECT kind, count(file), sum(due) FROM large GROUP BY kind ORDER BY count(*) DESC, kind")
        return [LargeCount(kind, held, sizes.get(kind, 0), missing) for kind, held, missing in rows]

    def reasons(self) -> dict[str, int]:
        """Why what is due is not here, with a count; not-tried: it comes yet."""
        if not self.has_any:
            return {}
        rows = self._ask("SELECT why, count(*) FROM large WHERE due GROUP BY why ORDER BY count(*) DESC, why")
        return {why or "not-tried": count for why, count in rows}

    def failed(self, at_most: int) -> list[Failed]:
        """Some of those that were tried in vain, those tried most often first."""
        query = "SELECT key, kind, why FROM large WHERE due AND tries > 0 ORDER BY tries DESC, moment LIMIT ?"
        return [Failed(*row) for row in self._ask(query, (at_most,))] if self.has_any else []

    def held(self, at_once: int = 1_000) -> Iterator[Row]:
        """All that are, by the source's name of their record."""
        query = (
            "SELECT large.key, kind, file, size, entry.id FROM large LEFT JOIN entry ON entry.key = large.key "
            "WHERE file IS NOT NULL AND (large.key, kind) > (?, ?) ORDER BY large.key, kind LIMIT ?"
        )
        after = ("", "")
        while rows := self._ask(query, (*after, at_once)):
            yield from (Row(*row) for row in rows)
            after = (rows[-1][0], rows[-1][1])
