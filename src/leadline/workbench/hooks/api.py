"""API of webhooks. Its secret is in the answer that makes or renews one, and nowhere else.

On the page making one asks for a fresh proof. A program has none to give, so a key does it by a scope that is for
nothing else, and that somebody ticked with a fresh proof when they made the key.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.http import Http404, HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from leadline.workbench.api import CursorQuery, caller, needs
from leadline.workbench.cursors import slice_rows
from leadline.workbench.hooks import access, actions
from leadline.workbench.hooks.models import Delivery, Endpoint
from leadline.workbench.permissions import Permission

router = Router(tags=["webhooks"])


class NewWebhook(Schema):
    url: str = Field(max_length=500)
    events: list[str] = Field(min_length=1, max_length=20)


class WebhookOut(Schema):
    id: uuid.UUID
    url: str
    events: list[str]
    made_at: datetime
    ended_at: datetime | None
    ended_for: str


class WebhookMade(WebhookOut):
    secret: str


class WebhookList(Schema):
    items: list[WebhookOut]
    next: str | None


class DeliveryOut(Schema):
    id: int
    event: str
    act: str
    made_at: datetime
    state: str
    tries: int
    last_status: int
    last_failure: str
    next_try_at: datetime | None


class DeliveryList(Schema):
    items: list[DeliveryOut]
    next: str | None


@router.get("/webhooks", response=WebhookList)
@needs(Permission.WEBHOOKS_MANAGE)
def list_webhooks(request: HttpRequest, at: Query[CursorQuery]) -> object:
    """Newest first."""
    rows, following = slice_rows(access.endpoints(), ("-made_at", "-id"), at.cursor, at.limit, "webhooks")
    return {"items": rows, "next": following}


@router.post("/webhooks", response={201: WebhookMade})
@needs(Permission.WEBHOOKS_MANAGE)
def make_webhook(request: HttpRequest, wish: NewWebhook) -> object:
    """Events are acts of the journal (report.received) or all of one kind (report.*)."""
    actor = caller(request)
    return Status(201, _made(actions.make_endpoint(actor.person, wish.url, wish.events, actor=actor.id)))


@router.get("/webhooks/{uuid:webhook_id}", response=WebhookOut)
@needs(Permission.WEBHOOKS_MANAGE)
def show_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> object:
    return _found(webhook_id)


@router.post("/webhooks/{uuid:webhook_id}/secret", response=WebhookMade)
@needs(Permission.WEBHOOKS_MANAGE)
def renew_secret(request: HttpRequest, webhook_id: uuid.UUID) -> object:
    """A new secret. For a day the old one signs as well."""
    actor = caller(request)
    return _made(actions.renew_secret(actor.person, _found(webhook_id), actor=actor.id))


@router.delete("/webhooks/{uuid:webhook_id}", response={204: None})
@needs(Permission.WEBHOOKS_MANAGE)
def end_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> object:
    actor = caller(request)
    actions.end_endpoint(actor.person, _found(webhook_id), "ended-by-program", actor=actor.id)
    return Status(204, None)


@router.get("/webhooks/{uuid:webhook_id}/deliveries", response=DeliveryList)
@needs(Permission.WEBHOOKS_MANAGE)
def list_deliveries(request: HttpRequest, webhook_id: uuid.UUID, at: Query[CursorQuery]) -> object:
    """Newest first: what was tried, how often, and what came of it."""
    rows = access.deliveries_of(_found(webhook_id))
    found, following = slice_rows(rows, ("-id",), at.cursor, at.limit, f"deliveries:{webhook_id}")
    return {"items": found, "next": following}


@router.post("/webhooks/{uuid:webhook_id}/deliveries/{int:delivery_id}/again", response={202: DeliveryOut})
@needs(Permission.WEBHOOKS_MANAGE)
def send_again(request: HttpRequest, webhook_id: uuid.UUID, delivery_id: int) -> object:
    """One that has failed for good, under the same webhook-id."""
    delivery: Delivery | None = access.deliveries_of(_found(webhook_id)).filter(pk=delivery_id).first()
    if delivery is None:
        raise Http404
    actor = caller(request)
    actions.send_again(actor.person, delivery, actor=actor.id)
    delivery.refresh_from_db()
    return Status(202, delivery)


def _found(webhook_id: uuid.UUID) -> Endpoint:
    endpoint = access.find_endpoint(webhook_id)
    if endpoint is None:
        raise Http404
    return endpoint


def _made(endpoint: Endpoint) -> dict[str, object]:
    shown = {name: getattr(endpoint, name) for name in WebhookOut.model_fields}
    return shown | {"secret": access.secret_of(endpoint)}
