"""Plain text lists, one hash a line: text <-> entries. Never guesses: 64 digits are both kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from leadline.domain import EXACT_ALGORITHMS, Entry
from leadline.errors import HashFormatError, ListFormatError
from leadline.exchange.base import (
    EntryDefaults,
    RawRecord,
    entry_fields,
    located,
    numbered_lines,
    parse_hash,
    too_long,
)


def read(
    stream: BinaryIO, *, where: str, defaults: EntryDefaults, raw: RawRecord | None = None
) -> Iterator[Entry | ListFormatError]:
    """Entries of a plain text list; a line that is no hash is yielded as an error and the rest goes on.

    A line is a hash (32 digits MD5, 40 SHA-1, 64 SHA-256 or PDQ: `defaults.hash_type`), with or without a
    prefix (`pdq:`, `sha256:`, or ThreatExchange's local_file form `pdq <digits>`), or a hash and a file name
    as md5sum and sha256sum print them. Empty lines and lines that begin with # are no records.
    """
    raw = raw or RawRecord()
    for number, untrusted_line in numbered_lines(stream):
        place = f"{where}: line {number}"
        if untrusted_line is None:
            yield too_long(place)
            continue
        untrusted_text = untrusted_line.decode("utf-8", "backslashreplace").strip()
        if not untrusted_text or untrusted_text.startswith("#"):
            continue
        raw.lines = untrusted_line
        try:
            yield _entry(untrusted_text, defaults)
        except HashFormatError as error:
            yield located(error, place)


def _entry(untrusted_text: str, defaults: EntryDefaults) -> Entry:
    return Entry(fingerprints=parse_hash(untrusted_text, defaults.hash_type), **entry_fields(defaults))


def write(entries: Iterable[Entry], stream: BinaryIO, *, only: str = "") -> int:
    """One line for each MD5, SHA-1, SHA-256 and PDQ hash; 64 digits carry a prefix unless they are both.

    only  one of these four: its hashes alone, without a prefix, for programs that take one kind (a `local_file` of
          ThreatExchange's with its signal type, say)

    Returns how many entries had nothing to write and so left no line.
    """
    without = 0
    for entry in entries:
        lines = (
            [_bare(value) for name, value in entry.fingerprints.items() if name == only] if only else [*_lines(entry)]
        )
        without += not lines
        stream.write("".join(lines).encode("ascii"))
    return without


def _bare(value: bytes) -> str:
    return f"{value.hex()}\n"


def _lines(entry: Entry) -> Iterator[str]:
    pdq = entry.fingerprints.get("pdq")
    if pdq is not None and pdq == entry.fingerprints.get("sha256"):
        yield _bare(pdq)
    for algorithm in (*EXACT_ALGORITHMS, "pdq"):
        value = entry.fingerprints.get(algorithm)
        if value is None or (len(value) == 32 and pdq == entry.fingerprints.get("sha256")):
            continue
        yield f"{algorithm}:{value.hex()}\n" if len(value) == 32 else _bare(value)
