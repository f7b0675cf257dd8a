"""File names as text: raw bytes <-> what a line, a page or a table may show. Never loses a byte, never opens a file."""

from __future__ import annotations

import base64
import unicodedata

# Cc control, Cf format (bidirectional overrides turn names round), Cs surrogates, Zl/Zp line separators
_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
MEMBER_MARK = b"!"


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def show_name(untrusted_name: bytes) -> str:
    """Bytes -> text: UTF-8, anything else as \\xNN; control, format and line-separating characters escaped."""
    text = untrusted_name.decode("utf-8", "backslashreplace")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSHOWABLE else c for c in text)


def encode_name(untrusted_name: bytes) -> tuple[str, str | None]:
    """(shown text, base64 of the bytes where the text alone would not give them back, else None)."""
    shown = show_name(untrusted_name)
    exact = shown.encode("utf-8") == untrusted_name
    return shown, None if exact else base64.b64encode(untrusted_name).decode("ascii")


def decode_name(shown: str, encoded: str | None) -> bytes:
    """The bytes behind what `encode_name` gave. Raises ValueError where the base64 is not one."""
    return shown.encode("utf-8") if encoded is None else base64.b64decode(encoded, validate=True)


def join_member(container: bytes, *members: bytes) -> bytes:
    """outer.zip, inner/name -> outer.zip!inner/name."""
    return MEMBER_MARK.join((container, *members))
