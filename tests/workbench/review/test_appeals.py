"""Appeals: what they open, who decides, how they end, who learns of it. By themselves they change nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Kind
from leadline.errors import InputError, NotAllowed, WrongState
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission, Role
from leadline.workbench.reports import access as reports_access
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review import access, actions, appeals, contested
from leadline.workbench.review.models import Appeal, Assessment, Contest, Review

from .conftest import ANSWERS
from .decided import OTHER, decide, in_force

pytestmark = pytest.mark.django_db
WORDS = "one two three four five six seven"


@pytest.fixture
def made(claimed: Review, analyst: Person) -> Assessment:
    """The analyst's decision, in force."""
    return decide(analyst, claimed)


@pytest.fixture
def other(make_person: Callable[..., Person]) -> Person:
    return make_person("other", Role.ANALYST)


def appeal_of(*named: IncomingItem, text: str = "it was wrong", passphrase: str = WORDS) -> Appeal:
    """As the public form hands it in, and looked up by the worker."""
    incoming = IncomingReport(Channel.PUBLIC_FORM, named, text=text)
    receipt = reports.receive(
        incoming, channel=Channel.PUBLIC_FORM, actor="public-form", passphrase=passphrase, is_appeal=True
    )
    actions.open_appeals()
    return Appeal.objects.get(report=receipt.report)


def hash_of(asset: Asset, name: str = "sha256") -> IncomingItem:
    return IncomingItem(ItemKind.HASH, getattr(asset, name))


def take(person: Person) -> Review:
    actions.begin_shift(person)
    review = actions.claim_next(Actor.of_person(person))
    assert review is not None
    return review


# --- what it opens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha256", "sha1", "md5", "pdq"])
def test_an_appeal_that_names_an_assessed_file_opens_one_review_of_no_urgency(made: Assessment, name: str) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre, name))
    review = Review.objects.get(purpose="revision")
    assert (review.cluster, review.state, review.urgency, review.of) == (made.cluster, "waiting", 0, made.review)
    assert Contest.objects.get().assessment == made
    appeal_of(hash_of(made.cluster.centre, name))
    assert Review.objects.filter(purpose="revision").count() == 1
    assert appeal.due_at - appeal.report.received_at == timedelta(days=14)


def test_it_is_found_by_the_link_the_number_and_the_assessment_itself(
    made: Assessment, senior: Person, other: Person
) -> None:
    url = IncomingItem(ItemKind.URL, "https://pictures.example.net/made-up/1")
    known = reports.receive(
        IncomingReport(Channel.API, (url,)),
        channel=Channel.API,
        actor="test",
        files=[reports.TakenFile("drawn.png", made.cluster.centre)],
    ).report
    for named in (url, IncomingItem(ItemKind.TEXT, f"your number {known.number.lower()}, please")):
        assert appeal_of(named).contests.get().assessment == made
    direct, _ = actions.receive_appeal(
        Actor.of_person(senior), IncomingReport(Channel.STAFF_FORM, text="wrong"), assessment_id=made.pk
    )
    assert not direct.contests.exists()  # nothing is looked up while somebody waits for an answer
    actions.open_appeals()
    assert direct.contests.get().assessment == made


def test_nothing_is_found_by_words_nor_by_a_file_that_nobody_assessed(made: Assessment, arrive: Any) -> None:
    sha256 = made.cluster.centre.sha256
    appeal_of(IncomingItem(ItemKind.TEXT, "the picture"), hash_of(arrive(2)), text=f"see {sha256}")
    assert not Contest.objects.exists()
    assert not Review.objects.filter(purpose="revision").exists()


def test_an_appeal_changes_nothing_by_itself(
    made: Assessment, senior: Person, make_bank: Any, analyst: Person, make_person: Callable[..., Person]
) -> None:
    make_bank("own")
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    url = IncomingItem(ItemKind.URL, "https://pictures.example.net/made-up/1")
    known = reports.receive(IncomingReport(Channel.API, (url,)), channel=Channel.API, actor="test").report
    reports.change_state(
        analyst, known.pk, reports_states().State.CLOSED, reports_states().Reason.ASSESSED,
        seen=reports_states().State.NEW, outcome=reports_states().Outcome.GONE,
    )  # fmt: skip
    appeal_of(hash_of(made.cluster.centre), url)
    made.refresh_from_db()
    known.refresh_from_db()
    reach.proposal.refresh_from_db()
    first = Item.objects.get(report=known)
    assert (made.standing, known.state, reach.proposal.state) == ("in-force", "closed", "open")
    assert (first.times, known.known_count) == (1, 0)  # it is no report of the same thing
    assert access.find_assessment(Actor.of_person(make_person("third", Role.ANALYST)), made.pk) == made


def reports_states() -> Any:
    from leadline.workbench.reports import states

    return states


def test_no_list_search_or_alert_of_reports_holds_an_appeal(made: Assessment, senior: Person) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    actor = Actor.of_person(senior)
    assert not reports_access.visible_reports(actor).exists()
    assert not reports_access.list_reports(actor, reports_access.Asked("all", text=appeal.report.number)).rows
    assert appeal.report.number.startswith("A-")
    assert not Item.objects.filter(report=appeal.report).exclude(key="").exists()


def test_no_program_outside_is_told_of_an_appeal(made: Assessment, senior: Person) -> None:
    """Webhooks follow what is done to reports: an appeal has acts of its own."""
    appeal = appeal_of(hash_of(made.cluster.centre))
    states = reports_states()
    reports.change_state(
        senior, appeal.report_id, states.State.TRIAGE, states.Reason.TAKEN, seen=states.State.NEW
    )
    reports.post_message(appeal.report, text="which one?", actor=str(senior.pk), from_reporter=False)
    reports.post_message(appeal.report, text="that one", actor="public-form", from_reporter=True)
    acts = set(Line.objects.filter(object_id=str(appeal.report_id)).values_list("act", flat=True))
    assert acts == {"appeal.received", "appeal.state", "appeal.asked", "appeal.message"}


def test_the_index_of_searches_holds_an_appeal_as_no_report_and_nothing_that_it_names(
    made: Assessment, senior: Person, settings: Any
) -> None:
    from leadline.workbench.search import actions as search
    from leadline.workbench.search.models import Document

    settings.LEADLINE_SEARCH_FIELDS = ["text", "reference", "host"]
    appeal = appeal_of(hash_of(made.cluster.centre), text="unheard words")
    plain = reports.receive(
        IncomingReport(Channel.API, text="heard words"), channel=Channel.API, actor="test"
    ).report
    for _ in range(4):
        search.follow()
    assert Document.objects.filter(object_id=plain.pk).exists()
    held = [appeal.report_id, *appeal.report.items.values_list("pk", flat=True)]
    assert not Document.objects.filter(object_id__in=held).exists()
    number = appeal.report.number.lower().replace("-", " ")
    [only] = Document.objects.filter(object_id=appeal.pk).values_list("kind", "words")
    assert only == ("appeal", f"{number} unheard words")


def test_what_was_upheld_once_is_opened_again_by_a_person_only(
    made: Assessment, senior: Person, other: Person
) -> None:
    first = appeal_of(hash_of(made.cluster.centre))
    actions.uphold(senior, first.contests.get().pk, "nothing-new")
    again = appeal_of(hash_of(made.cluster.centre))
    assert again.contests.get().review is None
    assert not Review.objects.filter(purpose="revision", state="waiting").exists()
    actions.contest_assessment(other, again.pk, made)
    assert again.contests.get().review is not None


def test_one_appeal_opens_a_bounded_number_of_reviews(
    made: Assessment, arrive: Any, analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contested, "MOST", 1)
    arrive(2)
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    decide(analyst, review)
    appeal_of(*(hash_of(asset) for asset in Asset.objects.all()))
    assert Contest.objects.count() == 1


# --- who decides -----------------------------------------------------------------------------------------------------


def test_nobody_who_decided_before_decides_the_appeal(
    made: Assessment, analyst: Person, senior: Person, other: Person
) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    review = Review.objects.get(purpose="revision")
    assert not access.queue(Actor.of_person(analyst)).exists()
    with pytest.raises(NotAllowed):
        actions.uphold(analyst, appeal.contests.get().pk, "nothing-new")
    with pytest.raises(NotAllowed):
        actions.assign(Actor.of_person(senior), review.pk, analyst)
    with pytest.raises(WrongState):
        actions.claim(Actor.of_person(analyst), review.pk)
    assert take(other) == review


def test_the_card_has_the_appeals_words_and_not_what_was_said_before(
    made: Assessment, other: Person, senior: Person, browser_of: Callable[[Person], Client]
) -> None:
    appeal_of(hash_of(made.cluster.centre), text="the reason that they give")
    review = take(other)
    page = browser_of(other).get(f"/review/{review.pk}/").content.decode()
    assert "the reason that they give" in page
    assert str(made.pk) not in page
    assert access.find_assessment(Actor.of_person(other), made.pk) is None
    assert not access.assessments(Actor.of_person(other)).exists()
    assert access.find_assessment(Actor.of_person(senior), made.pk) == made  # from nobody else is it taken


def test_a_file_that_lists_know_by_now_is_looked_at_all_the_same(made: Assessment, other: Person) -> None:
    """The decision that put it there is the very one that is contested."""
    Asset.objects.update(is_set_aside=True)
    appeal_of(hash_of(made.cluster.centre))
    review = Review.objects.get(purpose="revision")
    actions.refresh_review(review.pk)
    assert take(other) == review
    assert access.subject_of(review) == made.cluster.centre


def test_it_is_about_the_very_file_that_was_assessed(arrive: Any, made: Assessment, other: Person) -> None:
    near = arrive(1, quality=90)
    Asset.objects.filter(pk=made.cluster.centre.pk).update(is_set_aside=True)
    appeal_of(hash_of(near))
    assert access.subject_of(take(other)) == made.cluster.centre


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_the_same_answers_let_it_stand(made: Assessment, other: Person) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    again = decide(other, take(other))
    made.refresh_from_db()
    contest = appeal.contests.get()
    assert (made.standing, again.standing, again.revises) == ("in-force", "superseded", None)
    assert (contest.outcome, contest.decided_by, contest.ended_by) == ("upheld", other, again)
    assert Line.objects.filter(act="appeal.upheld", object_id=str(appeal.pk), actor=str(other.pk)).exists()


def test_other_answers_revise_it_and_ask_to_withdraw_what_stands(
    made: Assessment, other: Person, senior: Person, make_bank: Any, make_person: Callable[..., Person]
) -> None:
    make_bank("own")
    reach = actions.propose_entry(Actor.of_person(senior), made.pk, "own", Kind.ILLEGAL)
    banks.confirm(Actor.of_person(make_person("second", Role.SENIOR)), reach.proposal)
    appeal = appeal_of(hash_of(made.cluster.centre))
    new = decide(other, take(other), OTHER)
    made.refresh_from_db()
    reach.refresh_from_db()
    contest = appeal.contests.get()
    assert (made.standing, new.standing, new.revises, new.reason) == ("superseded", "in-force", made, "appeal")
    assert (contest.outcome, contest.ended_by) == ("changed", new)
    assert reach.undone_by is not None
    assert Line.objects.filter(act="assessment.revised", reason="appeal").exists()


def test_answers_to_an_appeal_can_be_undone_within_ten_seconds(made: Assessment, other: Person) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    review = take(other)
    given = actions.hand_in(other, review.pk, access.subject_of(review), OTHER)
    actions.undo(other, given.pk)
    assert access.claimed_by(Actor.of_person(other)) == review
    actions.settle()
    made.refresh_from_db()
    assert (made.standing, appeal.contests.get().outcome) == ("in-force", "")


def test_a_revision_for_another_reason_answers_what_was_contested_and_closes_its_review(
    made: Assessment, senior: Person
) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    new = in_force(actions.revise(senior, made.pk, "new-information", OTHER))
    contest = appeal.contests.get()
    assert (contest.outcome, contest.ended_by) == ("changed", new)
    assert Review.objects.get(purpose="revision").state == "set-aside"


def test_upholding_needs_a_reason_and_closes_the_review_that_nobody_else_waits_for(
    made: Assessment, senior: Person
) -> None:
    one, two = (appeal_of(hash_of(made.cluster.centre)) for _ in range(2))
    with pytest.raises(InputError):
        actions.uphold(senior, one.contests.get().pk, "because")
    actions.uphold(senior, one.contests.get().pk, "nothing-new")
    review = Review.objects.get(purpose="revision")
    assert review.state == "waiting"
    actions.uphold(senior, two.contests.get().pk, "not-about-this")
    review.refresh_from_db()
    assert review.state == "set-aside"
    with pytest.raises(WrongState):
        actions.uphold(senior, one.contests.get().pk, "nothing-new")


def test_what_a_colleague_is_deciding_is_left_to_them(made: Assessment, senior: Person, other: Person) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    review, contest = take(other), appeal.contests.get()
    with pytest.raises(WrongState):
        actions.uphold(senior, contest.pk, "nothing-new")
    given = actions.hand_in(other, review.pk, access.subject_of(review), OTHER)
    with pytest.raises(WrongState):  # it can still be undone, and then counts for nothing
        actions.uphold(senior, contest.pk, "nothing-new")
    in_force(given)
    contest.refresh_from_db()
    assert contest.outcome == "changed"


def test_it_is_answered_once_everything_is_decided_in_the_words_a_person_chose(
    made: Assessment, senior: Person
) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    with pytest.raises(WrongState):
        actions.answer_appeal(senior, appeal.pk, "examined")
    actions.uphold(senior, appeal.contests.get().pk, "nothing-new")
    with pytest.raises(InputError):
        actions.answer_appeal(senior, appeal.pk, "removed")
    actions.answer_appeal(senior, appeal.pk, "examined", "we looked at it")
    view = reports_access.reporter_view(Report.objects.get(pk=appeal.report_id))
    assert (view.status, view.outcome, view.messages[0][2]) == ("closed", "examined", "we looked at it")
    assert Line.objects.get(act="appeal.answered").reason == "examined"
    with pytest.raises(WrongState):
        actions.answer_appeal(senior, appeal.pk, "examined")


def test_outcomes_of_appeals_are_none_of_reports(analyst: Person) -> None:
    states = reports_states()
    report = reports.receive(
        IncomingReport(Channel.API, text="made up"), channel=Channel.API, actor="test"
    ).report
    with pytest.raises(WrongState):
        reports.change_state(
            analyst, report.pk, states.State.CLOSED, states.Reason.ASSESSED, seen=states.State.NEW,
            outcome=states.Outcome.DECISION_STANDS,
        )  # fmt: skip


def test_the_worker_tells_the_appellant_nothing(made: Assessment) -> None:
    """Until a person takes it up, an appeal against something known looks as one against nothing."""
    known, unknown = appeal_of(hash_of(made.cluster.centre)), appeal_of(IncomingItem(ItemKind.HASH, "ab" * 32))
    told = [reports_access.reporter_view(Report.objects.get(pk=one.report_id)) for one in (known, unknown)]
    assert {(one.status, one.outcome, one.messages) for one in told} == {("received", "", ())}


# --- pages -----------------------------------------------------------------------------------------------------------


def test_a_letter_is_taken_down_from_the_page_of_the_assessment_and_ends_with_an_answer(
    made: Assessment, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    client = client_of(senior)
    assert f"/review/appeals/new/?assessment={made.pk}" in client.get(f"/review/assessments/{made.pk}/").content.decode()
    form = "/review/appeals/new/?assessment="
    told = [client.get(form + named).content.decode() for named in (str(made.pk), "made-up")]
    assert [f'href="/review/assessments/{made.pk}/"' in page for page in told] == [True, False]
    given = {"assessment": str(made.pk), "about": f"see {made.cluster.centre.sha256}", "text": "made up words"}
    address = client.post("/review/appeals/new/", given)["Location"]
    page = client.get(address).content.decode()
    assert "made up words" in page
    appeal = Appeal.objects.get()
    assert b"made up words" not in bytes(appeal.report.text_sealed)
    contest = appeal.contests.get()
    client.post(f"{address}take/")
    client.post(f"{address}contest/{contest.pk}/uphold/", {"reason": "nothing-new"})
    client.post(f"{address}answer/", {"told": "decision-stands"})
    appeal.refresh_from_db()
    assert appeal.answered_by == senior
    assert appeal.report.number not in client.get("/review/appeals/").content.decode()
    assert appeal.report.number in client.get("/review/appeals/?answered=1").content.decode()


def test_the_list_goes_by_the_offices_term_and_marks_what_is_late(
    made: Assessment, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    set_office_setting(senior, access.APPEAL_DAYS, "30", "a test")
    late, later = appeal_of(hash_of(made.cluster.centre)), appeal_of(hash_of(made.cluster.centre))
    assert later.due_at - later.report.received_at == timedelta(days=30)
    Appeal.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    page = client_of(senior).get("/review/appeals/").content.decode()
    assert page.index(late.report.number) < page.index(later.report.number)
    assert page.count(">late<") == 1


def test_an_appeal_that_leads_nowhere_is_led_by_a_person(
    made: Assessment, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    appeal, client = appeal_of(IncomingItem(ItemKind.TEXT, "the red one")), client_of(senior)
    address = f"/review/appeals/{appeal.pk}/"
    client.post(f"{address}contest/", {"named": "ab" * 32})
    assert not appeal.contests.exists()
    client.post(f"{address}contest/", {"named": made.cluster.centre.sha1})
    assert appeal.contests.get().assessment == made


def test_what_one_may_not_see_an_appeal_does_not_show(
    made: Assessment, senior: Person, other: Person, client_of: Callable[[Person], Client]
) -> None:
    appeal = appeal_of(hash_of(made.cluster.centre))
    Asset.objects.update(sensitivity=2)
    page = client_of(other).get(f"/review/appeals/{appeal.pk}/").content.decode()
    assert str(made.pk) not in page
    contest = appeal.contests.get()
    answer = client_of(other).post(
        f"/review/appeals/{appeal.pk}/contest/{contest.pk}/uphold/", {"reason": "nothing-new"}
    )
    assert answer.status_code == 404
    Report.objects.update(sensitivity=2)
    assert client_of(other).get(f"/review/appeals/{appeal.pk}/").status_code == 404
    assert appeals.find_appeal(Actor.of_person(senior), appeal.pk) is not None


# --- programs --------------------------------------------------------------------------------------------------------


def post(program: Client, body: Any, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return program.post("/api/v1/appeals", body, content_type="application/json", headers=headers)


def test_a_program_appeals_once_and_reads_what_a_person_answered(
    made: Assessment, senior: Person, other: Person, program_of: Callable[..., Client]
) -> None:
    program = program_of(other, Role.ANALYST, Permission.APPEALS_WRITE)
    about = [{"kind": "hash", "value": made.cluster.centre.sha256}]
    body = {"about": about, "text": "it is a drawing", "source_reference": "C-1"}
    first, again = (post(program, body, "one") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert post(program, body | {"text": "another"}, "one").status_code == 422
    assert Appeal.objects.count() == 1
    actions.open_appeals()
    address = f"/api/v1/appeals/{first.json()['id']}"
    assert (program.get(address).json()["status"], program.get(address).json()["outcome"]) == ("received", "")
    appeal = Appeal.objects.get()
    actions.uphold(senior, appeal.contests.get().pk, "nothing-new")
    actions.answer_appeal(senior, appeal.pk, "decision-stands")
    assert program.get(address).json()["outcome"] == "decision-stands"
    assert program_of(other, Role.ANALYST, Permission.APPEALS_WRITE).get(address).status_code == 404  # of another key
    assert post(program_of(other, Role.ANALYST, Permission.REPORTS_WRITE), body).status_code == 403


def test_a_programs_answer_and_its_work_are_the_same_whatever_is_known(
    made: Assessment, other: Person, program_of: Callable[..., Client]
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    program = program_of(other, Role.ANALYST, Permission.APPEALS_WRITE)
    post(program, {"text": "the first of a year makes its series"})
    shapes, work = [], []
    for value in (made.cluster.centre.sha256, "ab" * 32):
        with CaptureQueriesContext(connection, ) as asked:
            answer = post(program, {"about": [{"kind": "hash", "value": value}], "text": "wrong"})
        shapes.append((answer.status_code, sorted(answer.json())))
        work.append(len(asked))
    assert shapes[0] == shapes[1]
    assert work[0] == work[1]


def test_an_empty_appeal_is_refused(other: Person, program_of: Callable[..., Client]) -> None:
    assert post(program_of(other, Role.ANALYST, Permission.APPEALS_WRITE), {}).status_code == 422


def test_the_answers_of_the_first_stay_as_they_were(made: Assessment, other: Person) -> None:
    appeal_of(hash_of(made.cluster.centre))
    decide(other, take(other), OTHER)
    made.refresh_from_db()
    assert made.answers == ANSWERS
