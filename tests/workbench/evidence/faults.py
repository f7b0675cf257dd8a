"""One process of an office that is killed, starved or crowded; run by test_faults.py, never collected."""

from __future__ import annotations

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

from leadline.workbench import receiving
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.acts import arrival, bags, exhibits, telling
from leadline.workbench.evidence.models import Asset, Exhibit
from leadline.workbench.journal import actions as journal


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
    "hash": lambda: die_after(journal, "hash_event"),
    "piece": lambda: die_after(receiving.Received, "feed"),
    "sealed": lambda: die_after(receiving.Received, "keep"),
    "nowhere": lambda: None,
}
BUILD_POINTS: dict[str, Callable[[], None]] = {
    "bag": lambda: die_after(bags, "build_exhibit"),
    "pack": lambda: die_after(bags, "_publish"),
    "note": lambda: die_after(exhibits, "note_built"),
}


def main(what: str, argument: str) -> None:
    if what == "take":
        POINTS[argument]()
        asset = actions.take_in(draw_png(7), actor="somebody", source="test")
        print(asset.pk, flush=True)
    elif what == "set-back":
        real = timezone.now()
        for days in (0, int(argument), -int(argument)):
            timezone.now = lambda days=days: real + timedelta(days=days)
            print(actions.take_in(f"made up {days}".encode(), actor="somebody", source="test").pk, flush=True)
    elif what == "many":
        for number in range(6):
            actions.take_in(f"{argument} {number}".encode(), actor=argument, source="test")
    elif what == "starve":
        actions.take_in(os.urandom(64), actor="somebody", source="test")  # the sandbox's memory counts as a file too
        grown = max(p.stat().st_size for p in Path(os.environ["LEADLINE_HOME"]).glob("leadline.sqlite3*"))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (grown + int(argument), resource.RLIM_INFINITY))
        while True:
            actions.take_in(os.urandom(64), actor="somebody", source="test")
            print(Asset.objects.order_by("-received_at").first(), flush=True)
    elif what == "build":
        BUILD_POINTS[argument]()
        tasks.build.call(str(Exhibit.objects.get().pk))


if __name__ == "__main__":
    main(*sys.argv[1:])
