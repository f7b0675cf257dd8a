"""What is sent of a picture, to whom, and that the ledger says it: grants, floors, shifts, budgets."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from leadline import workbench
from leadline.errors import InputError, LeadlineError, NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role
from leadline.workbench.review import access, actions
from leadline.workbench.review.models import Exposure, Level, Review, Shift

pytestmark = pytest.mark.django_db
WORKBENCH = Path(workbench.__file__).parent
AREAS = {Level.TILE: [], Level.LENS: [[0.0, 0.0, 0.5, 0.5]], Level.WHOLE: [[0.0, 0.0, 1.0, 1.0]]}


def opened(png: bytes) -> Image.Image:
    picture = Image.open(BytesIO(png))
    picture.load()
    return picture


def test_a_tile_is_small_grey_and_on_record(claimed: Review, analyst: Person) -> None:
    made = actions.show_tile(analyst, claimed, claimed.cluster.centre, "session")
    picture = opened(made.png)
    assert (picture.mode, max(picture.size)) == ("L", 160)
    row = Exposure.objects.get()
    assert (row.level, row.person, row.asset, row.seconds) == ("tile", analyst, claimed.cluster.centre, 0)


def test_a_lens_shows_a_quarter_and_only_while_it_is_held(claimed: Review, analyst: Person) -> None:
    asset = claimed.cluster.centre
    look = actions.grant(analyst, claimed, asset, Level.LENS, "session")
    made = actions.show(analyst, look.pk, "session", (0.0, 0.0))
    assert (made.rectangle.left, made.rectangle.top) == (0, 0)
    assert made.rectangle.width * made.rectangle.height <= 0.25
    assert opened(made.png).mode == "L"
    assert actions.end(analyst, look.pk)
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session", (0.0, 0.0))
    look.refresh_from_db()
    assert look.areas == [[0.0, 0.0, 0.5, 0.5]]


def test_a_grant_ends_by_itself_and_then_counts_in_full(claimed: Review, analyst: Person) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    Exposure.objects.filter(pk=look.pk).update(
        issued_at=look.issued_at - timedelta(seconds=9), until=look.until - timedelta(seconds=9)
    )
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session")
    assert not actions.end(analyst, look.pk)
    assert Exposure.objects.get().seconds == 8


def test_a_shift_is_the_proof_of_one_browser_and_ends_by_itself(claimed: Review, analyst: Person) -> None:
    asset = claimed.cluster.centre
    with pytest.raises(WrongState):
        actions.grant(analyst, claimed, asset, Level.LENS, "another browser")
    Shift.objects.update(began_at=timezone.now() - timedelta(minutes=240 + 31))
    with pytest.raises(WrongState):
        actions.grant(analyst, claimed, asset, Level.LENS, "session")
    actions.begin_shift(analyst, session="another browser")
    assert Shift.objects.filter(ended_at__isnull=True).count() == 1


def test_beginning_a_shift_anew_is_no_break(claimed: Review, analyst: Person) -> None:
    Shift.objects.update(working_since=timezone.now() - timedelta(minutes=51))
    actions.end_shift(analyst)
    actions.begin_shift(analyst, session="session")
    work = access.work_of(analyst)
    assert work.break_due
    assert not work.may_claim
    actions.begin_break(analyst)
    actions.end_shift(analyst)
    actions.begin_shift(analyst, session="session")
    assert access.work_of(analyst).break_until is not None


def test_the_last_half_hour_follows_into_a_shift_begun_anew(claimed: Review, analyst: Person) -> None:
    Shift.objects.update(began_at=timezone.now() - timedelta(minutes=220))
    actions.end_shift(analyst)
    actions.begin_shift(analyst, 240, session="session")
    assert access.work_of(analyst).low_only


def test_lenses_do_not_add_up_to_a_whole_that_is_not_allowed(claimed: Review, analyst: Person) -> None:
    actions.set_wish(analyst, allow_whole=False)
    asset = claimed.cluster.centre
    look = actions.grant(analyst, claimed, asset, Level.LENS, "session")
    for centre in ((0.25, 0.25), (0.75, 0.25)):
        actions.show(analyst, look.pk, "session", centre)
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session", (0.25, 0.75))
    again = actions.grant(analyst, claimed, asset, Level.LENS, "session")
    with pytest.raises(WrongState):
        actions.show(analyst, again.pk, "session", (0.75, 0.75))


def test_lenses_over_most_of_a_picture_count_as_the_whole(claimed: Review, analyst: Person) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.LENS, "session")
    for centre in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75)):
        actions.show(analyst, look.pk, "session", centre)
    look.refresh_from_db()
    assert (look.cost, access.seen_of(claimed.cluster.centre)) == (8.0, "part")
    actions.show(analyst, look.pk, "session", (0.75, 0.75))
    look.refresh_from_db()
    assert (look.cost, access.seen_of(claimed.cluster.centre)) == (16.0, "whole")


def test_a_grant_under_which_nothing_was_sent_shows_nothing(claimed: Review, analyst: Person) -> None:
    actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    assert access.seen_of(claimed.cluster.centre) == "not-viewed"


def test_a_look_ended_at_once_is_not_free(claimed: Review, analyst: Person) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    actions.end(analyst, look.pk)
    look.refresh_from_db()
    assert look.cost == 4.0


def test_looks_end_when_the_review_goes_to_somebody_else(claimed: Review, analyst: Person, senior: Person) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    actions.assign(Actor.of_person(senior), claimed.pk, senior)
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session")


def test_a_stale_row_gives_no_leave_to_look(claimed: Review, analyst: Person) -> None:
    actions.give_back(analyst, claimed.pk)
    with pytest.raises(WrongState):
        actions.grant(analyst, claimed, claimed.cluster.centre, Level.LENS, "session")
    assert Review.objects.get().lease_until is None


def test_the_chain_says_that_somebody_looked_and_not_who(claimed: Review, analyst: Person) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.LENS, "session")
    line = Line.objects.get(act="asset.revealed")
    assert line.actor == "reviewer"
    assert str(analyst.pk) not in line.details
    assert str(look.pk) in line.details


def test_pixels_that_were_not_made_were_shown_to_nobody_and_those_that_leave_are_on_record(
    claimed: Review, analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset, rows = claimed.cluster.centre, Exposure.objects

    def fails(*_: Any) -> None:
        raise RuntimeError("the sandbox is gone")

    with monkeypatch.context() as broken:
        broken.setattr("leadline.workbench.review.pictures.render", fails)
        with pytest.raises(RuntimeError):
            actions.show_tile(analyst, claimed, asset, "session")
        look = actions.grant(analyst, claimed, asset, Level.WHOLE, "session")
        with pytest.raises(RuntimeError):
            actions.show(analyst, look.pk, "session")
    assert (rows.get().areas, access.seen_of(asset)) == ([], "not-viewed")
    assert rows.get().cost > 0  # of the person's time the grant counts
    actions.show_tile(analyst, claimed, asset, "session")
    assert access.seen_of(asset) == "tile-only"
    actions.show(analyst, look.pk, "session")
    assert access.seen_of(asset) == "whole"


def test_what_is_made_after_a_look_has_ended_is_not_sent(
    claimed: Review, analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    monkeypatch.setattr("leadline.workbench.review.pictures.render", lambda *_: actions.end_all(analyst))
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session")
    assert Exposure.objects.get().areas == []


@pytest.mark.parametrize("who", ["another", "another-session"])
def test_a_grant_serves_one_person_in_one_session(
    claimed: Review, analyst: Person, make_person: Callable[..., Person], who: str
) -> None:
    look = actions.grant(analyst, claimed, claimed.cluster.centre, Level.WHOLE, "session")
    person = make_person("other", Role.ANALYST) if who == "another" else analyst
    with pytest.raises(WrongState):
        actions.show(person, look.pk, "session" if who == "another" else "stolen")


def test_nothing_is_shown_without_a_claim(arrive: Any, analyst: Person) -> None:
    asset = arrive(1)
    actions.begin_shift(analyst)
    for level in (Level.LENS, Level.WHOLE):
        with pytest.raises(WrongState):
            actions.grant(analyst, Review.objects.get(), asset, level, "session")
    with pytest.raises(WrongState):
        actions.show_tile(analyst, Review.objects.get(), asset, "session")


def test_nothing_is_shown_without_a_shift(claimed: Review, analyst: Person) -> None:
    Shift.objects.update(ended_at=timezone.now())
    with pytest.raises(WrongState):
        actions.grant(analyst, claimed, claimed.cluster.centre, Level.LENS, "session")


def test_a_new_grant_ends_the_one_before(claimed: Review, analyst: Person) -> None:
    asset = claimed.cluster.centre
    first = actions.grant(analyst, claimed, asset, Level.LENS, "session")
    actions.grant(analyst, claimed, asset, Level.WHOLE, "session")
    with pytest.raises(WrongState):
        actions.show(analyst, first.pk, "session")


@pytest.mark.parametrize(
    ("wish", "level", "colour"),
    [({"allow_whole": False}, Level.WHOLE, False), ({"allow_colour": False}, Level.LENS, True)],
)
def test_a_persons_wish_holds(claimed: Review, analyst: Person, wish: Any, level: Level, colour: bool) -> None:
    actions.set_wish(analyst, **wish)
    with pytest.raises(NotAllowed):
        actions.grant(analyst, claimed, claimed.cluster.centre, level, "session", in_colour=colour)


def test_a_person_can_only_be_more_careful_than_the_office(analyst: Person, senior: Person) -> None:
    from leadline.workbench.accounts.actions import set_office_setting

    set_office_setting(senior, "review-reveal_seconds", "4", "a test")
    set_office_setting(senior, "review-allow_colour", "no", "a test")
    assert access.floors_of(analyst).reveal_seconds == 4
    for wish in ({"reveal_seconds": 5}, {"blur_share": 0.01}, {"tile_edge_px": 500}, {"daily_minutes": 999}):
        with pytest.raises((InputError, ValueError)):
            actions.set_wish(analyst, **wish)
    actions.set_wish(analyst, reveal_seconds=2)
    assert access.floors_of(analyst).reveal_seconds == 2
    assert not access.floors_of(analyst).allow_colour


def test_a_look_weighs_by_level_colour_and_severity() -> None:
    def cost(level: str = "lens", severity: int = 1, *, in_colour: bool = False) -> float:
        at = datetime(2026, 11, 27, tzinfo=UTC)
        until = at + timedelta(seconds=4)
        return Exposure(level=level, severity=severity, in_colour=in_colour, issued_at=at, until=until).cost

    assert (cost(), cost("whole"), cost(in_colour=True)) == (4.0, 8.0, 6.0)
    graver = [cost(severity=severity) for severity in (1, 2, 3)]
    assert graver == sorted(set(graver))


def test_when_the_days_budget_is_used_up_nothing_more_is_shown(claimed: Review, analyst: Person) -> None:
    asset, now = claimed.cluster.centre, timezone.now()
    actions.set_wish(analyst, daily_minutes=1)
    shift = Shift.objects.get()
    Exposure.objects.create(
        person=analyst, asset=asset, review=claimed, shift=shift, level="whole", purpose="decision", severity=1,
        issued_at=now, until=now + timedelta(seconds=31), session_hash="",
    )  # fmt: skip
    with pytest.raises(NotAllowed):
        actions.grant(analyst, claimed, asset, Level.LENS, "session")


def test_after_fifty_minutes_comes_a_break_of_ten(claimed: Review, arrive: Any, analyst: Person) -> None:
    arrive(2)
    actor, asset = Actor.of_person(analyst), claimed.cluster.centre
    Shift.objects.update(working_since=timezone.now() - timedelta(minutes=50))
    actions.grant(analyst, claimed, asset, Level.LENS, "session")  # what is open may be finished
    actions.give_back(analyst, claimed.pk)
    with pytest.raises(NotAllowed):
        actions.claim_next(actor)
    actions.begin_break(analyst)
    with pytest.raises(WrongState):
        actions.end_break(analyst)
    Shift.objects.update(break_began_at=timezone.now() - timedelta(minutes=10))
    actions.end_break(analyst)
    assert actions.claim_next(actor) is not None


def test_the_last_half_hour_hands_out_low_severity_only(arrive: Any, analyst: Person) -> None:
    arrive(1)
    actions.begin_shift(analyst, 240)
    Shift.objects.update(began_at=timezone.now() - timedelta(minutes=215))
    Review.objects.update(severity=3)
    assert actions.claim_next(Actor.of_person(analyst)) is None
    Review.objects.update(severity=1)
    assert actions.claim_next(Actor.of_person(analyst)) is not None


def test_what_is_never_to_be_shown_again_is_not(claimed: Review, analyst: Person, senior: Person) -> None:
    actions.never_again(analyst, claimed.cluster.centre)
    with pytest.raises(NotAllowed):
        actions.grant(analyst, claimed, claimed.cluster.centre, Level.LENS, "session")
    actions.skip(analyst, claimed.pk)
    assert not access.queue(Actor.of_person(analyst)).exists()
    assert access.queue(Actor.of_person(senior)).exists()


@pytest.mark.parametrize(
    "levels", [c for n in range(4) for c in product(list(Level), repeat=n) if list(c) == sorted(c)]
)
def test_what_a_report_may_say_was_seen_is_what_the_ledger_says(
    claimed: Review, analyst: Person, levels: tuple[Level, ...]
) -> None:
    asset, now = claimed.cluster.centre, timezone.now()
    for level in levels:
        Exposure.objects.create(
            person=analyst, asset=asset, review=claimed, shift=Shift.objects.get(), level=level.value,
            purpose="decision", severity=1, issued_at=now, until=now, session_hash="", areas=AREAS[level],
        )  # fmt: skip
    expected = (
        "whole" if Level.WHOLE in levels
        else "part" if Level.LENS in levels
        else "tile-only" if Level.TILE in levels
        else "not-viewed"
    )  # fmt: skip
    assert access.seen_of(asset) == expected


def test_a_file_without_a_picture_is_decided_by_its_facts(keeping: Any, analyst: Person) -> None:
    from leadline.workbench.evidence.actions import take_in

    take_in(b"\0\0\0\x18ftypmp42" + b"\0" * 64, actor="system", source="test", name="clip.mp4")
    actions.sort_assets()
    actions.begin_shift(analyst)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    with pytest.raises(LeadlineError):
        actions.show_tile(analyst, review, review.cluster.centre, "session")


# --- over HTTP: the withholding test -----------------------------------------------------------------------------------


def test_without_a_grant_the_browser_gets_a_tile_and_nothing_else(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    client, asset = browser_of(analyst), claimed.cluster.centre
    pictures = []
    for address in (
        f"/review/{claimed.pk}/",
        f"/review/{claimed.pk}/tile/{asset.pk}/",
        f"/evidence/assets/{asset.pk}/",
    ):
        answer = client.get(address)
        assert answer["Cache-Control"] == "no-store"
        if answer["Content-Type"].startswith("image/"):
            assert client.get(address, headers={"Sec-Fetch-Dest": "document"}).status_code == 404
            pictures.append(opened(answer.content))
        else:
            assert b"data:image" not in answer.content
    assert [(picture.mode, max(picture.size)) for picture in pictures] == [("L", 160)]


def test_nothing_but_the_sandbox_and_an_exhibit_gets_the_bytes_of_a_file() -> None:
    opens = re.compile(r"read_asset|vault(?:\(\))?\.open\(")
    modules = {str(path.relative_to(WORKBENCH)): path.read_text() for path in WORKBENCH.rglob("*.py")}
    found = {name for name, source in modules.items() if opens.search(source)}
    assert found == {"sealing.py", "review/pictures.py", "evidence/acts/bags.py"}


def test_a_look_is_asked_for_used_and_ended(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    client, asset = browser_of(analyst), claimed.cluster.centre
    told = client.post(f"/review/{claimed.pk}/reveal/", {"asset": asset.pk, "level": "lens"}).json()
    address = f"/review/look/{told['look']}/"
    answer = client.get(address, {"x": "1", "y": "1"})
    assert answer["X-Part"] == "0.500000 0.500000 0.500000 0.500000"
    assert answer["Cache-Control"] == "no-store"
    assert client.post(f"{address}end/").json() == {"ended": True}
    assert client.get(address).status_code == 409
    assert client.get(address, {"x": "nan", "y": "2"}).status_code == 422


def test_escape_ends_every_look(claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]) -> None:
    client, asset = browser_of(analyst), claimed.cluster.centre
    told = client.post(f"/review/{claimed.pk}/reveal/", {"asset": asset.pk, "level": "whole"}).json()
    assert client.post("/review/blank/").json() == {"ended": 1}
    assert client.get(f"/review/look/{told['look']}/").status_code == 409


def test_an_outsider_gets_the_same_answer_as_for_what_is_absent(
    claimed: Review, outsider: Person, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    import uuid

    Asset.objects.update(sensitivity=2)
    for person in (outsider, make_person("other", Role.ANALYST)):
        client = client_of(person)
        there = client.get(f"/review/{claimed.pk}/tile/{claimed.cluster.centre.pk}/")
        absent = client.get(f"/review/{uuid.uuid4()}/tile/{uuid.uuid4()}/")
        assert (there.status_code, plain(there.content)) == (404, plain(absent.content))


def plain(page: bytes) -> bytes:
    """Without the form token, which is another in every page."""
    return re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page)


def test_starting_a_shift_asks_who_you_are(analyst: Person, client_of: Callable[..., Client]) -> None:
    stale = client_of(analyst, signed_in_s_ago=16 * 60)
    assert stale.post("/review/shift/", {"planned_minutes": 240})["Location"].startswith("/account/again/")
    assert not Shift.objects.exists()
