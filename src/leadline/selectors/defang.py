"""Links made harmless for display, and such links made whole again. Never makes one clickable.

Every pattern is bounded or possessive: hostile text costs no more time than its length.
"""

from __future__ import annotations

import re

# Invisible signs that chat programs and pages put into links. The two joiners (U+200C, U+200D) belong to the
# spelling of some languages' domain names: they go only where they touch ASCII, where they spell nothing.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_JOINER = re.compile(
    "(?<=[\x00-\x7f])[\u200c\u200d]++|[\u200c\u200d](?=[\x00-\x7f])|^[\u200c\u200d]++|[\u200c\u200d]++$"
)
_SURROGATE = re.compile("[\ud800-\udfff]")

# hxxp, hXXps, h**p, http[:]//, http[://], http:\\ and blanks around the colon
_SCHEME = re.compile(
    r"\s{0,3}(?P<name>[a-z][a-z0-9+.*-]{1,30}) ?(?:[\[({]:(?://|\\\\)[\])}]|[\[({]?:[\])}]? ?(?://|\\\\)) ?", re.I
)
_OPAQUE_SCHEME = re.compile(r"([a-z][a-z0-9+-]{1,30})[\[({]:[\])}](?!//|\\\\)", re.I)  # magnet[:]?xt=...
_KNOWN_SCHEMES = {
    "hxxp": "http", "hxxps": "https", "h**p": "http", "h**ps": "https", "htxp": "http", "htxps": "https",
    "hxtp": "http", "hxtps": "https", "hxp": "http", "hxps": "https", "fxp": "ftp", "fxps": "ftps",
}  # fmt: skip
_DOT = re.compile(r" ?(?:[\[({] ?){1,3}(?:\.|dot) ?(?:[\])}] ?){1,3}|\\\.|(?<=\w) dot (?=\w)", re.I)
_OPEN_DOT = re.compile(r"(?<=\w)[\[({]\.(?=\w)|(?<=\w)\.[\])}](?=\w)")  # example[.org, example.]org
_AT = re.compile(r" ?[\[({] ?(?:@|at) ?[\])}] ?", re.I)
_AUTHORITY_END = re.compile(r"[/?#]")
_MAX_WRAPPERS = 3
_BRACKETS = str.maketrans({sign: f"%{ord(sign):02X}" for sign in "[](){}\\"})
_WRAPPERS = {"<": ">", '"': '"', "“": "”", "«": "»", "‘": "’", "`": "`"}


def refang(text: str) -> str:
    """One link, made whole: scheme, dots, invisible signs, blanks and quotation marks around it.

    Dots after the host are mended only where the host had been defanged too: `a[.]html` may be a real name.
    What was not defanged comes back unchanged, but for the invisible signs and the marks around it.
    """
    text = _unwrap(drop_invisible(text))
    opaque = _OPAQUE_SCHEME.match(text)
    if opaque:
        return f"{opaque[1]}:{text[opaque.end() :]}"
    scheme, rest = _scheme(text)
    end = _AUTHORITY_END.search(rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    mended = _mend_dots(authority)
    if mended != authority:
        tail = _mend_dots(tail)
    return scheme + mended + tail


def refang_address(text: str) -> str:
    """An e-mail address, made whole: `name [at] example [dot] org`."""
    return _mend_dots(_AT.sub("@", _unwrap(drop_invisible(text))))


def drop_invisible(text: str) -> str:
    """Without signs that show nothing; half surrogates become U+FFFD, as the URL standard takes them."""
    return _JOINER.sub("", _INVISIBLE.sub("", _SURROGATE.sub("\ufffd", text)))


def _unwrap(text: str) -> str:
    text = text.strip()
    for _ in range(_MAX_WRAPPERS):
        if len(text) <= 2 or _WRAPPERS.get(text[0]) != text[-1]:
            break
        text = text[1:-1].strip()
    return text


def _scheme(text: str) -> tuple[str, str]:
    found = _SCHEME.match(text)
    if not found:
        return "", text
    name = found["name"].lower()
    if "*" in name and name not in _KNOWN_SCHEMES:
        return "", text
    name = _KNOWN_SCHEMES.get(name, name)
    return f"{name}://", text[found.end() :]


def _mend_dots(text: str) -> str:
    return _OPEN_DOT.sub(".", _DOT.sub(".", text)) if _may_hold_dots(text) else text


def _may_hold_dots(text: str) -> bool:
    return any(sign in text for sign in "[({\\])}") or " dot " in text.lower()


def defang(href: str) -> str:
    """A link for display that no program follows: `hxxps[:]//example[.]org/a.html`. `refang` undoes it.

    Brackets after the host that `refang` would take for ours are percent-encoded.
    """
    scheme, separator, rest = href.partition("://")
    if not separator:
        return href.replace(":", "[:]", 1)
    end = _AUTHORITY_END.search(rest)
    authority, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    shown = {"http": "hxxp", "https": "hxxps", "ftp": "fxp", "ftps": "fxps"}.get(scheme.lower(), scheme)
    tail = tail if _mend_dots(tail) == tail else tail.translate(_BRACKETS)
    return f"{shown}[:]//{authority.replace('.', '[.]')}{tail}"
