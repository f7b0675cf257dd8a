"""`leadline demo`, what `make run` and `make demo` begin with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.scan import demo


def test_it_shows_how_far_it_is_the_verdicts_and_where_the_report_is_and_fails_where_they_are_others(
    run: Any, tmp_path: Path, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    (out / "result").mkdir(parents=True)
    (out / "result/findings.jsonl").write_bytes(b"of an earlier demo")
    (out / demo.MARK).touch()
    results, real = [], demo.run_demo
    monkeypatch.setattr(demo, "run_demo", lambda *a, **b: results.append(real(*a, **b)) or results[0])
    terminal = watch()
    ended = run("demo", "--out", out)
    assert ended.code == 0
    assert all(name in ended.out for name in ("known", "near", "unknown", "unreadable", "skipped"))
    assert str(out / "result" / "report.html") in ended.out
    assert (out / "result" / "report.html").read_text().startswith("<!doctype html>")
    assert "files/s" in terminal.text
    other = replace(results[0], expected=results[0].expected | {"known": 0})
    monkeypatch.setattr(demo, "run_demo", lambda *a, **b: other)
    ended = run("demo", "--out", out)
    assert ended.code == 4
    assert "verdicts are not as they must be" in terminal.text
