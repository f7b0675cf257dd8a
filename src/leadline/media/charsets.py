"""Bytes of foreign text -> text, by a closed list of character sets. Inside the sandbox only; tells each guess."""

from __future__ import annotations

import codecs
import encodings
import functools
from encodings.aliases import aliases

# Python's own names. Everything that mail and chats are found in; no transforms, nothing that is not a character set.
_ALLOWED = frozenset(
    (
        *("ascii", "utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_7", "latin_1", "tis_620"),
        *(f"iso8859_{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"cp{number}" for number in range(1250, 1259)),
        *("cp437", "cp850", "cp852", "cp855", "cp858", "cp862", "cp864", "cp866", "cp874", "koi8_r", "koi8_u"),
        *("mac_roman", "mac_cyrillic", "ptcp154", "kz1048"),
        *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp950"),
        *("shift_jis", "cp932", "shift_jis_2004", "euc_jp", "iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext"),
        *("euc_kr", "cp949", "johab", "iso2022_kr"),
    )
)


def prepare() -> None:
    for name in (*_ALLOWED, "raw-unicode-escape"):  # the last is what email.header itself uses
        codecs.lookup(name)


def decode_text(raw: bytes, declared: str) -> tuple[str, str]:
    """The text, and what it was read as: "utf_8", or "latin_1, declared x-odd" where that is not what was said."""
    codec = find_codec(declared)
    ascii_like = codec in ("", "ascii")
    for one in ("utf_8",) if ascii_like else (codec,):
        try:
            return raw.decode(one), one if codec or not declared else f"{one}, declared {declared}"
        except (UnicodeDecodeError, LookupError):
            pass
    if ascii_like:
        return raw.decode("latin_1"), f"latin_1, declared {declared or 'nothing'}"
    return raw.decode(codec, "replace"), f"{codec}, damaged"


@functools.lru_cache(maxsize=64)
def find_codec(declared: str) -> str:
    """Python's name of a declared character set, or "" where it is none of the list."""
    name = encodings.normalize_encoding(declared[:64].strip()).lower()
    name = aliases.get(name, name)
    return name if name in _ALLOWED else ""
