"""A copy of the whole office, and its way back. Keys and the list of erasures are never in a copy: they are kept apart.

A backup is a folder: database, sealed files, banks, exhibits, law data, case templates, what is set up for lists of
others, and backup.json with the SHA-256 of each. It appears under its name complete or not at all. Sealed files,
fields and credentials open with the instance key only; the rest of the database, banks and exhibits lie in it as they
lie in the office, so a backup belongs on an encrypted disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction

from leadline.custody import record as names
from leadline.custody.anchor import sync_folder
from leadline.custody.erasure import ErasureList
from leadline.custody.storage import FolderStorage, open_storage
from leadline.custody.upkeep import copy_vault
from leadline.errors import (
    BackupFailed,
    BankCorrupt,
    BankError,
    ConfigError,
    ErasureListBroken,
    InputError,
    LeadlineError,
    SealBroken,
    VaultUnavailable,
    WrongState,
)
from leadline.match.bank import Bank
from leadline.match.folder import MERGE_LOCK, WRITE_LOCK, hold_lock
from leadline.subscriptions.folder import LARGE_FOLDER
from leadline.workbench import running, sealing
from leadline.workbench.tables import bring_up_to_date

FORMAT = "leadline-backup-1"
_SQLITE, _POSTGRESQL = "database.sqlite3", "database.pgdump"
_COPY_BYTES = 1 << 20
_REFERENCE, _VAULT, _BANKS = "backup.json", "vault", "banks"
_OWN = ("exhibits", "law", "case-templates", "exchanges")  # folders in LEADLINE_HOME that are copied as they are
_REMADE = "holdings.sqlite"  # of a source: made anew from its bank, which alone is the truth
_BANK_LOCK_TIMEOUT_S = 60.0
_ID = re.compile(r"leadline-[0-9]{8}T[0-9]{6}Z(?:-[0-9a-f]{6})?")
_FAULTS = (OSError, sqlite3.Error, DatabaseError, subprocess.CalledProcessError, VaultUnavailable, SealBroken)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Backup:
    """What was made. `damaged`: SHA-256 of sealed files, `banks`: folders, that are in it not whole or not at all."""

    folder: Path
    damaged: tuple[str, ...] = ()
    banks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Restored:
    """What a restore found: where the copy's chain stood, and how many sealed files the list of erasures took away.

    `damaged`: SHA-256 of files that the backup could not hold; rows say that they are kept, and they are not there.
    """

    backup: str
    line: int
    head: str
    erased: int
    damaged: tuple[str, ...] = ()


def now_name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def make_backup(folder: Path, say: Say) -> Backup:
    """Copy everything into a new folder below `folder`, while the office goes on working.

    The database first: a file sealed later is copied too much, never one too few. A damaged file or bank is named in
    the answer and in backup.json, and everything else is copied. BackupFailed leaves nothing behind.
    """
    name = f"leadline-{now_name()}-{secrets.token_hex(3)}"  # by chance: two of one second do not meet
    final, partial = folder / name, folder / f".{name}.partial"
    damaged: list[str] = []
    with _said(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.mkdir(mode=0o700)
        try:
            say("copying the database")
            _dump_database(partial)
            say("copying sealed files")
            vault = sealing.open_vault()
            stands = vault.erasures.head  # before the vault is copied: so it is not older than what it holds
            copy_vault(vault.storage, FolderStorage(partial / _VAULT), vault.erasures.erased(), damaged)
            say("copying banks, exhibits, law data and case templates")
            banks = _copy_banks(Path(settings.LEADLINE_BANKS), partial / _BANKS)
            for name_of in _OWN:
                _copy_folder(_folders()[name_of], partial / name_of)
            _write_reference(partial, name, {"damaged": damaged, "damaged_banks": banks, "erasures": [*stands]})
            partial.rename(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(folder)
    return Backup(final, tuple(damaged), tuple(banks))


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        what = f"nothing was backed up: {_reason(error)}"
        raise BackupFailed(what, where=str(folder), mend="check disk and rights, then retry") from None


def _folders() -> dict[str, Path]:
    own = {name: Path(settings.LEADLINE_HOME) / name for name in _OWN}
    return {_BANKS: Path(settings.LEADLINE_BANKS), **own}


def _copy_banks(source: Path, target: Path) -> list[str]:
    """Each bank under its own locks, so that no merge takes a file away, and then opened. Those that do not open."""
    faulty = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()) if source.is_dir() else ():
        try:
            with (
                hold_lock(folder, MERGE_LOCK, _BANK_LOCK_TIMEOUT_S),
                hold_lock(folder, WRITE_LOCK, _BANK_LOCK_TIMEOUT_S),
            ):
                _copy_folder(folder, target / folder.name, may_go=False)
            if faults := Bank.open(target / folder.name).verify():
                raise BankCorrupt(faults[0], where=folder.name)
        except (BankError, OSError):
            faulty.append(folder.name)
    return faulty


def _own_folders() -> list[Path]:
    """What is moved aside; a bucket is not: what it holds is named by hash, and is only added to."""
    vault = settings.LEADLINE_VAULT
    return [*_folders().values(), *([vault] if isinstance(vault, Path) else [])]


def _dump_database(folder: Path) -> None:
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        source = sqlite3.connect(f"file:{connection.settings_dict['NAME']}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(folder / _SQLITE)) as copy:
            source.backup(copy, pages=4096, sleep=0.01)
            copy.execute("PRAGMA journal_mode=DELETE")
    else:
        _run_postgresql("pg_dump", "--format=custom", "--schema=public", f"--file={folder / _POSTGRESQL}")


def _run_postgresql(program: str, *arguments: str) -> None:
    """Debian keeps the programs of each version apart: pg_wrapper's names are on the PATH, the others are looked up."""
    said = connection.settings_dict
    found = shutil.which(program) or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)), None
    )
    if found is None:
        raise ConfigError(f"{program} is not installed", mend="install the client programs of PostgreSQL")
    environment = os.environ | {
        "PGHOST": str(said["HOST"] or ""),
        "PGPORT": str(said["PORT"] or ""),
        "PGUSER": str(said["USER"] or ""),
        "PGPASSWORD": str(said["PASSWORD"] or ""),
        "PGDATABASE": str(said["NAME"]),
    }
    environment = {name: value for name, value in environment.items() if value}
    subprocess.run([found, *arguments], check=True, env=environment, capture_output=True)  # noqa: S603


def _copy_folder(source: Path, target: Path, *, may_go: bool = True) -> None:
    """Regular files only. `may_go`: one that goes away meanwhile was erased, and is left out."""
    for path in _files_of(source):
        to = target / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _copy_file(path, to)
        except FileNotFoundError:
            to.unlink(missing_ok=True)
            if not may_go:
                raise


def _files_of(folder: Path) -> Iterator[Path]:
    for inner, folders, found in os.walk(folder):
        folders[:] = [name for name in folders if name != LARGE_FOLDER]  # gigabytes, which their source gives again
        for name in sorted(found):
            path = Path(inner, name)
            if path.is_file() and not path.is_symlink() and not name.startswith(_REMADE):
                yield path


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        shutil.copyfileobj(read, written, _COPY_BYTES)
        written.flush()
        os.fsync(written.fileno())
    target.chmod(0o600)


def _write_reference(folder: Path, name: str, found: dict[str, Any]) -> None:
    if not any((folder / database).is_file() for database in (_SQLITE, _POSTGRESQL)):
        raise FileNotFoundError(2, "the copy of the database is gone")  # somebody tidied up; no backup without it
    line, head = _head_in(folder)
    files = {str(path.relative_to(folder)): _sum(path) for path in _files_of(folder)}
    said = {"format": FORMAT, "name": name, "made_at": now_name(), "line": line, "head": head}
    said |= {**found, "files": files}
    path = folder / _REFERENCE
    with path.open("x", encoding="utf-8") as file:
        json.dump(said, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def _head_in(folder: Path) -> tuple[int, str]:
    """Where the chain stands in the copy; PostgreSQL's dump cannot be asked: where it stood a moment later."""
    if not (folder / _SQLITE).exists():
        return _head_of_database()
    with closing(sqlite3.connect(folder / _SQLITE)) as copy:
        row = copy.execute(_LAST_LINE).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "0" * 64)


_LAST_LINE = "SELECT line, hash FROM journal_line ORDER BY line DESC LIMIT 1"


def _head_of_database() -> tuple[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(_LAST_LINE)
        row = cursor.fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "0" * 64)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the way back ----------------------------------------------------------------------------------------------------


def check_backup(folder: Path) -> dict[str, Any]:
    """Its own description, after every file was read. InputError names the first that is not as it was written."""
    try:
        said = json.loads((folder / _REFERENCE).read_text(encoding="utf-8"))
        files = dict(said["files"])
        name = said.get("name", f"leadline-{said['made_at']}")
        said = {"damaged": [], "erasures": [0, "0" * 64], **said, "name": name}
        if said["format"] != FORMAT or not _ID.fullmatch(said["name"]):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError("no backup of Leadline", where=str(folder), mend="name the folder of one") from None
    for name, digest in files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file() or _sum(path) != digest:
            raise InputError("a file of the backup is damaged", where=name, mend="use another backup")
    if not {_SQLITE, _POSTGRESQL} & set(files):
        raise InputError("the backup holds no database", where=str(folder), mend="use another backup")
    return dict(said)


def restore_backup(folder: Path, *, replace: bool, say: Say) -> Restored:
    """Bring an office back from a copy. With `replace` the office that is here is moved aside first, never deleted.

    The caller is alone at work. A mark stands in LEADLINE_HOME from before the first file is touched until the gap is
    told and what was erased since is destroyed; while it stands nothing serves this office, and a restore that is
    said again goes on. BackupFailed where disk or database refuse in between.
    """
    folder = folder.resolve()
    said = check_backup(folder)
    slot = sealing.key_slot()  # without the key, and without the newest list of erasures, nothing is touched
    names.check_key(names.read_head((folder / _VAULT / names.VAULT_NAME).read_bytes()), slot)
    _check_erasures(*said["erasures"])
    if (folder / _SQLITE).exists() != (connection.vendor == "sqlite"):
        raise ConfigError("the backup is of another kind of database", where="DATABASE_URL", mend="set it as it was")
    _refuse_other_connections()
    mark = running.restore_under_way()
    if mark is None:
        mark = _begin(replace=replace)
    elif not replace:
        running.refuse_half_restored()
    try:
        return _restore(folder, said, mark, say)
    except _FAULTS as error:
        aside = f"; what was here lies aside as NAME.{mark['suffix']}" if mark.get("replaced") else ""
        mend = "mend that, then run `leadline restore --replace BACKUP` again: it goes on"
        what = f"the restore stopped half-way: {_reason(error)}{aside}"
        raise BackupFailed(what, where=str(settings.LEADLINE_HOME), mend=mend) from None


def _check_erasures(line: int, hash_then: str) -> None:
    """ErasureListBroken where the list is missing, another office's, or older than the backup."""
    listed = ErasureList(settings.LEADLINE_ERASURES)
    if listed.hash_at(int(line)) != hash_then:
        mend = "put the newest list of this office in its place; see docs/operate.md, Backups"
        where = str(settings.LEADLINE_ERASURES)
        raise ErasureListBroken("the list of erasures is not this backup's", where=where, mend=mend)


def _begin(*, replace: bool) -> dict[str, Any]:
    replaced = _replaced_head()
    if replaced is not None or any(path.is_dir() and any(path.iterdir()) for path in _own_folders()):
        if not replace:
            mend = "restore on an empty machine, or say --replace to move it aside"
            raise ConfigError("an office is here already", where=str(settings.LEADLINE_HOME), mend=mend)
    mark = {"stage": "moving", "suffix": f"replaced-{now_name()}", "replaced": replaced}
    running.begin_restore(mark)
    return mark


def _restore(folder: Path, said: dict[str, Any], mark: dict[str, Any], say: Say) -> Restored:
    from leadline.workbench.evidence.actions import note_restored
    from leadline.workbench.reports.actions import replay_contact_erasures
    from leadline.workbench.sharing.actions import doubt_after_restore

    if mark.get("stage") == "moving":
        say("moving the present office aside")
        _move_aside(str(mark["suffix"]))
        running.begin_restore({**mark, "stage": "moved"})
    else:
        say("taking away what a restore that was stopped has copied")
        _clear()
    say("restoring files")
    for name, target in _folders().items():
        _copy_folder(folder / name, target)
    erased = ErasureList(settings.LEADLINE_ERASURES).erased()
    copy_vault(FolderStorage(folder / _VAULT), open_storage(settings.LEADLINE_VAULT), erased)
    say("restoring the database")
    _load_database(folder)
    line, head = _head_of_database()  # asked of what was restored: a dump may be older than what was noted beside it
    bring_up_to_date()
    say("replaying erasures")
    sealing.forget()
    replaced = mark.get("replaced")
    again = note_restored(said["name"], line, head, tuple(replaced) if replaced else None)
    replay_contact_erasures()
    doubt_after_restore()
    running.end_restore()
    return Restored(str(said["name"]), line, head, again, tuple(said["damaged"]))


def _refuse_other_connections() -> None:
    """SQLite's users are known by their lock; whoever else is connected to PostgreSQL may be on another machine."""
    if connection.vendor == "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        others = int(cursor.fetchone()[0])
    if others:
        mend = "stop every worker and server, on all machines, and close other sessions"
        raise WrongState(f"{others} others are connected to the database", where="DATABASE_URL", mend=mend)


def _replaced_head() -> tuple[int, str] | None:
    """Where the chain of the office that is here stands; None where there is none."""
    if connection.vendor == "sqlite" and not _database_file().exists():
        return None
    return _head_of_database() if "journal_line" in connection.introspection.table_names() else None


def _database_file() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def _parts_of_database() -> list[tuple[str, Path]]:
    database = _database_file()
    return [(tail, database.with_name(database.name + tail)) for tail in ("-wal", "-shm", "")]


def _move_aside(suffix: str) -> None:
    """Said again after a stop it goes on: what has its new name already is left. The database last, as one unit."""
    for path in _own_folders():
        if path.exists() and not path.with_name(f"{path.name}.{suffix}").exists():
            path.rename(path.with_name(f"{path.name}.{suffix}"))
    if connection.vendor == "sqlite":
        connections.close_all()
        database = _database_file()
        for tail, old in _parts_of_database():
            if old.exists():
                old.rename(database.with_name(f"{database.name}.{suffix}{tail}"))
        sync_folder(database.parent)
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'ALTER SCHEMA public RENAME TO "{suffix.lower()}"')
        cursor.execute("CREATE SCHEMA public")


def _clear() -> None:
    """Only copies of a backup lie there now: the office that was here is aside. A bucket is added to, never cleared."""
    for path in _own_folders():
        if path.exists():
            shutil.rmtree(path)
    if connection.vendor == "sqlite":
        connections.close_all()
        for _, path in _parts_of_database():
            path.unlink(missing_ok=True)
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")


def _load_database(folder: Path) -> None:
    if connection.vendor == "sqlite":
        database = _database_file()
        partial = database.with_name(f".{database.name}.restoring")
        partial.unlink(missing_ok=True)
        _copy_file(folder / _SQLITE, partial)
        partial.rename(database)
        sync_folder(database.parent)
    else:
        connections.close_all()
        _run_postgresql("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", "--schema=public",
                        "--dbname", str(connection.settings_dict["NAME"]), str(folder / _POSTGRESQL))  # fmt: skip
    connections.close_all()


def _reason(error: Exception) -> str:
    if isinstance(error, LeadlineError):
        return f"{error.what} ({error.where})" if error.where else error.what
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(str(error.cmd[0])).name} ended with {error.returncode}"
    return type(error).__name__
