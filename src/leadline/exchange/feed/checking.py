"""A whole feed checked, as a publisher or a subscriber does by hand: every signature and file, and what a key opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leadline.errors import FeedRefused, ListFormatError
from leadline.exchange.feed.contents import open_part, read_line
from leadline.exchange.feed.keys import SubscriberKey
from leadline.exchange.feed.places import Place
from leadline.exchange.feed.reading import read_piece, require_head
from leadline.exchange.feed.telling import choose, tellings_for
from leadline.exchange.feed.trust import Trust, believe


@dataclass(frozen=True, slots=True)
class Verified:
    """version: of the signed files, which hold until `expires`. serial, entries: of the list for the key, 0 without."""

    publisher: str
    feed: str
    version: int
    expires: int
    subscribers: int
    files: int
    bytes: int
    subscriber: str = ""
    serial: int = 0
    entries: int = 0


def verify_feed(
    place: Place,
    root: bytes,
    now_s: float,
    where: str,
    *,
    key: SubscriberKey | None = None,
    say: Callable[[int], None] = lambda files: None,
) -> Verified:
    """FeedRefused where anything is wrong; ExchangeError where it cannot be read, ConfigError for a root that is none.

    say: told of each file. With a key only that subscriber's files are read, and opened.
    """
    believed = believe(place, Trust(root), now_s, where)
    ids = sorted({file.path.partition("/")[0] for file in believed.files})
    files = size = serial = 0
    held = set[int]()
    for subscriber in [key.id] if key else ids:
        tellings = tellings_for(believed.files, subscriber, where)
        way = choose(tellings, 0, where)
        for telling in tellings:
            for piece in telling.pieces:
                untrusted = read_piece(place, piece, where)
                if key:
                    head, lines = open_part(untrusted, key, where)
                    require_head(head, believed.feed, key.id, piece, where)
                    if telling in way:
                        _apply(lines, held, where)
                files, size = files + 1, size + len(untrusted)
                say(1)
        serial = way[-1].serial if key else 0
    return Verified(
        believed.publisher, believed.feed, believed.trust.version, int(believed.expires_s), len(ids), files, size,
        key.id if key else "", serial, len(held),
    )  # fmt: skip


def _apply(lines: Sequence[bytes], held: set[int], where: str) -> None:
    try:
        for line in map(read_line, lines):
            (held.discard if line.withdrawn else held.add)(line.id)
    except ListFormatError as fault:
        raise FeedRefused(fault.what, where=where, mend=fault.mend, code="damaged") from None
