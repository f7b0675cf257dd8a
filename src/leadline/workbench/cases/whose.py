"""Whose a selector is, as far as somebody may be told. The one place that decides what is shown as a suspect's.

What any case of the office has as a victim's is shown as nobody's: to whoever may see that record as in doubt, with
both roles; to everybody else as unclear, which names no case and no role.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from django.db.models import BooleanField, ExpressionWrapper, Q

from leadline.workbench.cases.models import Selector
from leadline.workbench.cases.states import PartyRole

_VICTIM, _SUSPECT = PartyRole.VICTIM.value, PartyRole.SUSPECT.value


class Doubt(StrEnum):
    NONE = ""
    BOTH = "both"  # a victim's and a suspect's, and the viewer may see both records
    UNCLEAR = "unclear"  # a suspect's, and a victim's where the viewer may not look


def doubts_about(selectors: Sequence[Selector], seen: Q) -> list[Doubt]:
    """Of each selector, in the same order, by one query for all.

    seen  chooses the rows of cases that the viewer may see; those of `selectors` are among them
    """
    of_both = Selector.objects.filter(removed_at__isnull=True, role__in=(_VICTIM, _SUSPECT)).order_by()
    told = of_both.filter(key__in={one.key for one in selectors})
    rows = told.annotate(is_seen=ExpressionWrapper(seen, BooleanField())).values_list("key", "role", "is_seen")
    found = set(rows.distinct())
    return [_doubt(found, one) for one in selectors]


def _doubt(found: set[tuple[str, str, bool]], selector: Selector) -> Doubt:
    if {(selector.key, _VICTIM, True), (selector.key, _SUSPECT, True)} <= found:
        return Doubt.BOTH
    is_hidden = selector.role == _SUSPECT and (selector.key, _VICTIM, False) in found
    return Doubt.UNCLEAR if is_hidden else Doubt.NONE
