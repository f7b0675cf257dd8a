"""Which entry of our bank stands for which entry of a source, and where its pull stands; one SQLite file a source.

A batch is noted before the bank changes and settled after it, together with the checkpoint. What a kill leaves between
the two is put right from the bank, which alone is the truth (recovery.py). Of the bank's entries it holds keys, ids and
digests. Fingerprints that nobody here can compare have no place in a bank: what holds no others is kept here alone, and
of those too large for a bank rows are (large_rows.py) about files beside this one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from leadline.errors import BankError, ConfigError
from leadline.exchange.connector import Checkpoint
from leadline.subscriptions.large_rows import TABLES as _LARGE
from leadline.subscriptions.large_rows import LargeRows, Wanted

_VERSION = 3  # 2: with `kept`; 3: with large ones
_ASKED_AT_ONCE = 500
# Rounds have no index: they are asked for once a whole list, and one would cost a quarter of each row that is written.
_TABLES = """
CREATE TABLE entry (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, digest BLOB, round INTEGER NOT NULL, state INTEGER NOT NULL
);
CREATE INDEX entry_unsettled ON entry (state) WHERE state <> 1;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# A row a fingerprint: the source's name of its record, its kind and text as the source gave them, the record's digest.
_KEPT = (
    "CREATE TABLE kept (key TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, digest BLOB NOT NULL, "
    "round INTEGER NOT NULL, PRIMARY KEY (key, kind))",
    "CREATE INDEX kept_kind ON kept (kind)",
    # what was passed over before there was this table is to be told again
    "UPDATE fact SET value = '' WHERE name = 'checkpoint'",
    "UPDATE fact SET value = '0' WHERE name = 'in-round'",
)
_STEPS = {1: _KEPT, 2: _LARGE}  # version -> what makes the next one of it


class State(IntEnum):
    HELD = 1  # the bank was given it; where it has it no more, a person took it out
    REMOVING = 2  # the source withdrew it, and the bank is about to lose it


class Held(NamedTuple):
    """id: of the bank's entry. digest: of the record that it was made of, None where that is not sure."""

    id: int
    digest: bytes | None


class Kept(NamedTuple):
    """A fingerprint of a kind that nobody here can compare, of a record that holds no other: the source's name of the
    record, kind and text as the source gives them (`exchange.base.kept_texts`), 32 bytes digest of the raw record."""

    key: str
    kind: str
    value: str
    digest: bytes


class Holdings:
    """Of one source, for one process at a time. BankError where the disk refuses, ConfigError where it is damaged."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. ConfigError where it is newer than this program."""
        self._path = path
        with self._told():
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = 1; COMMIT;")
        if version > _VERSION:
            raise ConfigError("made by a newer leadline", where=str(path), mend="use that one")
        if version < _VERSION:
            self._bring_up()
        self._has_kept = bool(self._ask("SELECT 1 FROM kept LIMIT 1"))
        self.large = LargeRows(self._ask, self._writing)

    def _bring_up(self) -> None:
        with self._writing() as file:
            (version,) = file.execute("PRAGMA user_version").fetchone()  # another process may have done it meanwhile
            for step in range(version, _VERSION):
                for statement in _STEPS[step]:
                    file.execute(statement)
            file.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of SQLite as ours. Its words name tables and files, never a value."""
        try:
            yield
        except sqlite3.OperationalError as error:
            mend = "check its folder, rights and disk space, then retry"
            raise BankError(f"not noted: {error}", where=str(self._path), mend=mend) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> ConfigError:
        mend = "remove the file: the next pull makes it anew from the bank; what a person took out comes back then"
        return ConfigError(f"damaged: {what}", where=str(self._path), mend=mend)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    def _ask(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._told():
            return self._file.execute(query, values).fetchall()

    def _ask_of(self, query: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of these keys, some hundred keys at a time."""
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            asked = keys[start : start + _ASKED_AT_ONCE]
            yield from self._ask(f"{query} WHERE key IN ({','.join('?' * len(asked))})", asked)

    def _number(self, query: str, values: Sequence[object] = ()) -> int:
        ((value,),) = self._ask(query, values)
        return 0 if value is None else int(value)

    # --- where the pull stands ---------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        rows = self._ask("SELECT value FROM fact WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    @property
    def checkpoint(self) -> Checkpoint | None:
        text = self.fact("checkpoint")
        try:
            return dict(json.loads(text)) if text else None
        except (ValueError, TypeError):
            raise self._damaged("its checkpoint is none") from None

    @property
    def round(self) -> int:
        """Counts the times that the source began to tell its whole list."""
        return int(self.fact("round") or 0)

    @property
    def next_round(self) -> int:
        """A number that no entry bears: also after a kill in the middle of a batch that began a round."""
        tables = ("entry", *(["kept"] if self._has_kept else []), *(["large"] if self.large.has_any else []))
        return max(self.round, *(self._number(f"SELECT max(round) FROM {table}") for table in tables)) + 1  # noqa: S608

    @property
    def is_in_round(self) -> bool:
        """Whether such a telling has begun and not ended: what it has not told yet is not gone yet."""
        return self.fact("in-round") == "1"

    def set_facts(self, facts: Mapping[str, str]) -> None:
        with self._writing() as file:
            _put_facts(file, facts)

    @property
    def is_empty(self) -> bool:
        return not (self._has_kept or self.large.has_any) and self.count == 0

    @property
    def count(self) -> int:
        return self._number("SELECT count(*) FROM entry")

    # --- a batch -----------------------------------------------------------------------------------------------------

    def find(self, keys: Sequence[str]) -> dict[str, Held]:
        rows = self._ask_of("SELECT key, id, digest FROM entry", keys)
        return {key: Held(entry_id, digest) for key, entry_id, digest in rows}

    def find_kept(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Key -> digest of records that are kept without an entry."""
        return dict(self._ask_of("SELECT key, digest FROM kept", keys)) if self._has_kept else {}

    def kept_counts(self) -> dict[str, int]:
        """Fingerprints that nobody here can compare, by kind."""
        return dict(self._ask("SELECT kind, count(*) FROM kept GROUP BY kind ORDER BY count(*) DESC, kind"))

    def kept(self) -> Iterator[Kept]:
        """All of them, by the source's name of their record."""
        with self._told():
            for row in self._file.execute("SELECT key, kind, value, digest FROM kept ORDER BY key, kind"):
                yield Kept(*row)

    def note(self, adding: Mapping[str, int], changing: Iterable[str], removing: Iterable[str]) -> None:
        """What the bank is about to be given, as key -> id that it will have unless another writer comes first, to
        have changed, to lose."""
        with self._writing() as file:
            _put_facts(file, {"adding": msgspec.json.encode(dict(adding)).decode()})
            file.executemany("UPDATE entry SET digest = NULL WHERE key = ?", ((key,) for key in changing))
            _put_removing(file, removing)

    def note_removing(self, keys: Iterable[str]) -> None:
        """What the bank is about to lose besides, in the middle of a batch."""
        with self._writing() as file:
            _put_removing(file, keys)

    def settle(
        self,
        made: Iterable[tuple[str, bytes, int]],
        gone: Iterable[str],
        same: Iterable[str],
        kept: Iterable[Kept] = (),
        *,
        wanted: Sequence[Wanted] = (),
        unlinked: Iterable[str] = (),
        round_: int,
        facts: Mapping[str, str],
    ) -> None:
        """The bank has it. made: (key, digest, id); gone, same (told again): keys, of what is only kept, too.

        kept      put in after `gone` went, so that a record's fingerprints replace those that it had
        wanted    large fingerprints that records lead to; unlinked: keys of records that lead to none
        """
        held = int(State.HELD)  # an IntEnum is adapted anew for each row
        rows = [(entry_id, key, digest, round_, held) for key, digest, entry_id in made]
        lost, told = [(key,) for key in gone], [(round_, key, round_) for key in same]
        kept_rows = [(*one, round_) for one in kept]
        with self._writing() as file:
            file.executemany("DELETE FROM entry WHERE key = ?", lost)
            file.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)", rows)
            file.executemany("UPDATE entry SET round = ? WHERE key = ? AND round <> ?", told)
            if self._has_kept:
                file.executemany("DELETE FROM kept WHERE key = ?", lost)
                file.executemany("UPDATE kept SET round = ? WHERE key = ? AND round <> ?", told)
            file.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", kept_rows)
            self.large.put(file, wanted, ((key,) for key in unlinked), round_)
            _put_facts(file, {"adding": "{}", **facts})
        self._has_kept = self._has_kept or bool(kept_rows)

    def not_told(self, number: int, at_most: int) -> list[tuple[str, int]]:
        """(key, id) of some of what the source has not told since round `number` began."""
        rows = self._ask("SELECT key, id FROM entry WHERE round < ? LIMIT ?", (number, at_most))
        return [(key, entry_id) for key, entry_id in rows]

    def count_not_told(self, number: int) -> int:
        return self._number("SELECT count(*) FROM entry WHERE round < ?", (number,))

    def count_kept_not_told(self, number: int, *, is_dry: bool = False) -> int:
        """Records that are kept without an entry and that the source has not told since round `number` began."""
        told = " AND key NOT IN (SELECT key FROM mark)" if is_dry else ""
        return self._number(f"SELECT count(DISTINCT key) FROM kept WHERE round < ?{told}", (number,))  # noqa: S608

    def end_round(self, number: int, facts: Mapping[str, str]) -> None:
        """What is kept without an entry, or led to, and was not told goes, with the facts in one step."""
        with self._writing() as file:
            for table in ("kept", "large"):
                file.execute(f"DELETE FROM {table} WHERE round < ?", (number,))  # noqa: S608
            _put_facts(file, facts)

    # --- a dry run ---------------------------------------------------------------------------------------------------

    def forget_marks(self) -> None:
        """Before a whole list is told in a dry run."""
        with self._told():
            self._file.execute("CREATE TEMP TABLE IF NOT EXISTS mark (key TEXT PRIMARY KEY) WITHOUT ROWID")
            self._file.execute("DELETE FROM mark")

    def mark(self, keys: Iterable[str]) -> None:
        """Told in a dry run; beside the file, and gone with this process."""
        with self._writing() as file:
            file.executemany("INSERT OR IGNORE INTO mark VALUES (?)", ((key,) for key in keys))

    def count_not_marked(self, number: int) -> int:
        """Of those not told since round `number` began."""
        query = "SELECT count(*) FROM entry WHERE round < ? AND key NOT IN (SELECT key FROM mark)"
        return self._number(query, (number,))

    # --- for recovery ------------------------------------------------------------------------------------------------

    def newest(self) -> tuple[str, int] | None:
        """(key, id) of the greatest id that is held."""
        rows = self._ask("SELECT key, id FROM entry WHERE state = ? ORDER BY id DESC LIMIT 1", (State.HELD,))
        return (rows[0][0], rows[0][1]) if rows else None

    def adding(self) -> dict[str, int]:
        """What a kill left of `note`, whether or not the bank was given it."""
        try:
            return dict(json.loads(self.fact("adding") or "{}"))
        except (ValueError, TypeError):
            raise self._damaged("what was being added is not readable") from None

    def unsettled(self, state: State) -> dict[str, int]:
        """Key -> id of what a kill left in this state."""
        rows = self._ask("SELECT key, id FROM entry WHERE state = ?", (state,))
        return dict(rows)

    def replace(self, gone: Iterable[str], held: Iterable[tuple[str, int]]) -> None:
        """Rows out, and (key, id) in as held; what they were made of is not sure."""
        with self._writing() as file:
            file.executemany("DELETE FROM entry WHERE key = ?", ((key,) for key in gone))
            rows = ((entry_id, key, State.HELD) for key, entry_id in held)
            file.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, NULL, 0, ?)", rows)

    def doubt_all(self) -> None:
        """What is held was made by other rules: the source is to tell all of it again."""
        with self._writing() as file:
            file.execute("UPDATE entry SET digest = NULL")
            _put_facts(file, {"checkpoint": "", "in-round": "0"})

    def tell_again(self, facts: Mapping[str, str]) -> None:
        """The source is to tell its list from the beginning; what it tells as before stays as it is."""
        self.set_facts({"checkpoint": "", "in-round": "0", **facts})

    def forget_all(self) -> None:
        """The bank is another one: the source is pulled from its beginning. Large fingerprints are none of the bank's:
        those that the source still tells need not come again."""
        with self._writing() as file:
            for table in ("entry", "kept"):
                file.execute(f"DELETE FROM {table}")  # noqa: S608
            file.execute("DELETE FROM fact WHERE name <> 'large'")


def _put_removing(file: sqlite3.Connection, keys: Iterable[str]) -> None:
    removed = ((State.REMOVING, key) for key in keys)
    file.executemany("UPDATE entry SET digest = NULL, state = ? WHERE key = ?", removed)


def _put_facts(file: sqlite3.Connection, facts: Mapping[str, str]) -> None:
    file.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())
