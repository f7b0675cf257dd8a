"""Anchors: signed statements of where a chain stands, to leave the machine. Sends nothing; never overwrites one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from leadline.custody import verify
from leadline.custody.canonical import encode_canonical
from leadline.errors import CustodyFormatError

Sign = Callable[[bytes], bytes]  # bytes -> 64 bytes of Ed25519 signature


@dataclass(frozen=True, slots=True)
class Anchor:
    """At `at`, `line` was the last line of chain `chain` and had the hash `head`, says the holder of `key` (64 hex)."""

    chain: str
    line: int
    head: str
    at: str
    key: str
    signature: str


def make_anchor(chain: str, line: int, head: str, at: str, *, sign: Sign, public_key: bytes) -> Anchor:
    """Sign where the chain stands. `public_key`: 32 bytes. Raises CustodyFormatError, also where the two do not fit."""
    said = {"chain": chain, "line": line, "head": head, "at": at, "key": public_key.hex()}
    signature = sign(verify.ANCHOR_MARK + encode_canonical(said)).hex()
    return read_anchor(encode_canonical(said | {"signature": signature}))


def encode_anchor(anchor: Anchor) -> bytes:
    """What leaves the machine, and what a timestamp is over: one line of JSON without a line feed."""
    return encode_canonical(asdict(anchor))


def read_anchor(untrusted: bytes) -> Anchor:
    """Raises CustodyFormatError unless form and signature are right. Whose key it is the caller has to know."""
    try:
        return Anchor(**verify.read_anchor(untrusted))
    except verify.Malformed as error:
        raise CustodyFormatError(f"no anchor: {error}", where="anchor", mend="get the anchor again") from None


def write_anchor(folder: Path, anchor: Anchor) -> Path:
    """Drop the anchor into a folder as DATE-LINE-CHAIN.json: whole or not at all, and again only if it is the same.

    Raises FileExistsError where another anchor has this name already, OSError where it cannot be written.
    """
    data = encode_anchor(anchor)
    name = f"{anchor.at[:10]}-{anchor.line:012d}-{anchor.chain.replace(':', '_')}.json"
    final, partial = folder / name, folder / f".{name}.partial"
    if final.exists():
        if final.read_bytes() != data:
            raise FileExistsError(17, "another anchor stands there", str(final))
        return final
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(final)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return final


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
