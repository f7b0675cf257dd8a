"""Checks a custody chain or an exhibit offline. Writes nothing, opens no network, needs Python >= 3.9 and no package.

This one file is both the reading half of `leadline.custody` and the verify.py inside every exhibit:
    python3 -I verify.py [PATH...] [--key FILE|HEX] [--anchor FILE] [--json]
Exit codes: 0 all well, 1 nothing to check, 2 wrong use, 4 found wrong.
A custody line is JSON in the form of RFC 8785. Its hash binds its number, the hash before it and the hash of its
body; so a line whose body is withheld still binds every line before it, and a random salt keeps the body unguessable.
Whose timestamps they are is checked by `leadline verify --root` or by openssl, not here.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

GENESIS = "0" * 64  # what stands before line 1
BODY_MARK, LINE_MARK = b"leadline custody body 1\n", b"leadline custody line 1\n"
ANCHOR_MARK, EXHIBIT_MARK = b"leadline custody anchor 1\n", b"leadline custody exhibit 1\n"
MAX_LINE_BYTES, MAX_FILE_BYTES = 1 << 16, 1 << 26  # of one line; of one manifest or statement
MAX_NUMBER = 2**53 - 1  # RFC 8785 Appendix B: larger integers are not exact in JSON
CODE, ID = re.compile(r"[a-z][a-z0-9.-]{0,63}"), re.compile(r"[A-Za-z0-9._:-]{1,128}")
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")  # of a field in `details`
HASH, SALT, SIGNATURE = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{128}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
BODY_FIELDS: Mapping[str, re.Pattern[str]] = {
    "act": CODE, "actor": ID, "at": TIME, "object_id": ID, "object_kind": CODE, "reason": CODE, "salt": SALT,
}  # fmt: skip
SHOWN_FIELDS = frozenset({*BODY_FIELDS, "details", "hash", "line", "previous_hash"})
WITHHELD_FIELDS = frozenset({"body_hash", "hash", "line"})
ANCHOR_FIELDS: Mapping[str, re.Pattern[str]] = {
    "at": TIME, "chain": ID, "head": HASH, "key": HASH, "signature": SIGNATURE,
}  # fmt: skip
EXHIBIT_FIELDS: Mapping[str, re.Pattern[str]] = {**ANCHOR_FIELDS, "exhibit": ID, "manifest_sha512": SIGNATURE}
MANIFESTS = ("manifest-sha256.txt", "manifest-sha512.txt", "tagmanifest-sha256.txt", "tagmanifest-sha512.txt")
# The imprint of RFC 3161 as DER: the name of SHA-256, -384 or -512, perhaps NULL, and the length of the digest
_IMPRINT = re.compile(rb"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02[\x01-\x03](?:\x05\x00)?\x04([\x20\x30\x40])")
_PEM_KEY = re.compile(rb"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")
_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before the 32 bytes of the key


class Malformed(ValueError):
    """Says what is not as it has to be; never quotes a value."""


# --- lines -----------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One line of a chain as read; `previous_hash` and `at` are empty where the body is withheld.

    `asset` and `sha256`: of a line about an asset that says, in its details or by its id, which file that is.
    """

    number: int
    hash: str
    body_hash: str
    previous_hash: str
    at: str
    asset: str = ""
    sha256: str = ""


def encode_json(value: Any) -> bytes:
    """RFC 8785 bytes of what a chain may hold: integers, plain strings, and names of fields in ASCII."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def parse_json(untrusted: bytes) -> Any:
    """The value behind canonical bytes; any other spelling of the same value is refused, double names with it."""
    try:
        value = json.loads(untrusted.decode("utf-8"), parse_float=_refuse, parse_constant=_refuse)
        same = encode_json(value) == untrusted
    except (ValueError, RecursionError):
        raise Malformed("no JSON that may stand here") from None
    if not same:
        raise Malformed("JSON that is not in canonical form")
    return value


def _refuse(text: str) -> None:
    raise ValueError  # a fraction, NaN or Infinity


def check_number(value: object, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= MAX_NUMBER:
        raise Malformed("line is no number from 1")
    return value


def check_text(name: str, value: object, form: re.Pattern[str]) -> str:
    """The value, where it has the form its field asks for."""
    if not isinstance(value, str) or not form.fullmatch(value):
        raise Malformed(f"{name} has not the form it must have")
    if form is TIME:
        try:
            datetime.fromisoformat(value[:-1] + "+00:00")
        except ValueError:
            raise Malformed(f"{name} is no time") from None
    return value


def check_body(body: Mapping[str, Any]) -> None:
    """Raises Malformed unless every field holds ids, codes, numbers and times only: no text can enter a chain."""
    for name, form in BODY_FIELDS.items():
        check_text(name, body.get(name), form)
    details = body.get("details")
    if not isinstance(details, dict):
        raise Malformed("details is no object")
    for name, value in details.items():
        check_text("a name in details", name, NAME)
        for one in value if isinstance(value, list) else [value]:
            _check_detail(one)


def _check_detail(value: object) -> None:
    if isinstance(value, str):
        check_text("a value in details", value, ID)
    elif not isinstance(value, bool) and (type(value) is not int or abs(value) > MAX_NUMBER):
        raise Malformed("a value in details is no id, whole number, yes or no")


def hash_body(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(BODY_MARK + encode_json(body)).hexdigest()


def hash_line(number: int, previous_hash: str, body_hash: str) -> str:
    bound = {"body_hash": body_hash, "line": number, "previous_hash": previous_hash}
    return hashlib.sha256(LINE_MARK + encode_json(bound)).hexdigest()


def read_line(untrusted: bytes) -> Line:
    """One line without its line feed. Raises Malformed; whether the hash is right is `check_chain`'s question."""
    value = parse_json(untrusted)
    names = frozenset(value) if isinstance(value, dict) else frozenset()
    if names not in (SHOWN_FIELDS, WITHHELD_FIELDS):
        raise Malformed("fields missing or not known")
    number, own_hash = check_number(value["line"]), check_text("hash", value["hash"], HASH)
    if names == WITHHELD_FIELDS:
        return Line(number, own_hash, check_text("body_hash", value["body_hash"], HASH), "", "")
    previous_hash = check_text("previous_hash", value["previous_hash"], HASH)
    body = {name: value[name] for name in (*BODY_FIELDS, "details")}
    check_body(body)
    return Line(number, own_hash, hash_body(body), previous_hash, body["at"], *named_file(body))


def named_file(body: Mapping[str, Any]) -> tuple[str, str]:
    """(asset id, SHA-256) where a checked body says which file its asset is, else two empty texts."""
    named = body["details"].get("sha256", body["object_id"])
    if body["object_kind"] != "asset" or not isinstance(named, str) or not HASH.fullmatch(named):
        return "", ""
    return body["object_id"], named


def read_lines(untrusted_stream: BinaryIO) -> Iterator[bytes]:
    """Lines without their line feeds; one that is too long is cut, so it is found malformed and memory is bounded."""
    while line := untrusted_stream.readline(MAX_LINE_BYTES + 1):
        yield line[:-1] if line.endswith(b"\n") else line + b"\0"  # a last line cut short is no line


# --- the chain -------------------------------------------------------------------------------------------------------


class ChainFault(NamedTuple):
    """The first wrong line. `code`: malformed, gap, order, duplicate, link, hash."""

    line: int
    code: str
    what: str


@dataclass
class Chain:
    """What a walk found. `last` and `head` are of the last line that holds; `heads` of the lines asked for."""

    last: int = 0
    head: str = GENESIS
    shown: int = 0
    withheld: int = 0
    back_steps: int = 0
    first_back_step: int = 0
    latest: str = ""
    heads: dict[int, str] = field(default_factory=dict)
    named: dict[str, set[str]] = field(default_factory=dict)  # asset asked for -> SHA-256 that its shown lines say
    fault: ChainFault | None = None


def check_chain(
    untrusted_lines: Iterable[bytes],
    wanted: Collection[int] = (),
    start: tuple[int, str] = (0, GENESIS),
    assets: Collection[str] = (),
) -> Chain:
    """Walk the lines up to the first wrong one. `start`: number and hash of a line already known to be right.

    `wanted`: lines whose hash is asked for; `assets`: ids of which it is asked what file the lines say they are.
    A time before an earlier one is counted, not a fault: clocks are set back, and the order is proven without them."""
    chain = Chain(*start)
    for untrusted in untrusted_lines:
        try:
            line = read_line(untrusted)
        except Malformed as error:
            chain.fault = ChainFault(chain.last + 1, "malformed", str(error))
            return chain
        chain.fault = _find_fault(chain, line)
        if chain.fault is not None:
            return chain
        _step(chain, line)
        if line.number in wanted:
            chain.heads[line.number] = line.hash
        if line.asset in assets:
            chain.named.setdefault(line.asset, set()).add(line.sha256)
    return chain


def _find_fault(chain: Chain, line: Line) -> ChainFault | None:
    here, last = chain.last + 1, chain.last
    if line.number > here:
        return ChainFault(here, "gap", f"line {line.number} stands where line {here} has to stand")
    if line.number == last:
        return ChainFault(here, "duplicate", f"line {last} stands here a second time")
    if line.number < last:
        return ChainFault(here, "order", f"line {line.number} stands here, after line {last}")
    if line.previous_hash not in ("", chain.head):
        return ChainFault(here, "link", "does not follow from the line before: one of the two was changed")
    if line.hash != hash_line(line.number, chain.head, line.body_hash):
        return ChainFault(here, "hash", "its hash does not fit what it says")
    return None


def _step(chain: Chain, line: Line) -> None:
    chain.last, chain.head = line.number, line.hash
    if not line.at:
        chain.withheld += 1
        return
    chain.shown += 1
    if line.at < chain.latest:
        chain.back_steps += 1
        chain.first_back_step = chain.first_back_step or line.number
    chain.latest = max(chain.latest, line.at)


# --- signatures: Ed25519 as in RFC 8032, section 6, checking only ----------------------------------------------------

_P, _Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)  # a square root of -1
_Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z


def _add(a: _Point, b: _Point) -> _Point:
    low, high = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    c, d = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(number: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _add(total, point)
        point, number = _add(point, point), number >> 1
    return total


def _decompress(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _P - x
    return x, y, 1, x * y % _P


_BASE = _decompress(bytes.fromhex("58" + "66" * 31))


@functools.lru_cache(maxsize=10_000)  # to check one takes milliseconds, and an office of years has an anchor a day
def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64 bytes are this key's (32 bytes) Ed25519 signature of the message."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, nonce, number = _decompress(public_key), _decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or _BASE is None or number >= _Q:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _Q
    left, right = _multiply(number, _BASE), _add(nonce, _multiply(challenge, key))
    return not ((left[0] * right[2] - right[0] * left[2]) % _P or (left[1] * right[2] - right[1] * left[2]) % _P)


def read_statement(untrusted: bytes, mark: bytes, fields: Mapping[str, re.Pattern[str]]) -> dict[str, Any]:
    """A signed statement (an anchor, an exhibit's signature). Raises Malformed, also where the signature is wrong."""
    value = parse_json(untrusted.rstrip(b"\r\n"))  # mail and editors add a line's end
    if not isinstance(value, dict) or set(value) != {*fields, "line"}:
        raise Malformed("fields missing or not known")
    check_number(value["line"])
    for name, form in fields.items():
        check_text(name, value[name], form)
    said = mark + encode_json({name: value[name] for name in value if name != "signature"})
    if not is_signed(bytes.fromhex(value["key"]), said, bytes.fromhex(value["signature"])):
        raise Malformed("its signature is wrong")
    return value


def read_anchor(untrusted: bytes) -> dict[str, Any]:
    return read_statement(untrusted, ANCHOR_MARK, ANCHOR_FIELDS)


# --- what was found --------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """`line` is 0 where the fault is not one of a line; `where` names a file, as text that is safe to show."""

    code: str
    where: str
    line: int
    what: str


class Proof(NamedTuple):
    """The chain up to `line` is what `by` vouches for."""

    line: int
    by: str
    key: str = ""  # where `by` is one the checker named


class Given(NamedTuple):
    """An anchor and where it is from; `handed`: by the person who checks, not by the exhibit. `line`: once it holds."""

    where: str
    data: bytes
    handed: bool
    line: int = 0


class Stamp(NamedTuple):
    """A timestamp, the bytes it is over, and the line of the anchor these are; who signed it is not checked here."""

    where: str
    token: bytes
    message: bytes
    line: int


@dataclass
class Result:
    """All that one path showed. `ok` where nothing is wrong; that is not yet `anchored`."""

    path: str
    kind: str = "chain"
    chain: Chain = field(default_factory=Chain)
    files: int = 0
    is_signed: bool = False  # the exhibit, by whatever key
    signed_by: str = ""  # a key that the checker named
    faults: list[Fault] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    anchors: list[Given] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def first_wrong_line(self) -> int:
        return min((fault.line for fault in self.faults if fault.line), default=0)

    @property
    def anchored(self) -> Proof:
        """Up to the highest line, and by everyone who vouches for that one; line 0 where nobody does."""
        line = max((proof.line for proof in self.proofs), default=0)
        return Proof(line, " and ".join(dict.fromkeys(proof.by for proof in self.proofs if proof.line == line)))

    def blame(self, code: str, where: str, what: str, line: int = 0) -> None:
        self.faults.append(Fault(code, where, line, what))


def show_text(untrusted: object) -> str:
    """Text with nothing that breaks a line, turns it round or drives a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(untrusted))


def describe(result: Result) -> list[str]:
    """The lines that people read."""
    chain, anchored = result.chain, result.anchored
    parts = f", {chain.shown} shown, {chain.withheld} withheld" if chain.withheld else ""
    files = f"; {result.files} files" if result.kind == "exhibit" else ""
    told = [f"{show_text(result.path)}: {result.kind}, {chain.last} lines hold{parts}{files}"]
    for fault in result.faults:
        place = f"line {fault.line} of {fault.where}" if fault.line else fault.where
        told.append(f"  WRONG {place}: {fault.what}")
    told.append(f"  anchored up to {anchored.line} by {anchored.by}" if anchored.line else "  not anchored")
    if result.kind == "exhibit":
        told.append(f"  exhibit signed by {result.signed_by or 'no key you named'}")
    told += [f"  note: {note}" for note in result.notes]
    return [*told, f"  {_verdict(result)}"]


def _verdict(result: Result) -> str:
    if not result.ok:
        return "FOUND WRONG"
    if result.kind != "exhibit" or result.signed_by:
        return "all well"
    if not result.is_signed:
        return "NOT SIGNED: it fits itself, and everything under data/ may have been changed"
    return "it fits itself; whose it is, you know once you name the organisation's key: --key"


def make_record(result: Result) -> dict[str, Any]:
    """The same for machines."""
    chain, anchored = result.chain, result.anchored
    return {
        "path": show_text(result.path), "kind": result.kind, "ok": result.ok,
        "lines": chain.last, "head": chain.head, "shown": chain.shown, "withheld": chain.withheld,
        "first_wrong_line": result.first_wrong_line or None, "faults": [fault._asdict() for fault in result.faults],
        "anchored_up_to": anchored.line, "anchored_by": anchored.by or None, "signed_by": result.signed_by or None,
        "signed": result.is_signed if result.kind == "exhibit" else None,
        "notes": result.notes, "files": result.files,
    }  # fmt: skip


# --- checking a path -------------------------------------------------------------------------------------------------


def check_path(path: Path, keys: Mapping[str, str], handed: Sequence[Given] = ()) -> Result:
    """A chain (a file of lines) or an exhibit (a folder).

    `keys`: public key as 64 hex digits -> how the person who named it calls it. Where any is named, an exhibit has to
    be signed by one of them, and so does an anchor of a chain. Raises OSError, and Malformed where there is nothing to
    check.
    """
    result = Result(str(path))
    if path.is_dir():
        if not (path / "bagit.txt").is_file():
            raise Malformed("this folder is no exhibit: it has no bagit.txt")
        result.kind = "exhibit"
        try:
            _check_exhibit(result, path, keys, handed)
        except Malformed as error:
            result.blame("bag", show_text(path.name), str(error))
    else:
        _check_lines(result, path, show_text(path.name), handed, keys, Asked())
    if keys and result.kind == "exhibit" and not result.signed_by:
        # Anchors alone vouch for the chain, not for what else lies under data/: that only the exhibit's own does.
        what = "the exhibit itself is not signed by a key you named, so anybody may have made or changed it"
        result.blame("signature", "signature.json", what)
    if keys and not result.signed_by and not any(proof.key for proof in result.proofs):
        result.blame("key", "signatures", "nothing here that holds is signed by a key you named")
    chain = result.chain
    if chain.back_steps:
        result.notes.append(f"{chain.back_steps} times a clock went back, first at line {chain.first_back_step}")
    return result


@dataclass(frozen=True)
class Asked:
    """What an exhibit says of itself, and its chain is held against. `at`: when it was made, by what it says."""

    chain: str = ""
    at: str = ""
    assets: Collection[str] = ()


def _check_lines(
    result: Result, path: Path, where: str, given: Sequence[Given], keys: Mapping[str, str], asked: Asked
) -> None:
    with path.open("rb") as stream:
        if stream.read(4) == b"PK\x03\x04":
            raise Malformed("this is a zip: unpack it first, then name the folder")
        stream.seek(0)
        check_lines(result, read_lines(stream), where, given, keys, asked)


def check_lines(
    result: Result,
    untrusted_lines: Iterable[bytes],
    where: str,
    given: Sequence[Given],
    keys: Mapping[str, str],
    asked: Asked,
) -> None:
    """Walk the lines, which have no line feeds, and hold the anchors against them. Malformed where there are none."""
    anchors = []
    for one in given:
        try:
            anchors.append((one, read_anchor(one.data)))
        except Malformed as error:
            result.blame("anchor", one.where, f"no anchor: {error}")
    wanted = {anchor["line"] for _, anchor in anchors}
    chain = result.chain = check_chain(untrusted_lines, wanted, assets=asked.assets)
    if not chain.last and not chain.fault and not anchors:
        raise Malformed("no lines")
    if chain.fault is not None:
        result.blame(chain.fault.code, where, chain.fault.what, chain.fault.line)
    made_at = max([asked.at, chain.latest, *(anchor["at"] for one, anchor in anchors if not one.handed)])
    for one, anchor in sorted(anchors, key=lambda pair: int(pair[1]["line"])):
        _weigh(result, one, anchor, keys, asked, made_at)


def _weigh(
    result: Result, given: Given, anchor: Mapping[str, Any], keys: Mapping[str, str], asked: Asked, made_at: str
) -> None:
    """What one anchor says of the chain: a proof, a fault or nothing. `made_at`: the exhibit is not older than that."""
    chain, line = result.chain, anchor["line"]
    if asked.chain and anchor["chain"] != asked.chain:
        result.blame("anchor", given.where, "is an anchor of another chain")
    elif line > chain.last:
        told = f"shows line {line}, but only {chain.last} lines are here that hold"
        is_later = given.handed and result.kind == "exhibit" and anchor["at"] > made_at
        if chain.fault is not None or is_later:
            result.notes.append(f"{given.where} {told}: it says nothing of these")
        else:
            result.blame("cut", given.where, f"{told}: lines were cut off, or this is an older copy", chain.last + 1)
    elif chain.heads[line] != anchor["head"]:
        after = max((proof.line for proof in result.proofs), default=0)
        what = f"shows another hash for line {line}: of lines {after + 1} to {line} some or all were rewritten"
        result.blame("rewritten", given.where, what, line)
    else:
        result.anchors.append(given._replace(line=line))
        _count(result, given, anchor, keys)


def _count(result: Result, given: Given, anchor: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    """What an anchor that fits the chain is worth: that depends on who is known to have signed or kept it."""
    line, key = anchor["line"], anchor["key"]
    if key in keys:
        result.proofs.append(Proof(line, f"key {key}{keys[key]}", key))
    elif given.handed and not keys:
        result.proofs.append(Proof(line, f"your copy {given.where}, signed by key {key}"))
    else:
        result.notes.append(f"{given.where} is signed by a key you did not name, so it proves nothing: {key}")


def _check_exhibit(result: Result, root: Path, keys: Mapping[str, str], handed: Sequence[Given]) -> None:
    if not _check_bag(result, root):
        return
    said = _read_facts(root / "data" / "exhibit.json")
    inside = [Given(f"data/anchors/{show_text(p.name)}", _read(p), False) for p in _list(root / "data" / "anchors")]
    custody = root / "data" / "custody.jsonl"
    if not custody.is_file():
        raise Malformed("data/custody.jsonl is missing")
    assets = _read_assets(root / "data" / "assets.json")
    asked = Asked(said["chain"], said["at"], {asset for asset, _, _ in assets})
    _check_lines(result, custody, "data/custody.jsonl", [*inside, *handed], keys, asked)
    _check_assets(result, root, assets)
    chain, line = result.chain, said["line"]
    if chain.fault is None and (chain.last, chain.head) != (line, said["head"]):
        what = f"the exhibit says that the chain ends at line {line}, or with another hash"
        result.blame("cut", "data/custody.jsonl", what, min(chain.last + 1, line))
    _check_signature(result, root, keys, said)
    tokens = _list(root / "data" / "timestamps")
    match_stamps(result, [(f"data/timestamps/{show_text(path.name)}", _read(path)) for path in tokens])


def _read_facts(path: Path) -> dict[str, Any]:
    """The fields of exhibit.json that the chain and the signature are held against."""
    try:
        facts = json.loads(_read(path))
        texts = {name: check_text(name, facts[name], EXHIBIT_FIELDS[name]) for name in ("chain", "exhibit", "head")}
        return {"line": check_number(facts["line"]), "at": check_text("at", facts["created_at"], TIME), **texts}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("data/exhibit.json is missing or malformed") from None


def _read_assets(path: Path) -> list[tuple[str, str, str]]:
    """(id, SHA-256, name of the enclosed file or nothing) of each asset that the exhibit says it is about."""
    try:
        return [
            (
                check_text("asset", one["asset"], ID),
                check_text("sha256", one["hashes"]["sha256"], HASH),
                check_text("file", one["file"], re.compile(r"(data/assets/[0-9a-f]{64}\.age)?")),
            )
            for one in json.loads(_read(path))
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("data/assets.json is missing or malformed") from None


def _check_assets(result: Result, root: Path, assets: Sequence[tuple[str, str, str]]) -> None:
    """The chain has to say of each asset which file it is; and what is enclosed has to be one of these."""
    for asset, sha256, file in assets:
        if result.chain.named.get(asset) != {sha256} and result.chain.fault is None:
            result.blame("asset", "data/assets.json", f"no shown line says that {asset} is the file with this SHA-256")
        if file not in ("", f"data/assets/{sha256}.age"):
            result.blame("asset", "data/assets.json", f"{asset} names the enclosed file of another asset")
    enclosed = {f"data/assets/{path.name}" for path in _list(root / "data" / "assets")}
    for name in sorted(enclosed ^ {file for _, _, file in assets if file}):
        what = "is enclosed, but of no asset of data/assets.json" if name in enclosed else "is not enclosed"
        result.blame("asset", show_text(name), what)


def _check_signature(result: Result, root: Path, keys: Mapping[str, str], said: Mapping[str, Any]) -> None:
    if not (root / "signature.json").is_file():
        result.notes.append("the exhibit is not signed")
        return
    try:
        signed = read_statement(_read(root / "signature.json"), EXHIBIT_MARK, EXHIBIT_FIELDS)
    except Malformed as error:
        result.blame("signature", "signature.json", str(error))
        return
    manifest = hashlib.sha512(_read(root / "manifest-sha512.txt")).hexdigest()
    if manifest != signed["manifest_sha512"] or any(signed[name] != said[name] for name in said):
        result.blame("signature", "signature.json", "is of another exhibit, or the exhibit was changed after it")
        return
    result.is_signed = True
    if signed["key"] in keys:
        result.signed_by = f"key {signed['key']}{keys[signed['key']]}"
    else:
        result.notes.append(f"the exhibit is signed by a key you did not name, so it proves nothing: {signed['key']}")


def match_stamps(result: Result, untrusted_tokens: Iterable[tuple[str, bytes]]) -> None:
    """Find the anchor that each timestamp is over. Which authority signed it, if any, is not looked at here."""
    for where, token in untrusted_tokens:
        position = find_stamped(token, [anchor.data for anchor in result.anchors])
        if position is None:
            result.blame("timestamp", where, "is not over an anchor that fits this chain")
        else:
            anchor = result.anchors[position]
            result.stamps.append(Stamp(where, token, anchor.data, anchor.line))


def find_stamped(untrusted_token: bytes, messages: Sequence[bytes]) -> int | None:
    """Which message the timestamp is over: its digest stands in the token in plain bytes."""
    found = _IMPRINT.finditer(untrusted_token)
    digests = {untrusted_token[one.end() : one.end() + one.group(1)[0]] for one in found}
    for position, message in enumerate(messages):
        if any(hashlib.new(name, message).digest() in digests for name in ("sha256", "sha384", "sha512")):
            return position
    return None


# --- the bag (RFC 8493) ----------------------------------------------------------------------------------------------


def _check_bag(result: Result, root: Path) -> bool:
    """Whether the folder may be read further: not where links could lead out of it."""
    present = _walk(result, root)
    if result.faults:
        return False
    if not _read(root / "bagit.txt").startswith(b"BagIt-Version: 1.0\n"):
        result.blame("bag", "bagit.txt", "is not of BagIt 1.0")
    result.files = len(present)
    sums = {path: _hash(root / path) for path in sorted(present)}
    for name in MANIFESTS:
        if name not in present:
            result.blame("bag", name, "missing")
            continue
        inside = not name.startswith("tag")
        expected = {p for p in present if p.startswith("data/") is inside and not p.startswith("tagmanifest-")}
        algorithm = 1 if name.endswith("-sha512.txt") else 0
        listed = _read_manifest(result, root / name)
        _check_manifest(result, name, listed, {path: sums[path][algorithm] for path in expected})
    return (root / "manifest-sha512.txt").is_file()


def _check_manifest(result: Result, name: str, listed: Mapping[str, str], sums: Mapping[str, str]) -> None:
    """`sums`: of the files that this manifest has to list, as they are."""
    for path in sorted(set(sums) - set(listed)):
        result.blame("bag", show_text(path), f"is not in {name}")
    for path in sorted(listed):
        if path not in sums:
            result.blame("bag", show_text(path), f"is in {name}, but not there")
        elif sums[path] != listed[path]:
            result.blame("bag", show_text(path), f"is not what {name} says: it was changed or damaged")


def _read_manifest(result: Result, path: Path) -> dict[str, str]:
    listed: dict[str, str] = {}
    for number, line in enumerate(_read(path).decode("utf-8", "surrogateescape").rstrip("\n").split("\n"), 1):
        digits, _, name = line.partition("  ")
        if re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", digits) and name not in listed:
            listed[name] = digits
        else:
            result.blame("bag", path.name, f"entry {number} is malformed or stands there twice")
    return listed


def _walk(result: Result, root: Path) -> set[str]:
    """Every ordinary file below the folder; anything else (a link, a device) is a fault and never opened."""
    found = set()
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            shown = path.relative_to(root).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                result.blame("bag", show_text(shown), "is no ordinary file: not opened")
            elif name in files:
                found.add(shown)
    return found


def _hash(path: Path) -> tuple[str, str]:
    sums = hashlib.sha256(), hashlib.sha512()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            for one in sums:
                one.update(chunk)
    return sums[0].hexdigest(), sums[1].hexdigest()


def _read(path: Path) -> bytes:
    if path.is_symlink():
        raise Malformed(f"{show_text(path.name)} is a link")
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise Malformed(f"{show_text(path.name)} is too large")
    return data


def _list(folder: Path) -> list[Path]:
    """The files in a folder of the bag; Malformed where it holds anything else, for no bag of ours does."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in found:
        if not path.is_file():
            raise Malformed(f"{folder.name}/{show_text(path.name)} is no file: it has no place here")
    return found


# --- the command -----------------------------------------------------------------------------------------------------


def read_key(untrusted: str) -> tuple[str, str]:
    """(64 hex digits, what to show beside them) of a key given as digits, or as a file with digits or PEM."""
    if HASH.fullmatch(untrusted.lower()):
        return untrusted.lower(), ""
    path = Path(untrusted)
    data = _read(path).strip()
    pem = _PEM_KEY.search(data)
    try:
        raw = base64.b64decode(b"".join(pem.group(1).split()), validate=True) if pem else b""
    except binascii.Error:
        raw = b""
    digits = raw[12:].hex() if raw.startswith(_ED25519_PREFIX) else data.decode("ascii", "replace").lower()
    if not HASH.fullmatch(digits):
        raise Malformed("no Ed25519 public key: 64 hex digits or PEM")
    return digits, f" ({show_text(path.name)})"


def read_handed(paths: Sequence[str]) -> list[Given]:
    """Anchors that the person who checks brought along."""
    return [Given(show_text(Path(path).name), _read(Path(path)), True) for path in paths]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Checks a custody chain or an exhibit, offline.")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="chain file or exhibit folder (default: this folder)")
    parser.add_argument("--key", action="append", default=[], metavar="FILE|HEX", help="public key known to be genuine")
    parser.add_argument("--anchor", action="append", default=[], metavar="FILE", help="anchor you got another way")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    asked = parser.parse_args(arguments)
    code = 0
    for path in asked.paths or [str(Path(__file__).parent)]:
        try:
            result = check_path(Path(path), dict(map(read_key, asked.key)), read_handed(asked.anchor))
        except (OSError, Malformed) as error:
            what = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
            sys.stderr.write(f"verify.py: {show_text(what)} ({show_text(path)})\n")
            code = code or 1
            continue
        if result.stamps:
            result.notes.append(f"{len(result.stamps)} timestamps: README.txt says how to check whose they are")
        lines = [json.dumps(make_record(result))] if asked.json else describe(result)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        code = 4 if not result.ok else code
    return code


if __name__ == "__main__":
    sys.exit(main())
