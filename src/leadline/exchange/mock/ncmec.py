"""NCMEC hash sharing v2 as a stand-in: entries rendered once into a file, pages cut out of it; members, feedback.

All made up: nine images to one video, each with its own second from `FIRST_S` on. Where it is asked for, a video has a
large fingerprint too, behind a link.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import unquote
from xml.sax.saxutils import escape

from leadline.exchange.mock.base import Asked, FaultKind, Mock, Reply, is_basic

NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
FIRST_S = 1_767_225_600  # 2026-01-01
MEMBERS = {41: "Example Hotline", 42: "Example Platform", 43: "Example & Sons Hosting"}
FINGERPRINTS = ("MD5", "SHA1", "PDNA", "PDQ", "NETCLEAN", "VIDENTIFIER", "TMK_PDQF", "SSVH_PDNA", "SSVH_SAFER_HASH")
REASONS = {
    "6f0b1f38-0000-4000-8000-000000000001": "Example reason one",
    "6f0b1f38-0000-4000-8000-000000000002": "Example reason two",
}
_LABELS = ("A1", "A2", "B1", "B2")
_VIDEO_EACH = 10  # one in so many
_FEEDBACK_EACH = 50
LARGE_BYTES = 263_344  # of a TMK+PDQF
_KEY = re.compile(r"(\d+)-e(\d+)")
_FEEDBACK_PATH = re.compile(r"/v2/entries/(\d+)/([^/]+)/([A-Z0-9_]+)/feedback")
_REASONS_PATH = re.compile(r"/v2/feedback/([A-Z0-9_]+)/reasons")
_GUID = re.compile(rb"<guid>([^<]+)</guid>")
_LARGE_PATH = re.compile(r"/v2/entries/(\d+-e\d+)/TMK_PDQF/fingerprint")
_ENVELOPE = '<?xml version="1.0" encoding="UTF-8"?>\n<{0} xmlns="' + NAMESPACE + '">{1}</{0}>\n'


@dataclass(frozen=True, slots=True)
class _Told:
    """An entry that came or changed after the rendered ones."""

    key: str
    time_s: int
    is_video: bool
    xml: bytes


class NcmecMock(Mock):
    name: ClassVar[str] = "ncmec"

    def __init__(self, entries: int = 100, seed: int = 1, page_size: int = 1000, *, with_large: bool = False) -> None:
        super().__init__(entries, seed)
        self.page_size, self._with_large = page_size, with_large
        self.large: dict[str, bytes] = {}  # path -> what lies there, beside those of the rendered videos
        self.opinions: list[tuple[str, str, str]] = []  # key, type of fingerprint, "affirmative" or a reason's GUID
        self._seed, self._gone, self._later = seed, set[int](), list[_Told]()
        self._images, self._videos = _Rendered(), _Rendered()
        for number in range(entries):
            group = self._videos if _is_video(number) else self._images
            group.append(self._render(number))

    def _render(self, number: int) -> bytes:
        digits = hashlib.shake_128(f"{self._seed}:{number}".encode()).hexdigest(68)
        prints = f"<md5>{digits[:32]}</md5><sha1>{digits[32:72]}</sha1>"
        if not _is_video(number):
            prints += f"<pdq>{digits[72:]}</pdq>"
        elif self._with_large:
            prints += f'<tmk-pdqf rel="self" href="/v2/entries/{_member(number)}-e{number}/TMK_PDQF/fingerprint"/>'
        feedback = _FEEDBACK if number % _FEEDBACK_EACH == 0 else ""
        tag, label = "video" if _is_video(number) else "image", _LABELS[number % len(_LABELS)]
        return entry_xml(tag, _member(number), f"e{number}", FIRST_S + number, prints, label, feedback)

    # --- what a test or a person changes -----------------------------------------------------------------------------

    def put(self, entry_id: str, prints: str, *, time_s: int = 0, member: int = 41, more: str = "") -> str:
        """One more image, or another state of it; `prints` and `more` as XML. Returns MEMBER-ID."""
        time_s = time_s or int(self.clock())
        key = f"{member}-{entry_id}"
        self._replace(_Told(key, time_s, False, entry_xml("image", member, entry_id, time_s, prints, "A1", more)))
        return key

    def withdraw(self, key: str) -> bool:
        number = self._number(key)
        known = next((told.is_video for told in self._later if told.key == key), None)
        if number < 0 and known is None:
            return False
        is_video = _is_video(number) if number >= 0 else bool(known)
        member, _, entry_id = key.partition("-")
        tag, time_s = "deletedVideo" if is_video else "deletedImage", int(self.clock())
        self._replace(_Told(key, time_s, is_video, entry_xml(tag, int(member), entry_id, time_s)))
        if number >= 0:
            self._gone.add(number)
        return True

    def _replace(self, told: _Told) -> None:
        self._later = [*(other for other in self._later if other.key != told.key), told]

    def _number(self, key: str) -> int:
        """Of a rendered entry that still stands; -1 for any other."""
        found = _KEY.fullmatch(key)
        number = int(found[2]) if found else -1
        stands = 0 <= number < self.entries and number not in self._gone and found and int(found[1]) == _member(number)
        return number if stands else -1

    # --- the protocol ------------------------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        if not is_basic(asked):
            return Reply(401, content_type="application/xml")
        if asked.method == "PUT":
            return self._take_feedback(asked)
        if asked.path == "/v2/entries":
            return self._entries(asked)
        if asked.path == "/v2/status":
            member = f'<member id="41">{MEMBERS[41]}</member>'
            return _xml("status", f"<ipAddress>127.0.0.1</ipAddress><username>rehearsal</username>{member}")
        if asked.path == "/v2/members":
            return _xml(
                "members", "".join(f'<member id="{id}">{escape(name)}</member>' for id, name in MEMBERS.items())
            )
        if asked.path in self.large or _LARGE_PATH.fullmatch(asked.path):
            return self._large(asked.path)
        reasons = _REASONS_PATH.fullmatch(asked.path)
        if reasons and reasons[1] in FINGERPRINTS:
            told = (f'<reason guid="{guid}" name="{name}" type="{reasons[1]}"/>' for guid, name in REASONS.items())
            return _xml("availableFeedbackReasons", "".join(told))
        return Reply(404)

    def _entries(self, asked: Asked) -> Reply:
        query = asked.query
        try:
            after_s, until_s = _seconds(query["from"]), _seconds(query["to"])
            start, size = int(query.get("start", 1)), min(int(query.get("size", self.page_size)), self.page_size)
        except (KeyError, ValueError):
            return Reply(400)
        if "start" in query and self.has_fault(FaultKind.EXPIRED):
            return Reply(404)
        first = min(self.entries, max(0, after_s + 1 - FIRST_S))
        last = max(first, min(self.entries, until_s + 1 - FIRST_S))
        later = [told for told in self._later if after_s < told.time_s <= until_s]
        count = last - first + len(later)
        begin, rendered = self._begin(start, size, count), last - first
        end = min(begin + size, count)
        of_later = later[max(0, begin - rendered) : max(0, end - rendered)]
        page = self._page(min(first + begin, last), min(first + end, last), of_later)
        more = start + size <= count
        link = f"/v2/entries?from={query['from']}&amp;to={query['to']}&amp;start={start + size}&amp;size={size}"
        paging = f"<paging><next>{link}&amp;max={count}</next></paging>" if more else ""
        return _xml("queryResult", page + paging)

    def _large(self, path: str) -> Reply:
        found = _LARGE_PATH.fullmatch(path)
        if self.has_fault(FaultKind.EXPIRED) or (found and self._number(found[1]) < 0):
            return Reply(404)
        body = self.large.get(path) or hashlib.shake_128(f"{self._seed}:{path}".encode()).digest(LARGE_BYTES)
        return Reply(200, body, "application/octet-stream")

    def _begin(self, start: int, size: int, count: int) -> int:
        """Where a page begins, from 0. In no order of time: the last page comes first."""
        if self.has_fault(FaultKind.OUT_OF_ORDER):
            return (max(0, -(-count // size) - 1) - (start - 1) // size) * size
        return start - 1

    def _page(self, first: int, last: int, later: list[_Told]) -> str:
        images = [*self._cut(first, last, False), *(told.xml for told in later if not told.is_video)]
        videos = [*self._cut(first, last, True), *(told.xml for told in later if told.is_video)]
        newest_s = max([FIRST_S + last - 1, *(told.time_s for told in later)])
        return _group_xml("images", images, newest_s) + _group_xml("videos", videos, newest_s)

    def _cut(self, first: int, last: int, of_videos: bool) -> Iterator[bytes]:
        """The rendered entries of numbers first..last-1 that stand."""
        group = self._videos if of_videos else self._images
        begin = first
        for gone in sorted(
            number for number in self._gone if first <= number < last and _is_video(number) is of_videos
        ):
            yield group.read(_index(begin, of_videos), _index(gone, of_videos))
            begin = gone + 1
        yield group.read(_index(begin, of_videos), _index(last, of_videos))

    def _take_feedback(self, asked: Asked) -> Reply:
        path = _FEEDBACK_PATH.fullmatch(asked.path)
        key = f"{path[1]}-{unquote(path[2])}" if path else ""
        if (
            not path
            or path[3] not in FINGERPRINTS
            or not (self._number(key) >= 0 or any(t.key == key for t in self._later))
        ):
            return Reply(404)
        guids = [guid.decode("ascii", "replace") for guid in _GUID.findall(asked.body)]
        is_good = b"<affirmative/>" in asked.body or (
            b"<negative>" in asked.body and guids and set(guids) <= set(REASONS)
        )
        if (
            asked.headers.get("content-type") != "application/xml"
            or NAMESPACE.encode() not in asked.body
            or not is_good
        ):
            return Reply(400)
        self.opinions += [(key, path[3], said) for said in guids or ["affirmative"]]
        return _xml("feedbackResponse", "")


class _Rendered:
    """Entries one after another in a file without a name; `starts` has one more than there are entries."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        weakref.finalize(self, self._file.close)
        self._starts, self._is_flushed = array("Q", [0]), True

    def append(self, xml: bytes) -> None:
        self._starts.append(self._starts[-1] + self._file.write(xml))
        self._is_flushed = False

    def read(self, first: int, last: int) -> bytes:
        if not self._is_flushed:
            self._file.flush()
            self._is_flushed = True
        begin = self._starts[first]
        return os.pread(self._file.fileno(), self._starts[last] - begin, begin)


def entry_xml(
    tag: str, member: int, entry_id: str, time_s: int, prints: str = "", label: str = "", more: str = ""
) -> bytes:
    name = escape(MEMBERS.get(member, "Another Member"))
    head = f'<{tag}><member id="{member}">{name}</member><timestamp>{_iso(time_s)}</timestamp><id>{entry_id}</id>'
    label = f"<classification>{label}</classification>" if label else ""
    prints = f"<fingerprints>{prints}</fingerprints>" if prints else ""
    return f"{head}{label}{prints}{more}</{tag}>\n".encode()


_FEEDBACK = (
    '<feedback lastUpdateTimestamp="2026-01-01T00:00:00Z"><affirmativeFeedback type="Md5"'
    ' lastUpdateTimestamp="2026-01-01T00:00:00Z"><members timestamp="2026-01-01T00:00:00Z">'
    f'<member id="42">{MEMBERS[42]}</member></members></affirmativeFeedback></feedback>'
)


def _group_xml(tag: str, entries: list[bytes], newest_s: int) -> str:
    body = b"".join(entries).decode()
    if not body:
        return f'<{tag} count="0"/>'
    return f'<{tag} count="{body.count("<timestamp>")}" maxTimestamp="{_iso(newest_s)}">{body}</{tag}>'


def _xml(tag: str, inside: str) -> Reply:
    return Reply(200, _ENVELOPE.format(tag, inside).encode(), "application/xml")


def _is_video(number: int) -> bool:
    return number % _VIDEO_EACH == _VIDEO_EACH - 1


def _index(number: int, of_videos: bool) -> int:
    """How many images, or videos, come before this number."""
    videos = number // _VIDEO_EACH
    return videos if of_videos else number - videos


def _member(number: int) -> int:
    return 41 + number % len(MEMBERS)


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
