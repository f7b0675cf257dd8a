"""A partner who was sent an entry of a decision is among those whom its revision reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.workbench.review.conftest import (  # noqa: F401
    _end_sandboxes,
    arrive,
    claimed,
    keeping,
    make_bank,
)
from tests.workbench.review.decided import OTHER, decide, in_force
from tests.workbench.sharing.conftest import Desk, agree, propose, submit

from leadline.domain import Kind, Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.permissions import Role
from leadline.workbench.review import actions as reviews
from leadline.workbench.review import reached
from leadline.workbench.review.models import Assessment, Review, ToTell
from leadline.workbench.sharing import actions, tasks
from leadline.workbench.sharing.models import Partner


@pytest.fixture
def made(claimed: Review, analyst: Person) -> Assessment:  # noqa: F811
    return decide(analyst, claimed)


def test_a_revision_lists_the_partner_as_one_to_be_told(
    made: Assessment, make_bank: Any, partner: Partner, approver: Actor, administrator: Person, desk: Desk,  # noqa: F811
    make_person: Callable[..., Person],
) -> None:  # fmt: skip
    make_bank("shared")
    second = Actor.of_person(make_person("second", Role.SENIOR))
    reach = reviews.propose_entry(approver, made.pk, "shared", Kind.ILLEGAL)
    banks.confirm(second, reach.proposal)
    agree(administrator, partner, tlp=Tlp.AMBER_STRICT)
    reach.refresh_from_db()
    [entry] = reviews.entries_of(reach)
    share = actions.approve(second, propose(approver, partner, submit(entry, bank="shared")).pk)
    tasks.send()
    assert len(desk.arrived) == 1
    in_force(reviews.revise(second.person, made.pk, "mistake", OTHER))
    told = ToTell.objects.get(assessment=made, kind="share")
    assert told.object_id == str(share.pk)
    shown = reached.show(approver, "share", told.object_id)
    assert shown is not None
    assert (shown.who, shown.address) == (partner.name, f"/sharing/of/{share.pk}/")
