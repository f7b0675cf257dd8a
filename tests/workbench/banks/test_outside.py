"""What other programs do to a bank's folder is found, written into each entry's history, and does not act alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leadline.domain import Entry, Kind
from leadline.errors import NotAllowed
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.acts import outside, proposals
from leadline.workbench.banks.models import Change
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role

DATA = b"a made-up file"


def entry(n: int, kind: Kind = Kind.ILLEGAL, **fields: Any) -> Entry:
    return Entry(kind=kind, fingerprints={"md5": n.to_bytes(16, "big")}, **fields)


def knows(kind: Kind) -> Entry:
    return Entry(kind=kind, fingerprints={"sha256": hashlib.sha256(DATA).digest()})


@pytest.fixture
def curator(make_person: Callable[..., Person]) -> Actor:
    return Actor.of_person(make_person("curator", Role.CURATOR))


@pytest.fixture
def chief(senior: Person) -> Actor:
    return Actor.of_person(senior)


@pytest.fixture
def bank(curator: Actor) -> Bank:
    made = actions.create_bank(curator, "known", kind=Kind.ILLEGAL, reason="own-list")
    actions.add_entries(curator, "known", [entry(1), entry(2)], reason="partner-list")
    actions.follow_folders()
    outside._known.clear()
    actions.follow_folders()
    return made


def history(bank: Bank, number: int) -> list[tuple[str, str]]:
    return [(c.what, c.person.name if c.person else "") for c in access.history_of(bank, number)]


def told() -> list[dict[str, Any]]:
    return [json.loads(d) for d in Line.objects.filter(act="bank.changed-outside").values_list("details", flat=True)]


def test_what_was_done_at_the_workbench_is_not_from_outside(bank: Bank, curator: Actor) -> None:
    actions.set_bank(curator, "known", reason="too-few", radius_bits=40)
    actions.withdraw_entries(curator, "known", [1], reason="duplicate")
    assert actions.follow_folders() == 0
    assert told() == []
    assert history(bank, 1) == [("add", "curator"), ("withdraw", "curator")]


@pytest.mark.parametrize("is_new_start", [False, True])
def test_what_the_command_line_adds_and_takes_is_in_the_history(bank: Bank, is_new_start: bool) -> None:
    by_hand = Bank.open(bank.path)
    by_hand.add([entry(3), entry(4)])
    by_hand.remove([1])
    if is_new_start:
        outside._known.clear()
    assert actions.follow_folders() == 1
    assert actions.follow_folders() == 0
    assert (history(bank, 1)[-1], history(bank, 2), history(bank, 4)) == (("went", ""), [("add", "curator")], [("came", "")])
    [line] = told()
    assert (line["came"], line["came_first"], line["came_last"], line["went"]) == (2, 3, 4, 1)


def test_an_entry_that_another_program_replaced_says_so(bank: Bank) -> None:
    Bank.open(bank.path).update([entry(9, id=2)])
    actions.follow_folders()
    assert history(bank, 2) == [("add", "curator"), ("altered", "")]


def test_settings_that_another_program_changed_are_told(bank: Bank) -> None:
    Bank.open(bank.path).set_settings(radius_bits=3)
    assert actions.follow_folders() == 1
    assert told()[0]["settings"] is True


def test_a_bank_that_was_built_outside_has_a_history_from_its_first_round(office: Any) -> None:
    built = Bank.create(office.banks / "built", name="built", kind=Kind.ILLEGAL)
    built.add([entry(1), entry(2)])
    actions.follow_folders()
    assert history(built, 2) == [("came", "")]


def test_while_somebody_is_at_it_nothing_is_called_from_outside(bank: Bank, curator: Actor, monkeypatch: Any) -> None:
    real, seen = proposals.end, []

    def end(*arguments: Any, **named: Any) -> Any:
        seen.append(actions.follow_folders())
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(proposals, "end", end)
        actions.add_entries(curator, "known", [entry(3)], reason="partner-list")
    assert (seen, actions.follow_folders(), told()) == ([0], 0, [])


# --- entries that take two people -------------------------------------------------------------------------------------


@pytest.fixture
def asset(office: Any) -> Asset:
    return evidence.take_in(DATA, actor="somebody", source="test")


def state(asset: Asset) -> tuple[str, str, bool]:
    tasks.match_changes()
    again = evidence.take_in(DATA, actor="somebody", source="test")
    asset.refresh_from_db()
    assert (again.verdict, again.inferred_kind) == (asset.verdict, asset.inferred_kind)
    return asset.verdict, asset.inferred_kind, asset.is_set_aside


def test_a_false_positive_added_by_the_command_line_does_not_act_until_two_have_said_so(
    bank: Bank, curator: Actor, chief: Actor, asset: Asset
) -> None:
    actions.add_entries(curator, "known", [knows(Kind.OTHER)], reason="partner-list")
    assert state(asset)[:2] == ("known", "other")
    Bank.open(bank.path).add([knows(Kind.FALSE_POSITIVE)])
    assert state(asset)[:2] == ("known", "other")  # also before the worker has seen it
    looked_up = access.look_up(chief, [("sha256", hashlib.sha256(DATA).digest())])[0][0]
    assert [(match.kind, match.suppressed_by) for match in looked_up] == [(Kind.OTHER, None)]
    actions.follow_folders()
    [proposal] = access.open_proposals(curator)
    assert (proposal.what, proposal.count, proposal.proposed_by) == ("came", 1, None)
    actions.confirm(curator, proposal)
    assert state(asset)[:2] == ("known", "other")
    with pytest.raises(NotAllowed):
        actions.confirm(curator, proposal)
    actions.confirm(chief, proposal)
    assert state(asset)[1] == "false-positive"
    assert history(bank, 4)[-1] == ("confirm", "senior")
    acts = list(Line.objects.filter(object_id="known").order_by("line").values_list("act", flat=True))
    assert [act for act in acts if act.startswith("bank.entry.")][-3:] == [
        "bank.entry.waiting", "bank.entry.proposed", "bank.entry.confirmed",
    ]  # fmt: skip


def test_a_benign_list_made_by_the_command_line_is_confirmed_as_a_whole(
    office: Any, curator: Actor, chief: Actor, asset: Asset
) -> None:
    built = Bank.create(office.banks / "fine", name="fine", kind=Kind.BENIGN)
    built.add([knows(Kind.BENIGN), *(entry(n, Kind.BENIGN) for n in range(3000))])
    assert state(asset) == ("unknown", "", False)
    actions.follow_folders()
    [proposal] = access.open_proposals(curator)
    assert proposal.count == 3001
    actions.confirm(curator, proposal)
    actions.confirm(chief, proposal)
    assert state(asset) == ("known", "benign", True)
    built.add([entry(9999, Kind.BENIGN)])
    actions.follow_folders()
    assert [p.count for p in access.open_proposals(curator)] == [1]


def test_what_is_refused_stays_in_its_folder_and_does_not_act(
    bank: Bank, chief: Actor, asset: Asset
) -> None:
    Bank.open(bank.path).add([knows(Kind.BENIGN)])
    actions.follow_folders()
    [proposal] = access.open_proposals(chief)
    actions.refuse(chief, proposal)
    actions.follow_folders()
    assert (state(asset), access.open_proposals(chief)) == (("unknown", "", False), [])


def test_an_entry_altered_after_two_confirmed_it_waits_again(
    bank: Bank, curator: Actor, chief: Actor, asset: Asset
) -> None:
    other = Entry(kind=Kind.BENIGN, fingerprints={"md5": bytes(16)})
    outcome = actions.add_entries(curator, "known", [other], reason="harmless")
    assert outcome.proposal is not None
    [number] = actions.confirm(chief, outcome.proposal).ids
    actions.follow_folders()
    Bank.open(bank.path).update([Entry(kind=Kind.BENIGN, fingerprints=knows(Kind.BENIGN).fingerprints, id=number)])
    actions.follow_folders()
    assert state(asset) == ("unknown", "", False)
    assert [p.what for p in access.open_proposals(chief)] == ["came"]


def test_in_a_folder_put_in_place_of_another_nothing_is_confirmed(
    bank: Bank, curator: Actor, chief: Actor, asset: Asset, office: Any
) -> None:
    outcome = actions.add_entries(curator, "known", [entry(7, Kind.BENIGN)], reason="harmless")
    assert outcome.proposal is not None
    [number] = actions.confirm(chief, outcome.proposal).ids
    actions.follow_folders()
    fresh = Bank.create(office.home / "fresh", name="known", kind=Kind.ILLEGAL)
    benign = knows(Kind.BENIGN)
    fresh.add([Entry(kind=Kind.BENIGN, fingerprints=benign.fingerprints, id=number)])
    shutil.rmtree(bank.path)
    shutil.move(office.home / "fresh", bank.path)
    assert state(asset) == ("unknown", "", False)
    actions.follow_folders()
    assert state(asset) == ("unknown", "", False)
    assert [p.count for p in access.open_proposals(chief)] == [1]


# --- settling ---------------------------------------------------------------------------------------------------------


def cut_before(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> None:
    """The process dies before the folder is changed."""

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Bank, name, die)
        with pytest.raises(SystemExit):
            act()
    Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))


def test_nobody_is_credited_with_what_the_command_line_added(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = actions.add_entries
    cut_before(monkeypatch, "add", lambda: add(curator, "known", [entry(3), entry(4)], reason="partner-list"))
    Bank.open(bank.path).add([entry(5), entry(6)])
    actions.settle_changes()
    assert Change.objects.get(what="add", from_id=3).state == "lost"
    actions.follow_folders()
    assert history(bank, 3) == history(bank, 4) == [("came", "")]


def test_of_two_additions_each_is_credited_to_its_own(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(proposals, "end", die)
        with pytest.raises(SystemExit):
            actions.add_entries(curator, "known", [entry(3), entry(4)], reason="partner-list")
    Bank.open(bank.path).add([entry(5)])
    Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))
    assert actions.settle_changes() == 1
    actions.follow_folders()
    assert (history(bank, 3), history(bank, 4)) == ([("add", "curator")], [("add", "curator")])
    assert history(bank, 5) == [("came", "")]


def test_nobody_is_credited_with_settings_that_another_program_chose(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_bank = actions.set_bank
    cut_before(monkeypatch, "set_settings", lambda: set_bank(curator, "known", reason="too-few", radius_bits=40))
    Bank.open(bank.path).set_settings(radius_bits=50)
    actions.settle_changes()
    assert Change.objects.get(what="set").state == "lost"
    actions.follow_folders()
    assert told()[0]["settings"] is True
