"""NCMEC hash sharing v2: every list base, entries pulled by ranges of time, feedback. Submits no entry of ours.

Entries of a range come in no order of time, so a checkpoint moves on only when its range is exhausted; within a range
the address of the next page is kept, and trusted for twelve hours. `from` is exclusive, `to` inclusive; all is UTC.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from leadline.errors import CredentialsRefused, ExchangeError, HashFormatError, SourceBroken, sentence
from leadline.exchange.connector import Act, Checked, Checkpoint, LargeSource, Outgoing, Page, Readable, Record, Sent
from leadline.exchange.ncmec_entries import RecordMaker
from leadline.exchange.ncmec_feedback import Feedback
from leadline.exchange.ncmec_lists import NcmecOptions
from leadline.exchange.ncmec_plain import PageReader
from leadline.exchange.ncmec_xml import parse_document
from leadline.exchange.web import Web
from leadline.match.fingerprints import load_kinds

_LAG_S = 5  # entries of the last seconds may still be on their way into the list
_LINK_GOOD_S = 12 * 3600
_MIN_SPAN_S = 60
_PAGE_RECORDS = 10_000  # a longer answer is applied in pieces
_MAX_LINK_CHARS = 2000
_SMALL_BYTES = 8 << 20  # answers that are no list of entries
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
_EXPIRED = frozenset({"page-expired", "remote-status"})


@dataclass(frozen=True, slots=True)
class _Stand:
    """done_s: all entries up to then were told. link: where the range (done_s, to_s] goes on, told at given_s."""

    done_s: int = 0
    to_s: int = 0
    link: str = ""
    given_s: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint | None) -> _Stand:
        return cls(**checkpoint) if checkpoint else cls()

    @property
    def checkpoint(self) -> Checkpoint:
        if not self.link:
            return {"done_s": self.done_s}
        return {"done_s": self.done_s, "to_s": self.to_s, "link": self.link, "given_s": self.given_s}


@dataclass(slots=True)
class _Walk:
    """How a pull goes through time. span_s: of the next range; total: entries of the first answer's range; is_again:
    for their links alone."""

    end_s: int
    span_s: int
    total: int = 0
    is_again: bool = False


class _Answer(NamedTuple):
    records: list[Record]
    maker: RecordMaker
    link: str


class NcmecConnector(LargeSource):
    name: ClassVar[str] = "ncmec"
    title: ClassVar[str] = "NCMEC hash sharing v2"
    secret_names: ClassVar[tuple[str, ...]] = ("user", "password")
    act_names: ClassVar[frozenset[Act]] = frozenset({Act.AFFIRM, Act.DISPUTE})
    unverified: ClassVar[tuple[str, ...]] = (
        "labels of the exploitative and generative-AI lists: kept as they come",
        "what NCMEC answers to feedback: any success counts",
        "how PhotoDNA is written (hexadecimal and base64 are read)",
        "what links of large fingerprints lead to: kept as it comes, up to large_mb megabytes",
        "submitting entries: not offered, since its form is not public",
    )
    options_type: ClassVar[type[NcmecOptions]] = NcmecOptions
    options: NcmecOptions
    range_entries: ClassVar[int] = 400_000  # a range of time with more is asked for in shorter ones

    @cached_property
    def _web(self) -> Web:
        auth = self.secrets["user"], self.secrets["password"]
        options = self.options
        return Web(
            self._where, options.base, sleep=self.sleep, auth=auth, timeout_s=options.timeout_s, ca_file=options.ca_file
        )

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def close(self) -> None:
        if "_web" in self.__dict__:
            self._web.close()

    # --- who we are --------------------------------------------------------------------------------------------------

    def check(self) -> Checked:
        """identity: our member's number and name."""
        member = self._ask("/v2/status", "status").find("{*}member")
        identity = "" if member is None else f"{(member.get('id') or '')[:20]} {(member.text or '').strip()[:100]}"
        notes = [] if identity else ["it does not say which member we are"]
        if self.options.environment == "test" and not self.options.address:
            notes.append("this is the test environment: its entries and credentials are not those of production")
        try:
            notes.append(str(sentence("%(count)s members share this list", count=len(self.members()))))
        except ExchangeError:
            notes.append("its members are not shown to us")
        return Checked(identity, tuple(notes))

    def members(self) -> dict[str, str]:
        """Number -> name of those who share this list."""
        found = self._ask("/v2/members", "").iter("{*}member")
        return {member.get("id") or "": (member.text or "").strip()[:100] for member in found}

    def _ask(self, path: str, root: str) -> Any:
        return parse_document(self._web.get(path, most_bytes=_SMALL_BYTES), root, self._where)

    # --- the list ----------------------------------------------------------------------------------------------------

    def start_at(self, since_s: int) -> Checkpoint:
        return _Stand(since_s).checkpoint

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        stand, end_s = _Stand.of(checkpoint), self._end_s()
        if stand.link and not 0 <= self.clock() - stand.given_s <= _LINK_GOOD_S:
            stand = _Stand(stand.done_s)
        if not stand.link and stand.done_s >= end_s:
            yield Page((), stand.checkpoint, is_last=True)
            return
        yield from self._walk(stand, _Walk(end_s, end_s - stand.done_s))

    def tell_again(self, after_s: int, until_s: int) -> Iterator[Page]:
        yield from self._walk(_Stand(after_s), _Walk(until_s, until_s - after_s, is_again=True))

    def _walk(self, stand: _Stand, walk: _Walk) -> Iterator[Page]:
        while stand.link or stand.done_s < walk.end_s:
            stand = yield from self._range(stand, walk)

    def _end_s(self) -> int:
        """Up to when the list is asked for. By the slower of both clocks: what is dated later than the source's now
        would be passed over for ever."""
        now_s = int(self.clock())
        with self._web.open("/v2/status", most_bytes=_SMALL_BYTES) as answer:
            answer.read()
            date = answer.headers.get("date", "")
        try:
            now_s = min(now_s, int(datetime.strptime(date, _HTTP_DATE).replace(tzinfo=UTC).timestamp()))
        except ValueError:
            pass  # it says no time: ours has to do
        return max(0, now_s - _LAG_S)

    def _range(self, stand: _Stand, walk: _Walk) -> _Telling[_Stand]:
        """One range of time; from its beginning again, once, where the address of a page is no longer known.

        Returns where the next range begins: here again, and shorter, where this one holds too many entries.
        """
        to_s = stand.to_s or min(walk.end_s, stand.done_s + walk.span_s)
        at, told, seen = _Stand(stand.done_s, to_s, stand.link, stand.given_s), 0, set[str]()
        may_begin_again = True
        while True:
            answer = yield from self._answer(at, walk)
            if answer is None:
                if not may_begin_again:
                    raise SourceBroken("its pages are forgotten too soon", where=self._where, code="page-expired")
                at, seen, may_begin_again = _Stand(stand.done_s, to_s), set(), False
                continue
            if not at.link and self._is_too_much(answer.link, to_s - stand.done_s, walk):
                return stand
            told += len(answer.records)
            self._require_new(answer.link, seen)
            at = _Stand(stand.done_s, to_s, answer.link, int(self.clock())) if answer.link else _Stand(to_s)
            yield self._page(answer, at, walk)
            if not at.link:
                break
        if told < self.range_entries // 16:
            walk.span_s *= 4
        return at

    def _is_too_much(self, link: str, span_s: int, walk: _Walk) -> bool:
        """By what the link to the second page says of the whole range; ranges are a quarter as long from here on."""
        count = _count_of(link)
        walk.total = walk.total or count
        if count <= self.range_entries or span_s <= _MIN_SPAN_S:
            return False
        walk.span_s = max(_MIN_SPAN_S, span_s // 4)
        return True

    def _require_new(self, link: str, seen: set[str]) -> None:
        if len(link) > _MAX_LINK_CHARS or link in seen:
            raise SourceBroken("its pages lead in a circle", where=self._where, mend="tell the source")
        if link:
            seen.add(link)

    def _answer(self, at: _Stand, walk: _Walk) -> _Telling[_Answer | None]:
        """The page that begins there; None where its address is no longer known. Of a very long one, pieces are told
        before: the checkpoint stays where it was."""
        maker, records = self._maker({} if walk.is_again else self._kinds), list[Record]()
        path = self._web.join(at.link) if at.link else "/v2/entries"
        params = None if at.link else {"from": _iso(at.done_s), "to": _iso(at.to_s)}
        try:
            with self._web.open(path, params) as untrusted:
                reader = PageReader(untrusted, self._where)
                for told in reader:
                    record = maker.make(told)
                    if record is not None:
                        records.append(record)
                    if len(records) + len(maker.faults) >= _PAGE_RECORDS:
                        yield Page(records, at.checkpoint, maker.take_faults(), maker.take_unknown())
                        records = []
        except SourceBroken as error:
            if at.link and error.code in _EXPIRED:
                return None
            raise
        maker.unknown.update(reader.unknown)
        return _Answer(records, maker, reader.next_link)

    def _page(self, answer: _Answer, at: _Stand, walk: _Walk) -> Page:
        is_last = not at.link and at.done_s >= walk.end_s
        maker = answer.maker
        return Page(answer.records, at.checkpoint, maker.faults, maker.unknown, is_last=is_last, total=walk.total)

    def _maker(self, kinds: Mapping[str, int]) -> RecordMaker:
        scheme = f"ncmec:{self.options.list or 'unspecified'}"
        return RecordMaker(self.defaults, scheme, kinds, self._fetch, self._where)

    @cached_property
    def _kinds(self) -> dict[str, int]:
        return {name: kind.length_bytes for name, kind in load_kinds().items()}

    def _fetch(self, untrusted_link: str, length: int) -> bytes:
        """A large fingerprint. What is not to be had costs its entry no other one."""
        try:
            return self._web.get(self._web.join(untrusted_link), most_bytes=length)
        except (SourceBroken, CredentialsRefused) as error:
            raise HashFormatError(f"a linked fingerprint: {error.what}", mend="tell the source") from None

    @contextmanager
    def open_linked(self, link: str, most_bytes: int) -> Iterator[Readable]:
        with self._web.open(self._web.join(link), most_bytes=most_bytes, piece_bytes=None) as answer:
            if answer.headers.get("content-type", "").startswith("text/html"):
                what, mend = "a page for people came in place of a fingerprint", "tell the source"
                raise SourceBroken(what, where=self._where, mend=mend)
            yield answer

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        """AFFIRM, and DISPUTE with reasons (codes of `reasons`), each of one fingerprint of an entry."""
        return self._feedback.send(outgoing)

    def reasons(self, algorithm: str) -> dict[str, str]:
        """Code -> name of the reasons that a dispute about this kind of fingerprint may give."""
        return self._feedback.reasons(algorithm)

    @cached_property
    def _feedback(self) -> Feedback:
        return Feedback(self._web, self._where)


_T = TypeVar("_T")
_Telling: TypeAlias = Generator[Page, None, _T]  # of pages, with what comes of it in the end


def _count_of(link: str) -> int:
    """Entries of a whole range, as the address of its second page tells them (`max`); 0 where it does not."""
    found = parse_qs(urlsplit(link).query).get("max", ["0"])[0]
    return int(found) if found.isascii() and found.isdigit() and len(found) < 15 else 0


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
