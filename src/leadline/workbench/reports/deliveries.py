"""Writes of bulk files between preview and import: sealed, and gone as soon as they are imported."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.actions import record
from leadline.workbench.reports.acts.embedded import list_without_media
from leadline.workbench.reports.contents import delivery_context, open_text, seal_value
from leadline.workbench.reports.models import Delivery, DeliveryLine, Report

MAX_DELIVERY_BYTES = 32 << 20


@transaction.atomic
def keep(by: Person, untrusted: bytes, source: str) -> Delivery:
    """ReportFormatError where it is no list; of media inside it nothing is stored where the office keeps none."""
    untrusted = list_without_media(untrusted)
    delivery = Delivery(id=uuid.uuid4(), made_by=by, made_at=timezone.now(), source=source[:120])
    delivery.data_sealed = seal_value(base64.b64encode(untrusted).decode("ascii"), delivery_context(delivery.id))
    delivery.save(force_insert=True)
    record("delivery.kept", actor=str(by.pk), object_kind="delivery", object_id=str(delivery.id))
    return delivery


def open_data(delivery: Delivery) -> bytes:
    return base64.b64decode(open_text(delivery.data_sealed, delivery_context(delivery.id)))


@transaction.atomic
def order_import(delivery: Delivery) -> None:
    """Hand it to the worker, once."""
    locked = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if locked.begun_at is not None or locked.data_sealed is None:
        raise WrongState("it is being imported, or gone", mend="upload it again")
    locked.begun_at = timezone.now()
    locked.save(update_fields=["begun_at"])
    record("delivery.ordered", actor=str(locked.made_by_id), object_kind="delivery", object_id=str(locked.id))
    from leadline.workbench.reports.tasks import import_delivery

    import_delivery.enqueue(str(locked.id))


def begin(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk, begun_at__isnull=True).update(begun_at=timezone.now())


def note_line(
    delivery: Delivery, number: int, *, report: Report | None = None, code: str = "", field: str = ""
) -> None:
    told = {"report": report, "code": code[:40], "field": field[:40]}
    DeliveryLine.objects.update_or_create(delivery=delivery, number=number, defaults=told)


@transaction.atomic
def end(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(ended_at=timezone.now(), data_sealed=None)
    received = delivery.lines.filter(report__isnull=False).count()
    record(
        "delivery.imported",
        actor=str(delivery.made_by_id),
        object_kind="delivery",
        object_id=str(delivery.pk),
        details={"received": received, "refused": delivery.lines.count() - received},
    )


def forget(before: datetime) -> int:
    """Files that nobody imported."""
    return Delivery.objects.filter(made_at__lt=before, begun_at__isnull=True).update(data_sealed=None)
