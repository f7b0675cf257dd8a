"""JSON in the one spelling of RFC 8785, so that equal values have equal bytes and hashes. Never takes a fraction."""

from __future__ import annotations

from collections.abc import Mapping

import rfc8785

from leadline.errors import CustodyFormatError

MAX_INTEGER = 2**53 - 1  # RFC 8785 Appendix B: the largest that every reader holds exactly
MAX_DEPTH = 32


def encode_canonical(value: object) -> bytes:
    """RFC 8785 bytes of objects, lists, text, whole numbers, yes/no and null.

    Refused with CustodyFormatError: fractions, NaN and Infinity (their spelling differs between languages), whole
    numbers beyond 2^53 - 1, names of fields that are no text, text that is no Unicode, more than 32 levels.
    """
    try:
        return rfc8785.dumps(_plain(value, MAX_DEPTH))  # type: ignore[arg-type]
    except ValueError:
        raise CustodyFormatError("text that is no Unicode cannot be written as JSON", mend="correct the text") from None


def _plain(value: object, depth: int) -> object:
    """The same value in dict and list only; raises for all that may not stand in it."""
    if depth == 0:
        raise CustodyFormatError(f"more than {MAX_DEPTH} levels", mend="write it flatter")
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise CustodyFormatError("the name of a field is no text", mend="name fields by text")
        return {name: _plain(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, depth - 1) for inner in value]
    if isinstance(value, float):
        raise CustodyFormatError("a fraction, NaN or Infinity may not be hashed", mend="use a whole number")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise CustodyFormatError("a whole number beyond 2^53 - 1", mend="write it as text")
    if value is None or isinstance(value, str | int):
        return value
    raise CustodyFormatError(f"{type(value).__name__} is no JSON", mend="use text, whole numbers, lists and objects")
