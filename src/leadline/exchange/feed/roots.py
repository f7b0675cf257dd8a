"""A publisher's folder of keys: root keys, one key for all online roles, and every root that was signed. Sends nothing.

root-1.key, root-2.key ...  sign roots: keep them apart and offline, they are needed only here
online-N.key                signs what `publish` makes; the highest N is the one in use
N.root.json                 all roots; the latest is handed to subscribers
bank                        which bank is published under these keys: one, so that no list can stand for another
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key, Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Root

from leadline.errors import ConfigError, KeyUnavailable
from leadline.exchange.feed.keys import check_name, load_signer, make_signing_key, write_key
from leadline.exchange.feed.metadata import FEED, ONLINE_ROLES, PUBLISHER, first_root, moment, sign_root
from leadline.match.folder import make_folder, replace_file

_ROOT = re.compile(r"([1-9][0-9]{0,5})\.root\.json")
_ONLINE = re.compile(r"online-([1-9][0-9]{0,5})\.key")
MAX_ROOTS = 1024
_BANK_NAME = "bank"


@dataclass(frozen=True, slots=True)
class Roots:
    """What a publisher publishes under. all: bytes of each root, by version from 1."""

    folder: Path
    root: Root
    all: tuple[bytes, ...]
    signer: CryptoSigner

    @property
    def feed(self) -> str:
        return str(self.root.unrecognized_fields[FEED])

    @property
    def publisher(self) -> str:
        return str(self.root.unrecognized_fields[PUBLISHER])

    def signer_of(self, role: str) -> Signer:
        return self.signer

    def bind(self, identity: str) -> None:
        """These keys are for the bank of this identity from now on. ConfigError where they are for another.

        Else whoever carries two lists of one publisher could give subscribers one in the place of the other.
        """
        path = self.folder / _BANK_NAME
        if not path.exists():
            replace_file(path, identity.encode())
        if path.read_bytes() != identity.encode():
            mend = "make keys for this bank: leadline feed keygen FOLDER --publisher NAME"
            raise ConfigError("these keys are for another bank's feed", where=str(self.folder), mend=mend)


def create_roots(folder: Path, publisher: str, *, keys: int, threshold: int, expires_s: float) -> Root:
    """New keys in a new folder, and root 1. ConfigError for a threshold that cannot be met."""
    if not 1 <= threshold <= keys <= 16:
        raise ConfigError(f"threshold {threshold} of {keys} keys", mend="1 to 16 keys, and no more to sign than keys")
    check_name(publisher)
    make_folder(folder)
    if any(_ROOT.fullmatch(name) for name in os.listdir(folder)):
        raise KeyUnavailable("a publisher's keys are there already", where=str(folder), mend="give another folder")
    signers = [_make_key(folder / f"root-{number}.key") for number in range(1, keys + 1)]
    online = _make_key(folder / "online-1.key")
    root = first_root(
        publisher, [s.public_key for s in signers], threshold, dict.fromkeys(ONLINE_ROLES, online.public_key), expires_s
    )
    replace_file(folder / "1.root.json", sign_root(root, signers))
    return root


def rotate(folder: Path, *, new_root_keys: bool, also_with: Sequence[Path], expires_s: float) -> Root:
    """The next root: a new online key, and new root keys where asked for. Signed by enough old and all new root keys.

    also_with  root keys that are not in the folder. KeyUnavailable where too few of the old ones are at hand
    """
    data = read_roots(folder)
    old = _parse(data[-1], folder)
    paths = [*sorted(folder.glob("root-*.key")), *also_with]
    old_signers = [s for s in map(load_signer, paths) if s.public_key.keyid in old.roles["root"].keyids]
    if len({s.public_key.keyid for s in old_signers}) < old.roles["root"].threshold:
        mend = f"{old.roles['root'].threshold} of them have to sign: bring them with --with FILE"
        raise KeyUnavailable("too few root keys", where=str(folder), mend=mend)
    new_signers = old_signers
    if new_root_keys:
        count = len(old.roles["root"].keyids)
        new_signers = [_make_key(folder / f"root-{number}.key") for number in _free_numbers(folder, count)]
    online = _make_key(folder / f"online-{_latest_online(folder) + 1}.key")
    keys = [s.public_key for s in new_signers] if new_root_keys else [old.keys[i] for i in old.roles["root"].keyids]
    root = _next_root(old, keys, online.public_key, expires_s)
    replace_file(folder / f"{root.version}.root.json", sign_root(root, _once([*old_signers, *new_signers])))
    return root


def load_roots(folder: Path) -> Roots:
    """What `publish` needs. KeyUnavailable, ConfigError."""
    data = read_roots(folder)
    root = _parse(data[-1], folder)
    signers = [load_signer(folder / f"online-{n}.key") for n in range(_latest_online(folder), 0, -1)
               if (folder / f"online-{n}.key").exists()]  # fmt: skip
    for signer in signers:
        if all(signer.public_key.keyid in root.roles[role].keyids for role in ONLINE_ROLES):
            return Roots(folder, root, data, signer)
    raise KeyUnavailable("no key here is named by the latest root", where=str(folder), mend="restore online-N.key")


def read_roots(folder: Path) -> tuple[bytes, ...]:
    """Every root's bytes, from 1 on without a gap. KeyUnavailable where there is none."""
    found: list[bytes] = []
    while len(found) < MAX_ROOTS and (path := folder / f"{len(found) + 1}.root.json").exists():
        found.append(path.read_bytes())
    if not found:
        mend = "make them: leadline feed keygen FOLDER --publisher NAME"
        raise KeyUnavailable("no publisher's keys", where=str(folder), mend=mend)
    return tuple(found)


def _parse(data: bytes, folder: Path) -> Root:
    try:
        made: Metadata[Root] = Metadata.from_bytes(data)
        made.signed.verify_delegate("root", made.signed_bytes, made.signatures)
        return made.signed
    except (RepositoryError, ValueError, KeyError, TypeError, AttributeError):
        raise KeyUnavailable("its latest root is damaged", where=str(folder), mend="restore it from a copy") from None


def _next_root(old: Root, root_keys: Sequence[Key], online: Key, expires_s: float) -> Root:
    roles = {"root": Role([], old.roles["root"].threshold), **{role: Role([], 1) for role in ONLINE_ROLES}}
    root = Root(old.version + 1, expires=moment(expires_s), roles=roles, unrecognized_fields=old.unrecognized_fields)
    for key in root_keys:
        root.add_key(key, "root")
    for role in ONLINE_ROLES:
        root.add_key(online, role)
    return root


def _once(signers: Sequence[CryptoSigner]) -> list[CryptoSigner]:
    return list({signer.public_key.keyid: signer for signer in signers}.values())


def _make_key(path: Path) -> CryptoSigner:
    write_key(path, make_signing_key())
    return load_signer(path)


def _free_numbers(folder: Path, count: int) -> list[int]:
    first = max([int(p.stem.removeprefix("root-")) for p in folder.glob("root-*.key") if p.stem[5:].isdigit()] or [0])
    return list(range(first + 1, first + 1 + count))


def _latest_online(folder: Path) -> int:
    return max([int(form[1]) for name in os.listdir(folder) if (form := _ONLINE.fullmatch(name))] or [0])
