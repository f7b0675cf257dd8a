"""Partners, and what is agreed with each of them. An agreement is never changed: a new one takes its place."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from leadline.domain import Kind, Tlp
from leadline.errors import ConfigError, InputError, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases.states import Pap
from leadline.workbench.journal.actions import record
from leadline.workbench.sharing import access, reach
from leadline.workbench.sharing.acts.writing import check_code, clean
from leadline.workbench.sharing.models import DOCUMENT_CHARS, NAME_CHARS, PURPOSES, Agreement, Partner


@transaction.atomic
def make_partner(by: Person, name: str, source: str) -> Partner:
    """InputError where its source is not set up, or name or source is a partner already."""
    name = " ".join(clean(name, "name", NAME_CHARS).split())
    if not name:
        raise InputError("give it a name", where="name")
    _reach(source)
    try:
        with transaction.atomic():
            partner = Partner.objects.create(name=name, source=source, made_by=by)
    except IntegrityError:
        raise InputError("a partner has this name or this source", where="name") from None
    record(
        "partner.made", actor=str(by.pk), object_kind="partner", object_id=str(partner.pk), details={"source": source}
    )
    return partner


@transaction.atomic
def agree(
    by: Person,
    partner: Partner,
    *,
    tlp: Tlp,
    pap: Pap,
    kinds: Collection[Kind],
    purposes: Collection[str],
    valid_from: date,
    valid_until: date,
    document: str,
    onward: bool = False,
) -> Agreement:
    """In the place of the one before. document: where the paper is, for people; sealed."""
    if tlp is Tlp.RED:
        raise InputError("TLP:RED never leaves", where="tlp", mend="choose another label")
    if not kinds or not purposes:
        raise InputError("an agreement names kinds and purposes", where="kinds")
    for purpose in purposes:
        check_code(purpose, PURPOSES, "purposes")
    if valid_until < valid_from:
        raise InputError("it ends before it begins", where="valid_until")
    document = clean(document, "document", DOCUMENT_CHARS)
    if not document:
        raise InputError("say where the document is", where="document")
    locked = Partner.objects.select_for_update().get(pk=partner.pk)
    Agreement.objects.filter(partner=locked, ended_at=None).update(ended_at=timezone.now())
    agreement_id = uuid.uuid4()
    made = Agreement.objects.create(
        id=agreement_id, partner=locked, tlp=tlp.value, pap=pap.value, kinds=sorted(map(str, kinds)),
        purposes=sorted(purposes), onward=onward, reach=_reach(locked.source), valid_from=valid_from,
        valid_until=valid_until, made_by=by,
        document_sealed=sealing.seal(document, access.document_context(agreement_id)),
    )  # fmt: skip
    said = {"partner": str(locked.pk), "tlp": tlp.value.replace("+", "-"), "pap": pap.value, "onward": onward}
    said |= {"kinds": made.kinds, "purposes": made.purposes}
    _tell("agreement.made", by, made, said)
    return made


@transaction.atomic
def end_agreement(by: Person, agreement: Agreement) -> Agreement:
    """Nothing leaves under it any more, also of what was approved and has not left yet."""
    ended = Agreement.objects.select_for_update().get(pk=agreement.pk)
    if ended.ended_at is not None:
        raise WrongState("it has ended")
    ended.ended_at = timezone.now()
    ended.save(update_fields=["ended_at"])
    _tell("agreement.ended", by, ended, {"partner": str(ended.partner_id)})
    return ended


def _reach(source: str) -> str:
    try:
        return reach.reach_of(source)
    except ConfigError:
        mend = "set it up with `leadline exchange add`"
        raise InputError("no such source is set up", where="source", mend=mend) from None


def _tell(act: str, by: Person, agreement: Agreement, details: dict[str, Any]) -> None:
    record(act, actor=str(by.pk), object_kind="agreement", object_id=str(agreement.pk), details=details)
