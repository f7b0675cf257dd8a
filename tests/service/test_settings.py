"""Settings of banks: on or off, a share of look-ups, shadow; in every form of an answer and every worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.service.conftest import MD5, PDQ, Worker

from leadline.client import packed
from leadline.domain import Entry, Fingerprints, Kind, PdqFamily, ViewHashes
from leadline.errors import ConfigError
from leadline.match.bank import Bank
from leadline.match.policy import MatchAnswer
from leadline.service.batcher import FileQuery
from leadline.service.counters import GAUGES
from leadline.service.kept import Kept
from leadline.service.settings import BankSettings, Settings, takes_part
from leadline.service.tokens import EVERYBODY, Scope


def put(worker: Worker, bank: str, **settings: Any) -> httpx.Response:
    return worker.ask("PUT", f"/v1/banks/{bank}/settings", json=settings)


def banks_met(worker: Worker, *hashes: str, **fields: Any) -> list[list[str]]:
    told = worker.ask("POST", "/v1/match", json={"hashes": hashes, **fields}).json()
    return [[match["bank"] for match in answer["matches"]] for answer in told["answers"]]


def ask_packed(worker: Worker, *hashes: str) -> packed.Told:
    rows = np.array([list(bytes.fromhex(h)) for h in hashes], np.uint8)
    body = packed.encode_request("pdq" if len(hashes[0]) == 64 else "md5", rows)
    answer = worker.ask("POST", "/v1/match", content=body, headers={"content-type": packed.REQUEST_TYPE})
    return packed.decode_answer(answer.content)


def metric(worker: Worker, line: str) -> float:
    told = worker.ask("GET", "/metrics").text.splitlines()
    return float(next((found.rpartition(" ")[2] for found in told if found.startswith(line)), 0))


def test_every_gauge_has_a_sample_and_an_index_its_size_and_age(worker: Worker, shelf: Path) -> None:
    long_ago = 1_000_000_000
    for path in (shelf / "known").iterdir():
        os.utime(path, (long_ago, long_ago))
    Bank.open(shelf / "harmless").merge()
    worker.refresh()
    worker.do(worker.service._tell_state())
    told = worker.ask("GET", "/metrics").text.splitlines()
    assert [name for name in GAUGES if not any(line.startswith((f"{name} ", f"{name}{{")) for line in told)] == []
    assert metric(worker, "leadline_resident_bytes ") > 10_000_000
    assert metric(worker, 'leadline_bank_index_bytes{bank="harmless"}') > 0
    assert metric(worker, 'leadline_bank_index_age_seconds{bank="known"}') > 700_000_000
    assert metric(worker, 'leadline_bank_index_age_seconds{bank="harmless"}') < 3600


def test_the_loop_that_answers_meets_no_disk_for_its_metrics(
    worker: Worker, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a merge the disk lets a writer wait for half a second, and all look-ups would wait with it."""
    threads: set[str] = set()

    def noting(what: Callable[..., Any]) -> Callable[..., Any]:
        def note(path: Path, *given: Any, **named: Any) -> Any:
            if any(path.is_relative_to(folder) for folder in (shelf, worker.options.state / "run")):
                threads.add(threading.current_thread().name)
            return what(path, *given, **named)

        return note

    for what in (Path.write_bytes, Path.read_bytes, Path.replace, Path.stat):
        monkeypatch.setattr(Path, what.__name__, noting(what))
    worker.do(worker.service._tell_state())
    assert worker.ask("GET", "/metrics").status_code == 200
    assert "tell" in {name.partition("_")[0] for name in threads}
    assert worker._thread.name not in threads


@pytest.mark.parametrize("settings", [{"enabled": False}, {"ratio": 0}, {"shadow": True}])
def test_a_bank_that_is_out_stands_in_no_answer(worker: Worker, settings: dict[str, Any]) -> None:
    assert banks_met(worker, MD5) == [["known"]]
    assert put(worker, "known", **settings).status_code == 200
    answer = worker.ask("POST", "/v1/match", json={"hashes": [MD5]}).json()
    assert answer["answers"] == [{"matches": []}]
    assert list(answer["lists"]) == ["harmless"]
    told = ask_packed(worker, MD5)
    assert (len(told.matches), [name for name, _ in told.banks]) == (0, ["harmless"])
    put(worker, "known")
    assert banks_met(worker, MD5) == [["known"]]
    told = ask_packed(worker, MD5)
    assert [told.banks[match["bank"]][0] for match in told.matches] == ["known"]


def test_matches_of_a_bank_in_shadow_are_counted_as_such(worker: Worker) -> None:
    put(worker, "known", shadow=True)
    banks_met(worker, MD5)
    ask_packed(worker, MD5, MD5)
    assert metric(worker, 'leadline_shadow_matches_total{bank="known"}') == 3
    assert metric(worker, 'leadline_matches_total{bank="known"}') == 0


def test_a_share_of_look_ups_is_about_that_share_by_chance_and_the_same_by_seed(worker: Worker) -> None:
    put(worker, "known", ratio=0.5)
    met = [bool(banks) for banks in banks_met(worker, *[MD5] * 2000)]
    assert 850 < sum(met) < 1150
    for seed in ("a", "b", "c", "d"):
        first, *others = banks_met(worker, *[MD5] * 50, seed=seed)
        assert all(other == first for other in others)
        assert first == (["known"] if takes_part("known", BankSettings(ratio=0.5), seed) else [])


def test_whoever_is_in_at_a_ratio_is_in_at_every_greater_one() -> None:
    for number in range(300):
        seed = f"seed {number}"
        ins = [takes_part("bank", BankSettings(ratio=ratio / 10), seed) for ratio in range(11)]
        assert ins == sorted(ins)
        assert (ins[0], ins[10]) == (False, True)


def test_the_share_of_seeds_is_the_documented_part_of_sha256() -> None:
    # printf 'known\0second' | sha256sum begins with 9296: 37,526 of 65,536 parts, or 0.5726
    assert takes_part("known", BankSettings(ratio=0.573), "second")
    assert not takes_part("known", BankSettings(ratio=0.572), "second")


def test_a_hidden_bank_does_not_crowd_out_what_others_know(shelf: Path, make_worker: Callable[..., Worker]) -> None:
    noisy = Bank.create(shelf / "noisy", name="noisy", kind=Kind.ILLEGAL)
    noisy.add([Entry(Kind.ILLEGAL, {"sha256": bytes.fromhex("d4" * 32)}) for _ in range(150)])
    worker = make_worker()
    assert set(banks_met(worker, "sha256:" + "d4" * 32)[0]) == {"noisy"}  # the limit of an answer cuts harmless off
    put(worker, "noisy", shadow=True)
    assert banks_met(worker, "sha256:" + "d4" * 32) == [["harmless"]]


def test_a_hidden_bank_marks_nothing_as_a_false_positive(shelf: Path, make_worker: Callable[..., Worker]) -> None:
    doubts = Bank.create(shelf / "doubts", name="doubts", kind=Kind.FALSE_POSITIVE)
    doubts.add([Entry(Kind.FALSE_POSITIVE, {"pdq": bytes.fromhex(PDQ)})])
    worker = make_worker()

    def markers() -> list[str | None]:
        answer = worker.ask("POST", "/v1/match", json={"hashes": ["pdq:" + PDQ]}).json()["answers"][0]
        return [match["suppressed_by"] for match in answer["matches"] if match["bank"] == "known"]

    assert markers() == ["doubts/1"]
    put(worker, "doubts", shadow=True)
    assert markers() == [None]


def test_what_is_told_of_a_file_leaves_hidden_banks_out_too(shelf: Path, make_worker: Callable[..., Worker]) -> None:
    doubts = Bank.create(shelf / "doubts", name="doubts", kind=Kind.FALSE_POSITIVE)
    doubts.add([Entry(Kind.FALSE_POSITIVE, {"sha1": b"f" * 20})])
    worker = make_worker()
    desk = worker.service.desk
    view = ViewHashes("picture", PdqFamily.B, (bytes.fromhex(PDQ),), 90, 64, 64)
    prints = Fingerprints({"sha1": b"f" * 20}, (view,))

    def told() -> list[tuple[str, str | None]]:
        answer = desk.lists.matcher().match([prints])[0]

        async def tell() -> MatchAnswer:
            return desk.tell(EVERYBODY, FileQuery(prints), answer, route="scan")

        return [(match.bank, match.suppressed_by) for match in worker.do(tell()).matches]

    assert told() == [("known", "doubts/1"), ("doubts", None)]
    put(worker, "doubts", shadow=True)
    assert told() == [("known", None)]
    put(worker, "doubts", enabled=False)
    assert told() == [("known", None)]


def test_reasons_do_not_name_a_bank_that_is_out(worker: Worker) -> None:
    asked = {"hashes": [{"hash": "pdq:" + "00" * 32, "quality": 10}]}
    assert worker.ask("POST", "/v1/match", json=asked).json()["answers"][0]["reasons"] == [
        "quality 10 below 50: near match not attempted in known"
    ]
    put(worker, "known", shadow=True)
    assert worker.ask("POST", "/v1/match", json=asked).json()["answers"] == [{"matches": []}]


def test_a_bank_that_is_off_is_not_searched(worker: Worker) -> None:
    put(worker, "known", enabled=False)
    assert [bank.name for bank in worker.service.desk.lists.matcher().banks] == ["harmless"]
    put(worker, "known", shadow=True)
    assert len(worker.service.desk.lists.matcher().banks) == 2


def test_another_worker_follows_within_a_second(make_worker: Callable[..., Worker]) -> None:
    one, other = make_worker(), make_worker()
    put(one, "known", enabled=False)
    give_up_s = time.monotonic() + 5
    while banks_met(other, MD5) != [[]]:
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_settings_are_for_the_scope_admin_and_for_banks_that_are_there(make_worker: Callable[..., Worker]) -> None:
    curator = make_worker(Scope.CURATE, Scope.DETAILS, Scope.MATCH)
    assert put(curator, "known", enabled=False).status_code == 403
    assert curator.ask("GET", "/v1/banks/known/settings").status_code == 403
    admin = make_worker(Scope.ADMIN)
    assert put(admin, "nowhere", enabled=False).status_code == 404
    assert put(admin, "known", ratio=1.5).status_code == 422
    assert put(admin, "known", enable=False).status_code == 422
    assert admin.ask("GET", "/v1/banks/known/settings").json() == {"enabled": True, "ratio": 1.0, "shadow": False}


def test_a_damaged_file_of_settings_leaves_what_held_and_is_told(worker: Worker) -> None:
    put(worker, "known", enabled=False)
    (worker.options.state / "banks.json").write_text('{"known": {"enabled": ')
    give_up_s = time.monotonic() + 5
    while worker.ask("GET", "/readyz").status_code != 503:
        assert time.monotonic() < give_up_s
        time.sleep(0.05)
    assert worker.ask("GET", "/readyz").json()["reasons"] == ["settings: config"]
    assert banks_met(worker, MD5) == [[]]
    with pytest.raises(ConfigError, match="damaged"):
        Settings(worker.options.state)


def test_a_kept_file_is_as_it_was_where_the_disk_refuses_the_next(tmp_path: Path, monkeypatch: Any) -> None:
    kept = Kept(tmp_path / "file.json", list[int], [])
    kept.change(lambda before: [*before, 1])

    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        kept.change(lambda before: [*before, 2])
    monkeypatch.undo()
    assert Kept(tmp_path / "file.json", list[int], []).read() == [1]
    assert kept.change(lambda before: [*before, 3]) == [1, 3]


def test_a_state_folder_that_is_gone_leaves_what_held(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    settings.set("known", BankSettings(shadow=True))
    (tmp_path / "banks.json").unlink()
    with pytest.raises(ConfigError, match="gone"):
        settings.refresh()
    assert settings.of("known").shadow


def test_several_writers_of_a_kept_file_lose_nothing(tmp_path: Path) -> None:
    def write(name: str) -> None:
        kept = Kept(tmp_path / "file.json", dict[str, int], {})
        for number in range(10):
            kept.change(lambda before: {**before, f"{name} {number}": number})  # noqa: B023 (called at once)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Kept(tmp_path / "file.json", dict[str, int], {}).read()) == 40
