"""Subscriptions of one installation: a folder each, with settings, credentials, status, holdings. Asks no source.

NAME/settings.json    connector, address and options, defaults of entries, bank; nothing secret
NAME/secrets.json     where each credential comes from: a file, a variable of the environment, or sealed text
NAME/status.json      what the last pulls did
NAME/holdings.sqlite  which entry of the bank is which entry of the source
NAME/holdings.large   files of its large fingerprints
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from leadline.domain import Kind, PdqFamily, Tlp
from leadline.errors import ConfigError, KeyUnavailable, SealBroken
from leadline.exchange.base import EntryDefaults
from leadline.match.folder import sync_folder

LARGE_FOLDER = "holdings.large"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")  # also of a bank in the workbench
_MAX_FILE_BYTES = 1 << 20
_MAX_SECRET_BYTES = 1 << 16
_RUNS_KEPT = 50
_OF_FILES = frozenset({"large_gb", "large_mb"})  # options that make no entry another one


class Sealing(Protocol):
    """The instance key's work. context: what the text belongs to, so that it opens nowhere else."""

    def seal(self, text: str, context: bytes) -> bytes: ...

    def open(self, sealed: bytes, context: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Subscription:
    """One source as a person set it up.

    connector    of exchange/connectors.py; options: as its `options_type` says
    bank         folder of the bank that holds its entries and no others; empty for a look-up service
    label_kinds  kind of the entries with a label; None: they are left out
    """

    name: str
    connector: str
    options: Mapping[str, Any]
    bank: str
    kind: Kind
    tlp: Tlp = Tlp.AMBER_STRICT
    licence: str = ""
    scheme: str = ""
    pdq_family: PdqFamily = PdqFamily.B
    label_kinds: Mapping[str, Kind | None] = field(default_factory=dict)

    @property
    def defaults(self) -> EntryDefaults:
        return EntryDefaults(self.kind, self.name, self.tlp, self.licence, self.scheme, "", self.pdq_family)

    @property
    def terms(self) -> str:
        """A digest of all that makes an entry of a record: after a change of it every record is told again."""
        settings = {field: value for field, value in _settings_text(self).items() if field != "bank"}
        settings["options"] = {name: value for name, value in self.options.items() if name not in _OF_FILES}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one credential comes from; exactly one of the three is given."""

    file: str = ""
    variable: str = ""
    sealed: bytes = b""


class Subscriptions:
    """All of one folder. `environment` is where variables are looked up: the caller reads it, not this room."""

    def __init__(self, folder: Path, environment: Mapping[str, str], sealing: Callable[[], Sealing]) -> None:
        """sealing: called only where something is sealed or opened. ConfigError where there is no instance key."""
        self._folder, self._environment, self._sealing = folder, environment, sealing

    def names(self) -> list[str]:
        """In their order; what a kill left half-made has a name that is none. ConfigError where they cannot be read."""
        try:
            there = [path.name for path in self._folder.iterdir() if (path / "settings.json").is_file()]
        except FileNotFoundError:
            return []
        except OSError as error:
            mend = "run this as whoever set the sources up, or give it the right to read the folder"
            raise ConfigError(f"not readable: {error.strerror}", where=str(self._folder), mend=mend) from None
        return sorted(name for name in there if _NAME.fullmatch(name))

    def path(self, name: str) -> Path:
        """ConfigError for a name that is no subscription."""
        if not _NAME.fullmatch(name) or not (self._folder / name / "settings.json").is_file():
            known = ", ".join(self.names()) or "none yet"
            raise ConfigError("no such source", where=name[:100], mend=f"add it, or use one of: {known}")
        return self._folder / name

    def add(self, subscription: Subscription, secrets: Mapping[str, SecretSource | str]) -> None:
        """A secret given as text is sealed with the instance key. ConfigError where name or bank is taken."""
        name = subscription.name
        if not _NAME.fullmatch(name):
            raise ConfigError("not a name", where=name[:100], mend="use a-z, 0-9, - and _, at most 61")
        self.check_free(name, subscription.bank)
        folder = self._folder / name
        sources = {of: self._as_source(name, of, given) for of, given in secrets.items()}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        building = folder.with_name(f".{name}.adding")  # of a kill before, where it is there
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        try:
            write_json(building / "secrets.json", {of: _secret_text(source) for of, source in sources.items()})
            write_json(building / "settings.json", _settings_text(subscription))
            os.rename(building, folder)
            sync_folder(self._folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def check_free(self, name: str, bank: str) -> None:
        """ConfigError where this is no name for a source, or where name or bank is taken."""
        if not _NAME.fullmatch(name):
            raise ConfigError("not a name", where=name[:100], mend="use a-z, 0-9 and -, at most 61, no - at first")
        if (self._folder / name).exists():
            raise ConfigError("there is such a source already", where=name, mend="remove it first, or use another name")
        for other in map(self.get, self.names()):
            if bank and os.path.realpath(other.bank) == os.path.realpath(bank):
                raise ConfigError("this bank holds another source's entries", where=other.name, mend="give it its own")

    def get(self, name: str) -> Subscription:
        path = self.path(name) / "settings.json"
        return _read_settings(name, read_json(path), str(path))

    def remove(self, name: str) -> None:
        """Forget settings, credentials and holdings; the bank stays as it is. In one step: gigabytes of files take a
        while, and what a kill leaves of them is no source any more and goes with the next one that is removed."""
        with self.pulling(name):
            removing = self._folder / f".{name}.removing"
            shutil.rmtree(removing, ignore_errors=True)
            os.rename(self.path(name), removing)
            sync_folder(self._folder)
        for left in self._folder.glob(".*.removing"):
            shutil.rmtree(left, ignore_errors=True)
        if removing.exists():
            mend = "remove the folder by hand"
            raise ConfigError("forgotten, but not all of it could be removed", where=str(removing), mend=mend)

    def holdings_path(self, name: str) -> Path:
        return self.path(name) / "holdings.sqlite"

    def large_path(self, name: str) -> Path:
        return self.path(name) / LARGE_FOLDER

    def set_options(self, name: str, options: Mapping[str, Any]) -> None:
        """Others from the next pull on."""
        with self.pulling(name):
            subscription = replace(self.get(name), options=options)
            write_json(self.path(name) / "settings.json", _settings_text(subscription))

    @contextmanager
    def pulling(self, name: str, wait_s: float = 1.0) -> Iterator[None]:
        """One process at a time works on a source; it may be looked at for a moment. ConfigError where another does."""
        with open(self.path(name) / "lock", "wb") as file:
            give_up = time.monotonic() + wait_s
            while not _is_locked(file):
                if time.monotonic() >= give_up:
                    raise ConfigError("another process works on this source", where=name, mend="wait for it")
                time.sleep(0.05)
            yield

    def is_busy(self, name: str) -> bool:
        """Whether a process works on it at this moment. Writes nothing."""
        try:
            with open(self.path(name) / "lock", "rb") as file:
                return not _is_locked(file, fcntl.LOCK_SH)
        except FileNotFoundError:  # nobody ever did
            return False

    # --- credentials -------------------------------------------------------------------------------------------------

    def secrets(self, name: str) -> dict[str, str]:
        """Each credential. ConfigError where a file or variable is missing, SealBroken where a seal is."""
        stored = read_json(self.path(name) / "secrets.json")
        return {of: self._reveal(name, of, _read_secret(raw, name)) for of, raw in stored.items()}

    def secret_places(self, name: str) -> dict[str, str]:
        """Where each comes from, for people: never what it is."""
        stored = read_json(self.path(name) / "secrets.json")
        return {of: _place(_read_secret(raw, name)) for of, raw in stored.items()}

    def sealed(self) -> Iterator[bytes]:
        """Every sealed credential."""
        for name in self.names():
            for raw in read_json(self.path(name) / "secrets.json").values():
                if sealed := _read_secret(raw, name).sealed:
                    yield sealed

    def reseal(self, again: Callable[[bytes, bytes], bytes], damaged: list[str]) -> int:
        """Every sealed credential as `again(sealed, context)` gives it; how many are others now. `damaged` gets the
        places of those that do not open."""
        changed = 0
        for name in self.names():
            stored = read_json(self.path(name) / "secrets.json")
            sources = {of: _read_secret(raw, name) for of, raw in stored.items()}
            fresh = {of: self._resealed(name, of, source, again, damaged) for of, source in sources.items()}
            texts = {of: _secret_text(source) for of, source in fresh.items()}
            if texts != stored:
                changed += sum(texts[of] != stored[of] for of in stored)
                write_json(self.path(name) / "secrets.json", texts)
        return changed

    def _resealed(
        self, name: str, of: str, source: SecretSource, again: Callable[[bytes, bytes], bytes], damaged: list[str]
    ) -> SecretSource:
        try:
            return SecretSource(sealed=again(source.sealed, _context(name, of))) if source.sealed else source
        except (SealBroken, KeyUnavailable):
            damaged.append(f"source {name}: {of}")
            return source

    def _as_source(self, name: str, of: str, given: SecretSource | str) -> SecretSource:
        if isinstance(given, SecretSource):
            return given
        return SecretSource(sealed=self._sealing().seal(given, _context(name, of)))

    def _reveal(self, name: str, of: str, source: SecretSource) -> str:
        if source.sealed:
            return self._sealing().open(source.sealed, _context(name, of))
        if source.variable:
            text = self._environment.get(source.variable, "").strip()
            if not text:
                raise ConfigError(f"{of}: the variable is not set, or empty", where=source.variable, mend="set it")
            return text
        try:
            with open(source.file, "rb") as file:
                text = file.read(_MAX_SECRET_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{of}: its file cannot be read", where=source.file, mend="check it") from None
        if not text.strip():
            raise ConfigError(f"{of}: its file is empty", where=source.file, mend="write the credential in it")
        return text.strip()

    # --- status ------------------------------------------------------------------------------------------------------

    def status(self, name: str) -> dict[str, Any]:
        """What the last pulls did: {} before the first. Keys as `note_run` was given them."""
        path = self.path(name) / "status.json"
        return read_json(path, "remove the file: the next pull writes it anew") if path.exists() else {}

    def note_start(self, name: str, started: int) -> None:
        """A run began; where no end is noted after it, it was killed."""
        write_json(self.path(name) / "status.json", {**self._status_so_far(name), "started": started})

    def _status_so_far(self, name: str) -> dict[str, Any]:
        try:
            return self.status(name)
        except ConfigError:  # it only tells: what a damaged one said is not worth a pull
            return {}

    def note_run(self, name: str, run: Mapping[str, Any]) -> None:
        """One more run at the end; the last 50 stay. A run without an error is the last success too; of the last in
        which the whole list was told (`is_whole`) its beginning stays."""
        status = self._status_so_far(name)
        status.pop("started", None)
        before = [{field: value for field, value in old.items() if field != "faults"} for old in _runs(status)]
        status = {**status, "runs": [*before, dict(run)][-_RUNS_KEPT:]}
        if not run.get("error"):
            status["last_success"] = dict(run)
        if run.get("is_whole"):
            status["told_whole"] = run["started"]
        write_json(self.path(name) / "status.json", status)


def _is_locked(file: BinaryIO, how: int = fcntl.LOCK_EX) -> bool:
    """Whether we have it now, until the file is closed."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    runs = status.get("runs", [])
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """In one step, synced, for its owner alone. ConfigError where the disk takes it not."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ConfigError(f"not written: {error.strerror}", where=str(path), mend="free disk space, retry") from None


def read_json(path: Path, mend: str = "restore it, or remove the source") -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        raise ConfigError("not readable", where=str(path), mend=mend) from None
    if not isinstance(value, dict):
        raise ConfigError("no object", where=str(path), mend=mend)
    return value


def _context(name: str, of: str) -> bytes:
    return f"leadline source {name} {of}".encode()


def _secret_text(source: SecretSource) -> dict[str, str]:
    if source.sealed:
        return {"sealed": base64.b64encode(source.sealed).decode()}
    return {"variable": source.variable} if source.variable else {"file": source.file}


def _read_secret(raw: object, name: str) -> SecretSource:
    try:
        if isinstance(raw, dict) and len(raw) == 1:
            ((how, text),) = raw.items()
            if how == "sealed":
                return SecretSource(sealed=base64.b64decode(text, validate=True))
            if how == "file" and isinstance(text, str):
                return SecretSource(file=text)
            if how == "variable" and isinstance(text, str):
                return SecretSource(variable=text)
    except (ValueError, TypeError):
        pass
    raise ConfigError("its credentials are not readable", where=name, mend="remove the source and add it again")


def _place(source: SecretSource) -> str:
    if source.sealed:
        return "sealed with the instance key"
    return f"variable {source.variable}" if source.variable else f"file {source.file}"


def _settings_text(subscription: Subscription) -> dict[str, Any]:
    return {
        "connector": subscription.connector, "options": dict(subscription.options), "bank": subscription.bank,
        "kind": subscription.kind, "tlp": subscription.tlp, "licence": subscription.licence,
        "scheme": subscription.scheme, "pdq_family": subscription.pdq_family,
        "label_kinds": {label: "skip" if kind is None else kind for label, kind in subscription.label_kinds.items()},
    }  # fmt: skip


def _read_settings(name: str, raw: Mapping[str, Any], where: str) -> Subscription:
    try:
        kinds = {label: None if kind == "skip" else Kind(kind) for label, kind in raw["label_kinds"].items()}
        return Subscription(
            name, str(raw["connector"]), dict(raw["options"]), str(raw["bank"]), Kind(raw["kind"]), Tlp(raw["tlp"]),
            str(raw["licence"]), str(raw["scheme"]), PdqFamily(raw["pdq_family"]), kinds,
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError):
        raise ConfigError("settings are not readable", where=where, mend="remove the source, add it again") from None
