"""The entry records of a bank as columns, and one entry out of them; finds nothing by fingerprint.

Sections: ids · kind family quality radius disabled added (a single value where all rows share it) · offsets and
blobs (the texts of each entry, msgpack) · print.NAME.LENGTH with rows.NAME.LENGTH (fingerprints; rows absent where
every entry has one) · id_order (where ids are not ascending) · retired (ids that were removed and merged away).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from leadline.domain import Entry, Kind, PdqFamily, Tlp
from leadline.errors import BankCorrupt
from leadline.match.table import Sections

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
U8 = NDArray[np.uint8]
Bools = NDArray[np.bool_]

# Codes on disk, for ever: new members get new numbers.
KIND_CODES = {Kind.ILLEGAL: 0, Kind.EXPLOITATIVE: 1, Kind.OTHER: 2, Kind.FALSE_POSITIVE: 3, Kind.BENIGN: 4}
KINDS = {code: kind for kind, code in KIND_CODES.items()}
NO_FAMILY, NO_QUALITY = 255, 255
FAMILY_CODES = {PdqFamily.A: 0, PdqFamily.B: 1}
FAMILIES = {0: PdqFamily.A, 1: PdqFamily.B, NO_FAMILY: PdqFamily.B}
COLUMNS = {"kind": "u1", "family": "u1", "quality": "u1", "radius": "u1", "disabled": "i8", "added": "i8"}
MAX_ROWS = 2**32 - 2
_PRINT_SECTION = re.compile(r"print\.([a-z0-9_-]{1,40})\.([0-9]{1,4})")
_MEND = "run `leadline bank verify`, then restore the bank from a copy"


class Detail(msgspec.Struct, array_like=True, frozen=True):
    """What of an entry is not a column: one msgpack blob a row, empty where all is default."""

    scheme: str = ""
    label: str = ""
    source: str = ""
    source_id: str = ""
    licence: str = ""
    tlp: Tlp = Tlp.AMBER_STRICT
    note: str = ""
    first_seen: int = 0
    last_seen: int = 0
    metadata: str = ""


NO_DETAIL = Detail()
_decode_detail = msgspec.msgpack.Decoder(Detail).decode


@dataclass(frozen=True, slots=True)
class PrintColumn:
    """All fingerprints of one kind: `values` (K, length); `rows` (K,) ascending, None where values[i] is row i's."""

    name: str
    values: U8
    rows: U32 | None

    @property
    def row_numbers(self) -> U32:
        return np.arange(len(self.values), dtype=np.uint32) if self.rows is None else self.rows

    def position_of(self, row: int) -> int | None:
        """Where row `row` has its fingerprint, or None."""
        if self.rows is None:
            return row
        at = int(np.searchsorted(self.rows, row))
        return at if at < len(self.rows) and self.rows[at] == row else None


class Records:
    """The columns of N entries, in memory or mapped. Checks shapes when made; contents are verify's work."""

    def __init__(self, sections: Sections, where: str) -> None:
        self.sections, self.where = sections, where
        self.ids: I64 = self._plain("ids", "i8")
        self.count = len(self.ids)
        self._require(self.count <= MAX_ROWS, "too many rows")
        self.kind, self.family, self.quality, self.radius, self.disabled, self.added = (
            self._column(name, dtype) for name, dtype in COLUMNS.items()
        )
        self.retired: I64 = self._plain("retired", "i8") if "retired" in sections else np.empty(0, np.int64)
        self.offsets = self._plain("offsets", "u8") if "offsets" in sections else None
        self.blobs: U8 = self._plain("blobs", "u1") if "blobs" in sections else np.empty(0, np.uint8)
        self._require(self.offsets is None or len(self.offsets) == self.count + 1, "offsets do not fit")
        if "id_order" in sections:
            self._require(len(self._plain("id_order", "u4")) == self.count, "id_order does not fit")
        self.prints = {(c.name, c.values.shape[1]): c for c in self._print_columns()}

    @cached_property
    def by_id(self) -> tuple[I64, NDArray[Any] | None]:
        """Ids in ascending order, and the row of each (None: they are in row order)."""
        if "id_order" in self.sections:
            order = self.sections["id_order"]
            return self._take(self.ids, order), order
        return self.ids, None

    @cached_property
    def max_id(self) -> int:
        used = [int(column.max()) for column in (self.ids, self.retired) if len(column)]
        return max(used, default=0)

    def find_rows(self, ids: I64) -> I64:
        """The row of each id, -1 where there is none."""
        if self.count == 0:
            return np.full(len(ids), -1, np.int64)
        ascending, order = self.by_id
        at = np.minimum(np.searchsorted(ascending, ids), self.count - 1)
        rows = at if order is None else self._take(order, at).astype(np.int64)
        return np.where(ascending[at] == ids, rows, -1)

    def has_used(self, ids: I64) -> Bools:
        """Which ids ever stood here, alive or removed."""
        found = self.find_rows(ids) >= 0
        return found | np.isin(ids, self.retired) if len(self.retired) else found

    def detail(self, row: int) -> Detail:
        """Decode the texts of one row. BankCorrupt where the bytes are not what the format says."""
        if self.offsets is None:
            return NO_DETAIL
        start, end = int(self.offsets[row]), int(self.offsets[row + 1])
        self._require(start <= end <= len(self.blobs), f"record {row} lies outside its table")
        if start == end:
            return NO_DETAIL
        try:
            return _decode_detail(self.blobs[start:end].data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BankCorrupt(f"record {row} unreadable: {error}", where=self.where, mend=_MEND) from None

    def entry(self, row: int) -> Entry:
        """One entry, whole."""
        detail, quality = self.detail(row), int(self.quality[row])
        prints = {}
        for (name, _), column in self.prints.items():
            at = column.position_of(row)
            if at is not None:
                prints[name] = column.values[at].tobytes()
        return Entry(
            kind=self.kind_of(row),
            fingerprints=prints,
            id=int(self.ids[row]),
            pdq_family=self._named(FAMILIES, int(self.family[row]), "family"),
            quality=None if quality == NO_QUALITY else quality,
            disabled_until=int(self.disabled[row]),
            added=int(self.added[row]),
            radius_bits=int(self.radius[row]),
            **{name: getattr(detail, name) for name in Detail.__struct_fields__},
        )

    def check_spans(self, starts: I64, ends: I64) -> None:
        """BankCorrupt unless these blobs follow one another inside the table."""
        in_order = bool((starts <= ends).all() and (ends[:-1] <= starts[1:]).all())
        inside = not len(ends) or (int(starts[0]) >= 0 and int(ends[-1]) <= len(self.blobs))
        self._require(in_order and inside, "blobs overlap or lie outside")

    def checked_rows(self, column: PrintColumn) -> U32:
        """The row of each fingerprint, once seen to be ascending and in range."""
        rows = column.row_numbers
        self._require(bool((rows[1:] > rows[:-1]).all()), f"rows of {column.name} not ascending")
        self._require(not len(rows) or int(rows[-1]) < self.count, f"rows of {column.name} out of range")
        return rows

    def kind_of(self, row: int) -> Kind:
        kind: Kind = self._named(KINDS, int(self.kind[row]), "kind")
        return kind

    def entries(self, rows: I64) -> Iterator[Entry]:
        return (self.entry(int(row)) for row in rows)

    def _print_columns(self) -> Iterator[PrintColumn]:
        for section, values in self.sections.items():
            if not section.startswith("print."):
                continue
            named = _PRINT_SECTION.fullmatch(section)
            self._require(named is not None and values.dtype == np.uint8 and values.ndim == 2, section)
            assert named is not None
            name, length = named.groups()
            self._require(values.shape[1] == int(length), section)
            rows_section = f"rows.{name}.{length}"
            rows = self._plain(rows_section, "u4") if rows_section in self.sections else None
            expected = self.count if rows is None else len(rows)
            self._require(len(values) == expected <= self.count, section)
            yield PrintColumn(name, values, rows)

    def _column(self, name: str, dtype: str) -> NDArray[Any]:
        column = self._plain(name, dtype)
        self._require(len(column) in (1, self.count), name)
        return np.broadcast_to(column, (self.count,)) if len(column) != self.count else column

    def _plain(self, name: str, dtype: str) -> NDArray[Any]:
        column = self.sections.get(name)
        if column is None or column.dtype != np.dtype(dtype) or column.ndim != 1:
            raise BankCorrupt(f"section {name} absent or of another type", where=self.where, mend=_MEND)
        return column

    def _take(self, values: NDArray[Any], positions: NDArray[Any]) -> NDArray[Any]:
        try:
            taken: NDArray[Any] = values[positions]
        except IndexError:
            raise BankCorrupt("row numbers outside the table", where=self.where, mend=_MEND) from None
        return taken

    def _named(self, names: dict[int, Any], code: int, what: str) -> Any:
        if code not in names:
            raise BankCorrupt(f"unknown {what} {code}", where=self.where, mend=_MEND)
        return names[code]

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise BankCorrupt(f"records contradict themselves: {what}", where=self.where, mend=_MEND)
