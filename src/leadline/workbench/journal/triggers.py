"""Database triggers that make a table append-only, for SQLite and PostgreSQL; run by migrations and nothing else.

They stop mistakes and ordinary access. Whoever owns the database can drop them: against that stands the chain itself,
whose signed head has left the machine.
"""

from __future__ import annotations

from typing import Any

from leadline.workbench.journal.migrating import Statements

_SQLITE = """CREATE TRIGGER {table}_no_{verb_lower} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
_POSTGRESQL = """CREATE TRIGGER {table}_no_{verb_lower} BEFORE {verb} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION leadline_append_only()"""
# REPLACE deletes the row that is in its way, and SQLite fires no DELETE trigger then unless the connection asked.
_SQLITE_REPLACE = """CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {collision})
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
_SQLITE_CHAIN = """CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}
WHEN NEW.line <> COALESCE((SELECT MAX(line) FROM {table}), 0) + 1
OR NEW.previous_hash <> COALESCE((SELECT hash FROM {table} ORDER BY line DESC LIMIT 1), '{origin}')
BEGIN SELECT RAISE(ABORT, '{table} grows at its end'); END"""
_POSTGRESQL_CHAIN = """CREATE TRIGGER {table}_in_order BEFORE INSERT ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_in_order()"""
_POSTGRESQL_CHAIN_FUNCTION = """CREATE OR REPLACE FUNCTION {table}_in_order() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
IF NEW.line <> COALESCE((SELECT MAX(line) FROM {table}), 0) + 1
OR NEW.previous_hash <> COALESCE((SELECT hash FROM {table} ORDER BY line DESC LIMIT 1), '{origin}')
THEN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' grows at its end'; END IF;
RETURN NEW; END $$"""
_POSTGRESQL_FUNCTION = """CREATE OR REPLACE FUNCTION leadline_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"""


def append_only(*tables: str) -> Statements:
    """A migration step: nobody updates or deletes rows of these tables any more."""

    def install(apps: Any, editor: Any) -> None:
        is_postgresql = editor.connection.vendor == "postgresql"
        if is_postgresql:
            editor.execute(_POSTGRESQL_FUNCTION)
        for table in tables:
            for verb in ("UPDATE", "DELETE", *(("TRUNCATE",) if is_postgresql else ())):
                template = _POSTGRESQL if is_postgresql else _SQLITE
                editor.execute(template.format(table=table, verb=verb, verb_lower=verb.lower()))

    def remove(apps: Any, editor: Any) -> None:
        is_postgresql = editor.connection.vendor == "postgresql"
        for table in tables:
            for verb in ("UPDATE", "DELETE", *(("TRUNCATE",) if is_postgresql else ())):
                on = f" ON {table}" if is_postgresql else ""
                editor.execute(f"DROP TRIGGER {table}_no_{verb.lower()}{on}")

    return Statements(install, remove)


def no_replace(table: str, *unique: str) -> Statements:
    """A migration step: no new row takes the place of one that is there. `unique`: its key and unique columns."""

    def install(apps: Any, editor: Any) -> None:
        if editor.connection.vendor == "sqlite":  # PostgreSQL knows no REPLACE, and an UPSERT is an UPDATE to it
            collision = " OR ".join(f"{column} = NEW.{column}" for column in unique)
            editor.execute(_SQLITE_REPLACE.format(table=table, collision=collision))

    def remove(apps: Any, editor: Any) -> None:
        if editor.connection.vendor == "sqlite":
            editor.execute(f"DROP TRIGGER {table}_no_replace")

    return Statements(install, remove)


def frozen_columns(table: str, *columns: str) -> Statements:
    """A migration step: rows stay, and these columns of them stay as they are; others may still be filled in."""

    def install(apps: Any, editor: Any) -> None:
        is_postgresql = editor.connection.vendor == "postgresql"
        template = _POSTGRESQL if is_postgresql else _SQLITE
        if is_postgresql:
            editor.execute(_POSTGRESQL_FUNCTION)
        verbs = {"update": f"UPDATE OF {', '.join(columns)}", "delete": "DELETE"}
        for name, verb in (verbs | ({"truncate": "TRUNCATE"} if is_postgresql else {})).items():
            editor.execute(template.format(table=table, verb=verb, verb_lower=name))

    def remove(apps: Any, editor: Any) -> None:
        is_postgresql = editor.connection.vendor == "postgresql"
        for name in ("update", "delete", *(("truncate",) if is_postgresql else ())):
            editor.execute(f"DROP TRIGGER {table}_no_{name}{f' ON {table}' if is_postgresql else ''}")

    return Statements(install, remove)


def grows_at_its_end(table: str, origin: str) -> Statements:
    """A migration step for the chain: a new line is the next one, and follows the hash of the last."""

    def install(apps: Any, editor: Any) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(_POSTGRESQL_CHAIN_FUNCTION.format(table=table, origin=origin))
            editor.execute(_POSTGRESQL_CHAIN.format(table=table))
        else:
            editor.execute(_SQLITE_CHAIN.format(table=table, origin=origin))

    def remove(apps: Any, editor: Any) -> None:
        is_postgresql = editor.connection.vendor == "postgresql"
        editor.execute(f"DROP TRIGGER {table}_in_order{f' ON {table}' if is_postgresql else ''}")
        if is_postgresql:
            editor.execute(f"DROP FUNCTION {table}_in_order()")

    return Statements(install, remove)
