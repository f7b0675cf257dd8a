"""Near with a trusted margin is as good as exact: two people say how near, and nothing that speaks against it is lost."""

from __future__ import annotations

from typing import Any

import pytest
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry, near_entry

from leadline.domain import Entry, Kind
from leadline.errors import InputError, NotAllowed
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.models import Proposal
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role

MARGIN = 10


@pytest.fixture
def two(make_person: Any) -> tuple[Actor, Actor]:
    return Actor.of_person(make_person("curator", Role.CURATOR)), Actor.of_person(make_person("chief", Role.SENIOR))


def bits_off(count: int, kind: Kind = Kind.ILLEGAL, **fields: Any) -> Entry:
    """An entry so many bits from the first drawn picture."""
    number = int.from_bytes(near_entry(1).fingerprints["pdq"], "big") ^ ((1 << count) - 1)
    return Entry(kind=kind, fingerprints={"pdq": number.to_bytes(32, "big")}, **fields)


def trust(two: tuple[Actor, Actor], bank: str, bits: int = MARGIN) -> None:
    outcome = actions.trust_near(two[0], bank, bits, reason="policy")
    assert outcome.proposal is not None
    actions.confirm(two[1], outcome.proposal)


def take() -> Asset:
    return evidence.take_in(draw_png(1), actor="somebody", source="test")


@pytest.mark.parametrize(("off", "is_aside"), [(MARGIN, True), (MARGIN + 1, False)])
def test_within_the_margin_it_is_set_aside_and_one_bit_beyond_it_is_not(
    make_bank: MakeBank, two: tuple[Actor, Actor], off: int, *, is_aside: bool
) -> None:
    make_bank("LIST", bits_off(off, label="made-up-label"))
    trust(two, "list")
    asset = take()
    assert (asset.verdict, asset.is_set_aside) == ("near", is_aside)
    assert (asset.inferred_label, asset.inferred_from) == ("made-up-label", "LIST")


def test_nothing_near_is_trusted_unless_two_people_say_so(make_bank: MakeBank, two: tuple[Actor, Actor]) -> None:
    make_bank("LIST", bits_off(0))
    assert not take().is_set_aside
    outcome = actions.trust_near(two[0], "list", MARGIN, reason="policy")
    assert outcome.proposal is not None
    assert access.trusted_bits(access.all_banks()[0]) == 0
    with pytest.raises(NotAllowed):
        actions.confirm(two[0], outcome.proposal)
    actions.confirm(two[1], outcome.proposal)
    assert access.trusted_bits(access.all_banks()[0]) == MARGIN
    assert Line.objects.get(act="bank.trusted").reason == "policy"


def test_a_margin_changes_what_is_held_already_and_less_of_it_takes_one_person(
    make_bank: MakeBank, two: tuple[Actor, Actor]
) -> None:
    make_bank("LIST", bits_off(4))
    asset = take()
    tasks.match_changes()
    trust(two, "list")
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert asset.is_set_aside
    assert actions.trust_near(two[0], "list", 3, reason="too-many-wrong").is_changed
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert not asset.is_set_aside
    assert asset.let_out_at is not None


def test_the_margin_is_never_wider_than_the_radius(make_bank: MakeBank, two: tuple[Actor, Actor]) -> None:
    bank = make_bank("LIST", bits_off(8))
    with pytest.raises(InputError):
        actions.trust_near(two[0], "list", bank.radius_bits + 1, reason="policy")
    trust(two, "list", 31)
    bank.set_settings(radius_bits=5)
    assert access.trusted_bits(bank) == 5


@pytest.mark.parametrize("kind", [Kind.BENIGN, Kind.FALSE_POSITIVE])
def test_a_bank_of_the_harmless_has_no_margin(make_bank: MakeBank, two: tuple[Actor, Actor], kind: Kind) -> None:
    make_bank("FINE", kind=kind)
    with pytest.raises(InputError):
        actions.trust_near(two[0], "fine", 1, reason="policy")
    assert not Proposal.objects.exists()


def test_near_to_a_benign_entry_of_a_trusted_bank_sets_nothing_aside(
    make_bank: MakeBank, two: tuple[Actor, Actor], let_act: Any
) -> None:
    make_bank("LIST", bits_off(2, Kind.BENIGN))
    let_act()
    trust(two, "list")
    assert not take().is_set_aside


def test_a_suppressed_match_sets_nothing_aside(make_bank: MakeBank, two: tuple[Actor, Actor], let_act: Any) -> None:
    make_bank("LIST", bits_off(2))
    make_bank("WRONG", exact_entry(draw_png(1), Kind.FALSE_POSITIVE), kind=Kind.FALSE_POSITIVE)
    let_act()
    trust(two, "list")
    assert not take().is_set_aside


def test_what_is_near_to_something_graver_is_looked_at(make_bank: MakeBank, two: tuple[Actor, Actor]) -> None:
    make_bank("MINOR", bits_off(2, Kind.OTHER), kind=Kind.OTHER)
    make_bank("LIST", bits_off(20))
    trust(two, "minor")
    asset = take()
    assert (asset.inferred_kind, asset.is_set_aside) == ("illegal", False)
