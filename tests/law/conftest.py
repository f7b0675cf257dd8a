"""Fixtures of the law room: the shipped library, and folders of an operator's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from leadline.law.library import Library, load_library

Write = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def library() -> Library:
    return load_library()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write `text` under the folder that is returned: write("matrix/own.yaml", "...")."""

    def _write(name: str, text: str) -> Path:
        path = tmp_path / "law" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return tmp_path / "law"

    return _write
