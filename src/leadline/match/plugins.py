"""Fingerprints of plug-in kinds against one column, by linear scan; holds the plug-in to its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leadline.errors import ConfigError, HashFormatError
from leadline.match.fingerprints import FingerprintKind
from leadline.match.records import I64, Bools, Records


def find_by_plugin(
    kind: FingerprintKind, records: Records, digest: bytes, blocked: Bools | None
) -> tuple[I64, NDArray[np.float64]]:
    """Rows within the kind's threshold of `digest` and not blocked, and their distances, nearest first.

    ConfigError where the plug-in fails or answers out of contract: a miss must never pass for "no match".
    """
    column = records.prints.get((kind.name, kind.length_bytes))
    if column is None:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    if len(digest) != kind.length_bytes:
        raise HashFormatError(
            f"a hash of {len(digest)} bytes", where=kind.name, mend=f"it has {kind.length_bytes}"
        )
    try:
        distances = np.asarray(
            kind.distances(np.frombuffer(digest, np.uint8), column.values), dtype=np.float64
        )
    except Exception as error:  # a plug-in may fail in any way; all of them mean the same here
        raise ConfigError(f"fingerprint plug-in failed: {error}", where=kind.name) from error
    if distances.shape != (len(column.values),) or bool(np.isnan(distances).any()):
        raise ConfigError("fingerprint plug-in answered out of contract", where=kind.name)
    near = np.flatnonzero(distances <= kind.threshold)
    rows = records.checked_rows(column)[near].astype(np.int64)
    if blocked is not None:
        alive = ~blocked[rows]
        near, rows = near[alive], rows[alive]
    ranked = np.argsort(distances[near], kind="stable")
    return rows[ranked], distances[near][ranked]
