"""Which entry of our bank stands for which entry of a source, and where its pull stands; one SQLite file a source.

A batch is noted before the bank changes and settled after it: what a kill leaves unsettled is told again by the source,
under the same ids. Holds keys, ids and digests; no fingerprint.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from leadline.errors import BankError, ConfigError
from leadline.exchange.connector import Checkpoint

_VERSION = 1
_ASKED_AT_ONCE = 500
_TABLES = """
CREATE TABLE entry (
  key TEXT PRIMARY KEY, id INTEGER NOT NULL, digest BLOB, round INTEGER NOT NULL, is_settled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX entry_id ON entry (id);
CREATE INDEX entry_round ON entry (round);
CREATE INDEX entry_unsettled ON entry (is_settled) WHERE is_settled = 0;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Held(NamedTuple):
    """id: of the bank's entry. digest: of the record that it was made of, None where that is not sure."""

    id: int
    digest: bytes | None


class Holdings:
    """Of one source, for one process at a time."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. ConfigError where it is damaged or newer than this program."""
        try:
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        except sqlite3.DatabaseError as error:
            mend = "restore it from a copy, or remove the file: the source is then pulled anew"
            raise ConfigError(f"not readable: {error}", where=str(path), mend=mend) from None
        if version > _VERSION:
            raise ConfigError("made by a newer leadline", where=str(path), mend="use that one")

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield self._file
            self._file.execute("COMMIT")
        except BaseException as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise BankError(f"not noted: {error}", mend="free disk space, retry") from error
            raise

    # --- where the pull stands ---------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        row = self._file.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    @property
    def checkpoint(self) -> Checkpoint | None:
        text = self.fact("checkpoint")
        return dict(json.loads(text)) if text else None

    @property
    def round(self) -> int:
        """Counts the times that the source began to tell its whole list."""
        return int(self.fact("round") or 0)

    @property
    def is_in_round(self) -> bool:
        """Whether such a telling has begun and not ended: what it has not told yet is not gone yet."""
        return self.fact("in-round") == "1"

    def set_facts(self, facts: Mapping[str, str]) -> None:
        with self._writing() as file:
            _put_facts(file, facts)

    @property
    def count(self) -> int:
        return int(self._file.execute("SELECT count(*) FROM entry").fetchone()[0])

    # --- a batch -----------------------------------------------------------------------------------------------------

    def find(self, keys: Sequence[str]) -> dict[str, Held]:
        found: dict[str, Held] = {}
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            asked = keys[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(asked))
            rows = self._file.execute(f"SELECT key, id, digest FROM entry WHERE key IN ({marks})", asked)  # noqa: S608
            found.update((key, Held(entry_id, digest)) for key, entry_id, digest in rows)
        return found

    def note(self, entries: Iterable[tuple[str, int]]) -> None:
        """(key, id) of what the bank is about to be given or to have changed."""
        with self._writing() as file:
            file.executemany(
                "INSERT INTO entry VALUES (?, ?, NULL, 0, 0)"
                " ON CONFLICT (key) DO UPDATE SET id = excluded.id, digest = NULL, is_settled = 0",
                entries,
            )

    def settle(
        self,
        made: Iterable[tuple[str, bytes, int]],
        gone: Iterable[str],
        same: Iterable[str],
        facts: Mapping[str, str],
    ) -> None:
        """The bank has it. made: (key, digest, id); gone: keys; same: keys told again; facts: checkpoint and round."""
        number = int(facts.get("round") or self.round)
        with self._writing() as file:
            file.executemany(
                "UPDATE entry SET digest = ?, id = ?, round = ?, is_settled = 1 WHERE key = ?",
                ((digest, entry_id, number, key) for key, digest, entry_id in made),
            )
            file.executemany("DELETE FROM entry WHERE key = ?", ((key,) for key in gone))
            file.executemany("UPDATE entry SET round = ? WHERE key = ?", ((number, key) for key in same))
            _put_facts(file, facts)

    def not_told(self, number: int) -> Iterator[tuple[str, int]]:
        """(key, id) of what the source has not told since round `number` began."""
        with closing(self._file.execute("SELECT key, id FROM entry WHERE round < ?", (number,))) as rows:
            yield from rows

    def count_not_told(self, number: int) -> int:
        return int(self._file.execute("SELECT count(*) FROM entry WHERE round < ?", (number,)).fetchone()[0])

    # --- after a kill, and in front of another bank ------------------------------------------------------------------

    def recover(self, holds: Callable[[Sequence[int]], Sequence[bool]]) -> int:
        """Settle what a kill left: entries that the bank has are told again, the others were never added. Returns how
        many there were. holds: which of these ids the bank has."""
        rows = self._file.execute("SELECT key, id FROM entry WHERE is_settled = 0").fetchall()
        there = holds([entry_id for _, entry_id in rows])
        with self._writing() as file:
            for (key, _), is_there in zip(rows, there, strict=True):
                if is_there:
                    file.execute("UPDATE entry SET is_settled = 1 WHERE key = ?", (key,))
                else:
                    file.execute("DELETE FROM entry WHERE key = ?", (key,))
        return len(rows)

    def forget_all(self) -> None:
        """The bank is another one: the source is pulled from its beginning."""
        with self._writing() as file:
            file.execute("DELETE FROM entry")
            file.execute("DELETE FROM fact")


def _put_facts(file: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    file.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())
