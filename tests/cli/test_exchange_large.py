"""Large fingerprints on the command line: pulled, told, printed for programs, and how much of them is kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.exchange.mock.base import PASSWORD, USER, serving
from leadline.exchange.mock.ncmec import LARGE_BYTES, NcmecMock


@pytest.fixture
def mock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any) -> Iterator[NcmecMock]:
    """Thirty entries, three of them videos, set up as the source `far` with room for one large fingerprint."""
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAR_USER", USER)
    monkeypatch.setenv("FAR_PASSWORD", PASSWORD)
    made = NcmecMock(30, with_large=True)
    with serving(made) as address:
        ended = run(
            "exchange", "add", "far", "--connector", "ncmec", "--kind", "other", "--option", f"address={address}",
            "--option", "large_gb=0.0003", "--secret", "user=env:FAR_USER", "--secret", "password=env:FAR_PASSWORD",
        )  # fmt: skip
        assert ended.code == 0, ended.err
        yield made


def test_what_is_left_with_the_source_is_said_loudly_and_comes_once_there_is_room(run: Any, mock: NcmecMock) -> None:
    ended = run("exchange", "pull", "far", "--json")
    [pulled] = ended.objects
    assert (ended.code, pulled["added"], pulled["unknown"]) == (0, 30, {})
    assert pulled["large"] == {"held": 1, "failed": 0, "missing": 2, "stopped": "storage-full"}
    [fault] = ended.faults
    assert "2 large fingerprints are missing: left with the source, since large_gb is reached (far)" in fault
    assert "leadline exchange set far --option large_gb=GIGABYTES, then pull" in fault
    text = run("exchange", "status", "far").out
    assert re.search(r"large, held +tmk_pdqf 1 \(0\.3 MB\), of 0\.0003 GB\n", text)
    assert re.search(r"large, missing +tmk_pdqf 2: left with the source, since large_gb is reached 2\n", text)
    assert run("exchange", "set", "far", "--option", "large_gb=1").out == "set: far\n  large_gb: 1.0\n"
    ended = run("exchange", "pull", "far")
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"told +0\n", ended.out)
    assert re.search(r"large +held 2\n", ended.out)
    [status] = run("exchange", "status", "far", "--json").objects
    assert status["large"] == {
        "held": {"tmk_pdqf": 3}, "held_bytes": {"tmk_pdqf": 3 * LARGE_BYTES}, "missing": {}, "reasons": {},
        "failed": [], "large_gb": 1.0,
    }  # fmt: skip


def test_those_held_are_printed_for_programs_with_their_files(run: Any, mock: NcmecMock) -> None:
    run("exchange", "set", "far", "--option", "large_gb=1")
    run("exchange", "pull", "far")
    told = [json.loads(line) for line in run("exchange", "status", "--large").out.splitlines()]
    assert [sorted(one) for one in told] == [["bytes", "entry", "key", "kind", "path", "sha256", "source"]] * 3
    assert {(one["source"], one["kind"], one["bytes"]) for one in told} == {("far", "tmk_pdqf", LARGE_BYTES)}
    assert sorted(one["key"] for one in told) == ["41-e9", "42-e19", "43-e29"]
    for one in told:
        assert hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest() == one["sha256"]


def test_one_that_fails_is_named(run: Any, mock: NcmecMock) -> None:
    run("exchange", "set", "far", "--option", "large_gb=1")
    real, mock._number = mock._number, lambda key: real(key) if key != "43-e29" else -1  # type: ignore[method-assign]
    ended = run("exchange", "pull", "far")
    assert ended.code == 0
    assert any("large fingerprint 43-e29 tmk_pdqf: page-expired (far)" in fault for fault in ended.faults), ended.faults
    assert re.search(r"large, failed +43-e29 tmk_pdqf: page-expired\n", run("exchange", "status", "far").out)


@pytest.mark.parametrize("option", ["large_gb=-1", "large_mb=0", "large=1", "large_gb=much"])
def test_an_option_that_is_none_changes_nothing(run: Any, mock: NcmecMock, option: str) -> None:
    before = run("exchange", "list", "--json").out
    ended = run("exchange", "set", "far", "--option", option)
    assert (ended.code, len(ended.faults)) == (2, 1)
    assert run("exchange", "list", "--json").out == before


def test_only_a_source_with_large_ones_can_be_rehearsed_with_them(run: Any) -> None:
    ended = run("exchange", "mock", "stopncii", "--large")
    assert (ended.code, len(ended.faults)) == (2, 1)
