"""A source that the tests make up: it keeps what it was told, and tells it as a log or, each time, as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from leadline.domain import Entry, Kind
from leadline.errors import SourceUnavailable
from leadline.exchange.connector import Page, Record

GONE, BAD, OTHER_LABEL, UNKNOWN, OTHER_UNKNOWN = -1, -2, -3, -4, -5  # beside numbers of versions


def md5_of(key: str, version: int) -> bytes:
    return hashlib.sha256(f"{key} {version}".encode()).digest()[:16]


def record_of(key: str, version: int) -> Record:
    """BAD: with a hash that no bank takes; OTHER_LABEL: with the label `other`; GONE: withdrawn.

    UNKNOWN, OTHER_UNKNOWN: with a fingerprint alone of a kind that nobody here knows, and with another one of it.
    """
    digest = hashlib.sha256(f"record {key} {version}".encode()).digest()
    if version == GONE:
        return Record(key, digest, None)
    if version in (UNKNOWN, OTHER_UNKNOWN):
        return Record(key, digest, None, {"made-up": f"print {version}"})
    md5 = b"short" if version == BAD else md5_of(key, version)
    entry = Entry(
        Kind.OTHER, {"md5": md5}, scheme="made-up", label="other" if version == OTHER_LABEL else "some",
        source="src", source_id=key, metadata=json.dumps({"record": digest.hex()}),
    )  # fmt: skip
    return Record(key, digest, entry)


class MadeUpSource:
    """is_whole: each pull tells all that is there; else only what came since, with withdrawals."""

    def __init__(self, *, is_whole: bool = False, page_records: int = 3) -> None:
        self.log: list[tuple[str, int]] = []
        self.is_whole, self.page_records = is_whole, page_records
        self.confirmed: list[dict[str, Any]] = []
        self.takes_receipts = True
        self.breaks_after: int | None = None  # pages

    def tell(self, key: str, version: int) -> None:
        self.log.append((key, version))

    @property
    def live(self) -> dict[str, int]:
        return {key: version for key, version in dict(self.log).items() if version != GONE}

    def pull(self, checkpoint: Mapping[str, Any] | None) -> Iterator[Page]:
        pages = self._whole(checkpoint) if self.is_whole else self._news(checkpoint)
        for number, page in enumerate(pages):
            if number == self.breaks_after:
                raise SourceUnavailable("it does not answer", where="src")
            yield page

    def _news(self, checkpoint: Mapping[str, Any] | None) -> Iterator[Page]:
        at = checkpoint["at"] if checkpoint else 0
        told = self.log[at:]
        for start in range(0, max(len(told), 1), self.page_records):
            some = told[start : start + self.page_records]
            end = start + self.page_records >= len(told)
            yield Page([record_of(*one) for one in some], {"at": at + start + len(some)}, is_last=end)

    def _whole(self, checkpoint: Mapping[str, Any] | None) -> Iterator[Page]:
        """Goes on inside a telling where the list is the same still."""
        state, told, at = len(self.log), list(self.live.items()), 0
        if checkpoint and checkpoint["state"] == state and not checkpoint["done"]:
            at = checkpoint["at"]
        for start in range(at, max(len(told), at + 1), self.page_records):
            some = told[start : start + self.page_records]
            end = start + self.page_records >= len(told)
            goes_on = {"state": state, "at": start + len(some), "done": end}
            yield Page([record_of(*one) for one in some], goes_on, begins_whole=start == 0, is_last=end)
