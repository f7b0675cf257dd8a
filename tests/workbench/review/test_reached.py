"""What a revised decision had reached: entries undone by whoever sees their bank, people told by people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from leadline.domain import Channel, Entry, IncomingReport, Kind, Tlp
from leadline.errors import BankNotFound, ConfigError, InputError, WrongState
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import ApiKey, Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence.tasks import match_changes
from leadline.workbench.hooks.models import Delivery, Endpoint
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Outcome, Reason, State
from leadline.workbench.review import actions, reached, to_do
from leadline.workbench.review.models import Assessment, Reach, Review, ToTell

from .decided import OTHER, decide, in_force

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(claimed: Review, analyst: Person) -> Assessment:
    return decide(analyst, claimed)


@pytest.fixture
def second(make_person: Callable[..., Person]) -> Person:
    return make_person("second", Role.SENIOR)


@pytest.fixture
def red_entry(made: Assessment, senior: Person, second: Person, make_bank: Any) -> Reach:
    """An entry of the decision, in a bank that a plain analyst does not see."""
    bank = make_bank("red")
    bank.set_settings(tlp=Tlp.RED)
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "red", Kind.ILLEGAL)
    banks.confirm(Actor.of_person(second), reach.proposal)
    return reach


def revise(made: Assessment, by: Person) -> Assessment:
    return in_force(actions.revise(by, made.pk, "mistake", OTHER))


def told_kinds(made: Assessment) -> list[str]:
    return sorted(ToTell.objects.filter(assessment=made).values_list("kind", flat=True))


# --- entries ---------------------------------------------------------------------------------------------------------


def test_what_the_reviser_cannot_see_stays_to_be_undone_by_somebody_who_can(
    made: Assessment, red_entry: Reach, senior: Person, make_person: Callable[..., Person],
    client_of: Callable[[Person], Client],
) -> None:  # fmt: skip
    reviser = make_person("reviser", Role.ANALYST)
    revise(made, reviser)
    red_entry.refresh_from_db()
    assert red_entry.undone_by is None
    page = client_of(reviser).get(f"/review/assessments/{made.pk}/").content.decode()
    assert ">red<" not in page  # the name of such a bank is itself not for everybody
    assert "to be undone" in page
    assert "Undo it" not in page
    client = client_of(senior)
    assert "Undo it" in client.get(f"/review/assessments/{made.pk}/").content.decode()
    assert ">red</a>" in client.get("/review/withdrawals/").content.decode()
    client.post(f"/review/withdrawals/{red_entry.pk}/")
    red_entry.refresh_from_db()
    assert red_entry.undone_by is not None
    assert (red_entry.undone_by.what, red_entry.undone_by.state) == ("withdraw", "open")
    assert Line.objects.filter(act="assessment.reach-undone", actor=str(senior.pk)).exists()
    assert not to_do.withdrawals(Actor.of_person(senior))


def test_a_curator_undoes_what_they_see_without_the_file_and_an_outsider_finds_nothing(
    made: Assessment, senior: Person, second: Person, make_bank: Any, make_person: Callable[..., Person],
    client_of: Callable[[Person], Client],
) -> None:  # fmt: skip
    make_bank("own")
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    banks.confirm(Actor.of_person(second), reach.proposal)
    Assessment.objects.filter(pk=made.pk).update(standing="superseded")  # as a reviser without that bank leaves it
    curator = client_of(make_person("curator", Role.CURATOR))
    assert "own" in curator.get("/review/withdrawals/").content.decode()
    assert client_of(make_person("plain", Role.ANALYST)).post(f"/review/withdrawals/{reach.pk}/").status_code == 404
    assert curator.post(f"/review/withdrawals/{reach.pk}/").status_code == 302
    reach.refresh_from_db()
    assert reach.undone_by is not None


def test_only_what_a_revision_left_is_undone_and_once(
    made: Assessment, red_entry: Reach, senior: Person, make_person: Callable[..., Person]
) -> None:
    with pytest.raises(WrongState):  # it counts still
        actions.undo_one_reach(Actor.of_person(senior), red_entry.pk)
    revise(made, make_person("reviser", Role.ANALYST))
    with pytest.raises(BankNotFound):
        actions.undo_one_reach(Actor.of_person(make_person("third", Role.ANALYST)), red_entry.pk)
    actions.undo_one_reach(Actor.of_person(senior), red_entry.pk)
    with pytest.raises(WrongState):
        actions.undo_one_reach(Actor.of_person(senior), red_entry.pk)


def test_a_proposal_that_waits_in_a_hidden_bank_is_taken_back(
    made: Assessment, senior: Person, make_bank: Any, make_person: Callable[..., Person]
) -> None:
    make_bank("red").set_settings(tlp=Tlp.RED)
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "red", Kind.ILLEGAL)
    revise(made, make_person("reviser", Role.ANALYST))
    actions.undo_one_reach(Actor.of_person(senior), reach.pk)
    reach.refresh_from_db()
    assert (reach.proposal.state, reach.ended_at is None) == ("refused", False)


# --- people ----------------------------------------------------------------------------------------------------------


def test_exhibits_that_left_since_and_no_others_are_listed(
    made: Assessment, senior: Person, second: Person, make_person: Callable[..., Person],
    client_of: Callable[[Person], Client],
) -> None:  # fmt: skip
    asset, asker = made.cluster.centre, make_person("asker", Role.INVESTIGATOR)
    exhibits = [
        evidence.request_exhibit(asker, [asset], recipient=name, reason="court-order")
        for name in ("Court of then", "Court of now", "Court of never")
    ]
    for exhibit in exhibits[:2]:
        evidence.decide_exhibit(second, exhibit, release=True, reason="checked")
    type(exhibits[0]).objects.filter(pk=exhibits[0].pk).update(decided_at=made.made_at - timedelta(days=1))
    revise(made, senior)
    assert [row.object_id for row in ToTell.objects.all()] == [str(exhibits[1].pk)]
    page = client_of(senior).get("/review/to-tell/").content.decode()
    assert "Court of now" in page
    assert "Court of never" not in page


def test_reports_that_went_on_or_were_answered_are_listed(
    made: Assessment, senior: Person
) -> None:
    def report(passphrase: str = "") -> Report:
        files = [reports.TakenFile("drawn.png", made.cluster.centre)]
        incoming = IncomingReport(Channel.API, text="made up")
        return reports.receive(
            incoming, channel=Channel.API, actor="test", files=files, passphrase=passphrase
        ).report

    onward, answered, untold = report(), report("one two three"), report()
    reports.change_state(senior, onward.pk, State.FORWARDED, Reason.TO_POLICE, seen=State.NEW)
    for one in (answered, untold):
        reports.change_state(
            senior, one.pk, State.CLOSED, Reason.ASSESSED, seen=State(Report.objects.get(pk=one.pk).state),
            outcome=Outcome.REMOVED,
        )  # fmt: skip
    revise(made, senior)
    assert set(ToTell.objects.values_list("kind", "object_id")) == {
        ("forwarded", str(onward.pk)), ("answered", str(answered.pk))
    }  # fmt: skip


def test_programs_that_were_told_or_may_have_read_are_listed(
    made: Assessment, senior: Person, second: Person, make_bank: Any
) -> None:
    make_bank("own")
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    banks.confirm(Actor.of_person(second), reach.proposal)
    line = Line.objects.get(act="bank.entry.added")
    endpoints = [Endpoint.objects.create(url=f"https://{n}.example.net/in?secret", made_by=senior) for n in "ab"]
    for endpoint, state in zip(endpoints, ("delivered", "failed"), strict=True):
        Delivery.objects.create(
            endpoint=endpoint, event=f"msg_{line.line}_{line.hash[:24]}", act=line.act, body="{}", state=state,
            last_try_at=timezone.now(),
        )  # fmt: skip
    reader, other, unused = (
        make_key(senior, name, Role.SENIOR, [scope], timedelta(days=9))[0]
        for name, scope in (
            ("reader", Permission.BANKS_READ), ("other", Permission.REPORTS_READ), ("unused", Permission.BANKS_READ)
        )
    )  # fmt: skip
    ApiKey.objects.filter(pk__in=[reader.pk, other.pk]).update(last_used_on=timezone.now().date())
    assert unused.last_used_on is None
    revise(made, second)
    assert set(ToTell.objects.values_list("kind", "object_id")) == {
        ("webhook", str(endpoints[0].pk)), ("reader", str(reader.pk))
    }  # fmt: skip
    shown = reached.show(Actor.of_person(senior), "webhook", str(endpoints[0].pk))
    assert shown is not None
    assert shown.who == "a.example.net"


def test_a_person_tells_them_and_notes_how(
    made: Assessment, senior: Person, second: Person, make_person: Callable[..., Person],
    client_of: Callable[[Person], Client],
) -> None:  # fmt: skip
    asker = make_person("asker", Role.INVESTIGATOR)
    exhibit = evidence.request_exhibit(asker, [made.cluster.centre], recipient="A court", reason="court-order")
    evidence.decide_exhibit(second, exhibit, release=True, reason="checked")
    revise(made, senior)
    row = ToTell.objects.get()
    with pytest.raises(InputError):
        actions.note_told(senior, row.pk, "pigeon")
    client_of(senior).post(f"/review/to-tell/{row.pk}/", {"how": "letter", "here": "1"})
    row.refresh_from_db()
    assert (row.how, row.told_by) == ("letter", senior)
    assert "A court" not in client_of(senior).get("/review/to-tell/").content.decode()
    assert "letter" in client_of(senior).get(f"/review/assessments/{made.pk}/").content.decode()
    line = Line.objects.get(act="assessment.told")
    assert (line.reason, line.object_id) == ("letter", str(made.pk))
    with pytest.raises(WrongState):
        actions.note_told(senior, row.pk, "mail")


def test_nobody_ticks_off_what_they_may_not_see(
    made: Assessment, senior: Person, second: Person, make_person: Callable[..., Person],
    client_of: Callable[[Person], Client],
) -> None:  # fmt: skip
    asker, plain = make_person("asker", Role.INVESTIGATOR), make_person("plain", Role.ANALYST)
    exhibit = evidence.request_exhibit(asker, [made.cluster.centre], recipient="A court", reason="court-order")
    evidence.decide_exhibit(second, exhibit, release=True, reason="checked")
    type(exhibit).objects.update(sensitivity=2)
    revise(made, senior)
    client = client_of(plain)
    assert "A court" not in client.get("/review/to-tell/").content.decode()
    assert client.post(f"/review/to-tell/{ToTell.objects.get().pk}/", {"how": "mail"}).status_code == 404


# --- ways that apps above register -----------------------------------------------------------------------------------


class Partners:
    """As a sharing app would have it."""

    def find(self, made: Assessment) -> Iterable[reached.Left]:
        return [reached.Left("partner-1", timezone.now())]

    def show(self, actor: Actor, object_id: str) -> reached.Shown | None:
        return reached.Shown("A made-up partner")


def test_an_app_above_plugs_in_and_one_name_is_taken_once(
    made: Assessment, senior: Person, monkeypatch: pytest.MonkeyPatch, client_of: Callable[[Person], Client]
) -> None:
    monkeypatch.setattr(reached, "_ways", dict(reached._ways))
    reached.register("partner", Partners())
    with pytest.raises(ConfigError):
        reached.register("exhibit", Partners())
    revise(made, senior)
    assert told_kinds(made) == ["partner"]
    monkeypatch.undo()  # the app is gone: its rows stay, and nobody is named
    page = client_of(senior).get("/review/to-tell/").content.decode()
    assert "A made-up partner" not in page
    assert "one that you may not see" in page


def test_a_decision_that_stands_has_nobody_to_be_told(made: Assessment) -> None:
    assert not ToTell.objects.exists()


# --- sources of false entries ----------------------------------------------------------------------------------------


def test_the_source_of_an_entry_that_met_a_false_positive_is_to_be_told(
    made: Assessment, senior: Person, make_bank: Any, client_of: Callable[[Person], Client],
    make_person: Callable[..., Person],
) -> None:  # fmt: skip
    asset = made.coverage.get(origin="assessed").asset
    partner, hidden = make_bank("partner"), make_bank("hidden")
    md5 = bytes.fromhex(asset.md5)
    partner.add([Entry(Kind.ILLEGAL, {"md5": md5}, 5, source="A hotline", source_id="R-77")])
    hidden.add([Entry(Kind.ILLEGAL, {"md5": md5}, 6, source="Somebody", tlp=Tlp.RED)])
    make_bank("false")
    match_changes()
    actions.propose_entry(Actor.of_person(senior), made.pk, "false", Kind.FALSE_POSITIVE)
    rows = ToTell.objects.filter(assessment=made, kind="list-source").order_by("object_id")
    assert [row.object_id for row in rows] == ["hidden:6", "partner:5"]
    page = client_of(senior).get("/review/to-tell/").content.decode()
    assert "A hotline R-77" in page
    plain = client_of(make_person("plain", Role.ANALYST)).get("/review/to-tell/").content.decode()
    assert "A hotline R-77" in plain
    assert "Somebody" not in plain  # TLP:RED
    partner.remove([5])
    assert "A hotline" not in client_of(senior).get("/review/to-tell/").content.decode()


def test_an_entry_of_another_kind_tells_no_source(made: Assessment, senior: Person, make_bank: Any) -> None:
    asset = made.coverage.get(origin="assessed").asset
    make_bank("partner").add([Entry(Kind.ILLEGAL, {"md5": bytes.fromhex(asset.md5)}, 5)])
    make_bank("own")
    match_changes()
    actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    assert not ToTell.objects.exists()
