"""The worker: what comes round is done by one, a failure stops nobody else, a killed worker's task is done again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from leadline.errors import BankLocked, ConfigError
from leadline.workbench import worker
from leadline.workbench.journal import actions as journal
from leadline.workbench.journal.access import clock_doubts
from leadline.workbench.journal.actions import beat, claim_duty, confirm_clocks, end_duty
from leadline.workbench.journal.models import Clock, Duty, Line

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_duty_is_done_when_it_is_due_and_not_before(office: object) -> None:
    done: list[str] = []
    duties = [("often", 60.0, lambda: done.append("often"))]
    assert [worker.do_due(duties) for _ in range(3)] == [1, 0, 0]
    Duty.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert worker.do_due(duties) == 1
    assert done == ["often", "often"]


def test_one_that_fails_is_named_without_its_words_and_the_others_go_on(
    office: object, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("something that may be evidence")

    def wait() -> None:
        raise BankLocked("another writer is at work")

    done: list[str] = []
    with caplog.at_level(logging.WARNING):
        worker.do_due([("bad", 60.0, fail), ("locked", 60.0, wait), ("good", 60.0, lambda: done.append("good"))])
    assert done == ["good"]
    assert dict(Duty.objects.values_list("name", "failure")) == {"bad": "ValueError", "locked": "bank-locked", "good": ""}
    assert "evidence" not in caplog.text
    assert "ValueError" in caplog.text


def task_row(worker_id: str) -> DBTaskResult:
    return DBTaskResult.objects.create(
        task_path="made.up",
        args_kwargs={"args": [], "kwargs": {}},
        status=TaskResultStatus.RUNNING,
        started_at=timezone.now(),
        worker_ids=[worker_id],
        backend_name="default",
        queue_name="default",
        priority=0,
    )


class Ticks:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def status_of(task: DBTaskResult) -> str:
    return str(DBTaskResult.objects.get(pk=task.pk).status)


def test_a_task_of_a_worker_that_is_gone_is_done_again(office: object) -> None:
    for name in ("alive", "gone"):
        beat(worker.HEARTBEAT + name)
    theirs, ours, strange, own = (task_row(name) for name in ("gone", "alive", "never heard of", "me"))
    ticks = Ticks()
    watch = worker.Watch("me", ticks)
    assert worker.recover(watch) == 0  # nobody is dead at first sight
    ticks.s += 61
    beat(worker.HEARTBEAT + "alive")
    assert worker.recover(watch) == 2
    assert [status_of(row) for row in (theirs, strange)] == [TaskResultStatus.READY] * 2
    assert [status_of(row) for row in (ours, own)] == [TaskResultStatus.RUNNING] * 2


def test_a_worker_whose_clock_is_hours_off_is_not_dead(office: object) -> None:
    beat(worker.HEARTBEAT + "elsewhere")
    ticks = Ticks()
    watch, task = worker.Watch("me", ticks), task_row("elsewhere")
    for number in range(20):
        said = timezone.now() - timedelta(hours=5) + timedelta(seconds=10 * number)
        Duty.objects.filter(name=worker.HEARTBEAT + "elsewhere").update(ended_at=said)
        assert worker.recover(watch) == 0
        ticks.s += 10
    assert status_of(task) == TaskResultStatus.RUNNING


def test_a_worker_of_this_machine_lives_while_its_process_does_however_long_it_was_not_heard_of(office: object) -> None:
    ticks = Ticks()
    watch, task = worker.Watch("me", ticks), task_row("busy")
    with worker.held_alive("busy"):
        for _ in range(3):
            assert worker.recover(watch) == 0
            ticks.s += 1000
    assert status_of(task) == TaskResultStatus.RUNNING


def test_a_killed_worker_of_this_machine_is_known_to_be_dead_at_once(office: object, tmp_path: Path) -> None:
    task = task_row("killed")
    story = (
        "import sys, time, fcntl\nf = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    lock = worker._lock_path("killed")
    lock.parent.mkdir(exist_ok=True)
    watch = worker.Watch("me")
    with subprocess.Popen([sys.executable, "-c", story, str(lock)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "held\n"
        assert worker.recover(watch) == 0
        run.kill()
        run.wait()
    assert worker.recover(watch) == 1
    assert status_of(task) == TaskResultStatus.READY
    assert not lock.exists()


def test_what_a_worker_could_not_note_the_end_of_it_takes_up_again_itself(office: object) -> None:
    mine, theirs = task_row("me"), task_row("other")
    worker.take_up_own("me")
    assert (status_of(mine), status_of(theirs)) == (TaskResultStatus.READY, TaskResultStatus.RUNNING)


def test_every_apps_duties_are_found_and_named_once(office: object) -> None:
    names = [name for name, every_s, function in worker.all_duties() if every_s > 0 and callable(function)]
    assert len(names) == len(set(names)) == len(worker.all_duties())
    assert worker.OWN_THREAD | worker.DESTROYING <= set(names)
    destroys, repeats = ("erase", "sweep", "retention", "forget"), {"evidence.reconcile-erased"}
    assert {name for name in names if any(word in name for word in destroys)} - repeats == worker.DESTROYING


def test_a_duty_that_one_worker_is_at_is_not_begun_by_another_however_long_it_takes(office: object) -> None:
    assert claim_duty("long", 5.0, "one")
    Duty.objects.update(due_at=timezone.now() - timedelta(minutes=5))
    assert not claim_duty("long", 5.0, "two")
    assert claim_duty("long", 5.0, "one")  # it asks, so it is not at it: the database was away when it ended
    end_duty("long")
    Duty.objects.update(due_at=timezone.now() - timedelta(minutes=5))
    assert claim_duty("long", 5.0, "two")


def test_a_duty_of_a_dead_worker_is_due_at_once(office: object) -> None:
    assert claim_duty("daily", 86400.0, "gone")
    ticks = Ticks()
    watch = worker.Watch("me", ticks)
    worker.recover(watch)
    ticks.s += 61
    worker.recover(watch)
    assert claim_duty("daily", 86400.0, "me")


def test_a_daily_duty_that_failed_is_tried_again_within_five_minutes(office: object) -> None:
    def fail() -> None:
        raise BankLocked("another writer is at work")

    worker.do_due([("daily", 86400.0, fail), ("often", 5.0, fail)])
    due = dict(Duty.objects.values_list("name", "due_at"))
    assert due["daily"] <= timezone.now() + timedelta(minutes=5)
    assert due["often"] <= timezone.now() + timedelta(seconds=5)


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """clock(days=2) sets the machine's clock; its own count of seconds goes on as it does."""
    real = timezone.now

    def set_ahead(**by: float) -> None:
        for module in (journal, worker):
            monkeypatch.setattr(module.timezone, "now", lambda: real() + timedelta(**by))

    return set_ahead


def test_duties_go_on_after_the_clock_was_two_days_ahead_and_is_right_again(office: object, clock: Any) -> None:
    clock(days=2)
    assert claim_duty("matching", 5.0)
    end_duty("matching")
    clock(days=0)
    assert claim_duty("matching", 5.0)
    end_duty("matching")
    assert not claim_duty("matching", 5.0)


@pytest.mark.parametrize(("by", "doubt"), [({"days": 2}, "ahead"), ({"hours": 1}, "ahead"), ({"days": -2}, "behind")])
def test_a_clock_that_jumped_destroys_nothing_until_it_is_right_again(
    office: object, clock: Any, by: dict[str, float], doubt: str
) -> None:
    erased: list[str] = []
    duties = [("evidence.erase-expired", 300.0, lambda: erased.append("gone"))]
    assert worker.look_at_clock() == ""
    clock(**by)
    worker.do_due(duties)
    assert (erased, Duty.objects.get(name="evidence.erase-expired").failure) == ([], "clock-jumped")
    assert clock_doubts() == [doubt]
    clock(seconds=0)
    Duty.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    worker.do_due(duties)
    assert (erased, clock_doubts()) == (["gone"], [])
    acts = [line.act for line in Line.objects.order_by("line")]
    assert acts == ["clock.doubted", "clock.right-again"]


def test_a_clock_that_jumped_is_believed_when_a_person_says_so(office: object, clock: Any) -> None:
    assert worker.look_at_clock() == ""
    clock(days=2)
    assert worker.look_at_clock() == "ahead"
    assert confirm_clocks("somebody") == 1
    assert worker.look_at_clock() == ""
    assert [line.act for line in Line.objects.order_by("line")] == ["clock.doubted", "clock.confirmed"]


@pytest.mark.parametrize(("off", "doubt"), [({"hours": 20}, ""), ({"days": 3}, "ahead"), ({"hours": -1}, "behind")])
def test_across_a_start_of_the_machine_the_time_must_lie_within_a_day(
    office: object, clock: Any, off: dict[str, float], doubt: str
) -> None:
    assert journal.look_at_clock("machine", "first boot", 50_000.0) == ""
    clock(**off)
    assert journal.look_at_clock("machine", "second boot", 10.0) == doubt
    Clock.objects.filter(machine="machine").delete()


def test_a_machine_that_is_new_here_is_held_against_what_was_known(office: object, clock: Any) -> None:
    assert journal.look_at_clock("old container", "boot", 1.0) == ""
    clock(days=3)
    assert journal.look_at_clock("new container", "boot", 2.0) == "ahead"


def test_small_steps_of_the_clock_do_not_add_up_unseen(office: object, clock: Any) -> None:
    assert journal.look_at_clock("machine", "boot", 1.0) == ""
    told = []
    for number in range(1, 4):
        clock(minutes=9 * number)
        told.append(journal.look_at_clock("machine", "boot", 1.0 + number))
    assert told == ["", "ahead", "ahead"]


# --- what is told of a task ------------------------------------------------------------------------------------------


def test_no_traceback_of_a_failed_task_is_kept_and_no_result_beyond_a_week(office: object) -> None:
    worker.keep_no_tracebacks()
    task = task_row("me")
    task.set_failed(ValueError("something that may be evidence"))
    kept = DBTaskResult.objects.get(pk=task.pk)
    assert (kept.traceback, kept.exception_class_path) == ("", "builtins.ValueError")
    assert worker.forget_results() == 0
    DBTaskResult.objects.update(finished_at=timezone.now() - timedelta(days=8))
    assert worker.forget_results() == 1


# --- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_while_a_long_duty_runs_the_heart_beats_and_lists_are_matched(
    office: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(worker, "_POLL_S", 0.05)
    release, begun, matched = threading.Event(), threading.Event(), threading.Event()

    def take_long() -> None:
        begun.set()
        release.wait(60)

    duties = [("reports.overdue", 600.0, take_long), ("evidence.match-changes", 0.1, matched.set)]
    stopping = threading.Event()
    threads = worker.start_threads("me", stopping, duties)
    try:
        assert begun.wait(20)
        for _ in range(2):
            matched.clear()
            beaten = Duty.objects.filter(name=worker.HEARTBEAT + "me").values_list("ended_at", flat=True).first()
            assert matched.wait(20)
            deadline = time.monotonic() + 20
            while Duty.objects.filter(name=worker.HEARTBEAT + "me", ended_at=beaten).exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert Duty.objects.get(name="reports.overdue").held_by == "me"
    finally:
        release.set()
        stopping.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


# --- a start alone ---------------------------------------------------------------------------------------------------


def test_a_worker_that_is_started_alone_makes_no_office_and_no_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADLINE_", "DATABASE_URL"))}
    run = subprocess.run(
        [sys.executable, "-m", "leadline.workbench.worker"],
        env=kept | {"LEADLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert "key" in run.stderr
    assert not (home / "keys" / "instance.key").exists()


def test_a_worker_refuses_a_home_that_others_can_read(office: Any, settings: Any) -> None:
    worker.check_office()
    settings.LEADLINE_HOME.chmod(0o755)
    with pytest.raises(ConfigError):
        worker.check_office()
