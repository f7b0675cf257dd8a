"""Host names as keyed words: who types one whole finds it, and the index by itself tells none. Resolves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from leadline.errors import UrlFormatError
from leadline.selectors.host import registrable_domain
from leadline.selectors.url import canonical_url
from leadline.workbench.search.keyed import keyed_word

_PURPOSE = "search hosts"
_MAX_HOST_CHARS = 300


def host_of(untrusted_url: str) -> str:
    """As the standard writes it, "" where there is none."""
    try:
        return canonical_url(untrusted_url).host_ascii.rstrip(".")
    except UrlFormatError:
        return ""


def keyed_words(host_ascii: str) -> list[str]:
    """One for the host and one for each name above it, down to what somebody registered."""
    return [_keyed(name) for name in _names(host_ascii)] if host_ascii else []


def _names(host_ascii: str) -> Iterator[str]:
    last = registrable_domain(host_ascii) or host_ascii
    yield host_ascii
    while host_ascii != last and "." in host_ascii:
        host_ascii = host_ascii.partition(".")[2]
        yield host_ascii


def searched_word(untrusted_text: str) -> str:
    """The keyed word of a host that stands alone, defanged or not; "" for anything else."""
    text = untrusted_text.strip()
    if len(text) > _MAX_HOST_CHARS:
        return ""
    try:
        url = canonical_url(text)
    except UrlFormatError:
        return ""
    parts = urlsplit(url.href)
    is_alone = parts.path in ("", "/") and not parts.query and not parts.fragment and not url.username
    return _keyed(url.host_ascii.rstrip(".")) if is_alone and url.host_ascii else ""


def _keyed(name: str) -> str:
    return keyed_word("h", _PURPOSE, f"host {name.lower()}")
