"""What of a feed is believed: TUF's order of checks over its reference library's signatures. Reads no contents.

Each root is signed by enough keys of the root before it and of itself; timestamp, snapshot and targets by the keys of
the latest root, none expired, none older than what was believed before, each the very bytes that the one above names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from leadline.errors import ConfigError, FeedRefused
from leadline.exchange.feed.metadata import FEED, ONLINE_ROLES, PUBLISHER, TIMESTAMP_NAME, metadata_name, moment
from leadline.exchange.feed.places import Place

MAX_METADATA_BYTES = 16 << 20
_MAX_ROOT_BYTES = 1 << 20
_MAX_ROOTS_AT_ONCE = 1024
_BROKEN = (RepositoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed already. root: its bytes. version: of timestamp, snapshot and targets; 0: none was seen."""

    root: bytes
    version: int = 0


@dataclass(frozen=True, slots=True)
class Believed:
    """trust: to be kept. files: of the contents, by path. was_rotated: an online key was replaced since, so nothing
    that the keys before it signed counts any more."""

    trust: Trust
    feed: str
    publisher: str
    files: tuple[TargetFile, ...]
    was_rotated: bool
    expires_s: float


def read_root(untrusted: bytes, where: str) -> Root:
    """A root that a person handed over. ConfigError where it is none, or does not sign itself."""
    try:
        made: Metadata[Root] = Metadata.from_bytes(untrusted)
        root = made.signed
        if root.type != Root.type:
            raise ValueError
        root.verify_delegate(Root.type, made.signed_bytes, made.signatures)
        _ = root.unrecognized_fields[FEED], root.unrecognized_fields[PUBLISHER]
    except _BROKEN:
        raise ConfigError("not a feed's root", where=where, mend="ask the publisher for its root.json") from None
    return root


def believe(place: Place, trust: Trust, now_s: float, where: str) -> Believed:
    """Bring what is believed up to date. FeedRefused where the feed is not what it should be; ExchangeError."""
    old = read_root(trust.root, where)
    trust, root = _follow_roots(place, trust, old, where)
    was_rotated = any(set(old.roles[role].keyids) != set(root.roles[role].keyids) for role in ONLINE_ROLES)
    if was_rotated:  # else whoever stole a key could have pushed the version beyond all that will come
        trust = replace(trust, version=0)
    _require_fresh(root, now_s, where)
    timestamp = _timestamp(place, root, trust, now_s, where)
    meta = timestamp.snapshot_meta
    snapshot = _named(place, root, Snapshot.type, meta, now_s, where)
    assert isinstance(snapshot, Snapshot)
    targets = _named(place, root, Targets.type, _meta_of_targets(snapshot, meta.version, where), now_s, where)
    assert isinstance(targets, Targets)
    more = root.unrecognized_fields
    return Believed(
        replace(trust, version=timestamp.version), str(more[FEED]), str(more[PUBLISHER]),
        tuple(targets.targets.values()), was_rotated, timestamp.expires.timestamp(),
    )  # fmt: skip


def _follow_roots(place: Place, trust: Trust, root: Root, where: str) -> tuple[Trust, Root]:
    for _ in range(_MAX_ROOTS_AT_ONCE):
        name = metadata_name(Root.type, root.version + 1)
        untrusted = place.read(name, _MAX_ROOT_BYTES)
        if untrusted is None:
            return trust, root
        with _refusing(name, where):
            made: Metadata[Root] = Metadata.from_bytes(untrusted)
            root.verify_delegate(Root.type, made.signed_bytes, made.signatures)
            made.signed.verify_delegate(Root.type, made.signed_bytes, made.signatures)
            is_next = made.signed.version == root.version + 1
            is_same = made.signed.unrecognized_fields[FEED] == root.unrecognized_fields[FEED]
        if not is_next or not is_same:
            raise _refuse("a root of another number or feed", "rolled-back", name, where)
        trust, root = replace(trust, root=untrusted), made.signed
    raise _refuse("more roots than a feed can have", "unsigned", "root", where)


def _timestamp(place: Place, root: Root, trust: Trust, now_s: float, where: str) -> Timestamp:
    timestamp = _parse(root, Timestamp.type, _read(place, TIMESTAMP_NAME, where), TIMESTAMP_NAME, where)
    assert isinstance(timestamp, Timestamp)
    if timestamp.version < trust.version or timestamp.snapshot_meta.version < trust.version:
        raise _refuse("older than what was read before: somebody turned it back", "rolled-back", TIMESTAMP_NAME, where)
    _require_fresh(timestamp, now_s, where)
    return timestamp


def _named(place: Place, root: Root, role: str, meta: MetaFile, now_s: float, where: str) -> Signed:
    """A file that the one above names by version, length and SHA-256."""
    name = metadata_name(role, meta.version)
    untrusted = _read(place, name, where)
    try:
        if not meta.hashes or "sha256" not in meta.hashes:
            raise LengthOrHashMismatchError
        meta.verify_length_and_hashes(untrusted)
    except LengthOrHashMismatchError:
        raise _refuse("not the file that belongs to the others", "mixed", name, where) from None
    signed = _parse(root, role, untrusted, name, where)
    if signed.version != meta.version:
        raise _refuse("not of the version that belongs to the others", "mixed", name, where)
    _require_fresh(signed, now_s, where)
    return signed


def _meta_of_targets(snapshot: Snapshot, version: int, where: str) -> MetaFile:
    meta = snapshot.meta.get("targets.json")
    if meta is None or meta.version != version:
        raise _refuse("its files are not of one version", "mixed", "snapshot", where)
    return meta


def _read(place: Place, name: str, where: str) -> bytes:
    untrusted = place.read(name, MAX_METADATA_BYTES)
    if untrusted is None:
        raise _refuse("a file is missing", "missing", name, where)
    return untrusted


def _parse(root: Root, role: str, untrusted: bytes, name: str, where: str) -> Signed:
    with _refusing(name, where):
        made: Metadata[Any] = Metadata.from_bytes(untrusted)
        if made.signed.type != role:
            raise UnsignedMetadataError
        root.verify_delegate(role, made.signed_bytes, made.signatures)
        signed: Signed = made.signed
        return signed


def _require_fresh(signed: Signed, now_s: float, where: str) -> None:
    if signed.is_expired(moment(now_s)):
        what = "it has expired: the publisher stopped, or somebody holds newer files back"
        raise _refuse(what, "expired", signed.type, where)


@contextmanager
def _refusing(name: str, where: str) -> Iterator[None]:
    try:
        yield
    except UnsignedMetadataError:
        raise _refuse("not signed by those who may", "unsigned", name, where) from None
    except _BROKEN:
        raise _refuse("cannot be read as what it should be", "damaged", name, where) from None


def _refuse(what: str, code: str, name: str, where: str) -> FeedRefused:
    mend = "nothing of it was taken; ask the publisher, by another way than this feed"
    return FeedRefused(what, where=f"{where}: {name}" if where else name, mend=mend, code=code)
