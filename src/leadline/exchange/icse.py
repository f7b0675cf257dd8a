"""CSV with the columns of INTERPOL's ICSE, as IPED reads them <-> entries. Not checked against an official text."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import msgspec

from leadline.domain import Entry
from leadline.errors import HashFormatError, ListBroken, ListFormatError, sentence
from leadline.exchange.base import (
    ABSENT,
    MAX_TEXT_CHARS,
    EntryDefaults,
    RawRecord,
    RecordHashes,
    count_name,
    entry_fields,
    located,
    metadata_text,
    numbered_lines,
    parse_hex,
    parse_photodna,
    with_faults,
)
from leadline.exchange.csv_rows import decode_line, formula_safe, plain, read_rows

DELIMITER = ";"
# The header as IPED's HashDBTool knows it.
COLUMNS = (
    "MD5", "SHA1", "PhotoDNA", "Image ID", "Is distributed", "Victim identified", "Offender identified", "Series name",
    "Number of submissions", "File Available", "Media Type", "Baseline",
)  # fmt: skip
SCHEME, BASELINE = "icse", "baseline"
_FLAGS = {
    "Is distributed": "IsDistributed", "Victim identified": "VictimIdentified",
    "Offender identified": "OffenderIdentified", "File Available": "FileAvailable", "Baseline": "Baseline",
}  # fmt: skip
_TEXTS = {"Series name": "Series", "Number of submissions": "NumSubmissions", "Media Type": "MediaType"}
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def is_header(untrusted_line: str) -> bool:
    names = {name.strip().strip('"').lower() for name in untrusted_line.split(DELIMITER)}
    return {"md5", "image id", "series name", "baseline"} <= names


def read(
    stream: BinaryIO,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | ListFormatError]:
    """Entries of an ICSE list; a row that cannot be read is yielded as an error and the rest goes on.

    The label is (icse, baseline) where the column Baseline says so; `defaults.scheme` wins. Image ID is its own id.
    Columns that are none of ICSE's go to the metadata under their own names, and are counted in `unknown`.
    """
    lines = numbered_lines(stream)
    header = next(lines, (1, b""))[1]
    if header is None or not is_header(text := decode_line(header)):
        mend = sentence("begin with %(header)s", header=DELIMITER.join(COLUMNS))
        yield ListBroken("the first line is not ICSE's", where=f"{where}: line 1", mend=mend)
        return
    names = [name.strip().strip('"') for name in text.split(DELIMITER)]
    for name in names:
        if name and name not in COLUMNS and unknown is not None:
            count_name(unknown, f"column {name[:40]}")
    raw = raw or RawRecord()
    rows = read_rows(lines, DELIMITER, len(names), swallowed=lambda cell: "\n" in cell)
    for number, untrusted_row, raw.lines in rows:
        place = f"{where}: line {number}"
        if isinstance(untrusted_row, ListFormatError):
            yield located(untrusted_row, place)
            continue
        cells = {name: plain(cell.strip()) for name, cell in zip(names, untrusted_row, strict=False)}
        hashes = RecordHashes()
        try:
            yield from with_faults(_entry(cells, defaults, hashes), hashes, place)
        except (HashFormatError, ListFormatError) as error:
            yield located(error, place)


def _entry(untrusted_cells: Mapping[str, str], defaults: EntryDefaults, hashes: RecordHashes) -> Entry:
    for column, name in (("MD5", "md5"), ("SHA1", "sha1")):
        cell = untrusted_cells.get(column, "")
        if cell.lower() not in ABSENT:
            hashes.take(lambda name=name, cell=cell: {name: parse_hex(name, cell)})  # type: ignore[misc]
    photodna = untrusted_cells.get("PhotoDNA", "")
    if photodna.lower() not in ABSENT:
        hashes.take(lambda: {"photodna": parse_photodna(photodna)})
    hashes.require("the row has no hash", "fill MD5, SHA1 or PhotoDNA or delete the row")
    facts = _facts(untrusted_cells)
    fields = entry_fields(defaults)
    if facts.get("Baseline") is True:
        fields |= {"scheme": defaults.scheme or SCHEME, "label": BASELINE}
    source_id = untrusted_cells.get("Image ID", "")[:MAX_TEXT_CHARS]
    return Entry(fingerprints=hashes.found, source_id=source_id, metadata=metadata_text(facts), **fields)


def _facts(untrusted_cells: Mapping[str, str]) -> dict[str, object]:
    facts: dict[str, object] = {}
    for column, name in (*_FLAGS.items(), *_TEXTS.items()):
        cell = untrusted_cells.get(column, "")[:MAX_TEXT_CHARS]
        if not cell:
            continue
        word = cell.lower() if column in _FLAGS else ""
        facts[name] = True if word in _TRUE else False if word in _FALSE else cell
    others = {name[:40]: cell[:MAX_TEXT_CHARS] for name, cell in untrusted_cells.items() if name not in COLUMNS}
    return {name: cell for name, cell in others.items() if name and cell} | facts


def write(entries: Iterable[Entry], stream: BinaryIO) -> int:
    """Entries with an MD5, a SHA-1 or a PhotoDNA. Returns how many have none of them and so no row."""
    stream.write((DELIMITER.join(COLUMNS) + "\r\n").encode())
    left_out = 0
    for entry in entries:
        if not entry.fingerprints.keys() & {"md5", "sha1", "photodna"}:
            left_out += 1
            continue
        stream.write((DELIMITER.join(map(_cell, _values(entry))) + "\r\n").encode("utf-8", "replace"))
    return left_out


def _values(entry: Entry) -> Iterator[object]:
    prints = entry.fingerprints
    told = _told(entry)
    if entry.scheme == SCHEME and entry.label == BASELINE:
        told["Baseline"] = True
    yield prints["md5"].hex().upper() if "md5" in prints else ""
    yield prints["sha1"].hex().upper() if "sha1" in prints else ""
    yield base64.b64encode(prints["photodna"]).decode() if "photodna" in prints else ""
    yield entry.source_id or entry.id
    for column in COLUMNS[4:]:
        yield told.get((_FLAGS | _TEXTS)[column], "")


def _told(entry: Entry) -> dict[str, object]:
    try:
        return msgspec.json.decode(entry.metadata or "{}", type=dict[str, object])
    except msgspec.MsgspecError:
        return {}


def _cell(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = formula_safe(" ".join(text.split()))
    return '"' + text.replace('"', '""') + '"' if DELIMITER in text or '"' in text else text
