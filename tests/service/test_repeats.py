"""Idempotency keys: done once, answered the same, also where a worker is killed in between."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests import forking
from tests.match.conftest import Clock
from tests.service.conftest import Worker
from tests.service.test_curating import add, md5

from leadline.errors import BankLocked, RequestRefused
from leadline.match.bank import Bank
from leadline.service.kept import hold
from leadline.service.repeats import KEPT_S, Repeats

KEY = {"idempotency-key": "one"}
ENTRIES = [{"hashes": {"md5": md5(number)}} for number in (1, 2, 2)] + [{"hashes": {"md5": "bad"}}]


def entries_of(worker: Worker, bank: str = "known") -> list[int]:
    return [entry["id"] for entry in worker.ask("GET", f"/v1/banks/{bank}/entries").json()["entries"]]


def test_the_same_key_and_body_is_answered_the_same_and_done_once(worker: Worker) -> None:
    first = add(worker, *ENTRIES, headers=KEY)
    assert first.json()["added"] == 3
    add(worker, {"hashes": {"md5": md5(9)}})
    assert add(worker, *ENTRIES, headers=KEY).content == first.content
    assert entries_of(worker) == [7, 8, 9, 10, 11, 12]


def test_the_same_key_with_another_body_is_refused(worker: Worker) -> None:
    add(worker, *ENTRIES, headers=KEY)
    told = add(worker, ENTRIES[0], headers=KEY)
    assert (told.status_code, told.json()["code"]) == (409, "key-reused")
    assert worker.ask("POST", "/v1/banks/known/remove", json={"ids": [7]}, headers=KEY).status_code == 409
    assert entries_of(worker) == [7, 8, 9, 10, 11]
    assert add(worker, ENTRIES[0], headers={"idempotency-key": "x" * 201}).status_code == 422


def test_what_was_refused_as_a_whole_uses_no_key_up(worker: Worker) -> None:
    assert add(worker, bank="known", headers=KEY).status_code == 422
    assert add(worker, ENTRIES[0], bank="nowhere", headers=KEY).status_code == 404
    assert add(worker, ENTRIES[0], headers=KEY).json()["added"] == 1


def test_removals_changes_and_new_banks_are_answered_the_same_too(worker: Worker) -> None:
    for method, path, body in (
        ("POST", "/v1/banks/known/remove", {"ids": [8, 99]}),
        ("PATCH", "/v1/banks/known/entries/7", {"note": "n"}),
        ("POST", "/v1/banks", {"name": "new", "kind": "other"}),
    ):
        first = worker.ask(method, path, json=body, headers={"idempotency-key": path})
        again = worker.ask(method, path, json=body, headers={"idempotency-key": path})
        assert (first.is_success, again.status_code, again.content) == (True, first.status_code, first.content)
    assert worker.ask("GET", "/v1/banks/known").json()["list_version"] == 4


CUT = """
import os, sys
from pathlib import Path
import msgspec
from leadline.domain import Kind
from leadline.service import repeats
from leadline.service.acts import Act, Acts
from leadline.service.curation import Curation
from leadline.service.entries import EntryChange
from leadline.service.lists import Lists
from leadline.service.shelving import NewBank

shelf, state, what, when = sys.argv[1:]
lists = Lists((), shelf=Path(shelf))
curation = Curation(lists, Acts(Path(state)))
if when == "never":
    pass
elif when == "after":  # the bank was changed, the answer is not kept
    repeats.Turn.finish = lambda turn, reply: os.kill(os.getpid(), 9)
else:  # the plan is kept, the bank not changed
    kept = repeats.Turn.begin
    repeats.Turn.begin = lambda turn, plan: (kept(turn, plan), os.kill(os.getpid(), 9))
act = Act("token", what, "new" if what == "make" else "known", "key", b"body")
if what == "add":
    raws = [msgspec.Raw(b'{"hashes":{"md5":"%032x"}}' % number) for number in (1, 2, 2)]
    reply = curation.add(act, raws)
elif what == "remove":
    reply = curation.remove(act, [7, 99], [])
elif what == "change":
    reply = curation.change(act, 7, EntryChange(note="n"))
else:
    reply = curation.make_bank(act, NewBank("new", Kind.OTHER))
if when != "never":
    sys.exit("it was to be killed")
"""


def run(shelf: Path, state: Path, what: str, when: str) -> int:
    return forking.run(["-c", CUT, str(shelf), str(state), what, when], env=os.environ, timeout_s=60).returncode


def contents(shelf: Path) -> dict[str, Any]:
    return {
        path.name: (bank.list_version, sorted((entry.id, entry.note) for entry in bank.entries()))
        for path in shelf.iterdir()
        if (bank := Bank.open(path)).verify() == []
    }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["add", "remove", "change", "make"])
def test_a_worker_that_is_killed_in_between_has_done_it_once(
    shelf: Path, tmp_path: Path, what: str, when: str
) -> None:
    state = tmp_path / "state"
    assert run(shelf, state, what, when) == -9
    cut = contents(shelf)
    assert run(shelf, state, what, "never") == 0
    done = contents(shelf)
    if when == "after":
        assert done == cut, "the second try changed nothing"
    assert run(shelf, state, what, "never") == 0
    assert contents(shelf) == done
    known = [(7, ""), (8, "")]
    wanted = {
        "add": [*known, (9, ""), (10, ""), (11, "")],
        "remove": [(8, "")],
        "change": [(7, "n"), (8, "")],
        "make": known,
    }
    assert done["known"][1] == wanted[what]
    assert ("new" in done) == (what == "make")


def test_an_addition_that_was_cut_off_is_told_by_its_own_ids_though_others_wrote_since(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("leadline.service.repeats.Turn.finish", lambda turn, reply: None)
        first = add(worker, *ENTRIES, headers=KEY).json()
    add(worker, *ENTRIES)
    worker.ask("POST", "/v1/banks/known/remove", json={"ids": [first["ids"][1]]})
    again = add(worker, *ENTRIES, headers=KEY).json()
    assert again["ids"][0] == first["ids"][0]
    assert again["added"] == 3
    assert [refusal["index"] for refusal in again["refused"]] == [3]


def test_a_disk_that_is_full_after_the_change_costs_no_answer(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(turn: Any, reply: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("leadline.service.repeats.Turn.finish", full)
        assert add(worker, *ENTRIES, headers=KEY).json()["ids"] == [9, 10, 11, None]
    assert add(worker, *ENTRIES, headers=KEY).json()["ids"] == [9, 10, 11, None]


def test_a_disk_that_is_full_before_it_changes_nothing(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(turn: Any, plan: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("leadline.service.repeats.Turn.begin", full)
        told = add(worker, *ENTRIES, headers=KEY)
    assert (told.status_code, told.json()["detail"]) == (503, "nothing was changed: No space left on device")
    assert entries_of(worker) == [7, 8]


def test_keys_are_kept_for_seven_days(tmp_path: Path) -> None:
    clock = Clock(int(time.time()))
    repeats = Repeats(tmp_path, clock=clock)
    for key in ("old", "new"):
        with repeats.turn("token", key, b"body") as turn:
            turn.begin({})
    old = next(path for path in tmp_path.glob("*/*.json"))
    os.utime(old, (clock.now - KEPT_S + 60, clock.now - KEPT_S + 60))
    assert repeats.prune() == 0
    clock.now += 120
    assert repeats.prune() == 1
    assert not old.exists()


def test_two_requests_of_one_key_are_not_at_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.service.repeats._WAIT_S", 0.05)
    repeats = Repeats(tmp_path)
    with repeats.turn("token", "key", b"body"):
        with pytest.raises(BankLocked), repeats.turn("token", "key", b"body"):
            pass
        with repeats.turn("other", "another key", b"body"):
            pass
    with repeats.turn("token", "key", b"body") as turn:
        turn.begin({})
    with pytest.raises(RequestRefused, match="another request's"), repeats.turn("token", "key", b"other"):
        pass


def test_a_lock_is_let_go_when_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="so"), hold(tmp_path / "lock"):
        raise ValueError("so")
    with hold(tmp_path / "lock", wait_s=0):
        pass
