"""Label schemes: official codes and names, nothing else; what may be chosen, what only read. Describes no content.

A label is always (scheme, version, code): bare numbers swap their meaning between two tables of one country.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from leadline.errors import InputError, LawDataError
from leadline.law.reading import SHIPPED, list_files, read_file
from leadline.law.records import Code, Record, scale_fault
from leadline.law.terms import Id, Link, Name, Text, Verified


@dataclass(frozen=True, slots=True, order=True)
class Label:
    scheme: str
    version: str
    code: str

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) and part for part in (self.scheme, self.version, self.code)):
            raise InputError("a label is scheme, version and code, each a text", code="label",
                             mend="never a bare number: its meaning differs from table to table")

    def __str__(self) -> str:
        return f"{self.scheme} ({self.version}) {self.code}"


class Use(StrEnum):
    CHOOSE = "choose"
    IMPORT_ONLY = "import-only"  # read from others; never chosen here, never derived


class LabelScheme(Record, frozen=True, kw_only=True):
    """`loadable`: its codes are not published; a file of the operator's with the same id and version fills them."""

    id: Id
    version: Id
    name: Name
    source: Text
    link: Link
    verified: Verified
    codes: tuple[Code, ...] = ()
    use: Use = Use.CHOOSE
    loadable: bool = False
    note: Text = ""

    @property
    def ordered(self) -> bool:
        return bool(self.codes) and self.codes[0].severity is not None

    def find(self, code: str) -> Code | None:
        return next((c for c in self.codes if c.code == code), None)


@dataclass(frozen=True)
class Labels:
    schemes: Mapping[tuple[str, str], LabelScheme]

    def get(self, scheme: str, version: str) -> LabelScheme:
        found = self.schemes.get((scheme, version))
        if found is None:
            raise InputError("no such label scheme", where=f"{scheme} {version}", code="label",
                             mend="load its file; see docs/law.md")
        return found

    def choose(self, scheme: str, version: str, code: str) -> Label:
        """A label that a person picks. Raises InputError for an unknown code and for what is import only."""
        if self.get(scheme, version).use is Use.IMPORT_ONLY:
            raise InputError("this scheme is read from others and not chosen", where=scheme, code="label")
        return self.read(scheme, version, code)

    def read(self, scheme: str, version: str, code: str) -> Label:
        """A label that another organisation gave. Raises InputError where its scheme or code is not loaded."""
        label = Label(scheme, version, code)
        found = self.get(scheme, version)
        if found.find(code) is None:
            empty = found.loadable and not found.codes
            raise InputError("this scheme has no such code", where=str(label), code="label",
                             mend="load its vocabulary first" if empty else ", ".join(c.code for c in found.codes))
        return label

    def choosable(self) -> tuple[LabelScheme, ...]:
        return tuple(s for s in self.schemes.values() if s.use is Use.CHOOSE and s.codes)


def load_labels(own: Path | None = None, *, shipped: Path = SHIPPED) -> Labels:
    """Shipped schemes and those of the operator's folder. Raises LawDataError naming the file."""
    schemes: dict[tuple[str, str], LabelScheme] = {}
    for path in list_files(shipped / "labels") + (list_files(own) if own else []):
        scheme = read_file(path, "labels-1", LabelScheme)
        key = (scheme.id, scheme.version)
        if fault := scale_fault(scheme.codes) or _clash(scheme, schemes.get(key)):
            raise LawDataError(fault, where=str(path), mend="see docs/law.md")
        schemes[key] = scheme
    return Labels(schemes)


def _clash(scheme: LabelScheme, before: LabelScheme | None) -> str:
    if before and not (before.loadable and not before.codes):
        return f"{scheme.id} {scheme.version} is there already, with its codes: give yours another version"
    if not scheme.codes and not scheme.loadable:
        return "no codes: add them, or `loadable: true`"
    return ""
