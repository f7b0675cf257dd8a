"""A child that does one act upon a vault and is killed before its Nth act upon the disk; for tests only.

`python killed_vault.py FOLDER ACT FROM TO` forks once for each N, each over a copy of FOLDER, and prints one line of
JSON for each: whether it was killed, and what is there when the vault is opened again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leadline.custody.keys import InstanceKey
from leadline.custody.upkeep import verify_vault
from leadline.custody.vault import Vault, open_vault
from leadline.errors import SealBroken

PLAIN = b"a phrase that must never be found on a disk " * 30_000  # two chunks
OTHER = b"another phrase that stays sealed all the time"
KEY = InstanceKey(bytes(range(32)))
CALLS = ("open", "write", "pwrite", "fsync", "replace", "link", "unlink", "mkdir", "ftruncate")


def open_at(folder: Path) -> Vault:
    return open_vault(folder / "vault", KEY, folder / "apart" / "list")


def put(vault: Vault, plain: bytes = PLAIN, **options: bool) -> str:
    return vault.put([plain], limit_bytes=1 << 30, **options).sha256


def erase(vault: Vault) -> None:
    for sha256 in vault.addresses():
        if vault.size(sha256) == len(PLAIN):
            vault.erase(sha256)


ACTS: dict[str, Callable[[Vault], object]] = {
    "put": put,
    "put again": put,
    "erase": erase,
    "admit": lambda vault: put(vault, allow_erased=True),
    "mend": put,
}


def prepare(folder: Path, act: str) -> None:
    """What is there before the act."""
    vault = open_at(folder)
    put(vault, OTHER)
    if act in ("put again", "erase", "admit", "mend"):
        put(vault)
    if act == "admit":
        erase(vault)
    if act == "mend":
        for blob in (folder / "vault").rglob("*.blob"):
            if blob.stat().st_size > len(PLAIN):
                blob.write_bytes(blob.read_bytes()[:-1])


def count_down(wanted: int) -> None:
    left = [wanted]
    for name in CALLS:
        real = getattr(os, name)

        def counted(*arguments: Any, _real: Any = real, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return _real(*arguments, **options)

        setattr(os, name, counted)


def run_killed(folder: Path, act: str, wanted: int) -> bool:
    """Whether it was killed, and not done before."""
    child = os.fork()
    if child == 0:
        try:
            vault = open_at(folder)
            count_down(wanted)
            ACTS[act](vault)
            os._exit(0)
        except BaseException:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"{act} failed at {wanted}")
    return os.WIFSIGNALED(status)


def look(folder: Path) -> dict[str, object]:
    shown = sum(PLAIN[:44] in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    vault = open_at(folder)
    faults = [fault.kind.value for fault in verify_vault(vault)]
    there = {plain for sha256 in vault.addresses() if (plain := read(vault, sha256)) is not None}
    left = [p.name for p in (folder / "vault" / "incoming").iterdir()]
    left += [stored.name for stored in vault.storage.list("pending/")]
    return {
        "shown": shown, "faults": faults, "left": left, "there": PLAIN in there, "other": OTHER in there,
        "blobs": sum(1 for _ in (folder / "vault").rglob("*.blob")), "files": sum(1 for _ in vault.addresses()),
        "erased": len(vault.erasures.erased()),
    }  # fmt: skip


def read(vault: Vault, sha256: str) -> bytes | None:
    try:
        return b"".join(vault.open(sha256))
    except SealBroken:
        return None


def main(folder: Path, act: str, first: int, last: int) -> None:
    prepare(folder / "before", act)
    for wanted in range(first, last):
        copy = folder / "copy"
        shutil.copytree(folder / "before", copy)
        killed = run_killed(copy, act, wanted)
        print(json.dumps({"killed": killed, **look(copy)}), flush=True)
        shutil.rmtree(copy)
        if not killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
