"""What can be said of a host by its name alone: network, registrable domain, scripts. Never resolves one."""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
from enum import StrEnum

import ada_url
import regex
from publicsuffixlist import PublicSuffixList

_ONION_V3_CHARS, _ONION_V2_CHARS = 56, 16
_ONION_VERSION = b"\x03"
# UTS #31 table 5, "Recommended Scripts"; a label in another script is shown as suspicious too.
_SCRIPTS = (
    "Latin", "Greek", "Cyrillic", "Armenian", "Hebrew", "Arabic", "Thaana", "Devanagari", "Bengali", "Gurmukhi",
    "Gujarati", "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar",
    "Georgian", "Hangul", "Ethiopic", "Khmer", "Hiragana", "Katakana", "Bopomofo", "Han",
)  # fmt: skip
# UTS #39 section 5.2, "Highly Restrictive": these scripts are written together.
_TOGETHER = (
    ("Latin", "Han", "Hiragana", "Katakana"),
    ("Latin", "Han", "Bopomofo"),
    ("Latin", "Han", "Hangul"),
)
_LOCAL_SUFFIXES = ("localhost", "local", "internal", "home.arpa", "test", "invalid", "example")  # RFC 6761, 6762, 8375


class Network(StrEnum):
    CLEARNET = "clearnet"
    ONION = "onion"
    I2P = "i2p"


def network_of(host_ascii: str) -> Network:
    name = host_ascii.rstrip(".")
    if name.endswith(".onion"):
        return Network.ONION
    return Network.I2P if name.endswith(".i2p") else Network.CLEARNET


def is_onion_v3(host_ascii: str) -> bool:
    """Whether the label before `.onion` is 56 base32 characters with the right checksum and version.

    Source: Tor rend-spec-v3, [ONIONADDRESS]: base32(key 32 || checksum 2 || version 1), where the checksum is the
    first bytes of SHA3-256(".onion checksum" || key || version).
    """
    label = host_ascii.rstrip(".").removesuffix(".onion").rpartition(".")[2]
    if len(label) != _ONION_V3_CHARS:
        return False
    try:
        raw = base64.b32decode(label.upper())
    except ValueError:
        return False
    key, checksum, version = raw[:32], raw[32:34], raw[34:]
    expected = hashlib.sha3_256(b".onion checksum" + key + _ONION_VERSION).digest()[:2]
    return version == _ONION_VERSION and checksum == expected


def is_onion_v2(host_ascii: str) -> bool:
    """Whether it has the shape of an address that Tor retired in 2021 (16 base32 characters, no checksum)."""
    label = host_ascii.rstrip(".").removesuffix(".onion").rpartition(".")[2]
    return len(label) == _ONION_V2_CHARS and set(label) <= set("abcdefghijklmnopqrstuvwxyz234567")


@functools.cache
def _suffixes() -> PublicSuffixList:
    """The public suffix list as the package carries it; never downloaded."""
    return PublicSuffixList(accept_unknown=False)


def registrable_domain(host_ascii: str) -> str | None:
    """The part of a name that somebody registered (`a.b.example.co.uk` -> `example.co.uk`).

    Suffixes of platforms count, so that `a.github.io` is its tenant's. None for addresses, for suffixes that nobody
    lists, and for suffixes themselves.
    """
    name = host_ascii.rstrip(".")
    if network_of(name) is Network.I2P:
        keep = 3 if name.endswith(".b32.i2p") else 2
        return ".".join(name.split(".")[-keep:])
    return _suffixes().privatesuffix(name) or None


def has_known_suffix(host_ascii: str) -> bool:
    name = host_ascii.rstrip(".")
    return network_of(name) is not Network.CLEARNET or _suffixes().publicsuffix(name) is not None


def to_unicode(host_ascii: str) -> str:
    """The host as a person reads it; what is no valid punycode stays as it is."""
    return ada_url.idna_to_unicode(host_ascii.encode("ascii", "replace")) if "xn--" in host_ascii else host_ascii


@functools.cache
def _one_script() -> regex.Pattern[str]:
    sets = [(script,) for script in _SCRIPTS] + list(_TOGETHER)
    choices = ("".join(map(r"\p{{Script_Extensions={}}}".format, scripts)) for scripts in sets)
    return regex.compile("|".join(rf"[\p{{Script=Common}}\p{{Script=Inherited}}{choice}]*+" for choice in choices))


def has_mixed_scripts(host_unicode: str) -> bool:
    """Whether a label mixes scripts that are not written together (UTS #39, "Highly Restrictive").

    A whole label in one foreign script that merely looks Latin is not found: show `host_ascii` beside it.
    """
    return any(not label.isascii() and not _one_script().fullmatch(label) for label in host_unicode.split("."))


def is_public(host_ascii: str) -> bool:
    """Whether the host could be reached from elsewhere: no private address, no name of a local network."""
    try:
        return ipaddress.ip_address(host_ascii.strip("[]")).is_global
    except ValueError:
        name = host_ascii.rstrip(".")
        return "." in name and not any(name == s or name.endswith("." + s) for s in _LOCAL_SUFFIXES)
