"""Writes of webhooks: endpoints, the way from journal to deliveries, tries; and requests that were done before.

Nobody calls these to send an event: whatever an app records in the journal is an event. Lines of the journal hold ids
and codes only, so what leaves can hold nothing else, and a line whose act was rolled back was never there.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.errors import InputError, WrongState
from leadline.workbench.accounts.models import ApiKey, Person
from leadline.workbench.hooks import access
from leadline.workbench.hooks.models import (
    CLOSED_OBJECTS,
    OPEN_KINDS,
    Delivery,
    DoneRequest,
    Endpoint,
    Position,
)
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.journal.models import Line
from leadline.workbench.outgoing import Answer, pin, post, read_target

# After each failed try; the example of Standard Webhooks 1.0.0, "Deliverability and reliability".
DELAYS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_LINES_AT_ONCE = 500
_LEASE_S = 60  # a try that nobody ended is tried again after so long
_JITTER = 0.1
_MAX_EVENTS = 20
_REMEMBERED = timedelta(days=1)
_random = random.SystemRandom()


@transaction.atomic
def make_endpoint(by: Person, url: str, events: Collection[str], *, actor: str = "") -> Endpoint:
    """InputError for an address or event that may not be; resolved again, and checked again, at every try."""
    target = read_target(url)
    if not events or len(events) > _MAX_EVENTS or not all(map(access.is_event, events)):
        raise InputError("not a list of events", where="events", mend="name events such as report.received or bank.*")
    refused = pin(target, settings.LEADLINE_WEBHOOK_PRIVATE)
    if refused in ("private-address", "no-tls"):
        what = "this address is private" if refused == "private-address" else "this address is without TLS"
        raise InputError(what, where="url", mend="give a public https address")
    endpoint = Endpoint.objects.create(url=url, events=sorted(set(events)), made_by=by)
    _record("webhook.made", actor or str(by.pk), endpoint)
    return endpoint


@transaction.atomic
def renew_secret(by: Person, endpoint: Endpoint, *, actor: str = "") -> Endpoint:
    """For a day both secrets sign, so that the other side can change over."""
    endpoint = _live(endpoint)
    endpoint.generation, endpoint.renewed_at = endpoint.generation + 1, timezone.now()
    endpoint.save(update_fields=["generation", "renewed_at"])
    _record("webhook.renewed", actor or str(by.pk), endpoint)
    return endpoint


@transaction.atomic
def end_endpoint(by: Person | None, endpoint: Endpoint, reason: str, *, actor: str = "") -> None:
    endpoint = _live(endpoint)
    endpoint.ended_at, endpoint.ended_for = timezone.now(), reason
    endpoint.save(update_fields=["ended_at", "ended_for"])
    Delivery.objects.filter(endpoint=endpoint, state="waiting").update(state="failed", last_failure="ended")
    _record("webhook.ended", actor or (SYSTEM if by is None else str(by.pk)), endpoint, reason)


@transaction.atomic
def send_again(by: Person, delivery: Delivery, *, actor: str = "") -> None:
    """A failed one, from the first delay on, under the same webhook-id."""
    endpoint = _live(delivery.endpoint)
    failed = Delivery.objects.filter(pk=delivery.pk, state="failed")
    if not failed.update(state="waiting", tries=0, next_try_at=timezone.now()):
        raise WrongState("only what has failed is sent again")
    _record("webhook.sent-again", actor or str(by.pk), endpoint)


def _live(endpoint: Endpoint) -> Endpoint:
    found = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if found.ended_at is not None:
        raise WrongState("this webhook has ended", mend="make a new one")
    return found


def _record(act: str, actor: str, endpoint: Endpoint, reason: str = "none") -> None:
    record(act, actor=actor, object_kind="webhook", object_id=str(endpoint.pk), reason=reason)


def follow_journal() -> int:
    """Make deliveries of the lines since last time; how many lines were looked at. The first time: of none before."""
    last = Line.objects.order_by("-line").values_list("line", flat=True).first() or 0
    if last == Position.objects.values_list("line", flat=True).first():
        return 0  # asked every two seconds: without news it takes no lock
    return _follow(last)


@transaction.atomic
def _follow(last: int) -> int:
    position = Position.objects.select_for_update().first()
    if position is None:
        Position.objects.create(pk=1, line=last)
        return 0
    lines = list(Line.objects.filter(line__gt=position.line).order_by("line")[:_LINES_AT_ONCE])
    if not lines:
        return 0
    live = list(Endpoint.objects.filter(ended_at__isnull=True))
    Delivery.objects.bulk_create(
        [_delivery(endpoint, line) for line in lines for endpoint in live if _concerns(endpoint, line)],
        ignore_conflicts=True,
    )
    position.line = lines[-1].line
    position.save(update_fields=["line"])
    return len(lines)


def _concerns(endpoint: Endpoint, line: Line) -> bool:
    first = line.act.partition(".")[0]
    if first not in OPEN_KINDS or line.object_kind in CLOSED_OBJECTS:
        return False
    return line.act in endpoint.events or f"{first}.*" in endpoint.events


def _delivery(endpoint: Endpoint, line: Line) -> Delivery:
    """Without actor, reason and details: who works here, and why, is nobody else's."""
    body = {"type": line.act, "timestamp": line.at, "data": {"kind": line.object_kind, "id": line.object_id}}
    return Delivery(
        endpoint=endpoint,
        event=f"msg_{line.line}_{line.hash[:24]}",
        act=line.act,
        body=json.dumps(body, separators=(",", ":")),
        next_try_at=timezone.now(),
    )


def claim_due(limit: int) -> list[Delivery]:
    """Deliveries to try now; nobody else gets them while the lease lasts."""
    claimed = []
    now = timezone.now()
    due = Delivery.objects.filter(state="waiting", next_try_at__lte=now).select_related("endpoint")
    for delivery in due.order_by("next_try_at")[:limit]:
        mine = Delivery.objects.filter(pk=delivery.pk, state="waiting", next_try_at=delivery.next_try_at)
        if mine.update(next_try_at=now + timedelta(seconds=_LEASE_S), last_try_at=now):
            claimed.append(delivery)
    return claimed


def try_delivery(delivery: Delivery) -> Answer:
    """Sign and post once, and note what came of it."""
    timestamp = int(timezone.now().timestamp())
    secrets = access.secrets_of(delivery.endpoint)
    signatures = [access.sign(secret, delivery.event, timestamp, delivery.body) for secret in secrets]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Leadline",
        "webhook-id": delivery.event,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
    answer = post(delivery.endpoint.url, delivery.body.encode(), headers, allowed=settings.LEADLINE_WEBHOOK_PRIVATE)
    _note(delivery, answer)
    return answer


def _note(delivery: Delivery, answer: Answer) -> None:
    tries = delivery.tries + 1
    told = {"tries": tries, "last_status": answer.status, "last_failure": answer.failure}
    row = Delivery.objects.filter(pk=delivery.pk, state="waiting")
    if 200 <= answer.status < 300:
        row.update(state="delivered", next_try_at=None, **told)
    elif answer.status == 410:  # Gone: the other side wants no more
        row.update(**told)
        _end_quietly(delivery.endpoint, "gone")
    elif tries > len(DELAYS_S):
        row.update(state="failed", next_try_at=None, **told)
    else:
        wait_s = max(DELAYS_S[tries - 1] * (1 + _random.uniform(0, _JITTER)), min(answer.retry_after_s, DELAYS_S[-1]))
        now = timezone.now()
        row.update(next_try_at=now + timedelta(seconds=wait_s), **told)
        if not answer.status:  # a receiver that is away must not hold up the others with all that waits for it
            beside = Delivery.objects.filter(endpoint=delivery.endpoint, state="waiting", next_try_at__lte=now)
            beside.update(next_try_at=now + timedelta(seconds=_LEASE_S))


def _end_quietly(endpoint: Endpoint, reason: str) -> None:
    try:
        end_endpoint(None, endpoint, reason)
    except WrongState:
        return  # somebody ended it meanwhile


def begin_request(key: ApiKey, token: str, request: bytes) -> DoneRequest:
    """A row that is ours to end (`status` None), or that of the same request done before.

    InputError where the token came with another request, WrongState where its request has not ended.
    """
    row = {"key": key, "token_hash": hashlib.sha256(token.encode()).hexdigest()}
    request_hash = hashlib.sha256(request).hexdigest()
    try:
        with transaction.atomic():
            return DoneRequest.objects.create(**row, request_hash=request_hash)
    except IntegrityError:
        found = DoneRequest.objects.filter(**row).first()
    if found is None or found.status is None:
        mend = "ask for what it was about before you send it again, under a new key"
        raise WrongState("a request with this Idempotency-Key has not ended", mend=mend, code="idempotency-busy")
    if found.request_hash != request_hash:
        what = "this Idempotency-Key came with another request"
        raise InputError(what, mend="use a new one", code="idempotency-reuse")
    return found


def end_request(row: DoneRequest, status: int, answer: str) -> None:
    DoneRequest.objects.filter(pk=row.pk).update(status=status, answer=answer)


def forget_request(row: DoneRequest) -> None:
    """It did not happen, so it may be sent again."""
    DoneRequest.objects.filter(pk=row.pk).delete()


def forget_old() -> int:
    """Requests older than a day, and deliveries that ended 30 days ago."""
    now = timezone.now()
    gone, _ = DoneRequest.objects.filter(begun_at__lt=now - _REMEMBERED).delete()
    old, _ = Delivery.objects.exclude(state="waiting").filter(made_at__lt=now - 30 * _REMEMBERED).delete()
    return gone + old
