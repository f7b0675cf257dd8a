"""The document is OpenAPI 3.1 and says what each operation asks; its page needs no script."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Callable

import pytest
from django.apps import apps
from django.test import Client
from ninja import Schema

from leadline.errors import ConfigError
from leadline.workbench import api
from leadline.workbench.accounts.models import Person
from leadline.workbench.api import declared_operations


def test_the_document_is_openapi_and_declares_key_and_permission(office: object) -> None:
    told = Client().get("/api/v1/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    assert told["components"]["securitySchemes"]["Key"] == {"type": "http", "scheme": "bearer"}
    operations = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert operations == {(o.method, o.path) for o in declared_operations()}
    for methods in told["paths"].values():
        for described in methods.values():
            assert described["x-permission"]
            assert described["security"] == [{"Key": []}]
            assert {"401", "403", "404", "422", "429", "503"} <= set(described["responses"])


def test_no_two_shapes_share_a_name() -> None:
    """The document would show one of them at both places."""
    names = Counter(
        shape.__name__
        for app in apps.get_app_configs()
        if app.name.startswith("leadline.") and importlib.util.find_spec(f"{app.name}.api")
        for shape in vars(importlib.import_module(f"{app.name}.api")).values()
        if isinstance(shape, type) and issubclass(shape, Schema) and shape.__module__ == f"{app.name}.api"
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_page_shows_every_operation_and_problem_without_script_or_style(office: object) -> None:
    answer = Client().get("/api/v1/docs")
    page = answer.content.decode()
    assert "'unsafe-inline'" not in answer["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=| style=|https?://", page)
    for operation in declared_operations():
        assert f"{operation.method} {operation.path}" in page
    for code, _ in api.PROBLEMS:
        assert f'id="{code}"' in page


def test_an_operation_without_a_permission_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.http import HttpRequest
    from ninja import Router

    router = Router()

    @router.get("/open-to-all")
    def forgotten(request: HttpRequest) -> None:
        return None

    monkeypatch.setattr(api, "_routers", lambda: iter([router]))
    with pytest.raises(ConfigError):
        api.make_api()


def test_the_documents_need_no_key_and_keep_none(senior: Person, client_of: Callable[[Person], Client]) -> None:
    assert client_of(senior).get("/api/v1/docs").status_code == 200
