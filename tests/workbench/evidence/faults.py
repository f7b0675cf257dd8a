"""One process of an office that is killed, starved or crowded; run by test_faults.py, never collected.

Each says first what it finds, as one line of JSON: what the process before it left. To start one costs a second.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django.utils import timezone
from tests.workbench.evidence.conftest import draw_png

from leadline.custody.chain import encode_line, find_fault
from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind
from leadline.workbench import receiving
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.acts import arrival, bags, exhibits, telling
from leadline.workbench.evidence.models import Asset, Exhibit, MediaMode
from leadline.workbench.journal import actions as journal
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_after(module: Any, name: str, calls: int = 1) -> None:
    real: Callable[..., Any] = getattr(module, name)
    left = [calls]

    def run(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        left[0] -= 1
        if not left[0]:
            die()
        return answer

    setattr(module, name, run)


POINTS: dict[str, Callable[[], None]] = {
    "row": lambda: die_after(arrival, "_row_of"),
    "matches": lambda: die_after(arrival, "write_changes"),
    "line": lambda: die_after(telling, "record"),
    "last-line": lambda: die_after(telling, "record", 2),
    "hash": lambda: die_after(journal, "next_event"),
    "piece": lambda: die_after(receiving.Received, "feed"),
    "sealed": lambda: die_after(receiving.Received, "keep"),
    "nowhere": lambda: None,
}
BUILD_POINTS: dict[str, Callable[[], None]] = {
    "bag": lambda: die_after(bags, "build_exhibit"),
    "pack": lambda: die_after(bags, "_publish"),
    "note": lambda: die_after(exhibits, "note_built"),
    "nowhere": lambda: None,
}


def find() -> dict[str, Any]:
    lines = list(Line.objects.order_by("line"))
    numbers = {str(pk): number for pk, number in Report.objects.values_list("pk", "number")}
    return {
        "fault": str(find_fault([encode_line(journal.event_of(line)) for line in lines])),
        "assets": sorted(str(pk) for pk in Asset.objects.values_list("pk", flat=True)),
        "told": sorted(line.object_id for line in lines if line.act == "asset.received"),
        "reports": sorted(numbers.values()),
        "told_reports": sorted(numbers.get(line.object_id, "none") for line in lines if line.act == "report.received"),
        "acts": [line.act for line in lines],
        "exhibits": list(Exhibit.objects.values_list("state", flat=True)),
    }


def keep() -> None:
    person = Person.objects.create(email="head@example.org", name="head")
    actions.set_media_mode(person, MediaMode.KEEP, "made-up law, section 1", retention_days=30)


def ask_exhibit() -> None:
    asset = actions.take_in(b"made up", actor="somebody", source="test")
    people = [Person.objects.create(email=f"{n}@example.org", name=n) for n in ("one", "two")]
    exhibit = actions.request_exhibit(people[0], [asset], recipient="Made-up court", reason="court-order")
    actions.decide_exhibit(people[1], exhibit, release=True, reason="checked")


def receive(said: str) -> str:
    """A report of two items, one of which every report has; its number."""
    items = tuple(IncomingItem(ItemKind.URL, f"https://example.org/{end}") for end in (said, "every-time"))
    return reports.receive(IncomingReport(Channel.API, items, text=said), channel=Channel.API, actor="w").report.number


def starve(free_bytes: int) -> None:
    actions.take_in(os.urandom(64), actor="somebody", source="test")  # the sandbox's memory counts as a file too
    grown = max(p.stat().st_size for p in Path(os.environ["LEADLINE_HOME"]).glob("leadline.sqlite3*"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (grown + free_bytes, resource.RLIM_INFINITY))
    for number in itertools.count():
        print(actions.take_in(os.urandom(64), actor="somebody", source="test").pk, flush=True)
        print(receive(str(number)), flush=True)


def set_back(days: int) -> None:
    real = timezone.now()
    for ahead in (0, days, -days):
        timezone.now = lambda ahead=ahead: real + timedelta(days=ahead)
        print(actions.take_in(f"made up {ahead}".encode(), actor="somebody", source="test").pk, flush=True)
        print(receive(str(ahead)), flush=True)


def main(*acts: str) -> None:
    """Each act is a word, or a word and its argument: take=row."""
    print(json.dumps(find()), flush=True)
    for act in acts:
        what, _, argument = act.partition("=")
        if what == "keep":
            keep()
        elif what == "take":
            POINTS[argument]()
            print(actions.take_in(draw_png(7), actor="somebody", source="test").pk, flush=True)
        elif what == "set-back":
            set_back(int(argument))
        elif what == "many":
            for number in range(6):
                actions.take_in(f"{argument} {number}".encode(), actor=argument, source="test")
        elif what == "starve":
            starve(int(argument))
        elif what == "ask-exhibit":
            ask_exhibit()
        elif what == "build":
            BUILD_POINTS[argument]()
            tasks.build.call(str(Exhibit.objects.get().pk))
        elif what == "find":
            print(json.dumps(find()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
