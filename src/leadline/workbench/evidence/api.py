"""API of evidence: assets by hash or upload, their matches, exhibits. No route sends a byte of media."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import File, Query, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import Field

from leadline.workbench.api import CursorQuery, caller, needs
from leadline.workbench.banks.access import look_up
from leadline.workbench.banks.api import BankMatchOut, HashLine
from leadline.workbench.banks.forms import MAX_LOOKED_UP, read_hash
from leadline.workbench.cursors import slice_rows
from leadline.workbench.evidence import access, actions
from leadline.workbench.permissions import Permission

router = Router(tags=["assets"])
_ORDER = ("-received_at", "-id")
_ASSETS_A_HASH = 100


class AssetOut(Schema):
    """`verdict` and `inferred_*` are what banks suggest: never a person's statement."""

    id: str
    sha256: str
    sha1: str
    md5: str
    pdq: str
    quality: int | None
    size_bytes: int
    mime: str
    width: int
    height: int
    state: str
    received_at: str
    retain_until: str | None
    on_hold: bool
    sensitivity: int
    tlp: str
    verdict: str
    inferred_kind: str
    inferred_scheme: str
    inferred_label: str
    is_set_aside: bool


class AssetList(Schema):
    items: list[AssetOut]
    next: str | None


class MatchOut(Schema):
    bank: str
    entry: int
    kind: str
    algorithm: str
    distance: float
    threshold: float
    transform: str
    view: str
    scheme: str
    label: str
    suppressed_by: str
    list_version: int
    found_at: str
    withdrawn_at: str | None


class MatchList(Schema):
    items: list[MatchOut]
    next: str | None


class ExhibitOut(Schema):
    id: str
    state: str
    recipient: str
    reference: str
    with_files: bool
    requested_at: str
    decided_at: str | None
    line: int | None
    manifest_sha512: str


class ExhibitList(Schema):
    items: list[ExhibitOut]
    next: str | None


class AssetQuery(CursorQuery):
    """`digest`: MD5, SHA-1, SHA-256 or PDQ as hexadecimal."""

    digest: str = Field("", max_length=64, pattern=r"^([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})?$")


class HashLookUp(Schema):
    """MD5, SHA-1, SHA-256 or PDQ as hexadecimal, or with its name before it (pdq:...), as at /look-ups."""

    hashes: list[HashLine] = Field(min_length=1, max_length=MAX_LOOKED_UP)


class HeldOut(Schema):
    """`state`: kept, discarded (hashed, never written) or erased."""

    id: str
    state: str
    verdict: str


class HashAnswer(Schema):
    """`assets`: of exactly this hash, newest first. `matches`: with the banks; null where the key lacks banks.read."""

    assets: list[HeldOut]
    matches: list[BankMatchOut] | None
    truncated: bool


class HashAnswers(Schema):
    items: list[HashAnswer]


@router.get("/assets", response=AssetList)
@needs(Permission.EVIDENCE_READ)
def list_assets(request: HttpRequest, at: Query[AssetQuery]) -> object:
    """Newest first."""
    assets = access.find_assets(caller(request), access.Asked(digest=at.digest))
    page = slice_rows(assets, _ORDER, at.cursor, at.limit, "api-assets")
    return {"items": [_asset(request, asset) for asset in page.rows], "next": page.next}


@router.post("/assets", response={201: AssetOut})
@needs(Permission.EVIDENCE_WRITE)
def take_in_asset(request: HttpRequest, file: File[UploadedFile]) -> Any:
    """Fingerprint and match a file, and keep it where the office has decided so. The same file is the same asset. Where
    there is a hash and no file: /assets/look-ups."""
    actor = caller(request)
    assert file.file is not None
    asset = actions.take_in(file.file, actor=actor.id, source="api", name=file.name or "")
    return Status(201, _asset(request, asset))


@router.post("/assets/look-ups", response=HashAnswers)
@needs(Permission.EVIDENCE_READ)
def look_up_assets(request: HttpRequest, wish: HashLookUp) -> object:
    """By hash, without a file: which assets of exactly that hash the key may see, and what the banks say of it. One
    answer a hash, in order. By POST, so that no hash stands in an address; nothing is stored. To have people look at a
    hash, hand in a report with it."""
    actor = caller(request)
    lines = [[(name, digest) for _, name, digest in read_hash(line)] for line in wish.hashes]
    flat = [one for line in lines for one in line]
    held = access.find_by_hash(actor, flat)
    reads_banks = actor.may(Permission.BANKS_READ)
    known = iter(look_up(actor, flat) if reads_banks else [((), False)] * len(flat))
    items = []
    for line in lines:
        assets = {asset.pk: asset for one in line for asset in held.get(one, [])}
        answers = [next(known) for _ in line]
        shown = list(assets.values())[:_ASSETS_A_HASH]
        items.append({
            "assets": [{"id": str(a.pk), "state": a.state, "verdict": a.verdict} for a in shown],
            "matches": [match for matches, _ in answers for match in matches] if reads_banks else None,
            "truncated": len(assets) > len(shown) or any(cut for _, cut in answers),
        })  # fmt: skip
    return {"items": items}


@router.get("/assets/{uuid:asset_id}", response=AssetOut)
@needs(Permission.EVIDENCE_READ)
def show_asset(request: HttpRequest, asset_id: UUID) -> object:
    return _asset(request, _found(request, asset_id))


@router.get("/assets/{uuid:asset_id}/matches", response=MatchList)
@needs(Permission.EVIDENCE_READ)
def list_matches(request: HttpRequest, asset_id: UUID, at: Query[CursorQuery]) -> object:
    """Also withdrawn ones; without those with a TLP:RED bank that is not for the key."""
    matches = access.matches_of(caller(request), _found(request, asset_id))
    page = slice_rows(matches, ("-id",), at.cursor, at.limit, f"matches:{asset_id}")
    return {"items": [_match(match) for match in page.rows], "next": page.next}


@router.get("/exports", response=ExhibitList)
@needs(Permission.EVIDENCE_READ)
def list_exports(request: HttpRequest, at: Query[CursorQuery]) -> object:
    """Exhibits, newest first. Asking for one, releasing and downloading are for people."""
    exhibits = access.visible_exhibits(caller(request))
    page = slice_rows(exhibits, ("-requested_at", "-id"), at.cursor, at.limit, "api-exports")
    return {"items": [_exhibit(exhibit) for exhibit in page.rows], "next": page.next}


@router.get("/exports/{uuid:exhibit_id}", response=ExhibitOut)
@needs(Permission.EVIDENCE_READ)
def show_export(request: HttpRequest, exhibit_id: UUID) -> object:
    exhibit = access.find_exhibit(caller(request), exhibit_id)
    if exhibit is None:
        raise Http404
    return _exhibit(exhibit)


def _found(request: HttpRequest, asset_id: UUID) -> Any:
    asset = access.find_asset(caller(request), asset_id)
    if asset is None:
        raise Http404
    return asset


def _asset(request: HttpRequest, asset: Any) -> dict[str, Any]:
    access.veil(caller(request), [asset])
    return _columns(asset, AssetOut)


def _match(match: Any) -> dict[str, Any]:
    return _columns(match, MatchOut)


def _exhibit(exhibit: Any) -> dict[str, Any]:
    exhibit.with_files = bool(exhibit.recipient_key)
    return _columns(exhibit, ExhibitOut)


def _columns(row: Any, shape: type[Schema]) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in shape.model_fields}


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
