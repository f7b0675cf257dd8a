"""`leadline verify`: custody chains and exhibits, checked offline. Writes nothing, opens no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.options import Json
from leadline.cli.output import EXIT_DONE, EXIT_NOTHING, EXIT_PARTLY, EXIT_WRONG, complain, emit, one_line, say
from leadline.custody import verify
from leadline.errors import CustodyFormatError, LeadlineError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class _Known:
    """What the person who checks brought along."""

    keys: Mapping[str, str]
    anchors: Sequence[verify.Given]
    stamps: Sequence[tuple[str, bytes]]
    roots: Sequence[Certificate]


def verify_command(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="A custody chain (a file), or an exhibit (its folder).")
    ],
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Public key that you know to be genuine: 64 hex digits, or a file."),
    ] = None,
    anchors: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="FILE", help="Anchor of this chain that you got another way; again for more."),
    ] = None,
    timestamps: Annotated[
        list[str] | None,
        typer.Option("--timestamp", metavar="FILE", help="RFC 3161 timestamp over such an anchor; again for more."),
    ] = None,
    roots: Annotated[
        list[str] | None,
        typer.Option("--root", metavar="FILE", help="PEM root certificates of a timestamp authority that you trust."),
    ] = None,
    json: Json = False,
) -> int:
    """Check custody chains and exhibits, and name the first wrong line.

    Says `anchored up to LINE by WHOM`, or `not anchored`: then the lines fit each other, but nobody vouches that
    they were not all rewritten. Where a key or a root is named, something has to be signed by it. An exhibit's own
    verify.py checks the same without Leadline, but for whose timestamps they are.

    \b
    Examples:
      leadline verify custody.jsonl --key hotline.pem --anchor 2026-01-31-000000000412-hotline.json
      leadline verify exhibit-7 --key hotline.pem --root authority.pem
      leadline verify exhibit-7 exhibit-8 --json

    Exit codes: 0 all well, 1 nothing to check, 3 some paths were nothing to check, 4 found wrong.
    """
    known = _read_known(keys or (), anchors or (), timestamps or (), roots or ())
    done = refused = wrong = 0
    for path in paths:
        try:
            result = _check(path, known)
        except LeadlineError as error:
            refused += 1
            complain(error, path)
            continue
        done, wrong = done + 1, wrong + (not result.ok)
        if json:
            emit(verify.make_record(result))
        else:
            say(*verify.describe(result))
        _tell_faults(result)
    if wrong:
        return EXIT_WRONG
    return EXIT_DONE if not refused else EXIT_PARTLY if done else EXIT_NOTHING


def _check(path: str, known: _Known) -> verify.Result:
    try:
        result = verify.check_path(Path(path), known.keys, known.anchors)
        verify.match_stamps(result, known.stamps)
    except verify.Malformed as error:
        raise CustodyFormatError(str(error), where=path, mend="name a chain's file or an exhibit's folder") from None
    except OSError as error:
        what = (error.strerror or "cannot be read").lower()
        raise CustodyFormatError(what, where=path, mend="check the path and its permissions") from None
    if known.roots:
        from leadline.custody.timestamps import prove_stamps

        prove_stamps(result, known.roots)
    elif result.stamps:
        result.notes.append(f"{len(result.stamps)} timestamps: name their authority's certificate with --root")
    return result


def _tell_faults(result: verify.Result) -> None:
    for fault in result.faults[:1]:
        line = result.first_wrong_line
        what = f"found wrong, first at line {line}" if line else f"found wrong: {fault.what}"
        mend = "keep this copy as it is and ask for another; call someone"
        complain(CustodyFormatError(what, where=one_line(result.path), mend=mend))


def _read_known(keys: Sequence[str], anchors: Sequence[str], timestamps: Sequence[str], roots: Sequence[str]) -> _Known:
    """Raises CustodyFormatError for a key or root that is none; OSError where one cannot be read."""
    named: dict[str, str] = {}
    for key in keys:
        named.update([_read(verify.read_key, key, "public key")])
    certificates: list[Certificate] = []
    if roots:
        from leadline.custody.timestamps import load_roots

        certificates = [one for root in roots for one in load_roots(_read(_read_bytes, root, "root certificate"))]
    stamps = [(one_line(name), _read(_read_bytes, name, "timestamp")) for name in timestamps]
    return _Known(named, _read(verify.read_handed, anchors, "anchor"), stamps, certificates)


def _read_bytes(path: str) -> bytes:
    return verify.read_handed([path])[0].data


def _read(reader: Any, given: Any, name: str) -> Any:
    try:
        return reader(given)
    except verify.Malformed as error:
        raise CustodyFormatError(str(error), where=name, mend=f"name another {name}") from None
