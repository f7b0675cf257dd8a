"""Sealing against the bare AES-GCM and SHA-256 of the same library, in one run. Asserts nothing.

`python -m bench.vault` prints two tables: bytes a second in memory and on the disk, and files a second by size.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leadline.custody.keys import InstanceKey
from leadline.custody.seal import CHUNK_BYTES, open_stream, seal_stream, seal_text, unseal_text
from leadline.custody.upkeep import verify_vault
from leadline.custody.vault import Vault, open_vault

SIZE_BYTES = 256 << 20
PIECE = os.urandom(CHUNK_BYTES)
PIECES = [PIECE] * (SIZE_BYTES // CHUNK_BYTES)
KEY = b"k" * 32


def best_of(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the quickest run: the machine is shared."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def bare_aes() -> None:
    cipher = AESGCM(KEY)
    for number, piece in enumerate(PIECES):
        cipher.encrypt(number.to_bytes(12, "big"), piece, None)


def bare_hash(name: str) -> None:
    digest = hashlib.new(name)
    for piece in PIECES:
        digest.update(piece)


def bare_all() -> None:
    bare_aes()
    for name in ("sha256", "sha1", "md5"):
        bare_hash(name)


def seal_in_memory() -> list[bytes]:
    out: list[bytes] = []
    seal_stream(PIECES, out.append, KEY, b"", limit_bytes=SIZE_BYTES)
    return out


def row(name: str, seconds: float) -> None:
    print(f"| {name} | {SIZE_BYTES / seconds / 1e9:.2f} |")


def measure_bytes(vault: Vault) -> None:
    sealed = b"".join(seal_in_memory())
    print("| 256 MiB in pieces of 1 MiB | GB/s |")
    print("|---|---|")
    row("bare AES-256-GCM (cryptography)", best_of(bare_aes))
    for name in ("sha256", "sha1", "md5"):
        row(f"bare {name} (hashlib)", best_of(lambda name=name: bare_hash(name)))
    row("bare AES and the three hashes, one after the other", best_of(bare_all))
    row("seal_stream into memory, with the three hashes", best_of(seal_in_memory))

    def unseal() -> None:
        for _ in open_stream(lambda offset, length: sealed[offset : offset + length], SIZE_BYTES, KEY, b""):
            pass

    row("open_stream from memory", best_of(unseal))

    def put() -> None:
        PIECES[0] = os.urandom(CHUNK_BYTES)
        put.last = vault.put(PIECES, limit_bytes=SIZE_BYTES).sha256  # type: ignore[attr-defined]

    row("Vault.put, synced to the disk", best_of(put))
    row("Vault.open, with SHA-256", best_of(lambda: [None for _ in vault.open(put.last)]))  # type: ignore[attr-defined]
    row("verify_vault (3 files)", best_of(lambda: [*verify_vault(vault)]) / 3)


def measure_files(vault: Vault) -> None:
    print("\n| act, one writer | a second |")
    print("|---|---|")
    sealed = []
    for size in (4 << 10, 1 << 20):
        count = 200
        contents = [os.urandom(size) for _ in range(count)]
        start = time.perf_counter()
        sealed = [vault.put([plain], limit_bytes=size).sha256 for plain in contents]
        print(f"| Vault.put of {size >> 10} KiB, synced | {count / (time.perf_counter() - start):,.0f} |")
        start = time.perf_counter()
        for plain in contents:
            vault.put([plain], limit_bytes=size)
        print(f"| Vault.put of {size >> 10} KiB that is there already | {count / (time.perf_counter() - start):,.0f} |")
    start = time.perf_counter()
    for sha256 in sealed:
        vault.erase(sha256)
    print(f"| Vault.erase | {len(sealed) / (time.perf_counter() - start):,.0f} |")
    key, text = InstanceKey(os.urandom(32)), "made-up words of a report " * 20
    rounds = 5000
    taken = best_of(lambda: [unseal_text(seal_text(text, key, b"row"), key, b"row") for _ in range(rounds)])
    print(f"| seal_text and unseal_text of 520 characters | {rounds / taken:,.0f} |")


def main() -> None:
    print("## The vault: sealing\n")
    with tempfile.TemporaryDirectory() as folder:
        vault = open_vault(Path(folder) / "vault", InstanceKey(os.urandom(32)), Path(folder) / "apart" / "list")
        measure_bytes(vault)
        measure_files(vault)


if __name__ == "__main__":
    main()
