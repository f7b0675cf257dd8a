"""Evidence in the background: lists that change, terms that end, anchors that leave, exhibits that are built."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone
from django_tasks import task

from leadline.custody.anchor import encode_anchor, make_anchor, read_anchor, write_anchor
from leadline.custody.chain import format_time
from leadline.custody.timestamps import load_roots, request_timestamp
from leadline.domain import EXACT_ALGORITHMS
from leadline.errors import BankNotFound, ConfigError, LeadlineError, TimestampFailed
from leadline.match.bank import Bank
from leadline.match.difference import compare, only_changed
from leadline.match.matcher import Matcher
from leadline.match.snapshot import Snapshot
from leadline.workbench import chain, sealing
from leadline.workbench.banks.access import all_banks, is_same_list, state_of, trusted_bits
from leadline.workbench.evidence import access, actions
from leadline.workbench.evidence.models import Asset, AssetMatch, AssetState, AssetView, Exhibit, ExhibitState
from leadline.workbench.journal.actions import head
from leadline.workbench.journal.models import Anchor

_ROWS_AT_ONCE = 20_000
_IN_AT_ONCE = 500
_ASKED_SINGLY = 50_000  # digests looked up by the columns' indexes; for more, reading every row is faster
_STAMP_TIMEOUT_S = 20.0

# --- lists that change -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """A state of a bank that every held asset has met; kept in memory so that only what changed is matched."""

    snapshot: Snapshot
    state: str
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
    snapshot, state, now = bank.snapshot, state_of(bank), timezone.now()
    tlp = snapshot.manifest.tlp.value  # not for matching, but what is kept of a match depends on it
    said = f"{tlp}:{bank.radius_bits}:{bank.quality_floor}:{','.join(sorted(bank.kinds))}"[:74]
    trusted = trusted_bits(bank)
    said += f":t{trusted}" if trusted else ""
    seen, known = access.bank_seen(bank.name), _known.get(bank.name)
    since = int(seen.seen_at.timestamp()) if seen else 0
    if seen and (seen.state, seen.settings) == (state, said):
        if known is None or known.state != state:
            known = _known[bank.name] = _Known(snapshot, state, said)
        if not _has_ban_ended(snapshot, since, int(now.timestamp())):
            return 0
    actions.announce_bank(bank.name, state)
    is_next = known and seen and (known.state, known.settings, seen.settings) == (seen.state, said, said)
    before = known.snapshot if known and is_next and is_same_list(known.state, state) else None
    concerned = _concerned(bank, snapshot, before, since, int(now.timestamp()))
    changed = actions.match_again(concerned, banks)
    actions.note_bank(bank, state, snapshot.list_version, said, now, changed=changed, asked=len(concerned))
    _known[bank.name] = _Known(snapshot, state, said)
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
    columns = [column.values for column in digests if column is not None]
    if sum(map(len, columns)) <= _ASKED_SINGLY:
        wanted = [row.tobytes().hex() for column in columns for row in column]
        return _having(algorithm, wanted)
    found: set[Any] = set()
    rows = Asset.objects.order_by().values_list("pk", algorithm).iterator(chunk_size=_ROWS_AT_ONCE)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        joined = np.frombuffer(bytes.fromhex("".join(digest for _, digest in chunk)), np.uint8)
        met = matcher.match_rows(algorithm, joined.reshape(len(chunk), -1))
        found |= {chunk[number][0] for number in met}
    return found


def _having(algorithm: str, digests: list[str]) -> set[Any]:
    found: set[Any] = set()
    for first in range(0, len(digests), _IN_AT_ONCE):
        some = {f"{algorithm}__in": digests[first : first + _IN_AT_ONCE]}
        found |= set(Asset.objects.order_by().filter(**some).values_list("pk", flat=True))
    return found


def _pdq_rows() -> Iterator[tuple[list[Any], Any, Any]]:
    """All held PDQ hashes, some views at a time: the asset of each view, where its rows end, uint8 (Q, 32)."""
    views = AssetView.objects.order_by().values_list("asset_id", "pdq").iterator(chunk_size=_ROWS_AT_ONCE)
    while some := list(islice(views, _ROWS_AT_ONCE)):
        ends = np.cumsum([len(pdq) // 32 for _, pdq in some])
        rows = np.frombuffer(b"".join(pdq for _, pdq in some), np.uint8).reshape(-1, 32)
        yield [asset_id for asset_id, _ in some], ends, rows


# --- anchors ---------------------------------------------------------------------------------------------------------


def sign_head() -> Anchor | None:
    """Say over our signature where the chain stands; None while it is empty.

    Where the list of erasures and holds stands goes into the chain first: so the anchor vouches for that list too.
    """
    if head() is not None:
        actions.note_erasures()
    stands = head()
    if stands is None:
        return None
    key = sealing.signing_key()
    at = format_time(timezone.now())
    made = make_anchor(access.chain_id(), stands.line, stands.hash, at, sign=key.sign, public_key=key.public_bytes)
    return actions.note_anchor(stands.line, stands.hash, encode_anchor(made).decode())


def send_anchor() -> None:
    """What the newest anchor still lacks: the file drop, the mail, the stamps. One way that fails keeps no other.

    What failed is tried again in the next round; the first of it is raised, so that health says so.
    """
    anchor = Anchor.objects.order_by("-id").first()
    if anchor is None:
        return
    statement = anchor.statement.encode()
    failed: Exception | None = None
    for way in (_drop, _mail, _mail_partners, _stamp):
        try:
            way(anchor, statement)
        except (LeadlineError, OSError) as error:  # SMTPException is an OSError
            failed = failed or error
    if failed is not None:
        raise failed


def _drop(anchor: Anchor, statement: bytes) -> None:
    if "drop" not in anchor.left_by:
        settings.LEADLINE_ANCHORS.mkdir(parents=True, exist_ok=True)
        write_anchor(settings.LEADLINE_ANCHORS, read_anchor(statement))
        actions.note_anchor_left(anchor, "drop")


def _mail(anchor: Anchor, statement: bytes) -> None:
    if "mail" not in anchor.left_by and (readers := access.readers_of_anchors()) and _is_mail_set():
        _send(anchor, statement, readers)
        actions.note_anchor_left(anchor, "mail")


def _mail_partners(anchor: Anchor, statement: bytes) -> None:
    """To each a mail of its own: servers tell of a refused address only where no other was taken with it."""
    waiting = [one for one in settings.LEADLINE_ANCHOR_MAIL if chain.PARTNER + one not in anchor.left_by]
    if waiting and not _is_mail_set():
        raise ConfigError("partners, and no mail server", where="LEADLINE_ANCHOR_MAIL", mend="set LEADLINE_MAIL_URL")
    failed: OSError | None = None
    for address in waiting:
        try:
            _send(anchor, statement, [address])
        except OSError as error:
            failed = error
        else:
            actions.note_anchor_left(anchor, chain.PARTNER + address)
    if failed is not None:
        raise failed


def _send(anchor: Anchor, statement: bytes, to: list[str]) -> None:
    erasures = sealing.open_vault().erasures.head
    text = _MAIL_TEXT.format(line=erasures.line, hash=erasures.hash)
    message = EmailMessage(f"Leadline: anchor of line {anchor.line}", text, to=to)
    message.attach(f"anchor-{anchor.line}.json", statement, "application/json")
    message.send()


_MAIL_TEXT = """The file says, signed, where the custody chain of the office stood. Keep it elsewhere than the office's
machine. To hold the chain against it later, ask for `leadline journal export FOLDER`, then
`leadline verify FOLDER/custody.jsonl --anchor FILE`.

The list of erasures and holds stood at line {line}, hash {hash}.
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
        except LeadlineError as error:
            failed = error
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
    """TimestampFailed. The library is loaded when somebody is asked: it takes a tenth of a second, at every start."""
    import httpx

    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        answer = httpx.post(url, content=query, headers=headers, timeout=_STAMP_TIMEOUT_S, follow_redirects=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise TimestampFailed(type(error).__name__, where=url) from None
    return answer.content


# --- exhibits --------------------------------------------------------------------------------------------------------


@task(queue_name="default")
def build(exhibit_id: str) -> None:
    """Build a released exhibit. A build that was killed is begun again; nothing of it was shown to anybody.

    The head is signed first, and where it can be stamped, so that the lines of the exhibit lie before its anchor.
    """
    if Exhibit.objects.filter(pk=exhibit_id, state=ExhibitState.RELEASED.value).exists():
        sign_head()
        with suppress(LeadlineError, OSError):  # an anchor that is not out yet is in the exhibit all the same
            send_anchor()
    actions.build_exhibit(exhibit_id)


def rebuild_stuck(now: datetime | None = None) -> int:
    """Ask again for released exhibits whose task was lost between the decision and the queue, or with its worker."""
    stuck = Exhibit.objects.filter(state=ExhibitState.RELEASED.value, decided_at__lt=now or access.minutes_ago(10))
    for exhibit_id in stuck.values_list("pk", flat=True):
        build.enqueue(str(exhibit_id))  # not here: a long build would hold up every other duty
    return len(stuck)


# --- terms, leftovers ------------------------------------------------------------------------------------------------


def sweep() -> int:
    """Sealed files that no asset names, older than a day: a stop between seal and record left them, unacknowledged."""
    return sealing.sweep(lambda sha256: _is_kept(sha256), older_than_s=24 * 3600)


def _is_kept(sha256: str) -> bool:
    return Asset.objects.filter(sha256=sha256, state=AssetState.KEPT.value).exists()


def remove_exhibits() -> int:
    """Built files whose time is over. What was sent is with its recipient; here it would outlive what it is of."""
    return actions.remove_exhibits(timezone.now())


DUTIES = [
    ("evidence.match-changes", 5.0, match_changes),
    ("evidence.erase-expired", 300.0, actions.erase_expired),
    ("evidence.reconcile-erased", 300.0, actions.reconcile_erased),
    ("evidence.sign-head", 24 * 3600.0, sign_head),
    ("evidence.send-anchor", 300.0, send_anchor),
    ("evidence.rebuild-exhibits", 600.0, rebuild_stuck),
    ("evidence.sweep", 3600.0, sweep),
    ("evidence.remove-exhibits", 3600.0, remove_exhibits),
]
