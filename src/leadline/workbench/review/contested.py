"""What an appeal names -> the assessments in force that it may contest. Read by the worker, never in an answer.

Files by a hash, by a link or an account that reports point at, by a report's number, or by the assessment's own. Exact
only: whoever appeals knows what was decided about them. Writes nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Q

from leadline.domain import EXACT_ALGORITHMS, IncomingItem, ItemKind
from leadline.errors import HashFormatError, HashRefused
from leadline.exchange.base import parse_hash
from leadline.workbench.evidence.models import Asset
from leadline.workbench.reports import contents, keys
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review.models import Assessment, Standing

MOST = 20  # decisions that one appeal opens: who names a thousand is answered by a person
ASSESSMENT = "assessment"  # the fact of an appeal that names one
_FILES_AT_MOST = 500
_NUMBER = re.compile(r"\bR-\d{4}-\d{6}\b", re.IGNORECASE)
_COLUMNS = (*EXACT_ALGORITHMS, "pdq")


def contested_by(appeal: Report) -> list[Assessment]:
    """Oldest first, at most MOST."""
    named = list(_assets_of(appeal))
    by_file = Q(cluster__members__asset__in=named)
    found = Assessment.objects.filter(by_file | Q(cluster__in=_named_cluster(appeal)), standing=Standing.IN_FORCE.value)
    return list(found.distinct().order_by("made_at", "id")[:MOST])


def _named_cluster(appeal: Report) -> list[Any]:
    """Of the assessment that it names by number, also one that was revised meanwhile."""
    facts = contents.open_json(appeal.facts_sealed, contents.facts_context(appeal.pk)) or {}
    try:
        asked = uuid.UUID(str(facts.get(ASSESSMENT, "")))
    except ValueError:
        return []
    return list(Assessment.objects.filter(pk=asked).values_list("cluster", flat=True))


def _assets_of(appeal: Report) -> Iterator[Any]:
    for item in appeal.items.all():
        for payload in contents.open_json(item.value_sealed, contents.item_context(item.pk)) or []:
            yield from _named(ItemKind(item.kind), str(payload.get("value", "")), payload.get("facts") or {})


def _named(kind: ItemKind, value: str, facts: dict[str, Any]) -> Iterable[Any]:
    if kind is ItemKind.HASH:
        return _by_hash(value)
    if kind in (ItemKind.URL, ItemKind.ACCOUNT):
        key = keys.item_key(IncomingItem(kind, value, facts=facts)).key
        return _of_reports(Q(items__key=key)) if key else ()
    numbers = [number.upper() for number in _NUMBER.findall(value)]
    return _of_reports(Q(number__in=numbers)) if numbers else ()


def _by_hash(value: str) -> Iterable[Any]:
    try:
        prints = parse_hash(value)
    except (HashFormatError, HashRefused):
        return ()
    wanted = Q(pk__in=())
    for name, digest in prints.items():
        if name in _COLUMNS:
            wanted |= Q(**{name: digest.hex()})
    return Asset.objects.filter(wanted).values_list("pk", flat=True)[:_FILES_AT_MOST]


def _of_reports(which: Q) -> Iterable[Any]:
    """Files of the reports that point there; an appeal is none of them."""
    reports = Report.objects.filter(which, is_appeal=False)
    files = Item.objects.filter(report__in=reports.values("pk"), asset__isnull=False)
    return files.values_list("asset", flat=True)[:_FILES_AT_MOST]
