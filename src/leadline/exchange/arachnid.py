"""Project Arachnid Shield: asks whether files are known there. By PDQ hashes; never by more, unless it is switched on.

Follows the clients that its operator, the Canadian Centre for Child Protection, publishes (arachnid-shield-sdk in
Python and Rust). The service answers; what an answer means for a file a person says.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field

from leadline.domain import DEFAULT_QUALITY_FLOOR, Fingerprints
from leadline.errors import ConfigError, SourceBroken, UrlFormatError
from leadline.exchange.connector import Checked, Found, Leaving, LookUpConnector, WebOptions
from leadline.exchange.web import Web, read_json

_NO_MATCH = "no-known-match"
_GRAVEST_FIRST = ("csam", "harmful-abusive-material")  # as the service itself orders them for a video
_DETAILS = ("sha256_hex", "sha1_base32", "timestamp")
_MAX_DETAIL_CHARS = 100
_MAX_ANSWER_BYTES = 16 << 20
_PROBE = bytes(range(32))  # a made-up hash, to ask whether the credentials are good
Json: TypeAlias = Mapping[str, Any]


class ArachnidOptions(WebOptions):
    """What may leave, beside PDQ hashes of whole pictures.

    batch       hashes a request
    transforms  the hashes of the picture turned and mirrored, too: eight times as many questions
    send_urls, send_media  what `look_up_url` and `look_up_media` need
    """

    address: str = "https://shield.projectarachnid.com"
    batch: int = Field(100, ge=1, le=1000)
    transforms: bool = False
    send_urls: bool = False
    send_media: bool = False


class ArachnidShield(LookUpConnector):
    name = "arachnid"
    title = "Project Arachnid Shield (look-up)"
    secret_names = ("user", "password")
    unverified: ClassVar[tuple[str, ...]] = (
        "how many hashes one request may hold, and how many requests a day",
        "at which distance two PDQ hashes count as near there",
        "which of the two published addresses is meant for you: projectarachnid.com (Python, Rust) or .ca (TypeScript)",
    )
    options_type = ArachnidOptions
    options: ArachnidOptions

    _web: Web | None = None

    @property
    def _where(self) -> str:
        return self.defaults.source or self.name

    def _open(self) -> Web:
        if self._web is None:
            self._web = Web(
                self._where, self.options.address, auth=(self.secrets["user"], self.secrets["password"]),
                sleep=self.sleep, timeout_s=self.options.timeout_s, ca_file=self.options.ca_file,
            )  # fmt: skip
        return self._web

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
            self._web = None

    def check(self) -> Checked:
        """Asks about one made-up hash: the service has no question that is only for checking."""
        self._ask_hashes([_PROBE])
        leaving = [name for name in Leaving if getattr(self.options, name)]
        return Checked(notes=(f"beside hashes may leave: {', '.join(leaving) or 'nothing'}",))

    def look_up(self, asked: Sequence[Fingerprints]) -> list[Found]:
        """By PDQ. A file without a PDQ hash of quality 50 or more is not asked about; its details say so."""
        hashes = [list(self._hashes(one)) for one in asked]
        answers = self._ask_hashes(dict.fromkeys(digest for of_one in hashes for digest in of_one))
        return [_gravest(answers[digest] for digest in of_one) if of_one else _NOT_ASKED for of_one in hashes]

    def require(self, leaving: Leaving) -> None:
        if not getattr(self.options, leaving):
            what = "no address may leave" if leaving is Leaving.URLS else "no file may leave"
            mend = f"the operator decides: leadline exchange set {self._where} --option {leaving}=true"
            raise ConfigError(f"{what} for this source", where=self._where, mend=mend)

    def look_up_url(self, url: str) -> Found:
        """The service fetches the address itself; it may refuse hosts. UrlFormatError for what is no web address."""
        self.require(Leaving.URLS)
        if not _is_web_address(url):
            raise UrlFormatError("not a web address", where=self._where, mend="give http:// or https:// and a host")
        return _found(self._ask("/v1/url/", json.dumps({"url": url}).encode()), self._where)

    def look_up_media(self, data: bytes, media_type: str) -> Found:
        """The whole file leaves."""
        self.require(Leaving.MEDIA)
        return _found(self._ask("/v1/media/", data, media_type), self._where)

    def _hashes(self, one: Fingerprints) -> Iterable[bytes]:
        for view in one.views:
            if view.quality >= DEFAULT_QUALITY_FLOOR:  # below it a hash says little, and near ones nothing
                yield from view.pdq if self.options.transforms else view.pdq[:1]

    def _ask_hashes(self, asked: Iterable[bytes]) -> dict[bytes, Found]:
        hashes, answers = list(asked), dict[bytes, Found]()
        for start in range(0, len(hashes), self.options.batch):
            texts = {base64.b64encode(digest).decode(): digest for digest in hashes[start : start + self.options.batch]}
            told = self._ask("/v1/pdq/", json.dumps({"hashes": list(texts)}).encode()).get("scanned_hashes")
            if not isinstance(told, dict) or not texts.keys() <= told.keys():
                raise self._broken("it did not answer every question")
            answers.update((digest, _found(told[text], self._where)) for text, digest in texts.items())
        return answers

    def _ask(self, path: str, content: bytes, content_type: str = "application/json") -> Json:
        body = self._open().ask(path, content=content, content_type=content_type, most_bytes=_MAX_ANSWER_BYTES)
        return read_json(body, self._where)

    def _broken(self, what: str) -> SourceBroken:
        return SourceBroken(what, where=self._where, mend="retry; where it stays so, tell the source")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # as for http://[
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()


_NOT_ASKED = Found(is_known=False, details={"asked": "no"})


def _found(untrusted_answer: object, where: str) -> Found:
    """null and no-known-match: not known. Any other word is a match, one that nobody here knows too.

    SourceBroken for an answer that says neither: that is not the same as "not known".
    """
    if untrusted_answer is None:
        return Found(is_known=False)
    label = untrusted_answer.get("classification", 0) if isinstance(untrusted_answer, dict) else 0
    if not isinstance(untrusted_answer, dict) or not (label is None or (isinstance(label, str) and label)):
        raise SourceBroken("its answer is none", where=where, mend="retry; where it stays so, tell the source")
    if label is None or label == _NO_MATCH:
        return Found(is_known=False)
    match_type = untrusted_answer.get("match_type")
    near = untrusted_answer.get("near_match_details")
    nearest = near[0] if isinstance(near, list) and near else near
    details = {"match_type": match_type, **(nearest if isinstance(nearest, dict) else {})}
    return Found(True, label[:_MAX_DETAIL_CHARS], match_type == "exact", _told(details))


def _told(untrusted_details: Json) -> dict[str, str]:
    named = ((name, untrusted_details.get(name)) for name in ("match_type", *_DETAILS))
    return {name: str(value)[:_MAX_DETAIL_CHARS] for name, value in named if isinstance(value, str | int | float)}


def _gravest(answers: Iterable[Found]) -> Found:
    """Of the answers about one file's hashes the one that says most."""
    return max(answers, key=lambda one: (one.is_known, one.classification in _GRAVEST_FIRST, _gravity(one)))


def _gravity(one: Found) -> tuple[int, bool]:
    known = one.classification in _GRAVEST_FIRST
    return (-_GRAVEST_FIRST.index(one.classification) if known else 0), one.is_exact
