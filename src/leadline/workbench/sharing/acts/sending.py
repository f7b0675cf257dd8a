"""What two people approved is handed to the partner's connector, once. Never decides anew, never sends twice.

Before a part leaves, the journal says what is about to; after it, what became of it. What a kill leaves between the
two is unclear, and a person finds out: no machine tries it again.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from leadline.errors import BankError, InputError, LeadlineError, SourceUnavailable, WrongState
from leadline.exchange.connector import Act, Connector, Outgoing, Sent
from leadline.exchange.incoming import clean_text
from leadline.workbench.banks.access import all_banks, bank_id_of
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.sharing import access, gate, leaving, reach
from leadline.workbench.sharing.acts.writing import keep, lock_share, tell
from leadline.workbench.sharing.gate import Wish
from leadline.workbench.sharing.models import REMOTE_CHARS, ItemState, Share, ShareItem, ShareState

DELAYS_S = (60, 300, 1800, 7200, 21_600, 43_200, 86_400)
AT_ONCE = 100
_NOT_TAKEN = frozenset({"too-busy"})  # the partner said so before it looked at anything: safe to send again
log = logging.getLogger("leadline.sharing")


class _Part(NamedTuple):
    items: list[ShareItem]
    outgoing: list[Outgoing]


def settle_cut() -> int:
    """What a worker that is gone was sending; how many shares. Only one worker does this duty at a time."""
    cut = list(Share.objects.filter(state=ShareState.SENDING).values_list("pk", flat=True))
    for share_id in cut:
        with transaction.atomic():
            share = lock_share(share_id)
            if share.state != ShareState.SENDING:
                continue
            lost = ShareItem.objects.filter(share=share, state=ItemState.SENDING)
            count = lost.update(state=ItemState.UNCLEAR.value, failure="cut-off", at=timezone.now())
            _leave(share, "")
            tell("share.cut-off", share, SYSTEM, details={"entries": count})
    return len(cut)


def send_due() -> int:
    """Each approved share that is due; how many."""
    count = 0
    while (share := _claim()) is not None:
        _send(share)
        count += 1
    return count


@transaction.atomic
def _claim() -> Share | None:
    now = timezone.now()
    due = Share.objects.filter(state=ShareState.APPROVED, next_try_at__lte=now, expires_at__gt=now)
    found = due.order_by("next_try_at").values_list("pk", flat=True).first()
    if found is None:
        return None
    share = lock_share(found)
    if share.state != ShareState.APPROVED:
        return None
    share.state, share.sender = ShareState.SENDING.value, secrets.token_hex(16)
    keep(share)
    return share


def _send(share: Share) -> None:
    waiting = list(ShareItem.objects.filter(share=share, state=ItemState.WAITING).values_list("pk", flat=True))
    try:
        with reach.open_connector(share.partner.source) as connector:
            for first in range(0, len(waiting), AT_ONCE):
                part = _begin(share, waiting[first : first + AT_ONCE])
                if part is None:
                    return
                if part.items and not _hand_over(share, part, connector):
                    return
    except LeadlineError as error:
        _put_off(share, error)
        return
    _finish(share)


@transaction.atomic
def _begin(share: Share, ids: Sequence[int]) -> _Part | None:
    """Judged once more: what changed since it was approved stays here. None where this is no longer ours to send."""
    live = lock_share(share.pk)
    if (live.state, live.sender) != (ShareState.SENDING, share.sender):
        return None
    _require_agreement(live)
    items = list(ShareItem.objects.filter(pk__in=ids, state=ItemState.WAITING).order_by("id"))
    rulings = _judge(live, [item.entry for item in items])
    part = _Part([], [])
    for item in items:
        ruling, left = rulings[item.entry], gate.unseal_left(item)
        if ruling.left != left:
            item.rule, item.state = (ruling.rule if not ruling.passes else "changed"), ItemState.STOPPED.value
            item.left_sealed = None
        else:
            item.state, item.at = ItemState.SENDING.value, timezone.now()
            part.items.append(item)
            part.outgoing.append(leaving.decode(left))
        item.save(update_fields=["rule", "state", "left_sealed", "at"])
    if part.items:
        tell("share.leaving", live, SYSTEM, details=_said(part.items))
    return part


def _require_agreement(share: Share) -> None:
    """InputError, WrongState where what was agreed holds no more, or leads elsewhere."""
    found = access.agreement_for(share.partner, Act(share.act))
    if found.pk != share.agreement_id and share.act != Act.WITHDRAW:
        raise WrongState("another agreement holds by now", mend="propose it anew")


def _judge(share: Share, entries: Sequence[int]) -> dict[int, gate.Ruling]:
    wish = Wish(Act(share.act), share.bank, algorithm=share.algorithm, codes=tuple(share.codes))
    bank = next((bank for bank in all_banks() if bank_id_of(bank) == share.bank), None)
    judged = gate.Gate(None, share.partner, share.agreement, bank, wish, but=share.pk).judge(entries)
    return {ruling.entry: ruling for ruling in judged}


def _hand_over(share: Share, part: _Part, connector: Connector) -> bool:
    """Whether the next part may follow."""
    try:
        sent = connector.send(part.outgoing)
    except LeadlineError as error:  # nothing was tried
        _take_back(part.items)
        _put_off(share, error)
        return False
    except Exception as error:  # a fault of ours: how far it came nobody knows
        log.error("a share failed while it was sent: %s", type(error).__name__)  # its text might hold what left
        sent = []
    return _note(share, part, sent)


@transaction.atomic
def _take_back(items: Sequence[ShareItem]) -> None:
    rows = ShareItem.objects.filter(pk__in=[item.pk for item in items], state=ItemState.SENDING)
    rows.update(state=ItemState.WAITING.value, at=None)


@transaction.atomic
def _note(share: Share, part: _Part, sent: Sequence[Sent]) -> bool:
    """What became of each, with its line. Also where somebody took this worker for dead meanwhile: it knows better."""
    live = lock_share(share.pk)
    told = [*sent[: len(part.items)], *[None] * (len(part.items) - len(sent))]
    for item, outcome in zip(part.items, told, strict=True):
        item.state, item.failure, item.remote_id = _outcome(outcome)
        unsettled = ShareItem.objects.filter(pk=item.pk, state__in=(ItemState.SENDING, ItemState.UNCLEAR))
        at = None if item.state == ItemState.WAITING else timezone.now()
        unsettled.update(state=item.state, failure=item.failure, remote_id=item.remote_id, at=at)
    left = [item for item in part.items if item.state != ItemState.WAITING]
    is_ours = (live.state, live.sender) == (ShareState.SENDING, share.sender)
    if live.state == ShareState.UNCLEAR and not is_ours:
        _leave(live, "")
    tell("share.left", live, SYSTEM, details=_said(left) | {state: n for state, n in _counts(left).items()})
    return is_ours


def _outcome(sent: Sent | None) -> tuple[str, str, str]:
    """State, failure, remote id. What may have been taken although an error came is unclear."""
    if sent is None:
        return ItemState.UNCLEAR.value, "no-answer", ""
    if sent.error is None:
        return ItemState.TAKEN.value, "", clean_text(sent.remote_id)[:REMOTE_CHARS]
    failure = sent.error.code[:40]
    if failure in _NOT_TAKEN:
        return ItemState.WAITING.value, failure, ""
    state = ItemState.REFUSED if sent.error.permanent or isinstance(sent.error, InputError) else ItemState.UNCLEAR
    return state.value, failure, ""


def _said(items: Sequence[ShareItem]) -> dict[str, str | int]:
    return {"digest": leaving.digest_of(item.digest for item in items), "entries": len(items)}


def _counts(items: Sequence[ShareItem]) -> dict[str, int]:
    states = (ItemState.TAKEN, ItemState.REFUSED, ItemState.UNCLEAR)
    return {state.value: sum(item.state == state for item in items) for state in states}


@transaction.atomic
def _finish(share: Share) -> None:
    live = lock_share(share.pk)
    if (live.state, live.sender) != (ShareState.SENDING, share.sender):
        return
    _leave(live, "too-busy")
    left = list(ShareItem.objects.filter(share=live, state__in=access.LEFT).order_by("id"))
    tell("share.ended" if live.state == ShareState.SENT else "share.stands", live, SYSTEM, details=_said(left))


def _leave(share: Share, failure: str) -> None:
    """The state that the items' states make: unclear before waiting, waiting before sent."""
    states = set(ShareItem.objects.filter(share=share).values_list("state", flat=True))
    share.sender = ""
    if ItemState.UNCLEAR in states:
        share.state, share.next_try_at = ShareState.UNCLEAR.value, None
    elif ItemState.WAITING in states:
        _wait(share, failure, 0.0)
    else:
        share.state, share.next_try_at, share.ended_at = ShareState.SENT.value, None, timezone.now()
    keep(share)


def _wait(share: Share, failure: str, after_s: float) -> None:
    if share.tries >= len(DELAYS_S):
        share.state, share.failure, share.next_try_at = ShareState.FAILED.value, failure, None
        return
    wait_s = max(DELAYS_S[share.tries], min(after_s, DELAYS_S[-1]))
    share.state, share.failure, share.tries = ShareState.APPROVED.value, failure, share.tries + 1
    share.next_try_at = timezone.now() + timedelta(seconds=wait_s)


@transaction.atomic
def _put_off(share: Share, error: LeadlineError) -> None:
    """Nothing of what waits was tried. What time may mend is tried again; the rest waits for a person."""
    live = lock_share(share.pk)
    if (live.state, live.sender) != (ShareState.SENDING, share.sender):
        return
    failure, is_temporary = error.code[:40], not error.permanent and not isinstance(error, BankError)
    if ShareItem.objects.filter(share=live, state=ItemState.UNCLEAR).exists():
        live.state, live.next_try_at, live.failure = ShareState.UNCLEAR.value, None, failure
    elif is_temporary:
        _wait(live, failure, error.retry_after_s if isinstance(error, SourceUnavailable) else 0.0)
    else:
        live.state, live.next_try_at, live.failure = ShareState.FAILED.value, None, failure
    live.sender = ""
    keep(live)
    tell("share.put-off" if live.state == ShareState.APPROVED else "share.stands", live, SYSTEM, reason=_code(failure))


def _code(failure: str) -> str:
    """As a reason in the journal; a plug-in's error might have another sort of code."""
    plain = failure.replace("-", "").replace(".", "")
    return failure if plain.isascii() and plain.isalnum() and failure[0].islower() else "fault"
