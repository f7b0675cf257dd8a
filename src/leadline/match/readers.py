"""Who read a published bank, and may have read an entry of it: from the files beside the bank. Changes neither.

`service/told.py` writes the one, `service/subscribers.py` the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from leadline.errors import BankCorrupt, BankError
from leadline.match.folder import PUBLISHED, SUBSCRIBERS
from leadline.match.log import read_log
from leadline.match.table import Table

VIDEO, GONE = 1, 2  # bits of a state that subscribers are told; 0: an image that is there


class Reader(NamedTuple):
    """at: when this subscriber read the list last, seconds since 1970."""

    name: str
    at: int


class _Line(msgspec.Struct):
    act: str
    member: str
    at: int
    until: int = 0


def readers_of(folder: Path, entries: Collection[int]) -> list[Reader]:
    """Subscribers who read the list since one of these entries was on it, by name; none where nothing is published.

    Who read it only after the entry was taken off again is among them. BankCorrupt, BankError.
    """
    try:
        told_at = _first_told(folder / PUBLISHED, entries)
        last = {line.member: line.at for line in _lines(folder / SUBSCRIBERS) if line.until >= told_at}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(Reader(name, at) for name, at in last.items())


def names_of(folder: Path) -> list[str]:
    """Of everybody who ever read the list, ascending. BankError."""
    try:
        return sorted({line.member for line in _lines(folder / SUBSCRIBERS)})
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> BankError:
    what = f"what was published cannot be read: {error.strerror}"
    return BankError(what, where=str(folder), mend="check its permissions")


def _first_told(path: Path, entries: Collection[int]) -> float:
    """The first second at which one of them was on the list; infinity where none ever was."""
    wanted = np.array(sorted(entries), np.int64)
    for frame in read_log(path).frames:
        rows = Table(frame.payload, path.name).sections
        if not {"ids", "states", "at"} <= rows.keys() or len(rows["ids"]) != len(rows["states"]):
            raise BankCorrupt("rows that contradict themselves", where=path.name, mend="restore it from a copy")
        if (np.isin(rows["ids"], wanted) & ((rows["states"] & GONE) == 0)).any():
            return int(rows["at"][0])
    return float("inf")


def _lines(path: Path) -> Iterator[_Line]:
    """Of readings, oldest first."""
    for line in path.read_bytes().splitlines():
        try:
            said = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            continue  # cut off by a kill
        if said.act == "read":
            yield said
