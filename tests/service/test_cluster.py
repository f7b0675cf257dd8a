"""Shards on a Ray cluster: the same answers through `leadline serve`, and an error where a node is lost."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers import free_port
from tests.service.served import served

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.match.split import split_bank
from leadline.service.tokens import Scope, Tokens

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head for the service and a node for each of two shards."""
    try:
        from ray import serve  # noqa: F401
        from ray.cluster_utils import Cluster
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("Ray Serve is not installed: its test must not be skipped in CI")
        pytest.skip("Ray Serve is not installed (extra leadline[ray])")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # for the actors
    settings = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 << 20, "_system_config": settings}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.nodes = [
        made.add_node(num_cpus=1, object_store_memory=80 << 20, resources={f"leadline_shard_{number}": 1})
        for number in range(2)
    ]
    yield made
    made.shutdown()


def test_a_split_bank_answers_as_the_whole_one_and_a_lost_node_is_an_error_never_a_miss(
    cluster: Any, tmp_path: Path
) -> None:
    whole = Bank.create(tmp_path / "known", name="known", kind=Kind.ILLEGAL)
    whole.add([Entry(Kind.ILLEGAL, {"md5": bytes([number]) * 16}, number) for number in range(1, 21)])
    shards = [tmp_path / f"{number}" for number in range(2)]
    split_bank(whole, [shard / "known" for shard in shards])
    port, (_, token) = free_port(), Tokens(tmp_path / "state").add("test", frozenset(Scope))
    command = [
        *("-m", "leadline", "serve", "--ray", cluster.address, "--port", str(port), "--workers", "1"),
        *("--state", str(tmp_path / "state"), "--bank", str(shards[0] / "known"), "--shard", str(shards[1])),
    ]
    hashes = [f"{number:02x}" * 16 for number in range(1, 31)]
    with served(command, port, tmp_path / "log", token) as service:
        entries = [[match["entry"] for match in answer["matches"]] for answer in service.match(*hashes)]
        assert entries == [[number] for number in range(1, 21)] + [[]] * 10
        assert service.match(hashes[2])[0]["matches"][0]["entry"] == 3
        added = [{"hashes": {"md5": f"{number:02x}" * 16}} for number in (41, 42)]
        status, told = service.ask("POST", "/v1/banks/known/entries", {"entries": added})
        assert (status, json.loads(told)["ids"]) == (200, [21, 22])
        assert [len(answer["matches"]) for answer in service.match("29" * 16, "2a" * 16)] == [1, 1]
        assert json.loads(service.ask("POST", "/v1/banks/known/remove", {"ids": [21, 22]})[1])["removed"] == 2
        assert service.match("29" * 16)[0]["matches"] == []
        made = {"name": "NEW", "kind": "other"}
        assert service.ask("POST", "/v1/banks", made)[0] == 201
        assert service.ask("PUT", "/c/bank/NEW", {"name": "RENAMED"})[0] == 200
        assert Bank.open(shards[1] / "NEW").name == "RENAMED", "in every folder of banks, which --bank names none of"
        assert json.loads(service.ask("GET", "/m/index/status")[1])["md5"]["size"] == 20
        assert service.ask("DELETE", "/c/bank/RENAMED")[0] == 200
        assert [path.name for path in shards[1].iterdir()] == ["known"]
        log = [line for line in (tmp_path / "log").read_text().splitlines() if not line.startswith("{")]
        assert len(log) == 2, "what it says at its start; what Ray has to say are lines of the service's log"
        cluster.remove_node(cluster.nodes[1], allow_graceful=False)
        status, told = 200, b""
        for _ in range(100):  # until Ray has noticed; an answer before that would be a whole one
            status, told = service.ask("POST", "/v1/match", {"hashes": hashes}, timeout_s=60)
            if status != 200:
                break
            assert [bool(answer["matches"]) for answer in json.loads(told)["answers"]] == [True] * 20 + [False] * 10
            time.sleep(0.1)
        assert (status, json.loads(told)["code"]) == (503, "shard-lost")
        assert service.ask("POST", "/v1/banks", made, timeout_s=60)[0] == 503
        for _ in range(100):  # until the service's own next look at its shards
            if (ready := service.ask("GET", "/readyz")[0]) == 503:
                break
            time.sleep(0.1)
        assert ready == 503
