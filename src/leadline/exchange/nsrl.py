"""NIST's NSRL as text (NSRLFile.txt of RDS 2) <-> benign entries. It lists what is known, not what is good."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from leadline.domain import Entry, Kind
from leadline.errors import HashFormatError, ListBroken, ListFormatError, sentence
from leadline.exchange.base import (
    ABSENT,
    MAX_TEXT_CHARS,
    EntryDefaults,
    RawRecord,
    RecordHashes,
    entry_fields,
    file_of,
    located,
    metadata_text,
    numbered_lines,
    parse_hex,
    with_faults,
)
from leadline.exchange.csv_rows import decode_line, formula_safe, plain, read_rows

DELIMITER = ","
_HEADER = '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"'
_HASHES = {"SHA-1": "sha1", "MD5": "md5", "SHA-256": "sha256"}
CRC32 = "0" * 8  # nobody here knows it, and hfind finds the name by the width of what stands before it
PRODUCT = 1  # also its system and its maker: none of them is known
_MAX_NAME_BYTES = 255  # hfind reads lines of 511 bytes; apostrophes come to it


def is_header(untrusted_line: str) -> bool:
    return {"SHA-1", "MD5", "FileName", "ProductCode"} <= set(_names(untrusted_line))


def _names(untrusted_line: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([untrusted_line.lstrip("\ufeff")]), [])]
    except csv.Error:
        return []


def read(
    stream: BinaryIO, *, where: str, defaults: EntryDefaults, raw: RawRecord | None = None
) -> Iterator[Entry | ListFormatError]:
    """Benign entries of NSRLFile.txt; a row that cannot be read is yielded as an error and the rest goes on.

    The header names the columns (both orders that were published). A file that several products hold stands on rows
    next to each other: it gives one entry.
    """
    lines = numbered_lines(stream)
    header = next(lines, (1, b""))[1]
    if header is None or not is_header(text := decode_line(header)):
        mend = sentence("begin with %(header)s", header=_HEADER)
        yield ListBroken("the first line is not NSRL's", where=f"{where}: line 1", mend=mend)
        return
    names, before = _names(text), Repeats()
    raw = raw or RawRecord()
    rows = read_rows(lines, DELIMITER, len(names), swallowed=lambda cell: "\n" in cell)
    for number, untrusted_row, raw.lines in rows:
        place = f"{where}: line {number}"
        if isinstance(untrusted_row, ListFormatError):
            yield located(untrusted_row, place)
            continue
        cells = dict(zip(names, map(str.strip, untrusted_row), strict=False))
        told = {_HASHES[name]: cell for name, cell in cells.items() if name in _HASHES}
        if before.is_new(told):
            name = plain(cells.get("FileName", ""))
            yield from checked(told, name, cells.get("FileSize", ""), place, defaults)


class Repeats:
    """Rows about one file next to each other."""

    def __init__(self) -> None:
        self._before: Mapping[str, str] = {}

    def is_new(self, told: Mapping[str, str]) -> bool:
        is_new, self._before = told != self._before, told
        return is_new


def checked(
    untrusted_hashes: Mapping[str, str], untrusted_name: str, untrusted_size: str, place: str, defaults: EntryDefaults
) -> Iterator[Entry | ListFormatError]:
    hashes = RecordHashes()
    try:
        for name, cell in untrusted_hashes.items():
            if cell.lower() not in ABSENT:
                hashes.take(lambda name=name, cell=cell: {name: parse_hex(name, cell)})  # type: ignore[misc]
        hashes.require("the row has no hash", "fetch the set from NIST again")
        yield from with_faults(_entry(hashes, untrusted_name, untrusted_size, defaults), hashes, place)
    except (HashFormatError, ListFormatError) as error:
        yield located(error, place)


def _entry(hashes: RecordHashes, untrusted_name: str, untrusted_size: str, defaults: EntryDefaults) -> Entry:
    fields = entry_fields(defaults) | {"kind": Kind.BENIGN, "source": defaults.source or "NSRL"}
    facts: dict[str, object] = {"filename": untrusted_name[:MAX_TEXT_CHARS]} if untrusted_name else {}
    if untrusted_size.isascii() and untrusted_size.isdigit() and len(untrusted_size) < 20:
        facts["size"] = int(untrusted_size)
    return Entry(fingerprints=hashes.found, metadata=metadata_text(facts), **fields)


def write(entries: Iterable[Entry], stream: BinaryIO, *, now_s: int) -> int:
    """NSRLFile.txt for programs that take what it names for harmless. Returns how many entries have no row.

    A row has an entry of kind benign, not suspended at `now_s` (seconds since 1970), with a SHA-1 and an MD5: hfind of
    The Sleuth Kit (and so Autopsy) looks for both at fixed places, and nsrlsvr takes the second column in capitals.
    """
    stream.write(f"{_HEADER}\r\n".encode())
    left_out = 0
    for entry in entries:
        if (digests := digests_of(entry, ("sha1", "md5"), now_s)) is None:
            left_out += 1
            continue
        name, size = file_of(entry)
        name = name.encode()[:_MAX_NAME_BYTES].decode("utf-8", "ignore").replace('"', "_")
        texts = '","'.join((*digests, CRC32, formula_safe(name)))
        stream.write(f'"{texts}",{size},{PRODUCT},"{PRODUCT}",""\r\n'.encode())
    return left_out


def digests_of(entry: Entry, names: tuple[str, ...], now_s: int) -> list[str] | None:
    """An entry's digests in capitals; None where it is not to be told for harmless now, or lacks one of them."""
    is_harmless = entry.kind is Kind.BENIGN and entry.disabled_until <= now_s
    if not is_harmless or not entry.fingerprints.keys() >= {*names}:
        return None
    return [entry.fingerprints[name].hex().upper() for name in names]
