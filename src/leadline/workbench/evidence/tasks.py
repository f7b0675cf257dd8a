"""Evidence in the background: lists that change, terms that end, anchors that leave, exhibits that are built."""

from __future__ import annotations

import shutil
import zipfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone
from django_tasks import task

from leadline.custody.anchor import encode_anchor, make_anchor, read_anchor, write_anchor
from leadline.custody.chain import CustodyEvent, format_time
from leadline.custody.exhibit import build_exhibit
from leadline.custody.facts import AssetFacts, ExhibitFacts
from leadline.custody.timestamps import load_roots, request_timestamp
from leadline.domain import EXACT_ALGORITHMS
from leadline.errors import BankNotFound, ConfigError, LeadlineError, TimestampFailed
from leadline.match.bank import Bank
from leadline.match.difference import compare, only_changed
from leadline.match.matcher import Matcher
from leadline.match.snapshot import Snapshot
from leadline.workbench import sealing
from leadline.workbench.banks.access import all_banks
from leadline.workbench.evidence import access, actions
from leadline.workbench.evidence.models import Asset, AssetMatch, AssetState, AssetView, Exhibit, ExhibitState
from leadline.workbench.journal.actions import event_of, head
from leadline.workbench.journal.models import Anchor, Line

_ROWS_AT_ONCE = 20_000
_IN_AT_ONCE = 500
_STAMP_TIMEOUT_S = 20.0

# --- lists that change -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """A state of a bank that every held asset has met; kept in memory so that only what changed is matched."""

    snapshot: Snapshot
    settings: str


_known: dict[str, _Known] = {}


def forget() -> None:
    """As after a new start: the next change of each bank is matched in full."""
    _known.clear()


def match_changes() -> int:
    """Match what changed in any bank against every asset held; how many assets changed. Needs no media.

    BankNotFound names a bank whose folder is gone: its matches stay, and it is matched anew when it is back.
    """
    banks = all_banks()
    changed = sum(_follow(bank, banks) for bank in banks)
    gone = access.banks_seen_besides(bank.name for bank in banks)
    for name in gone:
        actions.note_bank_gone(name)
        _known.pop(name, None)
    if gone:
        raise BankNotFound("a bank is gone", where=actions.bank_code(gone[0]), mend="bring its folder back")
    return changed


def _follow(bank: Bank, banks: list[Bank]) -> int:
    snapshot, now = bank.snapshot, timezone.now()
    said = f"{bank.radius_bits}:{bank.quality_floor}:{','.join(sorted(bank.kinds))}"[:80]
    seen, known = access.bank_seen(bank.name), _known.get(bank.name)
    since = int(seen.seen_at.timestamp()) if seen else 0
    if seen and (seen.list_version, seen.settings) == (snapshot.list_version, said):
        if known is None or known.snapshot.list_version != snapshot.list_version:
            known = _known[bank.name] = _Known(snapshot, said)
        if not _has_ban_ended(snapshot, since, int(now.timestamp())):
            return 0
    actions.announce_bank(bank.name, snapshot.list_version)
    is_next = known and seen and (known.snapshot.list_version, known.settings, seen.settings) == (
        seen.list_version, said, said,
    )  # fmt: skip
    concerned = _concerned(bank, snapshot, known.snapshot if known and is_next else None, since, int(now.timestamp()))
    changed = actions.match_again(concerned, banks)
    actions.note_bank(bank.name, snapshot.list_version, said, now, changed=changed, asked=len(concerned))
    _known[bank.name] = _Known(snapshot, said)
    return changed


def _has_ban_ended(snapshot: Snapshot, since: int, now: int) -> bool:
    columns = [table.records.sections["disabled"] for table in snapshot.tables]
    return any(bool(((times > since) & (times <= now)).any()) for times in columns)


def _concerned(bank: Bank, snapshot: Snapshot, before: Snapshot | None, since: int, now: int) -> set[Any]:
    """Assets whose answer may be another now; too many rather than one too few."""
    live = AssetMatch.objects.filter(bank=bank.name, withdrawn_at__isnull=True)
    if before is None:
        return find_met(bank) | set(live.values_list("asset_id", flat=True))
    difference = compare(before, snapshot, disabled_since=since, now=now)
    gone, found = difference.gone.tolist(), set()
    for first in range(0, len(gone), _IN_AT_ONCE):
        chunk = gone[first : first + _IN_AT_ONCE]
        found |= set(live.filter(entry__in=chunk).values_list("asset_id", flat=True))
    if difference.changed is not None:
        found |= find_met(only_changed(bank, difference.changed))
    return found


def find_met(bank: Bank) -> set[Any]:
    """Held assets with any fingerprint near an entry of this bank: found by rows, without building one object each."""
    matcher = Matcher([bank], limit=1)
    tables = bank.snapshot.tables
    found: set[Any] = set()
    for algorithm in EXACT_ALGORITHMS:
        digests = [t.records.prints.get((algorithm, EXACT_ALGORITHMS[algorithm])) for t in tables]
        if any(column is not None for column in digests):
            found |= _met_exactly(matcher, algorithm, digests)
    if any(table.segment.pdq_groups for table in tables):
        for owners, ends, rows in _pdq_rows():
            met = np.fromiter(matcher.match_rows("pdq", rows), np.int64)
            found |= {owners[view] for view in np.searchsorted(ends, met, side="right").tolist()}
    if any(table.segment.others for table in tables):
        with_others = AssetView.objects.exclude(others={}).values_list("asset_id", flat=True).distinct()
        found |= set(with_others.iterator())
    return found


def _met_exactly(matcher: Matcher, algorithm: str, digests: list[Any]) -> set[Any]:
    few = [row.tobytes().hex() for column in digests if column is not None for row in column.values[:_IN_AT_ONCE + 1]]
    if len(few) <= _IN_AT_ONCE:
        return set(Asset.objects.filter(**{f"{algorithm}__in": few}).values_list("pk", flat=True))
    found: set[Any] = set()
    rows = Asset.objects.order_by().values_list("pk", algorithm).iterator(chunk_size=_ROWS_AT_ONCE)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        joined = np.frombuffer(bytes.fromhex("".join(digest for _, digest in chunk)), np.uint8)
        met = matcher.match_rows(algorithm, joined.reshape(len(chunk), -1))
        found |= {chunk[number][0] for number in met}
    return found


def _pdq_rows() -> Iterator[tuple[list[Any], Any, Any]]:
    """All held PDQ hashes, some views at a time: the asset of each view, where its rows end, uint8 (Q, 32)."""
    views = AssetView.objects.order_by().values_list("asset_id", "pdq").iterator(chunk_size=_ROWS_AT_ONCE)
    while some := list(islice(views, _ROWS_AT_ONCE)):
        ends = np.cumsum([len(pdq) // 32 for _, pdq in some])
        rows = np.frombuffer(b"".join(pdq for _, pdq in some), np.uint8).reshape(-1, 32)
        yield [asset_id for asset_id, _ in some], ends, rows


# --- anchors ---------------------------------------------------------------------------------------------------------


def chain_id() -> str:
    """Names the chain of this office by its first line."""
    first = Line.objects.order_by("line").values_list("hash", flat=True).first()
    return f"leadline:{(first or '')[:32]}"


def sign_head() -> Anchor | None:
    """Say over our signature where the chain stands; None while it is empty."""
    stands = head()
    if stands is None:
        return None
    key = sealing.signing_key()
    at = format_time(timezone.now())
    made = make_anchor(chain_id(), stands.line, stands.hash, at, sign=key.sign, public_key=key.public_bytes)
    return actions.note_anchor(stands.line, stands.hash, encode_anchor(made).decode())


def send_anchor() -> None:
    """What the newest anchor still lacks: the file drop, the mail, the stamps. What fails is tried again."""
    anchor = Anchor.objects.order_by("-id").first()
    if anchor is None:
        return
    statement = anchor.statement.encode()
    if "drop" not in anchor.left_by:
        settings.LEADLINE_ANCHORS.mkdir(parents=True, exist_ok=True)
        write_anchor(settings.LEADLINE_ANCHORS, read_anchor(statement))
        actions.note_anchor_left(anchor, "drop")
    if "mail" not in anchor.left_by and (readers := access.readers_of_anchors()) and _is_mail_set():
        name = f"anchor-{anchor.line}.json"
        message = EmailMessage(f"Leadline: anchor of line {anchor.line}", _MAIL_TEXT, to=readers)
        message.attach(name, statement, "application/json")
        message.send()
        actions.note_anchor_left(anchor, "mail")
    _stamp(anchor, statement)


_MAIL_TEXT = """This file says, signed, where the custody chain of the office stood. Keep it elsewhere than the
office's machine. `leadline verify --anchor FILE CHAIN` shows later whether the chain was rewritten.
"""


def _is_mail_set() -> bool:
    return not settings.EMAIL_BACKEND.endswith("filebased.EmailBackend")


def _stamp(anchor: Anchor, statement: bytes) -> None:
    done = {stamp["url"] for stamp in anchor.stamps}
    urls = [url for url in settings.LEADLINE_TIMESTAMP_URLS if url not in done]
    if not urls:
        return
    roots = load_roots(_root_file().read_bytes())
    failed: LeadlineError | None = None
    for url in urls:
        try:
            token = request_timestamp(statement, partial(_post, url), roots)
        except (LeadlineError, httpx.HTTPError) as error:
            failed = error if isinstance(error, LeadlineError) else TimestampFailed(type(error).__name__, where=url)
        else:
            actions.note_stamp(anchor, url, b64encode(token).decode())
    if failed is not None:
        raise failed


def _root_file() -> Path:
    if not settings.LEADLINE_TIMESTAMP_ROOTS:
        mend = "name the file of their root certificates (PEM)"
        raise ConfigError("authorities without roots", where="LEADLINE_TIMESTAMP_ROOTS", mend=mend)
    return Path(settings.LEADLINE_TIMESTAMP_ROOTS)


def _post(url: str, query: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    answer = httpx.post(url, content=query, headers=headers, timeout=_STAMP_TIMEOUT_S, follow_redirects=False)
    answer.raise_for_status()
    return answer.content


# --- exhibits --------------------------------------------------------------------------------------------------------


def exhibit_path(exhibit: Exhibit) -> Path:
    return Path(settings.LEADLINE_HOME) / "exhibits" / f"{exhibit.pk}.zip"


@task(queue_name="default")
def build(exhibit_id: str) -> None:
    """Build a released exhibit. A build that was killed is begun again; nothing of it was shown to anybody."""
    exhibit = Exhibit.objects.get(pk=exhibit_id)
    if exhibit.state not in (ExhibitState.RELEASED, ExhibitState.FAILED):
        return
    try:
        line, manifest = _build(exhibit)
    except LeadlineError as error:
        actions.note_failed(exhibit, error.code)
        return
    size_bytes = exhibit_path(exhibit).stat().st_size
    actions.note_built(exhibit, line=line, manifest_sha512=manifest, size_bytes=size_bytes)


def _build(exhibit: Exhibit) -> tuple[int, str]:
    folder = exhibit_path(exhibit).with_suffix("")
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if folder.exists():  # a build that was stopped before its archive stood
        shutil.rmtree(folder)
    chain, key = chain_id(), sealing.signing_key()
    assets = list(exhibit.assets.order_by("received_at", "id"))
    with_files = bool(exhibit.recipient_key)
    shas = {str(asset.pk): asset.sha256 for asset in assets}
    anchors = [row for row in Anchor.objects.order_by("id") if read_anchor(row.statement.encode()).chain == chain]
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
        [_facts_of(asset, with_name=with_files) for asset in assets],
        anchors=[read_anchor(row.statement.encode()) for row in anchors],
        timestamps=[b64decode(stamp["token"]) for row in anchors for stamp in row.stamps],
        recipient=exhibit.recipient_key or None,
        open_asset=(lambda asset_id: sealing.read_asset(shas[asset_id])) if with_files else None,
        sign=key.sign,
        public_key=key.public_bytes,
    )
    _pack(folder, exhibit_path(exhibit))
    shutil.rmtree(folder)
    return built.head.line, built.manifest_sha512


def _events() -> Iterator[CustodyEvent]:
    return (event_of(line) for line in Line.objects.order_by("line").iterator(chunk_size=2000))


def _facts_of(asset: Asset, *, with_name: bool) -> AssetFacts:
    hashes = {"sha256": asset.sha256, "sha1": asset.sha1, "md5": asset.md5} | ({"pdq": asset.pdq} if asset.pdq else {})
    name = sealing.unseal(bytes(asset.name_sealed), f"asset-name:{asset.pk}") if asset.name_sealed else ""
    return AssetFacts(
        asset_id=str(asset.pk),
        hashes=hashes,
        size_bytes=asset.size_bytes,
        media_type=asset.mime,
        received_at=format_time(asset.received_at),
        name=name if with_name else "",
    )


def _pack(folder: Path, archive: Path) -> None:
    """One file of the bag, whole or absent. Stored, not deflated: what weighs in it is encrypted."""
    unfinished = archive.with_suffix(".partial")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, f"{folder.name}/{path.relative_to(folder)}")
    sealing.sync_file(unfinished)
    unfinished.replace(archive)


# --- terms, leftovers ------------------------------------------------------------------------------------------------


def sweep() -> int:
    """Sealed files that no asset names, older than a day: a stop between seal and record left them, unacknowledged."""
    return sealing.sweep(lambda sha256: _is_kept(sha256), older_than_s=24 * 3600)


def _is_kept(sha256: str) -> bool:
    return Asset.objects.filter(sha256=sha256, state=AssetState.KEPT.value).exists()


def rebuild_stuck(now: datetime | None = None) -> int:
    """Released exhibits whose task was lost between the decision and the queue."""
    stuck = Exhibit.objects.filter(state=ExhibitState.RELEASED.value, decided_at__lt=now or access.minutes_ago(10))
    for exhibit_id in stuck.values_list("pk", flat=True):
        build.call(str(exhibit_id))
    return len(stuck)


DUTIES = [
    ("evidence.match-changes", 5.0, match_changes),
    ("evidence.erase-expired", 300.0, actions.erase_expired),
    ("evidence.sign-head", 24 * 3600.0, sign_head),
    ("evidence.send-anchor", 300.0, send_anchor),
    ("evidence.rebuild-exhibits", 600.0, rebuild_stuck),
    ("evidence.sweep", 3600.0, sweep),
]
