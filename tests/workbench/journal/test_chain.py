"""The journal cannot be forked, changed or filled with text, whoever writes how many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from leadline.custody.chain import encode_line, find_fault
from leadline.errors import LeadlineError
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.access import visible_lines
from leadline.workbench.journal.actions import Said, event_of, record, record_all
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role


def write(number: int, **changes: Any) -> None:
    given = {"actor": "somebody", "object_kind": "thing", "object_id": str(number)} | changes
    with transaction.atomic():
        record("thing.done", **given)


def chain() -> list[bytes]:
    return [encode_line(event_of(line)) for line in Line.objects.order_by("line")]


@pytest.mark.django_db
def test_lines_make_a_chain_that_verifies() -> None:
    for number in range(5):
        write(number)
    assert find_fault(chain()) is None
    assert [line.line for line in Line.objects.order_by("line")] == [1, 2, 3, 4, 5]


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="how SQLite writes its file")
def test_a_line_that_was_committed_is_on_the_disk() -> None:
    """A log written ahead, and waited for at each commit (2: FULL): a power cut takes nothing acknowledged."""
    with connection.cursor() as cursor:
        said = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert said == ["wal", 2]


@pytest.mark.django_db
def test_many_lines_at_once_make_the_same_chain_and_one_that_is_text_lets_none_in() -> None:
    write(0)
    with transaction.atomic():
        record_all(Said("thing.done", "somebody", "thing", str(number)) for number in range(1, 250))
    write(250)
    assert find_fault(chain()) is None
    assert list(Line.objects.order_by("line").values_list("object_id", flat=True)) == [str(n) for n in range(251)]
    with pytest.raises(LeadlineError), transaction.atomic():
        record_all([Said("thing.done", "somebody", "thing", "1"), Said("thing.done", "some body", "thing", "2")])
    assert Line.objects.count() == 251


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"actor": "mallory"}, {"details": '{"n":2}'}, {"at": "2020-01-01T00:00:00.000Z"}])
def test_a_changed_row_is_named(change: dict[str, str]) -> None:
    for number in range(5):
        write(number)
    lines = list(Line.objects.order_by("line"))
    for name, value in change.items():
        setattr(lines[2], name, value)
    stored = [encode_line(event_of(line)) for line in lines]
    fault = find_fault(stored)
    assert fault is not None
    assert fault.line in (3, 4)


@pytest.mark.django_db
@pytest.mark.parametrize("sql", ["UPDATE journal_line SET actor = 'x'", "DELETE FROM journal_line"])
def test_the_database_refuses_to_change_it(sql: str) -> None:
    write(1)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert Line.objects.get().actor == "somebody"


@pytest.mark.django_db
def test_an_act_that_fails_leaves_no_line_and_a_line_that_fails_no_act(make_person: Callable[..., Person]) -> None:
    person = make_person("ada")

    @transaction.atomic
    def fail_afterwards() -> None:
        record("thing.done", actor="a", object_kind="thing", object_id="1")
        raise ZeroDivisionError

    @transaction.atomic
    def record_text() -> None:
        Person.objects.filter(pk=person.pk).update(name="changed")
        record("thing.done", actor="a", object_kind="thing", object_id="free text, with spaces")

    with pytest.raises(ZeroDivisionError):
        fail_afterwards()
    with pytest.raises(LeadlineError):
        record_text()
    assert not Line.objects.exists()
    assert Person.objects.get(pk=person.pk).name == "ada"


@pytest.mark.django_db(transaction=True)
def test_a_line_outside_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        record("thing.done", actor="a", object_kind="thing", object_id="1")


@pytest.mark.django_db(transaction=True)
def test_eight_writers_at_once_cannot_fork_it() -> None:
    failures: list[BaseException] = []

    def write_many(writer: int) -> None:
        try:
            for number in range(10):
                write(number, actor=f"writer-{writer}")
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=write_many, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert Line.objects.count() == 80
    assert find_fault(chain()) is None


@pytest.mark.django_db
def test_the_auditor_reads_it_and_others_find_nothing(
    make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    write(4711)
    auditor, analyst = make_person("auditor", Role.AUDITOR), make_person("analyst", Role.ANALYST)
    assert "4711" in client_of(auditor).get("/journal/?object_id=4711").content.decode()
    assert "4711" not in client_of(auditor).get("/journal/?object_id=1").content.decode().partition("<tbody>")[2]
    assert client_of(analyst).get("/journal/").status_code == 404


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL walks a small table whatever its indexes")
@pytest.mark.parametrize("asked", [{"object_id": "7"}, {"act": "thing"}, {"actor": "somebody"}])
def test_lines_of_one_object_act_or_actor_are_found_through_an_index(asked: dict[str, str]) -> None:
    for number in range(8):
        write(number)
    found = visible_lines(**asked)
    assert {line.line for line in found} == ({8} if "object_id" in asked else set(range(1, 9)))
    assert "USING INDEX journal_lin" in found.explain()


def test_the_page_goes_back_line_by_line_to_the_first(
    make_person: Callable[..., Any], client_of: Callable[..., Any]
) -> None:
    from leadline.workbench.journal.access import page_of_lines
    from leadline.workbench.permissions import Role

    for number in range(120):
        record("test.made-up" if number % 2 else "test.other", actor="system", object_kind="thing", object_id=str(number))
    seen, before = [], ""
    while before is not None:
        page = page_of_lines(before or "", act="test.made-up")
        seen += [line.object_id for line in page.lines]
        before = None if page.before is None else str(page.before)
    assert seen == [str(number) for number in range(119, 0, -2)]
    assert {line.act for line in page_of_lines("", act="test.").lines} == {"test.made-up", "test.other"}
    assert page_of_lines("no number").lines == page_of_lines("").lines
    told = client_of(make_person("auditor", Role.AUDITOR)).get("/journal/").content.decode()
    assert "before=" in told
