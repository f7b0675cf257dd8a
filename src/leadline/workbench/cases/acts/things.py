"""What lies in a case: reports, items, assets and clusters come in, and are taken out again with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access
from leadline.workbench.cases.acts.members import grant_things
from leadline.workbench.cases.acts.writing import tell, to_write
from leadline.workbench.cases.models import Case, Thing
from leadline.workbench.cases.states import REMOVAL_REASONS
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review.models import Cluster

_KIND_OF: dict[type[Any], str] = {Report: "report", Item: "item", Asset: "asset", Cluster: "cluster"}


@transaction.atomic
def add_things(by: Person, case_id: Any, things: Sequence[Any]) -> list[Thing]:
    """Only what they may see themself. What is in already stays as it is."""
    return put_in(by, to_write(by, case_id), things)


def put_in(by: Person, case: Case, things: Sequence[Any]) -> list[Thing]:
    """Inside a transaction that holds the case."""
    actor, made = Actor.of_person(by), []
    for target in things:
        kind = _KIND_OF[type(target)]
        if not access.visible_objects(actor, kind).filter(pk=target.pk).exists():
            raise InputError("not there, or not for you to see", where=kind, mend="check its number")
        if not access.live_things(case).filter(**{kind: target.pk}).exists():
            made.append(link(case, target, str(by.pk)))
    for thing in made:
        tell("case.thing-added", case, by, details={"thing": str(thing.pk), "kind": thing.kind})
    if made:
        grant_things(by, case, list(access.live_members().filter(case=case).select_related("person")))
    return made


def link(case: Case, target: Any, actor: str) -> Thing:
    kind = _KIND_OF[type(target)]
    return Thing.objects.create(case=case, added_by=actor, added_at=timezone.now(), **{kind: target})


@transaction.atomic
def take_out(by: Person, case_id: Any, thing_id: Any, reason: str) -> None:
    """It is no longer in the case; that it was stays written."""
    case = to_write(by, case_id)
    thing = access.live_things(case).filter(pk=thing_id).first()
    if thing is None:
        raise WrongState("is not in the case any more", where=case.number)
    if reason not in REMOVAL_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(REMOVAL_REASONS))
    thing.removed_at = timezone.now()
    thing.save(update_fields=["removed_at"])
    tell("case.thing-removed", case, by, reason=reason, details={"thing": str(thing.pk), "kind": thing.kind})
