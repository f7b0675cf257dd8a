"""The table of list formats: which reader reads which. Detects nothing, decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from leadline.domain import Entry
from leadline.errors import LeadlineError, ListBroken
from leadline.exchange import csv_list, hashdeep, icse, nsrl, nsrl_database, stix, text_list, vics
from leadline.exchange.base import EntryDefaults, RawRecord
from leadline.exchange.detect import ListFormat

_Read = Callable[..., Iterator[Entry | LeadlineError]]
_READERS: Mapping[ListFormat, _Read] = {
    ListFormat.CSV: csv_list.read,
    ListFormat.VICS: vics.read,
    ListFormat.STIX: stix.read,
    ListFormat.HASHDEEP: hashdeep.read,
    ListFormat.ICSE: icse.read,
}
_OF_KNOWN_THINGS: Mapping[ListFormat, _Read] = {ListFormat.TEXT: text_list.read, ListFormat.NSRL: nsrl.read}


def read_list(
    kind: ListFormat,
    stream: BinaryIO,
    path: Path | None,
    *,
    where: str,
    defaults: EntryDefaults,
    unknown: Counter[str] | None = None,
    raw: RawRecord | None = None,
) -> Iterator[Entry | LeadlineError]:
    """Entries and faults of a list. path: of its file; None where it comes through a pipe. unknown: gathers what nobody
    here knows, with how often it was met. raw: tells what the last entry, or HashesUnknown, was made of.

    A ListBroken is among them where the list does not end as it should.
    """
    if kind in _READERS:
        yield from _READERS[kind](stream, where=where, defaults=defaults, unknown=unknown, raw=raw)
    elif kind in _OF_KNOWN_THINGS:
        yield from _OF_KNOWN_THINGS[kind](stream, where=where, defaults=defaults, raw=raw)
    elif path is None:
        yield ListBroken("a database cannot come through a pipe", where=where, mend="give its file")
    else:
        yield from nsrl_database.read(path, where=where, defaults=defaults, raw=raw)
