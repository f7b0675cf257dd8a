"""The pages: a dry run before a proposal, a second person's decision, partners and what is agreed with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.test import Client
from tests.workbench.sharing.conftest import PASSWORD, Desk, digest_of, propose, set_up, submit

from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.models import Line
from leadline.workbench.sharing import access, actions, tasks
from leadline.workbench.sharing.models import Agreement, Partner, Share

ClientOf = Callable[..., Client]


def given(partner: Partner, **more: str) -> dict[str, str]:
    wish = {"partner": str(partner.pk), "act": "submit", "bank": "own", "ids": "1 2", "purpose": "matching"}
    return wish | {"reason": "agreed-exchange", "note": "a made-up note"} | more


def test_a_proposal_is_made_of_what_its_dry_run_showed(
    partner: Partner, bank: Bank, proposer: Actor, client_of: ClientOf
) -> None:
    client = client_of(proposer.person)
    page = client.post("/sharing/new/", given(partner, ids="1 2 99", preview="yes")).content.decode()
    assert digest_of(1).hex() in page
    assert "no such entry" in page
    assert Share.objects.count() == 0
    digest = access.preview(proposer, partner, submit(1, 2, 99), "matching").digest
    assert digest in page
    client.post("/sharing/new/", given(partner, ids="1 2 99", propose="yes", digest="00" * 32))
    assert Share.objects.count() == 0
    answer = client.post("/sharing/new/", given(partner, ids="1 2 99", propose="yes", digest=digest), follow=True)
    share = Share.objects.get()
    assert (share.digest, share.passing, share.stopped) == (digest, 2, 1)
    assert "a made-up note" in answer.content.decode()
    assert b"made-up" not in bytes(share.note_sealed or b"")


def test_a_second_person_lets_it_leave_and_takes_the_receipt(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, client_of: ClientOf, desk: Desk
) -> None:
    share = propose(proposer, partner, submit(1))
    first, second = client_of(proposer.person), client_of(approver.person)
    assert first.post(f"/sharing/of/{share.pk}/approve/").status_code == 404
    assert second.get(f"/sharing/of/{share.pk}/receipt/").status_code == 404
    assert "Let it leave" in second.get(f"/sharing/of/{share.pk}/").content.decode()
    assert "Somebody else decides" in first.get(f"/sharing/of/{share.pk}/").content.decode()
    second.post(f"/sharing/of/{share.pk}/approve/")
    tasks.send()
    assert len(desk.arrived) == 1
    receipt = second.get(f"/sharing/of/{share.pk}/receipt/")
    assert json.loads(receipt.content)["share"] == str(share.pk)
    assert receipt["Content-Disposition"].startswith("attachment")
    assert "theirs-" in second.get(f"/sharing/of/{share.pk}/").content.decode()


def test_deciding_asks_for_a_fresh_proof_of_who_one_is(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, client_of: ClientOf
) -> None:
    share = propose(proposer, partner, submit(1))
    answer = client_of(approver.person, signed_in_s_ago=3600).post(f"/sharing/of/{share.pk}/approve/")
    assert answer["Location"].startswith("/account/again/")
    assert Share.objects.get().state == "proposed"


def test_refusing_taking_back_and_an_address_that_is_none(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, client_of: ClientOf
) -> None:
    refused, own = propose(proposer, partner, submit(1)), propose(proposer, partner, submit(2))
    client = client_of(approver.person)
    client.post(f"/sharing/of/{refused.pk}/refuse/", {"reason": "too-much"})
    client_of(proposer.person).post(f"/sharing/of/{own.pk}/take-back/")
    assert [Share.objects.get(pk=share.pk).state for share in (refused, own)] == ["refused", "withdrawn"]
    assert client.post(f"/sharing/of/{own.pk}/made-up/").status_code == 404


def test_shares_are_listed_by_state_and_partner(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, client_of: ClientOf
) -> None:
    shares = [propose(proposer, partner, submit(n)) for n in (1, 2)]
    actions.refuse(approver, shares[0].pk, "mistake")
    client = client_of(approver.person)
    page = client.get("/sharing/", {"state": "refused", "partner": str(partner.pk)}).content.decode()
    assert str(shares[0].pk) in page
    assert str(shares[1].pk) not in page
    assert "1 proposal waits" in client.get("/sharing/").content.decode()


def test_an_administrator_makes_a_partner_and_an_agreement_and_ends_it(
    office: Any, desk: Desk, administrator: Person, analyst: Person, client_of: ClientOf
) -> None:
    set_up("other")
    client = client_of(administrator)
    client.post("/sharing/partners/new/", {"name": "Another one", "source": "other"})
    partner = Partner.objects.get()
    terms = {
        "tlp": "green", "pap": "amber", "kinds": ["illegal"], "purposes": ["matching"], "valid_from": "2026-01-01",
        "valid_until": "2100-01-01", "document": "a made-up folder",
    }  # fmt: skip
    wrong = client.post(f"/sharing/partners/{partner.pk}/agreement/", terms | {"tlp": "red"})
    assert (wrong.status_code, Agreement.objects.count()) == (200, 0)
    client.post(f"/sharing/partners/{partner.pk}/agreement/", terms)
    assert "a made-up folder" in client_of(analyst).get(f"/sharing/partners/{partner.pk}/").content.decode()
    assert "TLP:GREEN" in client.get("/sharing/partners/").content.decode()
    client.post(f"/sharing/partners/{partner.pk}/end/")
    assert not access.is_agreed(access.agreement_of(partner))
    assert client.post(f"/sharing/partners/{partner.pk}/end/").status_code == 404
    acts = list(Line.objects.filter(object_kind__in=("partner", "agreement")).values_list("act", flat=True))
    assert acts == ["partner.made", "agreement.made", "agreement.ended"]
    assert "a made-up" not in " ".join(Line.objects.values_list("details", flat=True))


def test_what_is_unclear_is_resolved_by_a_person_on_its_page(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, client_of: ClientOf, desk: Desk
) -> None:
    share = actions.approve(approver, propose(proposer, partner, submit(1)).pk)
    desk.raises = [RuntimeError(PASSWORD)]
    tasks.send()
    client = client_of(approver.person)
    page = client.get(f"/sharing/of/{share.pk}/").content.decode()
    assert "Did it arrive?" in page
    assert PASSWORD not in page
    client.post(f"/sharing/of/{share.pk}/not-arrived/")
    tasks.send()
    assert Share.objects.get().state == "sent"
    assert len(desk.arrived) == 1
