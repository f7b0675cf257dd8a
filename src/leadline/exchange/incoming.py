"""What readers of incoming reports share: limits, cleaning of text, errors with their place. Decides nothing."""

from __future__ import annotations

import json
from typing import Any

from leadline.errors import LeadlineError, ReportFormatError, sentence
from leadline.exchange.base import parse_time

MAX_VALUE_CHARS = 16_384  # of a URL, an account, a reference
MAX_TEXT_CHARS = 1 << 18  # of a text, a note
MAX_ITEMS = 10_000  # of one report
MAX_DEPTH = 64  # of one JSON record
_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def clean_text(untrusted_text: str) -> str:
    """Without NUL and half surrogates, which no database and no UTF-8 holds; U+FFFD stands in their place."""
    plain = untrusted_text.isascii() and "\0" not in untrusted_text
    return untrusted_text if plain else untrusted_text.translate(_UNSTORABLE)


def clean_value(untrusted_value: object, depth: int = MAX_DEPTH) -> object:
    """A JSON value with every text in it cleaned. Raises ReportFormatError where it is nested deeper than `depth`."""
    if depth < 0:
        raise ReportFormatError("the record is nested too deeply", mend="ask the sender for a flat one")
    if isinstance(untrusted_value, str):
        return clean_text(untrusted_value)
    if isinstance(untrusted_value, list):
        return [clean_value(value, depth - 1) for value in untrusted_value]
    if isinstance(untrusted_value, dict):
        return {clean_text(str(name)): clean_value(value, depth - 1) for name, value in untrusted_value.items()}
    return untrusted_value


def read_text(untrusted_value: object, name: str, limit: int = MAX_VALUE_CHARS) -> str:
    """A text, a whole number or nothing -> text. Raises ReportFormatError; never cuts."""
    if untrusted_value is None:
        return ""
    if isinstance(untrusted_value, int) and not isinstance(untrusted_value, bool):
        untrusted_value = str(untrusted_value)
    if not isinstance(untrusted_value, str):
        raise ReportFormatError(sentence("%(name)s is no text", name=name), mend="write it as a text", field=name)
    if len(untrusted_value) > limit:
        raise ReportFormatError(
            sentence("%(name)s is longer than %(limit)s characters", name=name, limit=limit),
            mend="hand it over as an attachment",
            field=name,
        )
    return clean_text(untrusted_value).strip()


def read_time(untrusted_value: object, name: str) -> int:
    """Seconds since 1970 or ISO 8601 (no offset: UTC) -> seconds, 0 for nothing. Raises ReportFormatError."""
    text = read_text(untrusted_value, name)
    if not text:
        return 0
    try:
        return parse_time(text)
    except LeadlineError as error:
        raise ReportFormatError(error.what, mend=error.mend, field=name) from None


def load_json(untrusted_text: bytes | str) -> Any:
    """One JSON value; numbers are those of the standard. Raises ReportFormatError, also for depth and digits."""
    try:
        return json.loads(untrusted_text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ReportFormatError("this is no valid JSON", mend="check quotes, commas and brackets") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def placed(error: LeadlineError, where: str, field: str = "") -> ReportFormatError:
    """The same fault, as one of a report, with its place."""
    return ReportFormatError(
        error.what, where=where, mend=error.mend or "correct the record", field=getattr(error, "field", "") or field
    )
