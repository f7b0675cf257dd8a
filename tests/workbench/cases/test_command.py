"""`leadline case`: what it says, its exit codes, and that it is an ordinary command over the office's database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leadline.cli.run import run
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases.models import Case

from .conftest import png, record

pytestmark = pytest.mark.django_db


def ended(capfd: Any, *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    capfd.readouterr()
    code = run(["case", *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()] if "--json" in arguments else [], err


def test_a_case_comes_in_and_goes_out_by_command(
    make_file: Any, folder: Path, lead: Person, tmp_path: Path, capfd: Any
) -> None:
    path, out = make_file([record(n, png(n)) for n in (1, 2)]), tmp_path / "out.json"
    code, (told,), err = ended(capfd, "import", path, "--media", folder, "--lead", lead.email, "--json")
    case = Case.objects.get()
    assert (code, err) == (0, "")
    assert told == {
        "case": case.number, "id": str(case.pk), "new": True, "records": 2, "came_in": 2, "without_file": 0,
        "refused": 0, "again": 0, "refused_hashes": 0, "faults": {}, "unknown": {},
    }  # fmt: skip
    code, (told,), err = ended(capfd, "export", case.number, "--out", out, "--json")
    assert (code, err, told["records"], out.stat().st_mode & 0o777) == (0, "", 2, 0o600)
    code, _, err = ended(capfd, "export", case.number, "--out", out)
    assert (code, "leadline: file exists" in err) == (1, True)


def test_its_exit_codes_say_whether_all_came_in(make_file: Any, folder: Path, lead: Person, capfd: Any) -> None:
    good, bad = record(1, png(1)), record(2, png(1), RelativeFilePath="../x.png")
    half = record(3, png(3), SHA1="a1")  # its MD5 is good
    tried = (([good, bad], 3), ([bad], 1), ([record(3, png(3))], 0), ([half], 3))
    for number, (media, expected) in enumerate(tried):
        path = make_file(media, CaseID=f"id-{number}")
        assert ended(capfd, "import", path, "--media", folder, "--lead", lead.email)[0] == expected
    assert ended(capfd, "import", path, "--lead", "nobody@example.org")[0] == 1
    assert ended(capfd, "import", path, "--lead", lead.email, "--pap", "blue")[0] == 2
    assert ended(capfd, "import", path, "--media", folder / "none", "--lead", lead.email)[0] == 1
    assert ended(capfd, "export", "C-1999-0001", "--out", path)[0] == 1
