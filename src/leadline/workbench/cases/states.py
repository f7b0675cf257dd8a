"""The words of a case, and which state may follow which, for which reasons. Moves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Reason(StrEnum):
    WAITS_FOR_AUTHORITY = "waits-for-authority"
    WAITS_FOR_PARTNER = "waits-for-partner"
    NO_CAPACITY = "no-capacity"
    ANSWERED = "answered"
    NEW_INFORMATION = "new-information"
    TAKEN_UP = "taken-up"
    MISTAKE = "mistake"
    COURT_ORDER = "court-order"
    RESOLVED = "resolved"
    HANDED_OVER = "handed-over"
    NOT_ILLEGAL = "not-illegal"
    NO_LEADS = "no-leads"
    SAME_CASE = "same-case"


class Outcome(StrEnum):
    """What a closed case led to."""

    SAFEGUARDED = "safeguarded"
    REMOVED = "removed"
    PASSED_ON = "passed-on"
    NO_ACTION = "no-action"
    UNKNOWN = "unknown"


class Pap(StrEnum):
    """Permissible Actions Protocol: what one may do with what the case knows without those it is about noticing."""

    RED = "red"  # nothing that anybody could notice: no look-up, no connection
    AMBER = "amber"  # passive only: sources that those it is about cannot watch
    GREEN = "green"  # active too, without interfering
    CLEAR = "clear"


class MemberRole(StrEnum):
    WORKER = "worker"
    READER = "reader"


class PartyRole(StrEnum):
    """What a person, or whoever is behind a selector, is in this case."""

    VICTIM = "victim"
    SUSPECT = "suspect"
    WITNESS = "witness"
    REPORTER = "reporter"
    OTHER = "other"


class SelectorKind(StrEnum):
    ONION = "onion"
    I2P = "i2p"
    FREENET = "freenet"
    WALLET = "wallet"
    HANDLE = "handle"
    EMAIL = "e-mail"
    PHONE = "phone"
    PGP_KEY = "pgp-key"
    LINK = "link"
    OTHER = "other"


class TaskState(StrEnum):
    WAITING = "waiting"
    DOING = "doing"
    DONE = "done"
    DROPPED = "dropped"


_R, _T = Reason, TaskState
_CLOSE = frozenset({_R.RESOLVED, _R.HANDED_OVER, _R.NOT_ILLEGAL, _R.NO_LEADS, _R.SAME_CASE})
# from -> to -> the reasons that allow it. What is not here is refused.
TRANSITIONS: Mapping[State, Mapping[State, frozenset[Reason]]] = {
    State.OPEN: {
        State.SUSPENDED: frozenset({_R.WAITS_FOR_AUTHORITY, _R.WAITS_FOR_PARTNER, _R.NO_CAPACITY}),
        State.CLOSED: _CLOSE,
    },
    State.SUSPENDED: {
        State.OPEN: frozenset({_R.ANSWERED, _R.NEW_INFORMATION, _R.TAKEN_UP}),
        State.CLOSED: _CLOSE,
    },
    State.CLOSED: {State.OPEN: frozenset({_R.NEW_INFORMATION, _R.MISTAKE, _R.COURT_ORDER})},
}
TASK_STEPS: Mapping[TaskState, frozenset[TaskState]] = {
    _T.WAITING: frozenset({_T.DOING, _T.DONE, _T.DROPPED}),
    _T.DOING: frozenset({_T.WAITING, _T.DONE, _T.DROPPED}),
    _T.DONE: frozenset({_T.WAITING}),
    _T.DROPPED: frozenset({_T.WAITING}),
}
REMOVAL_REASONS = ("mistake", "not-related", "wrong-role", "in-another-case")
LEAVING_REASONS = ("work-done", "left-office", "conflict", "renewed", "mistake")
LEAD_REASONS = ("handed-over", "lead-absent", "left-office")
ANSWERS = ("in-touch", "nothing-to-tell")
# As `domain.Tlp` and `Pap` are written, from what everybody may know to what nobody else may.
TLP_ORDER = ("clear", "green", "amber", "amber+strict", "red")
PAP_ORDER = ("clear", "green", "amber", "red")
