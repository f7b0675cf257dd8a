"""The law beside an item: the office's own country, deadlines that bind just it, corrections with a source."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from tests.workbench.review.conftest import png

from leadline.domain import Channel, IncomingReport
from leadline.errors import LeadlineError
from leadline.law.terms import Role
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.access import MEDIA_MODE
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.journal.models import Line
from leadline.workbench.laws import access, actions
from leadline.workbench.permissions import Role as OfficeRole
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.actions import TakenFile
from leadline.workbench.reports.states import Reason, State
from leadline.workbench.review import access as review

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 1, tzinfo=UTC)
CELL = {
    "jurisdiction": "NL", "question_id": "live", "answer": "yes", "binds": "anyone", "source": "a made-up letter",
    "as_of": "2026-11-01", "confidence": "M", "verified": "verified",
}  # fmt: skip


@pytest.fixture
def administrator(make_person: Callable[..., Person]) -> Person:
    return make_person("boss", OfficeRole.ADMINISTRATOR)


def test_without_a_declared_country_nothing_applies_and_nothing_binds(office: object) -> None:
    assert access.laws_beside() == ()
    assert access.deadlines_of(AT).binding == ()


@pytest.mark.parametrize(
    ("country", "role", "days"), [("CA", Role.PROVIDER, 21), ("CA", Role.HOTLINE, None), ("NL", Role.PROVIDER, None)]
)
def test_a_deadline_is_set_only_where_it_binds_this_office(
    administrator: Person, country: str, role: Role, days: int | None
) -> None:
    actions.declare_office(administrator, country, role, "a test")
    binding = access.deadlines_of(AT, sent_at=AT).binding
    assert [(one.due_at - AT).days for one in binding if one.due_at] == ([days] if days else [])


def test_no_duty_to_preserve_overrides_what_the_office_keeps(administrator: Person) -> None:
    actions.declare_office(administrator, "CA", Role.PROVIDER, "a test")
    set_office_setting(administrator, MEDIA_MODE, MediaMode.HASH_AND_DISCARD.value, "a test")
    assert access.deadlines_of(AT, sent_at=AT).binding  # 21 days
    asset = take_in(png(1), actor="system", source="test", name="drawn.png")
    assert (asset.state, asset.retain_until) == ("discarded", None)


def test_a_correction_stands_over_the_shipped_cell_and_keeps_it_in_sight(administrator: Person) -> None:
    before = access.library().matrix.answers("NL", "live")[0].answer
    actions.correct_cell(administrator, CELL)
    assert [cell.answer.value for cell in access.library().matrix.answers("NL", "live")] == ["yes"]
    correction = access.corrections()[0]
    assert correction.shipped is not None
    assert correction.shipped.answer == before
    assert Line.objects.filter(act="law.corrected", object_id="NL").exists()


def test_corrections_add_up_and_one_may_be_corrected_again(administrator: Person) -> None:
    actions.correct_cell(administrator, CELL)
    actions.correct_cell(administrator, CELL | {"jurisdiction": "BE"})
    actions.correct_cell(administrator, CELL | {"answer": "partial"})
    told = {one.cell.jurisdiction: one.cell.answer.value for one in access.corrections()}
    assert told == {"NL": "partial", "BE": "yes"}


@pytest.mark.parametrize("wrong", [{"source": " "}, {"jurisdiction": "UK"}, {"question_id": "made-up"}, {"as_of": ""}])
def test_a_wrong_correction_is_refused_and_nothing_is_written(administrator: Person, wrong: dict[str, str]) -> None:
    with pytest.raises(LeadlineError):
        actions.correct_cell(administrator, CELL | wrong)
    assert access.corrections() == ()
    assert not access.own_folder().exists()


def test_the_page_shows_unknown_as_unknown_and_says_whom_a_cell_binds(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    page = client_of(analyst).get("/law/", {"country": "NZ"}).content.decode()
    assert "<strong>unknown</strong>" in page
    assert "looked for and not found" in page
    assert "Not legal advice" in page
    assert "anyone" in page
    assert client_of(analyst).get("/law/", {"country": "x1"}).status_code == 200


def test_a_cell_is_corrected_on_its_page(
    administrator: Person, client_of: Callable[[Person], Client]
) -> None:
    client = client_of(administrator)
    assert client.post("/law/correct/", CELL | {"source": ""}).status_code == 200
    assert access.corrections() == ()
    assert client.post("/law/correct/", CELL).status_code == 302
    assert len(access.corrections()) == 1


def test_the_card_of_a_review_shows_the_law(
    claimed: Any, administrator: Person, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.declare_office(administrator, "CA", Role.PROVIDER, "a test")
    page = client_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
    assert "Mandatory Reporting Act" in page
    assert "keep until" in page


def test_a_period_on_the_card_runs_from_the_last_time_that_one_of_its_reports_went_on(
    claimed: Any, administrator: Person, analyst: Person
) -> None:
    actions.declare_office(administrator, "CA", Role.PROVIDER, "a test")
    sent = []
    for reason in (Reason.TO_POLICE, Reason.TO_HOTLINE):
        files = [TakenFile("drawn.png", claimed.cluster.centre)]
        incoming = IncomingReport(Channel.API, text="made up")
        report = reports.receive(incoming, channel=Channel.API, actor="system", files=files).report
        card = review.card_of(Actor.of_person(analyst), claimed)
        assert [one.due_at for one in review.law_of(card).deadlines.binding] == [max(sent, default=None)]
        reports.change_state(analyst, report.pk, State.FORWARDED, reason, seen=State.NEW)
        sent.append(report.changes.get(to_state=State.FORWARDED).at + timedelta(days=21))
    assert [one.due_at for one in review.law_of(card).deadlines.binding] == [sent[-1]]
