"""Which list format a file is in, from its first bytes, then its name. Reads nothing itself."""

from __future__ import annotations

import re
from enum import StrEnum

from leadline.errors import HashFormatError
from leadline.exchange import hashdeep, icse, nsrl, nsrl_database
from leadline.exchange.base import parse_hash, recode_head
from leadline.exchange.csv_list import split_header

HEAD_BYTES = 1 << 16
_BUNDLE = re.compile(r'"type"\s*:\s*"bundle"|"spec_version"\s*:\s*"2\.1"')


class ListFormat(StrEnum):
    CSV = "csv"
    TEXT = "text"
    VICS = "vics"
    STIX = "stix"
    HASHDEEP = "hashdeep"
    ICSE = "icse"
    NSRL = "nsrl"
    NSRL_DATABASE = "nsrl-database"


_BY_ENDING = {
    ".csv": ListFormat.CSV,
    ".tsv": ListFormat.CSV,
    ".json": ListFormat.VICS,
    ".txt": ListFormat.TEXT,
    ".lst": ListFormat.TEXT,
    ".md5": ListFormat.TEXT,
    ".sha1": ListFormat.TEXT,
    ".sha256": ListFormat.TEXT,
    ".pdq": ListFormat.TEXT,
}


def detect_format(untrusted_head: bytes, ending: str) -> ListFormat | None:
    """The format of a list that begins with `untrusted_head`; None for what is no list (a picture, say).

    ending  of the file's name, with its dot; decides only where the content does not, so that a list with a
            broken first line is read as a list and its fault is told
    """
    by_ending = _BY_ENDING.get(ending.lower())
    if untrusted_head.startswith(nsrl_database.MAGIC):
        return ListFormat.NSRL_DATABASE
    text = recode_head(untrusted_head)
    if text.lstrip().startswith("{"):
        return ListFormat.STIX if _BUNDLE.search(text) else ListFormat.VICS
    line = next((x for x in text.splitlines() if x.strip() and not x.startswith(("#", "sep="))), "")
    if "\0" in line:
        return by_ending
    if named := _by_first_line(line):
        return named
    if split_header(line):
        return ListFormat.CSV
    try:
        parse_hash(line)
    except HashFormatError:
        return by_ending
    return ListFormat.TEXT


def _by_first_line(line: str) -> ListFormat | None:
    """Lists whose first line nobody else's is; NSRL's and ICSE's would do as CSV, too, and lose what they mean."""
    if line.startswith(hashdeep.MARK):
        return ListFormat.HASHDEEP
    if icse.is_header(line):
        return ListFormat.ICSE
    return ListFormat.NSRL if nsrl.is_header(line) else None
