"""`leadline compare`: two hashes or files held against each other. Asks no bank."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from leadline.cli.config import load_settings
from leadline.cli.options import Digits64, Json, UnsafeDecode
from leadline.cli.output import EXIT_DONE, EXIT_PARTLY, complain, emit, one_line, say, say_isolation
from leadline.domain import DEFAULT_RADIUS_BITS, EXACT_ALGORITHMS, Isolation, PdqFamily, Transform
from leadline.errors import HashFormatError, InputError, LeadlineError
from leadline.exchange.base import HashType, parse_hash
from leadline.match.search import MAX_RADIUS_BITS


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its exact hashes, and the PDQ hashes of its transforms (only the original of a given hash).

    isolation  what it was decoded in; None for a given hash
    """

    name: str
    exact: dict[str, bytes]
    pdq: tuple[bytes, ...]
    isolation: Isolation | None = None
    fault: LeadlineError | None = None


def compare_command(
    a: Annotated[str, typer.Argument(metavar="A", help="A hash or a file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="A hash or a file.")],
    radius: Annotated[
        int, typer.Option("--radius", min=0, max=MAX_RADIUS_BITS, metavar="BITS", help="What counts as near.")
    ] = DEFAULT_RADIUS_BITS,
    json: Json = False,
    hash_type: Digits64 = HashType.BOTH,
    unsafe_decode: UnsafeDecode = False,
) -> int:
    """Compare two hashes, two files, or a hash and a file.

    Exact hashes are equal or not. PDQ hashes have a distance of 0-256 bits; of files the closest of the eight
    turns and mirrorings is taken and named. A name that is both a file and a hash is taken as the file.

    \b
    Examples:
      leadline compare original.jpg copy.png
      leadline compare photo.jpg f8f8f0cc...

    Exit codes: 0 compared (equal or not), 1 the two cannot be compared, 3 a picture could not be decoded.
    """
    left, right = (_side(text, hash_type, unsafe=unsafe_decode) for text in (a, b))
    results = [
        {"algorithm": name, "equal": left.exact[name] == right.exact[name]}
        for name in EXACT_ALGORITHMS
        if name in left.exact and name in right.exact
    ]
    if left.pdq and right.pdq:
        distance, transform = _closest(left, right)
        results.append(
            {"algorithm": "pdq", "distance": distance, "transform": str(transform), "near": distance <= radius}
        )
    if not results:
        raise InputError(
            "nothing in common to compare", where=f"{a}, {b}", mend="give two hashes of one kind, or files"
        )
    if json:
        isolation = {"a": left.isolation, "b": right.isolation}
        emit({"a": left.name, "b": right.name, "radius": radius, "results": results, "isolation": isolation})
    else:
        say(*map(_tell, results))
        say_isolation(left.isolation, right.isolation)
    faults = [side.fault for side in (left, right) if side.fault is not None]
    for fault in faults:
        complain(fault, "leadline compare")
    return EXIT_PARTLY if faults else EXIT_DONE


def _side(text: str, hash_type: HashType, *, unsafe: bool) -> Side:
    if not os.path.lexists(text):
        try:
            found = parse_hash(text, hash_type)
        except HashFormatError:
            raise InputError("neither a file nor a hash", where=text, mend="check the path or the digits") from None
        pdq = (found.pop("pdq"),) if "pdq" in found else ()
        return Side(one_line(text), found, pdq)
    from leadline.cli.files import path_fields
    from leadline.media.client import Sandbox
    from leadline.scan.hashing import FileHasher

    settings = load_settings()
    with Sandbox(settings.limits, unsafe=unsafe) as sandbox:
        hasher = FileHasher(sandbox, families=frozenset({PdqFamily.B}), limits=settings.limits)
        facts = hasher.hash_path(os.fsencode(text))
    if facts.error is not None and not facts.fingerprints.exact:
        raise facts.error
    views = [view.pdq for view in facts.fingerprints.views if view.pdq]
    name = path_fields(os.fsencode(text))["path"]
    return Side(name, dict(facts.fingerprints.exact), views[0] if views else (), facts.isolation, facts.error)


def _closest(left: Side, right: Side) -> tuple[int, Transform]:
    """The transforms of the side that has them, against the original of the other."""
    from leadline.match.pdq import distance_bits

    turned, plain = (left.pdq, right.pdq[0]) if len(left.pdq) >= len(right.pdq) else (right.pdq, left.pdq[0])
    return min(
        ((distance_bits(value, plain), transform) for value, transform in zip(turned, Transform, strict=False)),
        key=lambda pair: pair[0],
    )


def _tell(result: dict[str, object]) -> str:
    if result["algorithm"] != "pdq":
        return f"{result['algorithm']}  {'equal' if result['equal'] else 'different'}"
    turned = "" if result["transform"] == "original" else f", as {result['transform']}"
    return f"pdq  distance {result['distance']} of 256{turned}: {'near' if result['near'] else 'not near'}"
