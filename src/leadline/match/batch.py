"""Entries of a bank packed many at a time, column by column; only where nothing among them is amiss.

What it packs is what `Admission` would admit one by one; whoever is told None asks there, and learns why.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from leadline.domain import (
    EMPTY_FILE_DIGESTS,
    EXACT_ALGORITHMS,
    MAX_METADATA_BYTES,
    PDQ_BYTES,
    Entry,
    Kind,
    Tlp,
)
from leadline.errors import LeadlineError
from leadline.match.admission import (
    EMPTY_BLOB,
    MAX_FALSE_POSITIVE_RADIUS_BITS,
    MAX_ID,
    MAX_PRINT_BYTES,
    MAX_TEXT_BYTES,
    MAX_TIME,
    Packed,
    encode_texts,
    texts_of,
)
from leadline.match.fingerprints import FingerprintKind
from leadline.match.records import FAMILY_CODES, KIND_CODES, NO_FAMILY, NO_QUALITY, Detail

_numbers_of = attrgetter(
    "kind", "pdq_family", "quality", "radius_bits", "disabled_until", "added", "id", "fingerprints"
)
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_AMISS = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, msgspec.MsgspecError)
_Prints: TypeAlias = "dict[str, tuple[list[bytes], array[int]]]"  # name -> digests, and the row of each


def pack_entries(
    entries: Sequence[Entry | LeadlineError], kinds: Mapping[str, FingerprintKind], now: int
) -> Packed | None:
    """None where one of them, or anything of one of them, might be refused."""
    if set(map(type, entries)) != {Entry}:
        return None
    try:
        kind, family, quality, radius, disabled, added, ids, fingerprints = zip(*map(_numbers_of, entries), strict=True)
        prints = _packed_prints(fingerprints)
        blobs = _packed_texts(entries)
        if blobs is None or not _are_times(disabled, added) or not _are_sound(prints, kinds):
            return None
        codes = array("B", [KIND_CODES[one] for one in kind])
        families = [FAMILY_CODES[one] for one in family]
        coded = [code if "pdq" in of else NO_FAMILY for code, of in zip(families, fingerprints, strict=True)]
        qualities, radii = _packed_qualities(quality), _packed_radii(kind, radius)
        if qualities is None or radii is None:
            return None
        times = array("q", disabled), array("q", [time or now for time in added])
        wished = array("q", [one if 0 <= (one := each or 0) <= MAX_ID else -1 for each in ids])
    except _AMISS:
        return None
    numbers = (codes, array("B", coded), qualities, radii, *times)
    return Packed(len(entries), numbers, wished, b"".join(blobs), list(accumulate(map(len, blobs))), prints)


def _packed_prints(fingerprints: Sequence[Mapping[str, bytes]]) -> _Prints:
    """KeyError where an entry has none."""
    found: _Prints = {}
    for row, prints in enumerate(fingerprints):
        if not prints:
            raise KeyError
        for name, digest in prints.items():
            column = found.get(name)
            if column is None:
                column = found[name] = ([], array("I"))
            column[0].append(digest)
            column[1].append(row)
    return found


def _are_sound(prints: _Prints, kinds: Mapping[str, FingerprintKind]) -> bool:
    """Names that are known here, with bytes of their length; no hash of the empty file."""
    for name, (digests, _) in prints.items():
        if name in EXACT_ALGORITHMS or name == "pdq":
            length = EXACT_ALGORITHMS.get(name, PDQ_BYTES)
        else:
            length = kinds[name].length_bytes
        if set(map(type, digests)) != {bytes} or set(map(len, digests)) != {length}:
            return False
        if not 0 < length <= MAX_PRINT_BYTES or (
            name in EXACT_ALGORITHMS and not EMPTY_FILE_DIGESTS.isdisjoint(digests)
        ):
            return False
    return True


def _packed_texts(entries: Sequence[Any]) -> list[bytes] | None:
    """The texts of each as a blob that can be read again: each of its type, and encodable."""
    texts = list(map(texts_of, entries))
    columns = dict(zip(Detail.__struct_fields__, zip(*texts, strict=True), strict=True))
    if set(map(type, columns.pop("tlp"))) != {Tlp} or not _are_times(
        columns.pop("first_seen"), columns.pop("last_seen")
    ):
        return None
    if any(set(map(type, column)) != {str} for column in columns.values()):
        return None
    for text in columns["metadata"]:
        if text:
            if 4 * len(text) > MAX_METADATA_BYTES and len(text.encode()) > MAX_METADATA_BYTES:
                return None
            _decode_object(text)
    blobs = [b"" if blob == EMPTY_BLOB else blob for blob in map(encode_texts, texts)]
    return blobs if max(map(len, blobs)) <= MAX_TEXT_BYTES else None


def _are_times(*columns: Sequence[Any]) -> bool:
    return all(set(map(type, times)) == {int} and min(times) >= 0 and max(times) < MAX_TIME for times in columns)


def _packed_qualities(qualities: Sequence[int | None]) -> array[int] | None:
    given = [quality for quality in qualities if quality is not None]
    if given and (set(map(type, given)) != {int} or min(given) < 0 or max(given) > 100):
        return None
    return array("B", [NO_QUALITY if quality is None else quality for quality in qualities])


def _packed_radii(kinds: Sequence[Kind], radii: Sequence[int]) -> array[int] | None:
    if set(map(type, radii)) != {int} or min(radii) < 0 or max(radii) > MAX_FALSE_POSITIVE_RADIUS_BITS:
        return None
    return array("B", [radius if kind == Kind.FALSE_POSITIVE else 0 for kind, radius in zip(kinds, radii, strict=True)])
