"""Banks at the workbench: who sees what, who did what and why; the folder stays the only truth about entries."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import BankLocked, BankNotFound, InputError, NotAllowed, WrongState
from leadline.match.bank import Bank
from leadline.workbench.accounts.actions import grant_object
from leadline.workbench.accounts.models import OfficeSetting, Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.acts import proposals
from leadline.workbench.banks.models import Change, EntryChange, Proposal
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role


def md5(n: int) -> bytes:
    return n.to_bytes(16, "big")


def entry(n: int, **fields: Any) -> Entry:
    return Entry(**{"kind": Kind.OTHER, "fingerprints": {"md5": md5(n)}} | fields)


@pytest.fixture
def curator(make_person: Callable[..., Person]) -> Actor:
    return Actor.of_person(make_person("curator", Role.CURATOR))


@pytest.fixture
def chief(senior: Person) -> Actor:
    return Actor.of_person(senior)


@pytest.fixture
def bank(curator: Actor) -> Bank:
    return actions.create_bank(curator, "known", kind=Kind.OTHER, reason="own-list")


def journal_of(bank_id: str) -> list[tuple[str, str, str]]:
    return list(Line.objects.filter(object_id=bank_id).order_by("line").values_list("act", "actor", "reason"))


def test_a_bank_is_a_folder_and_its_making_is_recorded(bank: Bank, curator: Actor, office: Any) -> None:
    assert bank.path == office.banks / "known"
    assert [access.bank_id_of(b) for b in access.all_banks()] == ["known"]
    assert journal_of("known") == [("bank.created", curator.id, "own-list")]


@pytest.mark.parametrize("name", ["", "Known", "../x", "a/b", "-a", "a" * 65, "ä"])
def test_a_name_that_is_no_folder_of_ours_is_refused(curator: Actor, name: str, office: Any) -> None:
    with pytest.raises(InputError):
        actions.create_bank(curator, name, kind=Kind.OTHER, reason="own-list")
    assert list(office.banks.iterdir()) == []


def test_added_entries_are_in_the_folder_and_their_history_in_rows(bank: Bank, curator: Actor) -> None:
    outcome = actions.add_entries(curator, "known", [entry(n) for n in range(1, 6)], reason="own-assessment")
    assert (outcome.added, list(outcome.ids)) == (5, [1, 2, 3, 4, 5])
    assert [e.id for e in Bank.open(bank.path).entries()] == [1, 2, 3, 4, 5]
    assert list(EntryChange.objects.values_list("first_entry", "last_entry")) == [(1, 5)]
    (change,) = access.history_of(bank, 3)
    assert (change.what, change.reason, change.person, change.count) == ("add", "own-assessment", curator.person, 5)
    assert journal_of("known")[-1] == ("bank.entry.added", curator.id, "own-assessment")


def test_no_row_and_no_line_holds_a_hash(bank: Bank, curator: Actor) -> None:
    actions.add_entries(curator, "known", [entry(0xABCDEF)], reason="own-assessment")
    actions.withdraw_entries(curator, "known", [1], reason="duplicate")
    propose(curator, 0xABCDEF)
    digest = md5(0xABCDEF)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            held = str([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cursor.fetchall()])
            assert not [form for form in (digest.hex(), b64encode(digest).decode()) if form in held], table


def test_a_withdrawn_entry_matches_no_more_and_keeps_its_history(bank: Bank, curator: Actor) -> None:
    actions.add_entries(curator, "known", [entry(1), entry(2)], reason="own-assessment")
    assert actions.withdraw_entries(curator, "known", [2, 99], reason="listed-by-mistake").withdrawn == 1
    assert [len(m) for m, _ in access.look_up(curator, [("md5", md5(1)), ("md5", md5(2))])] == [1, 0]
    assert [c.what for c in access.history_of(bank, 2)] == ["add", "withdraw"]
    assert actions.withdraw_entries(curator, "known", [2], reason="listed-by-mistake").withdrawn == 0
    with pytest.raises(BankNotFound):
        access.find_entry(curator, bank, 2)


@pytest.mark.parametrize("reason", ["", "because", "harmless", "policy"])
def test_a_change_without_a_fitting_reason_does_not_happen(bank: Bank, curator: Actor, reason: str) -> None:
    with pytest.raises(InputError):
        actions.add_entries(curator, "known", [entry(1)], reason=reason)
    assert (bank.count, Change.objects.filter(what="add").count()) == (0, 0)


def test_settings_are_changed_in_the_manifest_and_recorded(bank: Bank, curator: Actor) -> None:
    assert actions.set_bank(curator, "known", reason="too-many-wrong", radius_bits=10, quality_floor=70).is_changed
    reopened = Bank.open(bank.path)
    assert (reopened.radius_bits, reopened.quality_floor) == (10, 70)
    assert journal_of("known")[-1] == ("bank.changed", curator.id, "too-many-wrong")
    assert not actions.set_bank(curator, "known", reason="policy", radius_bits=10).is_changed
    assert len(journal_of("known")) == 2


def test_what_cannot_be_taken_is_told_and_the_rest_is_added(bank: Bank, curator: Actor) -> None:
    bad = InputError("bad record", where="line 2")
    outcome = actions.add_entries(curator, "known", [entry(1), bad, entry(3)], reason="partner-list")
    assert (outcome.added, outcome.refused_count) == (2, 1)
    nothing = actions.add_entries(curator, "known", [bad], reason="partner-list")
    assert (nothing.added, len(journal_of("known"))) == (0, 2)


# --- false positives --------------------------------------------------------------------------------------------------
def propose(by: Actor, *numbers: int) -> Proposal:
    wished = [entry(n, kind=Kind.FALSE_POSITIVE, radius_bits=4) for n in numbers]
    outcome = actions.add_entries(by, "known", wished, reason="harmless")
    assert outcome.proposal is not None
    return outcome.proposal


def test_a_false_positive_is_there_only_after_a_second_persons_yes(bank: Bank, curator: Actor, chief: Actor) -> None:
    proposal = propose(curator, 7)
    assert access.all_banks()[0].count == 0
    with pytest.raises(NotAllowed):
        actions.confirm(curator, proposal)
    assert actions.confirm(chief, proposal).added == 1
    (kept,) = Bank.open(bank.path).entries()
    assert (kept.kind, kept.radius_bits) == (Kind.FALSE_POSITIVE, 4)
    proposal.refresh_from_db()
    assert (proposal.state, proposal.entries_sealed, proposal.decided_by) == ("confirmed", None, chief.person)
    with pytest.raises(WrongState):
        actions.confirm(chief, proposal)
    acts = [act for act, _, _ in journal_of("known")]
    assert acts == ["bank.created", "bank.entry.proposed", "bank.entry.added"]


def test_what_is_proposed_outlives_a_change_of_the_key(bank: Bank, curator: Actor, chief: Actor) -> None:
    proposal = propose(curator, 7)
    assert evidence.rotate_key()[0]["fields"] == 1
    assert evidence.forget_older_keys() != []
    assert actions.confirm(chief, proposal).added == 1


def test_a_refused_one_leaves_nothing(bank: Bank, curator: Actor, chief: Actor) -> None:
    proposal = propose(curator, 7)
    actions.refuse(chief, proposal)
    proposal.refresh_from_db()
    assert (proposal.entries_sealed, access.open_proposals(chief), access.all_banks()[0].count) == (None, [], 0)


def test_the_database_too_refuses_a_confirmation_by_oneself(bank: Bank, curator: Actor) -> None:
    proposal = propose(curator, 7)
    with pytest.raises(IntegrityError), transaction.atomic():
        Proposal.objects.filter(pk=proposal.pk).update(state="confirmed", decided_by=curator.person)


def test_false_positives_hidden_in_another_list_are_refused(bank: Bank, curator: Actor) -> None:
    mixed = [entry(1), entry(2, kind=Kind.FALSE_POSITIVE)]
    outcome = actions.add_entries(curator, "known", mixed, reason="own-assessment")
    assert (outcome.added, outcome.refused_count) == (1, 1)
    with pytest.raises(InputError):
        actions.add_entries(curator, "known", mixed[::-1], reason="harmless")
    assert [e.kind for e in access.all_banks()[0].entries()] == [Kind.OTHER]


def test_in_a_one_person_office_it_is_there_at_once_and_says_so(bank: Bank, curator: Actor) -> None:
    OfficeSetting.objects.create(name="one-person-office", value="yes", legal_basis="t", set_by=curator.person)
    outcome = actions.add_entries(curator, "known", [entry(7, kind=Kind.FALSE_POSITIVE)], reason="harmless")
    assert outcome.added == 1
    assert Proposal.objects.get().is_alone


# --- TLP --------------------------------------------------------------------------------------------------------------
def test_a_red_bank_is_there_for_clearance_or_grant_only(chief: Actor, curator: Actor, analyst: Person) -> None:
    actions.create_bank(chief, "hidden", kind=Kind.OTHER, reason="new-list", tlp=Tlp.RED)
    actions.add_entries(chief, "hidden", [entry(1)], reason="partner-list")
    looked = [("md5", md5(1))]
    assert (len(access.visible_banks(chief)), len(access.look_up(chief, looked)[0][0])) == (1, 1)
    person = Actor.of_person(analyst)
    for actor in (curator, person):
        assert (access.visible_banks(actor), access.look_up(actor, looked)) == ([], [((), False)])
        with pytest.raises(BankNotFound):
            actions.add_entries(actor, "hidden", [entry(2)], reason="partner-list")
    grant_object(chief.person, analyst, "bank", "hidden", timedelta(days=1))
    assert len(access.look_up(person, looked)[0][0]) == 1
    kinds = Line.objects.filter(object_id="hidden", act__startswith="bank.").values_list("object_kind", flat=True)
    assert set(kinds) == {"bank-red"}


def test_a_red_entry_of_another_bank_is_hidden_as_well(bank: Bank, chief: Actor, curator: Actor) -> None:
    actions.add_entries(chief, "known", [entry(1), entry(2, tlp=Tlp.RED), entry(3)], reason="partner-list")
    opened = access.find_bank(curator, "known")
    assert [e.id for e in access.page_entries(curator, opened, 0, 10)[0]] == [1, 3]
    assert [e.id for e in access.page_entries(chief, opened, 0, 10)[0]] == [1, 2, 3]
    assert access.look_up(curator, [("md5", md5(2))]) == [((), False)]
    with pytest.raises(BankNotFound):
        access.find_entry(curator, opened, 2)
    assert actions.withdraw_entries(curator, "known", [2], reason="duplicate").withdrawn == 0


def test_pages_over_hidden_entries_lose_nothing(bank: Bank, chief: Actor, curator: Actor) -> None:
    mixed = [entry(n, tlp=Tlp.RED if n % 3 else Tlp.AMBER) for n in range(1, 40)]
    actions.add_entries(chief, "known", mixed, reason="partner-list")
    opened, found, after = access.find_bank(curator, "known"), [], 0
    while True:
        page, following = access.page_entries(curator, opened, after, 4)
        found += [e.id for e in page]
        if following is None:
            break
        after = following
    assert found == list(range(3, 40, 3))


def test_nobody_makes_red_what_they_could_not_see_then(bank: Bank, curator: Actor) -> None:
    with pytest.raises(NotAllowed):
        actions.create_bank(curator, "hidden", kind=Kind.OTHER, reason="new-list", tlp=Tlp.RED)
    with pytest.raises(NotAllowed):
        actions.set_bank(curator, "known", reason="policy", tlp=Tlp.RED)


def test_a_key_has_none_of_its_owners_grants(chief: Actor, analyst: Person, program_of: Callable[..., Client]) -> None:
    actions.create_bank(chief, "hidden", kind=Kind.OTHER, reason="new-list", tlp=Tlp.RED)
    grant_object(chief.person, analyst, "bank", "hidden", timedelta(days=1))
    assert program_of(analyst, Role.ANALYST).get("/api/v1/banks/hidden").status_code == 404
    assert program_of(chief.person, Role.SENIOR).get("/api/v1/banks/hidden").status_code == 200


# --- what a crash leaves ----------------------------------------------------------------------------------------------
def cut(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """The process dies after the folder was changed and before the rows are."""

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(proposals, "end", die)
        with pytest.raises(SystemExit):
            act()
    Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))


def test_an_addition_that_was_cut_is_recorded_afterwards(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.add_entries(curator, "known", [entry(1)], reason="own-assessment")
    cut(monkeypatch, lambda: actions.add_entries(curator, "known", [entry(2), entry(3)], reason="partner-list"))
    assert actions.settle_changes() == 1
    (change,) = access.history_of(bank, 3)
    assert (change.state, change.reason, change.person) == ("done", "partner-list", curator.person)
    last = Line.objects.order_by("-line")[0]
    assert (last.act, last.actor, json.loads(last.details)["by"]) == ("bank.entry.added", "system", curator.id)
    assert actions.settle_changes() == 0


def test_a_withdrawal_that_was_cut_is_recorded_afterwards(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.add_entries(curator, "known", [entry(1), entry(2)], reason="own-assessment")
    cut(monkeypatch, lambda: actions.withdraw_entries(curator, "known", [1], reason="duplicate"))
    assert actions.settle_changes() == 1
    assert {(c.what, c.state) for c in access.history_of(bank, 1)} == {("add", "done"), ("withdraw", "done")}


def test_a_change_that_never_reached_the_folder_is_marked_as_lost(
    bank: Bank, curator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit

    for name in ("add", "set_settings"):
        monkeypatch.setattr(Bank, name, die)
    for act in (
        lambda: actions.add_entries(curator, "known", [entry(2)], reason="partner-list"),
        lambda: actions.set_bank(curator, "known", reason="policy", radius_bits=3),
    ):
        with pytest.raises(SystemExit):
            act()
    lines = Line.objects.count()
    Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))
    assert actions.settle_changes() == 2
    assert sorted(Change.objects.exclude(what="create").values_list("state", flat=True)) == ["lost", "lost"]
    assert Line.objects.count() == lines


def test_a_confirmed_false_positive_that_never_reached_the_folder_is_open_again(
    bank: Bank, curator: Actor, chief: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = propose(curator, 7)

    def locked(*_: object, **__: object) -> None:
        raise BankLocked("another writer is at work")

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    for fault, raised in ((locked, BankLocked), (die, SystemExit)):
        with monkeypatch.context() as patch:
            patch.setattr(Bank, "add", fault)
            with pytest.raises(raised):
                actions.confirm(chief, proposal)
        Change.objects.filter(state="begun").update(begun_at=timezone.now() - timedelta(hours=1))
        actions.settle_changes()
        assert [p.pk for p in access.open_proposals(chief)] == [proposal.pk]
    cut(monkeypatch, lambda: actions.confirm(chief, proposal))
    assert actions.settle_changes() == 1
    proposal.refresh_from_db()
    assert (proposal.state, proposal.entries_sealed, access.all_banks()[0].count) == ("confirmed", None, 1)


def test_history_cannot_be_changed(bank: Bank, curator: Actor) -> None:
    actions.add_entries(curator, "known", [entry(1)], reason="own-assessment")
    with pytest.raises(DatabaseError), transaction.atomic():
        EntryChange.objects.update(last_entry=9)


def test_a_damaged_bank_is_named_and_does_not_stop_the_others(bank: Bank, chief: Actor, office: Any) -> None:
    broken = actions.create_bank(chief, "broken", kind=Kind.OTHER, reason="own-list")
    (broken.path / "manifest.json").write_text("{}")
    assert (access.broken_banks(), [access.bank_id_of(b) for b in access.all_banks()]) == (["broken"], ["known"])


def test_what_the_command_line_adds_is_seen_at_once(bank: Bank, curator: Actor) -> None:
    Bank.open(bank.path).add([entry(5)])
    assert len(access.look_up(curator, [("md5", md5(5))])[0][0]) == 1


# --- pages ------------------------------------------------------------------------------------------------------------
def test_the_pages_add_show_look_up_and_withdraw(
    bank: Bank, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    client = client_of(make_person("writer", Role.CURATOR))
    given = {"hashes": f"{md5(1).hex()}\nnonsense\n", "kind": "other", "reason": "own-assessment"}
    page = client.post("/banks/of/known/add/", given).content.decode()
    assert "Added: 1" in page
    assert "line 2" in page
    assert client.get("/banks/of/known/").content.decode().count("<td>other</td>") == 1
    assert md5(1).hex() in client.get("/banks/of/known/1/").content.decode()
    assert "known / 1" in client.post("/banks/look-up/", {"hashes": md5(1).hex()}).content.decode()
    client.post("/banks/of/known/withdraw/", {"ids": "1", "reason": "duplicate"})
    assert "Withdrawn." in client.get("/banks/of/known/1/").content.decode()
    assert client.get("/banks/of/known/changes/").content.decode().count("<tr>") >= 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", f"md5,kind\n{md5(1).hex()},exploitative\n{md5(2).hex()},other\n"),
        ("list.txt", f"{md5(1).hex()}\n{md5(2).hex()}\n"),
        ("list.json", json.dumps({"value": [{"Media": [{"MD5": md5(1).hex()}, {"MD5": md5(2).hex()}]}]})),
    ],
)
def test_a_list_is_taken_in_each_format(
    bank: Bank, make_person: Callable[..., Person], client_of: Callable[[Person], Client], name: str, content: str
) -> None:
    upload = io.BytesIO(content.encode())
    upload.name = name
    client = client_of(make_person("writer", Role.CURATOR))
    page = client.post("/banks/of/known/add/", {"upload": upload, "kind": "other", "reason": "partner-list"})
    assert access.all_banks()[0].count == 2, page.content.decode()


def test_what_is_no_list_is_told_at_the_form(
    bank: Bank, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    upload = io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    upload.name = "x.png"
    client = client_of(make_person("writer", Role.CURATOR))
    page = client.post("/banks/of/known/add/", {"upload": upload, "kind": "other", "reason": "partner-list"})
    assert "no list of hashes" in page.content.decode()


def test_a_second_person_confirms_on_the_page_and_the_first_cannot(
    bank: Bank, curator: Actor, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    proposal = propose(curator, 7)
    client_of(curator.person).post(f"/banks/proposals/{proposal.pk}/confirm/")
    assert access.all_banks()[0].count == 0
    actions.trust_near(curator, "known", 6, reason="policy")
    page = client_of(senior).get("/banks/").content.decode()
    assert ("Confirm" in page, "near files within 6 bits" in page) == (True, True)
    client_of(senior).post(f"/banks/proposals/{proposal.pk}/confirm/")
    assert access.all_banks()[0].count == 1


def test_a_bank_that_is_not_for_one_looks_like_none(
    chief: Actor, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.create_bank(chief, "hidden", kind=Kind.OTHER, reason="new-list", tlp=Tlp.RED)
    client = client_of(analyst)
    answers = [client.get(f"/banks/of/{name}/") for name in ("hidden", "absent")]
    pages = [re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode()) for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert pages[0] == pages[1]
