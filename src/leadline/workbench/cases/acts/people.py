"""The people a case is about and the selectors they are followed by, each in one role. Nothing is ever merged."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.errors import InputError, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, contents
from leadline.workbench.cases.acts.writing import tell, to_write
from leadline.workbench.cases.models import Case, Party, Selector
from leadline.workbench.cases.states import REMOVAL_REASONS, PartyRole, SelectorKind
from leadline.workbench.reports.models import Item


@transaction.atomic
def add_party(by: Person, case_id: Any, name: str, role: PartyRole) -> Party:
    case, party_id = to_write(by, case_id), uuid.uuid4()
    sealed = contents.seal_text(name, contents.party_context(party_id), contents.MAX_NAME_CHARS)
    party = Party.objects.create(
        id=party_id, case=case, role=role.value, name_sealed=sealed, added_by=by, added_at=timezone.now()
    )
    tell("case.person-added", case, by, details={"person": str(party.pk), "role": role.value})
    return party


@transaction.atomic
def set_party_role(by: Person, case_id: Any, party_id: Any, role: PartyRole) -> Party:
    """Another role for a person, and with it for each selector of theirs."""
    case = to_write(by, case_id)
    party = Party.objects.select_for_update().filter(case=case, pk=party_id).first()
    if party is None or party.role == role:
        raise WrongState("is so already", where=case.number)
    live = Selector.objects.filter(party=party, removed_at__isnull=True)
    for selector in live:
        if _is_there(case, selector.key, role):
            raise WrongState("a selector of theirs is in that role already", where=case.number, mend="remove one first")
    before, party.role = party.role, role.value
    party.save(update_fields=["role"])
    count = live.update(role=role.value)
    said = {"person": str(party.pk), "from": before, "to": role.value, "selectors": count}
    tell("case.person-role", case, by, details=said)
    return party


@transaction.atomic
def add_selector(
    by: Person,
    case_id: Any,
    kind: SelectorKind,
    value: str,
    role: PartyRole,
    *,
    party_id: Any = None,
    item: Item | None = None,
) -> Selector:
    """A typed text. With a person it has that person's role, and no other."""
    case = to_write(by, case_id)
    party = Party.objects.filter(case=case, pk=party_id).first() if party_id else None
    if party_id and party is None:
        raise InputError("no such person in this case", where="person")
    if party is not None and party.role != role:
        raise InputError("not the role of this person", where="role", mend="choose the person's own role")
    if item is not None and not access.visible_objects(Actor.of_person(by), "item").filter(pk=item.pk).exists():
        raise InputError("not there, or not for you to see", where="item")
    selector = write_selector(case, kind, value, role, actor=str(by.pk), party=party, item=item)
    if selector is None:
        raise WrongState("this selector is in the case already, in this role", where=case.number)
    return selector


def write_selector(
    case: Case,
    kind: SelectorKind,
    value: str,
    role: PartyRole,
    *,
    actor: str,
    party: Party | None = None,
    item: Item | None = None,
) -> Selector | None:
    """Inside a transaction that holds the case; None where it is there in this role already."""
    spelled, selector_id = contents.spell(kind, value), uuid.uuid4()
    key = contents.selector_key(kind, spelled)
    if _is_there(case, key, role):
        return None
    sealed = contents.seal_text(spelled, contents.selector_context(selector_id), contents.MAX_VALUE_CHARS)
    selector = Selector.objects.create(
        id=selector_id, case=case, kind=kind.value, value_sealed=sealed, key=key, role=role.value, party=party,
        item=item, added_by=actor, added_at=timezone.now(),
    )  # fmt: skip
    details = {"selector": str(selector.pk), "kind": kind.value, "role": role.value}
    tell("case.selector-added", case, actor, details=details)
    return selector


def _is_there(case: Case, key: str, role: PartyRole) -> bool:
    return Selector.objects.filter(case=case, key=key, role=role.value, removed_at__isnull=True).exists()


@transaction.atomic
def remove_selector(by: Person, case_id: Any, selector_id: Any, reason: str) -> None:
    case = to_write(by, case_id)
    selector = Selector.objects.filter(case=case, pk=selector_id, removed_at__isnull=True).first()
    if selector is None:
        raise WrongState("is not in the case any more", where=case.number)
    if reason not in REMOVAL_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(REMOVAL_REASONS))
    selector.removed_at = timezone.now()
    selector.save(update_fields=["removed_at"])
    said = {"selector": str(selector.pk), "role": selector.role}
    tell("case.selector-removed", case, by, reason=reason, details=said)
