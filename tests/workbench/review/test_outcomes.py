"""What became of things, as programs tell it: by scope, once, on record, and for the people who decided."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Channel, IncomingReport
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report
from leadline.workbench.review import access
from leadline.workbench.review.models import Assessment, Member, Outcome, Review

from .decided import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(claimed: Review, analyst: Person) -> Assessment:
    return decide(analyst, claimed)


@pytest.fixture
def program(make_person: Callable[..., Person], program_of: Callable[..., Client]) -> Client:
    return program_of(make_person("partner", Role.ANALYST), Role.ANALYST, Permission.OUTCOMES_WRITE)


def tell(program: Client, about: str, object_id: Any, key: str = "", **more: str) -> Any:
    body = {"about": about, "id": str(object_id), "word": "removed", "source": "host", **more}
    headers = {"Idempotency-Key": key} if key else {}
    return program.post("/api/v1/outcomes", body, content_type="application/json", headers=headers)


def report_of(asset: Asset | None) -> Report:
    files = [reports.TakenFile("drawn.png", asset)] if asset else []
    incoming = IncomingReport(Channel.API, text="made up")
    return reports.receive(incoming, channel=Channel.API, actor="test", files=files).report


def test_an_outcome_is_noted_for_a_file_a_decision_or_a_report(
    made: Assessment, program: Client, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = made.cluster.centre
    for about, thing in (("asset", asset), ("assessment", made), ("report", report_of(asset))):
        answer = tell(program, about, thing.pk)
        assert (answer.status_code, answer.json()) == (201, {"noted": 1})
    assert [one.word for one in access.outcomes_for(analyst)] == ["removed"] * 3
    line = Line.objects.filter(act="outcome.noted").first()
    assert line is not None
    assert (line.actor[:4], line.reason, line.object_id) == ("key:", "removed", str(made.cluster_id))
    page = client_of(analyst).get("/review/me/").content.decode()
    assert "removed: 1" in page  # one decision, however often it is told
    assert page.count("host, <code>") == 3


def test_the_same_request_sent_again_notes_nothing_twice(made: Assessment, program: Client) -> None:
    first, again = (tell(program, "assessment", made.pk, "one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert Outcome.objects.count() == 1
    assert tell(program, "assessment", made.pk, "one", word="unknown").status_code == 422


def test_absent_and_forbidden_look_the_same(made: Assessment, program: Client) -> None:
    asset = made.cluster.centre
    report = report_of(asset)
    Asset.objects.update(sensitivity=2)
    Report.objects.update(sensitivity=2)
    bodies = {
        tell(program, about, object_id).content
        for about, thing in (("asset", asset), ("assessment", made), ("report", report))
        for object_id in (thing.pk, uuid.uuid4())
    }
    assert len(bodies) == 1
    assert b"nothing of that id" in bodies.pop()
    assert not Outcome.objects.exists()


def test_a_cluster_with_one_hidden_file_is_left_out(arrive: Any, made: Assessment, program: Client) -> None:
    hidden = arrive(1, quality=90)
    assert Member.objects.filter(cluster=made.cluster).count() == 2
    Asset.objects.filter(pk=hidden.pk).update(sensitivity=2)
    assert tell(program, "asset", made.cluster.centre.pk).status_code == 409
    assert not Outcome.objects.exists()


def test_a_report_without_a_file_has_nothing_to_note(made: Assessment, program: Client) -> None:
    assert tell(program, "report", report_of(None).pk).status_code == 409


@pytest.mark.parametrize("wrong", [{"word": "burnt"}, {"source": "rumour"}, {"about": "bank"}, {"id": "made-up"}])
def test_other_words_are_refused(made: Assessment, program: Client, wrong: dict[str, str]) -> None:
    body = {"about": "asset", "id": str(made.cluster.centre.pk), "word": "removed", "source": "host", **wrong}
    assert program.post("/api/v1/outcomes", body, content_type="application/json").status_code == 422


def test_it_takes_its_own_scope(
    made: Assessment, make_person: Callable[..., Person], program_of: Callable[..., Client]
) -> None:
    other = program_of(make_person("another", Role.ANALYST), Role.ANALYST, Permission.REPORTS_WRITE, Permission.REVIEW)
    assert tell(other, "asset", made.cluster.centre.pk).status_code == 403
