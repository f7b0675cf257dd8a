"""The states of a report as one table: which may follow which, for which reasons, and how it can end. Moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class State(StrEnum):
    NEW = "new"
    TRIAGE = "triage"
    WAITING = "waiting"
    FORWARDED = "forwarded"
    CLOSED = "closed"
    REOPENED = "reopened"
    DUPLICATE = "duplicate"


class Reason(StrEnum):
    TAKEN = "taken"
    GIVEN_BACK = "given-back"
    ANSWERED = "answered"
    OVERDUE = "overdue"
    ASKED_REPORTER = "asked-reporter"
    ASKED_PARTNER = "asked-partner"
    ASKED_POLICE = "asked-police"
    TO_POLICE = "to-police"
    TO_HOTLINE = "to-hotline"
    TO_HOST = "to-host"
    ASSESSED = "assessed"
    NO_ANSWER = "no-answer"
    OUT_OF_SCOPE = "out-of-scope"
    SAME_REPORT = "same-report"
    ALL_ITEMS_KNOWN = "all-items-known"
    NO_DUPLICATE = "no-duplicate"
    REPORTED_AGAIN = "reported-again"
    NEW_INFORMATION = "new-information"
    MISTAKE = "mistake"
    APPEAL = "appeal"


class Outcome(StrEnum):
    """How a closed report ended: the codes that a reporter is answered with."""

    REMOVED = "removed"
    GONE = "gone"  # there was nothing there any more when it was looked at
    PASSED_ON = "passed-on"
    NOT_ILLEGAL = "not-illegal"
    NOT_FOR_US = "not-for-us"
    TOO_LITTLE = "too-little"
    NO_REPORT = "no-report"
    # of appeals alone
    EXAMINED = "examined"  # says neither that a decision was there nor what became of it
    DECISION_CHANGED = "decision-changed"
    DECISION_STANDS = "decision-stands"


OF_APPEALS = frozenset({Outcome.EXAMINED, Outcome.DECISION_CHANGED, Outcome.DECISION_STANDS})


_R = Reason
_WAIT = frozenset({_R.ASKED_REPORTER, _R.ASKED_PARTNER, _R.ASKED_POLICE})
_FORWARD = frozenset({_R.TO_POLICE, _R.TO_HOTLINE, _R.TO_HOST})
_CLOSE = frozenset({_R.ASSESSED, _R.NO_ANSWER, _R.OUT_OF_SCOPE})
_SAME = frozenset({_R.SAME_REPORT})
_ON_THE_DESK = {
    State.WAITING: _WAIT,
    State.FORWARDED: _FORWARD,
    State.CLOSED: _CLOSE,
    State.DUPLICATE: _SAME,
}
# from -> to -> the reasons that allow it. What is not here is refused.
TRANSITIONS: Mapping[State, Mapping[State, frozenset[Reason]]] = {
    State.NEW: {
        State.TRIAGE: frozenset({_R.TAKEN}),
        State.FORWARDED: _FORWARD,
        State.CLOSED: _CLOSE,
        State.DUPLICATE: _SAME | {_R.ALL_ITEMS_KNOWN},
    },
    State.TRIAGE: {**_ON_THE_DESK, State.NEW: frozenset({_R.GIVEN_BACK})},
    State.REOPENED: {**_ON_THE_DESK, State.TRIAGE: frozenset({_R.TAKEN})},
    State.WAITING: {State.TRIAGE: frozenset({_R.ANSWERED, _R.OVERDUE, _R.TAKEN}), State.CLOSED: _CLOSE},
    State.FORWARDED: {State.TRIAGE: frozenset({_R.ANSWERED, _R.OVERDUE, _R.TAKEN}), State.CLOSED: _CLOSE},
    State.CLOSED: {State.REOPENED: frozenset({_R.REPORTED_AGAIN, _R.NEW_INFORMATION, _R.MISTAKE, _R.APPEAL})},
    State.DUPLICATE: {State.REOPENED: frozenset({_R.NO_DUPLICATE, _R.NEW_INFORMATION, _R.REPORTED_AGAIN})},
}
OPEN = frozenset({State.NEW, State.TRIAGE, State.WAITING, State.FORWARDED, State.REOPENED})
# No report waits for ever: after this time it is back on the desk.
WAITS_AT_MOST: Mapping[State, timedelta] = {State.WAITING: timedelta(days=14), State.FORWARDED: timedelta(days=30)}


def reasons_for(state: State, to: State) -> frozenset[Reason]:
    """Why a report may go from one state to the other; empty where it may not."""
    return TRANSITIONS[state].get(to, frozenset())
