"""A share is proposed by one person and approved by another; or refused, taken back, or left to expire."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.exchange.connector import Act
from leadline.workbench import sealing
from leadline.workbench.accounts.access import are_two
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access as banks
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.permissions import Permission
from leadline.workbench.sharing import access, gate
from leadline.workbench.sharing.access import Preview
from leadline.workbench.sharing.acts.writing import check_code, clean, keep, lock_share, tell
from leadline.workbench.sharing.gate import Wish
from leadline.workbench.sharing.models import (
    NOTE_CHARS,
    OPEN,
    REASONS,
    REFUSALS,
    ItemState,
    Partner,
    Share,
    ShareItem,
    ShareState,
)

LASTS = timedelta(days=14)  # of a proposal, and of an approval that could not be carried out
_ROWS_AT_ONCE = 500


@transaction.atomic
def propose(
    by: Actor, partner: Partner, wish: Wish, *, purpose: str, reason: str, seen_digest: str, note: str = ""
) -> Share:
    """What a dry run showed, and nothing else: WrongState where by now something else would leave.

    The partner's row is held meanwhile, so that of two proposals of one entry the second finds the first.
    """
    check_code(reason, REASONS, "reason")
    note = clean(note, "note", NOTE_CHARS)
    Partner.objects.select_for_update().get(pk=partner.pk)
    found = access.preview(by, partner, wish, purpose)
    if not secrets.compare_digest(found.digest.encode(), seen_digest.encode()):
        raise WrongState("something else would leave by now", mend="look at the dry run again")
    if not found.passing:
        raise InputError("nothing of it may leave", where="ids", mend="see the rule beside each entry")
    now, share_id = timezone.now(), uuid.uuid4()
    share = Share.objects.create(
        id=share_id, partner=partner, agreement=found.agreement, act=wish.act.value, bank=wish.bank, purpose=purpose,
        reason=reason, algorithm=wish.algorithm, codes=list(wish.codes), digest=found.digest, passing=found.passing,
        stopped=found.stopped, proposed_by=by.person, proposer=by.id, proposed_at=now, expires_at=now + LASTS,
        note_sealed=sealing.seal(note, access.note_context(share_id)) if note else None,
    )  # fmt: skip
    _write_items(share, found)
    said = {"act": share.act, "digest": share.digest, "entries": share.passing, "stopped": share.stopped}
    said |= {"agreement": str(share.agreement_id), "purpose": purpose}
    tell("share.proposed", share, by.id, reason=reason, details=said)
    return share


def _write_items(share: Share, found: Preview) -> None:
    rows = [
        ShareItem(
            share=share, entry=one.entry, rule=one.rule, digest=one.digest,
            state=ItemState.WAITING.value if one.passes else ItemState.STOPPED.value,
            left_sealed=sealing.seal(one.left.decode(), gate.left_context(share.pk, one.entry)) if one.left else None,
        )
        for one in found.rulings
    ]  # fmt: skip
    ShareItem.objects.bulk_create(rows, batch_size=_ROWS_AT_ONCE)


@transaction.atomic
def approve(by: Actor, share_id: Any) -> Share:
    """A second person's yes. There is no office so small that one person alone lets something leave."""
    share, now = lock_share(share_id), timezone.now()
    if share.state != ShareState.PROPOSED or share.expires_at <= now:
        raise WrongState("this proposal is decided, or has expired")
    _check_second(by, share)
    banks.find_bank(by, share.bank)
    agreement = access.agreement_for(share.partner, Act(share.act))
    if agreement.pk != share.agreement_id:
        raise WrongState("another agreement holds by now", mend="propose it anew")
    share.state, share.decided_by, share.decided_at = ShareState.APPROVED.value, by.person, now
    share.next_try_at, share.expires_at = now, now + LASTS
    keep(share)
    tell("share.approved", share, by.id, details={"digest": share.digest, "entries": share.passing})
    return share


@transaction.atomic
def try_again(by: Actor, share_id: Any) -> Share:
    """What could not be sent, once its cause is corrected. Also by who proposed it: two people have said yes."""
    share = lock_share(share_id)
    if share.state != ShareState.FAILED:
        raise WrongState("nothing of it waits to be tried again")
    share.state, share.tries, share.failure, share.next_try_at = ShareState.APPROVED.value, 0, "", timezone.now()
    share.expires_at = timezone.now() + LASTS
    keep(share)
    tell("share.tried-again", share, by.id)
    return share


@transaction.atomic
def refuse(by: Actor, share_id: Any, reason: str) -> Share:
    share = lock_share(share_id)
    check_code(reason, REFUSALS, "reason")
    if share.state != ShareState.PROPOSED:
        raise WrongState("this proposal is decided")
    _check_second(by, share)
    share.decided_by, share.decided_at = by.person, timezone.now()
    return _end(share, ShareState.REFUSED, by.id, reason)


@transaction.atomic
def withdraw(by: Actor, share_id: Any) -> Share:
    """Taken back before anything of it left, or before the rest did: by who proposed it, or who may approve."""
    share = lock_share(share_id)
    if share.proposed_by_id != by.person.pk and not by.may(Permission.SHARING_APPROVE):
        raise NotAllowed("who proposed it takes it back, or somebody who may approve")
    if share.state not in OPEN:
        raise WrongState("it is under way, or has ended")
    return _end(share, ShareState.WITHDRAWN, by.id, "taken-back")


@transaction.atomic
def resolve(by: Actor, share_id: Any, *, arrived: bool) -> Share:
    """A person has found out at the partner whether what was under way had arrived. Only now the rest goes on."""
    share = lock_share(share_id)
    if share.state != ShareState.UNCLEAR:
        raise WrongState("nothing of it is unclear")
    unclear = ShareItem.objects.filter(share=share, state=ItemState.UNCLEAR)
    state = ItemState.TAKEN if arrived else ItemState.WAITING
    count = unclear.update(state=state.value, failure="", at=timezone.now() if arrived else None)
    is_rest = ShareItem.objects.filter(share=share, state=ItemState.WAITING).exists()
    share.state = (ShareState.APPROVED if is_rest else ShareState.SENT).value
    share.next_try_at, share.tries, share.failure = (timezone.now(), 0, "") if is_rest else (None, share.tries, "")
    share.ended_at = None if is_rest else timezone.now()
    keep(share)
    tell("share.resolved", share, by.id, reason="arrived" if arrived else "not-arrived", details={"entries": count})
    return share


def expire() -> int:
    """What nobody decided, or could not be sent, in its time; how many."""
    due = Share.objects.filter(state__in=[state.value for state in OPEN], expires_at__lte=timezone.now())
    ended = 0
    for share_id in due.values_list("pk", flat=True)[:_ROWS_AT_ONCE]:
        with transaction.atomic():
            share = lock_share(share_id)
            if share.state in OPEN and share.expires_at <= timezone.now():
                _end(share, ShareState.EXPIRED, SYSTEM, "expired")
                ended += 1
    return ended


@transaction.atomic
def doubt_after_restore() -> int:
    """What was on its way when the backup was made may have left since: a person finds out. How many shares.

    What waited for a second person may have been approved since, so it ends, to be proposed anew.
    """
    doubted = [ShareState.PROPOSED, ShareState.APPROVED, ShareState.SENDING, ShareState.FAILED]
    ids = list(Share.objects.filter(state__in=doubted).values_list("pk", flat=True))
    for share_id in ids:
        share = lock_share(share_id)
        if share.state == ShareState.PROPOSED:
            _end(share, ShareState.EXPIRED, SYSTEM, "restored")
            continue
        open_items = ShareItem.objects.filter(share=share, state__in=(ItemState.WAITING, ItemState.SENDING))
        count = open_items.update(state=ItemState.UNCLEAR.value, failure="restored", at=timezone.now())
        share.state, share.sender, share.next_try_at = ShareState.UNCLEAR.value, "", None
        share.failure = "restored"
        keep(share)
        tell("share.doubted", share, SYSTEM, reason="restored", details={"entries": count})
    return len(ids)


def _end(share: Share, state: ShareState, actor: str, reason: str) -> Share:
    """What it would have sent is forgotten; what it has sent stays."""
    share.state, share.ended_at, share.ended_for, share.next_try_at = state.value, timezone.now(), reason, None
    keep(share)
    waiting = ShareItem.objects.filter(share=share, state=ItemState.WAITING)
    waiting.update(state=ItemState.STOPPED.value, rule="not-sent", left_sealed=None)
    tell(f"share.{state.value}", share, actor, reason=reason)
    return share


def _check_second(by: Actor, share: Share) -> None:
    if not by.may(Permission.SHARING_APPROVE) or not are_two(share.proposed_by, by.person):
        raise NotAllowed("a second person decides this", mend="ask a colleague")
