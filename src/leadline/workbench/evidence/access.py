"""The only reads of evidence on behalf of a person. What a person may not see is as if it were not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import InputError
from leadline.workbench.accounts.access import office_setting
from leadline.workbench.accounts.models import OfficeSetting, RoleGrant
from leadline.workbench.actors import Actor
from leadline.workbench.banks.access import red_names_of
from leadline.workbench.cursors import Slice, slice_rows
from leadline.workbench.evidence.models import (
    Asset,
    AssetMatch,
    AssetState,
    BankSeen,
    Exhibit,
    ExhibitState,
    MediaMode,
    Task,
)
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role

MEDIA_MODE, RETENTION_DAYS = "media-mode", "evidence-retention-days"
DEFAULT_RETENTION_DAYS = 365
COUNTED_AT_MOST = 10_000  # nobody needs a better number than "more than that", and counting a million rows is slow
ROWS_A_PAGE = 50
_HEX = re.compile(r"[0-9a-f]+")
_BY_HASH = frozenset({"md5", "sha1", "sha256", "pdq"})
_COLUMNS = {32: ("md5",), 40: ("sha1",), 64: ("sha256", "pdq")}


def media_mode() -> MediaMode:
    return MediaMode(office_setting(MEDIA_MODE, MediaMode.HASH_AND_DISCARD))


def retention_days() -> int:
    return int(office_setting(RETENTION_DAYS, str(DEFAULT_RETENTION_DAYS)))


def retain_until(received_at: datetime) -> datetime:
    return received_at + timedelta(days=retention_days())


def media_decisions() -> QuerySet[OfficeSetting]:
    decided = OfficeSetting.objects.filter(name__in=(MEDIA_MODE, RETENTION_DAYS))
    return decided.select_related("set_by").order_by("-set_at", "-id")


def visible_assets(actor: Actor) -> QuerySet[Asset]:
    """By the asset's own sensitivity and TLP, or by a grant on that very asset."""
    return Asset.objects.filter(_visible(actor, "asset", has_tlp=True))


def visible_exhibits(actor: Actor) -> QuerySet[Exhibit]:
    """Of assets that this actor sees, every one of them as it is handled now; or by a grant on that very exhibit."""
    hidden = Asset.objects.filter(exhibits=OuterRef("pk")).exclude(_visible(actor, "asset", has_tlp=True))
    by_assets = Q(sensitivity__lte=actor.clearance) & ~Exists(hidden)
    granted = actor.granted_ids("exhibit")
    seen = Exhibit.objects.filter(by_assets | Q(id__in=granted) if granted else by_assets)
    return seen.select_related("requested_by")


def visible_through(actor: Actor, field: str) -> Q:
    """The same for rows that point at an asset: a join, as SQLite would write out all assets for a sub-query."""
    by_role = Q(**{f"{field}__sensitivity__lte": actor.clearance})
    if not actor.may_see(Tlp.RED):
        by_role &= ~Q(**{f"{field}__tlp": Tlp.RED.value})
    granted = actor.granted_ids("asset")
    return by_role | Q(**{f"{field}__in": granted}) if granted else by_role


def _visible(actor: Actor, object_kind: str, *, has_tlp: bool) -> Q:
    by_role = Q(sensitivity__lte=actor.clearance)
    if has_tlp and not actor.may_see(Tlp.RED):
        by_role &= ~Q(tlp=Tlp.RED.value)
    granted = actor.granted_ids(object_kind)
    return by_role | Q(id__in=granted) if granted else by_role


@dataclass(frozen=True)
class Asked:
    """What a list of assets is narrowed to."""

    state: str = ""
    verdict: str = ""
    kind: str = ""
    digest: str = ""


def find_assets(actor: Actor, asked: Asked) -> QuerySet[Asset]:
    """Newest first. A digest that is none finds nothing."""
    assets = visible_assets(actor)
    if asked.state:
        assets = assets.filter(state=asked.state)
    if asked.verdict:
        assets = assets.filter(verdict=asked.verdict)
    if asked.kind:
        assets = assets.filter(inferred_kind=asked.kind)
    if asked.digest:
        assets = assets.filter(by_digest(asked.digest.strip().lower()))
    return assets.order_by("-received_at", "-id")


def by_digest(untrusted: str) -> Q:
    found = Q(pk__in=[])
    if _HEX.fullmatch(untrusted):
        for column in _COLUMNS.get(len(untrusted), ()):
            found |= Q(**{column: untrusted})
    return found


def find_by_hash(actor: Actor, hashes: Iterable[tuple[str, bytes]]) -> dict[tuple[str, bytes], list[Asset]]:
    """Which files of exactly these this actor sees: (algorithm, digest), "" for 32 bytes that may be SHA-256 or PDQ."""
    wanted: dict[str, dict[str, set[tuple[str, bytes]]]] = {}
    for algorithm, digest in hashes:
        for column in (algorithm,) if algorithm else _COLUMNS[64]:
            if column in _BY_HASH:
                wanted.setdefault(column, {}).setdefault(digest.hex(), set()).add((algorithm, digest))
    found: dict[tuple[str, bytes], dict[Any, Asset]] = {}
    for column, asked in wanted.items():
        texts = list(asked)
        for first in range(0, len(texts), 500):
            assets = visible_assets(actor).filter(**{f"{column}__in": texts[first : first + 500]})
            for asset in assets.order_by("-received_at", "-id")[:COUNTED_AT_MOST]:
                for key in asked[getattr(asset, column)]:
                    found.setdefault(key, {})[asset.pk] = asset
    return {key: list(assets.values()) for key, assets in found.items()}


def page_of(rows: QuerySet[Any], order: Sequence[str], cursor: str, scope: str) -> Slice:
    """One page, as fast at the end of a million rows as at their start. A cursor that is none begins anew."""
    try:
        return slice_rows(rows, order, cursor, ROWS_A_PAGE, scope)
    except InputError:
        return slice_rows(rows, order, "", ROWS_A_PAGE, scope)


def count_up_to(rows: QuerySet[Any], limit: int = COUNTED_AT_MOST) -> int:
    """How many there are; `limit` + 1 stands for more than `limit`."""
    return rows.order_by()[: limit + 1].count()


def find_asset(actor: Actor, asset_id: Any) -> Asset | None:
    return visible_assets(actor).filter(pk=asset_id).first()


def matches_of(actor: Actor, asset: Asset) -> QuerySet[AssetMatch]:
    """Without those with a TLP:RED bank or entry that is not for this actor."""
    names, rows = red_names_of(actor), asset.matches.order_by("withdrawn_at", "distance", "id")
    return rows if names is None else rows.filter(Q(is_red=False) | Q(bank__in=names))


def count_hidden_matches(actor: Actor, asset: Asset) -> int:
    return asset.matches.count() - matches_of(actor, asset).count()


def veil(actor: Actor, rows: Iterable[Any]) -> None:
    """Take from assets and tasks, as they are shown to this actor, what a TLP:RED bank says. Not to be saved then."""
    if (names := red_names_of(actor)) is None:
        return
    for row in rows:
        if isinstance(row, Asset) and row.inferred_red and row.inferred_from not in names:
            row.inferred_scheme = row.inferred_label = row.inferred_from = ""
        elif isinstance(row, Task) and row.is_red and row.bank not in names:
            row.bank = ""


def lines_of(object_id: Any) -> QuerySet[Line]:
    return visible_lines(object_id=str(object_id))


def find_exhibit(actor: Actor, exhibit_id: Any) -> Exhibit | None:
    return visible_exhibits(actor).filter(pk=exhibit_id).first()


def visible_all(actor: Actor, asset_ids: Sequence[Any]) -> list[Asset]:
    return list(visible_assets(actor).filter(pk__in=asset_ids))


def open_tasks(actor: Actor) -> QuerySet[Task]:
    visible = Task.objects.filter(visible_through(actor, "asset"), done_at__isnull=True)
    return visible.select_related("asset").order_by("-id")


def find_task(actor: Actor, task_id: int) -> Task | None:
    return open_tasks(actor).filter(pk=task_id).first()


def bank_seen(name: str) -> BankSeen | None:
    return BankSeen.objects.filter(bank=name).first()


def banks_seen_besides(names: Iterable[str]) -> list[str]:
    """Banks that held assets were matched against and that are not among these."""
    return sorted(set(BankSeen.objects.values_list("bank", flat=True)) - set(names))


def readers_of_anchors() -> list[str]:
    """Addresses of the auditors; without any, of the administrators."""
    for role in (Role.AUDITOR, Role.ADMINISTRATOR):
        live = RoleGrant.objects.filter(role=role.value, is_active=True, ended_at__isnull=True, person__is_active=True)
        if found := sorted(live.values_list("person__email", flat=True)):
            return found
    return []


def minutes_ago(minutes: int) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


def assets_named(actor: Actor, names: Sequence[str]) -> tuple[list[Asset], list[str]]:
    """Visible assets by number or SHA-256, and the names of those that are not there or may not be seen."""
    hashes = [name for name in names if len(name) == 64]
    numbers = [name.replace("-", "") for name in names if len(name) != 64]
    valid = [number for number in numbers if len(number) == 32]
    found: dict[str, Asset] = {}
    for column, wanted in (("sha256", hashes), ("pk", valid)):
        for first in range(0, len(wanted), 500):
            for asset in visible_assets(actor).filter(**{f"{column}__in": wanted[first : first + 500]}):
                found[asset.sha256 if column == "sha256" else asset.pk.hex] = asset
    missing = [name for name in names if name.replace("-", "") not in found]
    return list({asset.pk: asset for asset in found.values()}.values()), missing


def exhibit_path(exhibit_id: object) -> Path:
    return Path(settings.LEADLINE_HOME) / "exhibits" / f"{exhibit_id}.zip"


def chain_id() -> str:
    """Names the chain of this office by its first line."""
    first = Line.objects.order_by("line").values_list("hash", flat=True).first()
    return f"leadline:{(first or '')[:32]}"


def is_ready(exhibit: Exhibit) -> bool:
    return exhibit.state in (ExhibitState.READY, ExhibitState.RECEIVED)


def can_be_enclosed(asset: Asset) -> bool:
    return asset.state == AssetState.KEPT
