"""The index follows what is done, is made anew for other fields, and forgets what is erased."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from tests.workbench.search.conftest import in_index, receive

from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports import tasks as report_tasks
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Outcome, Reason, State
from leadline.workbench.search import access, actions, index
from leadline.workbench.search.models import Document, Progress
from leadline.workbench.search.query import read_query

Find = Callable[..., dict[str, list[str]]]
SEALED = ["reference", "text", "note", "host", "name"]


def close(report: Report, by: Person) -> None:
    reports.change_state(by, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    outcome = Outcome.REMOVED
    reports.change_state(by, report.pk, State.CLOSED, Reason.ASSESSED, seen=State.TRIAGE, outcome=outcome)


def test_what_was_there_before_the_first_round_is_found(analyst: Person, found: Find) -> None:
    report = receive(reference="seven")
    assert Progress.objects.count() == 0
    assert found(analyst, "seven") == {"report": [str(report.pk)]}


def test_what_comes_and_what_changes_is_followed(analyst: Person, found: Find) -> None:
    actions.follow()
    report = receive(reference="seven")
    assert found(analyst, "seven new kind:report") == {"report": [str(report.pk)]}
    close(report, analyst)
    assert found(analyst, "seven closed removed") == {"report": [str(report.pk)]}
    assert found(analyst, "seven new") == {}


def test_a_round_without_news_does_nothing() -> None:
    receive()
    assert actions.follow() > 0
    assert actions.follow() == 0


def test_it_says_how_far_it_is_behind() -> None:
    assert access.lag().note == "never"
    actions.follow()
    assert access.lag() == access.Lag(0, None, "")
    receive()
    lag = access.lag()
    assert lag.behind == Line.objects.count() - Progress.objects.get().line > 0
    assert lag.since is not None
    assert timezone.now() - lag.since < timedelta(minutes=1)
    actions.follow()
    assert access.lag().behind == 0


def test_many_rows_are_walked_in_steps(analyst: Person, found: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_ROWS_AT_ONCE", 2)
    made = {str(receive(f"https://example.org/{n}", reference=f"seven {n}").pk) for n in range(5)}
    assert set(found(analyst, "seven")["report"]) == made


def test_other_fields_make_it_anew_and_nothing_is_found_by_words_meanwhile(
    analyst: Person, found: Find, settings: Any
) -> None:
    settings.LEADLINE_SEARCH_FIELDS = SEALED
    report = receive(reference="seven", text="lantern")
    assert found(analyst, "lantern") == {"report": [str(report.pk)]}
    settings.LEADLINE_SEARCH_FIELDS = ["reference"]
    from leadline.workbench.actors import Actor

    assert access.find(Actor.of_person(analyst), "lantern", limit=5) == []
    assert access.lag().note == "clearing"
    assert found(analyst, "lantern") == {}
    assert not in_index("lantern")
    assert found(analyst, "seven") == {"report": [str(report.pk)]}


def test_ids_are_in_the_order_of_time_and_things_of_one_moment_have_one_each() -> None:
    at = timezone.now()
    one, other = UUID(int=5), UUID(int=5 + 2**64)  # begin the same
    for object_id, moment in ((one, at), (other, at), (UUID(int=1), at + timedelta(seconds=1)), (UUID(int=9), at)):
        [place] = actions._places({object_id: moment}).values()
        Document.objects.create(id=place, kind="report", object_id=object_id, at=moment, words="seven")
    in_order = list(Document.objects.order_by("pk").values_list("object_id", flat=True))
    assert in_order == [one, other, UUID(int=9), UUID(int=1)]
    assert len(set(actions._places({UUID(int=n * 2**64): at for n in range(9)}).values())) == 9


def test_the_newest_that_hold_a_word_are_read_first_and_not_sorted() -> None:
    """A million may hold it, and one page is asked for. PostgreSQL chooses by how many there are."""
    plan = index.holding("report", [read_query("seven").terms]).explain()
    assert connection.vendor == "postgresql" or ("search_words" in plan and "ORDER BY" not in plan)


def test_it_is_made_anew_when_asked(analyst: Person, found: Find) -> None:
    report = receive(reference="seven")
    assert found(analyst, "seven")
    Document.objects.update(words="nonsense")
    actions.rebuild()
    assert found(analyst, "seven") == {"report": [str(report.pk)]}
    assert found(analyst, "nonsense") == {}


def test_words_of_an_erased_report_are_gone(
    analyst: Person, found: Find, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LEADLINE_SEARCH_FIELDS = SEALED
    report = receive("https://pictures.example.net/a", reference="seven", text="lantern", note="pebble")
    close(report, analyst)
    for word in ("lantern", "pebble", "seven", "pictures.example.net"):
        assert found(analyst, word), word
    later = timezone.now() + timedelta(days=4000)
    monkeypatch.setattr(timezone, "now", lambda: later)
    report_tasks.erase_expired()
    assert Report.objects.get().erased_at is not None
    for word in ("lantern", "pebble", "seven"):
        assert found(analyst, word) == {}, word
        assert not in_index(word)
    assert "item" not in found(analyst, "pictures.example.net")
    assert Progress.objects.get().is_unclean


@pytest.mark.django_db(transaction=True)
def test_nothing_of_what_went_out_is_left_on_the_disk(analyst: Person, settings: Any) -> None:
    """FTS5 only marks a word as gone, and its shadow tables and the log keep it, until the worker scrubs."""
    settings.LEADLINE_SEARCH_FIELDS = SEALED
    words = [3 * letter + "qzx" for letter in "abcdefgh"]  # each begins otherwise: FTS5 stores what differs
    made = [receive(f"https://example.org/{word}", text=word) for word in words]
    actions.follow()
    for report in made[:4]:
        close(report, analyst)
        reports.erase_report(report.pk)
    actions.follow()
    assert connection.vendor == "postgresql" or any(map(held, words[:4]))
    assert actions.scrub()
    assert [held(word) for word in words] == 4 * [False] + 4 * [True]
    assert not actions.scrub()


def held(word: str) -> bool:
    """Whether the files of SQLite hold the word, but for its first letter; of PostgreSQL, whether the index does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM search_document WHERE vector @@ to_tsquery('simple', %s)", [word])
            return bool(cursor.fetchone()[0])
    path = Path(connection.settings_dict["NAME"])
    files = [path, path.with_name(path.name + "-wal")]
    return any(word[1:].encode() in file.read_bytes() for file in files if file.exists())
