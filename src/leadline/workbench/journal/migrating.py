"""Migrations that do not render all models for every single step, as Django does: seconds of a new office."""

from __future__ import annotations

from typing import Any

from django.db import migrations


class Tables(migrations.Migration):
    """All tables of an app in one go: new models and their triggers, nothing that changes a table which is there.

    The models are rendered once, when all are added.
    """

    initial = True

    def apply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        project_state.__dict__.pop("apps", None)
        for operation in self.operations:
            operation.state_forwards(self.app_label, project_state)
        for operation in self.operations:
            operation.database_forwards(self.app_label, schema_editor, project_state, project_state)
        return project_state


class Statements(migrations.RunPython):
    """A step that says SQL and asks for no models, so that none are rendered: `code` is given None in their place."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        no_models: Any = None
        self.code(no_models, schema_editor)
