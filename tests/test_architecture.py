"""The house tour must stay true: every path it names exists, every room is on it."""

from __future__ import annotations

import re
from pathlib import Path

from leadline.exchange.connectors import CONNECTORS

ROOT = Path(__file__).parents[1]
TOUR = (ROOT / "ARCHITECTURE.md").read_text()


def test_every_path_that_the_tour_names_exists() -> None:
    named = re.findall(r"`((?:native|src|tests|bench|docs)/[\w./*-]+|[\w]+/[\w]+\.py)`", TOUR)
    assert len(named) > 20
    missing = [n for n in named if not list(ROOT.glob(n)) and not list((ROOT / "src/leadline").glob(n))]
    assert missing == []


def test_every_room_is_on_the_tour() -> None:
    rooms = [p.name for p in (ROOT / "src/leadline").iterdir() if (p / "__init__.py").exists()]
    assert [r for r in rooms if f"**{r}/**" not in TOUR] == []


def test_every_connector_has_a_subclass_of_the_contract_suite() -> None:
    tests = [path.read_text() for path in (ROOT / "tests/exchange").rglob("test_*.py")]
    suites = [text for text in tests if re.search(r"(?m)^class Test\w+\((?:List|LookUp)\w*Contract\b", text)]
    classes = {place.rpartition(":")[2] for place in CONNECTORS.values()}
    assert [of for of in classes if not any(re.search(rf"\b{of}\b", text) for text in suites)] == []


def test_the_compiled_kernel_has_one_door() -> None:
    doors = [p for p in (ROOT / "src/leadline").rglob("*.py") if re.search(r"\b_kernel\b", p.read_text())]
    assert [p.relative_to(ROOT).as_posix() for p in doors] == ["src/leadline/match/kernel.py"]


def test_every_module_says_what_it_does() -> None:
    silent = [str(p) for p in (ROOT / "src/leadline").rglob("*.py") if not p.read_text().lstrip().startswith('"""')]
    assert silent == []


def test_every_document_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [p.name for p in (ROOT / "docs").glob("*.md") if f"docs/{p.name}" not in readme] == []


def test_every_environment_setting_is_documented() -> None:
    source = (ROOT / "src/leadline/cli/config.py").read_text()
    documented = "\n".join(p.read_text() for p in [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"])
    assert [n for n in set(re.findall(r"LEADLINE_[A-Z_]+", source)) if n.rstrip("_") not in documented] == []
