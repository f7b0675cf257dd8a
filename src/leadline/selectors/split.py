"""Pasted text -> links, accounts, hashes and the text between them, each with its place. Judges no words.

Work grows with the length of the text alone: each character is looked at by a fixed number of patterns, every one
of them bounded or possessive, and pieces longer than a URL may be are text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from leadline.domain import EXACT_ALGORITHMS, ItemKind
from leadline.errors import InputError, UrlFormatError, sentence
from leadline.selectors import host
from leadline.selectors.accounts import profile_of
from leadline.selectors.defang import drop_invisible, refang, refang_address
from leadline.selectors.url import MAX_URL_CHARS, CanonicalUrl, canonical_url

MAX_PASTE_CHARS = 1_048_576
MAX_PASTE_ITEMS = 10_000
# A piece is a run without blanks; defanged signs keep theirs: `example [.] org`, `hxxp :// x`, `a [at] b`.
_PIECE = re.compile(r"(?: ?[\[({] ?(?:\.|dot|@|at|:) ?[\])}] ?| (?=:(?://|\\\\))|(?<=//) (?=\w)|\S)++", re.I)
_START = re.compile(
    r"(?<![A-Za-z0-9])(?:[a-z][a-z0-9+.*-]{1,30} ?(?:[\[({]:(?://|\\\\)|[\[({]?:[\])}]? ?(?://|\\\\))"
    r"|(?:magnet|mailto|data|tg|ed2k)[\[({]?:[\])}]?(?=[^\s/\\]))",
    re.I,
)
# Where a link ends inside a piece: at a sign that no link holds, or before the next link of a list. One pattern, so
# that no character is looked at once for each link.
_LINK_END = re.compile(r"[<>\"`]|[,;|](?=(?:h[tx*]{2}ps?|ftp)[\[({]?:)", re.I)
_BARE = re.compile(r"[^\s/?#@:,;<>\"'()\\]{1,255}(?::\d{1,5})?(?:[/?#]|$)")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@[^\s@<>\"(),:;\[\]\\/]{1,255}")
_HANDLE = re.compile(r"@[\w.-]{2,64}(?:@[\w.-]{3,255})?")
_HASH = re.compile(r"(?:(md5|sha-?1|sha-?256|pdq)[:=])?([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})", re.I)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_SPOKEN_LINK = re.compile(r"\s*(\S{1,200}(?: dot \S{1,200}){1,8})\s*", re.I)
_BRACKETS = ("()", "[]", "{}")
_LEADING = "([{<\"'“„‘«‹*_-–—•·,;|"
_TRAILING = ".,;:!?…\"'“”’»›*>。，、；：！？|"
# Top-level domains that are far more often the ending of a file: without a path or www. they stay text. No country's
# domain is here: a page of Serbia or Moldova matters more than a stray `main.rs` or `notes.md`.
_FILE_ENDINGS = frozenset({"zip", "mov"})
_BY_DIGITS = {2 * size: tuple(n for n, s in EXACT_ALGORITHMS.items() if s == size) for size in (16, 20, 32)}


@dataclass(frozen=True, slots=True)
class FoundItem:
    """One piece of a pasted text.

    kind        url, account, hash or text
    value       what to store: the link made whole (href), the account, lower-case digits, the text itself
    start, end  its place in the pasted text, in characters
    key         the normalised key of a link, an account or a hash; empty for text
    service     of an account: its service where the link says so, `email`, or empty
    algorithms  of a hash: what it may be (64 digits are SHA-256 or PDQ)
    problem     why something like a link is only text: the `code` of its UrlFormatError
    """

    kind: ItemKind
    value: str = field(repr=False)
    start: int
    end: int
    key: str = field(default="", repr=False)
    service: str = ""
    algorithms: tuple[str, ...] = ()
    problem: str = ""


def split_paste(untrusted_text: str) -> list[FoundItem]:
    """Every item in order of its place; what lies between items comes as text, but for bare punctuation.

    The content of a `data:` URL is not repeated: its value is a note of its length. Raises InputError for more than
    MAX_PASTE_CHARS characters or MAX_PASTE_ITEMS items.
    """
    if len(untrusted_text) > MAX_PASTE_CHARS:
        raise InputError(
            sentence("the text is longer than %(most)s characters", most=MAX_PASTE_CHARS),
            mend="paste it in parts, or upload it as a CSV or JSON file",
            code="paste-too-long",
        )
    found = list(itertools.islice(_with_text(untrusted_text, _found(untrusted_text)), MAX_PASTE_ITEMS + 1))
    if len(found) > MAX_PASTE_ITEMS:
        raise InputError(
            sentence("the text holds more than %(most)s items", most=MAX_PASTE_ITEMS),
            mend="upload it as a CSV or JSON file",
            code="paste-too-many",
        )
    return found


def _with_text(text: str, found: Iterator[FoundItem]) -> Iterator[FoundItem]:
    place = 0
    for item in found:
        yield from _text(text, place, item.start)
        yield item
        place = item.end
    yield from _text(text, place, len(text))


def _text(text: str, start: int, end: int) -> Iterator[FoundItem]:
    piece = text[start:end]
    if any(map(str.isalnum, piece)):
        start += len(piece) - len(piece.lstrip())
        piece = piece.strip()
        yield FoundItem(ItemKind.TEXT, piece, start, start + len(piece))


def _found(text: str) -> Iterator[FoundItem]:
    place = 0
    for line in text.splitlines(keepends=True):
        spoken = _SPOKEN_LINK.fullmatch(line) if len(line) <= 1000 and " dot " in line.lower() else None
        item = _bare(spoken[1], place + spoken.start(1)) if spoken else None
        if item:
            yield item
        else:
            for piece in _PIECE.finditer(line):
                yield from _items_of(piece[0], place + piece.start())
        place += len(line)


def _items_of(piece: str, place: int) -> Iterator[FoundItem]:
    """The items of one piece without blanks: often one, several where links are joined by commas."""
    if len(piece) > MAX_URL_CHARS and "data:" not in piece.lower():
        return
    end = 0
    while found := _START.search(piece, end):
        begin = found.start()
        if begin > end:
            yield from _plain(piece[end:begin], place + end)
        stop = _LINK_END.search(piece, found.end())
        end = stop.start() if stop else len(piece)
        yield _link(piece[begin:end], place + begin)
    if end < len(piece):
        yield from _plain(piece[end:], place + end)


def _link(piece: str, place: int) -> FoundItem:
    trimmed = _trim_end(piece)
    end = place + len(trimmed)
    lowered = trimmed[:12].lower()
    if lowered.startswith("mailto"):
        address = refang_address(trimmed.partition(":")[2].lstrip("])}")).partition("?")[0]
        if _ADDRESS.fullmatch(address):
            return _account(address, "email", place, end)
    try:
        url = canonical_url(trimmed)
    except UrlFormatError as error:
        value = trimmed
        if lowered.startswith("data"):
            value = f"data: URL of {len(trimmed)} characters, content not kept"
        return FoundItem(ItemKind.TEXT, value, place, end, problem=error.code)
    return _url_item(url, place, end)


def _url_item(url: CanonicalUrl, place: int, end: int) -> FoundItem:
    profile = profile_of(url)
    if profile:
        key = f"{profile.service}:{profile.name.lower()}"
        return FoundItem(ItemKind.ACCOUNT, url.href, place, end, key=key, service=profile.service)
    return FoundItem(ItemKind.URL, url.href, place, end, key=url.key)


def _account(value: str, service: str, place: int, end: int) -> FoundItem:
    key = f"{service}:{value.lower()}" if service else value.lower()
    return FoundItem(ItemKind.ACCOUNT, value, place, end, key=key, service=service)


def _plain(piece: str, place: int) -> Iterator[FoundItem]:
    """A piece without a scheme: a hash, an address, a handle, a bare host; nothing where it is only text."""
    stripped = piece.lstrip(_LEADING)
    place += len(piece) - len(stripped)
    trimmed = _trim_end(stripped)
    if not trimmed or len(trimmed) > 2048:
        return
    end = place + len(trimmed)
    clean = drop_invisible(trimmed)
    address = refang_address(clean)
    if found := _HASH.fullmatch(clean):
        yield _hash(found, place, end)
    elif _ADDRESS.fullmatch(address) and host.has_known_suffix(_ascii(address.rpartition("@")[2])):
        yield _account(address, "email", place, end)
    elif _HANDLE.fullmatch(clean):
        yield _account(clean, "", place, end)
    elif item := _bare(trimmed, place):
        yield item


def _hash(found: re.Match[str], place: int, end: int) -> FoundItem:
    digits = found[2].lower()
    named = (found[1] or "").lower().replace("-", "")
    algorithms = (named,) if named else _BY_DIGITS[len(digits)] + (("pdq",) if len(digits) == 64 else ())
    return FoundItem(ItemKind.HASH, digits, place, end, key=digits, algorithms=algorithms)


def _bare(piece: str, place: int) -> FoundItem | None:
    """A link without its scheme, where its last label is a known suffix and it is no file name."""
    whole = refang(piece)
    if "." not in whole or not _BARE.match(whole):
        return None
    try:
        url = canonical_url(whole)
    except UrlFormatError:
        return None
    name = url.host_ascii
    if _IPV4.fullmatch(name):
        return _url_item(url, place, place + len(piece)) if whole.startswith(name) else None
    if not url.registrable_domain or not host.has_known_suffix(name) or _is_file_name(whole, name):
        return None
    return _url_item(url, place, place + len(piece))


def _is_file_name(whole: str, name: str) -> bool:
    bare = not any(sign in whole for sign in "/?#:") and not name.startswith("www.")
    return bare and name.rpartition(".")[2] in _FILE_ENDINGS


def _ascii(name: str) -> str:
    try:
        return canonical_url("//" + drop_invisible(name)).host_ascii
    except UrlFormatError:
        return ""


def _trim_end(piece: str) -> str:
    """Without the punctuation of the sentence around it; a closing bracket goes where nothing opened it."""
    open_left = {pair[1]: piece.count(pair[1]) - piece.count(pair[0]) for pair in _BRACKETS}
    end = len(piece)
    while end:
        sign = piece[end - 1]
        if open_left.get(sign, 0) > 0:
            open_left[sign] -= 1
        elif sign not in _TRAILING and not sign.isspace():
            break
        end -= 1
    return piece[:end]
