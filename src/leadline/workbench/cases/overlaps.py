"""Whether another case holds the same thing, and what a person may be told of that. Writes nothing.

Exact only: the same file or one of the same cluster, the same report or item, the same selector. To whoever may not
see the other case it says that there is one, not which, not what the two have in common, and not how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from leadline.domain import Tlp
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access
from leadline.workbench.cases.models import Case, Selector, Thing
from leadline.workbench.reports.models import Item
from leadline.workbench.review.models import Member as ClusterMember

SHOWN_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Hint:
    """Another case that this person may see holds the same; `kinds`: report, item, asset, selector."""

    case: Case
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hints:
    """`is_hidden_one`: there is one at least that this person may not see. `asked`: when they asked its lead, and what
    the answer was, each once: not even how many others there are is told."""

    seen: tuple[Hint, ...]
    is_hidden_one: bool
    asked: tuple[tuple[datetime, str], ...]
    can_ask: bool


def hints_for(actor: Actor, case: Case) -> Hints:
    kinds = overlaps(case)
    visible = {one.pk: one for one in access.visible_cases(actor).filter(pk__in=list(kinds))}
    seen = [Hint(one, tuple(sorted(kinds[one.pk]))) for one in visible.values()]
    seen.sort(key=lambda hint: hint.case.number)
    hidden = _hidden(actor, kinds)
    asked = set(case.asked.filter(asked_by=actor.person).values_list("asked_at", "answer"))
    waiting = set(case.asked.filter(answered_at__isnull=True).values_list("to_case", flat=True))
    can_ask = any(pk not in waiting for pk in hidden)
    return Hints(tuple(seen[:SHOWN_AT_MOST]), bool(hidden), tuple(sorted(asked)), can_ask)


def _hidden(actor: Actor, others: Iterable[Any]) -> list[Any]:
    """Of these cases those whose lead may be asked by somebody who may not see them."""
    rest = Case.objects.filter(pk__in=list(others)).exclude(pk__in=access.visible_cases(actor).values("pk"))
    if not access.red_gives_hints():
        rest = rest.exclude(tlp=Tlp.RED.value)
    return list(rest.order_by("number").values_list("pk", flat=True))


def hidden_from(actor: Actor, case: Case) -> list[Any]:
    return _hidden(actor, overlaps(case))


def overlaps(case: Case) -> dict[Any, set[str]]:
    """Every other case that holds something of this one, and of what kinds."""
    found: dict[Any, set[str]] = {}
    for kind, cases in _found(case):
        for pk in cases:
            if pk != case.pk:
                found.setdefault(pk, set()).add(kind)
    return found


def _found(case: Case) -> Iterator[tuple[str, Iterable[Any]]]:
    things = access.live_things(case)
    others = Thing.objects.filter(removed_at__isnull=True).exclude(case=case)
    yield from (("asset", _cases(rows)) for rows in _same_files(things, others))
    reports = things.filter(report__isnull=False).values("report")
    yield "report", _cases(others.filter(report__in=reports))
    for items in (Item.objects.filter(report__in=reports), _items(things)):
        keys = items.exclude(key="").values("key")
        yield from (("item", _cases(rows)) for rows in _holding(others, Item.objects.filter(key__in=keys)))
        yield "selector", _selectors(case, keys)
    own = case.selectors.filter(removed_at__isnull=True).values("key")
    yield "selector", _selectors(case, own)
    yield from (("selector", _cases(rows)) for rows in _holding(others, Item.objects.filter(key__in=own)))


def _holding(things: QuerySet[Thing], items: QuerySet[Item]) -> Iterator[QuerySet[Thing]]:
    """Those that are one of the items, or its report. Not joined: SQLite would go through all things there are."""
    yield things.filter(item__in=items.values("pk"))
    yield things.filter(report__in=items.values("report"))


def _items(things: QuerySet[Thing]) -> QuerySet[Item]:
    return Item.objects.filter(pk__in=things.filter(item__isnull=False).values("item"))


def _same_files(things: QuerySet[Thing], others: QuerySet[Thing]) -> Iterator[QuerySet[Thing]]:
    """Each way that a file can be in one case with each in another: a query each, for no planner takes all at once.

    Files that lie in a case by themselves can be a hundred thousand. What holds files is few: there it begins.
    """
    yield others.filter(asset__in=things.filter(asset__isnull=False).values("asset"))
    of_item = Exists(things.filter(asset=OuterRef("asset")))
    yield others.filter(Exists(things.filter(asset__membership__cluster=OuterRef("cluster"))), cluster__isnull=False)
    yield others.filter(Exists(things.filter(asset=OuterRef("item__asset"))), item__isnull=False)
    yield others.filter(
        Exists(Item.objects.filter(of_item, report=OuterRef("report"), asset__isnull=False)), report__isnull=False
    )
    for assets in _held(things):
        yield others.filter(asset__in=assets)
        yield others.filter(cluster__in=ClusterMember.objects.filter(asset__in=assets).values("cluster"))
        yield from _holding(others, Item.objects.filter(asset__in=assets))


def _held(things: QuerySet[Thing]) -> Iterator[QuerySet[Any, Any]]:
    """Files that a case holds through something else."""
    clusters = things.filter(cluster__isnull=False).values("cluster")
    yield ClusterMember.objects.filter(cluster__in=clusters).values("asset")
    yield _items(things).filter(asset__isnull=False).values("asset")
    reports = things.filter(report__isnull=False).values("report")
    yield Item.objects.filter(report__in=reports, asset__isnull=False).values("asset")


def _cases(things: QuerySet[Thing]) -> Iterable[Any]:
    """Each once, but not by the database: to have them in order SQLite goes through all things there are."""
    return set(things.order_by().values_list("case", flat=True))


def _selectors(case: Case, keys: QuerySet[Any, Any]) -> Iterable[Any]:
    same = Selector.objects.filter(key__in=keys, removed_at__isnull=True).exclude(case=case)
    return set(same.order_by().values_list("case", flat=True))
