"""The law on the page of a report: countries that people noted, periods that bind just this office, all else as information."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Channel, IncomingReport
from leadline.errors import InputError
from leadline.law.terms import Involved
from leadline.law.terms import Role as LawRole
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.laws import actions as laws
from leadline.workbench.permissions import Role
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Reason, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def report(office: Any) -> Report:
    return actions.receive(IncomingReport(Channel.API, text="made up"), channel=Channel.API, actor="test").report


@pytest.fixture
def administrator(make_person: Callable[..., Person]) -> Person:
    return make_person("boss", Role.ADMINISTRATOR)


def test_without_any_country_the_page_says_so(
    report: Report, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    page = client_of(analyst).get(f"/reports/{report.pk}/").content.decode()
    assert "No country is known" in page


def test_the_laws_of_all_countries_involved_stand_beside_it(
    report: Report, analyst: Person, administrator: Person, client_of: Callable[[Person], Client]
) -> None:
    laws.declare_office(administrator, "BE", LawRole.HOTLINE, "a test")
    client = client_of(analyst)
    client.post(f"/reports/{report.pk}/countries/", {"host": "nl, us", "reporter": "", "suspect": "fr"})
    report.refresh_from_db()
    assert report.countries == {"host": ["NL", "US"], "suspect": ["FR"]}
    beside = access.law_of(report)
    named = {(one.involved, one.country) for one in beside.applied}
    assert named == {
        (Involved.OWN, "BE"), (Involved.HOST, "NL"), (Involved.HOST, "US"), (Involved.SUSPECT, "FR")
    }  # fmt: skip
    page = client.get(f"/reports/{report.pk}/").content.decode()
    assert "Not legal advice" in page
    assert "Netherlands" in page
    line = Line.objects.get(act="report.countries")
    assert (line.actor, "NL" in line.details) == (str(analyst.pk), True)


def test_a_period_binds_by_the_offices_own_country_and_role_and_no_others(
    report: Report, analyst: Person, administrator: Person
) -> None:
    actions.set_countries(analyst, report.pk, {Involved.HOST: ["CA"]})
    report.refresh_from_db()
    laws.declare_office(administrator, "NL", LawRole.PROVIDER, "a test")
    foreign = access.law_of(report).deadlines
    assert foreign.binding == ()
    assert "CA" in {cell.jurisdiction for cell in foreign.information}
    laws.declare_office(administrator, "CA", LawRole.PROVIDER, "a test")
    assert [one.due_at for one in access.law_of(report).deadlines.binding] == [None]  # it counts from our own report
    actions.change_state(analyst, report.pk, State.FORWARDED, Reason.TO_POLICE, seen=State.NEW)
    sent = report.changes.get().at
    assert [(one.due_at - sent).days for one in access.law_of(report).deadlines.binding if one.due_at] == [21]


def test_what_is_no_country_is_refused_and_nothing_changes(
    report: Report, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    with pytest.raises(InputError):
        actions.set_countries(analyst, report.pk, {Involved.HOST: ["Atlantis"]})
    page = client_of(analyst).post(f"/reports/{report.pk}/countries/", {"host": "Atlantis"}, follow=True)
    assert "no country code" in page.content.decode()
    report.refresh_from_db()
    assert report.countries == {}


def test_somebody_who_may_correct_a_cell_is_led_to_it(
    report: Report, make_person: Callable[..., Person], analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.set_countries(analyst, report.pk, {Involved.HOST: ["NL"]})
    both = make_person("both", Role.ANALYST, Role.ADMINISTRATOR)
    page = client_of(both).get(f"/reports/{report.pk}/").content.decode()
    assert "/law/correct/?jurisdiction=NL" in page
    form = client_of(both).get("/law/correct/?jurisdiction=NL&question_id=live&answer=unknown").content.decode()
    assert 'value="NL"' in form
    assert "/law/correct/" not in client_of(analyst).get(f"/reports/{report.pk}/").content.decode()


def test_a_report_that_one_may_not_see_has_no_countries_to_set(
    report: Report, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    Report.objects.update(sensitivity=2)
    assert client_of(analyst).post(f"/reports/{report.pk}/countries/", {"host": "NL"}).status_code == 404
