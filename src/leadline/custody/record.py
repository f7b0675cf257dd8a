"""What lies where in a vault, and the small record that names a sealed file's blob and key. Opens nothing itself.

    vault.json                     version, and a probe that only the right instance key opens
    erasures.mark                  up to which line of the list of erasures this vault has followed it
    ab/cd/SHA256.key               the record: facts, the blob's name, the wrapped data key; with it a file is there
    ab/cd/SHA256.ID.blob           the sealed stream; ID (16 hex digits) is new for each sealing
    pending/SHA256.ID              a blob of that name may stand without a record yet, or without use
"""

from __future__ import annotations

import re
import secrets

import msgspec

from leadline.custody.keys import KEY_BYTES, KeySlot, rewrap
from leadline.custody.seal import SealedFacts
from leadline.errors import ConfigError, HashFormatError, SealBroken

VAULT_NAME, MARK_NAME, PENDING = "vault.json", "erasures.mark", "pending/"
RECORD_VERSION = 1
PROBE_CONTEXT = b"leadline/vault/1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})\.(?:key|([0-9a-f]{16})\.blob)")
_PENDING = re.compile(r"pending/([0-9a-f]{64})\.([0-9a-f]{16})")


class VaultHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """vault.json. `probe`: 32 random bytes, wrapped, as hex."""

    version: int
    probe: str


def read_head(untrusted: bytes) -> VaultHead:
    """SealBroken where it is damaged, ConfigError where another version wrote it."""
    try:
        head = msgspec.json.decode(untrusted, type=VaultHead)
        bytes.fromhex(head.probe)
    except (msgspec.MsgspecError, ValueError):
        raise SealBroken("the vault's head is damaged", where=VAULT_NAME, mend="restore this file") from None
    if head.version != RECORD_VERSION:
        raise ConfigError("a vault of another version", where=VAULT_NAME, mend="use the Leadline that wrote it")
    return head


def make_head(slot: KeySlot) -> VaultHead:
    return VaultHead(RECORD_VERSION, slot.wrap(secrets.token_bytes(KEY_BYTES), PROBE_CONTEXT).hex())


def check_key(head: VaultHead, slot: KeySlot) -> None:
    """KeyUnavailable or SealBroken unless this is the key of this vault."""
    slot.unwrap(bytes.fromhex(head.probe), PROBE_CONTEXT)


def rewrap_head(head: VaultHead, slot: KeySlot) -> VaultHead:
    return VaultHead(head.version, rewrap(bytes.fromhex(head.probe), slot, PROBE_CONTEXT).hex())


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """erasures.mark: number and hash of the last line followed."""

    line: int
    hash: str


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SHA256.key. Digests and `wrapped` are hex; `wrapped` is bound to all other fields, so none can be changed."""

    version: int
    sha256: str
    sha1: str
    md5: str
    size_bytes: int
    blob: str
    wrapped: str

    def bound_to(self) -> bytes:
        return _context(self.sha256, self.sha1, self.md5, self.size_bytes, self.blob)

    def unwrap(self, slot: KeySlot) -> bytes:
        """The data key. SealBroken where the record was changed, KeyUnavailable where its key is not here."""
        return slot.unwrap(bytes.fromhex(self.wrapped), self.bound_to())

    def rewrapped(self, slot: KeySlot) -> KeyRecord:
        wrapped = rewrap(bytes.fromhex(self.wrapped), slot, self.bound_to())
        return msgspec.structs.replace(self, wrapped=wrapped.hex())

    @property
    def blob_name(self) -> str:
        return blob_name(self.sha256, self.blob)

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def make_record(facts: SealedFacts, blob: str, data_key: bytes, slot: KeySlot) -> KeyRecord:
    wrapped = slot.wrap(data_key, _context(facts.sha256, facts.sha1, facts.md5, facts.size_bytes, blob))
    return KeyRecord(RECORD_VERSION, facts.sha256, facts.sha1, facts.md5, facts.size_bytes, blob, wrapped.hex())


def read_record(untrusted: bytes, sha256: str) -> KeyRecord:
    """SealBroken unless it is a record of this file; whether it was changed `unwrap` will say."""
    try:
        record = msgspec.json.decode(untrusted, type=KeyRecord)
        bytes.fromhex(record.wrapped)
    except (msgspec.MsgspecError, ValueError):
        raise SealBroken("the key of a sealed file is damaged", where=sha256, mend="restore it; call someone") from None
    if record.version != RECORD_VERSION or record.sha256 != sha256 or record.size_bytes < 0:
        raise SealBroken("the key of a sealed file belongs elsewhere", where=sha256, mend="restore it; call someone")
    return record


def _context(sha256: str, sha1: str, md5: str, size_bytes: int, blob: str) -> bytes:
    fields = ("leadline/asset/1", sha256, sha1, md5, str(size_bytes), blob)
    return "\n".join(fields).encode()


def blob_context(blob: str) -> bytes:
    return f"leadline/blob/1\n{blob}".encode()


def check_address(untrusted_sha256: str) -> str:
    """Raises HashFormatError."""
    if not _SHA256.fullmatch(untrusted_sha256):
        raise HashFormatError("not a SHA-256", mend="64 digits 0-9 a-f, lower case")
    return untrusted_sha256


def prefix_of(sha256: str) -> str:
    """What the names of this file's objects begin with."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}."


def key_name(sha256: str) -> str:
    return f"{prefix_of(sha256)}key"


def blob_name(sha256: str, blob: str) -> str:
    return f"{prefix_of(sha256)}{blob}.blob"


def pending_name(sha256: str, blob: str) -> str:
    return f"{PENDING}{sha256}.{blob}"


def read_name(name: str) -> tuple[str, str] | None:
    """SHA-256 and id of the blob ("" for a key), or None where it is no name of a sealed file's object."""
    found = _OBJECT.fullmatch(name)
    return (found[3], found[4] or "") if found else None


def read_pending(name: str) -> tuple[str, str] | None:
    found = _PENDING.fullmatch(name)
    return (found[1], found[2]) if found else None
