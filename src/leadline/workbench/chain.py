"""The office's own chain: as a file for whoever checks it, and checked here by the walk that an expert's copy gets."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from leadline.custody import verify
from leadline.custody.chain import encode_line
from leadline.custody.timestamps import load_roots, prove_stamps
from leadline.errors import ChainBroken, CustodyFormatError
from leadline.workbench import sealing
from leadline.workbench.journal.actions import event_of
from leadline.workbench.journal.models import Anchor, Line

_AT_ONCE = 2000
_WHERE = "journal"
PARTNER = "partner:"  # before an address, among the ways an anchor left


def lines(up_to: int | None = None) -> Iterator[bytes]:
    """custody.jsonl, line by line; `up_to` bounds it to what stood when it was asked for."""
    rows = Line.objects.order_by("line")
    rows = rows if up_to is None else rows.filter(line__lte=up_to)
    return (encode_line(event_of(row)) for row in rows.iterator(chunk_size=_AT_ONCE))


def proofs() -> Iterator[tuple[str, bytes]]:
    """Names and contents of what is held against the chain: anchors, their timestamps, and the public key."""
    for number, row in enumerate(Anchor.objects.order_by("id").iterator(), 1):
        name = f"{number:06d}-line-{row.line}"
        yield f"anchors/{name}.json", row.statement.encode()
        for position, stamp in enumerate(row.stamps, 1):
            yield f"timestamps/{name}.{position}.tsr", b64decode(stamp["token"])
    yield "key.hex", f"{sealing.signing_key().public_bytes.hex()}\n".encode()


def write_proofs(folder: Path) -> None:
    for name, data in proofs():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def check() -> verify.Result:
    """Walk the chain in the database: each line against its stored hash, all of it against every anchor and stamp.

    Anchors in the drop folder count too: whoever rewrites the database may forget them. One that lies in the gap of a
    restore, which a line tells, is a note.
    """
    result = verify.Result(_WHERE)
    own = verify.Asked(chain=_chain_id())
    given = [verify.Given(f"anchor of line {row.line}", row.statement.encode(), False) for row in _anchors()]
    seen = {one.data for one in given}
    dropped = [one for one in _dropped() if one.data not in seen and not _is_told_gap(one, result)]
    if not (given or dropped or Line.objects.exists()):
        result.notes.append("nothing has happened in this office yet")
        return result
    keys = {sealing.signing_key().public_bytes.hex(): ""}
    verify.check_lines(result, _compared(result), _WHERE, [*given, *dropped], keys, own)
    tokens = [(f"timestamp over line {row.line}", b64decode(one["token"])) for row in _anchors() for one in row.stamps]
    verify.match_stamps(result, tokens)
    if result.stamps and settings.LEADLINE_TIMESTAMP_ROOTS:
        prove_stamps(result, load_roots(Path(settings.LEADLINE_TIMESTAMP_ROOTS).read_bytes()))
    return result


def refuse_broken() -> None:
    """ChainBroken names the first wrong line."""
    result = check()
    if not result.ok:
        line = result.first_wrong_line
        where = f"custody line {line}" if line else result.faults[0].where
        mend = "stop writing; run `leadline journal verify`; call someone"
        raise ChainBroken("the office's chain does not hold", where=where, mend=mend)


def has_left(anchor: Anchor) -> bool:
    """Whether it is out of reach of whoever has this machine: mailed, or dropped on a disk of another."""
    if any(way == "mail" or way.startswith(PARTNER) for way in anchor.left_by):
        return True
    return "drop" in anchor.left_by and is_drop_elsewhere()


def is_drop_elsewhere() -> bool:
    home, drop = Path(settings.LEADLINE_HOME), Path(settings.LEADLINE_ANCHORS)
    try:
        return not drop.resolve().is_relative_to(home.resolve()) and os.stat(drop).st_dev != os.stat(home).st_dev
    except OSError:
        return False


def last_that_left() -> Anchor | None:
    return next((anchor for anchor in Anchor.objects.order_by("-id")[:400] if has_left(anchor)), None)


def _anchors() -> Iterator[Anchor]:
    return Anchor.objects.order_by("id").iterator()


def _chain_id() -> str:
    first = Line.objects.order_by("line").values_list("hash", flat=True).first()
    return f"leadline:{(first or '')[:32]}"


def _compared(result: verify.Result) -> Iterator[bytes]:
    """The lines; where one says another hash than is stored beside it, that is a fault of its own: no other line may
    tell of it, as of the last one."""
    for row in Line.objects.order_by("line").iterator(chunk_size=_AT_ONCE):
        event = event_of(row)
        if event.head.hash != row.hash:
            result.blame("stored", _WHERE, "is not what its stored hash was made of: it was changed", row.line)
        yield encode_line(event).removesuffix(b"\n")


def _dropped() -> Iterator[verify.Given]:
    """Another office may drop its own there. One that we signed is ours, also where a chain was begun anew over it."""
    folder, own_chain = Path(settings.LEADLINE_ANCHORS), _chain_id()
    own_key = sealing.signing_key().public_bytes.hex()
    for path in sorted(folder.glob("[0-9]*.json")) if folder.is_dir() else ():
        data = path.read_bytes()
        try:
            anchor = verify.read_anchor(data)
            if anchor["chain"] == own_chain or anchor["key"] == own_key:
                yield verify.Given(verify.show_text(path.name), data, False)
        except verify.Malformed as error:
            raise CustodyFormatError(f"no anchor: {error}", where=path.name, mend="take it away from there") from None


def _is_told_gap(one: verify.Given, result: verify.Result) -> bool:
    anchor = verify.read_anchor(one.data)
    for row in Line.objects.filter(act="office.restored"):
        told = event_of(row).details
        if int(str(told["line"])) < anchor["line"] <= int(str(told.get("replaced_line", verify.MAX_NUMBER))):
            if anchor["at"] <= row.at:
                result.notes.append(f"{one.where} lies in the gap that line {row.line} tells: a backup was restored")
                return True
    return False
