"""The signed files of a feed: TUF's four roles, made with its reference library. Reads no clock, writes no file.

root names the keys, and is signed by root keys; targets names each file of contents with length and SHA-256; snapshot
names the version of targets, timestamp that of snapshot. All but root expire within days.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

FEED, PUBLISHER, DETAILS = "x-leadline-feed", "x-leadline-publisher", "custom"
METADATA, CONTENTS, RECEIPTS = "metadata", "targets", "receipts"
TIMESTAMP_NAME = f"{METADATA}/timestamp.json"
ONLINE_ROLES = ("targets", "snapshot", "timestamp")
_SERIALIZER = JSONSerializer(compact=True)


def metadata_name(role: str, version: int) -> str:
    return f"{METADATA}/{version}.{role}.json"


class Online(NamedTuple):
    """The metadata of one version that a running publisher signs."""

    version: int
    targets: bytes
    snapshot: bytes
    timestamp: bytes


def moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(int(at_s), UTC)


def first_root(
    publisher: str, root_keys: Sequence[Key], threshold: int, online: Mapping[str, Key], expires_s: float
) -> Root:
    """Version 1. online: key of each role of ONLINE_ROLES."""
    roles = {"root": Role([], threshold), **{role: Role([], 1) for role in ONLINE_ROLES}}
    more = {FEED: secrets.token_hex(16), PUBLISHER: publisher}
    root = Root(1, expires=moment(expires_s), roles=roles, unrecognized_fields=more)
    for key in root_keys:
        root.add_key(key, "root")
    for role, key in online.items():
        root.add_key(key, role)
    return root


def sign_root(root: Root, signers: Sequence[Signer]) -> bytes:
    return _signed(root, signers)


def sign_online(
    version: int, files: Sequence[TargetFile], signer_of: Callable[[str], Signer], expires_s: float
) -> Online:
    """Targets, snapshot and timestamp of one version."""
    expires = moment(expires_s)
    targets = _signed(
        Targets(version, expires=expires, targets={file.path: file for file in files}), [signer_of("targets")]
    )
    meta = {"targets.json": MetaFile.from_data(version, targets, ["sha256"])}
    snapshot = _signed(Snapshot(version, expires=expires, meta=meta), [signer_of("snapshot")])
    below = MetaFile.from_data(version, snapshot, ["sha256"])
    timestamp = _signed(Timestamp(version, expires=expires, snapshot_meta=below), [signer_of("timestamp")])
    return Online(version, targets, snapshot, timestamp)


def _signed(signed: Signed, signers: Sequence[Signer]) -> bytes:
    made: Metadata[Any] = Metadata(signed)
    for signer in signers:
        made.sign(signer, append=True)
    return made.to_bytes(_SERIALIZER)
