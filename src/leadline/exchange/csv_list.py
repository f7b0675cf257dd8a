"""CSV lists with a header line: text <-> entries. Never writes a cell that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, PdqFamily
from leadline.errors import HashFormatError, ListFormatError, sentence
from leadline.exchange.base import (
    ABSENT,
    MAX_ENTRY_ID,
    MAX_TEXT_CHARS,
    EntryDefaults,
    Line,
    RawRecord,
    RecordHashes,
    broken,
    count_name,
    entry_fields,
    located,
    metadata_text,
    numbered_lines,
    parse_hash,
    parse_hex,
    parse_photodna,
    parse_time,
    parse_tlp,
    parse_whole,
    too_long,
    with_faults,
)
from leadline.exchange.csv_rows import DELIMITERS, decode_line, formula_safe, plain, read_rows

COLUMNS = (
    "id", "md5", "sha1", "sha256", "pdq", "pdq_family", "quality", "kind", "scheme", "label", "source",
    "source_id", "licence", "tlp", "note", "disabled_until", "first_seen", "last_seen", "radius_bits",
    "fingerprints", "metadata",
)  # fmt: skip
_HASH_COLUMNS = ("md5", "sha1", "sha256", "pdq", "photodna", "hash", "fingerprints")
_KNOWN = {re.sub(r"[^a-z0-9]", "", name): name for name in (*COLUMNS, *_HASH_COLUMNS)} | {"license": "licence"}
_HASHLIKE = re.compile(r"[0-9a-fA-F]{32}")


def split_header(untrusted_line: str) -> tuple[str, list[str]] | None:
    """(delimiter, names) of a header line, or None where no column of hashes is named."""
    best: tuple[str, list[str]] | None = None
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([untrusted_line], delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [_column(cell) for cell in cells]
        if any(name in _HASH_COLUMNS for name in names) and (best is None or len(names) > len(best[1])):
            best = delimiter, names
    return best


def _column(cell: str) -> str:
    text = cell.strip()
    return _KNOWN.get(re.sub(r"[^a-z0-9]", "", text.lower()), text[:MAX_TEXT_CHARS])


def read(
    stream: BinaryIO,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | ListFormatError]:
    """Entries of a CSV list; a row that cannot be read is yielded as an error and the rest goes on.

    A malformed hash beside good ones is yielded as HashRefused, after the entry of the good ones.

    The header line is required; the order of its columns and their case are free; the delimiter (, ; or tab)
    is taken from it. `id`, where a whole number, becomes the wished id, and always the source's id unless
    `source_id` is there. Columns without a meaning here go to the metadata while that is small, and are counted in
    `unknown`, once each.
    """
    lines = numbered_lines(stream)
    found = _find_header(lines, where)
    if isinstance(found, ListFormatError):
        yield broken(found, found.where)
        return
    delimiter, names = found
    for name in names:
        if name and name not in _KNOWN.values() and unknown is not None:
            count_name(unknown, f"column {name[:40]}")
    raw = raw or RawRecord()
    for number, untrusted_row, raw.lines in read_rows(lines, delimiter, len(names), swallowed=_swallowed):
        place = f"{where}: line {number}"
        if isinstance(untrusted_row, ListFormatError):
            yield located(untrusted_row, place)
            continue
        try:
            hashes = RecordHashes()
            yield from with_faults(_entry(names, untrusted_row, defaults, hashes), hashes, place)
        except (HashFormatError, ListFormatError) as error:
            yield located(error, place)


def _find_header(lines: Iterator[Line], where: str) -> tuple[str, list[str]] | ListFormatError:
    mend = sentence(
        "name the columns in the first line, %(names)s among them", names=", ".join((*EXACT_ALGORITHMS, "pdq"))
    )
    for number, untrusted_line in lines:
        if untrusted_line is None:
            return too_long(f"{where}: line {number}")
        text = decode_line(untrusted_line)
        if not text.strip() or text.startswith(("#", "sep=")):
            continue
        header = split_header(text)
        if header is None:
            return ListFormatError("no column of hashes in the header", where=f"{where}: line {number}", mend=mend)
        known = [name for name in header[1] if name in _KNOWN.values()]
        twice = sorted({name for name in known if known.count(name) > 1})
        if twice:
            return ListFormatError(
                sentence("the header names %(names)s twice", names=", ".join(twice)),
                where=f"{where}: line {number}",
                mend="rename one",
            )
        return header
    return ListFormatError("the list is empty", where=where, mend=mend)


def _swallowed(cell: str) -> bool:
    """A field over several lines that holds something like a hash: rather lost records than a long note."""
    return "\n" in cell and _HASHLIKE.search(cell.partition("\n")[2]) is not None


def _entry(names: list[str], untrusted_row: list[str], defaults: EntryDefaults, hashes: RecordHashes) -> Entry:
    fields = entry_fields(defaults)
    others: dict[str, object] = {}
    for name, untrusted_cell in zip(names, untrusted_row, strict=False):
        cell = plain(untrusted_cell.strip())
        if name in _HASH_COLUMNS:
            _take_hashes(hashes, name, cell, defaults)
        elif cell and name in _FIELDS:
            fields.update(_FIELDS[name](cell))
        elif cell:
            others[name] = cell
    hashes.require("the row has no hash", "fill one of the columns of hashes or delete the row")
    if others:
        fields["metadata"] = metadata_text({**json.loads(fields.get("metadata", "{}")), **others})
    fields.setdefault("source_id", fields.pop("id_text", ""))
    fields.pop("id_text", None)
    if defaults.scheme:
        fields["scheme"] = defaults.scheme
    return Entry(fingerprints=hashes.found, **fields)


def _take_hashes(hashes: RecordHashes, name: str, cell: str, defaults: EntryDefaults) -> None:
    if cell.lower() in ABSENT:
        return
    if name != "fingerprints":
        hashes.take(lambda: _hash(name, cell, defaults))
        return
    named: dict[str, Any] = {}
    hashes.take(lambda: named.update(_json_object(name, cell)) or {})
    for kind, digits in named.items():
        hashes.take(lambda kind=kind, digits=digits: {kind: _from_hex(digits)})  # type: ignore[misc]


def _hash(name: str, cell: str, defaults: EntryDefaults) -> Mapping[str, bytes]:
    if name == "hash":
        return parse_hash(cell, defaults.hash_type)
    return {name: parse_photodna(cell) if name == "photodna" else parse_hex(name, cell)}


def _from_hex(digits: object) -> bytes:
    try:
        return bytes.fromhex(digits)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ListFormatError("fingerprints are not hexadecimal", mend='write {"name": "digits"}') from None


def _json_object(name: str, cell: str) -> dict[str, Any]:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ListFormatError(
            sentence("%(name)s is no JSON object", name=name), mend="correct the field or leave it empty"
        )
    return value


def _id(cell: str) -> dict[str, object]:
    wished = cell.isascii() and cell.isdigit() and len(cell) <= 16 and 1 <= int(cell) <= MAX_ENTRY_ID
    return {"id_text": cell[:MAX_TEXT_CHARS]} | ({"id": int(cell)} if wished else {})


def _quality(cell: str) -> dict[str, object]:
    return {} if cell.lower() in ABSENT else {"quality": parse_whole("quality", cell, 0, 100)}


def _kind(cell: str) -> dict[str, object]:
    try:
        return {"kind": Kind(cell.lower().replace("_", "-"))}
    except ValueError:
        raise ListFormatError("unknown kind", mend=sentence("use one of %(names)s", names=", ".join(Kind))) from None


def _family(cell: str) -> dict[str, object]:
    try:
        return {"pdq_family": PdqFamily(cell.lower())}
    except ValueError:
        raise ListFormatError("unknown pdq_family", mend="use a or b") from None


def _text_field(name: str) -> Callable[[str], dict[str, object]]:
    return lambda cell: {name: cell[:MAX_TEXT_CHARS]}


def _time_field(name: str) -> Callable[[str], dict[str, object]]:
    return lambda cell: {name: parse_time(cell)}


_FIELDS: Mapping[str, Callable[[str], dict[str, object]]] = {
    "id": _id,
    "quality": _quality,
    "kind": _kind,
    "pdq_family": _family,
    "tlp": lambda cell: {"tlp": parse_tlp(cell)},
    "radius_bits": lambda cell: {"radius_bits": parse_whole("radius_bits", cell, 0, 256)},
    "metadata": lambda cell: {"metadata": metadata_text(_json_object("metadata", cell))},
    **{name: _text_field(name) for name in ("scheme", "label", "source", "source_id", "licence", "note")},
    **{name: _time_field(name) for name in ("disabled_until", "first_seen", "last_seen")},
}


def write(entries: Iterable[Entry], stream: BinaryIO) -> None:
    """All columns, every cell quoted, formulas defused; what `read` gives back is the same entries."""
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="", write_through=True)
    try:
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_cells, entries))
    finally:
        text.detach()


def _cells(entry: Entry) -> list[str]:
    named = {name: entry.fingerprints[name].hex() for name in _HASH_COLUMNS if name in entry.fingerprints}
    others = {k: v.hex() for k, v in entry.fingerprints.items() if k not in COLUMNS}
    values: dict[str, object] = {
        **{name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name) and name != "fingerprints"},
        **{k: v for k, v in named.items() if k in COLUMNS},
        "fingerprints": json.dumps(others) if others else "",
    }
    return [formula_safe(_shown(values.get(name, ""))) for name in COLUMNS]


def _shown(value: object) -> str:
    return "" if value is None else str(value)
