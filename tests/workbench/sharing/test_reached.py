"""Partners and subscribers that got an entry of a decision are told when it is revised, and it is taken back."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import pytest
from django.test import Client
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
from leadline.exchange.connector import Act
from leadline.exchange.feed.keys import SubscriberKey, make_subscriber_key, read_agreements
from leadline.exchange.feed.ledger import Ledger
from leadline.exchange.feed.publishing import Terms, publish
from leadline.exchange.feed.roots import create_roots, load_roots
from leadline.match.bank import Bank
from leadline.match.folder import FEED
from leadline.service.options import Publication
from leadline.service.publisher import Publisher
from leadline.service.subscribers import Subscribers
from leadline.service.tokens import Scope, Token
from leadline.service.told import Journal
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.permissions import Role
from leadline.workbench.review import actions as reviews
from leadline.workbench.review import reached
from leadline.workbench.review.models import Assessment, Review, ToTell
from leadline.workbench.sharing import actions, tasks
from leadline.workbench.sharing.models import Partner, Share


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


@dataclass
class Listed:
    """An entry of the decision, in the office's bank `shared`, and the people who deal with it."""

    made: Assessment
    bank: Bank
    entry: int
    second: Actor

    def revise(self) -> None:
        in_force(reviews.revise(self.second.person, self.made.pk, "mistake", OTHER))

    def told(self, kind: str) -> list[ToTell]:
        return list(ToTell.objects.filter(assessment=self.made, kind=kind))


@pytest.fixture
def listed(made: Assessment, make_bank: Any, approver: Actor, make_person: Callable[..., Person]) -> Listed:  # noqa: F811
    bank, second = make_bank("shared"), Actor.of_person(make_person("second", Role.SENIOR))
    reach = reviews.propose_entry(approver, made.pk, "shared", Kind.ILLEGAL)
    banks.confirm(second, reach.proposal)
    reach.refresh_from_db()
    bank.refresh()
    [entry] = reviews.entries_of(reach)
    return Listed(made, bank, entry, second)


def test_from_the_partners_row_a_withdrawal_is_proposed_and_leaves_after_two_people(
    listed: Listed, partner: Partner, approver: Actor, administrator: Person, desk: Desk, client_of: Callable[..., Client]
) -> None:  # fmt: skip
    agree(administrator, partner, tlp=Tlp.AMBER_STRICT)
    actions.approve(listed.second, propose(approver, partner, submit(listed.entry, bank="shared")).pk)
    tasks.send()
    listed.revise()
    proposer, second = client_of(approver.person), client_of(listed.second.person)
    rows = proposer.get("/review/to-tell/").content.decode()
    [address] = re.findall(r'href="(/sharing/new/[^"]*)">propose to take it back<', rows)
    page = proposer.get(html.unescape(address)).context["form"]
    filled = {name: page.initial.get(name, "") for name in page.fields} | {"purpose": "matching"}
    assert (filled["ids"], filled["act"], filled["reason"]) == (str(listed.entry), "withdraw", "correction")
    seen = proposer.post("/sharing/new/", {**filled, "preview": "yes"}).context["preview"]
    proposer.post("/sharing/new/", {**filled, "propose": "yes", "digest": seen.digest})
    share = Share.objects.get(act="withdraw")
    tasks.send()
    assert len(desk.arrived) == 1  # one person is not enough
    row = proposer.get("/review/to-tell/").content.decode()
    assert f'href="/sharing/of/{share.pk}/">what was proposed to put it right<' in row
    second.post(f"/sharing/of/{share.pk}/approve/")
    tasks.send()
    [taken_back] = desk.arrived[1]
    assert (taken_back.act, taken_back.key) == (Act.WITHDRAW, Share.objects.get(act="submit").items.get().remote_id)


def test_who_may_not_propose_is_offered_nothing_and_a_refused_proposal_is_none(
    listed: Listed, partner: Partner, approver: Actor, administrator: Person, desk: Desk,
    make_person: Callable[..., Person],
) -> None:  # fmt: skip
    agree(administrator, partner, tlp=Tlp.AMBER_STRICT)
    share = actions.approve(listed.second, propose(approver, partner, submit(listed.entry, bank="shared")).pk)
    tasks.send()
    auditor = Actor.of_person(make_person("auditor", Role.AUDITOR))
    assert reached.remedy(auditor, listed.made, "share", str(share.pk)) is None
    actions.refuse(listed.second, propose(approver, partner, submit(listed.entry, bank="shared", act=Act.WITHDRAW)).pk, "mistake")
    remedy = reached.remedy(approver, listed.made, "share", str(share.pk))
    assert remedy is not None
    assert remedy.is_proposed is False


def publish_feed(bank: Bank, folder: Path, **subscribers: str) -> None:
    """The signed feed of a bank, to subscribers by the strictest TLP that was agreed with each."""
    keys, partners = folder / "keys", folder / "partners"
    create_roots(keys, "Example Hotline", keys=1, threshold=1, expires_s=time() + 9 * 86_400)
    partners.mkdir()
    for name, tlp in subscribers.items():
        card = SubscriberKey(make_subscriber_key()).card(name)
        (partners / f"{name}.json").write_text(json.dumps(
            {"format": card.format, "version": card.version, "name": name, "encrypt": card.encrypt, "sign": card.sign,
             "tlp": tlp, "kinds": ["illegal"]}
        ))  # fmt: skip
    terms = Terms(lasts_s=86_400, withdraw_within_s=3600, reason="a test", actor="tester")
    publish(bank, folder / "feed", load_roots(keys), read_agreements(partners.iterdir()), terms, now_s=time())


def test_subscribers_of_the_signed_feed_who_were_told_are_listed(
    listed: Listed, tmp_path: Path, approver: Actor, client_of: Callable[..., Client]
) -> None:
    publish_feed(listed.bank, tmp_path, wide="amber+strict", narrow="clear")
    listed.revise()
    [row] = listed.told("feed")
    with closing(Ledger(listed.bank.path)) as ledger:
        wide = next(known.agreement.id for known in ledger.subscribers() if known.agreement.name == "wide")
    assert row.object_id == f"shared:{wide}"
    assert ">wide</a>" in client_of(approver.person).get("/review/to-tell/").content.decode()


def test_a_ledger_that_cannot_be_read_stops_no_revision_and_is_no_empty_list(
    listed: Listed, approver: Actor, client_of: Callable[..., Client]
) -> None:
    (listed.bank.path / FEED).write_bytes(b"no database" * 100)
    listed.revise()
    assert [row.object_id for row in listed.told("feed")] == ["shared:?"]
    page = client_of(approver.person).get("/review/to-tell/").content.decode()
    assert "whose file of subscribers cannot be read" in page


def test_subscribers_who_read_the_bank_where_the_service_publishes_it_are_listed(
    listed: Listed, approver: Actor, client_of: Callable[..., Client]
) -> None:
    folder, now = listed.bank.path, int(time())
    Publisher(Publication("shared", Tlp.AMBER_STRICT), Journal(folder)).settle(listed.bank)
    for name, until in (("Hotline C", now + 60), ("Hotline D", now - 60)):
        token = Token("aaaaaaaa", name, frozenset({Scope.SUBSCRIBE}), "", 0)
        Subscribers(folder).note_read(token, until, 1)
    listed.revise()
    [row] = listed.told("published")
    assert "Hotline" not in row.object_id  # ids only: the journal will have it
    page = client_of(approver.person).get("/review/to-tell/").content.decode()
    assert ">Hotline C</a>" in page
    assert "Hotline D" not in page


def test_subscribers_of_a_bank_that_is_not_for_this_person_are_not_named(
    listed: Listed, tmp_path: Path, make_person: Callable[..., Person]
) -> None:
    publish_feed(listed.bank, tmp_path, wide="amber+strict")
    listed.revise()
    [row] = listed.told("feed")
    analyst, senior = (Actor.of_person(make_person(role.value + "-x", role)) for role in (Role.ANALYST, Role.SENIOR))
    assert reached.show(analyst, "feed", row.object_id) is not None
    listed.bank.set_settings(tlp=Tlp.RED)
    assert reached.show(analyst, "feed", row.object_id) is None
    assert reached.show(senior, "feed", row.object_id) is not None
