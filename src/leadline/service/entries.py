"""An entry of a bank as it comes and goes over HTTP: typed JSON <-> domain.Entry. Reads and writes no bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from leadline.domain import EMPTY_FILE_DIGESTS, Entry, Kind, PdqFamily, Tlp
from leadline.errors import HashFormatError, InputError, LeadlineError
from leadline.exchange.base import parse_hex
from leadline.service.keeping import KeptBank
from leadline.service.problems import place_of

MAX_ENTRIES = 10_000
Quality = Annotated[int, msgspec.Meta(ge=0, le=100)]
Time = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Radius = Annotated[int, msgspec.Meta(ge=0, le=31)]
_NAMES = ("md5", "sha1", "sha256", "pdq")


class Hashes(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Hexadecimal digits. quality, family: of the PDQ hash."""

    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    pdq: str = ""
    quality: Quality | None = None
    family: PdqFamily = PdqFamily.B


class NewEntry(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """kind, tlp: left out, the bank's. source: left out, the id of the token. metadata: a JSON object, stored as it is
    written. radius: of a false-positive entry, how many bits around it it acts."""

    hashes: Hashes
    kind: Kind | None = None
    label: str = ""
    scheme: str = ""
    source: str = ""
    source_id: str = ""
    licence: str = ""
    tlp: Tlp | None = None
    note: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"")
    disabled_until: Time = 0
    first_seen: Time = 0
    last_seen: Time = 0
    radius: Radius = 0


class EntryChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is left out stays as it is. hashes: replaced as a whole."""

    hashes: Hashes | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    label: str | UnsetType = UNSET
    scheme: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    source_id: str | UnsetType = UNSET
    licence: str | UnsetType = UNSET
    tlp: Tlp | UnsetType = UNSET
    note: str | UnsetType = UNSET
    metadata: msgspec.Raw | UnsetType = UNSET
    disabled_until: Time | UnsetType = UNSET
    first_seen: Time | UnsetType = UNSET
    last_seen: Time | UnsetType = UNSET
    radius: Radius | UnsetType = UNSET


_decode = msgspec.json.Decoder(NewEntry).decode
_PLAIN = ("label", "scheme", "source", "source_id", "licence", "note", "disabled_until", "first_seen", "last_seen")


def read_entries(untrusted: Sequence[msgspec.Raw], bank: KeptBank, source: str) -> list[Entry | LeadlineError]:
    """Each as an entry of this bank, or why it is none. source: of those that name none."""
    return [_read_entry(item, bank, source) for item in untrusted]


def _read_entry(untrusted: msgspec.Raw, bank: KeptBank, source: str) -> Entry | LeadlineError:
    try:
        new = _decode(untrusted)
        entry = Entry(
            kind=new.kind or bank.kind,
            fingerprints={},
            tlp=new.tlp or bank.tlp,
            metadata=_text_of(new.metadata),
            radius_bits=new.radius,
            **{name: getattr(new, name) for name in _PLAIN},
        )
        return _checked(replace(entry, source=entry.source or source), new.hashes)
    except msgspec.ValidationError as error:
        return InputError("not an entry", where=place_of(error), mend="see docs/service.md")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return InputError("not an entry", mend="see docs/service.md")
    except InputError as error:
        return error


def changed_entry(entry: Entry, change: EntryChange) -> Entry:
    """InputError where it would be none."""
    given = {name: value for name in (*_PLAIN, "kind", "tlp") if (value := getattr(change, name)) is not UNSET}
    if not isinstance(change.metadata, UnsetType):
        given["metadata"] = _text_of(change.metadata)
    if not isinstance(change.radius, UnsetType):
        given["radius_bits"] = change.radius
    changed = replace(entry, **given)
    if changed.kind is not Kind.FALSE_POSITIVE and isinstance(change.radius, UnsetType):
        changed = replace(changed, radius_bits=0)
    return _checked(changed, None if isinstance(change.hashes, UnsetType) else change.hashes)


def _checked(entry: Entry, hashes: Hashes | None) -> Entry:
    if entry.radius_bits and entry.kind is not Kind.FALSE_POSITIVE:
        raise InputError("a radius of an entry that is no false positive", where="radius", mend="leave it out")
    if hashes is None:
        return entry
    prints = {name: parse_hex(name, text) for name in _NAMES if (text := getattr(hashes, name))}
    if not prints:
        raise InputError("an entry without a hash", where="hashes", mend="give at least one")
    if not EMPTY_FILE_DIGESTS.isdisjoint(prints.values()):
        raise HashFormatError("the hash of the empty file", where="hashes", mend="it would match every empty file")
    if "pdq" not in prints and (hashes.quality is not None or hashes.family is not PdqFamily.B):
        raise InputError("a quality or family without a PDQ hash", where="hashes", mend="leave them out")
    others = {name: value for name, value in entry.fingerprints.items() if name not in _NAMES}
    return replace(entry, fingerprints=prints | others, quality=hashes.quality, pdq_family=hashes.family)


def _text_of(metadata: msgspec.Raw) -> str:
    text = bytes(metadata).strip()
    return "" if text in (b"", b"null") else text.decode()


def tell_entry(entry: Entry) -> dict[str, Any]:
    """All of it, for tokens that may read details."""
    hashes: dict[str, Any] = {name: value.hex() for name, value in entry.fingerprints.items()}
    if "pdq" in entry.fingerprints:
        hashes |= {"quality": entry.quality, "family": str(entry.pdq_family)}
    return {
        "id": entry.id,
        "kind": str(entry.kind),
        "hashes": hashes,
        "tlp": str(entry.tlp),
        **{name: getattr(entry, name) for name in _PLAIN},
        "metadata": msgspec.Raw(entry.metadata.encode()) if entry.metadata else None,
        "added": entry.added,
        "radius": entry.radius_bits,
    }
