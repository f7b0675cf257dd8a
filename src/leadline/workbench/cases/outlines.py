"""Outlines of cases: templates that give a new case its list of tasks. Versioned YAML; the office adds its own.

The word `template` is Django's here: in code it is an outline, on pages a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
from django.conf import settings

from leadline.errors import ConfigError, InputError, LawDataError
from leadline.law.reading import list_files, read_file
from leadline.law.records import Record
from leadline.law.terms import Id, Name, Text

SHIPPED = Path(__file__).parent / "data"
_FORMAT = "case-template-1"


class OutlineTask(Record, frozen=True, kw_only=True):
    """`due_days`: counted from the day the case is opened."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    due_days: Annotated[int, msgspec.Meta(ge=0, le=3660)] | None = None


class Outline(Record, frozen=True, kw_only=True):
    id: Id
    version: Annotated[int, msgspec.Meta(ge=1)]
    name: Name
    source: Text
    tasks: Annotated[tuple[OutlineTask, ...], msgspec.Meta(max_length=200)] = ()


@dataclass(frozen=True)
class Outlines:
    """Every version that is loaded: what a case was opened by stays readable."""

    found: Mapping[tuple[str, int], Outline]

    def newest(self, outline_id: str) -> Outline:
        versions = [version for one, version in self.found if one == outline_id]
        if not versions:
            raise InputError("no such template", where=outline_id, mend="load its file; see docs/cases.md")
        return self.found[outline_id, max(versions)]

    def choices(self) -> list[Outline]:
        """The newest of each, by name."""
        return sorted((self.newest(one) for one in {one for one, _ in self.found}), key=lambda one: one.name)


def own_folder() -> Path:
    """Where the office's own templates lie; it need not be there."""
    return Path(settings.LEADLINE_HOME) / "case-templates"


def outlines() -> Outlines:
    """Read again when a file of the office's folder changed. Raises ConfigError naming the file at fault."""
    folder = own_folder()
    return _loaded(folder, tuple((str(path), path.stat().st_mtime_ns) for path in _own_files(folder)))


def _own_files(folder: Path) -> list[Path]:
    try:
        return list_files(folder)
    except LawDataError as error:
        raise _as_config(error) from None


@lru_cache(maxsize=2)
def _loaded(folder: Path, _files: tuple[tuple[str, int], ...]) -> Outlines:
    found: dict[tuple[str, int], Outline] = {}
    for path in [*list_files(SHIPPED), *_own_files(folder)]:
        try:
            outline = read_file(path, _FORMAT, Outline)
        except LawDataError as error:
            raise _as_config(error) from None
        if (outline.id, outline.version) in found:
            what = f"{outline.id} {outline.version} is there already"
            raise ConfigError(what, where=str(path), mend="raise `version`")
        found[outline.id, outline.version] = outline
    return Outlines(found)


def _as_config(error: LawDataError) -> ConfigError:
    return ConfigError(error.what, where=error.where, mend="see docs/cases.md, Templates")
