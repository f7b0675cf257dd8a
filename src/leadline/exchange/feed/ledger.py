"""What a publisher told whom: one SQLite file in the bank's folder. Holds digests, receipts, reasons; no fingerprint.

Whatever a publication changes is one transaction, and the signed files are in it: the published folder is brought to
what the ledger says, so that a kill between the two is made good by the next publication.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tuf.api.metadata import TargetFile

from leadline.errors import BankError, InputError
from leadline.exchange.feed.keys import Agreement
from leadline.exchange.feed.metadata import Online
from leadline.exchange.feed.receipts import check_receipt, read_receipt
from leadline.exchange.feed.telling import as_target
from leadline.match.folder import FEED

_VERSION = 1
_BUSY_S = 30.0
_TABLES = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE subscriber (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agreement BLOB NOT NULL, serial INTEGER NOT NULL,
  removed_at INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE told (
  subscriber INTEGER NOT NULL, id INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (subscriber, id)
) WITHOUT ROWID;
CREATE TABLE step (
  subscriber INTEGER NOT NULL, serial INTEGER NOT NULL, proof BLOB NOT NULL, published_at INTEGER NOT NULL,
  told INTEGER NOT NULL, withdrawn INTEGER NOT NULL, withdraw_by INTEGER NOT NULL, PRIMARY KEY (subscriber, serial)
) WITHOUT ROWID;
CREATE TABLE file (
  path TEXT NOT NULL, subscriber INTEGER NOT NULL, since INTEGER NOT NULL, serial INTEGER NOT NULL,
  part INTEGER NOT NULL, parts INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL PRIMARY KEY,
  entries INTEGER NOT NULL, withdrawn INTEGER NOT NULL, withdraw_by INTEGER NOT NULL,
  dropped_in INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE receipt (
  subscriber INTEGER NOT NULL, serial INTEGER NOT NULL, applied_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
  text BLOB NOT NULL, PRIMARY KEY (subscriber, serial)
) WITHOUT ROWID;
CREATE TABLE publication (
  version INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  list_version INTEGER NOT NULL, told INTEGER NOT NULL, withdrawn INTEGER NOT NULL
);
"""
_CHANGES = "CREATE TEMP TABLE change (subscriber INTEGER NOT NULL, id INTEGER NOT NULL, digest BLOB)"


class Known(NamedTuple):
    """A subscriber. serial: of the state that it was told last. removed_at: when it was, 0: it is not."""

    number: int
    agreement: Agreement
    serial: int
    removed_at: int


class FileRow(NamedTuple):
    path: str
    since: int
    serial: int
    part: int
    parts: int
    length: int
    sha256: str
    entries: int
    withdrawn: int
    withdraw_by: int


class Step(NamedTuple):
    """One change of what a subscriber was told."""

    serial: int
    proof: bytes
    told: int
    withdrawn: int
    withdraw_by: int


class Standing(NamedTuple):
    """How far a subscriber is. owed: withdrawals without a receipt; withdraw_by: the first deadline of them, or 0."""

    name: str
    id: str
    serial: int
    confirmed: int
    applied_at: int
    received_at: int
    owed: int
    withdraw_by: int
    removed_at: int

    def is_overdue(self, now_s: float) -> bool:
        return self.removed_at == 0 and 0 < self.withdraw_by < now_s


class Publication(NamedTuple):
    version: int
    at: int
    actor: str
    reason: str
    list_version: int
    told: int
    withdrawn: int


class Ledger:
    """Of one bank. Several processes may take receipts while one publishes. BankError where the disk refuses."""

    def __init__(self, bank_folder: Path, *, must_exist: bool = False) -> None:
        """must_exist: InputError where nothing was ever published from this bank."""
        self._path = bank_folder / FEED
        if must_exist and not self._path.exists():
            mend = "publish it: leadline feed publish BANK --dir DIR"
            raise InputError("nothing was published from this bank", where=str(bank_folder), mend=mend)
        with self._told():
            self._file = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_S)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            if self._version() == 0:
                self._file.execute("BEGIN IMMEDIATE")
                if self._version() == 0:  # another process may have made the tables meanwhile
                    for statement in filter(str.strip, _TABLES.split(";")):
                        self._file.execute(statement)
                    self._file.execute(f"PRAGMA user_version = {_VERSION}")
                self._file.execute("COMMIT")
            self._file.execute(_CHANGES)
        if self._version() > _VERSION:
            self._file.close()
            raise BankError("made by a newer leadline", where=str(self._path), mend="use that one")

    def _version(self) -> int:
        (version,) = self._file.execute("PRAGMA user_version").fetchone()
        return int(version)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of SQLite as ours. Its words name tables and files, never a value."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            mend = "check disk and rights; a damaged one may be removed: all is told anew, receipts are forgotten"
            raise BankError(f"not kept: {error}", where=str(self._path), mend=mend) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of the block, or nothing."""
        with self._told():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def _all(self, question: str, *values: object) -> list[Any]:
        with self._told():
            return self._file.execute(question, values).fetchall()

    # --- what was published ------------------------------------------------------------------------------------------

    def fact(self, name: str, default: Any = "") -> Any:
        rows = self._all("SELECT value FROM fact WHERE name = ?", name)
        return rows[0][0] if rows else default

    def set_facts(self, facts: Mapping[str, object]) -> None:
        self._file.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", list(facts.items()))

    def online(self) -> Online | None:
        """The signed files of the last publication; None before the first."""
        version = self.fact("version", 0)
        if not version:
            return None
        return Online(version, self.fact("targets"), self.fact("snapshot"), self.fact("timestamp"))

    def keep_online(self, online: Online) -> None:
        self.set_facts(online._asdict())

    def subscribers(self) -> list[Known]:
        rows = self._all("SELECT number, agreement, serial, removed_at FROM subscriber ORDER BY number")
        return [Known(n, msgspec.json.decode(text, type=Agreement), serial, gone) for n, text, serial, gone in rows]

    def files(self) -> list[tuple[int, FileRow]]:
        """Subscriber's number and file, of all that the signed files name."""
        columns = ", ".join(FileRow._fields)
        rows = self._all(f"SELECT subscriber, {columns} FROM file WHERE dropped_in = 0 ORDER BY path")  # noqa: S608
        return [(row[0], FileRow(*row[1:])) for row in rows]

    def targets(self) -> list[TargetFile]:
        return [as_target(**row._asdict()) for _, row in self.files()]

    def kept_digests(self) -> set[str]:
        """SHA-256 of every file that lies in the published folder by right."""
        return {digest for (digest,) in self._all("SELECT sha256 FROM file")}

    def last_step(self, number: int) -> bytes:
        """Proof of what this subscriber was told last."""
        rows = self._all("SELECT proof FROM step WHERE subscriber = ? ORDER BY serial DESC LIMIT 1", number)
        return bytes(rows[0][0])

    def told(self, number: int) -> Iterator[tuple[int, bytes]]:
        """Ids, ascending, with the digest of the line that was told."""
        with self._told():
            yield from self._file.execute("SELECT id, digest FROM told WHERE subscriber = ? ORDER BY id", (number,))

    def had(self, entries: Collection[int], since_s: int) -> list[tuple[Known, int]]:
        """Subscribers who hold one of these entries, or may have held it since; with when they were told last.

        What a subscriber holds no more is not kept one by one: who was told anything since, and then to take something
        back or nothing at all, is rather one too many.
        """
        found = []
        for known in self.subscribers():
            steps = self._all("SELECT published_at, told, withdrawn FROM step WHERE subscriber = ?", known.number)
            told = [at for at, count, _ in steps if count]
            told_since = min((at for at in told if at >= since_s), default=None)
            let_go = max([known.removed_at, *(at for at, _, count in steps if count)])
            may_have = told_since is not None and told_since <= let_go
            if may_have or any(self._holds(known.number, entry) for entry in entries):
                found.append((known, max(told, default=since_s)))
        return found

    def _holds(self, number: int, entry: int) -> bool:
        return bool(self._all("SELECT 1 FROM told WHERE subscriber = ? AND id = ?", number, entry))

    # --- a publication: noted beside, then taken over in one transaction ----------------------------------------------

    def note_changes(self, number: int, changes: Iterable[tuple[int, bytes | None]]) -> None:
        """Ids with the digest of their new line, None: withdrawn. In memory or a file of SQLite's own until taken."""
        with self._told():
            self._file.execute("BEGIN")  # of the temporary table alone: the ledger's own file is not locked
            rows = [(number, entry_id, digest) for entry_id, digest in changes]
            self._file.executemany("INSERT INTO temp.change VALUES (?, ?, ?)", rows)
            self._file.execute("COMMIT")

    def take_changes(self) -> None:
        self._file.execute(
            "DELETE FROM told WHERE (subscriber, id) IN (SELECT subscriber, id FROM temp.change WHERE digest IS NULL)"
        )
        self._file.execute(
            "INSERT OR REPLACE INTO told SELECT subscriber, id, digest FROM temp.change WHERE digest IS NOT NULL"
        )
        self._file.execute("DELETE FROM temp.change")

    def forget_changes(self) -> None:
        with self._told():
            self._file.execute("DELETE FROM temp.change")

    def next_number(self) -> int:
        return int(self._all("SELECT ifnull(max(number), 0) + 1 FROM subscriber")[0][0])

    def keep_subscriber(self, number: int, agreement: Agreement, serial: int) -> None:
        self._file.execute(
            "INSERT OR REPLACE INTO subscriber VALUES (?, ?, ?, ?, 0)",
            (number, agreement.id, msgspec.json.encode(agreement), serial),
        )

    def remove_subscriber(self, number: int, at: int) -> None:
        """Nothing more is sent to it, and what lies there for it goes at once."""
        self._file.execute("UPDATE subscriber SET removed_at = ? WHERE number = ?", (at, number))
        self._file.execute("DELETE FROM told WHERE subscriber = ?", (number,))
        self._file.execute("DELETE FROM file WHERE subscriber = ?", (number,))

    def add_files(self, number: int, rows: Iterable[FileRow]) -> None:
        columns = ", ".join(FileRow._fields)
        marks = ", ".join("?" * len(FileRow._fields))
        self._file.executemany(
            f"INSERT INTO file (subscriber, {columns}) VALUES (?, {marks})",  # noqa: S608 # of our own names
            [(number, *row) for row in rows],
        )

    def drop_files(self, number: int, version: int, *, wholes_before: int, changes_until: int) -> None:
        """Files that are named no more from this version on; who reads the version before still finds them."""
        self._file.execute(
            "UPDATE file SET dropped_in = ? WHERE subscriber = ? AND dropped_in = 0"
            " AND ((since = 0 AND serial < ?) OR (since > 0 AND serial <= ?))",
            (version, number, wholes_before, changes_until),
        )

    def forget_files(self, version: int) -> None:
        """Those that the version before this one did not name either."""
        self._file.execute("DELETE FROM file WHERE dropped_in > 0 AND dropped_in < ?", (version,))

    def add_step(self, number: int, step: Step, at: int) -> None:
        values = (number, step.serial, step.proof, at, step.told, step.withdrawn, step.withdraw_by)
        self._file.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def add_publication(self, publication: Publication) -> None:
        self._file.execute("INSERT INTO publication VALUES (?, ?, ?, ?, ?, ?, ?)", publication)

    def publications(self) -> list[Publication]:
        """Oldest first."""
        return [Publication(*row) for row in self._all("SELECT * FROM publication ORDER BY version")]

    # --- receipts ----------------------------------------------------------------------------------------------------

    def take_receipt(self, untrusted: bytes, now_s: float) -> bool:
        """Keep a receipt that holds; False where one for this state or a later one is here. InputError otherwise."""
        told = read_receipt(untrusted)
        known = next((known for known in self.subscribers() if known.agreement.id == told.subscriber), None)
        rows = known and self._all(
            "SELECT proof FROM step WHERE subscriber = ? AND serial = ?", known.number, told.serial
        )
        if known is None or not rows:
            mend = "it is not counted; ask the subscriber which feed it reads"
            where = f"{told.subscriber[:32]} {told.serial}"
            raise InputError("a receipt for what was not sent", where=where, mend=mend, code="receipt")
        check_receipt(untrusted, known.agreement, feed=self.fact("feed"), proof=bytes(rows[0][0]))
        with self.writing():
            question = "SELECT 1 FROM receipt WHERE subscriber = ? AND serial >= ?"
            if self._file.execute(question, (known.number, told.serial)).fetchone():
                return False
            row = (known.number, told.serial, told.applied_at, int(now_s), untrusted)
            self._file.execute("INSERT INTO receipt VALUES (?, ?, ?, ?, ?)", row)
        return True

    def standings(self) -> list[Standing]:
        """Of every subscriber there was, by name."""
        return sorted(self._standing(known) for known in self.subscribers())

    def _standing(self, known: Known) -> Standing:
        receipt = self._all(
            "SELECT serial, applied_at, received_at FROM receipt WHERE subscriber = ? ORDER BY serial DESC LIMIT 1",
            known.number,
        )
        confirmed, applied_at, received_at = receipt[0] if receipt else (0, 0, 0)
        ((owed, withdraw_by),) = self._all(
            "SELECT ifnull(sum(withdrawn), 0), ifnull(min(withdraw_by), 0) FROM step"
            " WHERE subscriber = ? AND serial > ? AND withdrawn > 0",
            known.number, confirmed,
        )  # fmt: skip
        return Standing(
            known.agreement.name, known.agreement.id, known.serial, confirmed, applied_at, received_at, owed,
            withdraw_by, known.removed_at,
        )  # fmt: skip
