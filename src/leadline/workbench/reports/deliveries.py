"""Writes of bulk files between preview and import: sealed, and gone once they are imported or their term is over."""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.access import media_mode
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.journal.actions import SYSTEM, record
from leadline.workbench.reports.acts.embedded import list_without_media
from leadline.workbench.reports.contents import delivery_context, open_text, seal_value
from leadline.workbench.reports.models import Delivery, DeliveryLine, Report

MAX_DELIVERY_BYTES = 32 << 20
STOPPED_AFTER = timedelta(hours=1)  # an import that has not ended by then is taken for dead, and begun again
MOST_TRIES = 5


def keep(by: Person, untrusted: bytes, source: str, name: str = "") -> Delivery:
    """Its hash stays for ever; where the office keeps files, so does the file, sealed as any other.

    ReportFormatError where it is no list; of media inside it nothing is stored where the office keeps none.
    """
    untrusted = list_without_media(untrusted)
    delivery = Delivery(id=uuid.uuid4(), made_by=by, made_at=timezone.now(), source=source[:120])
    delivery.sha256 = hashlib.sha256(untrusted).hexdigest()
    delivery.data_sealed = seal_value(base64.b64encode(untrusted).decode("ascii"), delivery_context(delivery.id))
    if media_mode() is MediaMode.KEEP:
        take_in(untrusted, actor=str(by.pk), source="bulk", name=name)
    with transaction.atomic():
        delivery.save(force_insert=True)
        _tell("delivery.kept", delivery, str(by.pk), {"sha256": delivery.sha256, "size_bytes": len(untrusted)})
    return delivery


def open_data(delivery: Delivery) -> bytes:
    return base64.b64decode(open_text(delivery.data_sealed, delivery_context(delivery.id)))


def is_stopped(delivery: Delivery) -> bool:
    """Begun, not ended, and not heard of for an hour."""
    return (
        delivery.ended_at is None
        and delivery.begun_at is not None
        and delivery.begun_at < timezone.now() - STOPPED_AFTER
    )


@transaction.atomic
def order_import(delivery: Delivery, by: Person | None = None) -> None:
    """Hand it to the worker; again where it has stopped. Lines received before are not received a second time."""
    locked = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if locked.data_sealed is None or (locked.begun_at is not None and not is_stopped(locked)):
        raise WrongState("it is being imported, or gone", mend="upload it again")
    if locked.tries >= MOST_TRIES:
        raise WrongState("its import has stopped too often", mend="upload the lines that have no result again")
    locked.begun_at, locked.tries = timezone.now(), locked.tries + 1
    locked.save(update_fields=["begun_at", "tries"])
    _tell("delivery.ordered", locked, SYSTEM if by is None else str(by.pk), {"try": locked.tries})
    from leadline.workbench.reports.tasks import import_delivery

    import_delivery.enqueue(str(locked.id))


def stopped() -> list[Delivery]:
    """Those that are worth another try."""
    begun = Delivery.objects.filter(begun_at__lt=timezone.now() - STOPPED_AFTER, ended_at__isnull=True)
    return list(begun.filter(data_sealed__isnull=False, tries__lt=MOST_TRIES)[:50])


def begin(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk, begun_at__isnull=True).update(begun_at=timezone.now(), tries=1)


def note_line(
    delivery: Delivery, number: int, *, report: Report | None = None, code: str = "", field: str = ""
) -> None:
    told = {"report": report, "code": code[:40], "field": field[:40]}
    DeliveryLine.objects.update_or_create(delivery=delivery, number=number, defaults=told)


@transaction.atomic
def end(delivery: Delivery, act: str = "delivery.imported") -> None:
    Delivery.objects.filter(pk=delivery.pk).update(ended_at=timezone.now(), data_sealed=None)
    received = delivery.lines.filter(report__isnull=False).count()
    refused = delivery.lines.count() - received
    _tell(act, delivery, str(delivery.made_by_id), {"received": received, "refused": refused})


def forget(unbegun_before: datetime, any_before: datetime) -> int:
    """Files that nobody imported, and after its term any file, whatever became of its import; how many."""
    unbegun = Delivery.objects.filter(made_at__lt=unbegun_before, begun_at__isnull=True, data_sealed__isnull=False)
    done = unbegun.update(data_sealed=None)
    for delivery in Delivery.objects.filter(made_at__lt=any_before, data_sealed__isnull=False):
        end(delivery, "delivery.forgotten")
        done += 1
    return done


def _tell(act: str, delivery: Delivery, actor: str, details: dict[str, object]) -> None:
    record(act, actor=actor, object_kind="delivery", object_id=str(delivery.pk), details=details)
