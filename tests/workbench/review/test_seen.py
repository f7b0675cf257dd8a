"""What is said to have been viewed is what the ledger of looks says: for every level, purpose and number of people."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from html import unescape
from itertools import product
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import actions as cases
from leadline.workbench.evidence import access as evidence_access
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.permissions import Role
from leadline.workbench.review import access
from leadline.workbench.review.models import Exposure, Purpose, Review, Shift

pytestmark = pytest.mark.django_db

WHOLE, HALF, OTHER_HALF = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 0.5, 1.0]
QUARTER, MORE = [0.5, 0.0, 0.25, 1.0], [0.5, 0.0, 0.26, 1.0]  # with HALF: just three quarters, and more
Looks = Sequence[tuple[str, list[list[float]]]]
# The looks; what they are where one person had them; where the first was one person's and the others another's.
LEDGERS: dict[str, tuple[Looks, str, str]] = {
    "none": ((), "not-viewed", "not-viewed"),
    "a lens that was granted, and nothing sent": ((("lens", []),), "not-viewed", "not-viewed"),
    "a whole that was granted, and nothing sent": ((("whole", []),), "not-viewed", "not-viewed"),
    "a tile": ((("tile", []),), "tile-only", "tile-only"),
    "a tile, and a grant that sent nothing": ((("tile", []), ("whole", [])), "tile-only", "tile-only"),
    "a lens": ((("lens", [HALF]),), "part", "part"),
    "a lens after a tile": ((("tile", []), ("lens", [QUARTER])), "part", "part"),
    "a tile after a lens": ((("lens", [QUARTER]), ("tile", [])), "part", "part"),
    "lenses over three quarters": ((("lens", [HALF, QUARTER]),), "part", "part"),
    "lenses over more than three quarters": ((("lens", [HALF, MORE]),), "whole", "whole"),
    "lenses of two grants over three quarters": ((("lens", [HALF]), ("lens", [QUARTER])), "part", "part"),
    "lenses of two grants over more": ((("lens", [HALF]), ("lens", [MORE])), "whole", "part"),
    "two halves": ((("lens", [HALF]), ("lens", [OTHER_HALF])), "whole", "part"),
    "the same half twice": ((("lens", [HALF]), ("lens", [HALF])), "part", "part"),
    "a whole": ((("whole", [WHOLE]),), "whole", "whole"),
    "a whole, then a lens": ((("whole", [WHOLE]), ("lens", [HALF])), "whole", "whole"),
    "a lens, then a whole": ((("lens", [HALF]), ("whole", [WHOLE])), "whole", "whole"),
}


@pytest.fixture
def look(claimed: Review, analyst: Person, senior: Person) -> Callable[..., None]:
    """look(asset, level, areas, ...): a row of the ledger, as if so much had been sent."""
    now = timezone.now()
    for person in (analyst, senior):
        Shift.objects.get_or_create(
            person=person, ended_at=None, defaults={"began_at": now, "planned_minutes": 60, "working_since": now}
        )
    shifts = {shift.person_id: shift for shift in Shift.objects.all()}

    def one(
        asset: Asset, level: str, areas: list[list[float]], *, by: Person = analyst, purpose: str = "decision"
    ) -> None:
        Exposure.objects.create(
            person=by, asset=asset, review=claimed, shift=shifts[by.pk], level=level, purpose=purpose, severity=1,
            issued_at=now, until=now, session_hash="", areas=areas,
        )  # fmt: skip

    return one


@pytest.mark.parametrize("name", LEDGERS)
def test_what_was_seen_is_by_what_one_person_was_sent_for_whatever_purpose(
    name: str, claimed: Review, analyst: Person, senior: Person, look: Callable[..., None]
) -> None:
    asset, (looks, alone, divided) = claimed.cluster.centre, LEDGERS[name]
    ways = {
        "one person": ([analyst] * len(looks), alone),
        "another person": ([senior] * len(looks), alone),
        "divided": ([analyst, *[senior] * len(looks)], divided),
        "divided the other way": ([senior, *[analyst] * len(looks)], divided),
    }
    for purpose, (people, expected) in product(Purpose, ways.values()):
        with transaction.atomic():
            for (level, areas), person in zip(looks, people, strict=False):
                look(asset, level, areas, by=person, purpose=purpose.value)
            assert access.seen_of(asset) == expected, (purpose, people)
            transaction.set_rollback(True)


def test_each_of_two_people_who_saw_it_counts_for_themself(
    claimed: Review, analyst: Person, senior: Person, look: Callable[..., None]
) -> None:
    asset = claimed.cluster.centre
    look(asset, "whole", [WHOLE], by=senior, purpose="golden")
    look(asset, "lens", [QUARTER], by=analyst, purpose="reference")
    assert access.seen_of(asset) == "whole"


@pytest.fixture
def shown(arrive: Callable[..., Asset], claimed: Review, look: Callable[..., None]) -> dict[str, Asset]:
    """One file for each thing that can be said."""
    found = dict(zip(("not-viewed", "tile-only", "part", "whole"), map(arrive, (11, 12, 13, 14)), strict=True))
    look(found["not-viewed"], "whole", [])
    look(found["tile-only"], "tile", [])
    look(found["part"], "lens", [HALF], purpose="golden")
    look(found["whole"], "lens", [HALF, MORE], purpose="reference")
    return found


def test_an_exhibit_says_of_each_file_how_much_was_viewed_and_names_nobody(
    shown: dict[str, Asset], analyst: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    asker = make_person("asker", Role.INVESTIGATOR)
    exhibit = evidence.request_exhibit(asker, list(shown.values()), recipient="A court", reason="court-order")
    evidence.decide_exhibit(senior, exhibit, release=True, reason="checked")
    tasks.build.call(str(exhibit.pk))
    with zipfile.ZipFile(evidence_access.exhibit_path(exhibit.pk)) as bag:
        rows = json.loads(bag.read(f"{exhibit.pk}/data/assets.json"))
        page = unescape(bag.read(f"{exhibit.pk}/data/custody.html").decode())
    assert {row["asset"]: row["viewed"] for row in rows} == {str(asset.pk): said for said, asset in shown.items()}
    printed = {
        "not-viewed": "shown to nobody", "tile-only": "small and blurred only", "part": "shown to a person in part",
        "whole": "shown to a person whole",
    }  # fmt: skip
    for said, asset in shown.items():
        row = page.split(f"<td>{asset.pk}", 1)[1].split("</tr>", 1)[0]
        assert [one for one in printed if printed[one] in row] == [said]
    assert str(analyst.pk) not in page


def test_a_vics_case_says_of_each_file_how_much_was_viewed(shown: dict[str, Asset], senior: Person) -> None:
    case = cases.open_case(senior, "made up", things=list(shown.values()))
    [written] = json.loads(b"".join(cases.export_case(senior, case.pk).pieces))["value"]
    told: dict[str, Any] = {
        media["MD5"].lower(): dict((one["PropertyName"], one["PropertyValue"]) for one in media["MediaMetadata"])
        for media in written["Media"]
    }
    assert {md5: said["LeadlineViewed"] for md5, said in told.items()} == {
        asset.md5: said for said, asset in shown.items()
    }


