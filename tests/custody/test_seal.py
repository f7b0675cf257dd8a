"""Tests of the sealed format: read by another reader, and every kind of tampering found."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from leadline.custody.keys import FileKeySlot, InstanceKey
from leadline.custody.seal import (
    CHUNK_BYTES,
    HEADER_BYTES,
    MAX_CHUNKS,
    Sealer,
    open_range,
    open_stream,
    rewrap_text,
    seal_stream,
    seal_text,
    sealed_size,
    unseal_text,
)  # fmt: skip
from leadline.errors import AssetRefused, KeyUnavailable, SealBroken

KEY, OTHER_KEY, CONTEXT = b"k" * 32, b"o" * 32, b"a place"
CHUNK = 64
SLOT = FileKeySlot(InstanceKey(bytes(range(32))))
NO_LIMIT = 1 << 40


def seal(plain: bytes, key: bytes = KEY, context: bytes = CONTEXT, chunk_bytes: int = CHUNK) -> bytes:
    out: list[bytes] = []
    seal_stream([plain], out.append, key, context, limit_bytes=NO_LIMIT, chunk_bytes=chunk_bytes)
    return b"".join(out)


def reading(sealed: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: sealed[offset : offset + length]


def unseal(sealed: bytes, size: int, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    return b"".join(open_stream(reading(sealed), size, key, context))


def draw(size: int) -> bytes:
    return bytes(itertools.islice(itertools.cycle(range(251)), size))


sizes = st.integers(0, 4 * CHUNK + 3)


def read_independently(sealed: bytes, key: bytes, context: bytes) -> bytes:
    """The format of docs/vault.md in the plainest code; takes nothing of the module under test."""
    magic, version, cipher, chunk, prefix, rest = struct.unpack(">8sHHI7s9s", sealed[:32])
    assert (magic, version, cipher, rest) == (b"LLSEALED", 1, 1, bytes(9))
    pieces = [sealed[at : at + chunk + 16] for at in range(32, len(sealed), chunk + 16)]
    plain = b""
    for number, piece in enumerate(pieces):
        nonce = prefix + struct.pack(">I", number) + (b"\x01" if number == len(pieces) - 1 else b"\x00")
        plain += AESGCM(key).decrypt(nonce, piece, sealed[:32] + context)
    return plain


@given(st.binary(max_size=5 * CHUNK))
def test_another_reader_can_open_it_by_the_written_format(plain: bytes) -> None:
    assert read_independently(seal(plain), KEY, CONTEXT) == plain


def test_another_reader_can_open_it_at_the_size_that_is_used() -> None:
    plain = draw(2 * CHUNK_BYTES + 5)
    sealed = seal(plain, chunk_bytes=CHUNK_BYTES)
    assert read_independently(sealed, KEY, CONTEXT) == plain
    assert len(sealed) == sealed_size(len(plain))


@given(st.lists(st.binary(max_size=3 * CHUNK), max_size=6))
def test_what_was_sealed_in_any_pieces_opens_whole(pieces: list[bytes]) -> None:
    out: list[bytes] = []
    facts = seal_stream(pieces, out.append, KEY, CONTEXT, limit_bytes=NO_LIMIT, chunk_bytes=CHUNK)
    plain, sealed = b"".join(pieces), b"".join(out)
    assert unseal(sealed, len(plain)) == plain
    assert facts == (
        hashlib.sha256(plain).hexdigest(), hashlib.sha1(plain).hexdigest(), hashlib.md5(plain).hexdigest(),
        len(plain), len(sealed),
    )  # fmt: skip


def test_nothing_larger_than_a_chunk_is_held_back() -> None:
    out: list[bytes] = []
    sealer = Sealer(out.append, KEY, CONTEXT, NO_LIMIT, CHUNK)
    sealer.update(draw(10 * CHUNK))
    assert sum(map(len, out)) == HEADER_BYTES + 9 * (CHUNK + 16)


def test_two_seals_of_the_same_bytes_differ() -> None:
    assert seal(b"same") != seal(b"same")


@given(sizes, st.data())
def test_one_changed_bit_anywhere_is_found(size: int, data: st.DataObject) -> None:
    sealed = bytearray(seal(draw(size)))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        unseal(bytes(sealed), size)


@given(sizes, st.data())
def test_a_cut_anywhere_is_found(size: int, data: st.DataObject) -> None:
    sealed = seal(draw(size))
    with pytest.raises(SealBroken):
        unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))], size)


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_cut_at_a_chunk_is_found_though_the_size_was_changed_to_fit(chunks: int) -> None:
    sealed = seal(draw(4 * CHUNK))
    cut = sealed[: HEADER_BYTES + chunks * (CHUNK + 16)]
    with pytest.raises(SealBroken):
        unseal(cut, chunks * CHUNK)


@given(sizes, st.binary(min_size=1, max_size=200))
def test_bytes_behind_the_end_are_found(size: int, more: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(seal(draw(size)) + more, size)


def test_a_whole_second_stream_behind_the_end_is_found() -> None:
    plain = draw(2 * CHUNK)
    sealed = seal(plain)
    for size in (len(plain), 2 * len(plain)):
        with pytest.raises(SealBroken):
            unseal(sealed + sealed[HEADER_BYTES:], size)


@given(st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]))
def test_chunks_in_another_order_are_found(order: list[int]) -> None:
    sealed = seal(draw(4 * CHUNK))
    chunks = [sealed[HEADER_BYTES + n * (CHUNK + 16) :][: CHUNK + 16] for n in range(4)]
    with pytest.raises(SealBroken):
        unseal(sealed[:HEADER_BYTES] + b"".join(chunks[n] for n in order), 4 * CHUNK)


def test_a_chunk_of_another_stream_under_the_same_key_is_found() -> None:
    one, two = seal(draw(3 * CHUNK)), seal(draw(3 * CHUNK))
    at, end = HEADER_BYTES + CHUNK + 16, HEADER_BYTES + 2 * (CHUNK + 16)
    with pytest.raises(SealBroken):
        unseal(one[:at] + two[at:end] + one[end:], 3 * CHUNK)


@pytest.mark.parametrize(("key", "context"), [(OTHER_KEY, CONTEXT), (KEY, b"elsewhere"), (KEY, b"")])
def test_another_key_or_place_does_not_open_it(key: bytes, context: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(seal(b"text"), 4, key, context)


@given(sizes, st.integers(0, 4 * CHUNK + 3))
def test_a_wrong_size_is_found(size: int, other: int) -> None:
    if size != other:
        with pytest.raises(SealBroken):
            unseal(seal(draw(size)), other)


@pytest.mark.parametrize("header", [b"", b"short", bytes(32), b"LLSEALED" + bytes(24)])
def test_what_was_never_sealed_is_refused(header: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(header + bytes(100), 4)


# --- ranges ----------------------------------------------------------------------------------------------------------


@given(sizes, st.integers(0, 5 * CHUNK), st.integers(0, 5 * CHUNK))
def test_a_range_is_what_a_slice_would_be(size: int, start: int, length: int) -> None:
    plain = draw(size)
    got = b"".join(open_range(reading(seal(plain)), size, KEY, CONTEXT, start, length))
    assert got == plain[start : start + length]


def test_a_range_reads_the_chunks_that_hold_it_only() -> None:
    sealed, read = seal(draw(10 * CHUNK)), list[int]()

    def read_at(offset: int, length: int) -> bytes:
        read.append(offset)
        return sealed[offset : offset + length]

    assert b"".join(open_range(read_at, 10 * CHUNK, KEY, CONTEXT, 3 * CHUNK + 1, CHUNK)) == draw(640)[193:257]
    assert read == [0, *(HEADER_BYTES + n * (CHUNK + 16) for n in (3, 4))]


def test_damage_in_a_range_is_found() -> None:
    sealed = bytearray(seal(draw(4 * CHUNK)))
    sealed[HEADER_BYTES + 2 * (CHUNK + 16)] ^= 1
    assert b"".join(open_range(reading(bytes(sealed)), 4 * CHUNK, KEY, CONTEXT, 0, CHUNK)) == draw(CHUNK)
    with pytest.raises(SealBroken):
        b"".join(open_range(reading(bytes(sealed)), 4 * CHUNK, KEY, CONTEXT, 2 * CHUNK, 1))


def test_nothing_is_given_before_it_is_checked() -> None:
    sealed = bytearray(seal(draw(3 * CHUNK)))
    sealed[-1] ^= 1
    pieces = open_stream(reading(bytes(sealed)), 3 * CHUNK, KEY, CONTEXT)
    assert [next(pieces), next(pieces)] == [draw(192)[:64], draw(192)[64:128]]
    with pytest.raises(SealBroken):
        next(pieces)


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_limit_is_exact_and_stops_the_source() -> None:
    read: list[int] = []

    def source() -> Iterator[bytes]:
        for number in itertools.count():
            read.append(number)
            yield b"x" * 10

    assert seal_stream([b"x" * 100], bytearray().extend, KEY, b"", limit_bytes=100).size_bytes == 100
    with pytest.raises(AssetRefused) as caught:
        seal_stream(source(), bytearray().extend, KEY, b"", limit_bytes=100)
    assert (caught.value.code, len(read)) == ("asset-too-large", 11)


def test_no_nonce_is_used_twice_however_long_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    sealer = Sealer(bytearray().extend, KEY, b"", NO_LIMIT, CHUNK)
    monkeypatch.setattr(sealer, "_number", MAX_CHUNKS - 1)
    sealer.update(draw(CHUNK + 1))
    with pytest.raises(AssetRefused):
        sealer.finish()


# --- texts -----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=200), st.binary(max_size=30))
def test_a_text_comes_back_in_its_place(text: str, context: bytes) -> None:
    assert unseal_text(seal_text(text, SLOT, context), SLOT, context) == text


def test_half_a_character_comes_back_as_it_was() -> None:
    assert unseal_text(seal_text("a\ud800b", SLOT, b"row 1"), SLOT, b"row 1") == "a\ud800b"


def test_a_sealed_text_shows_nothing_of_it() -> None:
    text = "made-up words of a reporter " * 5
    sealed = seal_text(text, SLOT, b"row 1")
    assert text.encode()[:10] not in sealed
    assert (len(sealed), sealed) != (len(text), seal_text(text, SLOT, b"row 1"))
    assert len(sealed) == len(text) + 100


@given(st.data())
def test_one_changed_bit_of_a_sealed_text_is_found(data: st.DataObject) -> None:
    sealed = bytearray(seal_text("a text", SLOT, b"row 1"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((SealBroken, KeyUnavailable)):
        unseal_text(bytes(sealed), SLOT, b"row 1")


@given(st.integers(0, 105))
def test_a_text_cut_anywhere_is_found(length: int) -> None:
    with pytest.raises(SealBroken):
        unseal_text(seal_text("a text", SLOT, b"row 1")[:length], SLOT, b"row 1")


def test_a_text_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(SealBroken):
        unseal_text(seal_text("a text", SLOT, b"row 1"), SLOT, b"row 2")


def test_two_texts_cannot_exchange_their_keys() -> None:
    one, two = (seal_text(t, SLOT, b"row 1") for t in ("one", "two"))
    with pytest.raises(SealBroken):
        unseal_text(one[:72] + two[72:], SLOT, b"row 1")


def test_a_text_is_wrapped_anew_without_being_opened() -> None:
    old, new = InstanceKey(bytes(range(32))), InstanceKey(bytes(range(1, 33)))
    sealed = seal_text("a text", FileKeySlot(old), b"row 1")
    fresh = rewrap_text(sealed, FileKeySlot(new, [old]), b"row 1")
    assert unseal_text(fresh, FileKeySlot(new), b"row 1") == "a text"
    assert rewrap_text(fresh, FileKeySlot(new), b"row 1") == fresh
    with pytest.raises(KeyUnavailable):
        unseal_text(fresh, FileKeySlot(old), b"row 1")
