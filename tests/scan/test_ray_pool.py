"""A cluster of one head and two nodes on this machine; one node is killed half-way."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.errors import ConfigError
from leadline.media import scenes
from leadline.scan import ray_pool
from leadline.scan import run as run_module
from leadline.scan.run import ProgressEvent, scan_paths

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("Ray is not installed: its test must not be skipped in CI")
        pytest.skip("Ray is not installed (extra leadline[ray])")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # for the actors
    settings = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20, "_system_config": settings}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
    yield made
    ray.shutdown()
    made.shutdown()


def test_it_finds_the_same_line_for_line_with_a_node_killed_half_way(
    cluster: Any, tmp_path: Path, picture: Callable[[int], bytes], bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(240):
        path = tmp_path / "source" / f"{number % 6}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number % 9))
    for number in range(6):
        packed = scenes.pack_zip({f"{n}.jpg": picture(n) for n in range(5)})
        (tmp_path / f"source/{number}/pack.zip").write_bytes(packed)
    monkeypatch.setattr(run_module, "BATCH_BYTES", 30_000)
    monkeypatch.setattr(run_module, "TOLD_EVERY_S", 0)
    local = scan_paths([tmp_path / "source"], [bank], tmp_path / "local", workers=1)
    killed: list[int] = []

    def kill_a_node(event: ProgressEvent) -> None:
        if event.done > 60 and not killed:
            killed.append(event.done)
            cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)

    scan_paths([tmp_path / "source"], [bank], tmp_path / "ray", ray_address=cluster.address, progress=kill_a_node)
    assert local.verdicts["known"] > 0
    assert local.verdicts["unknown"] > 0
    assert killed
    assert killed[0] < 200
    assert (tmp_path / "ray/findings.jsonl").read_bytes() == (tmp_path / "local/findings.jsonl").read_bytes()


def test_it_says_what_is_missing_where_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"leadline\[ray\]"):
        ray_pool._import_ray()
