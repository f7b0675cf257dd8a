"""The urgency of a report is explained anew when the banks say something else of what it points at."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import Channel, Kind, Urgency
from leadline.workbench.reports.acts.arrival import set_urgency
from leadline.workbench.reports.acts.telling import tell
from leadline.workbench.reports.models import Alert, Followed, Item, Report
from leadline.workbench.reports.urgency import ALERTS_FROM, CLAIMED, explain_urgency


@transaction.atomic
def explain_again(report_id: Any, reason: str = "list-changed") -> bool:
    """Whether anything about it is other than before. What was urgent enough to alert somebody alerts now."""
    report = Report.objects.select_for_update().get(pk=report_id)
    ticks = [Urgency(tick) for tick in report.urgency_ticks]
    claimed = [Kind(code.removeprefix(CLAIMED)) for code, _ in report.urgency_why if code.startswith(CLAIMED)]
    urgency = explain_urgency(ticks, Channel(report.channel), _kinds_of(report), claimed)
    if [list(pair) for pair in urgency.why] == report.urgency_why:
        return False
    before = report.urgency
    set_urgency(report, urgency)
    report.save(update_fields=["urgency", "rank", "urgency_why"])
    if report.is_open and before < ALERTS_FROM <= report.urgency:
        Alert.objects.get_or_create(report=report, defaults={"raised_at": timezone.now()})
    details = {"from": before, "to": report.urgency, "why": [code for code, _ in urgency.why]}
    tell("report.urgency", None, report, reason=reason, details=details)
    return True


def _kinds_of(report: Report) -> Collection[Kind]:
    """Of its own files and hashes, and of files that other reports brought of the same things."""
    own = set(report.items.exclude(kind_met="").values_list("kind_met", flat=True))
    keys = list(report.items.exclude(key="").values_list("key", flat=True))
    for begin in range(0, len(keys), 500):
        same = Item.objects.filter(key__in=keys[begin : begin + 500], asset__isnull=False)
        own |= set(same.exclude(asset__inferred_kind="").values_list("asset__inferred_kind", flat=True))
    return {Kind(kind) for kind in own}


def note_followed(name: str, line: int) -> None:
    Followed.objects.update_or_create(name=name, defaults={"line": line})
