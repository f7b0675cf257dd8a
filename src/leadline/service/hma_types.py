"""HMA's words: its types of signals and of content, numbers of content, times. Knows no bank and no HTTP server.

HMA is the Hasher-Matcher-Actioner of ThreatExchange; docs/hma.md says what is the same here and what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from leadline.domain import DEFAULT_RADIUS_BITS, EXACT_ALGORITHMS, PDQ_BYTES, Entry
from leadline.errors import RequestRefused

PHOTO, VIDEO = "photo", "video"
SIGNALS: Mapping[str, str] = {  # HMA's two, and exact ones of ours -> our algorithm
    "pdq": "pdq", "video_md5": "md5", "md5": "md5", "sha1": "sha1", "sha256": "sha256",
}  # fmt: skip
DEFAULTS: Mapping[str, tuple[str, ...]] = {PHOTO: ("pdq",), VIDEO: ("video_md5",)}  # where a request names no types
_CHOICE: Mapping[str, tuple[str, ...]] = {
    PHOTO: ("pdq", "md5", "sha1", "sha256"),
    VIDEO: ("video_md5", "md5", "sha1", "sha256"),
}
_LENGTHS = {**EXACT_ALGORITHMS, "pdq": PDQ_BYTES}
NO_DISTANCE = "-"  # threatexchange/signal_type/index.py, NO_DISTANCE_STR
QUALITY_LIMIT = 50  # below it HMA's hasher gives no hash
FOR_EVER = 253_402_300_799  # the end of the year 9999: HMA's 0, off until somebody says otherwise
_ENTRY_BITS = 40
_MAX_BANK_NUMBER = (1 << 53 - _ENTRY_BITS) - 1  # so that JavaScript's numbers hold it


def refuse(message: str, status: int = 400) -> RequestRefused:
    return RequestRefused(message, status=status, code={404: "not-found", 403: "forbidden"}.get(status, "body"))


def read_query(raw: bytes) -> dict[str, str]:
    """A query string; of a name that comes twice the first."""
    if b"%" in raw or b"+" in raw:
        try:
            pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise refuse("too many parameters") from None
        return dict(reversed(pairs))
    fields: dict[str, str] = {}
    for pair in raw.decode("latin-1").split("&")[:100]:
        name, _, value = pair.partition("=")
        fields.setdefault(name, value)
    return fields


def algorithm_of(signal_type: str) -> str:
    known = SIGNALS.get(signal_type)
    if known is None:
        raise refuse("No such SignalType")
    return known


def read_signal(algorithm: str, untrusted: str) -> bytes:
    """Hexadecimal digits of either case. RequestRefused, without what was sent."""
    try:
        value = bytes.fromhex(untrusted)
    except ValueError:
        value = b""
    if len(value) != _LENGTHS[algorithm] or len(untrusted) != 2 * len(value):
        raise refuse(f"invalid signal: {2 * _LENGTHS[algorithm]} hexadecimal digits make one")
    return value


def choose_signals(content_type: str, types: str | None) -> tuple[str, ...]:
    """The signal types asked for (`types`, comma between), or those that HMA makes of such content."""
    if content_type not in _CHOICE:
        raise refuse("no such content_type: photo and video there are")
    if types is None:
        return DEFAULTS[content_type]
    chosen = tuple(dict.fromkeys(name for text in types.split(",") if (name := text.strip())))
    if not chosen:
        raise refuse("empty signal type selection")
    if not set(chosen) <= set(_CHOICE[content_type]):
        raise refuse(f"a signal type that {content_type} has not: {', '.join(_CHOICE[content_type])} there are")
    return chosen


def compare(algorithm: str, one: bytes, other: bytes) -> tuple[bool, dict[str, int]]:
    """As /m/compare tells it: whether they match, and how far they are apart where that can be said."""
    if algorithm != "pdq":
        return one == other, {}
    distance = (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
    return distance <= DEFAULT_RADIUS_BITS, {"distance": distance}


def signals_of(entry: Entry) -> dict[str, str]:
    """The signals of an entry under HMA's names. An MD5 that stands beside no picture's hash is a video's."""
    md5 = "md5" if "pdq" in entry.fingerprints else "video_md5"
    names = {"pdq": "pdq", "md5": md5, "sha1": "sha1", "sha256": "sha256"}
    return {names[name]: value.hex() for name, value in entry.fingerprints.items() if name in names}


def join_number(bank: int, entry: int) -> int:
    """One number for all banks: HMA's bank_content_id. 0 where an entry's own number is too great for it."""
    return bank << _ENTRY_BITS | entry if entry >> _ENTRY_BITS == 0 and bank <= _MAX_BANK_NUMBER else 0


def split_number(content: int) -> tuple[int, int]:
    return content >> _ENTRY_BITS, content & ((1 << _ENTRY_BITS) - 1)


def ts_of(disabled_until: int) -> int:
    """HMA: 0 off, 1 on, else off until then. Ours: 0 on, else off until then."""
    return {0: 1, FOR_EVER: 0}.get(disabled_until, disabled_until)


def disabled_until_of(ts: int) -> int:
    return {0: FOR_EVER, 1: 0}.get(ts, ts)
