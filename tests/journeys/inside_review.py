"""What the journeys of review do inside a running office's house: benign pictures that arrive.

`python -m tests.journeys.inside_review FUNCTION ARGUMENTS-AS-JSON` prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO
from typing import Any


def picture(seed: int, quality: int = 0) -> bytes:
    """A photograph where `make bench-data` installed as many, else a drawn scene, as PNG; with a quality as JPEG, a
    near-duplicate of the same."""
    from PIL import Image

    from leadline.media.photos import find_photos
    from leadline.media.scenes import draw_scene

    out, photos = BytesIO(), find_photos()
    drawn = Image.fromarray(draw_scene(seed, 400, 300))
    if seed < len(photos):
        with Image.open(photos[seed].path) as photo:
            drawn = photo.convert("RGB").resize((400, 300))
    drawn.save(out, "JPEG", quality=quality) if quality else drawn.save(out, "PNG")
    return out.getvalue()


def arrive(person: str, singles: int, copies: int) -> list[str]:
    """`singles` different pictures, and one more with `copies` in all; kept and sorted. The ids of the reviews."""
    from leadline.workbench import matching
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.evidence.access import MEDIA_MODE
    from leadline.workbench.evidence.actions import take_in
    from leadline.workbench.review.models import Review
    from leadline.workbench.review.tasks import sort_all

    set_office_setting(Person.objects.get(pk=person), MEDIA_MODE, "keep", "a journey")
    drawn = [picture(seed) for seed in range(1, singles + 1)]
    drawn += [picture(singles + 1, quality) for quality in [0, *range(40, 40 + 4 * (copies - 1), 4)]]
    for number, data in enumerate(drawn):
        take_in(data, actor="system", source="journey", name=f"{number}.png")
    sort_all()
    matching.close_engine()
    return [str(pk) for pk in Review.objects.values_list("pk", flat=True)]


def move(films: list[list[int]], person: str) -> list[str]:
    """Animations of drawn scenes arrive, kept and sorted, in an office that says whose law is its own. The ids of their
    reviews."""
    from django.db import IntegrityError
    from PIL import Image

    from leadline.media.scenes import draw_scene
    from leadline.workbench import matching
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.evidence.actions import take_in
    from leadline.workbench.laws.access import OWN_COUNTRY
    from leadline.workbench.review.models import Review
    from leadline.workbench.review.tasks import sort_all

    set_office_setting(Person.objects.get(pk=person), OWN_COUNTRY, "DE", "a journey")
    assets = []
    for seeds in films:
        out, (first, *others) = BytesIO(), [Image.fromarray(draw_scene(seed, 400, 300)) for seed in seeds]
        first.save(out, "PNG", save_all=True, append_images=others, duration=500)
        assets.append(take_in(out.getvalue(), actor="system", source="journey", name="moving.png"))
    try:
        sort_all()
    except IntegrityError:  # the office's worker was at the same file just then
        sort_all()
    matching.close_engine()
    return [str(Review.objects.get(cluster__centre=asset).pk) for asset in assets]


def acts(person: str) -> dict[str, Any]:
    """What this person did to reviews, as journal and tables have it: of each act the review or assessment."""
    from leadline.workbench.journal.models import Line
    from leadline.workbench.review.models import Review, Skip

    lines = Line.objects.filter(actor=person, act__regex=r"^(review|assessment)\.").order_by("line")
    return {
        "lines": [line.act for line in lines],
        "skipped": [str(pk) for pk in Skip.objects.filter(person=person).values_list("review", flat=True)],
        "escalated": [str(pk) for pk in Review.objects.filter(state="escalated").values_list("pk", flat=True)],
        "colour": [row["level"] for row in ledger() if row["colour"]],
    }


def ledger() -> list[dict[str, Any]]:
    from leadline.workbench.review.models import Exposure

    rows = Exposure.objects.select_related("person").order_by("issued_at")
    return [
        {"by": row.person.name, "level": row.level, "view": row.view, "seconds": row.seconds, "areas": row.areas}
        | {"colour": row.in_colour}
        for row in rows
    ]


def decisions() -> list[dict[str, Any]]:
    from leadline.workbench.review.models import Assessment

    rows = Assessment.objects.select_related("by").order_by("made_at")
    told = []
    for row in rows:
        said = {"id": str(row.pk), "by": row.by.name, "standing": row.standing}
        told.append(said | {"answers": row.answers, "files": row.coverage.count()})
    return told


def bank_entry(assessment: str, proposer: str, confirmer: str) -> int:
    """What was assessed becomes an entry of the office's own bank, by two people; how many entries it has then."""
    from leadline.domain import Kind
    from leadline.workbench.accounts.models import Person
    from leadline.workbench.actors import Actor
    from leadline.workbench.banks import actions as banks
    from leadline.workbench.review import actions

    one, two = (Actor.of_person(Person.objects.get(pk=pk)) for pk in (proposer, confirmer))
    bank = banks.create_bank(one, "own", kind=Kind.ILLEGAL, reason="own-list")
    banks.confirm(two, actions.propose_entry(one, assessment, "own", Kind.ILLEGAL).proposal)
    bank.refresh()
    return bank.count


def entries() -> int:
    from leadline.workbench.banks.access import all_banks

    return sum(bank.count for bank in all_banks())


def main(function: str, arguments: str) -> Any:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    import django

    django.setup()
    return globals()[function](**json.loads(arguments))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
