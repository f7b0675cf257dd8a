"""Health: for monitors without a name or figure, for Prometheus on this machine only, for people on a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from leadline.domain import Kind
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence.actions import note_backup
from leadline.workbench.journal.actions import beat, claim_duty, end_duty, note_waiting
from leadline.workbench.journal.models import Anchor, Clock, Duty, Line
from leadline.workbench.permissions import Role
from leadline.workbench.stats import access
from leadline.workbench.words import WORDS


@pytest.fixture
def running(office: Any) -> Any:
    """A worker beats."""
    beat("worker:here-1")
    return office


def state(name: str) -> str:
    return next(check.state for check in access.health() if check.name == name)


def test_a_healthy_office_says_so_without_a_name_or_figure(running: Any) -> None:
    answer = Client().get("/healthz")
    assert answer.status_code == 200
    told = answer.json()
    assert told == {"status": "ok", "checks": dict.fromkeys(access.TOLD_TO_ALL, "ok") | {"backup": "not-ok"}}
    assert set(told["checks"]) >= {"worker", "queue", "mail", "backup", "disk", "key", "timestamps"}


def test_without_a_worker_it_is_not_well(office: Any) -> None:
    assert Client().get("/healthz").status_code == 503
    beat("worker:here-1")
    Duty.objects.update(ended_at=timezone.now() - timedelta(minutes=2))
    assert Client().get("/healthz").json()["checks"]["worker"] == "not-ok"


def test_without_its_key_it_is_not_well(running: Any) -> None:
    (running.home / "keys" / "instance.key").unlink()
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["checks"]["key"]) == (503, "not-ok")


def test_with_a_full_disk_it_is_not_well(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 99, 1))
    assert Client().get("/healthz").json()["checks"]["disk"] == "not-ok"


def test_with_its_database_gone_it_answers_and_is_not_well(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperationalError("made-up host and password")

    monkeypatch.setitem(access._LOOKS, "database", gone)  # type: ignore[arg-type]
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "not-ok")
    assert "made-up" not in answer.content.decode()


def test_lateness_is_seen(running: Any, senior: Person, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LEADLINE_IMAP, settings.LEADLINE_TIMESTAMP_URLS = {"host": "mail.example.org"}, ["https://tsa.example.org"]
    for name in ("backup", "anchor", "timestamps", "mail"):
        assert state(name) == "late"
    assert (state("duties"), state("banks"), state("queue"), state("webhooks")) == ("ok", "ok", "ok", "ok")
    (running.home / "backups" / "b1").write_text("x")  # somebody's, or a copy of an old one: no line, no backup
    assert state("backup") == "late"
    note_backup("leadline-20261127T030000Z")  # with --to it lies elsewhere
    Anchor.objects.create(line=1, head="a" * 64, statement="s", stamps=[["x"]], left_by=["mail"])
    claim_duty("reports.mail", 60)
    end_duty("reports.mail")
    for name in ("backup", "anchor", "timestamps", "mail"):
        assert state(name) == "ok"
    end_duty("reports.mail", "mail-refused")
    assert (state("mail"), state("duties")) == ("failed", "failed")
    later = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    for name in ("backup", "anchor", "timestamps"):
        assert state(name) == "late"


def test_mail_is_as_late_as_the_oldest_that_waits_however_lately_the_mailbox_was_looked_into(
    running: Any, settings: Any
) -> None:
    settings.LEADLINE_IMAP = {"host": "mail.example.org"}
    claim_duty("reports.mail", 60)
    note_waiting("reports.mail", timezone.now() - timedelta(hours=2))
    end_duty("reports.mail")
    (mail,) = access.health(["mail"])
    assert (mail.state, round(mail.value or 0, -1)) == ("late", 7200)
    note_waiting("reports.mail", None)
    assert access.health(["mail"]) == [access.Check("mail", "ok", 0.0, "s")]
    Duty.objects.filter(name="reports.mail").update(ended_at=timezone.now() - timedelta(hours=1))
    (mail,) = access.health(["mail"])
    assert (mail.state, mail.note) == ("late", "not-looked")  # nobody knows what came since


def test_what_is_not_set_up_is_off_and_not_late(running: Any, settings: Any) -> None:
    settings.LEADLINE_IMAP, settings.LEADLINE_TIMESTAMP_URLS = None, []
    assert (state("mail"), state("timestamps")) == ("off", "off")


def test_a_damaged_bank_is_told(running: Any, senior: Person) -> None:
    bank = banks.create_bank(Actor.of_person(senior), "known", kind=Kind.OTHER, reason="own-list")
    assert state("banks") == "ok"
    (bank.path / "manifest.json").unlink()  # in place it would be the file that this process has open and checked
    (bank.path / "manifest.json").write_text("{}")
    assert state("banks") == "failed"


def test_prometheus_reads_the_figures(running: Any) -> None:
    answer = Client().get("/metrics")
    families = {f.name: f for f in text_string_to_metric_families(answer.content.decode())}
    assert set(families) == {"leadline_ok", "leadline_age_seconds", "leadline_free_ratio", "leadline_count"}
    well = {sample.labels["check"]: sample.value for sample in families["leadline_ok"].samples}
    assert (well["worker"], well["backup"]) == (1.0, 0.0)
    assert set(access.TOLD_TO_ALL) - set(well) == {"mail", "timestamps"}  # neither is set up here


def test_figures_are_absent_for_others(running: Any, settings: Any) -> None:
    assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics").status_code == 404
    assert Client(headers={"x-forwarded-for": "192.0.2.7"}).get("/metrics").status_code == 404
    settings.LEADLINE_PROXY = "127.0.0.1"
    assert Client().get("/metrics").status_code == 404


def test_the_scrape_token_lets_in_from_anywhere(running: Any, settings: Any) -> None:
    token = running.home / "keys" / "metrics"
    token.write_text("made-up-token\n")
    settings.LEADLINE_METRICS_TOKEN_FILE, settings.LEADLINE_PROXY = str(token), "127.0.0.1"
    for sent, status in (("made-up-token", 200), ("made-up", 404), ("", 404)):
        client = Client(headers={"authorization": f"Bearer {sent}"}, REMOTE_ADDR="127.0.0.1")
        assert client.get("/metrics").status_code == status
    token.write_text("")
    assert Client(headers={"authorization": "Bearer "}, REMOTE_ADDR="127.0.0.1").get("/metrics").status_code == 404


def test_the_page_shows_every_check_and_duty(
    running: Any, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    claim_duty("reports.mail", 60)
    page = client_of(make_person("auditor", Role.AUDITOR)).get("/health/").content.decode()
    for check in access.health():
        assert f'<th scope="row">{WORDS["health-check"][check.name]}</th>' in page
    assert "reports.mail" in page


def test_a_beat_from_the_future_hides_no_dead_worker(office: Any) -> None:
    beat("worker:here-1")
    Duty.objects.update(ended_at=timezone.now() + timedelta(days=2))
    assert state("worker") == "failed"


def test_a_clock_in_doubt_is_told_and_an_administrator_says_that_it_is_right(
    running: Any, make_person: Callable[..., Person], client_of: Callable[..., Client]
) -> None:
    Clock.objects.create(machine="here", trusted_at=timezone.now(), boot="b", up_s=1.0, doubt="ahead")
    assert state("clock") == "failed"
    boss, auditor = make_person("boss", Role.ADMINISTRATOR), make_person("auditor", Role.AUDITOR)
    assert "The clock is right" not in client_of(auditor).get("/health/").content.decode()
    assert "The clock is right" in client_of(boss).get("/health/").content.decode()
    client_of(auditor).post("/health/clock/")
    client_of(boss, signed_in_s_ago=3600).post("/health/clock/", headers={"Referer": "http://testserver/health/"})
    assert state("clock") == "failed"
    client_of(boss).post("/health/clock/")
    assert state("clock") == "ok"
    assert Line.objects.get(act="clock.confirmed").actor == str(boss.pk)
