"""The one seam between the public pages and `reports`: what was typed becomes a report, a passphrase its outcome.

Keeps no address and no copy of what was typed. When a report came is kept, as of every report, and nothing beside it
that ties the moment to a visitor.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter, Urgency
from leadline.errors import HashFormatError, HashRefused, UrlFormatError
from leadline.exchange.base import parse_hash
from leadline.selectors.url import canonical_url
from leadline.workbench.public.passphrase import language_of_words, make_passphrase
from leadline.workbench.public.tokens import idempotency_key, receipt_seed
from leadline.workbench.reports import access, actions

ACTOR = "public-form"
# Each Argon2 takes 100 MiB while it runs: more than two at once wait for each other, whatever the number of threads.
_hashing = threading.BoundedSemaphore(2)

# What a reporter is told of reports.access.ReporterView.status, and of a reports.states.Outcome.
STATES: Mapping[str, Any] = {
    "received": _("We have your report. Work on it has not begun yet."),
    "in-progress": _("We are working on your report."),
    "question": _("We have a question for you. You find it below."),
    "closed": _("We have finished working on your report."),
}
STATES_OF_APPEAL: Mapping[str, Any] = {
    "received": _("We have your appeal. Work on it has not begun yet."),
    "in-progress": _("We are working on your appeal."),
    "question": STATES["question"],
    "closed": _("We have finished working on your appeal."),
}
OUTCOMES: Mapping[str, Any] = {
    "removed": _("What you reported was taken down."),
    "gone": _("When we looked, what you reported was not there any more."),
    "passed-on": _("We passed it on to those who can act on it, such as the police."),
    "not-illegal": _("We looked at it carefully. Under the law we cannot act against it."),
    "not-for-us": _("It is not something that we may act on. Others may be able to."),
    "too-little": _("We could not find it with what we know. If you know more, write to us below."),
    "no-report": _("There was nothing in it that we could act on."),
    "examined": _("We have looked into what you wrote. If a decision of ours was wrong, it is corrected."),
    "decision-changed": _("We have looked at it again and changed our decision."),
    "decision-stands": _("We have looked at it again. Our decision stands."),
}


@dataclass(frozen=True)
class Receipt:
    """What the reporter is shown once."""

    number: str
    passphrase: str
    words_language: str
    is_appeal: bool = False


@dataclass(frozen=True)
class Line:
    """One message between the office and the reporter."""

    on: date
    from_reporter: bool
    text: str


@dataclass(frozen=True)
class Outcome:
    """What the holder of the passphrase may know. `state` and `outcome` are sentences in the page's language."""

    number: str
    received_on: date
    state: Any
    outcome: Any
    messages: tuple[Line, ...]
    is_appeal: bool = False


def receive_report(data: Mapping[str, Any], chance: str, language: str) -> Receipt:
    """`data` as cleaned by ReportForm; `chance` the random part of its token. Sent twice, it is one report."""
    seed = receipt_seed(chance, _content(data))
    passphrase = make_passphrase(seed, language)
    incoming = IncomingReport(
        channel=Channel.PUBLIC_FORM,
        items=tuple(_item(line) for line in data["urls"]),
        reporter=_reporter(data),
        urgency=frozenset(Urgency(tick) for tick in data["urgency"]),
        text=data["text"],
    )
    with _hashing:
        receipt = actions.receive(
            incoming,
            channel=Channel.PUBLIC_FORM,
            actor=ACTOR,
            idempotency_key=idempotency_key(seed),
            passphrase=passphrase,
            language=language,
        )
    return Receipt(receipt.report.number, passphrase, language_of_words(language))


def receive_appeal(data: Mapping[str, Any], chance: str, language: str) -> Receipt:
    """`data` as cleaned by AppealForm. What it names is looked up later, by the worker: nothing here knows of it."""
    seed = receipt_seed(chance, _content({**data, "urgency": ["appeal"]}))
    passphrase = make_passphrase(seed, language)
    items = tuple(_named(line) for line in data["urls"])
    incoming = IncomingReport(Channel.PUBLIC_FORM, items, reporter=_reporter(data), text=data["text"])
    with _hashing:
        receipt = actions.receive(
            incoming,
            channel=Channel.PUBLIC_FORM,
            actor=ACTOR,
            idempotency_key=idempotency_key(seed),
            passphrase=passphrase,
            language=language,
            is_appeal=True,
        )
    return Receipt(receipt.report.number, passphrase, language_of_words(language), is_appeal=True)


def _named(untrusted_line: str) -> IncomingItem:
    """A hash, else as in a report."""
    try:
        parse_hash(untrusted_line)
    except (HashFormatError, HashRefused):
        return _item(untrusted_line)
    return IncomingItem(ItemKind.HASH, untrusted_line)


def find_report(passphrase: str) -> Any | None:
    """The report of this passphrase; to be handed to `outcome_of` and `post_answer` and looked at by nobody else.

    None for a wrong passphrase and for one whose report is erased, after the same work (an Argon2).
    """
    with _hashing:
        return actions.find_by_passphrase(passphrase)


def outcome_of(report: Any) -> Outcome:
    view = access.reporter_view(report)
    return Outcome(
        number=report.number,
        received_on=view.received_at.date(),
        state=(STATES_OF_APPEAL if report.is_appeal else STATES)[view.status],
        outcome=OUTCOMES.get(view.outcome, ""),
        messages=tuple(Line(at.date(), from_reporter, text) for at, from_reporter, text in view.messages if text),
        is_appeal=report.is_appeal,
    )


def post_answer(report: Any, text: str) -> None:
    actions.post_message(report, text=text, actor=ACTOR, from_reporter=True)


def _content(data: Mapping[str, Any]) -> str:
    """Everything typed, in one order; only a digest of it is used."""
    return "\x1f".join(
        ("\n".join(data["urls"]), data["text"], *sorted(data["urgency"]), data["name"], data["email"], data["phone"])
    )


def _item(untrusted_line: str) -> IncomingItem:
    """A line that is no address is kept as text: nobody is turned away for a typing mistake."""
    try:
        canonical_url(untrusted_line)
    except UrlFormatError:
        return IncomingItem(ItemKind.TEXT, untrusted_line)
    return IncomingItem(ItemKind.URL, untrusted_line)


def _reporter(data: Mapping[str, Any]) -> Reporter | None:
    if not (data["name"] or data["email"] or data["phone"]):
        return None
    return Reporter(name=data["name"], email=data["email"], phone=data["phone"])
