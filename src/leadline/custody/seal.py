"""Streams and short texts <-> sealed bytes: AES-256-GCM in chunks. Writes no file, keeps no key, no plaintext.

A sealed stream is a header of 32 bytes (magic, version, cipher, chunk size, nonce prefix) and chunks, each of
`chunk_bytes` of plaintext and a tag of 16 bytes; the last may be shorter, and is empty for an empty stream only.
The nonce is prefix (7) | number of the chunk (4, big-endian) | 1 for the last chunk, else 0: the construction STREAM
of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
(CRYPTO 2015), as age and Tink use it. So a stream that was cut, prolonged, reordered or mixed does not open. Header
and `context` are the associated data of every chunk. Each data key seals one stream and is stored apart from it.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leadline.custody.keys import KEY_BYTES, KeySlot, rewrap
from leadline.errors import AssetRefused, SealBroken

MAGIC = b"LLSEALED"
VERSION, AES_256_GCM = 1, 1
CHUNK_BYTES = 1 << 20
MIN_CHUNK_BYTES, MAX_CHUNK_BYTES = 64, 16 << 20
TAG_BYTES = 16
TEXT_VERSION = 1
_HEADER = struct.Struct(">8sHHI7s9x")
_PREFIX_BYTES, _NONCE_BYTES = 7, 12
_TEXT_HEAD = struct.Struct(">BH")  # version, length of the wrapped key
HEADER_BYTES = _HEADER.size
MAX_CHUNKS = 1 << 32

Write = Callable[[bytes], object]
ReadAt = Callable[[int, int], bytes]  # offset, length -> that many bytes, or fewer at the end


class SealedFacts(NamedTuple):
    """What was sealed. Digests as hex; sizes in bytes, of the plaintext and of its sealed form."""

    sha256: str
    sha1: str
    md5: str
    size_bytes: int
    sealed_bytes: int


def new_data_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


class Sealer:
    """Takes plaintext piece by piece and gives sealed chunks to `write`; holds one chunk of it at most."""

    def __init__(
        self, write: Write, data_key: bytes, context: bytes, limit_bytes: int, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        prefix = secrets.token_bytes(_PREFIX_BYTES)
        self._header = _HEADER.pack(MAGIC, VERSION, AES_256_GCM, chunk_bytes, prefix)
        self._chunks = _Chunks(data_key, self._header, context)
        self._write, self._limit_bytes = write, limit_bytes
        self._digests = {name: hashlib.new(name) for name in ("sha256", "sha1", "md5")}
        self._pending = bytearray()
        self._number = self._size_bytes = 0
        write(self._header)

    def update(self, untrusted: bytes) -> None:
        """AssetRefused where it would be more than the limit; what was written before is then of no use."""
        self._size_bytes += len(untrusted)
        if self._size_bytes > self._limit_bytes:
            mend = "raise the limit, or hash it without keeping it"
            raise AssetRefused(f"larger than {self._limit_bytes} bytes", mend=mend, code="asset-too-large")
        for digest in self._digests.values():
            digest.update(untrusted)
        self._pending += untrusted
        size = self._chunks.chunk_bytes
        while len(self._pending) > size:  # not >=: what may be the last chunk waits for `finish`
            with memoryview(self._pending) as pending, pending[:size] as chunk:
                self._seal(chunk, is_last=False)
            del self._pending[:size]

    def finish(self) -> SealedFacts:
        self._seal(bytes(self._pending), is_last=True)
        self._pending.clear()
        digests = {name: digest.hexdigest() for name, digest in self._digests.items()}
        size = self._size_bytes
        return SealedFacts(**digests, size_bytes=size, sealed_bytes=sealed_size(size, self._chunks.chunk_bytes))

    def _seal(self, plain: bytes | memoryview, *, is_last: bool) -> None:
        self._write(self._chunks.seal(self._number, plain, is_last=is_last))
        self._number += 1


class _Chunks:
    """The chunks of one stream, by number."""

    def __init__(self, data_key: bytes, header: bytes, context: bytes) -> None:
        self.chunk_bytes: int
        self._prefix: bytes
        _, _, _, self.chunk_bytes, self._prefix = _HEADER.unpack(header)
        self._cipher, self._bound = AESGCM(data_key), header + context

    def seal(self, number: int, plain: bytes | memoryview, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(number, is_last), plain, self._bound)

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(number, is_last), sealed, self._bound)
        except InvalidTag:
            raise _broken(f"chunk {number} of a sealed file is damaged, or the file is cut or mixed") from None

    def _nonce(self, number: int, is_last: bool) -> bytes:
        if number >= MAX_CHUNKS:
            raise AssetRefused("more chunks than can be counted", code="asset-too-large")
        return self._prefix + number.to_bytes(4, "big") + bytes([is_last])


def seal_stream(
    untrusted_source: Iterable[bytes],
    write: Write,
    data_key: bytes,
    context: bytes,
    *,
    limit_bytes: int,
    chunk_bytes: int = CHUNK_BYTES,
) -> SealedFacts:
    """Seal the whole source. AssetRefused beyond the limit; whatever source and `write` raise goes through."""
    sealer = Sealer(write, data_key, context, limit_bytes, chunk_bytes)
    for piece in untrusted_source:
        sealer.update(piece)
    return sealer.finish()


def sealed_size(size_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Bytes of the sealed form of so many bytes."""
    return HEADER_BYTES + size_bytes + TAG_BYTES * max(1, -(-size_bytes // chunk_bytes))


def open_stream(read_at: ReadAt, size_bytes: int, data_key: bytes, context: bytes) -> Iterator[bytes]:
    """The plaintext, chunk by chunk, each checked before it is given. SealBroken where anything was changed.

    `size_bytes` is that of the plaintext, and has to be known from elsewhere: bytes behind the end are refused too.
    """
    yield from open_range(read_at, size_bytes, data_key, context, 0, size_bytes)
    if read_at(_sealed_end(read_at, size_bytes), 1):
        raise _broken("a sealed file was prolonged")


def open_range(
    read_at: ReadAt, size_bytes: int, data_key: bytes, context: bytes, start: int, length: int
) -> Iterator[bytes]:
    """`length` bytes from `start` on, or fewer at the end; reads and checks the chunks that hold them, no others."""
    header, chunk_bytes = _read_header(read_at)
    chunks = _Chunks(data_key, header, context)
    end, last = min(start + length, size_bytes), max(0, -(-size_bytes // chunk_bytes) - 1)
    for number in range(start // chunk_bytes, max(-(-end // chunk_bytes), 1 if size_bytes == 0 else 0)):
        begin = number * chunk_bytes
        wanted = min(chunk_bytes, size_bytes - begin) + TAG_BYTES
        sealed = read_at(HEADER_BYTES + number * (chunk_bytes + TAG_BYTES), wanted)
        plain = chunks.open(number, sealed, is_last=number == last)
        if len(sealed) != wanted:
            raise _broken("a sealed file is shorter than it is said to be")
        piece = plain[max(0, start - begin) : end - begin]
        if piece:
            yield piece


def _read_header(read_at: ReadAt) -> tuple[bytes, int]:
    untrusted = read_at(0, HEADER_BYTES)
    if len(untrusted) != HEADER_BYTES:
        raise _broken("a sealed file has no whole header")
    magic, version, cipher, chunk_bytes, _ = _HEADER.unpack(untrusted)
    if magic != MAGIC or not MIN_CHUNK_BYTES <= chunk_bytes <= MAX_CHUNK_BYTES:
        raise _broken("the header of a sealed file is damaged")
    if (version, cipher) != (VERSION, AES_256_GCM):
        raise SealBroken("sealed by another version, or its header is damaged", mend="use a newer Leadline; restore it")
    return untrusted, chunk_bytes


def _sealed_end(read_at: ReadAt, size_bytes: int) -> int:
    return sealed_size(size_bytes, _read_header(read_at)[1])


def _broken(what: str) -> SealBroken:
    return SealBroken(what, mend="restore it from a backup; call someone")


# --- texts -----------------------------------------------------------------------------------------------------------


def seal_text(text: str, slot: KeySlot, context: bytes) -> bytes:
    """A text for a column of the database, under a data key of its own. `context` names row and column.

    version 1 (1) | length of the wrapped key (2, big-endian) | wrapped key | nonce (12) | AES-256-GCM of the UTF-8
    and its tag (16). Under a key in a file that is 100 bytes more than the text.
    """
    data_key, nonce = new_data_key(), secrets.token_bytes(_NONCE_BYTES)
    wrapped = slot.wrap(data_key, _text_context(context))
    head = _TEXT_HEAD.pack(TEXT_VERSION, len(wrapped))
    plain = text.encode("utf-8", "surrogatepass")  # JSON can bring half a character; the text stays as it was sent
    return head + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plain, head[:1] + _text_context(context))


def unseal_text(sealed: bytes, slot: KeySlot, context: bytes) -> str:
    """The text. SealBroken where it was changed or belongs to another row, KeyUnavailable where its key is not here."""
    wrapped, rest = _split_text(sealed)
    cipher = AESGCM(slot.unwrap(wrapped, _text_context(context)))
    try:
        plain = cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], sealed[:1] + _text_context(context))
    except InvalidTag:
        raise SealBroken("a sealed text is damaged", mend="restore its row from a backup") from None
    return plain.decode("utf-8", "surrogatepass")


def rewrap_text(sealed: bytes, slot: KeySlot, context: bytes) -> bytes:
    """The same text under the key that wraps now; the text itself is not opened."""
    wrapped, rest = _split_text(sealed)
    fresh = rewrap(wrapped, slot, _text_context(context))
    return _TEXT_HEAD.pack(TEXT_VERSION, len(fresh)) + fresh + rest


def wrapped_key_of(sealed: bytes) -> bytes:
    """The wrapped data key of a sealed text. SealBroken where it is none."""
    return _split_text(sealed)[0]


def _split_text(sealed: bytes) -> tuple[bytes, bytes]:
    """Wrapped key; nonce and what it sealed."""
    if len(sealed) >= _TEXT_HEAD.size:
        version, length = _TEXT_HEAD.unpack_from(sealed)
        start, end = _TEXT_HEAD.size, _TEXT_HEAD.size + length
        if version == TEXT_VERSION and len(sealed) >= end + _NONCE_BYTES + TAG_BYTES:
            return sealed[start:end], sealed[end:]
    raise SealBroken("not a sealed text, or cut short", mend="restore its row from a backup")


def _text_context(context: bytes) -> bytes:
    return b"leadline/text/1\n" + context
