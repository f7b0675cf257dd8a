"""A released exhibit becomes one file: built in a folder of its own, packed, read again, and only then called ready.

One builder at a time, over all processes: a second one would take the folder away from under the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from leadline.custody.anchor import read_anchor
from leadline.custody.bag import pack_bag
from leadline.custody.chain import CustodyEvent, format_time
from leadline.custody.exhibit import build_exhibit
from leadline.custody.facts import AssetFacts, ExhibitFacts
from leadline.errors import CustodyError, LeadlineError
from leadline.workbench import sealing
from leadline.workbench.evidence import access
from leadline.workbench.evidence.acts import exhibits
from leadline.workbench.evidence.models import Asset, Exhibit, ExhibitState
from leadline.workbench.evidence.viewing import viewed_of
from leadline.workbench.journal.actions import event_of
from leadline.workbench.journal.models import Anchor, Line


def build(exhibit_id: str) -> None:
    """Build a released exhibit, or do nothing where it is not, or somebody is at it. A fault is noted, not raised:
    who released it reads of it on its page, and may ask for another try.
    """
    archive = access.exhibit_path(exhibit_id)
    archive.parent.mkdir(mode=0o700, exist_ok=True)
    with _alone(archive.with_suffix(".lock")) as is_alone:
        exhibit = Exhibit.objects.get(pk=exhibit_id)  # read under the lock: another builder may just have ended
        if not is_alone or exhibit.state != ExhibitState.RELEASED:
            return
        try:
            with _private_folder(archive) as private:
                line, manifest = _build(exhibit, private / str(exhibit.pk))
                size_bytes = _publish(private, archive, manifest)
        except LeadlineError as error:
            exhibits.note_failed(exhibit, error.code)
        except OSError:
            exhibits.note_failed(exhibit, "disk")
        else:
            exhibits.note_built(exhibit, line=line, manifest_sha512=manifest, size_bytes=size_bytes)


@contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """The lock goes when its process does. Its file stays: who removed it would let in a third beside the second."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextmanager
def _private_folder(archive: Path) -> Iterator[Path]:
    """Of this builder alone. What stopped builders left goes first: none is at work, we hold the lock."""
    begin = f"building-{archive.stem}-"
    for left in archive.parent.glob(f"{begin}*"):
        shutil.rmtree(left)
    private = archive.with_name(f"{begin}{secrets.token_hex(8)}")
    private.mkdir(mode=0o700)
    try:
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _build(exhibit: Exhibit, folder: Path) -> tuple[int, str]:
    chain, key = access.chain_id(), sealing.signing_key()
    assets = list(exhibit.assets.order_by("received_at", "id"))
    with_files = bool(exhibit.recipient_key)
    shas, viewed = {str(asset.pk): asset.sha256 for asset in assets}, viewed_of([asset.pk for asset in assets])
    signed = [(row, read_anchor(row.statement.encode())) for row in Anchor.objects.order_by("id")]
    anchors = [(row, anchor) for row, anchor in signed if anchor.chain == chain]
    built = build_exhibit(
        folder,
        ExhibitFacts(
            exhibit_id=str(exhibit.pk),
            chain_id=chain,
            organisation=settings.LEADLINE_OFFICE_NAME,
            created_at=format_time(timezone.now()),
            released_by=tuple(str(one) for one in (exhibit.requested_by_id, exhibit.decided_by_id)),
            reference=exhibit.reference,
            recipient=exhibit.recipient,
        ),
        _events(),
        [_facts_of(asset, viewed.get(str(asset.pk), ""), with_name=with_files) for asset in assets],
        anchors=[anchor for _, anchor in anchors],
        timestamps=[b64decode(stamp["token"]) for row, _ in anchors for stamp in row.stamps],
        recipient=exhibit.recipient_key or None,
        open_asset=(lambda asset_id: sealing.read_asset(shas[asset_id])) if with_files else None,
        sign=key.sign,
        public_key=key.public_bytes,
    )
    return built.head.line, built.manifest_sha512


def _events() -> Iterator[CustodyEvent]:
    return (event_of(line) for line in Line.objects.order_by("line").iterator(chunk_size=2000))


def _facts_of(asset: Asset, viewed: str, *, with_name: bool) -> AssetFacts:
    hashes = {"sha256": asset.sha256, "sha1": asset.sha1, "md5": asset.md5} | ({"pdq": asset.pdq} if asset.pdq else {})
    name = sealing.unseal(bytes(asset.name_sealed), f"asset-name:{asset.pk}") if asset.name_sealed else ""
    return AssetFacts(
        asset_id=str(asset.pk),
        hashes=hashes,
        size_bytes=asset.size_bytes,
        media_type=asset.mime,
        received_at=format_time(asset.received_at),
        name=name if with_name else "",
        viewed=viewed,
    )


def _publish(private: Path, archive: Path, manifest_sha512: str) -> int:
    """One file of the bag, whole or absent; its size. It is read again first: what leaves for a court is what we say.

    Raises CustodyError where the packed bag is not the built one, OSError.
    """
    folder, packed = private / archive.stem, private / archive.name
    built = {path.relative_to(private).as_posix() for path in folder.rglob("*") if path.is_file()}
    pack_bag(folder, packed)
    _check_packed(packed, built, f"{folder.name}/manifest-sha512.txt", manifest_sha512)
    size_bytes = packed.stat().st_size
    packed.replace(archive)
    sealing.sync_file(archive.parent)
    return size_bytes


def _check_packed(packed: Path, built: set[str], manifest: str, manifest_sha512: str) -> None:
    try:
        with zipfile.ZipFile(packed) as bag:
            names = bag.namelist()
            is_whole = len(names) == len(built) and set(names) == built and bag.testzip() is None
            is_ours = is_whole and hashlib.sha512(bag.read(manifest)).hexdigest() == manifest_sha512
    except (zipfile.BadZipFile, KeyError, RuntimeError):
        is_ours = False
    if not is_ours:
        mend = "ask for another try; where it comes again, call someone"
        raise CustodyError("the packed exhibit is not the built one", where=packed.stem, mend=mend, code="not-whole")
