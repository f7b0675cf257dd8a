"""What the journeys of quality do inside a running office's house: two people who differ, a golden item to answer.

`python -m tests.journeys.inside_quality FUNCTION ARGUMENTS-AS-JSON` prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def prepare(lead: str, first: str, second: str) -> dict[str, str]:
    """A pair of answers that differ in one question, and an item of a golden set that nobody has answered."""
    from tests.journeys.filled import ANSWERS, decide, sorted_in

    from leadline.workbench import matching
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.evidence.access import MEDIA_MODE
    from leadline.workbench.quality import actions
    from leadline.workbench.quality.models import Pair

    leading = Person.objects.get(pk=lead)
    set_office_setting(leading, MEDIA_MODE, "keep", "a journey")
    shown = sorted_in(4)
    for person, said in ((first, "drawn"), (second, "generated")):
        decide(Person.objects.get(pk=person), shown, {**ANSWERS, "depiction": [said]})
    actions.pair_up()
    item = actions.put_in(leading, actions.make_set(leading, "Drawn scenes"), sorted_in(3))
    matching.close_engine()
    return {"pair": str(Pair.objects.get().pk), "item": str(item.pk)}


def looks() -> list[list[str]]:
    """Of each look on record: who, how much, why."""
    from leadline.workbench.review.models import Exposure

    rows = Exposure.objects.order_by("issued_at").values_list("person__name", "level", "purpose")
    return [list(row) for row in rows]


def states() -> dict[str, str]:
    from leadline.workbench.quality.models import GoldenItem, Pair

    return {"pair": Pair.objects.get().state, "answers": str(GoldenItem.objects.get().answers.count())}


def main(function: str, arguments: str) -> Any:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    import django

    django.setup()
    return globals()[function](**json.loads(arguments))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
