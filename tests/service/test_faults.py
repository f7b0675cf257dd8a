"""What breaks around the service: a bank that is damaged, a clock that jumps. What was known goes on to match."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.conftest import MD5, SHA1, Worker, living
from tests.service.test_curating import add, is_met, md5
from tests.service.test_flood import until
from tests.service.test_settings import metric

from leadline.match.bank import Bank
from leadline.service.app import Service
from leadline.service.options import Options


def broken_copy(shelf: Path, tmp_path: Path, cut: str) -> Path:
    """The bank `known` after one more addition and a merge, with one file cut short, as a copy that was cut off."""
    copy = tmp_path / "copy"
    shutil.copytree(shelf / "known", copy)
    bank = Bank.open(copy)
    bank.remove([8])
    bank.merge()
    (file,) = copy.glob(cut)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
    return copy


def arrive(copy: Path, folder: Path) -> None:
    """Files first, the manifest last, as a mirror does it."""
    for path in sorted(copy.iterdir(), key=lambda path: path.name == "manifest.json"):
        shutil.copy(path, folder / f"{path.name}.part")
        (folder / f"{path.name}.part").replace(folder / path.name)


@pytest.mark.parametrize("cut", ["*.records", "*.index", "manifest.json"])
def test_a_bank_that_arrives_cut_short_goes_on_as_it_was(
    worker: Worker, shelf: Path, tmp_path: Path, cut: str
) -> None:
    arrive(broken_copy(shelf, tmp_path, cut), shelf / "known")
    told = until(lambda: (answer := worker.ask("GET", "/readyz")).status_code == 503 and answer.json())
    assert told["reasons"] == ["known: bank-corrupt"]
    assert is_met(worker, MD5)
    assert is_met(worker, SHA1)
    (alarm,) = until(lambda: worker.ask("GET", "/v1/alarms").json()["alarms"])
    assert (alarm["kind"], alarm["facts"]) == ("bank-fault", {"bank": "known", "code": "bank-corrupt"})
    assert worker.ask("GET", "/v1/banks/known").json()["fault"] == "bank-corrupt"
    assert until(lambda: metric(worker, 'leadline_alarms_total{kind="bank-fault"}')) == 1
    assert worker.ask("GET", "/healthz").status_code == 200
    refused = add(worker, {"hashes": {"md5": md5(1)}})
    assert refused.status_code in (500, 503)
    assert str(shelf) not in refused.text


def test_a_bank_that_is_mended_is_taken_up_again(worker: Worker, shelf: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(shelf / "known", whole)
    Bank.open(whole).remove([8])
    Bank.open(whole).merge()
    arrive(broken_copy(shelf, tmp_path, "*.index"), shelf / "known")
    until(lambda: worker.ask("GET", "/readyz").status_code == 503)
    arrive(whole, shelf / "known")
    until(lambda: worker.ask("GET", "/readyz").status_code == 200)
    assert not is_met(worker, SHA1)
    assert is_met(worker, MD5)


def test_a_bank_whose_folder_is_gone_is_no_bank_of_the_shelf_any_more(worker: Worker, shelf: Path) -> None:
    shutil.rmtree(shelf / "known")
    until(lambda: not is_met(worker, MD5))
    assert [bank["name"] for bank in worker.ask("GET", "/v1/banks").json()["banks"]] == ["harmless"]


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_jumps_breaks_nothing(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    worker = make_worker()
    worker.ask("POST", "/v1/match", json={"hashes": [MD5] * 60})
    until(lambda: worker.ask("GET", "/v1/alarms").json()["alarms"])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + days * 86_400)
    assert is_met(worker, MD5)
    assert add(worker, {"hashes": {"md5": md5(1)}}, headers={"idempotency-key": "k"}).json()["added"] == 1
    assert is_met(worker, md5(1))
    time.sleep(1.2)
    assert worker.ask("GET", "/readyz").status_code == 200
    assert [match["flooding"] for match in _matches(worker)] == [True], "the window is of another clock"
    assert len(worker.ask("GET", "/v1/alarms").json()["alarms"]) == 1
    assert add(worker, {"hashes": {"md5": md5(1)}}, headers={"idempotency-key": "k"}).json()["ids"] == [9]
    log = worker.options.state / "log"
    until(lambda: any(MD5[:8] in path.read_text() for path in log.glob("*.jsonl")))


def _matches(worker: Worker) -> list[dict[str, object]]:
    found: list[dict[str, object]] = worker.ask("POST", "/v1/match", json={"hashes": [MD5]}).json()["answers"][0][
        "matches"
    ]
    return found


def test_a_worker_told_to_end_just_after_a_change_ends(shelf: Path, tmp_path: Path) -> None:
    async def end(turns: int) -> None:
        async with living(Service(Options(shelf=shelf, state=tmp_path / "state", hashers=0))) as service:
            await asyncio.sleep(0.1)  # it has looked, and waits
            service.desk.woken.set()
            for _ in range(turns):
                await asyncio.sleep(0)

    async def end_all() -> None:
        for turns in range(5):
            await asyncio.wait_for(end(turns), 20)

    asyncio.run(end_all())
