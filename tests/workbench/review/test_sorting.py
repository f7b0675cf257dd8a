"""What arrives becomes clusters and reviews: near-duplicates once, known files never."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from leadline.domain import Kind
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import Asset, AssetMatch
from leadline.workbench.review import access, actions, tasks
from leadline.workbench.review.acts import sorting
from leadline.workbench.review.centres import Centres
from leadline.workbench.review.models import Assessment, Cluster, Coverage, Member, Review

from .conftest import ANSWERS, animation, png

pytestmark = pytest.mark.django_db
Arrive = Callable[..., Asset]


def test_near_duplicates_are_one_review(arrive: Arrive) -> None:
    first = arrive(1)
    others = [arrive(1, quality=quality) for quality in (95, 80, 60)]
    assert Cluster.objects.get().centre == first
    assert {member.asset for member in Member.objects.all()} == {first, *others}
    assert Review.objects.get().cluster.size == 4


def test_different_pictures_are_different_reviews(arrive: Arrive) -> None:
    for seed in (1, 2, 3):
        arrive(seed)
    assert Review.objects.count() == Cluster.objects.count() == 3


def test_a_turned_copy_joins_and_says_how_it_is_turned(arrive: Arrive, keeping: Any) -> None:
    from io import BytesIO

    from PIL import Image

    from leadline.media.scenes import draw_scene, mirror

    arrive(1)
    out = BytesIO()
    Image.fromarray(mirror(draw_scene(1, 400, 300))).save(out, "PNG")
    turned = take_in(out.getvalue(), actor="system", source="test", name="turned.png")
    actions.sort_assets()
    assert turned.membership.cluster.size == 2
    assert turned.membership.transform != ""


def test_files_of_several_frames_are_one_cluster_only_where_all_their_frames_are_near(keeping: Any) -> None:
    def come(*seeds: int, size: tuple[int, int] = (400, 300)) -> Asset:
        data = animation(*seeds, size=size) if len(seeds) > 1 else png(*seeds, size=size)
        asset = take_in(data, actor="system", source="test", name="moving.png")
        actions.sort_assets()
        return asset

    larger = (420, 315)
    centre = come(1, 2, 3)
    copy = come(1, 2, 3, size=larger)
    sorting.forget()  # as another worker, which reads the centres from their table
    again = come(1, 3, 2, 3, size=larger)  # the same pictures, in another order
    others = [come(1, 2, 4), come(1, 2), come(1, 2, 3, 4), come(1)]
    assert {member.asset for member in centre.centre_of.members.all()} == {centre, copy, again}
    assert {cluster.centre for cluster in Cluster.objects.all()} == {centre, *others}
    assert come(1, 2, 4, size=larger).membership.cluster.centre == others[0]  # of four with a first frame as near


def test_an_animation_of_which_not_all_is_known_is_near_nothing(keeping: Any) -> None:
    for is_partial, size in ((True, (420, 315)), (False, (400, 300))):
        asset = take_in(animation(1, 2, size=size), actor="system", source="test", name="moving.png")
        Asset.objects.filter(pk=asset.pk).update(partial=is_partial)
        actions.sort_assets()
    assert Cluster.objects.count() == 2


def test_another_worker_knows_the_centres_that_came_meanwhile(arrive: Arrive) -> None:
    arrive(1)
    sorting.forget()
    arrive(1, quality=70)
    assert Cluster.objects.get().size == 2


def test_every_member_lies_within_the_radius_of_its_centre_and_never_of_a_chain() -> None:
    """A gradual morph: each step is near the one before, the last is far from the first."""
    rng = np.random.default_rng(5)
    hashes = [np.zeros(256, np.uint8)]
    for flipped in np.split(rng.permutation(256)[:240], 24):  # ten other bits a step
        after = hashes[-1].copy()
        after[flipped] ^= 1
        hashes.append(after)
    packed = [np.packbits(bits).tobytes() for bits in hashes]
    centres, placed = Centres(31), []
    for number, one in enumerate(packed):
        near = centres.nearest([one])
        if near is None:
            centres.add(number, one)
        placed.append((number, number if near is None else near.cluster))
    assert len(centres) > 5
    for number, centre in placed:
        assert int((hashes[number] != hashes[centre]).sum()) <= 31


def test_the_nearest_of_many_centres_is_found_also_while_they_grow() -> None:
    rng = np.random.default_rng(7)
    rows = rng.integers(0, 256, (5000, 32), np.uint8)
    centres = Centres(31)
    for number, row in enumerate(rows):
        centres.add(number, row.tobytes())
        if number % 611 == 0 and number:
            asked = rows[number // 2].copy()
            asked[0] ^= 3
            found = centres.nearest([asked.tobytes()])
            assert found is not None
            assert (found.cluster, found.distance) == (number // 2, 2)


def test_a_known_file_never_reaches_the_queue(arrive: Arrive, make_bank: Any, exact: Any, analyst: Person) -> None:
    make_bank("known", exact(3), kind=Kind.ILLEGAL)
    asset = arrive(3)
    assert asset.is_set_aside
    assert not access.queue(Actor.of_person(analyst)).exists()


def test_what_becomes_known_while_it_waits_is_set_aside(arrive: Arrive, analyst: Person) -> None:
    asset = arrive(1)
    Asset.objects.filter(pk=asset.pk).update(is_set_aside=True)
    assert tasks.refresh() == 1
    assert Review.objects.get().state == "set-aside"
    actions.begin_shift(analyst)
    assert actions.claim_next(Actor.of_person(analyst)) is None


def test_samples_of_what_is_known_go_to_volunteers_only(
    arrive: Arrive, make_bank: Any, exact: Any, analyst: Person, senior: Person, settings: Any
) -> None:
    from leadline.workbench.accounts.actions import set_office_setting

    set_office_setting(senior, access.SAMPLE_SHARE, "1000", "a test")
    make_bank("known", exact(3), kind=Kind.ILLEGAL)
    arrive(3)
    actor = Actor.of_person(analyst)
    assert Review.objects.get().purpose == "sample"
    assert not access.queue(actor).exists()
    actions.set_wish(analyst, is_volunteer=True)
    assert access.queue(actor).count() == 1
    sample = Review.objects.get()
    actions.begin_shift(analyst)
    actions.claim(actor, sample.pk)
    actions.assign(actor, sample.pk, senior)  # who is none
    assert not access.queue(Actor.of_person(senior)).exists()
    assert access.queue(actor).count() == 1


def test_of_what_two_people_call_benign_not_even_a_sample_is_drawn(
    arrive: Arrive, make_bank: Any, exact: Any, make_person: Callable[..., Person], senior: Person
) -> None:
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.banks import actions as banks
    from leadline.workbench.banks.models import Proposal
    from leadline.workbench.permissions import Role

    set_office_setting(senior, access.SAMPLE_SHARE, "1000", "a test")
    make_bank("harmless", exact(3, kind=Kind.BENIGN), kind=Kind.BENIGN)
    banks.follow_folders()
    for name in ("one", "two"):
        banks.confirm(Actor.of_person(make_person(name, Role.CURATOR)), Proposal.objects.get())
    asset = arrive(3)
    assert (asset.inferred_kind, asset.is_set_aside) == ("benign", True)
    assert not Review.objects.exists()


def test_of_near_files_within_a_trusted_margin_the_same_samples_are_drawn_and_lowered_they_wait(
    arrive: Arrive, make_bank: Any, analyst: Person, senior: Person
) -> None:
    from leadline.domain import Entry
    from leadline.workbench.accounts.actions import set_office_setting
    from leadline.workbench.banks.models import Trusted
    from leadline.workbench.evidence.tasks import match_changes

    pdq = bytes(arrive(3).views.first().hashes.pdq[0])
    bank = make_bank("known", Entry(kind=Kind.ILLEGAL, fingerprints={"pdq": pdq}), kind=Kind.ILLEGAL)
    Trusted.objects.create(bank="known", identity=bank.snapshot.manifest.identity, bits=8)
    match_changes()
    tasks.refresh()
    assert not access.queue(Actor.of_person(analyst)).exists()
    Trusted.objects.update(bits=0)
    match_changes()
    assert actions.queue_again() == 1
    Trusted.objects.update(bits=8)
    match_changes()
    tasks.refresh()
    set_office_setting(senior, access.SAMPLE_SHARE, "1000", "a test")
    arrive(3, size=(420, 315))
    assert Review.objects.filter(purpose="sample").count() == 1


def test_a_file_that_joins_a_decided_cluster_is_covered_by_inference_and_told_with_its_facts(
    arrive: Arrive, claimed: Review, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    early = arrive(1, quality=90)
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    Assessment.objects.filter(pk=made.pk).update(effective_at=made.made_at)
    assert actions.settle() == 1
    late = arrive(1, quality=75)
    covered = Coverage.objects.get(asset=late)
    assert (covered.assessment, covered.origin) == (made, "propagated")
    assert not Review.objects.exclude(state="decided").exists()
    Coverage.objects.filter(asset=late).update(distance=6)
    Member.objects.filter(asset=late).update(distance=6, transform="rotate90")
    Asset.objects.filter(pk=late.pk).update(width=300, height=400, size_bytes=71_234, source="api", frames=7)
    page = client_of(analyst).get(f"/review/assessments/{made.pk}/").content.decode()
    rows = page.partition("Near-duplicates, for which")[2].partition("</table>")[0].split("<tr>")[2:]
    told = {one: next(row for row in rows if one.sha256[:12] in row) for one in (early, late)}
    said = ("came after the decision", ">6<", "turned by 90°", "image/jpeg", "300 × 400", "71,234", "7 frames", ">API<")
    assert [word for word in said if word not in told[late]] == []
    assert re.findall(r'"tag">([^<]+)<', told[late]) == ["came after the decision", "distance", "size", "type"]
    assert "came after" not in told[early]


def test_a_review_is_as_urgent_as_the_most_urgent_report_of_its_files(arrive: Arrive, keeping: Any) -> None:
    from leadline.domain import Channel, IncomingReport, Urgency
    from leadline.workbench.reports.actions import TakenFile, receive

    asset = arrive(1)
    incoming = IncomingReport(Channel.API, (), urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}), text="made up")
    receive(incoming, channel=Channel.API, actor="system", files=[TakenFile("drawn.png", asset)])
    tasks.refresh()
    review = Review.objects.get()
    assert (review.urgency, review.rank) == (3, 0)
    assert review.why[0][0] == "tick.child-at-risk-now"


def test_letters_and_lists_that_reports_came_in_are_not_reviewed(keeping: Any, arrive: Arrive) -> None:
    from leadline.workbench.evidence.actions import take_in

    letter = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: made up\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n\r\nx"
    take_in(letter, actor="system", source="test", name="mail.eml")
    take_in(b'{"made": "up"}', actor="system", source="test", name="list.json")
    actions.sort_assets()
    assert not Review.objects.exists()
    arrive(1)
    assert Review.objects.count() == 1


def test_what_a_list_no_longer_knows_waits_for_somebody(
    arrive: Arrive, make_bank: Any, exact: Any, analyst: Person
) -> None:
    from leadline.workbench.evidence.tasks import match_changes

    bank = make_bank("known", exact(3), kind=Kind.ILLEGAL)
    asset = arrive(3)
    assert asset.is_set_aside
    bank.remove([entry.id for entry in bank.entries() if entry.id])
    match_changes()
    assert actions.queue_again() == 1
    assert access.queue(Actor.of_person(analyst)).count() == 1
    assert actions.queue_again() == 0


def test_one_file_that_cannot_be_sorted_stops_no_other(arrive: Arrive, keeping: Any, monkeypatch: Any) -> None:
    from leadline.workbench.evidence.actions import take_in

    from .conftest import png

    bad = take_in(png(1), actor="system", source="test", name="a.png")
    take_in(png(2), actor="system", source="test", name="b.png")
    real = sorting._hashes

    def hashes(asset: Asset) -> Any:
        if asset.pk == bad.pk:
            raise RuntimeError("made up")
        return real(asset)

    monkeypatch.setattr(sorting, "_hashes", hashes)
    with pytest.raises(RuntimeError):
        actions.sort_assets()
    assert Cluster.objects.count() == 1
    assert actions.sort_assets() == 0


def test_the_unknown_file_of_a_cluster_is_the_one_on_the_card(arrive: Arrive) -> None:
    known = arrive(1)
    Asset.objects.filter(pk=known.pk).update(is_set_aside=True)
    unknown = arrive(1, quality=80)
    review = Review.objects.get()
    assert review.cluster.centre == known
    assert access.subject_of(review) == unknown


def test_a_file_that_joins_while_an_assessment_can_still_be_undone_is_covered(
    arrive: Arrive, claimed: Review, analyst: Person
) -> None:
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    late = arrive(1, quality=75)
    assert Review.objects.count() == 1
    Assessment.objects.filter(pk=made.pk).update(effective_at=made.made_at)
    actions.settle()
    assert Coverage.objects.get(asset=late).origin == "propagated"


def near(asset: Asset, kind: str, *, is_red: bool = False) -> AssetMatch:
    return AssetMatch.objects.create(
        asset=asset, bank="made-up", entry=1, kind=kind, algorithm="pdq", distance=9, threshold=31,
        transform="original", view="picture", list_version=1, found_at=timezone.now(), is_red=is_red,
    )  # fmt: skip


def test_a_red_bank_costs_and_does_not_show_in_a_category(arrive: Arrive) -> None:
    near(arrive(1), "illegal", is_red=True)
    tasks.refresh()
    review = Review.objects.get()
    assert (review.severity, review.category) == (3, "unknown")


def test_a_list_that_changes_while_a_file_waits_changes_what_it_costs_and_who_opted_out(
    arrive: Arrive, analyst: Person
) -> None:
    actions.set_wish(analyst, opted_out=["near-exploitative"])
    match = near(arrive(1), "exploitative")
    assert access.queue(Actor.of_person(analyst)).exists()
    Review.objects.update(state="escalated")  # waits as well
    assert (tasks.refresh(), tasks.refresh()) == (1, 0)
    review = Review.objects.get()
    assert (review.severity, review.category) == (2, "near-exploitative")
    Review.objects.update(state="waiting")
    assert not access.queue(Actor.of_person(analyst)).exists()
    match.withdrawn_at = timezone.now()
    match.save()
    tasks.refresh()
    review.refresh_from_db()
    assert (review.severity, review.category) == (1, "unknown")


@pytest.mark.parametrize("is_known", [False, True])
def test_a_graver_file_that_joins_makes_the_review_as_grave(
    arrive: Arrive, make_bank: Any, exact: Any, *, is_known: bool
) -> None:
    """By what it is near to itself: a review that waits is of near-duplicates, which look alike."""
    from leadline.domain import Entry

    pdq = bytes(arrive(1, quality=80).views.first().hashes.pdq[0])
    entry = exact(1) if is_known else Entry(kind=Kind.ILLEGAL, fingerprints={"pdq": pdq})
    make_bank("late", entry)
    arrive(1)
    review = Review.objects.get()
    assert review.cluster.size == 2
    assert (review.severity, review.category) == (3, "near-illegal")


def test_an_old_file_without_a_cluster_is_found_within_the_hour(
    arrive: Arrive, keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every five seconds only what came lately is asked for."""
    arrive(1)
    last = Asset.objects.get()
    old = Asset.objects.create(
        sha256="0" * 64, sha1="0" * 40, md5="0" * 32, size_bytes=1, mime="image/png", state="kept", source="test",
        received_at=last.received_at - timedelta(days=2),
    )  # fmt: skip
    assert actions.sort_assets() == 0
    later = timezone.now() + timedelta(minutes=61)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert actions.sort_assets() == 1
    assert Member.objects.filter(asset=old).exists()


def test_a_review_is_open_until_it_is_decided_or_set_aside(arrive: Arrive) -> None:
    arrive(1)
    for state, is_open in (("held", True), ("escalated", True), ("decided", False), ("set-aside", False)):
        Review.objects.update(state=state)
        assert Review.objects.get().is_open is is_open
