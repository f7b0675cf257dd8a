"""The gate: which entries may leave to a partner, and by which rule the others stay."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from tests.workbench.sharing.conftest import agree, entry, propose, rules, set_up, submit

from leadline.domain import Kind, Tlp
from leadline.errors import BankNotFound, ConfigError, InputError
from leadline.exchange.connector import Act
from leadline.exchange.connectors import CONNECTORS
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases.states import Pap
from leadline.workbench.sharing import access, actions
from leadline.workbench.sharing.models import Partner


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        (Tlp.CLEAR, "agreed"), (Tlp.GREEN, "agreed"), (Tlp.AMBER, "agreed"), (Tlp.AMBER_STRICT, "tlp-above"),
        (Tlp.RED, "tlp-red"),
    ],
)  # fmt: skip
def test_an_entry_with_a_stricter_tlp_than_agreed_stays(
    partner: Partner, bank: Bank, approver: Actor, label: Tlp, rule: str
) -> None:
    [number] = bank.add([entry(9, tlp=label)]).ids
    assert rules(approver, partner, submit(number)) == {number: rule}


def test_nothing_of_a_red_bank_leaves(office: Any, partner: Partner, approver: Actor) -> None:
    red = Bank.create(office.banks / "red", name="red", kind=Kind.ILLEGAL, tlp=Tlp.RED)
    [number] = red.add([entry(9, tlp=Tlp.CLEAR)]).ids
    assert rules(approver, partner, submit(number, bank="red")) == {number: "tlp-red"}


def test_a_red_entry_is_absent_to_somebody_who_may_not_see_it(partner: Partner, bank: Bank, proposer: Actor) -> None:
    [number] = bank.add([entry(9, tlp=Tlp.RED)]).ids
    assert rules(proposer, partner, submit(number, 999)) == {number: "absent", 999: "absent"}


def test_a_red_bank_is_not_there_for_somebody_who_may_not_see_it(
    office: Any, partner: Partner, proposer: Actor
) -> None:
    Bank.create(office.banks / "red", name="red", kind=Kind.ILLEGAL, tlp=Tlp.RED)
    with pytest.raises(BankNotFound):
        rules(proposer, partner, submit(1, bank="red"))


@pytest.mark.parametrize(
    ("metadata", "rule"),
    [
        ("", "agreed"), ('{"pap": "PAP:GREEN"}', "agreed"), ('{"pap": "amber"}', "agreed"),
        ('{"pap": "red"}', "pap-above"), ('{"pap": "violet"}', "pap-unknown"),
    ],
)  # fmt: skip
def test_an_entry_with_a_stricter_pap_than_agreed_stays(
    partner: Partner, bank: Bank, proposer: Actor, metadata: str, rule: str
) -> None:
    [number] = bank.add([entry(9, metadata=metadata)]).ids
    assert rules(proposer, partner, submit(number)) == {number: rule}


def test_an_entry_that_says_no_pap_needs_a_partner_who_keeps_amber(
    partner: Partner, bank: Bank, proposer: Actor, administrator: Person
) -> None:
    agree(administrator, partner, pap=Pap.GREEN)
    assert rules(proposer, partner, submit(1)) == {1: "pap-above"}


def test_a_suspended_entry_stays(partner: Partner, bank: Bank, proposer: Actor) -> None:
    bank.update([msgspec.structs.replace(bank.get(1), disabled_until=int(time.time()) + 1000)])
    assert rules(proposer, partner, submit(1, 2)) == {1: "suspended", 2: "agreed"}


def test_a_kind_that_is_not_agreed_stays_and_so_does_what_two_people_have_not_confirmed(
    partner: Partner, bank: Bank, proposer: Actor, administrator: Person
) -> None:
    other, harmless = bank.add([entry(8, kind=Kind.OTHER), entry(9, kind=Kind.BENIGN)]).ids
    assert rules(proposer, partner, submit(other, harmless)) == {other: "kind", harmless: "kind"}
    agree(administrator, partner, kinds=[Kind.BENIGN])
    assert rules(proposer, partner, submit(harmless)) == {harmless: "unconfirmed"}


def test_what_another_organisation_gave_stays_unless_the_agreement_says_onward(
    office: Any, partner: Partner, proposer: Actor, administrator: Person
) -> None:
    third = Bank.create(office.banks / "third", name="third", kind=Kind.ILLEGAL)
    [number] = third.add([entry(9, source="third")]).ids
    set_up("third", str(third.path), address="https://third.example.org")
    assert rules(proposer, partner, submit(number, bank="third")) == {number: "others"}
    agree(administrator, partner, onward=True)
    assert rules(proposer, partner, submit(number, bank="third")) == {number: "agreed"}


@pytest.fixture
def theirs(office: Any, desk: Any, administrator: Person) -> tuple[Partner, Bank]:
    """A partner whose list we hold."""
    made = Bank.create(office.banks / "list", name="list", kind=Kind.ILLEGAL)
    made.add([entry(1, source="list", source_id="their key 1")])
    set_up("list", str(made.path))
    partner = actions.make_partner(administrator, "A made-up list", "list")
    agree(administrator, partner, onward=True)
    return partner, made


def test_an_opinion_names_the_entry_by_its_owners_key_and_nothing_else_leaves(
    theirs: tuple[Partner, Bank], proposer: Actor
) -> None:
    wish = submit(1, act=Act.DISPUTE, bank="list", algorithm="md5", codes=("THEIR_CODE",))
    [ruling] = access.preview(proposer, theirs[0], wish, "matching").rulings
    assert ruling.told == {
        "act": "dispute", "key": "their key 1", "algorithm": "md5", "reasons": ["THEIR_CODE"], "entry": None,
    }  # fmt: skip


def test_opinions_are_on_their_entries_alone_and_their_entries_do_not_go_back_to_them(
    theirs: tuple[Partner, Bank], bank: Bank, proposer: Actor
) -> None:
    assert rules(proposer, theirs[0], submit(1, act=Act.AFFIRM)) == {1: "not-theirs"}
    assert rules(proposer, theirs[0], submit(1, bank="list")) == {1: "theirs"}


def test_what_is_only_for_this_office_does_not_leave_with_an_entry(
    partner: Partner, bank: Bank, proposer: Actor
) -> None:
    [number] = bank.add([entry(9, note="made-up note", metadata='{"made": "up"}', label="A1", scheme="own:1")]).ids
    [ruling] = access.preview(proposer, partner, submit(number), "matching").rulings
    assert b"made-up note" not in ruling.left
    assert b"made" not in ruling.left
    assert ruling.told["entry"]["metadata"] == '{"pap": "amber"}'
    assert ruling.told["entry"]["fingerprints"] == {"md5": "00" * 15 + "09"}
    assert (ruling.told["entry"]["scheme"], ruling.told["entry"]["label"]) == ("own:1", "A1")


@pytest.mark.parametrize(("said", "leaves_with"), [("red", "red"), ("PAP:WHITE", "clear"), ("green", "green")])
def test_an_entry_leaves_with_its_own_pap(
    partner: Partner, bank: Bank, proposer: Actor, administrator: Person, said: str, leaves_with: str
) -> None:
    agree(administrator, partner, pap=Pap.RED)
    [number] = bank.add([entry(9, metadata=f'{{"pap": "{said}", "tags": ["made up"]}}')]).ids
    [ruling] = access.preview(proposer, partner, submit(number), "matching").rulings
    assert ruling.told["entry"]["metadata"] == f'{{"pap": "{leaves_with}"}}'


def test_without_numbers_the_filters_choose(partner: Partner, bank: Bank, proposer: Actor) -> None:
    labelled = bank.add([entry(8, label="A1"), entry(9, label="A1")]).ids
    assert list(rules(proposer, partner, submit(label="A1"))) == list(labelled)
    assert list(rules(proposer, partner, submit(kind="other"))) == []
    assert list(rules(proposer, partner, submit(since=datetime(2100, 1, 1, tzinfo=UTC)))) == []
    assert len(rules(proposer, partner, submit(since=datetime(2020, 1, 1, tzinfo=UTC)))) == 7


def test_more_than_may_be_looked_at_is_refused(
    partner: Partner, bank: Bank, proposer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MAX_ENTRIES", 4)
    with pytest.raises(InputError, match="more than 4"):
        access.preview(proposer, partner, submit(), "matching")


@pytest.mark.parametrize("days", [(date(2020, 1, 1), date(2020, 12, 31)), (date(2100, 1, 1), date(2100, 12, 31))])
def test_an_agreement_holds_from_its_first_to_its_last_day(
    partner: Partner, bank: Bank, proposer: Actor, administrator: Person, days: tuple[date, date]
) -> None:
    agree(administrator, partner, valid_from=days[0], valid_until=days[1])
    with pytest.raises(InputError, match="no agreement"):
        access.preview(proposer, partner, submit(1), "matching")


def test_a_purpose_that_is_not_agreed_is_refused(partner: Partner, bank: Bank, proposer: Actor) -> None:
    with pytest.raises(InputError, match="purpose"):
        access.preview(proposer, partner, submit(1), "research")


def test_an_agreement_does_not_hold_where_the_source_leads_elsewhere_by_now(
    partner: Partner, bank: Bank, proposer: Actor
) -> None:
    from leadline.workbench.sharing import reach

    reach.subscriptions().remove("partner")
    set_up("partner", timeout_s=5.0)
    assert rules(proposer, partner, submit(1)) == {1: "agreed"}
    reach.subscriptions().remove("partner")
    set_up("partner", address="https://elsewhere.example.org")
    with pytest.raises(InputError, match="leads elsewhere"):
        access.preview(proposer, partner, submit(1), "matching")
    reach.subscriptions().remove("partner")
    with pytest.raises(InputError, match="not set up"):
        access.preview(proposer, partner, submit(1), "matching")


def test_nobody_agrees_on_red(partner: Partner, administrator: Person) -> None:
    with pytest.raises(InputError, match="TLP:RED never leaves"):
        agree(administrator, partner, tlp=Tlp.RED)


def test_a_new_agreement_takes_the_place_of_the_one_before(partner: Partner, administrator: Person) -> None:
    first = access.agreement_of(partner)
    second = agree(administrator, partner, tlp=Tlp.GREEN)
    assert first is not None
    assert access.agreement_of(partner) == second
    assert access.document_of(second) == "a made-up folder, page 7"
    assert b"made-up" not in bytes(second.document_sealed)


def test_an_entry_in_a_share_that_has_not_ended_is_in_no_other(partner: Partner, bank: Bank, proposer: Actor) -> None:
    propose(proposer, partner, submit(1))
    assert rules(proposer, partner, submit(1, 2)) == {1: "under-way", 2: "agreed"}


def test_a_source_whose_libraries_are_not_installed_says_so(
    partner: Partner, bank: Bank, proposer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONNECTORS, "recorder", "made_up_module:Recorder")
    with pytest.raises(ConfigError, match="not installed"):
        access.preview(proposer, partner, submit(1), "matching")
