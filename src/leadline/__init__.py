"""Leadline: recognise known files. The three calls most programs need, imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from leadline.match.bank import Bank
    from leadline.scan.hashing import hash_file as hash_file
    from leadline.scan.run import scan_paths as scan_paths

__version__ = "0.1.0"
__all__ = ["__version__", "hash_file", "open_bank", "scan_paths"]

_HOMES = {"hash_file": "leadline.scan.hashing", "scan_paths": "leadline.scan.run"}


def open_bank(path: str | Path) -> Bank:
    """The bank in the folder `path`. Raises BankNotFound, BankCorrupt."""
    from pathlib import Path

    from leadline.match.bank import Bank

    return Bank.open(Path(path))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'leadline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
