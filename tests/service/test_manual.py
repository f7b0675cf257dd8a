"""docs/service.md: its examples run as they stand, and what it lists is what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.served import Served, command, free_port, served

from leadline.service.counters import COUNTERS, GAUGES, LATENCIES
from leadline.service.operations import OPERATIONS
from leadline.service.tokens import Scope, Tokens

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
EXAMPLES = re.findall(r"(?m)^```sh\n(.*?)^```", PAGE, re.DOTALL)


@pytest.fixture
def service(shelf: Path, tmp_path: Path) -> Iterator[Served]:
    _, token = Tokens(tmp_path / "state").add("test", frozenset(Scope), lists=("known",))
    port = free_port()
    asked = command(shelf, tmp_path / "state", port, "--workers", "2", "--publish", "known")
    with served(asked, port, tmp_path / "log", token) as service:
        yield service


def test_the_examples_run_as_they_stand(service: Served, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = "set -eu\n" + "\n".join(EXAMPLES).replace("/tmp/", f"{tmp_path}/")
    environment = {**os.environ, "URL": f"http://127.0.0.1:{service.port}", "TOKEN": service.token}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(EXAMPLES) >= 5


def test_every_route_scope_and_metric_is_in_the_manual() -> None:
    paths = {operation.path.replace("{name}", "known") for operation in OPERATIONS if "{id}" not in operation.path}
    stems = {path.removeprefix("/v1/banks/known") if path.startswith("/v1/banks/known") else path for path in paths}
    assert [path for path in sorted(stems) if path not in PAGE] == []
    assert [scope for scope in Scope if f"| `{scope}` |" not in PAGE] == []
    metrics = [*(f"{name}_total" for name in COUNTERS), *LATENCIES, *GAUGES]
    assert [name for name in metrics if name not in PAGE] == []
