"""Builds an exhibit: a BagIt bag with custody, anchors, timestamps and hashes. Never encloses an asset in clear."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import pyrage

from leadline.custody import verify
from leadline.custody.anchor import Anchor, Sign, encode_anchor, sync_folder
from leadline.custody.bag import BagWriter, HashingFile
from leadline.custody.canonical import encode_canonical
from leadline.custody.case_uco import encode_case
from leadline.custody.chain import START, CustodyEvent, Head, encode_line, encode_withheld
from leadline.custody.facts import AssetFacts, ExhibitFacts
from leadline.custody.report import render_custody
from leadline.errors import ChainBroken, CustodyError, CustodyFormatError, InputError

OpenAsset = Callable[[str], Iterator[bytes]]  # asset id -> its content, in pieces


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What was built. `manifest_sha512` names all its files: fit for the custody line that records the release."""

    folder: Path
    head: Head
    shown: int
    manifest_sha512: str


@dataclass(frozen=True, slots=True)
class _Walked:
    head: Head
    shown: list[CustodyEvent]


def build_exhibit(
    folder: Path,
    facts: ExhibitFacts,
    events: Iterable[CustodyEvent],
    assets: Iterable[AssetFacts],
    *,
    anchors: Sequence[Anchor] = (),
    timestamps: Sequence[bytes] = (),
    recipient: str | None = None,
    open_asset: OpenAsset | None = None,
    sign: Sign | None = None,
    public_key: bytes = b"",
) -> Exhibit:
    """Build the exhibit at `folder`, which must not exist; it appears there complete, or not.

    events       the whole chain in order from line 1; read once, one line at a time
    anchors      of this chain; each has to fit it. `timestamps`: RFC 3161 responses over `encode_anchor` of these
    recipient    age recipient (age1...); only with it are assets enclosed, encrypted to it while they are read, and so
                 are the names they came under (data/names.json.age)
    open_asset   gives an asset's content; checked against its SHA-256 and size
    sign         signs for `public_key` (32 bytes); without it the exhibit is unsigned
    Raises ChainBroken for a chain or anchor that does not hold, CustodyError for an asset that is not what its facts
    say, CustodyFormatError for a recipient that is none, InputError where `folder` exists or is being built, OSError.
    """
    to = _parse_recipient(recipient) if recipient is not None else None
    if to is not None and open_asset is None:
        raise InputError("a recipient, but nothing to enclose", where=facts.exhibit_id, mend="leave the recipient out")
    listed = list(assets)
    with _building(folder) as partial:
        bag = BagWriter(partial)
        walked = _write_custody(bag, facts, events, listed, anchors)
        _write_proofs(bag, anchors, timestamps)
        listed = _write_names(bag, listed, to)
        enclosed = _write_assets(bag, listed, to, open_asset)
        _write_facts(bag, facts, listed, walked, enclosed)
        page = render_custody(facts, listed, walked.shown, anchors, last=walked.head.line, head=walked.head.hash)
        bag.write("data/custody.html", page.encode())
        bag.write("data/case.jsonld", encode_case(facts, listed, walked.shown))
        manifest = _finish(bag, facts, walked, len(enclosed), sign, public_key)
    return Exhibit(folder, walked.head, len(walked.shown), manifest)


def _write_custody(
    bag: BagWriter,
    facts: ExhibitFacts,
    events: Iterable[CustodyEvent],
    assets: Sequence[AssetFacts],
    anchors: Sequence[Anchor],
) -> _Walked:
    objects = facts.objects | {facts.exhibit_id} | {asset.asset_id for asset in assets}
    heads = {anchor.line: "" for anchor in anchors}
    shown, head = [], START
    named: dict[str, set[str]] = {asset.asset_id: set() for asset in assets}
    with bag.open("data/custody.jsonl") as file:
        for event in events:
            if (event.line, event.previous_hash) != (head.line + 1, head.hash):
                mend = "run `leadline verify` on the chain; call someone"
                raise ChainBroken("the chain does not hold", where=f"custody line {head.line + 1}", mend=mend)
            head = event.head
            if event.line in heads:
                heads[event.line] = head.hash
            if event.object_id in objects:
                shown.append(event)
                file.write(encode_line(event))
                said = {"object_kind": event.object_kind, "object_id": event.object_id, "details": event.details}
                asset_id, sha256 = verify.named_file(said)
                if asset_id in named:
                    named[asset_id].add(sha256)
            else:
                file.write(encode_withheld(event))
    wrong = [anchor.line for anchor in anchors if (anchor.head, anchor.chain) != (heads[anchor.line], facts.chain_id)]
    if wrong or head == START:
        what = "an anchor does not fit the chain" if wrong else "the chain has no line"
        raise ChainBroken(what, where=f"custody line {min(wrong, default=0)}", mend="verify the chain; call someone")
    if unnamed := [asset.asset_id for asset in assets if named[asset.asset_id] != {asset.sha256}]:
        mend = "verify the chain; call someone"  # its verifier would find this wrong, so it does not leave
        raise CustodyError("the chain does not say which file this asset is", where=unnamed[0], mend=mend)
    return _Walked(head, shown)


def _write_proofs(bag: BagWriter, anchors: Sequence[Anchor], timestamps: Sequence[bytes]) -> None:
    """A timestamp has the name of the anchor it is over, and a number: NAME.1.tsr."""
    ordered = sorted(anchors, key=lambda one: (one.line, one.at))
    names = [f"{number:04d}-line-{anchor.line}" for number, anchor in enumerate(ordered, 1)]
    messages = [encode_anchor(anchor) for anchor in ordered]
    for name, message in zip(names, messages, strict=True):
        bag.write(f"data/anchors/{name}.json", message)
    for number, token in enumerate(timestamps, 1):
        position = verify.find_stamped(token, messages)
        if position is None:
            mend = "leave it out, or add the anchor it is over"
            raise CustodyFormatError("not over an anchor of this exhibit", where=f"timestamp {number}", mend=mend)
        bag.write(f"data/timestamps/{names[position]}.{number}.tsr", token)


# --- assets ----------------------------------------------------------------------------------------------------------


class _Plain:
    """An asset's content as a stream for the encryptor; counts, hashes, and keeps a fault of its source."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")
        self.sum, self.size_bytes = hashlib.sha256(), 0
        self.fault: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; nothing at the end only."""
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except Exception as error:
            self.fault = error
            raise
        size = len(self._rest) if size < 0 else size
        part, self._rest = bytes(self._rest[:size]), self._rest[size:]
        self.sum.update(part)
        self.size_bytes += len(part)
        return part


def _parse_recipient(untrusted: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(untrusted.strip())
    except pyrage.RecipientError:
        mend = "ask the recipient for the line that begins with age1"
        raise CustodyFormatError("no age recipient", where="recipient", mend=mend) from None


def _write_assets(
    bag: BagWriter, assets: Sequence[AssetFacts], to: pyrage.x25519.Recipient | None, open_asset: OpenAsset | None
) -> dict[str, str]:
    """asset id -> name in the bag of each asset enclosed: none without a recipient."""
    if to is None or open_asset is None:
        return {}
    names = {asset.asset_id: f"data/assets/{asset.sha256}.age" for asset in assets}
    for asset in {asset.sha256: asset for asset in assets}.values():
        with bag.open(names[asset.asset_id]) as file:
            _encrypt(asset, open_asset(asset.asset_id), file, to)
    return names


def _write_names(
    bag: BagWriter, assets: Sequence[AssetFacts], to: pyrage.x25519.Recipient | None
) -> list[AssetFacts]:
    """The assets without the names they came under, which go to the recipient's eyes only, as the files do."""
    if to is None:
        return list(assets)
    names = {asset.asset_id: asset.name for asset in assets if asset.name}
    bag.write("data/names.json.age", pyrage.encrypt(_page(names), [to]))
    return [replace(asset, name="") for asset in assets]


def _encrypt(asset: AssetFacts, pieces: Iterator[bytes], file: HashingFile, to: pyrage.x25519.Recipient) -> None:
    plain = _Plain(pieces)
    try:
        pyrage.encrypt_io(plain, file, [to])
    except pyrage.EncryptError:  # it holds the text of the fault only: raise the fault itself
        raise plain.fault or file.fault or CustodyError("could not be encrypted", where=asset.asset_id) from None
    if (plain.sum.hexdigest(), plain.size_bytes) != (asset.sha256, asset.size_bytes):
        mend = "run `leadline vault verify`; call someone"
        raise CustodyError("what the vault gave is not this asset", where=asset.asset_id, mend=mend)


# --- what is said of it ----------------------------------------------------------------------------------------------


def _write_facts(
    bag: BagWriter, facts: ExhibitFacts, assets: Sequence[AssetFacts], walked: _Walked, enclosed: dict[str, str]
) -> None:
    said = {
        "exhibit": facts.exhibit_id,
        "chain": facts.chain_id,
        "line": walked.head.line,
        "head": walked.head.hash,
        "shown": len(walked.shown),
        "shown_objects": sorted(facts.objects | {facts.exhibit_id} | {asset.asset_id for asset in assets}),
        "organisation": facts.organisation,
        "reference": facts.reference,
        "recipient": facts.recipient,
        "created_at": facts.created_at,
        "released_by": list(facts.released_by),
        "made_with": facts.made_with,
    }
    bag.write("data/exhibit.json", _page(said))
    rows = [
        {
            "asset": asset.asset_id,
            "hashes": dict(asset.hashes),
            "size_bytes": asset.size_bytes,
            "media_type": asset.media_type,
            "received_at": asset.received_at,
            "name": asset.name,
            "file": enclosed.get(asset.asset_id, ""),
            "viewed": asset.viewed,
        }
        for asset in assets
    ]
    bag.write("data/assets.json", _page(rows))


def _page(value: object) -> bytes:
    """For people and machines; surrogates (names that were no Unicode) stay as escapes."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")


def _finish(
    bag: BagWriter, facts: ExhibitFacts, walked: _Walked, enclosed: int, sign: Sign | None, public_key: bytes
) -> str:
    home = resources.files("leadline.custody")
    fill = {
        "exhibit": facts.exhibit_id,
        "organisation": facts.organisation,
        "at": facts.created_at,
        "reference": facts.reference or "none",
        "recipient": facts.recipient or "not said",
        "chain": facts.chain_id,
        "last": walked.head.line,
        "shown": len(walked.shown),
        "contents": "The files themselves are enclosed, encrypted." if enclosed else "No file is enclosed.",
    }
    readme = home.joinpath("exhibit_readme.txt").read_text("utf-8")
    safe = {name: verify.show_text(value) for name, value in fill.items()}
    bag.write("README.txt", readme.format_map(safe).encode())
    bag.write("verify.py", home.joinpath("verify.py").read_bytes())
    info = [
        ("Source-Organization", verify.show_text(facts.organisation)),
        ("External-Identifier", facts.exhibit_id),
        ("Bagging-Date", facts.created_at[:10]),
        ("Bag-Software-Agent", verify.show_text(facts.made_with)),
    ]
    manifest = bag.write_manifests(info)
    if sign is not None:
        bag.write("signature.json", _sign(facts, walked, manifest, sign, public_key))
    bag.write_tag_manifests()
    return manifest


def _sign(facts: ExhibitFacts, walked: _Walked, manifest: str, sign: Sign, public_key: bytes) -> bytes:
    said = {
        "exhibit": facts.exhibit_id,
        "chain": facts.chain_id,
        "line": walked.head.line,
        "head": walked.head.hash,
        "at": facts.created_at,
        "manifest_sha512": manifest,
        "key": public_key.hex(),
    }
    signature = sign(verify.EXHIBIT_MARK + encode_canonical(said)).hex()
    signed = encode_canonical(said | {"signature": signature})
    try:
        verify.read_statement(signed, verify.EXHIBIT_MARK, verify.EXHIBIT_FIELDS)
    except verify.Malformed as error:
        raise CustodyFormatError(f"signature of the exhibit: {error}", where="sign", mend="check the key") from None
    return signed


@contextmanager
def _building(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that becomes it at the end. What a killed build left there goes with the next one."""
    if folder.exists():
        raise InputError("an exhibit stands there already", where=str(folder), mend="name a new folder")
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _claim(handle, partial, folder)
        try:
            _empty(partial)
            yield partial
            for inner, _, _ in os.walk(partial):
                sync_folder(Path(inner))
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(folder.parent)
    finally:
        os.close(handle)


def _claim(handle: int, partial: Path, folder: Path) -> None:
    """One builder at a time; the lock goes when its process does."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = partial.exists() and os.path.samestat(os.fstat(handle), partial.stat())
    except BlockingIOError:
        mine = False
    if not mine or folder.exists():
        raise InputError("this exhibit is being built", where=str(folder), mend="wait until it is there")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
