"""The demo fills every screen, once, and never an office at work."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from leadline.domain import Channel
from leadline.errors import WrongState
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.demo import PASSPHRASE, SOURCE, fill_office
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import State


@pytest.fixture(autouse=True)
def _engine(office: Any) -> Any:
    sealing.forget()
    yield
    matching.close_engine()
    sealing.forget()


def test_the_demo_fills_every_channel_and_nearly_every_state(office: Any, senior: Person, client_of: Any) -> None:
    said: list[str] = []
    fill_office(said.append)
    assert {Channel(name) for name in Report.objects.values_list("channel", flat=True)} == set(Channel)
    assert set(Report.objects.values_list("state", flat=True)) == set(State) - {State.TRIAGE}
    assert set(Report.objects.values_list("source", flat=True)) == {SOURCE}
    assert Asset.objects.filter(verdict="known").count() == 1
    client: Client = client_of(senior)
    for report in Report.objects.all():
        assert client.get(f"/reports/{report.pk}/").status_code == 200
    assert client.get("/reports/?state=all").status_code == 200
    found = actions.find_by_passphrase(PASSPHRASE)
    assert found is not None
    assert access.reporter_view(found).status == "question"
    count = Report.objects.count()
    fill_office(said.append)
    assert Report.objects.count() == count


def test_an_office_with_real_reports_is_left_alone(office: Any) -> None:
    from leadline.domain import IncomingReport

    actions.receive(IncomingReport(Channel.API, text="x"), channel=Channel.API, actor="key:a", source="partner")
    with pytest.raises(WrongState):
        fill_office(lambda line: None)
    assert Report.objects.count() == 1
