"""A report moves only as the table says, with a reason, and every step stays."""

from __future__ import annotations

from typing import Any

import pytest
from tests.workbench.reports.conftest import make_report

from leadline.errors import NotAllowed, ReportFormatError, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import Report, StateChange
from leadline.workbench.reports.states import OPEN, TRANSITIONS, Outcome, Reason, State, reasons_for


def to(by: Person, report: Report, state: State, reason: Reason, outcome: Outcome | None = None, **more: Any) -> Report:
    report.refresh_from_db()
    return actions.change_state(by, report.pk, state, reason, seen=State(report.state), outcome=outcome, **more)


def test_every_state_is_in_the_table_and_every_state_but_the_first_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {to for targets in TRANSITIONS.values() for to in targets} == set(State)
    assert all(reasons for targets in TRANSITIONS.values() for reasons in targets.values())
    assert State.CLOSED not in OPEN
    assert State.DUPLICATE not in OPEN


def test_a_report_goes_from_new_to_closed_and_every_step_stays(analyst: Person) -> None:
    report = make_report()
    to(analyst, report, State.TRIAGE, Reason.TAKEN)
    to(analyst, report, State.FORWARDED, Reason.TO_POLICE)
    to(analyst, report, State.TRIAGE, Reason.ANSWERED)
    closed = to(analyst, report, State.CLOSED, Reason.ASSESSED, Outcome.PASSED_ON)
    steps = [(c.from_state, c.to_state, c.reason, c.outcome) for c in report.changes.all()]
    assert steps == [
        ("new", "triage", "taken", ""),
        ("triage", "forwarded", "to-police", ""),
        ("forwarded", "triage", "answered", ""),
        ("triage", "closed", "assessed", "passed-on"),
    ]
    assert (closed.is_open, closed.outcome, closed.assigned_to) == (False, "passed-on", analyst)
    lines = list(Line.objects.filter(act="report.state").values_list("line", flat=True))
    assert [change.journal_line for change in report.changes.all()] == lines


def test_every_step_that_the_table_does_not_hold_is_refused(analyst: Person) -> None:
    report = make_report()
    for state in State:
        for reason in Reason:
            if reason in reasons_for(State.NEW, state):
                continue
            outcome = Outcome.REMOVED if state is State.CLOSED else None
            with pytest.raises(WrongState):
                to(analyst, report, state, reason, outcome, same_as=make_once())
    assert not StateChange.objects.exists()


def make_once() -> Report:
    return Report.objects.exclude(source="").first() or make_report("https://example.org/b", source="other")


def test_an_old_page_does_not_move_a_report_that_has_moved_on(analyst: Person, senior: Person) -> None:
    report = make_report()
    actions.change_state(senior, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    with pytest.raises(WrongState):
        actions.change_state(analyst, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    report.refresh_from_db()
    assert report.assigned_to == senior


def test_closing_needs_an_outcome_and_nothing_else_takes_one(analyst: Person) -> None:
    report = make_report()
    with pytest.raises(WrongState):
        to(analyst, report, State.CLOSED, Reason.OUT_OF_SCOPE)
    with pytest.raises(WrongState):
        to(analyst, report, State.TRIAGE, Reason.TAKEN, Outcome.REMOVED)
    assert Report.objects.get().state == "new"


def test_a_duplicate_names_the_report_that_goes_on_and_never_a_circle(analyst: Person) -> None:
    one, two = make_report(text="a"), make_report(text="b")
    for wrong in (None, two):
        with pytest.raises(WrongState):
            to(analyst, two, State.DUPLICATE, Reason.SAME_REPORT, same_as=wrong)
    assert to(analyst, two, State.DUPLICATE, Reason.SAME_REPORT, same_as=one).attached_to == one
    two.refresh_from_db()
    with pytest.raises(WrongState):
        to(analyst, one, State.DUPLICATE, Reason.SAME_REPORT, same_as=two)


def test_a_failed_step_leaves_neither_a_state_nor_a_line(analyst: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    report = make_report()

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("made up")

    monkeypatch.setattr(StateChange.objects, "create", broken)
    with pytest.raises(OSError, match="made up"):
        to(analyst, report, State.TRIAGE, Reason.TAKEN)
    assert Report.objects.get().state == "new"
    assert not Line.objects.filter(act="report.state").exists()


# --- the conversation ------------------------------------------------------------------------------------------------

PHRASE = "apple river stone cloud paper wind"


def test_the_reporter_finds_the_report_by_the_passphrase_however_typed(office: Any) -> None:
    report = make_report(passphrase=PHRASE)
    make_report("https://example.org/b", passphrase="another set of made up words")
    assert actions.find_by_passphrase(PHRASE) == report
    assert actions.find_by_passphrase("  Apple-River-stone CLOUD paper\nwind ") == report
    assert actions.find_by_passphrase("apple river stone cloud paper") is None
    assert actions.find_by_passphrase("") is None


def test_the_passphrase_is_kept_as_argon2_and_twenty_bits(office: Any) -> None:
    report = make_report(passphrase=PHRASE)
    assert report.passphrase_hash.startswith("argon2$argon2id$")
    assert len(report.receipt_lookup) == 5


def test_question_answer_and_outcome_reach_the_reporter(analyst: Person) -> None:
    report = make_report(passphrase=PHRASE)
    assert access.reporter_view(report).status == "received"
    to(analyst, report, State.TRIAGE, Reason.TAKEN)
    to(analyst, report, State.WAITING, Reason.ASKED_REPORTER)
    actions.post_message(report, text="Which page?", actor=str(analyst.pk), from_reporter=False)
    report.refresh_from_db()
    assert access.reporter_view(report).status == "question"
    actions.post_message(report, text="The second.", actor="public-form", from_reporter=True)
    report.refresh_from_db()
    assert report.state == State.TRIAGE
    view = access.reporter_view(report)
    assert [(mine, text) for _, mine, text in view.messages] == [(False, "Which page?"), (True, "The second.")]
    assert view.status == "in-progress"
    to(analyst, report, State.CLOSED, Reason.ASSESSED, Outcome.REMOVED)
    report.refresh_from_db()
    assert (access.reporter_view(report).status, access.reporter_view(report).outcome) == ("closed", "removed")


def test_the_reporter_of_a_duplicate_reads_the_outcome_of_the_report_that_goes_on(analyst: Person) -> None:
    first, second = make_report(), make_report(passphrase=PHRASE)
    to(analyst, first, State.CLOSED, Reason.OUT_OF_SCOPE, Outcome.NOT_FOR_US)
    second.refresh_from_db()
    assert access.reporter_view(second).outcome == "not-for-us"


def test_nobody_writes_where_nobody_reads(analyst: Person) -> None:
    with pytest.raises(NotAllowed):
        actions.post_message(make_report(), text="hello", actor="x", from_reporter=False)
    report = make_report(passphrase=PHRASE, text="x")
    for text in ("", "  ", "x" * 10_001):
        with pytest.raises(ReportFormatError):
            actions.post_message(report, text=text, actor="x", from_reporter=False)
