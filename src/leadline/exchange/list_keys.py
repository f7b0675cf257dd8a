"""Keys of a list whose records have none, or one twice: stable, and none of them lost. Reads no list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from leadline.domain import EXACT_ALGORITHMS, Entry
from leadline.exchange.connector import MAX_KEY_CHARS

_ORDER = (*sorted(EXACT_ALGORITHMS, reverse=True), "pdq")  # sha256, sha1, md5, pdq
_SUFFIX_DIGITS = 16
_Hashes = npt.NDArray[np.int64]


def key_of(entry: Entry) -> str:
    """The list's own id of it, or its strongest hash with the kind of hash before it."""
    if entry.source_id:
        return key_of_id(entry.source_id)
    names = [name for name in _ORDER if name in entry.fingerprints] or sorted(entry.fingerprints)
    digest = entry.fingerprints[names[0]]
    return f"{names[0]}:{digest.hex() if len(digest) <= 32 else hashlib.sha256(digest).hexdigest()}"


def key_of_id(given: str) -> str:
    """The list's own id of a record; its digest where it is too long, or holds what is not printed."""
    if given.isprintable() and len(given) <= MAX_KEY_CHARS - _SUFFIX_DIGITS - 1:
        return given
    return f"id:{hashlib.sha256(given.encode('utf-8', 'surrogatepass')).hexdigest()}"


class Keys:
    """Makes keys of one telling different from each other: several records with one key stay several.

    It remembers 64 bits of each: 16 bytes a record. Where two that differ share them, the later one has a longer key
    than it needs, which loses nothing.
    """

    def __init__(self) -> None:
        self._levels: list[_Hashes] = []

    def make_distinct(self, pairs: Sequence[tuple[str, bytes]]) -> list[str]:
        """(key, digest) of records in their order -> keys; the same key for the same record told again."""
        if not pairs:
            return []
        ours = np.array([hash(key) for key, _ in pairs], np.int64)
        whole = np.array([hash(pair) for pair in pairs], np.int64)
        key_before, pair_before = self._holds(ours), self._holds(whole)
        first: dict[str, bytes] = {}
        made, is_new = [], []
        for (key, digest), was_told, was_same in zip(pairs, key_before.tolist(), pair_before.tolist(), strict=True):
            is_first = was_same if was_told else first.setdefault(key, digest) == digest
            is_new.append(is_first and not was_told)
            made.append(key if is_first else f"{key}#{digest.hex()[:_SUFFIX_DIGITS]}")
        self._remember(np.concatenate([ours[is_new], whole[is_new]]))
        return made

    def _holds(self, hashes: _Hashes) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(hashes), bool)
        for level in self._levels:
            at = np.minimum(np.searchsorted(level, hashes), len(level) - 1)
            found |= level[at] == hashes
        return found

    def _remember(self, hashes: _Hashes) -> None:
        """Sorted, in levels each at least twice as large as the one after it: all are merged a few times only."""
        merged = np.sort(hashes)
        while self._levels and len(self._levels[-1]) < 2 * len(merged):
            merged = np.concatenate([self._levels.pop(), merged])
            merged.sort(kind="stable")  # two runs: merged, not sorted anew
        if len(merged):
            self._levels.append(merged)
