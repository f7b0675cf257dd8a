"""docs/cli.md and the package's three calls."""

from __future__ import annotations

from pathlib import Path

import leadline
from leadline.cli.reference import make_reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == make_reference(), "run python -m leadline.cli.reference docs/cli.md"


def test_the_page_names_every_command_and_its_options() -> None:
    page = make_reference()
    for text in (
        "## leadline hash",
        "## leadline bank export",
        "`--radius`",
        "leadline doctor --json",
        "LEADLINE_WORKERS",
    ):
        assert text in page


def test_the_package_offers_its_three_calls() -> None:
    assert callable(leadline.hash_file)
    assert callable(leadline.open_bank)
    assert callable(leadline.scan_paths)
    assert not hasattr(leadline, "nonsense")
