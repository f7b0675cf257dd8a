"""Claims with leases, assessments that can be undone, revised and re-derived, and what they count for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from lxml import html

from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.laws import access as law
from leadline.workbench.permissions import Role
from leadline.workbench.review import access, actions
from leadline.workbench.review.models import Assessment, Coverage, Draft, Exposure, Label, Member, Review

from .conftest import ANSWERS

pytestmark = pytest.mark.django_db


def in_force(made: Assessment) -> Assessment:
    Assessment.objects.filter(pk=made.pk).update(
        made_at=made.made_at - timedelta(seconds=20), effective_at=made.effective_at - timedelta(seconds=20)
    )
    actions.settle()
    made.refresh_from_db()
    return made


def test_two_people_never_get_the_same_review(arrive: Any, analyst: Person, make_person: Callable[..., Person]) -> None:
    for seed in (1, 2):
        arrive(seed)
    other = make_person("other", Role.ANALYST)
    got = []
    for person in (analyst, other):
        actions.begin_shift(person)
        got.append(actions.claim_next(Actor.of_person(person)))
    assert got[0] != got[1]
    assert actions.claim_next(Actor.of_person(analyst)) == got[0]  # one's own again


def test_the_most_urgent_comes_first_then_the_oldest(arrive: Any, analyst: Person) -> None:
    assets = [arrive(seed) for seed in (1, 2, 3)]
    Review.objects.filter(cluster__centre=assets[2]).update(urgency=2, rank=1)
    order = [review.cluster.centre for review in access.queue(Actor.of_person(analyst))[:3]]
    assert order == [assets[2], assets[0], assets[1]]


def test_a_lease_that_ends_frees_the_review_and_loses_no_answer(
    claimed: Review, analyst: Person, make_person: Callable[..., Person]
) -> None:
    actions.save_draft(analyst, claimed, {"age-band": ["adult"]}, [], "half a note")
    Review.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    other = make_person("other", Role.ANALYST)
    actions.begin_shift(other)
    assert actions.claim_next(Actor.of_person(other)) == claimed
    with pytest.raises(WrongState):
        actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    card = access.card_of(Actor.of_person(analyst), Review.objects.get())
    assert card.draft is not None
    assert (card.draft.answers, card.note) == ({"age-band": ["adult"]}, "half a note")
    assert b"half a note" not in bytes(Draft.objects.get().note_sealed)


def test_one_decision_counts_for_the_cluster_and_is_a_statement_on_one_file_only(arrive: Any, analyst: Person) -> None:
    centre = arrive(1)
    for quality in range(40, 95, 5):
        arrive(1, quality=quality)
    actions.begin_shift(analyst)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    made = actions.hand_in(analyst, review.pk, centre, ANSWERS)
    origins = list(Coverage.objects.filter(assessment=made).values_list("origin", flat=True))
    assert (origins.count("assessed"), origins.count("propagated")) == (1, 11)
    assert access.seen_of(centre) == "not-viewed"  # nobody looked, and nothing says that somebody did
    assert not Exposure.objects.exists()
    assert actions.claim_next(Actor.of_person(analyst)) is None


def test_files_that_differ_from_the_one_on_the_card_are_listed_with_what_differs(
    arrive: Any, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    files = [arrive(1), *(arrive(1, quality=quality) for quality in (95, 90, 85)), arrive(1, size=(420, 315))]
    plain = dict(mime=files[0].mime, partial=False, width=400, height=300)
    Asset.objects.filter(pk__in=[one.pk for one in files[:4]]).update(**plain)
    Asset.objects.filter(pk=files[4].pk).update(mime=files[0].mime)
    Member.objects.update(distance=0)
    Member.objects.filter(asset=files[1]).update(distance=6)
    Asset.objects.filter(pk=files[2].pk).update(partial=True)
    actions.begin_shift(analyst)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    told = {near.asset.pk: near.differs for near in access.card_of(Actor.of_person(analyst), review).differing}
    assert told == {files[1].pk: ["distance"], files[2].pk: ["partial"], files[4].pk: ["size"]}
    page = browser_of(analyst).get(f"/review/{review.pk}/").content.decode()
    listed = page.partition("Files that differ from the centre")[2].partition("</table>")[0]
    assert [one.sha256[:12] in listed for one in files] == [False, True, True, False, True]


def test_where_a_list_of_files_is_cut_the_farthest_are_on_it_and_all_are_counted(
    arrive: Any, analyst: Person, browser_of: Callable[[Person], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    centre, *others = [arrive(1), *(arrive(1, quality=quality) for quality in (95, 90, 85))]
    for distance, one in zip((2, 9, 5), others, strict=True):
        Member.objects.filter(asset=one).update(distance=distance)
    monkeypatch.setattr(access, "MOST_LISTED", 2)
    actions.begin_shift(analyst)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    client = browser_of(analyst)
    card = client.get(f"/review/{review.pk}/").content.decode()
    made = actions.hand_in(analyst, review.pk, centre, ANSWERS)
    assert "4 files, decided together" in card
    for page in (card, client.get(f"/review/assessments/{made.pk}/").content.decode()):
        assert "Only the first 2 are listed" in page
        at = [page.find(f"{one.sha256[:12]}") for one in others]
        assert at[0] < 0 < at[1] < at[2]


def test_answers_are_checked_against_the_scheme(claimed: Review, analyst: Person) -> None:
    for answers, field in (
        ({**ANSWERS, "age-band": ["very"]}, "age-band"),
        ({**ANSWERS, "made-up": ["yes"]}, "made-up"),
        ({name: codes for name, codes in ANSWERS.items() if name != "live"}, "live"),
    ):
        with pytest.raises(InputError) as told:
            actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, answers)
        assert told.value.where == field
    assert not Assessment.objects.exists()


def test_an_assessment_is_undone_within_ten_seconds_and_its_answers_come_back(claimed: Review, analyst: Person) -> None:
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, note="made up")
    assert actions.settle() == 0  # nothing acts before the time has passed
    actions.undo(analyst, made.pk)
    review = access.claimed_by(Actor.of_person(analyst))
    assert review == claimed
    card = access.card_of(Actor.of_person(analyst), review)
    assert card.draft is not None
    assert (card.draft.answers, card.note) == (ANSWERS, "made up")
    assert Assessment.objects.get().standing == "undone"


def test_undoing_gives_back_what_was_gone_on_to(claimed: Review, arrive: Any, analyst: Person) -> None:
    arrive(2)
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    after = actions.claim_next(Actor.of_person(analyst))
    assert after is not None
    actions.undo(analyst, made.pk)
    after.refresh_from_db()
    assert (after.state, access.claimed_by(Actor.of_person(analyst))) == ("waiting", claimed)


def test_after_ten_seconds_it_is_in_force_and_no_longer_undone(
    claimed: Review, analyst: Person, senior: Person
) -> None:
    from leadline.domain import Kind

    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    with pytest.raises(WrongState):  # until then nothing of it goes on, not even to a bank
        actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    made = in_force(made)
    assert made.standing == "in-force"
    with pytest.raises(WrongState):
        actions.undo(analyst, made.pk)


def test_somebody_else_revises_it_with_a_reason(claimed: Review, analyst: Person, senior: Person) -> None:
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    other = {**ANSWERS, "depiction": ["generated"]}
    with pytest.raises(NotAllowed):
        actions.revise(analyst, made.pk, "mistake", other)
    with pytest.raises(InputError):
        actions.revise(senior, made.pk, "because", other)
    undone = actions.revise(senior, made.pk, "mistake", other)
    with pytest.raises(WrongState):  # two at once: the second would revise what counts no more
        actions.revise(senior, made.pk, "mistake", ANSWERS)
    actions.undo(senior, undone.pk)
    claimed.refresh_from_db()
    assert claimed.state == "decided"  # the review is not opened by it
    new = in_force(actions.revise(senior, made.pk, "mistake", other))
    made.refresh_from_db()
    assert (made.standing, new.standing, new.revises) == ("superseded", "in-force", made)
    assert made.answers == ANSWERS  # history is kept
    assert Line.objects.filter(act="assessment.revised", reason="mistake").exists()


@pytest.mark.parametrize("scheme_is", ["offered", "offered no more", "loaded no more"])
def test_the_form_of_a_revision_as_it_is_shown_keeps_the_codes_that_were_picked(
    claimed: Review, analyst: Person, senior: Person, client_of: Callable[[Person], Client],
    monkeypatch: pytest.MonkeyPatch, scheme_is: str,
) -> None:  # fmt: skip
    code = code_of("sap")
    scheme, version, number = code.split("|")
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, [code]))
    if scheme_is == "offered":
        set_office_setting(senior, access.LABEL_SCHEMES, f"{scheme}|{version}", "a test")
    if scheme_is == "loaded no more":
        from dataclasses import replace

        library = law.library()
        left = {key: one for key, one in library.labels.schemes.items() if key[0] != scheme}
        without = replace(library, labels=replace(library.labels, schemes=left))
        monkeypatch.setattr(law, "library", lambda: without)
    client, address = client_of(senior), f"/review/assessments/{made.pk}/"
    page = html.document_fromstring(client.get(address).content.decode())
    given = dict(next(one for one in page.forms if "reason" in one.fields).form_values())
    assert client.post(address, {**given, "q-depiction": "generated", "reason": "mistake"}).status_code == 302
    new = Assessment.objects.get(revises=made)
    assert (new.answers["depiction"], new.answers["live"]) == (["generated"], ANSWERS["live"])
    assert [(one.scheme, one.version, one.code) for one in new.labels.filter(is_derived=False)] == [
        (scheme, version, number)
    ]


def test_an_office_sets_which_official_codes_a_card_offers(
    claimed: Review, analyst: Person, make_person: Callable[..., Person], client_of: Callable[[Person], Client]
) -> None:
    client = client_of(make_person("Ada", Role.ADMINISTRATOR))
    all_of_them = [f"{one.id}|{one.version}" for one in law.library().labels.choosable()]
    assert len(",".join(all_of_them)) > 128  # more than a line of the journal holds
    for offered in (all_of_them, []):
        page = html.document_fromstring(client.get("/review/office/").content.decode())
        form = next(one for one in page.forms if "legal_basis" in one.fields)
        given = {**dict(form.form_values()), "legal_basis": "a test", "label_schemes": offered}
        assert client.post("/review/office/", given).status_code == 302
        assert access.label_schemes() == offered
        card = client_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
        assert ("Official codes" in card) is bool(offered)
    assert Line.objects.filter(act="setting.changed", object_id=access.LABEL_SCHEMES).count() == 2


def test_an_official_code_is_stored_as_chosen_and_another_is_derived_where_a_source_says_so(
    claimed: Review, analyst: Person
) -> None:
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, [code_of("sap")])
    chosen, derived = Label.objects.get(is_derived=False), Label.objects.get(is_derived=True)
    assert chosen.scheme == "sap"
    assert derived.scheme == "uk"
    assert derived.source
    assert derived.mapping
    assert made.labels.count() == 2


def test_a_code_that_is_derived_in_two_ways_stands_once_on_the_surest(
    claimed: Review, analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from msgspec import structs

    library = law.library()
    [shipped] = library.mappings.known.values()
    surer = structs.replace(shipped, id="a-surer-one", confidence="H", lossy=False)
    known = {(one.id, one.version): one for one in (shipped, surer, structs.replace(shipped, id="z", confidence="L"))}
    monkeypatch.setattr(law, "library", lambda: replace(library, mappings=replace(library.mappings, known=known)))
    picked = [f"sap|until-2014-03-31|level-{number}" for number in (4, 5)]  # both are A
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, picked)
    derived = made.labels.get(is_derived=True)
    assert (derived.code, derived.mapping, derived.confidence, derived.lossy) == ("A", "a-surer-one", "H", False)
    assert actions.derive_again() == 0


def code_of(scheme: str) -> str:
    found = next(one for one in law.library().labels.choosable() if one.id == scheme)
    return f"{found.id}|{found.version}|{found.codes[0].code}"


@pytest.mark.parametrize("label", ["copine|3|level-1", "made|up", "ncmec|2014|Z9"])
def test_a_code_that_is_none_or_import_only_is_refused(claimed: Review, analyst: Person, label: str) -> None:
    with pytest.raises(InputError):
        actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, [label])
    assert not Assessment.objects.exists()


@pytest.mark.parametrize("can_be_undone", [False, True])
def test_another_version_of_a_mapping_derives_anew_and_keeps_what_was(
    claimed: Review, analyst: Person, monkeypatch: pytest.MonkeyPatch, *, can_be_undone: bool
) -> None:
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, [code_of("sap")])
    if not can_be_undone:
        in_force(made)
    assert actions.derive_again() == 0
    from dataclasses import replace

    library = law.library()
    none = replace(library, mappings=replace(library.mappings, known={}))
    monkeypatch.setattr(law, "library", lambda: none)
    assert actions.derive_again() == 1
    assert Label.objects.get(is_derived=True).ended_at is not None
    assert Label.objects.get(is_derived=False).ended_at is None


@pytest.mark.parametrize("is_gone", [False, True])
def test_what_a_changed_mapping_made_of_it_is_listed_before_and_after(
    claimed: Review, analyst: Person, browser_of: Any, monkeypatch: pytest.MonkeyPatch, *, is_gone: bool
) -> None:
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS, [code_of("sap")]))
    first = Label.objects.get(is_derived=True)
    assert "Derived anew" not in browser_of(analyst).get("/review/assessments/").content.decode()
    from dataclasses import replace

    from msgspec import structs

    library = law.library()
    known = {} if is_gone else {key: structs.replace(one, version=77) for key, one in library.mappings.known.items()}
    changed = replace(library, mappings=replace(library.mappings, known=known))
    monkeypatch.setattr(law, "library", lambda: changed)
    assert actions.derive_again() == 1
    page = browser_of(analyst).get("/review/assessments/").content.decode()
    row = page.partition('id="anew"')[2]
    code = f"{first.scheme} {first.version}: {first.code}"
    assert str(made.pk) in row
    assert f"{code} ({first.mapping} {first.mapping_version})" in row
    assert (f"{code} ({first.mapping} 77)" in row) is not is_gone


def test_a_second_opinion_is_blind_and_somebody_elses(
    claimed: Review, analyst: Person, make_person: Callable[..., Person]
) -> None:
    actions.second_opinion(analyst, claimed.pk)
    first = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    assert actions.claim_next(Actor.of_person(analyst)) is None
    other = make_person("other", Role.ANALYST)
    actions.begin_shift(other)
    second = actions.claim_next(Actor.of_person(other))
    assert second is not None
    assert access.card_of(Actor.of_person(other), second).earlier == []
    assert access.find_assessment(Actor.of_person(other), first.pk) is None
    assert not access.assessments(Actor.of_person(other)).exists()
    with pytest.raises(WrongState):
        actions.second_opinion(other, second.pk)
    beside = in_force(actions.hand_in(other, second.pk, second.cluster.centre, {**ANSWERS, "live": ["yes"]}))
    first.refresh_from_db()
    assert (first.standing, beside.standing) == ("in-force", "superseded")


def test_held_escalated_and_assigned_reviews_go_where_they_should(
    claimed: Review, analyst: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    actor, lead, other = Actor.of_person(analyst), Actor.of_person(senior), make_person("other", Role.ANALYST)
    actions.hold(analyst, claimed.pk, timezone.now() + timedelta(hours=1), "waits-for-law")
    assert not access.queue(actor).exists()
    Review.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    actions.claim_next(actor)
    actions.escalate(analyst, claimed.pk)
    assert not access.queue(actor).exists()
    assert access.queue(lead).exists()
    actions.assign(lead, claimed.pk, other)
    assert not access.queue(actor).exists()
    assert access.queue(Actor.of_person(other)).exists()


def test_whoever_asks_for_a_second_opinion_does_not_give_it(claimed: Review, analyst: Person) -> None:
    actions.second_opinion(analyst, claimed.pk)
    actions.give_back(analyst, claimed.pk)
    second = Review.objects.get(purpose="second-opinion")
    Review.objects.filter(pk=claimed.pk).update(state="held", held_until=timezone.now() + timedelta(hours=1))
    assert actions.claim_next(Actor.of_person(analyst)) == second
    in_force(actions.hand_in(analyst, second.pk, second.cluster.centre, ANSWERS))
    Review.objects.filter(pk=claimed.pk).update(held_until=timezone.now() - timedelta(seconds=1))
    assert actions.claim_next(Actor.of_person(analyst)) is None


def test_what_was_assigned_and_skipped_comes_back_to_all(
    claimed: Review, analyst: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    other = make_person("other", Role.ANALYST)
    actions.assign(Actor.of_person(senior), claimed.pk, other)
    assert access.queue(Actor.of_person(senior)).exists()  # a lead sees what lies with somebody
    actions.skip(other, claimed.pk)
    assert access.queue(Actor.of_person(analyst)).exists()


def test_a_list_that_is_handed_in_too_late_keeps_its_answers(
    claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    Review.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    given = {f"q-{name}": codes for name, codes in ANSWERS.items()} | {"note": "made up"}
    browser_of(analyst).post(f"/review/{claimed.pk}/hand-in/", given)
    assert Draft.objects.get().answers == ANSWERS


def test_only_the_file_of_the_card_is_assessed(arrive: Any, claimed: Review, analyst: Person) -> None:
    other = arrive(1, quality=80)
    with pytest.raises(InputError):
        actions.hand_in(analyst, claimed.pk, other, ANSWERS)


def test_a_revision_that_is_undone_leaves_the_bank_alone(
    claimed: Review, analyst: Person, senior: Person, make_bank: Any, make_person: Callable[..., Person]
) -> None:
    from leadline.domain import Kind

    make_bank("own")
    made, reach = proposed(claimed, analyst, senior, Kind.ILLEGAL)
    other = make_person("other", Role.ANALYST)
    actions.undo(other, actions.revise(other, made.pk, "mistake", ANSWERS).pk)
    reach.refresh_from_db()
    assert (reach.proposal.state, reach.ended_at) == ("open", None)


def test_a_review_is_not_given_to_somebody_who_may_not_see_it(
    claimed: Review, senior: Person, make_person: Callable[..., Person]
) -> None:
    Asset.objects.update(sensitivity=2)
    with pytest.raises(NotAllowed):
        actions.assign(Actor.of_person(senior), claimed.pk, make_person("other", Role.ANALYST))


def test_one_hidden_file_hides_the_whole_cluster(arrive: Any, analyst: Person) -> None:
    arrive(1)
    hidden = arrive(1, quality=80)
    Asset.objects.filter(pk=hidden.pk).update(tlp="red")
    assert not access.visible_reviews(Actor.of_person(analyst)).exists()


def test_categories_one_opted_out_of_are_not_handed_out(arrive: Any, analyst: Person) -> None:
    arrive(1)
    actions.set_wish(analyst, opted_out=["unknown"])
    actions.begin_shift(analyst)
    assert actions.claim_next(Actor.of_person(analyst)) is None


def test_a_lead_sees_no_persons_wishes_moods_or_looks(
    claimed: Review, analyst: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    actions.set_wish(analyst, opted_out=["video"], daily_minutes=17)
    actions.check_in(analyst, 2)
    client = client_of(senior)
    for page in ("/review/team/", "/review/me/", "/review/", "/people/"):
        told = client.get(page).content.decode()
        assert 'value="17"' not in told
        assert ": 2<" not in told
    own = client_of(analyst).get("/review/me/").content.decode()
    assert 'value="17"' in own
    assert ": 2<" in own


def test_exposure_saved_counts_what_was_decided_without_a_look(claimed: Review, arrive: Any, analyst: Person) -> None:
    actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    arrive(2)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    actions.show_tile(analyst, review, review.cluster.centre, "session")
    actions.grant(analyst, review, review.cluster.centre, access.Level.LENS, "session")
    actions.hand_in(analyst, review.pk, review.cluster.centre, ANSWERS)
    day = access.teams_of([timezone.now() - timedelta(days=1)])[0]
    assert (day.decided, day.without_reveal) == (2, 1)


def test_beside_exposure_saved_files_are_counted_those_of_a_cluster_and_those_that_banks_know(
    arrive: Any, analyst: Person, senior: Person, make_bank: Any, exact: Any, client_of: Callable[[Person], Client]
) -> None:
    make_bank("known", exact(3))
    for seed, quality in ((1, 0), (1, 90), (1, 80), (2, 0), (2, 85), (3, 0)):
        arrive(seed, quality=quality)
    actions.begin_shift(analyst, session="session")
    for level in (None, access.Level.LENS):
        review = actions.claim_next(Actor.of_person(analyst))
        assert review is not None
        if level is not None:
            actions.grant(analyst, review, review.cluster.centre, level, "session")
        actions.hand_in(analyst, review.pk, review.cluster.centre, ANSWERS)
    day = access.teams_of([timezone.now() - timedelta(days=1)])[0]
    assert (day.decided, day.without_reveal, day.files, day.known) == (2, 1, 3, 1)
    assert "set aside as known, without one look: 1<" in client_of(senior).get("/review/team/").content.decode()
    Exposure.objects.update(asset=Asset.objects.get(is_set_aside=True))  # somebody looked at the known one after all
    assert access.teams_of([timezone.now() - timedelta(days=1)])[0].known == 0


def test_a_known_file_of_a_cluster_that_was_decided_long_ago_is_counted_as_known(
    arrive: Any, claimed: Review, analyst: Person
) -> None:
    in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    Asset.objects.filter(pk=arrive(1, quality=80).pk).update(is_set_aside=True)
    now, known = timezone.now(), []
    for days in (1, 20):
        Review.objects.update(decided_at=now - timedelta(days=days))
        known.append(access.teams_of([now - timedelta(days=14)])[0].known)
    assert known == [0, 1]  # with what was decided a day ago it is among the files of that


# --- what it leads to --------------------------------------------------------------------------------------------------


def proposed(claimed: Review, analyst: Person, senior: Person, kind: Any) -> Any:
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    return made, actions.propose_entry(Actor.of_person(senior), made.pk, "own", kind)


def test_an_entry_of_the_own_bank_takes_two_people_and_matches_then(
    claimed: Review, analyst: Person, senior: Person, make_person: Callable[..., Person], make_bank: Any
) -> None:
    from leadline.domain import Kind
    from leadline.match.bank import Bank
    from leadline.workbench.banks import actions as banks

    bank = make_bank("own")
    made, reach = proposed(claimed, analyst, senior, Kind.ILLEGAL)
    bank.refresh()
    assert bank.count == 0
    second = make_person("second", Role.SENIOR)
    banks.confirm(Actor.of_person(second), reach.proposal)
    reach.refresh_from_db()
    fresh = Bank.open(bank.path)
    assert fresh.count == 1
    entry = fresh.get(actions.entries_of(reach)[0])
    asset = claimed.cluster.centre
    assert entry.fingerprints["sha256"].hex() == asset.sha256
    assert entry.fingerprints["pdq"].hex() == asset.pdq
    assert (entry.source, entry.source_id) == ("own-assessment", str(made.pk))
    assert "made up" not in entry.metadata


def test_a_false_positive_speaks_for_the_very_file_only(
    claimed: Review, analyst: Person, senior: Person, make_bank: Any
) -> None:
    from leadline.domain import Kind

    make_bank("own")
    made, _ = proposed(claimed, analyst, senior, Kind.FALSE_POSITIVE)
    from leadline.workbench.review.acts.reaching import entry_of

    assert "pdq" not in entry_of(claimed.cluster.centre, made, Kind.FALSE_POSITIVE).fingerprints


def test_a_revision_takes_back_what_waits_and_asks_to_withdraw_what_stands(
    claimed: Review, arrive: Any, analyst: Person, senior: Person, make_person: Callable[..., Person], make_bank: Any
) -> None:
    from leadline.domain import Kind
    from leadline.match.bank import Bank
    from leadline.workbench.banks import actions as banks

    bank = make_bank("own")
    second = Actor.of_person(make_person("second", Role.SENIOR))
    made, reach = proposed(claimed, analyst, senior, Kind.ILLEGAL)
    banks.confirm(second, reach.proposal)
    new = in_force(actions.revise(senior, made.pk, "mistake", {**ANSWERS, "depiction": ["real"]}))
    reach.refresh_from_db()
    assert (reach.undone_by.what, reach.undone_by.state) == ("withdraw", "open")
    banks.confirm(second, reach.undone_by)
    assert Bank.open(bank.path).count == 0
    waiting = actions.propose_entry(Actor.of_person(senior), new.pk, "own", Kind.OTHER)
    in_force(actions.revise(make_person("third", Role.SENIOR), new.pk, "new-information", ANSWERS))
    waiting.refresh_from_db()
    assert waiting.proposal.state == "refused"
    assert waiting.ended_at is not None


def test_of_two_revisions_that_come_at_once_the_later_takes_back_what_the_earlier_led_to(
    claimed: Review, analyst: Person, senior: Person, make_bank: Any
) -> None:
    from leadline.domain import Kind

    make_bank("own")
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    earlier = actions.revise(senior, made.pk, "mistake", {**ANSWERS, "depiction": ["real"]})
    Assessment.objects.filter(pk=earlier.pk).update(standing="undone")  # as an appeal does, which does not see it yet
    later = actions.revise(senior, made.pk, "mistake", {**ANSWERS, "depiction": ["generated"]})
    Assessment.objects.filter(pk=earlier.pk).update(standing="pending")
    waiting = actions.propose_entry(Actor.of_person(senior), in_force(earlier).pk, "own", Kind.OTHER)
    in_force(later)
    waiting.refresh_from_db()
    earlier.refresh_from_db()
    assert (earlier.standing, later.standing, waiting.proposal.state) == ("superseded", "in-force", "refused")


def test_each_person_learns_what_became_of_what_they_decided(
    claimed: Review, analyst: Person, make_person: Callable[..., Person]
) -> None:
    actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS)
    actions.note_outcome(str(analyst.pk), claimed.cluster, "safeguarded", "police")
    with pytest.raises(InputError):
        actions.note_outcome(str(analyst.pk), claimed.cluster, "unheard-of", "police")
    assert [one.word for one in access.outcomes_for(analyst)] == ["safeguarded"]
    assert not access.outcomes_for(make_person("other", Role.ANALYST)).exists()


def test_the_page_of_an_assessment_proposes_and_notes(
    claimed: Review, analyst: Person, senior: Person, make_bank: Any, client_of: Callable[[Person], Client]
) -> None:
    make_bank("own")
    made = in_force(actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, ANSWERS))
    client, address = client_of(senior), f"/review/assessments/{made.pk}/"
    client.post(f"{address}propose/", {"bank": "own", "kind": "illegal"})
    client.post(f"{address}outcome/", {"word": "removed", "source": "host"})
    page = client.get(address).content.decode()
    assert "removed (host)" in page
    assert '<th scope="row">own</th><td>open</td>' in page
    assert client_of(analyst).post(f"{address}propose/", {"bank": "own", "kind": "illegal"}).status_code == 404


# --- pages -------------------------------------------------------------------------------------------------------------


def test_the_card_asks_first_and_names_what_is_known(
    claimed: Review, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    page = client_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
    assert page.index('id="answers"') < page.index('id="picture"')
    assert "Apparent age" in page
    assert "<img" not in page


def test_handing_in_leads_to_the_next_and_offers_to_undo(
    claimed: Review, arrive: Any, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    arrive(2)
    client = client_of(analyst)
    given = {f"q-{name}": codes for name, codes in ANSWERS.items()} | {"next": "1"}
    answer = client.post(f"/review/{claimed.pk}/hand-in/", given)
    assert answer["Location"] != f"/review/{claimed.pk}/"
    page = client.get(answer["Location"]).content.decode()
    assert "/undo/" in page


def test_a_key_that_is_pressed_twice_hands_in_once_and_goes_on(
    claimed: Review, arrive: Any, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    arrive(2)
    client, given = client_of(analyst), {f"q-{name}": codes for name, codes in ANSWERS.items()} | {"next": "1"}
    led_to = {client.post(f"/review/{claimed.pk}/hand-in/", given)["Location"] for _ in range(2)}
    mine = access.claimed_by(Actor.of_person(analyst))
    assert mine is not None
    assert led_to == {f"/review/{mine.pk}/"}
    assert Assessment.objects.count() == 1
    assert not Draft.objects.filter(review=claimed).exists()
    client.post(f"/review/{claimed.pk}/hand-in/", given | {"q-live": "yes"})  # others are kept, as any late ones
    assert Draft.objects.get(review=claimed).answers["live"] == ["yes"]


def test_an_answer_that_lacks_is_named_beside_its_question(
    claimed: Review, analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    answer = client_of(analyst).post(f"/review/{claimed.pk}/hand-in/", {"q-age-band": "adult"})
    assert answer.status_code == 200
    assert "has no answer" in answer.content.decode()


def test_lists_hold_no_picture(claimed: Review, senior: Person, client_of: Callable[[Person], Client]) -> None:
    client, sha256 = client_of(senior), claimed.cluster.centre.sha256
    pages = ["/review/", "/review/me/", "/review/team/", "/review/assessments/", "/evidence/assets/", "/cases/"]
    found = client.post("/search/", {"query": sha256})
    assert f"/evidence/assets/{claimed.cluster.centre.pk}/" in found.content.decode()
    for answer in [found, *(client.get(page) for page in pages)]:
        assert answer.status_code == 200
        assert b"<img" not in answer.content
        assert b"<canvas" not in answer.content


def test_the_office_loads_questions_of_its_own_and_reads_the_answers_when_they_are_gone(
    claimed: Review, analyst: Person, senior: Person, settings: Any, client_of: Callable[[Person], Client]
) -> None:
    folder = Path(settings.LEADLINE_HOME) / "law" / "assessments"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(
        "format: assessment-1\nid: own\nversion: 1\nname: Own\nsource: the office\n"
        "questions:\n- id: one\n  text_key: own.one\n  text: One\n  codes:\n  - {code: a, name: A}\n  - {code: b, name: B}\n"
    )
    set_office_setting(senior, access.FACTS_SCHEME, "own", "a test")
    made = actions.hand_in(analyst, claimed.pk, claimed.cluster.centre, {"one": ["a"]})
    assert (made.scheme, made.scheme_version) == ("own", 1)
    (folder / "own.yaml").unlink()
    set_office_setting(senior, access.FACTS_SCHEME, "leadline-facts", "a test")
    page = client_of(analyst).get(f"/review/assessments/{made.pk}/").content.decode()
    assert '<tr><th scope="row">one</th><td>a</td></tr>' in page
