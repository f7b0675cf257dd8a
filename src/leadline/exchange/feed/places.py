"""Where a feed is read from, and where receipts are left: a folder, or an address. Believes nothing of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from leadline.errors import ConfigError, SourceBroken, SourceUnavailable
from leadline.exchange.feed.metadata import CONTENTS, METADATA, RECEIPTS
from leadline.exchange.web import Web
from leadline.match.folder import make_folder, replace_file

_METADATA_NAME = rf"{METADATA}/(?:timestamp|[1-9][0-9]{{0,14}}\.(?:root|targets|snapshot))\.json"
_CONTENTS_NAME = rf"{CONTENTS}/[0-9a-f]{{32}}/[0-9a-f]{{64}}\.[0-9]{{1,15}}-[0-9]{{1,15}}-[0-9]{{1,6}}\.age"
NAME = re.compile(f"{_METADATA_NAME}|{_CONTENTS_NAME}")
RECEIPT_NAME = re.compile(r"[0-9a-f]{32}\.[1-9][0-9]{0,14}\.json")


class Place(Protocol):
    def read(self, name: str, most_bytes: int) -> bytes | None:
        """The bytes of one of a feed's files; None where there is none. ExchangeError."""

    def leave_receipt(self, name: str, receipt: bytes) -> None:
        """ExchangeError where it is not taken."""

    def close(self) -> None: ...


class FolderPlace:
    """A folder that was published into, or a copy of it. receipts: where they are left, instead of within it."""

    def __init__(self, folder: Path, receipts: Path | None = None) -> None:
        self._folder, self._receipts = folder, receipts or folder / RECEIPTS

    def read(self, name: str, most_bytes: int) -> bytes | None:
        if not NAME.fullmatch(name):
            return None
        try:
            with open(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                data = file.read(most_bytes + 1)
        except FileNotFoundError:
            self._require()
            return None
        except OSError as error:
            raise SourceUnavailable(f"not read: {error.strerror}", where=str(self._folder / name)) from None
        if len(data) > most_bytes:
            raise SourceBroken("larger than any of its kind", where=name, code="too-large")
        return data

    def leave_receipt(self, name: str, receipt: bytes) -> None:
        _write_receipt(self._receipts, name, receipt)

    def close(self) -> None:
        pass

    def _require(self) -> None:
        if not (self._folder / METADATA).is_dir():
            mend = "give the folder that the feed was published into"
            raise SourceUnavailable("no feed there", where=str(self._folder), mend=mend)


class WebPlace:
    """An address: `leadline serve --publish BANK` answers below .../feed/BANK; any web server with the folder will do,
    but takes no receipts. receipts: a folder that they are left in instead."""

    def __init__(self, web: Web, receipts: Path | None = None) -> None:
        self._web, self._receipts = web, receipts

    def read(self, name: str, most_bytes: int) -> bytes | None:
        try:
            return self._web.get(f"/{name}", most_bytes=most_bytes)
        except SourceBroken as error:
            if error.code == "page-expired":
                return None
            raise

    def leave_receipt(self, name: str, receipt: bytes) -> None:
        if self._receipts is not None:
            _write_receipt(self._receipts, name, receipt)
            return
        self._web.send("POST", f"/{RECEIPTS}", content=receipt, content_type="application/json")

    def close(self) -> None:
        self._web.close()


def _write_receipt(folder: Path, name: str, receipt: bytes) -> None:
    try:
        make_folder(folder)
        replace_file(folder / name, receipt)
    except OSError as error:
        mend = "name a folder for receipts that can be written, and take them to the publisher"
        what = f"the receipt is not written: {error.strerror}"
        raise SourceUnavailable(what, where=str(folder), mend=mend) from None


def open_place(
    address: str,
    *,
    source: str,
    sleep: Callable[[float], None],
    token: str = "",
    timeout_s: float = 60.0,
    ca_file: Path | None = None,
    receipts: Path | None = None,
) -> Place:
    """ConfigError for an address that is none."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        web = Web(source, address, sleep=sleep, headers=headers, timeout_s=timeout_s, ca_file=ca_file)
        return WebPlace(web, receipts)
    if not address:
        raise ConfigError("no address", where=source, mend="give https://NAME/feed/BANK, or a folder")
    return FolderPlace(Path(address), receipts)
