"""What every answer carries, and what browsers may keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from leadline.workbench.accounts.models import Person

pytestmark = pytest.mark.django_db


def policy(answer: object) -> dict[str, str]:
    parts = answer["Content-Security-Policy"].split("; ")  # type: ignore[index]
    return {part.partition(" ")[0]: part.partition(" ")[2] for part in parts}


@pytest.mark.parametrize("path", ["/account/login/", "/nothing/here/", "/join/made-up/"])
def test_every_answer_also_an_error_is_strict(office: object, path: str) -> None:
    answer = Client().get(path)
    assert policy(answer)["default-src"] == "'none'"
    assert policy(answer)["script-src"] == "'self'"
    assert policy(answer)["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_pages_behind_the_sign_in_are_never_kept(analyst: Person, client_of: Callable[[Person], Client]) -> None:
    assert client_of(analyst).get("/")["Cache-Control"] == "no-store"


def test_templates_hold_no_inline_script_or_style() -> None:
    from pathlib import Path

    import leadline.workbench

    folder = Path(leadline.workbench.__file__).parent
    wrong = [
        path.name
        for path in folder.rglob("*.html")
        if any(mark in path.read_text() for mark in (" style=", "<style", "onclick=", "onchange=", "javascript:"))
    ]
    assert wrong == []
