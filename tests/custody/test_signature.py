"""The verifier's own Ed25519: RFC 8032's vectors, and `cryptography` as the other opinion."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.custody.verify import is_signed

# RFC 8032 section 7.1: public key, message, signature
VECTORS = {
    "TEST 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    "TEST 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    "TEST 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
    "TEST SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
        "2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17a"
        "d9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_it_accepts_the_vectors_of_the_rfc_and_no_bit_more(name: str) -> None:
    key, message, signature = map(bytes.fromhex, VECTORS[name])
    assert is_signed(key, message, signature)
    assert not is_signed(key, message + b"\0", signature)
    for position in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[position] ^= 1
        assert not is_signed(key, message, bytes(changed))


def _accepts(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 64 * 8), st.integers(0, 32 * 8))
def test_it_agrees_with_cryptography(seed: bytes, message: bytes, flip_signature: int, flip_key: int) -> None:
    """The last number of each range flips nothing."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    signature, key = bytearray(private.sign(message)), bytearray(private.public_key().public_bytes_raw())
    if flip_signature < 64 * 8 and flip_key % 2:
        signature[flip_signature // 8] ^= 1 << flip_signature % 8
    elif flip_key < 32 * 8:
        key[flip_key // 8] ^= 1 << flip_key % 8
    accepted = is_signed(bytes(key), message, bytes(signature))
    assert accepted == _accepts(bytes(key), message, bytes(signature))


def test_it_refuses_a_signature_made_longer_by_the_order_of_the_group() -> None:
    """RFC 8032 section 5.1.7: S has to be below L, or one message has many signatures."""
    key, message, signature = map(bytes.fromhex, VECTORS["TEST 2"])
    order = 2**252 + 27742317777372353535851937790883648493
    longer = int.from_bytes(signature[32:], "little") + order
    assert not is_signed(key, message, signature[:32] + longer.to_bytes(32, "little"))


@pytest.mark.parametrize(("key", "signature"), [(b"", bytes(64)), (bytes(32), b""), (b"\xff" * 32, bytes(64))])
def test_it_refuses_what_is_no_key_or_signature(key: bytes, signature: bytes) -> None:
    assert not is_signed(key, b"message", signature)


def test_it_refuses_a_second_spelling_of_a_point() -> None:
    """RFC 8032 section 5.1.3: y has to be below p. Here p + 1 stands for 1, under which everything would be signed."""
    second_spelling = (2**255 - 19 + 1).to_bytes(32, "little")
    assert not is_signed(second_spelling, b"message", b"\1" + bytes(63))
