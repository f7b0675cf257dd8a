"""The worker: what comes round is done by one, a failure stops nobody else, a killed worker's task is done again."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from leadline.errors import BankLocked
from leadline.workbench import worker
from leadline.workbench.journal.actions import beat
from leadline.workbench.journal.models import Duty

pytestmark = pytest.mark.django_db


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


def test_a_task_of_a_worker_that_is_gone_is_done_again(office: object) -> None:
    beat(worker.HEARTBEAT + "alive")
    beat(worker.HEARTBEAT + "gone")
    Duty.objects.filter(name=worker.HEARTBEAT + "gone").update(ended_at=timezone.now() - timedelta(minutes=2))
    theirs, ours, strange = task_row("gone"), task_row("alive"), task_row("never heard of")
    assert worker.recover_lost_tasks() == 2
    status = {row.pk: row.status for row in DBTaskResult.objects.all()}
    assert status[theirs.pk] == status[strange.pk] == TaskResultStatus.READY
    assert status[ours.pk] == TaskResultStatus.RUNNING


def test_every_apps_duties_are_found_and_named_once(office: object) -> None:
    names = [name for name, every_s, function in worker.all_duties() if every_s > 0 and callable(function)]
    assert len(names) == len(set(names)) == len(worker.all_duties())
