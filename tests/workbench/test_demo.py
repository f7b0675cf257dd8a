"""The demo fills every screen, once, and never an office at work."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from PIL import Image
from tests.workbench.conftest import PASSWORD

from leadline.domain import Channel
from leadline.errors import WrongState
from leadline.media import photos
from leadline.media.scenes import draw_scene
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.actions import accept_invitation
from leadline.workbench.accounts.models import Person
from leadline.workbench.demo import PASSPHRASE, SOURCE, fill_office
from leadline.workbench.evidence.models import Asset
from leadline.workbench.pages import NAVIGATION
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import State


@pytest.fixture(autouse=True)
def _engine(office: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(photos, "PACKAGES", {})  # the same on every machine
    sealing.forget()
    yield
    matching.close_engine()
    sealing.forget()


def links(said: list[str]) -> list[str]:
    return [line.split("/join/")[1].strip("/ ") for line in said if "/join/" in line]


def say_to(said: list[str]) -> Any:
    return lambda *lines: said.extend(lines)


def test_the_demo_fills_every_channel_and_every_state(office: Any, client_of: Any) -> None:
    said: list[str] = []
    fill_office(say_to(said))
    assert {Channel(name) for name in Report.objects.values_list("channel", flat=True)} == set(Channel)
    assert set(Report.objects.values_list("state", flat=True)) == set(State)
    assert set(Report.objects.values_list("source", flat=True)) == {SOURCE}
    assert Asset.objects.filter(verdict="known").count() == 2
    found = actions.find_by_passphrase(PASSPHRASE)
    assert found is not None
    assert access.reporter_view(found).status == "question"
    count, people = Report.objects.count(), Person.objects.count()
    fill_office(say_to(said))
    assert (Report.objects.count(), Person.objects.count()) == (count, people)
    assert len(set(links(said))) == 6


def test_the_demo_shows_photographs_where_there_are_some(
    office: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        Image.fromarray(draw_scene(seed, 640, 480)).save(tmp_path / f"{seed}.jpg")
    told = {"package": (tmp_path, {f"{seed}.jpg": (640, 480) for seed in range(4)})}
    monkeypatch.setattr(photos, "PACKAGES", told)
    fill_office(say_to([]))
    taken = {(a.sha256, a.mime) for a in Asset.objects.filter(width=640)}
    assert taken == {(sha256((tmp_path / f"{seed}.jpg").read_bytes()).hexdigest(), "image/jpeg") for seed in (1, 2)}


def test_who_comes_in_by_the_first_link_finds_every_page_of_the_menu_alive(office: Any, client_of: Any) -> None:
    """Alive: every page of the menu answers, and shows what it is for."""
    said: list[str] = []
    fill_office(say_to(said))
    token = links(said)[0]
    newcomer = accept_invitation(token, email="new@example.org", name="Newcomer", password=PASSWORD)
    Authenticator.objects.create(user=newcomer, type=Authenticator.Type.TOTP, data={"secret": "made up"})
    client: Client = client_of(newcomer)
    for permission, name, _ in NAVIGATION:
        page = client.get(reverse(name))
        assert (permission, page.status_code) == (permission, 200), name
        if name in {"reports", "cases", "assets", "exhibits", "banks", "people", "journal", "webhooks", "health"}:
            assert page.content.decode().count("<tr>") >= 2, name
    alive = {
        "/reports/on-call/": "Ann Madeup",
        "/people/": "Cor Madeup",
        reverse("evidence_tasks"): "demo-drawings",
        reverse("bank", args=["demo-drawings"]): "benign picture 1",
        reverse("exhibits"): "A made-up court",
    }
    for path, text in alive.items():
        assert text in client.get(path).content.decode(), path
    for report in Report.objects.all():
        assert client.get(f"/reports/{report.pk}/").status_code == 200
    for asset in Asset.objects.all():
        assert client.get(reverse("asset", args=[asset.pk])).status_code == 200


def test_nobody_knows_a_password_of_the_made_up_people(office: Any) -> None:
    said: list[str] = []
    fill_office(say_to(said))
    assert not any(person.email in " ".join(said) for person in Person.objects.all())
    assert all(person.has_usable_password() for person in Person.objects.all())  # by chance, and told to nobody
    assert all(person.email.endswith("@office.invalid") for person in Person.objects.all())


def test_an_office_in_which_people_work_is_left_alone(office: Any, senior: Person) -> None:
    with pytest.raises(WrongState):
        fill_office(print)
    assert not Report.objects.exists()


def test_an_office_with_real_reports_is_left_alone(office: Any) -> None:
    from leadline.domain import IncomingReport

    actions.receive(IncomingReport(Channel.API, text="x"), channel=Channel.API, actor="key:a", source="partner")
    with pytest.raises(WrongState):
        fill_office(print)
    assert Report.objects.count() == 1
