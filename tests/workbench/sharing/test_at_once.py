"""Two at the same moment: one entry is in one share, one decision counts, one worker sends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from tests.workbench.sharing.conftest import Desk, propose, submit

from leadline.errors import LeadlineError
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role
from leadline.workbench.sharing import access, actions
from leadline.workbench.sharing.models import Partner, Share, ShareItem

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*deeds: Callable[[], Any]) -> list[object]:
    """What each came to, an error in the place of its value."""
    outcomes: list[object] = [None] * len(deeds)
    start = threading.Barrier(len(deeds))

    def run(number: int) -> None:
        try:
            start.wait()
            outcomes[number] = deeds[number]()
        except LeadlineError as error:
            outcomes[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def test_an_entry_proposed_twice_at_once_is_in_one_share(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor
) -> None:
    digest = access.preview(proposer, partner, submit(1, 2), "matching").digest
    outcomes = at_once(
        *(lambda by=by: propose(by, partner, submit(1, 2), seen_digest=digest) for by in (proposer, approver))
    )
    assert sum(isinstance(one, Share) for one in outcomes) == 1
    assert sum(isinstance(one, LeadlineError) for one in outcomes) == 1
    assert ShareItem.objects.filter(state="waiting").count() == 2


def test_a_yes_and_a_taking_back_at_once_leave_one_answer(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, make_person: Callable[..., Person]
) -> None:
    other = Actor.of_person(make_person("other", Role.CURATOR))
    share = propose(proposer, partner, submit(1))
    outcomes = at_once(lambda: actions.refuse(approver, share.pk, "mistake"), lambda: actions.approve(other, share.pk))
    assert sum(isinstance(one, LeadlineError) for one in outcomes) == 1
    lines = Line.objects.filter(object_id=str(share.pk), act__in=("share.approved", "share.refused"))
    assert lines.count() == 1


def test_two_workers_at_once_send_a_share_once(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, desk: Desk
) -> None:
    """The duty lets only one of them in; this is what stands behind it."""
    share = actions.approve(approver, propose(proposer, partner, submit(1, 2, 3)).pk)
    at_once(actions.send_due, actions.send_due)
    assert [len(part) for part in desk.arrived] == [3]
    assert Share.objects.get(pk=share.pk).state == "sent"
