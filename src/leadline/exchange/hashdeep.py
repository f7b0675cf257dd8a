"""hashdeep's files (HASHDEEP-1.0) <-> entries. Opens none of the files that they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

from leadline.domain import EXACT_ALGORITHMS, Entry
from leadline.errors import HashFormatError, ListBroken, ListFormatError, Sentence, sentence
from leadline.exchange.base import (
    ABSENT,
    MAX_TEXT_CHARS,
    EntryDefaults,
    RawRecord,
    RecordHashes,
    broken,
    entry_fields,
    file_of,
    located,
    metadata_text,
    numbered_lines,
    parse_hex,
    shown_texts,
    too_long,
    unknown_version,
    with_faults,
)
from leadline.exchange.csv_rows import decode_line

MARK = "%%%% HASHDEEP-"
MAGIC = f"{MARK}1.0"
_HEADER = "%%%% "
_NO_HASHES = frozenset({"size", "filename"})


def read(
    stream: BinaryIO,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | ListFormatError]:
    """Entries of a file that `hashdeep` made; a line that cannot be read is yielded as an error and the rest goes on.

    The line after the first names the columns: size, algorithms, filename. MD5, SHA-1 and SHA-256 are taken, others
    (tiger, whirlpool) kept in the metadata and counted in `unknown`. A name may hold commas: it is the rest of its
    line. Lines that begin with # are comments. Source: hashdeep's own source (HASHDEEP_HEADER_10).
    """
    unknown, raw = Counter() if unknown is None else unknown, raw or RawRecord()
    columns: list[str] = []
    for number, untrusted_line in numbered_lines(stream):
        place = f"{where}: line {number}"
        if untrusted_line is None:
            yield too_long(place)
            continue
        untrusted_text = decode_line(untrusted_line)
        if untrusted_text.startswith(MARK) and untrusted_text.strip() != MAGIC:
            told = untrusted_text.removeprefix(_HEADER).strip()
            yield broken(unknown_version(told, MAGIC.removeprefix(_HEADER)), place)
            return
        if untrusted_text.startswith(_HEADER):
            columns = _columns(untrusted_text) or columns
        elif not columns:
            yield ListBroken("no line names the columns", where=place, mend=_mend())
            return
        elif untrusted_text.strip() and not untrusted_text.startswith("#"):
            raw.lines = untrusted_line
            yield from _checked(untrusted_text, columns, place, defaults, unknown)
    if not columns:
        yield ListBroken("the list is empty", where=where, mend=_mend())


def _mend() -> Sentence:
    example = f"{_HEADER}size,md5,sha256,filename"
    return sentence("begin with %(magic)s and a line like %(example)s", magic=MAGIC, example=example)


def _columns(untrusted_header: str) -> list[str]:
    """The names of a header line; none where it is the one that names the format."""
    names = [name.strip().lower() for name in untrusted_header.removeprefix(_HEADER).split(",")]
    return names if "filename" in names and set(names) & set(EXACT_ALGORITHMS) else []


def _checked(
    untrusted_text: str, columns: list[str], place: str, defaults: EntryDefaults, unknown: Counter[str]
) -> Iterator[Entry | ListFormatError]:
    cells = untrusted_text.split(",", len(columns) - 1)
    if len(cells) != len(columns):
        mend = sentence("give %(count)s fields: %(names)s", count=len(columns), names=",".join(columns))
        yield ListFormatError(sentence("the line has %(count)s fields", count=len(cells)), where=place, mend=mend)
        return
    hashes = RecordHashes()
    try:
        yield from with_faults(_entry(dict(zip(columns, cells, strict=True)), defaults, hashes), hashes, place)
    except (HashFormatError, ListFormatError) as error:
        yield located(error, place)
    hashes.count_others(unknown)


def _entry(untrusted_cells: Mapping[str, str], defaults: EntryDefaults, hashes: RecordHashes) -> Entry:
    for name, cell in ((name, cell.strip()) for name, cell in untrusted_cells.items() if name not in _NO_HASHES):
        if cell.lower() in ABSENT:
            continue
        if name in EXACT_ALGORITHMS:
            hashes.take(lambda name=name, cell=cell: {name: parse_hex(name, cell)})  # type: ignore[misc]
        else:
            hashes.keep_other(name, cell)
    hashes.require("the line has no hash that is known here", "have hashdeep compute md5, sha1 or sha256 (-c)")
    facts: dict[str, object] = {}
    if name := untrusted_cells["filename"][:MAX_TEXT_CHARS]:
        facts["filename"] = name
    size = untrusted_cells.get("size", "")
    if size.isascii() and size.isdigit() and len(size) < 20:
        facts["size"] = int(size)
    if hashes.others:
        facts["fingerprints"] = shown_texts(hashes.others)
    return Entry(fingerprints=hashes.found, metadata=metadata_text(facts), **entry_fields(defaults))


def write(entries: Callable[[], Iterable[Entry]], stream: BinaryIO) -> int:
    """Every line has every column: hashdeep takes no line that lacks one. Returns how many entries have no line.

    entries  is called twice. Columns are the hashes that all entries with any have; where there is none, the one that
             most have, and entries without it have no line.
    """
    columns = _shared_columns(entries())
    stream.write(f"{MAGIC}\n{_HEADER}size,{','.join(columns)},filename\n".encode())
    left_out = 0
    for entry in entries():
        digests = [entry.fingerprints[name].hex() for name in columns if name in entry.fingerprints]
        if not columns or len(digests) != len(columns):
            left_out += 1
            continue
        name, size = file_of(entry)
        stream.write(f"{size},{','.join(digests)},{name}\n".encode())
    return left_out


def _shared_columns(entries: Iterable[Entry]) -> list[str]:
    with_any, having = 0, dict.fromkeys(EXACT_ALGORITHMS, 0)
    for entry in entries:
        held = [name for name in EXACT_ALGORITHMS if name in entry.fingerprints]
        with_any += bool(held)
        for name in held:
            having[name] += 1
    shared = [name for name, count in having.items() if count == with_any and with_any]
    most = max(having, key=lambda name: having[name])
    return shared or ([most] if having[most] else [])
