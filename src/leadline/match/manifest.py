"""The manifest of a bank folder: what the bank is and which files hold it; replaced whole, never edited."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Any

import msgspec

from leadline.domain import Kind, Tlp
from leadline.errors import BankCorrupt, BankError
from leadline.match.folder import replace_file

FILE_NAME = "manifest.json"
FORMAT, VERSION = "leadline-bank", 1
MAX_NAME_BYTES = 255  # as in the packed answers of the service; those of older banks may be longer
_MAX_BYTES = 4 << 20
_MAX_NUMBER = 2**53 - 1
_IDENTITY = re.compile(r"[0-9a-f]{32}")


class SegmentFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """seg-NUMBER.records and seg-NUMBER.index."""

    number: int
    entries: int
    records_bytes: int
    index_bytes: int


class LogFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """log-NUMBER; `whole_bytes` of it were acknowledged when the manifest was written, so fewer are a loss."""

    number: int
    whole_bytes: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The bank at one moment; what its last log gained since is read from there.

    identity      32 hexadecimal digits by chance, given when the bank is made and never changed: two banks of one
                  name and list version are told apart by it. Of a manifest from before it was there: made of its
                  name, kind and moment
    list_version  grows by one with each acknowledged change
    next_id       every id below it was given or wished for by order of arrival
    next_file     number of the next segment or log file
    """

    name: str
    kind: Kind
    radius_bits: int
    quality_floor: int
    source: str
    tlp: Tlp
    licence: str
    created: int
    list_version: int
    next_id: int
    next_file: int
    segments: tuple[SegmentFiles, ...]
    logs: tuple[LogFile, ...]
    identity: str = ""


def is_bank_name(name: str) -> bool:
    """Whether a name can stand in answers and file names: 1..200 printable characters, no slash."""
    return 0 < len(name) <= 200 and "/" not in name and name.isprintable()


class _Envelope(msgspec.Struct):
    format: str
    version: int
    sha256: str = ""
    bank: msgspec.Raw = msgspec.Raw(b"null")


def load_manifest(untrusted: bytes, where: str) -> Manifest:
    """The manifest in some bytes. BankCorrupt where they contradict themselves, BankError where too new."""
    try:
        if len(untrusted) > _MAX_BYTES:
            raise msgspec.ValidationError("too long")
        envelope = msgspec.json.decode(untrusted, type=_Envelope)
        if envelope.format == FORMAT and envelope.version > VERSION:
            raise BankError(
                f"bank of format version {envelope.version}", where=where, mend="use a newer Leadline"
            )
        manifest = msgspec.json.decode(envelope.bank, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(f"manifest unreadable: {error}", where) from None
    if (envelope.format, envelope.version, envelope.sha256) != (FORMAT, VERSION, _checksum(manifest)):
        raise _corrupt("manifest damaged: its checksum is wrong", where)
    _check(manifest, where)
    return manifest if manifest.identity else msgspec.structs.replace(manifest, identity=_derive_identity(manifest))


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step, synced with its folder. One without an identity is given one: it is new."""
    if not manifest.identity:
        manifest = msgspec.structs.replace(manifest, identity=secrets.token_hex(16))
    body: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": _checksum(manifest),
        "bank": manifest,
    }
    replace_file(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(body), indent=1))


def _derive_identity(manifest: Manifest) -> str:
    said = f"{manifest.name}\0{manifest.kind.value}\0{manifest.created}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _checksum(manifest: Manifest) -> str:
    return hashlib.sha256(msgspec.json.encode(manifest)).hexdigest()


def _check(manifest: Manifest, where: str) -> None:
    files = [s.number for s in manifest.segments] + [log.number for log in manifest.logs]
    numbers = [manifest.list_version, manifest.next_id, manifest.next_file, manifest.created, *files]
    for log in manifest.logs:
        numbers.append(log.whole_bytes)
    holds = (
        manifest.logs
        and is_bank_name(manifest.name)
        and manifest.next_id >= 1
        and len(set(files)) == len(files)
        and all(0 <= n <= _MAX_NUMBER for n in numbers)
        and all(n < manifest.next_file for n in files)
        and 0 <= manifest.radius_bits <= 256
        and 0 <= manifest.quality_floor <= 100
        and (not manifest.identity or _IDENTITY.fullmatch(manifest.identity))
    )
    if not holds:
        raise _corrupt("manifest contradicts itself", where)


def _corrupt(what: str, where: str) -> BankCorrupt:
    return BankCorrupt(what, where=where, mend="restore the bank from a copy")
