"""Who works on a case. Membership writes grants; they end with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from leadline.domain import Tlp
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.actions import end_grant, grant_object, grant_own
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access
from leadline.workbench.cases.acts.writing import lock_case, tell, to_lead
from leadline.workbench.cases.models import Case, Member, MemberGrant
from leadline.workbench.cases.states import LEAD_REASONS, LEAVING_REASONS, MemberRole
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Permission
from leadline.workbench.reports.models import Report

_LEADS_FOR = timedelta(days=3650)  # a lead stays one until somebody else is
_STAYS_FOR = timedelta(days=90)  # who was one stays a member, unless the new lead ends that


def enter_lead(case: Case, lead: Person, actor: str) -> Member:
    """Inside the transaction that opens the case: it stays open to them whatever its handling becomes."""
    member = _make_member(case, lead, MemberRole.WORKER, _LEADS_FOR, lead)
    grant = grant_own(lead, "case", str(case.pk), _LEADS_FOR, reason="opened", actor=actor)
    MemberGrant.objects.create(member=member, grant=grant)
    return member


@transaction.atomic
def add_member(by: Person, case_id: Any, person: Person, role: MemberRole, lasts: timedelta) -> Member:
    """The case's lead says so, and the person's own roles allow it; also to change the role or the term of a member.

    A thing in the case that the person's role does not clear is granted with it only where the lead's own role clears
    it: nobody passes on what they see by a grant.
    """
    case = to_lead(by, case_id)
    if by.pk == person.pk:
        raise NotAllowed("nobody grants to themself", where=case.number, mend="ask a colleague")
    if not access.may_join(person):
        mend = "name somebody with a role near evidence who does not administer the office"
        raise NotAllowed("this person may not join a case", where=case.number, mend=mend)
    before = Member.objects.filter(case=case, person=person, left_at__isnull=True).first()
    if before is not None:
        _end(by, before, "renewed")
    member = _make_member(case, person, role, lasts, by)
    _grant(by, member, "case", str(case.pk))
    grant_things(by, case, [member])
    said = {"person": str(person.pk), "role": role.value, "days": lasts.days}
    tell("case.member-joined", case, by, reason="renewed" if before else "none", details=said)
    return member


@transaction.atomic
def end_membership(by: Person, case_id: Any, member_id: Any, reason: str) -> None:
    """By the lead, or by the person. What membership granted ends at once."""
    case = lock_case(case_id)
    member = Member.objects.filter(case=case, pk=member_id, left_at__isnull=True).select_related("person").first()
    if member is None:
        raise WrongState("is no member any more", where=case.number)
    if not access.is_lead(by, case) and member.person_id != by.pk:
        raise NotAllowed("its lead decides that", where=case.number, mend="ask the lead")
    if member.person_id == case.lead_id:
        raise WrongState("a case has a lead", where=case.number, mend="hand it over first")
    if reason not in LEAVING_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(LEAVING_REASONS))
    _end(by, member, reason)
    tell("case.member-left", case, by, reason=reason, details={"person": str(member.person_id)})


@transaction.atomic
def hand_over(by: Person, case_id: Any, to: Person, reason: str) -> Case:
    """Another lead: named by the lead, or by somebody who may release evidence where the lead is absent."""
    case = lock_case(case_id)
    if not access.is_lead(by, case) and not Actor.of_person(by).may(Permission.EVIDENCE_RELEASE):
        raise NotAllowed("its lead decides that", where=case.number, mend="ask the lead, or a senior")
    if reason not in LEAD_REASONS:
        raise InputError("no such reason", where="reason", mend=", ".join(LEAD_REASONS))
    if to.pk in (by.pk, case.lead_id) or not access.may_join(to):
        raise NotAllowed("this person may not take the case over", where=case.number, mend="name a colleague")
    before = case.lead_id
    case.lead = to
    case.save(update_fields=["lead"])
    member = Member.objects.filter(case=case, person=to, left_at__isnull=True).first()
    if member is not None:
        _end(by, member, "renewed")
    member = _make_member(case, to, MemberRole.WORKER, _LEADS_FOR, by)
    _grant(by, member, "case", str(case.pk))
    grant_things(by, case, [member])
    _shorten(by, case, before, reason)
    tell("case.lead-changed", case, by, reason=reason, details={"from": str(before), "to": str(to.pk)})
    return case


def _make_member(case: Case, person: Person, role: MemberRole, lasts: timedelta, by: Person) -> Member:
    now = timezone.now()
    return Member.objects.create(
        case=case, person=person, role=role.value, joined_at=now, joined_by=by, until=now + lasts
    )


def _end(by: Person, member: Member, reason: str) -> None:
    member.left_at = timezone.now()
    member.save(update_fields=["left_at"])
    for one in member.grants.select_related("grant"):
        end_grant(by, one.grant, reason)


def _shorten(by: Person, case: Case, person_id: Any, reason: str) -> None:
    """Of who leads no more."""
    member = Member.objects.filter(case=case, person=person_id, left_at__isnull=True).first()
    if member is None:
        return
    member.until = min(member.until, timezone.now() + _STAYS_FOR)
    member.save(update_fields=["until"])
    for one in member.grants.select_related("grant"):
        end_grant(by, one.grant, reason, lasts=_STAYS_FOR)


def _grant(by: Person, member: Member, kind: str, object_id: str) -> None:
    grant = grant_object(by, member.person, kind, object_id, member.until - timezone.now())
    MemberGrant.objects.create(member=member, grant=grant)


# --- things that a member's role does not clear ----------------------------------------------------------------------


def grant_things(by: Person, case: Case, members: list[Member]) -> None:
    """What lies in the case and what these members' roles do not clear, as far as the role of `by` clears it."""
    for member in members:
        if member.person_id == by.pk:
            continue
        held = {(row.grant.object_kind, row.grant.object_id) for row in member.grants.select_related("grant")}
        for kind, object_id in _beyond(by, member.person, case):
            if (kind, object_id) not in held:
                _grant(by, member, kind, object_id)


def _beyond(by: Person, person: Person, case: Case) -> Iterator[tuple[str, str]]:
    giver, taker = Actor.of_person(by), Actor.of_person(person)
    reports = access.live_things(case).filter(report__isnull=False).values("report")
    found: tuple[tuple[str, QuerySet[Any]], ...] = (
        ("report", Report.objects.filter(pk__in=reports)),
        ("asset", Asset.objects.filter(access.assets_in(case))),
    )
    for kind, rows in found:
        beyond = rows.filter(_cleared(giver)).exclude(_cleared(taker))
        yield from ((kind, str(pk)) for pk in beyond.values_list("pk", flat=True))


def _cleared(actor: Actor) -> Q:
    by_role = Q(sensitivity__lte=actor.clearance)
    return by_role if actor.may_see(Tlp.RED) else by_role & ~Q(tlp=Tlp.RED.value)
