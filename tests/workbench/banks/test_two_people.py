"""What takes a file out of sight, or undoes many matches, takes two people: benign entries, withdrawals, thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from leadline.domain import Entry, Kind
from leadline.errors import NotAllowed
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import OfficeSetting, Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.models import Change, Proposal
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role

DATA = b"a made-up file"


def of_kind(kind: Kind, *numbers: int) -> list[Entry]:
    return [Entry(kind=kind, fingerprints={"md5": n.to_bytes(16, "big")}) for n in numbers]


@pytest.fixture
def curator(make_person: Callable[..., Person]) -> Actor:
    return Actor.of_person(make_person("curator", Role.CURATOR))


@pytest.fixture
def chief(senior: Person) -> Actor:
    return Actor.of_person(senior)


@pytest.fixture
def bank(curator: Actor) -> Bank:
    made = actions.create_bank(curator, "known", kind=Kind.ILLEGAL, reason="own-list")
    actions.add_entries(curator, "known", of_kind(Kind.ILLEGAL, *range(1, 301)), reason="partner-list")
    return made


def count() -> int:
    [bank] = access.all_banks()
    return bank.count


# --- benign entries ---------------------------------------------------------------------------------------------------


def test_one_person_alone_sets_nothing_aside(curator: Actor, chief: Actor) -> None:
    asset = evidence.take_in(DATA, actor="somebody", source="test")
    actions.create_bank(curator, "fine", kind=Kind.BENIGN, reason="own-list")
    harmless = Entry(kind=Kind.BENIGN, fingerprints={"sha256": hashlib.sha256(DATA).digest()})
    outcome = actions.add_entries(curator, "fine", [harmless], reason="harmless")
    assert outcome.proposal is not None
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.verdict, asset.is_set_aside) == ("unknown", False)
    with pytest.raises(NotAllowed):
        actions.confirm(curator, outcome.proposal)
    actions.confirm(chief, outcome.proposal)
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.verdict, asset.inferred_kind, asset.is_set_aside) == ("known", "benign", True)


# --- withdrawals ------------------------------------------------------------------------------------------------------


def test_many_entries_are_withdrawn_by_two(bank: Bank, curator: Actor, chief: Actor) -> None:
    ids = list(range(1, actions.MANY + 2))
    outcome = actions.withdraw_entries(curator, "known", ids, reason="list-withdrawn")
    assert (outcome.withdrawn, count()) == (0, 300)
    assert outcome.proposal is not None
    with pytest.raises(NotAllowed):
        actions.confirm(curator, outcome.proposal)
    assert actions.confirm(chief, outcome.proposal).withdrawn == len(ids)
    assert count() == 300 - len(ids)
    change = access.history_of(bank, 1).last()
    assert change is not None
    assert (change.what, change.person, change.reason) == ("withdraw", chief.person, "list-withdrawn")


def test_many_are_many_also_bit_by_bit(bank: Bank, curator: Actor, chief: Actor) -> None:
    assert actions.withdraw_entries(curator, "known", range(1, 61), reason="duplicate").withdrawn == 60
    assert actions.withdraw_entries(curator, "known", range(61, 121), reason="duplicate").proposal is not None
    assert actions.withdraw_entries(chief, "known", range(61, 121), reason="duplicate").withdrawn == 60
    Change.objects.update(begun_at=timezone.now() - timedelta(days=2))
    assert actions.withdraw_entries(curator, "known", range(121, 181), reason="duplicate").withdrawn == 60


def test_what_two_confirmed_does_not_count_against_one(bank: Bank, curator: Actor, chief: Actor) -> None:
    outcome = actions.withdraw_entries(curator, "known", range(1, 201), reason="duplicate")
    assert outcome.proposal is not None
    actions.confirm(chief, outcome.proposal)
    assert actions.withdraw_entries(chief, "known", range(201, 301), reason="duplicate").withdrawn == 100


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{"radius_bits": 0}, {"quality_floor": 100}])
def test_a_threshold_that_undoes_matches_is_set_by_two(
    bank: Bank, curator: Actor, chief: Actor, given: dict[str, int]
) -> None:
    outcome = actions.set_bank(curator, "known", reason="too-many-wrong", **given)
    [name] = given
    assert outcome.proposal is not None
    assert getattr(access.all_banks()[0], name) != given[name]
    with pytest.raises(NotAllowed):
        actions.confirm(curator, outcome.proposal)
    assert actions.confirm(chief, outcome.proposal).is_changed
    assert getattr(access.all_banks()[0], name) == given[name]
    assert Line.objects.filter(act="bank.changed").count() == 1


def test_a_threshold_that_finds_more_and_a_small_bank_need_one(bank: Bank, curator: Actor) -> None:
    assert actions.set_bank(curator, "known", reason="too-few", radius_bits=40, quality_floor=0).is_changed
    actions.create_bank(curator, "small", kind=Kind.OTHER, reason="own-list")
    assert actions.set_bank(curator, "small", reason="too-many-wrong", radius_bits=0).is_changed


def test_a_refused_threshold_stays_as_it_was(bank: Bank, curator: Actor, chief: Actor) -> None:
    outcome = actions.set_bank(curator, "known", reason="policy", radius_bits=0)
    assert outcome.proposal is not None
    actions.refuse(chief, outcome.proposal)
    assert (access.all_banks()[0].radius_bits, access.open_proposals(chief)) == (31, [])


def test_in_a_one_person_office_it_is_done_at_once_and_says_so(bank: Bank, curator: Actor) -> None:
    OfficeSetting.objects.create(name="one-person-office", value="yes", legal_basis="t", set_by=curator.person)
    assert actions.set_bank(curator, "known", reason="policy", radius_bits=0).is_changed
    assert actions.withdraw_entries(curator, "known", range(1, 301), reason="duplicate").withdrawn == 300
    assert set(Proposal.objects.values_list("is_alone", "state")) == {(True, "confirmed")}


def test_the_pages_say_that_it_waits(
    bank: Bank, curator: Actor, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    proposing, deciding = client_of(curator.person), client_of(senior)
    ids = " ".join(map(str, range(1, 151)))
    page = proposing.post("/banks/of/known/withdraw/", {"ids": ids, "reason": "duplicate"}, follow=True)
    assert "waits for a second person" in page.content.decode()
    assert "entries to withdraw 150" in deciding.get("/banks/").content.decode()
    proposal = Proposal.objects.get()
    deciding.post(f"/banks/proposals/{proposal.pk}/confirm/")
    assert count() == 150


def test_a_program_is_told_that_it_waits(bank: Bank, senior: Person, program_of: Any) -> None:
    program = program_of(senior, Role.SENIOR)
    wish = {"ids": list(range(1, 201)), "reason": "duplicate"}
    answer = program.post("/api/v1/banks/known/withdrawals", wish, content_type="application/json").json()
    assert answer == {"withdrawn": 0, "proposal": str(Proposal.objects.get().pk)}
