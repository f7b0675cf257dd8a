"""Text -> canonical URL by the WHATWG URL standard, and the key by which a re-report finds it. Fetches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote_plus

import ada_url

from leadline.errors import UrlFormatError, sentence
from leadline.selectors import host
from leadline.selectors.defang import refang
from leadline.selectors.host import Network
from leadline.selectors.tracking import is_tracking

MAX_URL_CHARS = 16_384
# The content itself, or a place inside one browser or one machine: nothing that a report could point at.
_HOLDS_CONTENT = frozenset({"data"})
_NO_PLACE = frozenset(
    {"about", "blob", "chrome", "cid", "file", "filesystem", "javascript", "mailto", "mid", "sms", "tel", "vbscript"}
)
_BARE_HOST = re.compile(r"[^\s/?#@:\\]{1,255}\.[^\s/?#@:\\.]{1,63}\.?(?::\d{1,5})?(?:[/?#]|$)")
_BARE_IPV6 = re.compile(r"\[[0-9a-fA-F:.]{2,45}\](?::\d{1,5})?(?:[/?#]|$)")
_SCHEME_NAME = re.compile(r"([a-z][a-z0-9+.-]{0,30}):", re.I)
_PERCENT = re.compile(r"%([0-9a-fA-F]{2})?")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_WEB = frozenset({"http", "https"})
_WEB_PORTS = {scheme: ("80", "443") for scheme in _WEB}  # as the key does not tell the schemes apart


class UrlFlag(StrEnum):
    """What a person should see beside the link before they judge or act on it."""

    SCHEME_ASSUMED = "scheme-assumed"
    CREDENTIALS = "credentials"
    IP_HOST = "ip-host"
    NOT_PUBLIC = "not-public"  # a private address or a name of a local network
    UNKNOWN_SUFFIX = "unknown-suffix"  # the public suffix list does not know its last label
    IDN = "idn"
    MIXED_SCRIPT = "mixed-script"
    ONION_V2 = "onion-v2"  # retired in 2021: reachable by nobody
    ONION_CHECKSUM = "onion-checksum"  # no valid onion v3 address: mistyped or cut off


@dataclass(frozen=True, slots=True)
class CanonicalUrl:
    """One URL, told apart from others by its `key`.

    href       as the WHATWG standard serialises it, without user name and password; nothing else taken out
    key        what decides whether two reports mean the same place; no address to open
    scheme     without its colon
    host_ascii, host_unicode   punycode and readable form; empty for schemes without a host (magnet:)
    registrable_domain   who registered it, or None (addresses, unknown suffixes)
    removed_parameters   names of query parameters that are in href and not in key, in order
    username, password   percent-encoded as they stood in the URL
    """

    href: str
    key: str
    scheme: str
    host_ascii: str
    host_unicode: str
    registrable_domain: str | None
    network: Network
    removed_parameters: tuple[str, ...]
    flags: frozenset[UrlFlag]
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_onion(self) -> bool:
        return self.network is Network.ONION


def canonical_url(untrusted_text: str) -> CanonicalUrl:
    """One link as somebody wrote it, defanged or not, with or without its scheme -> CanonicalUrl.

    `canonical_url(x.href)` and `canonical_url(x.key)` have the href and the key of x again. Raises UrlFormatError.

    The key leaves out what does not change the place: user name and password; the fragment, unless it works as a
    path (`#/`, `#!`); http against https, and ports 80 and 443 (a link without scheme says neither); a last dot of
    the host; tracking parameters; an empty query; percent-encoding of letters that need none. It keeps `www.`, the
    case of letters, the order of parameters and a last slash: servers differ on each.
    """
    if len(untrusted_text) > MAX_URL_CHARS:
        raise UrlFormatError(
            sentence("the URL is longer than %(most)s characters", most=MAX_URL_CHARS),
            mend="keep it as text",
            code="url-too-long",
        )
    text, assumed = _with_scheme(refang(untrusted_text))
    _refuse_no_place(text)
    try:
        parsed = ada_url.URL(text)
    except ValueError:
        raise UrlFormatError("this is no URL", mend="check the host and the characters, or keep it as text") from None
    username, password = parsed.username, parsed.password
    if username or password:
        parsed.username = parsed.password = ""
    return _described(parsed, assumed, username, password)


def _with_scheme(text: str) -> tuple[str, bool]:
    if text.startswith("//"):
        return "https:" + text, True
    if _BARE_HOST.match(text) or _BARE_IPV6.match(text):
        return "https://" + text, True
    return text, False


def _refuse_no_place(text: str) -> None:
    name = _SCHEME_NAME.match(text)
    if name is None:
        return
    if name[1].lower() in _HOLDS_CONTENT:
        raise UrlFormatError(
            "a data: URL holds content, it names no place",
            mend="report where it was found; hand the file over as an upload",
            code="url-holds-content",
        )
    if name[1].lower() in _NO_PLACE:
        raise UrlFormatError(
            "a URL of this scheme names no place on a network",
            mend="keep addresses as accounts and everything else as text",
            code="url-no-place",
        )


def _described(parsed: ada_url.URL, assumed: bool, username: str, password: str) -> CanonicalUrl:
    name = parsed.hostname
    domain = host.registrable_domain(name) if name and parsed.host_type == ada_url.HostType.DEFAULT else None
    key, removed = _key(parsed, domain)
    host_unicode = host.to_unicode(name)
    flags = frozenset(_flags(parsed, host_unicode))
    if assumed:
        flags |= {UrlFlag.SCHEME_ASSUMED}
    if username or password:
        flags |= {UrlFlag.CREDENTIALS}
    return CanonicalUrl(
        href=parsed.href, key=key, scheme=parsed.protocol.removesuffix(":"), host_ascii=name,
        host_unicode=host_unicode, registrable_domain=domain, network=host.network_of(name),
        removed_parameters=removed, flags=flags, username=username, password=password,
    )  # fmt: skip


def _flags(parsed: ada_url.URL, host_unicode: str) -> list[UrlFlag]:
    name = parsed.hostname
    is_ip = parsed.host_type != ada_url.HostType.DEFAULT
    network = host.network_of(name)
    bad_onion = network is Network.ONION and not host.is_onion_v3(name)
    retired = bad_onion and host.is_onion_v2(name)
    special = parsed.scheme_type != ada_url.SchemeType.NOT_SPECIAL
    said = {
        UrlFlag.IP_HOST: is_ip,
        UrlFlag.NOT_PUBLIC: special and not host.is_public(name),
        UrlFlag.UNKNOWN_SUFFIX: special and not is_ip and not host.has_known_suffix(name),
        UrlFlag.IDN: host_unicode != name,
        UrlFlag.MIXED_SCRIPT: host.has_mixed_scripts(host_unicode),
        UrlFlag.ONION_V2: retired,
        UrlFlag.ONION_CHECKSUM: bad_onion and not retired,
    }
    return [flag for flag, holds in said.items() if holds]


def _key(parsed: ada_url.URL, domain: str | None) -> tuple[str, tuple[str, ...]]:
    scheme = parsed.protocol.removesuffix(":")
    query, removed = _without_tracking(parsed.search.removeprefix("?"), domain)
    fragment = _routing_fragment(parsed.hash.removeprefix("#"))
    tail = (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    if parsed.scheme_type == ada_url.SchemeType.NOT_SPECIAL:
        # Paths of unknown schemes are opaque: nothing in them is known to be without meaning.
        return parsed.href.partition("#")[0].partition("?")[0] + tail, removed
    port = f":{parsed.port}" if parsed.port and parsed.port not in _WEB_PORTS.get(scheme, ()) else ""
    start = "//" if scheme in _WEB else f"{scheme}://"
    name = parsed.hostname
    if name.endswith(".") and not name.endswith("..") and len(name) > 1:
        name = name[:-1]
    return f"{start}{name}{port}{_plain_percent(parsed.pathname)}{_plain_percent(tail)}", removed


def _without_tracking(query: str, domain: str | None) -> tuple[str, tuple[str, ...]]:
    kept, removed = [], []
    for pair in query.split("&"):
        name = unquote_plus(pair.partition("=")[0])
        if is_tracking(name, domain):
            removed.append(name)
        else:
            kept.append(pair)
    return "&".join(kept), tuple(removed)


def _routing_fragment(fragment: str) -> str:
    """The fragment where a page reads it as a path (`#/a`, `#!a`, `#F!a`), without a text directive; else none."""
    path = fragment.partition(":~:")[0]
    return path if "/" in path or "!" in path else ""


def _plain_percent(text: str) -> str:
    """RFC 3986 6.2.2: upper-case digits, no encoding of unreserved letters; a lone % is encoded."""
    return _PERCENT.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    if found[1] is None:
        return "%25"
    sign = chr(int(found[1], 16))
    return sign if sign in _UNRESERVED else f"%{found[1].upper()}"
