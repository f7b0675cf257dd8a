"""A collection of a TAXII 2.1 server: indicators and files of STIX 2.1 in. Sends nothing, decides nothing.

OASIS TAXII 2.1, sections 3.4-3.6 and 5.4. What is newer than the last answer is asked for by `added_after`; objects
that a server deletes are never told, so the whole collection is pulled anew from time to time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import Field

from leadline.errors import ConfigError, ListFormatError, SourceBroken, sentence
from leadline.exchange.base import parse_time
from leadline.exchange.connector import Checked, Checkpoint, ListConnector, Page, Record, WebOptions
from leadline.exchange.stix import format_time
from leadline.exchange.stix_objects import read_objects
from leadline.exchange.telling import Telling, Told, begin_at, pull_told
from leadline.exchange.web import Answer, Web, read_json

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_VERSION = re.compile(r'taxii\+json\s*;\s*version="?([0-9.]{1,10})', re.ASCII | re.IGNORECASE)
_LAST_ADDED = "x-taxii-date-added-last"
_BY_NEXT, _BY_DATE = "next:", "after:"
_MAX_PAGE_BYTES = 64 << 20
_MAX_NEXT_CHARS = 4_096
_MAX_NAMED = 20
_DIGEST_CHARS = 16
_NEVER_S = 1 << 40


class TaxiiOptions(WebOptions):
    """address        of the API root, as https://NAME/api1
    collection     its id; empty: `check` lists those that are there
    page_size      objects a page; the server may give fewer
    whole_every_h  hours after which all is told anew: only so is it seen that an object was deleted
    """

    address: str
    collection: str = Field("", pattern=r"^[0-9A-Za-z-]{0,100}$")
    page_size: int = Field(1000, ge=1, le=100_000)
    whole_every_h: float = Field(24, gt=0)


class Taxii(ListConnector):
    """Record keys are STIX ids. Credentials: `user` and `password` (HTTP Basic), or `token` (Bearer), or none."""

    name = "taxii"
    title = "STIX 2.1 over TAXII 2.1"
    optional_secret_names = ("user", "password", "token")
    unverified: ClassVar[tuple[str, ...]] = ("servers other than medallion 3.0, OASIS's own, were not tried",)
    options_type = TaxiiOptions
    options: TaxiiOptions

    _web: Web | None = None

    def _open(self) -> Web:
        if self._web is None:
            user, password, token = (self.secrets.get(name, "") for name in self.optional_secret_names)
            if token and (user or password):
                raise ConfigError(
                    "two kinds of credentials", where=self._where, mend="give user and password, or token"
                )
            self._web = Web(
                self._where, self.options.address, sleep=self.sleep, auth=(user, password) if user else None,
                headers={"accept": _MEDIA_TYPE, **({"authorization": f"Bearer {token}"} if token else {})},
                timeout_s=self.options.timeout_s, ca_file=self.options.ca_file,
            )  # fmt: skip
        return self._web

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
            self._web = None

    def check(self) -> Checked:
        if not self.options.collection:
            return Checked(notes=tuple(self._list_collections()))
        told = self._ask_json(f"/collections/{self.options.collection}/")
        notes = () if told.get("can_read") is True else ("this collection may not be read with these credentials",)
        return Checked(_shown(told.get("title")), notes)

    def _list_collections(self) -> list[str]:
        collections = self._ask_json("/collections/").get("collections")
        there = [one for one in collections if isinstance(one, dict)] if isinstance(collections, list) else []
        named = [f"collection {_shown(one.get('id'))}: {_shown(one.get('title'))}" for one in there[:_MAX_NAMED]]
        return ["no collection is chosen", *named]

    def _ask_json(self, path: str) -> dict[str, Any]:
        with self._open().open(path, most_bytes=1 << 20) as answer:
            return read_json(self._read(answer), self._where)

    def _read(self, answer: Answer) -> bytes:
        """Its body. SourceBroken where its media type names another version; many servers name none."""
        found = _VERSION.search(answer.headers.get("content-type", ""))
        if found and found[1] != "2.1":
            what = sentence("its answer is of version %(version)s of TAXII", version=found[1])
            raise SourceBroken(what, where=self._where, mend="version 2.1 is read here: ask for the API root of it")
        return answer.read()

    # --- the list ----------------------------------------------------------------------------------------------------

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        if not self.options.collection:
            raise ConfigError("no collection is chosen", where=self._where, mend="set --option collection=ID")
        paging = _Paging()
        pages = pull_told(
            checkpoint, lambda telling: self._tell(telling, paging), self.clock, first_s=0, stale_s=_NEVER_S,
            whole_every_s=self.options.whole_every_h * 3600,
        )  # fmt: skip
        for page in pages:
            is_kept = paging.is_cursor or not page.checkpoint["token"].startswith(_BY_NEXT)
            yield page if is_kept else replace(page, checkpoint={**page.checkpoint, "token": ""})

    def start_at(self, since_s: int) -> Checkpoint:
        return begin_at(since_s, self.clock())

    def _tell(self, telling: Telling, paging: _Paging) -> Told:
        path = f"/collections/{self.options.collection}/objects/"
        paging.ask(telling.token)
        with self._open().open(
            path, self._asked(telling), most_bytes=_MAX_PAGE_BYTES, is_repeatable=paging.is_repeatable
        ) as answer:
            body, last_added = self._read(answer), answer.headers.get(_LAST_ADDED, "").strip()
        envelope = read_json(body, self._where)
        untrusted_objects = envelope.get("objects", [])
        if not isinstance(untrusted_objects, list):
            raise SourceBroken("its objects are no list", where=self._where, mend="retry; where it stays so, tell it")
        told = read_objects(untrusted_objects, self.defaults, f"{self._where}: a page")
        next_s = max(telling.next_s, _seconds(last_added))
        records = [Record(*one) for one in told.records]
        token = self._next(envelope, last_added, hashlib.sha256(body).hexdigest()[:_DIGEST_CHARS])
        paging.note(token)
        return Told(records, token, next_s, told.faults, told.unknown)

    def _asked(self, telling: Telling) -> dict[str, str | int]:
        asked: dict[str, str | int] = {"limit": self.options.page_size, "match[type]": "indicator,file"}
        if telling.since_s:  # one second more: others may have been added in the second of the last one
            asked["added_after"] = format_time(telling.since_s - 1)
        if telling.token.startswith(_BY_NEXT):
            asked["next"] = _next_of(telling.token)
        elif telling.token:
            asked["added_after"] = telling.token.removeprefix(_BY_DATE)
        return asked

    def _next(self, envelope: dict[str, Any], last_added: str, digest: str) -> str:
        """Where the next page begins: as `next` says, else after the last date of this one; empty at the end.

        With a digest of this page: some servers give the same `next` for every page, and the same page twice is a loop.
        """
        if envelope.get("more") is not True:
            return ""
        following = envelope.get("next")
        if isinstance(following, str) and 0 < len(following) <= _MAX_NEXT_CHARS:
            return f"{_BY_NEXT}{digest}:{following}"
        if following is None and _seconds(last_added):
            return _BY_DATE + last_added
        raise SourceBroken("it says there is more, and not where", where=self._where, mend="tell the source")


@dataclass(slots=True)
class _Paging:
    """What the `next` of a server is: a cursor, another with each page, that can be asked for again; or the name of a
    session (medallion's is), where asking moves on, and what was asked and lost is told no more.

    Until two are seen nobody knows; what is no cursor is not kept in a checkpoint, and not asked for twice.
    """

    is_cursor: bool = False
    is_repeatable: bool = True
    last: str = ""

    def ask(self, token: str) -> None:
        """Before a page; its token is empty where a telling begins, and only cursors come from a checkpoint."""
        if not token.startswith(_BY_NEXT):
            self.is_cursor, self.last = False, ""
        elif not self.last:
            self.is_cursor, self.last = True, _next_of(token)
        self.is_repeatable = self.is_cursor or not self.last

    def note(self, token: str) -> None:
        """Of the page after this one."""
        following = _next_of(token) if token.startswith(_BY_NEXT) else ""
        self.is_cursor = bool(self.last) and following != self.last
        self.last = following


def _next_of(token: str) -> str:
    return token[len(_BY_NEXT) + _DIGEST_CHARS + 1 :]


def _seconds(untrusted_time: str) -> int:
    try:
        return parse_time(untrusted_time)
    except ListFormatError:
        return 0


def _shown(untrusted_value: object) -> str:
    text = untrusted_value if isinstance(untrusted_value, str) else ""
    return "".join(c for c in text if c.isprintable())[:100]
