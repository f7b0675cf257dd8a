"""What the commands of `leadline exchange` share: where sources are set up, the instance key, options, credentials.

No credential is ever an argument, and no fault repeats what was given in the place of one.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from leadline.cli.config import Settings, credential_variables, load_settings
from leadline.errors import ConfigError, LeadlineError, ListFormatError
from leadline.subscriptions.folder import SecretSource, Subscriptions

if TYPE_CHECKING:
    from leadline.custody.keys import KeySlot
    from leadline.exchange.connector import Connector, Options

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_SECRET_FORMS = "use NAME=file:PATH, NAME=env:VARIABLE or NAME=- (asked for, then sealed with the instance key)"  # noqa: S105


def open_subscriptions(settings: Settings | None = None) -> Subscriptions:
    """Those of this installation: LEADLINE_HOME/exchanges."""
    settings = load_settings() if settings is None else settings
    return Subscriptions(settings.home / "exchanges", credential_variables(), lambda: InstanceSealing(settings))


@contextmanager
def with_libraries() -> Iterator[None]:
    """Inside, what the exchange extra brings may be imported. ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "leadline").partition(".")[0] == "leadline":
            raise
        mend = "pip install 'leadline[exchange]'"
        raise ConfigError(
            "lists of others need libraries that are not installed", where=error.name or "", mend=mend
        ) from None


class InstanceSealing:
    """Seals credentials with the office's instance key, opened once. ConfigError where there is none."""

    def __init__(self, settings: Settings) -> None:
        with with_libraries():
            from leadline.custody.seal import seal_text, unseal_text
        self._seal, self._unseal, self._slot = seal_text, unseal_text, _open_slot(settings)

    def seal(self, text: str, context: bytes) -> bytes:
        return self._seal(text, self._slot, context)

    def open(self, sealed: bytes, context: bytes) -> str:
        return self._unseal(sealed, self._slot, context)


def _open_slot(settings: Settings) -> KeySlot:
    from leadline.custody.keys import FileKeySlot
    from leadline.custody.slots import open_slot

    if settings.key_slot:
        name, _, argument = settings.key_slot.partition(":")
        return open_slot(name, argument)
    if not settings.key_file.exists():
        mend = "use NAME=file:PATH or NAME=env:VARIABLE; `leadline up` makes a key when it sets up the workbench"
        raise ConfigError("there is no instance key to seal credentials with", where=str(settings.key_file), mend=mend)
    return FileKeySlot.load(settings.key_file)


def find_connector(name: str) -> type[Connector]:
    """ConfigError for a name that is none, or whose libraries are not installed."""
    with with_libraries():
        from leadline.exchange import connectors

        return connectors.find_connector(name)


# --- options ----------------------------------------------------------------------------------------------------------


def read_options(given: Sequence[str], kind: type[Connector], before: Mapping[str, Any] | None = None) -> Options:
    """`key=value` texts as the connector's own options; those `before` stay where they name no other. ConfigError names
    the field, and what is wrong with it."""
    from pydantic import ValidationError

    fields, values = kind.options_type.model_fields, dict[str, Any]()
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or name not in fields:
            raise ConfigError("no such option", where=f"--option {name}", mend=_known_options(kind))
        if get_origin(fields[name].annotation) in (list, tuple, set, frozenset):
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ConfigError("given twice", where=f"--option {name}", mend="give it once")
        else:
            values[name] = value
    try:
        options = kind.options_type.model_validate({**(before or {}), **values})
    except ValidationError as error:
        raise _first_fault(error, kind) from None
    _check_address(options)
    return options


def _check_address(options: Options) -> None:
    """Before it is stored: options stand there in the clear, and an address may hold a password. Not of a folder."""
    with with_libraries():
        from leadline.exchange.connector import WebOptions
        from leadline.exchange.web import check_address
    address = getattr(options, "address", "")
    if isinstance(options, WebOptions) and address and not os.path.isabs(address):
        check_address(address, "--option address")


def _first_fault(error: Any, kind: type[Connector]) -> ConfigError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or kind.name
    what = "needed" if first["type"] == "missing" else str(first["msg"]).removeprefix("Value error, ")
    return ConfigError(what, where=f"--option {place}", mend=f"give --option {place}=VALUE; {_known_options(kind)}")


def _known_options(kind: type[Connector]) -> str:
    return f"{kind.name} takes: {', '.join(kind.options_type.model_fields) or 'none'}"


# --- credentials ------------------------------------------------------------------------------------------------------


def read_secrets(given: Sequence[str], kind: type[Connector]) -> dict[str, SecretSource | str]:
    """Each credential that the connector needs or takes: where it comes from, or its text, asked for, to be sealed."""
    found: dict[str, SecretSource | str] = {}
    for text in given:
        name, mark, source = text.partition("=")
        if not mark or name not in (*kind.secret_names, *kind.optional_secret_names):
            shown = f"--secret {name}" if mark else "--secret"  # without a mark it may be the credential itself
            raise ConfigError("no such credential", where=shown, mend=_needed_secrets(kind))
        if name in found:
            raise ConfigError("given twice", where=f"--secret {name}", mend="give it once")
        found[name] = _read_secret(name, source)
    if missing := [name for name in kind.secret_names if name not in found]:
        raise ConfigError("a credential is missing", where=f"--secret {missing[0]}", mend=_needed_secrets(kind))
    return found


def _needed_secrets(kind: type[Connector]) -> str:
    if not kind.secret_names + kind.optional_secret_names:
        return f"{kind.name} needs none"
    needed, more = ", ".join(kind.secret_names) or "none", ", ".join(kind.optional_secret_names)
    return f"{kind.name} needs: {needed}; {f'takes too: {more}; ' if more else ''}{_SECRET_FORMS}"


def _read_secret(name: str, source: str) -> SecretSource | str:
    where = f"--secret {name}"
    if source == "-":
        return _ask_secret(name)
    how, _, place = source.partition(":")
    if how == "file" and place:
        return SecretSource(file=str(Path(place).expanduser().absolute()))
    if how == "env" and _VARIABLE.fullmatch(place):
        if place.startswith("LEADLINE_"):
            raise ConfigError("such names are Leadline's own settings", where=where, mend="use another variable")
        return SecretSource(variable=place)
    raise ConfigError("a credential does not stand in a command line", where=where, mend=_SECRET_FORMS)


def _ask_secret(name: str) -> str:
    text = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise ConfigError("nothing was given", where=f"--secret {name}", mend="type it, or pipe in one line for each")
    return text.strip()


def try_connector(
    kind: type[Connector], options: Options, secrets: Mapping[str, SecretSource | str], defaults: Any
) -> None:
    """Make one and let go of it, so that what it refuses is told now; where all its credentials are at hand."""
    try:
        values = {name: _value_of(source) for name, source in secrets.items()}
    except OSError:
        return
    kind(options, values, defaults, clock=lambda: 0.0, sleep=lambda seconds: None).close()


def _value_of(source: SecretSource | str) -> str:
    if isinstance(source, str):
        return source
    if source.variable:
        if not (text := credential_variables().get(source.variable, "")):
            raise OSError
        return text
    with open(source.file, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16).strip()


def parse_moment(text: str) -> int:
    """`2026-11-01` or ISO 8601 as seconds since 1970, UTC."""
    from leadline.exchange.base import parse_time

    try:
        return parse_time(text)
    except ListFormatError:
        mend = "use 2026-11-01 or 2026-11-01T00:00:00Z"
        raise ConfigError("not a moment", where="--since", mend=mend) from None


def error_record(error: LeadlineError) -> dict[str, str]:
    return {"code": error.code, "what": error.what, "where": error.where, "mend": error.mend}
