"""A page of NCMEC's list: in its usual form read at one go, in any other by `ncmec_xml`, with the same result.

The usual form is UTF-8 without comments, sections, instructions or returns, of elements whose names and attributes are
written down here. What is read covers the page from end to end, each element with its own end, and holds only
characters of XML: so it is well-formed, and these patterns see all that a parser sees. Where one does not fit, the
parser reads the page, and says what is wrong. Tests hold both readers against each other, digests included.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

import numpy as np

from leadline.errors import SourceBroken
from leadline.exchange.connector import Readable
from leadline.exchange.ncmec_xml import ENTRY_TAGS, ToldEntry, XmlReader, other_version, parse_document

_SPACE = 0x20
_TYPES = {tag: ENTRY_TAGS[tag.lower()] for tag in ("image", "video", "deletedImage", "deletedVideo")}
_READ_AT_ONCE_BYTES = 4 << 20  # a longer page is read as it comes

_HEAD = re.compile(
    r'(?:<\?xml version="1\.0"(?: encoding="(?:UTF-8|utf-8)")?(?: standalone="(?:yes|no)")?\?>)?\s*'
    r'<queryResult( xmlns="(https?://[^"<>&\s]+)")?>\s*',
    re.ASCII,
)
_GROUP = re.compile(r'<(images|videos)(?: count="[^"<>&]*")?(?: maxTimestamp="[^"<>&]*")?(/?)>\s*', re.ASCII)
_GROUP_END = re.compile(r"</(images|videos)>\s*", re.ASCII)
_ENTRY = re.compile(
    r'<(image|video|deletedImage|deletedVideo)(>\s*<member id="([0-9]+)">([^<>&]+(?:&amp;[^<>&]*)*)</member>\s*'
    r"<timestamp>([^<>&]+)</timestamp>\s*<id>([^<>&]+)</id>\s*"
    r"(?:<classification>([^<>&]+)</classification>\s*)?"
    r"(?:<fingerprints>((?:\s*<([a-z][a-z0-9-]*)>[^<>&]+</\9>)+\s*)</fingerprints>\s*)?</\1>)\s*",
    re.ASCII,
)
_OTHER_ENTRY = re.compile(r"<(image|video|deletedImage|deletedVideo)>.*?</\1>\s*", re.ASCII | re.DOTALL)
_PRINT = re.compile(r"<([a-z0-9-]+)>([^<]+)</")
_END = re.compile(r"(?:<paging>\s*<next>([^<>&]*(?:&amp;[^<>&]*)*)</next>\s*</paging>\s*)?</queryResult>\s*", re.ASCII)


class PageReader:
    """The entries of one answer. After the last of them `next_link` says where the list goes on, empty where it does
    not. unknown: elements that nobody here knows, with their count. SourceBroken for what is no page."""

    def __init__(self, untrusted: Readable, where: str) -> None:
        self._untrusted, self._where = untrusted, where
        self.next_link, self.unknown = "", Counter[str]()
        self._others = XmlReader(untrusted, where)

    def __iter__(self) -> Iterator[ToldEntry]:
        body = _read(self._untrusted, _READ_AT_ONCE_BYTES)
        if len(body) < _READ_AT_ONCE_BYTES:
            if (found := self._read_plain(body)) is not None:
                self.unknown = self._others.unknown
                yield from found
                return
            parse_document(body, "queryResult", self._where)  # of a page that is broken, nothing is told
        reader = XmlReader(_Joined(body, self._untrusted), self._where)
        yield from reader
        self.next_link, self.unknown = reader.next_link, reader.unknown

    def _read_plain(self, body: bytes) -> list[ToldEntry] | None:
        """None where the page has another form."""
        text = _decoded(body)
        head = None if text is None else _HEAD.match(text)
        if text is None or head is None or other_version(head[2] or ""):
            return None
        entries: list[ToldEntry] = []
        at = head.end()
        while group := _GROUP.match(text, at):
            at = group.end()
            if not group[2]:
                at = self._read_group(text, at, head[1] or "", entries)
                end = _GROUP_END.match(text, at)
                if end is None or end[1] != group[1]:
                    return None
                at = end.end()
        end = _END.match(text, at)
        if end is None or end.end() != len(text):
            return None
        self.next_link = (end[1] or "").strip().replace("&amp;", "&")
        return entries

    def _read_group(self, text: str, at: int, xmlns: str, entries: list[ToldEntry]) -> int:
        """Where the entries that could be read end."""
        while True:
            found = _ENTRY.match(text, at)
            if found is not None:
                entries.append(_entry(found, xmlns))
            else:
                found = _OTHER_ENTRY.match(text, at)
                told = None if found is None else self._read_other(found[0], xmlns)
                if found is None or told is None:
                    return at
                entries.append(told)
            at = found.end()

    def _read_other(self, xml: str, xmlns: str) -> ToldEntry | None:
        """An entry with feedback, links, or what nobody knows."""
        page = f"<queryResult{xmlns}><images>{xml}</images></queryResult>"
        try:
            return self._others.read_one(page.encode())
        except SourceBroken:  # its end was not where it seemed
            return None


def _decoded(body: bytes) -> str | None:
    """None where it is not UTF-8, or holds what this reader does not know or XML forbids."""
    if b"<!" in body or b"\r" in body or body.find(b"<?", 1) >= 0:
        return None
    if np.count_nonzero(np.frombuffer(body, np.uint8) < _SPACE) != body.count(b"\n") + body.count(b"\t"):
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\ufffe" in text or "\uffff" in text else text


def _entry(found: re.Match[str], xmlns: str) -> ToldEntry:
    """Its digest is of what the parser would write again: the entry alone, with its namespace."""
    tag, rest, member, name, timestamp, entry_id, label, prints, _ = found.groups()
    entry_type, is_deleted = _TYPES[tag]
    return ToldEntry(
        entry_type, is_deleted, sha256(f"<{tag}{xmlns}{rest}".encode()).digest(),
        member, name.replace("&amp;", "&").strip(), entry_id.strip(), timestamp.strip(),
        label.strip() if label else "",
        {kind: stripped for kind, value in _PRINT.findall(prints) if (stripped := value.strip())} if prints else {},
    )  # fmt: skip


def _read(untrusted: Readable, most_bytes: int) -> bytes:
    """All, or as much as that."""
    pieces, left = [], most_bytes
    while left > 0 and (piece := untrusted.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class _Joined:
    """What was read already, and after it the rest."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read(size)
