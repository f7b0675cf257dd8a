"""One file of contents out of a feed: the very bytes that were signed, and of the state that they were signed for."""

from __future__ import annotations

from tuf.api.exceptions import LengthOrHashMismatchError

from leadline.errors import FeedRefused, SourceBroken
from leadline.exchange.feed.contents import MAX_PART_BYTES, Head
from leadline.exchange.feed.places import Place
from leadline.exchange.feed.telling import Piece


def read_piece(place: Place, piece: Piece, where: str) -> bytes:
    """One file of contents: the very bytes that were signed. FeedRefused otherwise."""
    mend = "pull again; where it stays so, tell the publisher"
    try:
        untrusted = place.read(piece.name, min(piece.file.length, MAX_PART_BYTES))
        if untrusted is None:
            raise FeedRefused("a file of contents is missing", where=where, mend=mend, code="missing")
        piece.file.verify_length_and_hashes(untrusted)
    except (LengthOrHashMismatchError, SourceBroken) as error:
        if isinstance(error, SourceBroken) and error.code != "too-large":
            raise
        what = "a file of contents is not the one that was signed"
        raise FeedRefused(what, where=where, mend=mend, code="damaged") from None
    return untrusted


def require_head(head: Head, feed: str, subscriber: str, piece: Piece, where: str) -> None:
    """FeedRefused where what stands inside is not what was signed outside."""
    told = (head.feed, head.subscriber, head.since, head.serial, head.part)
    if told != (feed, subscriber, piece.since, piece.serial, piece.part):
        mend = "nothing of it was taken; tell the publisher"
        raise FeedRefused("contents of another list, subscriber or state", where=where, mend=mend, code="mixed")
