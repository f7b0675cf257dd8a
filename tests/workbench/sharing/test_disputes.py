"""A decision that a match was false reaches the source of the entry: as a dispute that two people let leave."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from tests.workbench.sharing.conftest import agree, submit

from leadline.domain import Entry, Kind, Tlp
from leadline.exchange.connector import Act
from leadline.exchange.mock.base import serving
from leadline.exchange.mock.threatexchange import GROUP, TOKEN, ThreatExchangeMock
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscription
from leadline.subscriptions.pulling import Wish as PullWish
from leadline.subscriptions.pulling import pull_source
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence.tasks import match_changes
from leadline.workbench.permissions import Role
from leadline.workbench.review import actions as reviews
from leadline.workbench.review import reached
from leadline.workbench.review.models import Assessment, Review, ToTell
from leadline.workbench.sharing import access, actions, reach, tasks
from leadline.workbench.sharing.models import Partner, Share

pytestmark = pytest.mark.django_db


@dataclass
class Source:
    """A privacy group that lists the assessed file by mistake, pulled into a bank here."""

    mock: ThreatExchangeMock
    key: str
    bank: Bank
    entry: int


@pytest.fixture
def made(claimed: Review, analyst: Person) -> Assessment:  # noqa: F811
    return decide(analyst, claimed)


@pytest.fixture
def source(made: Assessment, make_bank: Any) -> Iterator[Source]:  # noqa: F811
    mock, bank = ThreatExchangeMock(entries=3), make_bank("group")
    key = mock.put("HASH_MD5", made.coverage.get(origin="assessed").asset.md5)
    with serving(mock) as address:
        options = {"address": f"{address}/v21.0", "privacy_group": GROUP}
        given = Subscription("group", "threatexchange", options, str(bank.path), Kind.ILLEGAL)
        reach.subscriptions().add(given, {"token": TOKEN})
        pull_source(reach.subscriptions(), "group", PullWish())
        match_changes()
        bank.refresh()
        [entry] = [one.id for one in bank.entries() if one.source_id == key]
        yield Source(mock, key, bank, entry)


@pytest.fixture
def partner(administrator: Person, source: Source) -> Partner:
    made = actions.make_partner(administrator, "Example Group", "group")
    agree(administrator, made, tlp=Tlp.AMBER_STRICT, purposes=["list-quality"])
    return made


def say_it_is_false(made: Assessment, first: Actor, second: Actor, make_bank: Any) -> ToTell:  # noqa: F811
    make_bank("false")
    banks.confirm(second, reviews.propose_entry(first, made.pk, "false", Kind.FALSE_POSITIVE).proposal)
    return ToTell.objects.get(assessment=made, kind="list-source")


def test_a_false_positive_arrives_at_its_source_as_a_dispute_after_two_people(
    made: Assessment, source: Source, partner: Partner, proposer: Actor, approver: Actor, make_bank: Any,  # noqa: F811
    make_person: Callable[..., Person], client_of: Callable[..., Client],
) -> None:  # fmt: skip
    say_it_is_false(made, approver, Actor.of_person(make_person("third", Role.SENIOR)), make_bank)
    first, second = client_of(proposer.person), client_of(approver.person)
    rows = first.get(f"/review/assessments/{made.pk}/").content.decode()
    [address] = re.findall(r'href="(/sharing/new/[^"]*)">propose to dispute it<', rows)
    form = first.get(html.unescape(address)).context["form"]
    filled = {name: form.initial.get(name, "") for name in form.fields}
    assert (filled["act"], filled["ids"], filled["algorithm"]) == ("dispute", str(source.entry), "md5")
    seen = first.post("/sharing/new/", {**filled, "preview": "yes"}).context["preview"]
    first.post("/sharing/new/", {**filled, "propose": "yes", "digest": seen.digest})
    share = Share.objects.get()
    tasks.send()
    assert source.mock.reactions == []
    second.post(f"/sharing/of/{share.pk}/approve/")
    tasks.send()
    assert source.mock.reactions == [(f"9{source.key}", "DISAGREE_WITH_TAGS")]
    page = first.get("/review/to-tell/").content.decode()
    assert f'href="/sharing/of/{share.pk}/">what was proposed to put it right<' in page


def test_a_revised_false_positive_lists_its_dispute_and_the_opposite_is_proposed(
    made: Assessment, source: Source, partner: Partner, proposer: Actor, approver: Actor, make_bank: Any,  # noqa: F811
    make_person: Callable[..., Person],
) -> None:  # fmt: skip
    third = Actor.of_person(make_person("third", Role.SENIOR))
    say_it_is_false(made, approver, third, make_bank)
    wish = submit(source.entry, bank="group", act=Act.DISPUTE)
    seen = access.preview(proposer, partner, wish, "list-quality")
    share = actions.propose(
        proposer, partner, wish, purpose="list-quality", reason="own-assessment", seen_digest=seen.digest
    )
    actions.approve(approver, share.pk)
    tasks.send()
    in_force(reviews.revise(third.person, made.pk, "mistake", OTHER))
    assert ToTell.objects.get(assessment=made, kind="share").object_id == str(share.pk)
    remedy = reached.remedy(proposer, made, "share", str(share.pk))
    assert remedy is not None
    assert "act=affirm&reason=correction" in remedy.address
    assert f"ids={source.entry}&" in remedy.address


def test_nothing_is_offered_where_the_source_is_no_partner_or_takes_no_dispute(
    made: Assessment, source: Source, proposer: Actor, approver: Actor, administrator: Person, make_bank: Any,  # noqa: F811
    make_person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    row = say_it_is_false(made, approver, Actor.of_person(make_person("third", Role.SENIOR)), make_bank)
    assert reached.remedy(proposer, made, row.kind, row.object_id) is None
    actions.make_partner(administrator, "Example Group", "group")
    assert reached.remedy(proposer, made, row.kind, row.object_id) is not None
    auditor = Actor.of_person(make_person("auditor", Role.AUDITOR))
    assert reached.remedy(auditor, made, row.kind, row.object_id) is None
    source.bank.set_settings(tlp=Tlp.RED)
    assert reached.remedy(proposer, made, row.kind, row.object_id) is None
    source.bank.set_settings(tlp=Tlp.AMBER)
    monkeypatch.setattr("leadline.exchange.threatexchange.ThreatExchange.act_names", frozenset())
    assert reached.remedy(proposer, made, row.kind, row.object_id) is None


def test_an_entry_of_a_bank_of_our_own_has_no_source_to_dispute_it_with(
    made: Assessment, approver: Actor, make_bank: Any, make_person: Callable[..., Person]  # noqa: F811
) -> None:
    asset = made.coverage.get(origin="assessed").asset
    make_bank("own").add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(asset.md5)}, 5)])
    match_changes()
    row = say_it_is_false(made, approver, Actor.of_person(make_person("third", Role.SENIOR)), make_bank)
    assert reached.remedy(approver, made, row.kind, row.object_id) is None
