"""Database triggers that make a table append-only, for SQLite and PostgreSQL; run by migrations and nothing else.

They stop mistakes and ordinary access. Whoever owns the database can drop them: against that stands the chain itself,
whose signed head has left the machine.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

_SQLITE = """CREATE TRIGGER {table}_no_{verb_lower} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
_POSTGRESQL = """CREATE TRIGGER {table}_no_{verb_lower} BEFORE {verb} ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION leadline_append_only()"""
_POSTGRESQL_FUNCTION = """CREATE OR REPLACE FUNCTION leadline_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"""


def append_only(*tables: str) -> migrations.RunPython:
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

    return migrations.RunPython(install, remove)
