"""A copy of the whole office, and its way back. Keys and the list of erasures are never in a copy: they are kept apart.

A backup is a folder: database, sealed files, banks, exhibits, and backup.json with the SHA-256 of each. It appears
under its name complete or not at all. Nothing in it opens without the instance key.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections

from leadline.custody import record as names
from leadline.custody.anchor import sync_folder
from leadline.custody.erasure import ErasureList
from leadline.custody.storage import FolderStorage, open_storage
from leadline.custody.upkeep import copy_vault
from leadline.errors import BackupFailed, ConfigError, InputError, VaultUnavailable
from leadline.workbench import sealing

FORMAT = "leadline-backup-1"
_SQLITE, _POSTGRESQL = "database.sqlite3", "database.pgdump"
_COPY_BYTES = 1 << 20
_REFERENCE, _VAULT = "backup.json", "vault"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """What a restore found: where the copy's chain stood, and how many sealed files the list of erasures took away."""

    backup: str
    line: int
    head: str
    erased: int


def now_name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def make_backup(folder: Path, say: Say) -> Path:
    """Copy everything into a new folder below `folder`, while the office goes on working.

    The database first: a file sealed later is copied too much, never one too few. BackupFailed leaves nothing behind.
    """
    final = folder / f"leadline-{now_name()}"
    partial = final.with_name(f".{final.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.mkdir(mode=0o700)
        say("copying the database")
        _dump_database(partial)
        say("copying sealed files")
        vault = sealing.open_vault()
        copy_vault(vault.storage, FolderStorage(partial / _VAULT), vault.erasures.erased())
        for name, source in _folders().items():
            if source.is_dir():
                say(f"copying {name}")
                _copy_folder(source, partial / name)
        _write_reference(partial)
        partial.rename(final)
        sync_folder(folder)
    except (OSError, sqlite3.Error, DatabaseError, subprocess.CalledProcessError, VaultUnavailable) as error:
        what = f"nothing was backed up: {_reason(error)}"
        raise BackupFailed(what, where=str(folder), mend="check disk and rights, then retry") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _folders() -> dict[str, Path]:
    return {"banks": Path(settings.LEADLINE_BANKS), "exhibits": Path(settings.LEADLINE_HOME) / "exhibits"}


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
        _run_postgresql("pg_dump", "--format=custom", f"--file={folder / _POSTGRESQL}")


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


def _copy_folder(source: Path, target: Path) -> None:
    """Regular files only; one that goes away meanwhile was erased or merged, and is left out."""
    for path in _files_of(source):
        to = target / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _copy_file(path, to)
        except FileNotFoundError:
            to.unlink(missing_ok=True)


def _files_of(folder: Path) -> Iterator[Path]:
    for inner, _, found in os.walk(folder):
        for name in sorted(found):
            path = Path(inner, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        shutil.copyfileobj(read, written, _COPY_BYTES)
        written.flush()
        os.fsync(written.fileno())
    target.chmod(0o600)


def _write_reference(folder: Path) -> None:
    line, head = _head_in(folder)
    files = {str(path.relative_to(folder)): _sum(path) for path in _files_of(folder)}
    said = {"format": FORMAT, "made_at": now_name(), "line": line, "head": head, "files": files}
    path = folder / _REFERENCE
    with path.open("x", encoding="utf-8") as file:
        json.dump(said, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _head_in(folder: Path) -> tuple[int, str]:
    """Where the chain stands in the copy; PostgreSQL's dump cannot be asked, so there the database is."""
    asked = 'SELECT line, hash FROM journal_line ORDER BY line DESC LIMIT 1'
    if (folder / _SQLITE).exists():
        with closing(sqlite3.connect(folder / _SQLITE)) as copy:
            row = copy.execute(asked).fetchone()
    else:
        with connection.cursor() as cursor:
            cursor.execute(asked)
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
        if said["format"] != FORMAT:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError("no backup of Leadline", where=str(folder), mend="name the folder of one") from None
    for name, digest in files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file() or _sum(path) != digest:
            raise InputError("a file of the backup is damaged", where=name, mend="use another backup")
    return dict(said)


def restore_backup(folder: Path, *, replace: bool, say: Say) -> Restored:
    """Bring an office back from a copy. With `replace` the office that is here is moved aside first, never deleted.

    The list of erasures is replayed before anything can be read: what was erased since the copy stays unreadable.
    """
    from leadline.workbench.evidence.actions import note_restored

    said = check_backup(folder)
    slot = sealing.key_slot()  # without the key, and without the newest list of erasures, nothing is touched
    names.check_key(names.read_head((folder / _VAULT / names.VAULT_NAME).read_bytes()), slot)
    ErasureList(settings.LEADLINE_ERASURES)
    is_sqlite = (folder / _SQLITE).exists()
    if is_sqlite != (connection.vendor == "sqlite"):
        raise ConfigError("the backup is of another kind of database", where="DATABASE_URL", mend="set it as it was")
    replaced = _replaced_head()
    if replaced is not None or any(path.is_dir() and any(path.iterdir()) for path in _own_folders()):
        if not replace:
            mend = "restore on an empty machine, or say --replace to move it aside"
            raise ConfigError("an office is here already", where=str(settings.LEADLINE_HOME), mend=mend)
        say("moving the present office aside")
        _move_aside(f"replaced-{now_name()}")
    say("restoring files")
    for name, target in _folders().items():
        _copy_folder(folder / name, target)
    erased = ErasureList(settings.LEADLINE_ERASURES).erased()
    copy_vault(FolderStorage(folder / _VAULT), open_storage(settings.LEADLINE_VAULT), erased)
    say("restoring the database")
    _load_database(folder)
    call_command("migrate", verbosity=0, interactive=False)
    say("replaying erasures")
    sealing.forget()
    again = note_restored(folder.name, int(said["line"]), str(said["head"]), replaced)
    return Restored(folder.name, int(said["line"]), str(said["head"]), again)


def _replaced_head() -> tuple[int, str] | None:
    """Where the chain of the office that is here stands; None where there is none."""
    if connection.vendor == "sqlite" and not Path(str(connection.settings_dict["NAME"])).exists():
        return None
    if "journal_line" not in connection.introspection.table_names():
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT line, hash FROM journal_line ORDER BY line DESC LIMIT 1")
        row = cursor.fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "0" * 64)


def _move_aside(suffix: str) -> None:
    for path in _own_folders():
        if path.exists():
            path.rename(path.with_name(f"{path.name}.{suffix}"))
    if connection.vendor == "sqlite":
        connections.close_all()
        database = Path(str(connection.settings_dict["NAME"]))
        for tail in ("", "-wal", "-shm"):
            old = database.with_name(database.name + tail)
            if old.exists():
                old.rename(database.with_name(f"{database.name}.{suffix}{tail}"))
        return
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER SCHEMA public RENAME TO "{suffix.lower()}"')
        cursor.execute("CREATE SCHEMA public")


def _load_database(folder: Path) -> None:
    if connection.vendor == "sqlite":
        database = Path(str(connection.settings_dict["NAME"]))
        partial = database.with_name(f".{database.name}.restoring")
        partial.unlink(missing_ok=True)
        _copy_file(folder / _SQLITE, partial)
        partial.rename(database)
        sync_folder(database.parent)
    else:
        _run_postgresql("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", "--dbname",
                        str(connection.settings_dict["NAME"]), str(folder / _POSTGRESQL))  # fmt: skip
    connections.close_all()


def _reason(error: Exception) -> str:
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else type(error).__name__
