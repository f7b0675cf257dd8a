"""What two reports of one thing have in common, as keyed hashes: the database alone tells no URL. Stores nothing."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from leadline.domain import IncomingItem, ItemKind
from leadline.errors import InputError, UrlFormatError
from leadline.selectors.accounts import profile_of
from leadline.selectors.split import split_paste
from leadline.selectors.url import CanonicalUrl, canonical_url
from leadline.workbench import sealing

_ITEMS, _RECEIPTS, _BODIES = "reports item keys", "reports receipts", "reports bodies"
# 20 bits: enough to find a passphrase's row among a million, too few to tell the passphrase from. Argon2 decides.
_LOOKUP_DIGITS = 5
_HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ItemKey:
    """key: the keyed hash, "" where the thing has none; flags: codes of what a person should know of it."""

    key: str = ""
    flags: tuple[str, ...] = ()


def item_key(item: IncomingItem, *, sha256: str = "") -> ItemKey:
    """sha256: of a file that was hashed, in hex: a file and a report of its hash are the same thing."""
    if sha256:
        return ItemKey(_keyed(f"hash {sha256}"))
    if item.kind is ItemKind.URL:
        return _url_key(item.value)
    if item.kind is ItemKind.ACCOUNT:
        return _account_key(item)
    digits = item.value.strip().lower()
    if item.kind in (ItemKind.HASH, ItemKind.FILE) and _HEX.fullmatch(digits):
        return ItemKey(_keyed(f"hash {digits}"))
    return ItemKey()


def search_key(untrusted_text: str) -> str:
    """The key of what somebody searches for: one URL, account or hash; "" where it is none."""
    try:
        found = [item for item in split_paste(untrusted_text[:20_000]) if item.key]
    except InputError:
        return ""
    if len(found) != 1:
        return ""
    return item_key(IncomingItem(found[0].kind, found[0].value)).key


def _url_key(untrusted_value: str) -> ItemKey:
    try:
        url = canonical_url(untrusted_value)
    except UrlFormatError as error:
        return ItemKey(flags=(error.code,))
    return ItemKey(_keyed(_place(url)), tuple(sorted(url.flags)))


def _place(url: CanonicalUrl) -> str:
    profile = profile_of(url)
    return f"account {profile.service}:{profile.name.lower()}" if profile else f"url {url.key}"


def _account_key(item: IncomingItem) -> ItemKey:
    value = item.value.strip()
    try:
        found = [one for one in split_paste(value[:20_000]) if one.key]
    except InputError:
        found = []
    if len(found) == 1 and found[0].kind is ItemKind.URL:
        return _url_key(value)
    if len(found) == 1 and found[0].kind is ItemKind.ACCOUNT and found[0].start == 0:
        return ItemKey(_keyed(f"account {found[0].key}"))
    service = str(item.facts.get("service", "")).strip().lower()
    return ItemKey(_keyed(f"account {service}:{value.lower()}" if service else f"account {value.lower()}"))


def receipt_lookup(passphrase: str) -> str:
    return _keyed(plain_passphrase(passphrase), _RECEIPTS)[:_LOOKUP_DIGITS]


def plain_passphrase(untrusted: str) -> str:
    """As people type it: case, hyphens and blanks do not count."""
    return " ".join(untrusted[:500].casefold().replace("-", " ").split())


def body_hash(canonical_body: bytes) -> str:
    return _keyed_bytes(canonical_body, _BODIES)


def _keyed(text: str, purpose: str = _ITEMS) -> str:
    return _keyed_bytes(text.encode("utf-8", "replace"), purpose)


def _keyed_bytes(data: bytes, purpose: str) -> str:
    return hmac.new(sealing.derive(purpose), data, hashlib.sha256).hexdigest()
