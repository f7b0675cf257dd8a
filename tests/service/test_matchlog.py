"""The match log: every match, told or not; no token, no whole hash; kept for so long; a full disk stops no answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.match.conftest import Clock
from tests.service.conftest import MD5, PDQ, SHA1, SHA256, Worker
from tests.service.test_flood import until
from tests.service.test_settings import metric, put

from leadline.client import packed
from leadline.service.clock import Clock as SteadyClock
from leadline.service.matchlog import Line, MatchLog

NOON = 1_700_049_600  # 2023-11-15, 12:00 UTC


def line(at: float = NOON, **fields: Any) -> Line:
    told: dict[str, Any] = {
        "token": "abcdefgh", "route": "match", "algorithm": "md5", "hash": "a1a1a1a1", "bank": "known", "entry": 7,
        "kind": "illegal", "distance": 0, "list_version": 2, "suppressed_by": None, "shadow": False, "flooding": False,
    }  # fmt: skip
    return Line(at=at, **{**told, **fields})


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for path in sorted(folder.glob("*.jsonl")) for text in path.read_text().splitlines()]


def test_a_match_is_logged_with_the_id_of_its_token_and_the_start_of_its_hash(worker: Worker) -> None:
    put(worker, "harmless", shadow=True)
    worker.ask("POST", "/v1/match", json={"hashes": [MD5, SHA256, "00" * 16]})
    folder = worker.options.state / "log"
    found = until(lambda: lines_of(folder))
    assert abs(found[0].pop("at") - time.time()) < 60
    assert found[0] == {
        "token": worker.token[4:12], "route": "match", "algorithm": "md5", "hash": "a1a1a1a1", "bank": "known",
        "entry": 7, "kind": "illegal", "distance": 0, "list_version": 2, "suppressed_by": None, "shadow": False,
        "flooding": False,
    }  # fmt: skip
    assert [(match["bank"], match["shadow"]) for match in found] == [("known", False), ("harmless", True)]
    text = "".join(path.read_text() for path in folder.iterdir())
    assert MD5 not in text
    assert worker.token not in text
    assert (folder.stat().st_mode & 0o77, next(folder.iterdir()).stat().st_mode & 0o77) == (0, 0)


def test_a_packed_list_is_noted_as_the_same_list_in_json_is(worker: Worker) -> None:
    """Whether some of it is left out or nothing is: then it is noted all together."""
    near, folder = f"{int(PDQ, 16) ^ 7:064x}", worker.options.state / "log"
    for number in (1, 2):
        rows = np.frombuffer(bytes.fromhex(PDQ + "00" * 32 + near), np.uint8).reshape(3, 32)
        packed_type = {"content-type": packed.REQUEST_TYPE}
        worker.ask("POST", "/v1/match", content=packed.encode_request("pdq", rows), headers=packed_type)
        worker.ask("POST", "/v1/match", json={"hashes": [f"pdq:{row.tobytes().hex()}" for row in rows]})
        until(lambda wanted=4 * number: len(lines_of(folder)) == wanted)
        told = [{**line, "at": 0} for line in lines_of(folder)[-4:]]
        assert told[:2] == told[2:]
        met = [(line["entry"], line["distance"], line["hash"]) for line in told[:2]]
        assert met == [(7, 0, PDQ[:8]), (7, 3, near[:8])]
        assert metric(worker, 'leadline_matches_total{bank="known"}') == 4 * number
        put(worker, "harmless", shadow=True)  # now something is, and what it would have met is looked for


def test_whole_hashes_are_logged_where_asked_for(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(log_hashes=True)
    worker.ask("POST", "/v1/match", json={"hashes": [SHA1]})
    assert until(lambda: lines_of(worker.options.state / "log"))[0]["hash"] == SHA1


def test_no_day_to_keep_is_no_log(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker(log_days=0)
    worker.ask("POST", "/v1/match", json={"hashes": [SHA1]})
    worker.service.desk.watch.log.close()
    assert not (worker.options.state / "log").exists()


def test_each_day_has_its_file_and_old_ones_go(tmp_path: Path) -> None:
    today = datetime.fromtimestamp(NOON, UTC).date()
    for age in range(5):
        (tmp_path / f"{today - timedelta(days=age)}.old-0.jsonl").write_text("{}\n")
    (tmp_path / "2001-01-01.notes.txt").write_text("not ours")
    log = MatchLog(tmp_path, "3", days=2, clock=Clock(NOON))
    log.put(line(NOON - 86_400))
    log.put(line(NOON))
    until(lambda: not (tmp_path / f"{today - timedelta(days=2)}.old-0.jsonl").exists())
    log.close()
    days = sorted((path.name[:10], ".old-" in path.name) for path in tmp_path.glob("*.jsonl"))
    assert days == [("2023-11-14", False), ("2023-11-14", True), ("2023-11-15", False), ("2023-11-15", True)]
    assert (tmp_path / "2001-01-01.notes.txt").exists()


def test_a_clock_that_is_set_forward_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    before = clock()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 400 * 86_400)
    assert clock() - before < 60
    monkeypatch.setattr(time, "time", lambda: real() - 400 * 86_400)
    assert clock() < before


def test_a_line_that_a_killed_worker_left_half_written_costs_only_itself(tmp_path: Path) -> None:
    first = MatchLog(tmp_path, "0", days=30, clock=Clock(NOON))
    first.put(line())
    first.close()
    (path,) = tmp_path.iterdir()
    with path.open("a") as file:
        file.write('{"at": 17')
    second = MatchLog(tmp_path, "0", days=30, clock=Clock(NOON))
    second.put(line(entry=8))
    second.close()
    assert [path] == list(tmp_path.iterdir())
    first_line, half, last = path.read_text().splitlines()
    assert (json.loads(first_line)["entry"], half, json.loads(last)["entry"]) == (7, '{"at": 17', 8)


def full_disk(monkeypatch: pytest.MonkeyPatch, takes_bytes: int = 0) -> None:
    """Of each line only so much can be written, then nothing."""
    real = os.write

    def write(fd: int, data: Any) -> int:
        if takes_bytes and len(data) > takes_bytes:
            return real(fd, data[:takes_bytes])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("leadline.service.matchlog.os.write", write)


def test_a_full_disk_stops_no_answer_and_is_told(worker: Worker) -> None:
    with pytest.MonkeyPatch.context() as patch:
        full_disk(patch, 30)
        answer = worker.ask("POST", "/v1/match", json={"hashes": [MD5]})
        assert answer.json()["answers"][0]["matches"][0]["bank"] == "known"
        warned = until(lambda: worker.ask("GET", "/readyz").json()["warnings"])
        assert warned == ["match log: No space left on device"]
        assert worker.ask("GET", "/readyz").status_code == 200
        assert until(lambda: metric(worker, "leadline_log_failing ")) == 1
    until(lambda: not worker.ask("GET", "/readyz").json()["warnings"])
    assert [match["entry"] for match in lines_of(worker.options.state / "log")] == [7], "whole, once, later"


def test_what_finds_no_place_while_the_disk_is_full_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.service.matchlog._MOST_WAITING", 10)
    full_disk(monkeypatch)
    log = MatchLog(tmp_path, "0", days=30, clock=Clock(NOON))
    for number in range(25):
        log.put(line(entry=number))
    lost = log.lost
    assert 0 < lost <= 15
    log.close()
