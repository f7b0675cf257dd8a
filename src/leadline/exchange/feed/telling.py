"""What a feed's signed files tell one subscriber, in steps: whole lists, and what changed from one to the next."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import TargetFile

from leadline.errors import FeedRefused
from leadline.exchange.feed.metadata import CONTENTS, DETAILS

_MAX = 10**15
_NUMBERS = ("since", "serial", "part", "parts", "entries", "withdrawn", "withdraw_by")


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of contents. withdraw_by: until when its withdrawals have to be applied, seconds since 1970; 0: none."""

    file: TargetFile
    since: int
    serial: int
    part: int
    parts: int
    entries: int
    withdrawn: int
    withdraw_by: int

    @property
    def name(self) -> str:
        """Its name in the feed: with its SHA-256, as consistent snapshots of TUF have it."""
        folder, _, name = self.file.path.partition("/")
        return f"{CONTENTS}/{folder}/{self.file.hashes['sha256']}.{name}"


@dataclass(frozen=True, slots=True)
class Telling:
    """From state `since` of the list (0: the whole list) to `serial`, in pieces."""

    since: int
    serial: int
    pieces: tuple[Piece, ...]

    @property
    def is_whole(self) -> bool:
        return self.since == 0

    @property
    def mark(self) -> str:
        """Tells it from another one of the same numbers."""
        return hashlib.sha256("".join(p.file.hashes["sha256"] for p in self.pieces).encode()).hexdigest()


def as_target(
    path: str, length: int, sha256: str, *, since: int, serial: int, part: int, parts: int, entries: int,
    withdrawn: int, withdraw_by: int,
) -> TargetFile:  # fmt: skip
    details = {
        "since": since, "serial": serial, "part": part, "parts": parts, "entries": entries, "withdrawn": withdrawn,
        "withdraw_by": withdraw_by,
    }  # fmt: skip
    return TargetFile(length, {"sha256": sha256}, path, unrecognized_fields={DETAILS: details})


def contents_path(subscriber: str, since: int, serial: int, part: int) -> str:
    return f"{subscriber}/{serial}-{since}-{part}.age"


def tellings_for(files: Iterable[TargetFile], subscriber: str, where: str) -> list[Telling]:
    """Those that are complete. FeedRefused where their description makes no sense."""
    found: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    for file in files:
        if file.path.startswith(f"{subscriber}/"):
            piece = _as_piece(file, where)
            found[piece.since, piece.serial].append(piece)
    tellings = []
    for (since, serial), pieces in sorted(found.items()):
        pieces.sort(key=lambda piece: piece.part)
        if [piece.part for piece in pieces] == list(range(pieces[0].parts)):
            tellings.append(Telling(since, serial, tuple(pieces)))
    return tellings


def choose(tellings: Sequence[Telling], serial: int, where: str) -> list[Telling]:
    """What leads from state `serial` to the latest: changes where there are all of them, else the whole list.

    FeedRefused where the latest is older than `serial`, or no way leads to it.
    """
    latest = max(telling.serial for telling in tellings)
    if latest < serial:
        mend = "ask the publisher, by another way than this feed"
        raise FeedRefused("its list is older than what was read", where=where, mend=mend, code="rolled-back")
    by_since = {t.since: t for t in tellings if not t.is_whole}
    wholes = [t for t in tellings if t.is_whole]
    for begin in [None, *reversed(wholes)]:
        way = [] if begin is None else [begin]
        at = serial if begin is None else begin.serial
        while at in by_since and at < latest:
            way.append(by_since[at])
            at = by_since[at].serial
        if at == latest:
            return way
    raise FeedRefused("no way leads to its latest state", where=where, mend="tell the publisher", code="missing")


def _as_piece(file: TargetFile, where: str) -> Piece:
    try:
        numbers = _read_numbers(file.unrecognized_fields[DETAILS])
        piece = Piece(file, **numbers)
        is_named = file.path == contents_path(file.path.partition("/")[0], piece.since, piece.serial, piece.part)
        if not is_named or not piece.since < piece.serial or not piece.part < piece.parts:
            raise ValueError
        _ = file.hashes["sha256"]
    except (KeyError, ValueError, TypeError):
        mend = "tell the publisher"
        raise FeedRefused("a file described in another way", where=where, mend=mend, code="damaged") from None
    return piece


def _read_numbers(untrusted: Any) -> dict[str, int]:
    numbers = {name: untrusted[name] for name in _NUMBERS}
    if not all(type(number) is int and 0 <= number < _MAX for number in numbers.values()):
        raise ValueError
    return numbers
