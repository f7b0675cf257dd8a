"""Append-only tables refuse every statement that would change or remove a row, whoever writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from leadline.domain import Channel, IncomingReport
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.banks.models import Change, EntryChange
from leadline.workbench.journal.actions import record
from leadline.workbench.journal.models import Anchor, Line
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report, StateChange

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TABLES = ["journal_line", "journal_anchor", "banks_entrychange", "reports_statechange"]


def write(number: int, actor: str = "somebody") -> None:
    with transaction.atomic():
        record("thing.done", actor=actor, object_kind="thing", object_id=str(number))


def execute(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def rows(table: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
        return list(cursor.fetchall())


def columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


@pytest.fixture
def filled(office: Any, make_person: Callable[..., Person]) -> Any:
    """At least one row in every append-only table."""
    sealing.forget()
    for number in range(3):
        write(number)
    Anchor.objects.create(line=3, head="0" * 64, statement="{}")
    change = Change.objects.create(bank="b", what="add", reason="correction", actor="a", person=make_person("ada"))
    EntryChange.objects.create(change=change, bank="b", first_entry=1, last_entry=2)
    reports.receive(IncomingReport(Channel.API, text="x"), channel=Channel.API, actor="key:a", source="partner")
    step = {"actor": "a", "from_state": "new", "to_state": "triage", "reason": "r", "journal_line": 1}
    StateChange.objects.create(report=Report.objects.get(), at=timezone.now(), **step)
    yield
    matching.close_engine()
    sealing.forget()


@pytest.mark.parametrize("table", TABLES)
def test_no_statement_changes_or_removes_a_row(filled: Any, table: str) -> None:
    before, names = rows(table), columns(table)
    assert before
    key, listed = names[0], ", ".join(f'"{name}"' for name in names)
    statements = [
        f"UPDATE {table} SET {key} = {key}",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}",
    ]
    if connection.vendor == "postgresql":
        statements.append(f"TRUNCATE {table} CASCADE")
    else:
        statements.append(f"REPLACE INTO {table} SELECT * FROM {table}")
        statements.append(f"INSERT OR REPLACE INTO {table} ({listed}) SELECT {listed} FROM {table} LIMIT 1")
        statements.append(f"UPDATE OR REPLACE {table} SET {key} = {key} + 1")
    for statement in statements:
        with pytest.raises(DatabaseError):
            execute(statement)
    assert rows(table) == before


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("table", TABLES)
def test_replace_is_refused_by_the_table_itself_whatever_the_connection_asked_for(filled: Any, table: str) -> None:
    before = rows(table)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA recursive_triggers=OFF")
    try:
        with pytest.raises(DatabaseError, match=r"append-only|at its end"):
            execute(f"REPLACE INTO {table} SELECT * FROM {table}")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers=ON")
    assert rows(table) == before


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no REPLACE")
@pytest.mark.parametrize("taken", ["hash", "previous_hash"])
def test_a_line_that_collides_on_a_hash_takes_no_other_line_away(filled: Any, taken: str) -> None:
    before = rows("journal_line")
    last = len(before)
    fields = {name: name for name in columns("journal_line")}
    fields |= {"line": str(last + 1), "previous_hash": f"(SELECT hash FROM journal_line WHERE line = {last})", "hash": "'f'"}
    fields[taken] = f"(SELECT {taken} FROM journal_line WHERE line = 2)"
    with pytest.raises(DatabaseError):
        execute(f"INSERT OR REPLACE INTO journal_line SELECT {', '.join(fields.values())} FROM journal_line WHERE line = 1")
    assert rows("journal_line") == before


@pytest.mark.parametrize("change", [{"line": 9}, {"line": 0}, {"previous_hash": "f" * 64}])
def test_a_line_out_of_order_or_after_another_hash_is_refused(change: dict[str, Any]) -> None:
    for number in range(3):
        write(number)
    last = Line.objects.order_by("-line").values().first()
    assert last is not None
    given = last | {"line": 4, "previous_hash": last["hash"], "hash": "e" * 64} | change
    with pytest.raises(DatabaseError), transaction.atomic():
        Line.objects.create(**given)
    assert Line.objects.count() == 3
    write(4)
    assert Line.objects.count() == 4


def test_an_anchor_may_be_told_how_it_left_and_nothing_else() -> None:
    anchor = Anchor.objects.create(line=3, head="0" * 64, statement="{}")
    anchor.left_by = ["drop"]
    anchor.save(update_fields=["left_by"])
    for name, value in (("head", "1" * 64), ("line", 4), ("statement", "{1}")):
        with pytest.raises(DatabaseError), transaction.atomic():
            Anchor.objects.update(**{name: value})
    assert Anchor.objects.get().left_by == ["drop"]
