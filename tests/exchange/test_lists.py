"""What every reader of lists does, whatever the format."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from leadline.domain import Entry, Kind
from leadline.errors import ListBroken, ListFormatError
from leadline.exchange.base import EntryDefaults
from leadline.exchange.detect import ListFormat
from leadline.exchange.lists import read_list

MD5 = "a1" * 16
HEADS = {
    ListFormat.CSV: "md5,note\n",
    ListFormat.TEXT: "# a list\n",
    ListFormat.HASHDEEP: "%%%% HASHDEEP-1.0\n%%%% md5,filename\n",
    ListFormat.ICSE: "MD5;Image ID;Series name;Baseline\n",
    ListFormat.NSRL: '"MD5","SHA-1","FileName","ProductCode"\n',
}
ROWS = {
    ListFormat.CSV: f"{MD5},", ListFormat.TEXT: MD5, ListFormat.HASHDEEP: f"{MD5},a", ListFormat.ICSE: f"{MD5};1;;",
    ListFormat.NSRL: f'"{MD5}","","a","1"',
}  # fmt: skip


class LongLine(io.RawIOBase):
    """A head, a line of so many bytes made as it is read, and a good line after it."""

    def __init__(self, head: str, size_bytes: int, after: str) -> None:
        self._parts, self._left, self._after = head.encode(), size_bytes, f"\n{after}\n".encode()
        self._chunk = b"a" * (1 << 18)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._parts:
            given, self._parts = self._parts, b""
            return given
        if self._left > 0:
            self._left -= len(self._chunk)
            return self._chunk
        given, self._after = self._after, b""
        return given


@pytest.mark.parametrize(("kind", "size_bytes"), [(kind, 1 << (30 if kind == "hashdeep" else 23)) for kind in HEADS])
def test_a_line_of_a_gigabyte_costs_itself_and_little_memory(kind: ListFormat, size_bytes: int) -> None:
    stream = LongLine(HEADS[kind], size_bytes, ROWS[kind])
    tracemalloc.start()
    try:
        told = list(read_list(kind, stream, None, where="list", defaults=EntryDefaults(Kind.OTHER)))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(one) for one in told] == [ListFormatError, Entry]
    assert peak < 8 << 20


@pytest.mark.parametrize("kind", HEADS)
def test_capital_letters_are_the_same_and_a_byte_order_mark_is_none(kind: ListFormat) -> None:
    text = "\ufeff" + HEADS[kind] + ROWS[kind].replace(MD5, MD5.upper()) + "\r\n"
    (entry,) = read_list(kind, io.BytesIO(text.encode()), None, where="list", defaults=EntryDefaults(Kind.OTHER))
    assert isinstance(entry, Entry)
    assert entry.fingerprints == {"md5": b"\xa1" * 16}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("digits", [MD5[:-1], MD5 + "0", "g" + MD5[1:], MD5[:-2] + "\u0661\u0661"])
def test_what_is_no_hash_is_refused_with_its_place(kind: ListFormat, digits: str) -> None:
    text = HEADS[kind] + ROWS[kind].replace(MD5, digits) + "\n" + ROWS[kind] + "\n"
    told = list(read_list(kind, io.BytesIO(text.encode()), None, where="list", defaults=EntryDefaults(Kind.OTHER)))
    assert [type(one) for one in told] == [ListFormatError, Entry]
    fault = told[0]
    assert isinstance(fault, ListFormatError)
    assert fault.where.startswith("list: line ")
    assert digits not in str(fault), "a fault never repeats what was given"


def test_a_database_cannot_come_through_a_pipe() -> None:
    told = read_list(ListFormat.NSRL_DATABASE, io.BytesIO(), None, where="list", defaults=EntryDefaults(Kind.OTHER))
    assert [type(one) for one in told] == [ListBroken]
