"""The only reader of the environment: LEADLINE_* -> typed settings. Anything unknown or malformed is a loud fault."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leadline.domain import WORKBENCH_VARIABLES
from leadline.errors import ConfigError
from leadline.media.limits import Limits

PREFIX = "LEADLINE_"
FOREIGN = frozenset({"LEADLINE_DATA"})  # read by the tests alone
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a machine's owner sets once. An option on the command line wins over each.

    workers    processes of a scan; None: one per core
    threads    of one search
    traceback  show the full traceback of an internal fault
    home       of the workbench, of the match service's state, of what is set up for lists of others
    banks      folder where banks of other organisations' lists are made, and where the workbench looks for banks
    key_file   the instance key; key_slot: NAME:ARGUMENT of a key service in its place, or empty
    api        address of the workbench that `exchange send` asks; api_key_file: of the person's own key
    limits     of decoding (media/limits.py)
    """

    workers: int | None = None
    threads: int = 1
    traceback: bool = False
    home: Path = Path("~/.local/share/leadline")
    banks: Path = Path("~/.local/share/leadline/banks")
    key_file: Path = Path("~/.local/share/leadline/keys/instance.key")
    key_slot: str = ""
    api: str = ""
    api_key_file: str = ""
    limits: Limits = field(default_factory=Limits)

    def make_home(self) -> None:
        """For its owner alone, since the workbench refuses any other; one that is there stays as it is."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)


def variables() -> dict[str, str]:
    """Name of every variable -> its default, for the reference."""
    names = {PREFIX + "WORKERS": "one per core", PREFIX + "THREADS": "1", PREFIX + "TRACEBACK": "0"}
    names |= {"LEADLINE_API": "", "LEADLINE_API_KEY_FILE": ""}
    limits = Limits()
    names |= {variable.name: variable.default for variable in WORKBENCH_VARIABLES}
    return names | {PREFIX + spec.name.upper(): str(getattr(limits, spec.name)) for spec in dataclasses.fields(Limits)}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises ConfigError for an unknown variable or a value out of range."""
    given = os.environ if environment is None else environment
    values = {name: text for name, text in given.items() if name.startswith(PREFIX) and name not in FOREIGN}
    unknown = sorted(values.keys() - variables().keys())
    if unknown:
        raise ConfigError("unknown setting", where=unknown[0], mend=f"use one of {', '.join(sorted(variables()))}")
    limits = {
        spec.name: _number(PREFIX + spec.name.upper(), values[PREFIX + spec.name.upper()], spec.default)
        for spec in dataclasses.fields(Limits)
        if PREFIX + spec.name.upper() in values
    }
    home = Path(values.get(PREFIX + "HOME") or "~/.local/share/leadline").expanduser()
    return Settings(
        workers=_whole(values, "WORKERS"),
        threads=_whole(values, "THREADS") or 1,
        traceback=_switch(values, "TRACEBACK"),
        home=home,
        banks=_path(values, "BANKS", home),
        key_file=_path(values, "KEY_FILE", home),
        key_slot=values.get(PREFIX + "KEY_SLOT", ""),
        api=values.get("LEADLINE_API", ""),
        api_key_file=values.get("LEADLINE_API_KEY_FILE", ""),
        limits=_limits(limits),
    )


def credential_variables() -> Mapping[str, str]:
    """Where credentials that a person keeps in the environment are looked up, by the names that this person gave."""
    return os.environ


def _path(values: Mapping[str, str], name: str, home: Path) -> Path:
    """As the workbench reads it: the word HOME at its start stands for LEADLINE_HOME."""
    defaults = {variable.name: variable.default for variable in WORKBENCH_VARIABLES}
    text = values.get(PREFIX + name) or defaults[PREFIX + name]
    return home / text[5:] if text.startswith("HOME/") else Path(text).expanduser().absolute()


def _limits(values: Mapping[str, Any]) -> Limits:
    try:
        return Limits(**values)
    except ValueError as error:
        raise ConfigError(str(error), where=f"{PREFIX}*", mend="choose a smaller number") from None


def _whole(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(PREFIX + name)
    return None if text is None else int(_number(PREFIX + name, text, 1))


def _number(name: str, text: str, like: object) -> float:
    """A positive number; whole unless the default has a fraction; K, M, G multiply by 1024."""
    digits, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _UNITS else (text, "")
    try:
        value = (float(digits) if isinstance(like, float) else int(digits)) * _UNITS.get(unit, 1)
    except ValueError:
        value = 0
    if not 0 < value < 1 << 62:
        raise ConfigError("setting is no positive number", where=name, mend="give a number such as 4, 512M or 16G")
    return value


def _switch(values: Mapping[str, str], name: str) -> bool:
    text = values.get(PREFIX + name, "0").lower()
    if text not in _SWITCHES:
        raise ConfigError("setting is no switch", where=PREFIX + name, mend="give 1 or 0")
    return _SWITCHES[text]
