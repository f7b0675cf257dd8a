"""Without the key the form is closed, and nothing is ever stored in plain."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from tests.workbench.public.pages import FORM, LANGUAGES, open_page, send_report, urlencoded

from leadline.workbench import sealing
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import actions
from leadline.workbench.reports.acts import arrival
from leadline.workbench.reports.models import Item, Report

SAYS = {
    "en": "Closed for the moment",
    "fr": "Fermé pour le moment",
    "nl": "Op dit moment gesloten",
    "de": "Im Moment geschlossen",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_the_key_every_page_that_takes_something_says_so_in_its_language(
    visitor: Client, settings: Any, language: str
) -> None:
    settings.LEADLINE_KEY_FILE.unlink()
    for page in ("", "report/", "answer/"):
        response = visitor.get(f"/{language}/{page}")
        assert response.status_code == 503
        assert SAYS[language] in response.content.decode()
        assert response["Retry-After"].isdigit()


def test_help_and_the_quick_exit_stay_open(visitor: Client, settings: Any) -> None:
    settings.LEADLINE_KEY_FILE.unlink()
    assert visitor.get("/en/help/").status_code == 200
    assert visitor.get("/exit/").status_code == 302


@pytest.mark.parametrize("harm", ["gone", "readable by others", "cut short"])
def test_a_key_lost_while_somebody_writes_stores_nothing_and_gives_the_text_back(
    visitor: Client, settings: Any, harm: str
) -> None:
    token = open_page(visitor, "/en/report/").value("token")
    key = settings.LEADLINE_KEY_FILE
    if harm == "gone":
        key.unlink()
    elif harm == "readable by others":
        key.chmod(0o644)
    else:
        key.chmod(0o600)
        key.write_bytes(b"short")
    fields = {"token": token, "text": "all that I wrote", "urls": "https://example.org/1"}
    response = visitor.post("/en/report/", urlencoded(fields), content_type=FORM)
    assert response.status_code == 503
    assert "all that I wrote" in response.content.decode()
    assert "https://example.org/1" in response.content.decode()
    assert not Report.objects.exists()
    assert not Item.objects.exists()
    assert not Line.objects.filter(act="report.received").exists()


def test_a_key_lost_between_the_gate_and_the_seal_stores_nothing(
    visitor: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate has looked; then the file goes. `sealing` itself must refuse, and the whole report with it."""
    real = actions.receive

    def receive(*args: Any, **kwargs: Any) -> Any:
        settings.LEADLINE_KEY_FILE.unlink()
        sealing.forget()
        return real(*args, **kwargs)

    monkeypatch.setattr(actions, "receive", receive)
    response = send_report(visitor, text="never in plain")
    assert response.status_code == 503
    assert not Report.objects.exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OperationalError("database is gone")])
def test_a_full_disk_or_a_lost_database_closes_the_form_and_gives_the_text_back(
    visitor: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(arrival, "record", fail)  # the last write of the act: everything before it is undone
    response = send_report(visitor, text="all that I wrote")
    assert response.status_code == 503
    assert "all that I wrote" in response.content.decode()
    assert not Report.objects.exists()
