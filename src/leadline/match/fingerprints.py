"""The plug-in slot for further fingerprint kinds (entry point group `leadline.fingerprints`); ships none.

A licensee adds a kind, such as PhotoDNA, by installing a package whose entry point names an object with the
members of `FingerprintKind`. What a bank holds of a kind that is not installed is kept and said, never compared.
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from leadline.domain import EXACT_ALGORITHMS
from leadline.errors import ConfigError

ENTRY_POINT_GROUP = "leadline.fingerprints"
_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_RESERVED = frozenset({*EXACT_ALGORITHMS, "pdq"})


@runtime_checkable
class FingerprintKind(Protocol):
    """A kind of fingerprint.

    name          1..40 of a-z 0-9 _ -; the key in Entry.fingerprints and ViewHashes.others
    length_bytes  1..4096, the same for every fingerprint
    threshold     two fingerprints match at this distance or below
    """

    name: str
    length_bytes: int
    threshold: float

    def distances(self, query: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distance of `query` (L,) to each row of `table` (N, L): float64 (N,), never NaN."""

    def compute(self, pixels: NDArray[np.uint8]) -> bytes | None:
        """The fingerprint of pixels (H, W) or (H, W, 3); None where the picture bears none."""


def load_kinds() -> dict[str, FingerprintKind]:
    """The installed kinds by name. ConfigError where one does not load or does not keep the contract."""
    kinds: dict[str, FingerprintKind] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            loaded: Any = point.load()
        except Exception as error:  # a plug-in may fail in any way; all of them mean the same here
            raise ConfigError(
                f"fingerprint plug-in does not load: {error}", where=point.name, mend="reinstall or remove it"
            ) from error
        kind = check_kind(loaded() if isinstance(loaded, type) else loaded, point.name)
        if kind.name in kinds:
            raise ConfigError("two plug-ins of one name", where=kind.name, mend="remove one of them")
        kinds[kind.name] = kind
    return kinds


def check_kind(untrusted_kind: Any, where: str) -> FingerprintKind:
    """The object itself, once it is seen to keep the contract. Raises ConfigError."""
    if not isinstance(untrusted_kind, FingerprintKind):
        raise ConfigError("not a fingerprint kind", where=where, mend="it lacks members of FingerprintKind")
    kind = untrusted_kind
    named = isinstance(kind.name, str) and _NAME.fullmatch(kind.name) and kind.name not in _RESERVED
    if not named or not isinstance(kind.length_bytes, int) or not 1 <= kind.length_bytes <= 4096:
        raise ConfigError("name or length of a fingerprint kind is not allowed", where=where)
    return kind
