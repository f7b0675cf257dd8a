"""What one person wishes for and another confirms: entries that set aside or suppress, and what undoes many matches."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import NotAllowed, WrongState
from leadline.match.admission import Refusal
from leadline.match.bank import Bank
from leadline.workbench.accounts.access import are_two, is_one_person_office
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access
from leadline.workbench.banks.acts.changes import (
    TEXTS,
    begin,
    close,
    code_of,
    end,
    make_proposal,
    noting_failure,
    ranges_of,
    record_of,
    sign,
)
from leadline.workbench.banks.models import Change, Proposal, Trusted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change came to. `proposal`: it waits for a second person, and nothing has changed yet."""

    added: int = 0
    ids: Sequence[int] = ()
    refused: Sequence[Refusal] = ()
    refused_count: int = 0
    withdrawn: int = 0
    is_changed: bool = False
    proposal: Proposal | None = None


def propose(by: Actor, bank: Bank, what: str, wish: Any, count: int, reason: str) -> Outcome:
    """In an office of one person it is confirmed at once, and says so."""
    is_alone = is_one_person_office()
    with transaction.atomic():
        proposal = make_proposal(
            bank, msgspec.json.encode(wish).decode(),
            what=what, reason=reason, count=count, actor=by.id, proposed_by=by.person, is_alone=is_alone,
        )  # fmt: skip
        _record_proposed(by, bank, proposal)
    return confirm(by, proposal) if is_alone else Outcome(proposal=proposal)


def _record_proposed(by: Actor, bank: Bank, proposal: Proposal) -> None:
    details = {"proposal": str(proposal.pk), "what": proposal.what, "entries": proposal.count}
    record_of("bank.entry.proposed", by.id, bank, proposal.reason, details)


def confirm(by: Actor, proposal: Proposal) -> Outcome:
    """A second person's yes: only now it happens. Of what came from outside, who says yes first is who proposes."""
    bank = access.find_bank(by, proposal.bank)
    with transaction.atomic():
        live = Proposal.objects.select_for_update().get(pk=proposal.pk)
        _check_open(live)
        if live.proposed_by is None:
            live.proposed_by, live.actor, live.is_alone = by.person, by.id, is_one_person_office()
            live.save()
            _record_proposed(by, bank, live)
            if not live.is_alone:
                return Outcome(proposal=live)
        if not live.is_alone and not are_two(live.proposed_by, by.person):
            raise NotAllowed("a second person confirms this", mend="ask a colleague")
        doing, wish, wished = _DOINGS[live.what], access.wish_of(live), list[Any]()
        if live.what == "add":
            wished = sign(_read_entries(wish))[0]
        elif live.what == "withdraw":
            wished = json.loads(wish)
        elif live.what == "set":
            wished = [(name, code_of(value)) for name, value in json.loads(wish)]
        elif live.what == "trust":
            wished = [json.loads(wish)]
        what = "confirm" if live.what == "came" else live.what
        change = begin(by, proposal.bank, what, live.reason, bank=bank, wished=wished)
        live.state, live.decided_by, live.decided_at, live.change = "confirmed", by.person, timezone.now(), change
        live.save()
    return doing(change, bank, wish, {"proposal": str(proposal.pk)})


@transaction.atomic
def refuse(by: Actor, proposal: Proposal) -> None:
    """Also by who proposed it: then it is taken back. What came from outside stays in its folder, and does not act."""
    bank = access.find_bank(by, proposal.bank)
    live = Proposal.objects.select_for_update().get(pk=proposal.pk)
    _check_open(live)
    live.state, live.decided_by, live.decided_at, live.entries_sealed = "refused", by.person, timezone.now(), None
    live.save()
    record_of("bank.proposal.refused", by.id, bank, "refused", {"proposal": str(proposal.pk)})


def _check_open(proposal: Proposal) -> None:
    if proposal.state != "open":
        raise WrongState("this proposal is decided")


# --- what is done when it is time -------------------------------------------------------------------------------------


def add(change: Change, bank: Bank, entries: Any, details: dict[str, Any]) -> Outcome:
    with noting_failure(change):
        result = bank.add(entries)
    if not result.added and "proposal" not in details:
        close(change, "failed")
    else:
        end(change, bank, ranges_of(result.ids), result.added, {"entries": result.added} | details)
    return Outcome(result.added, result.ids, result.refused, result.refused_count)


def withdraw(change: Change, bank: Bank, ids: Sequence[int], details: dict[str, Any]) -> Outcome:
    with noting_failure(change):
        removed = bank.remove(ids)
    end(change, bank, ranges_of(ids), removed, {"entries": removed} | details)
    return Outcome(withdrawn=removed)


def set_settings(change: Change, bank: Bank, given: dict[str, Any], details: dict[str, Any]) -> Outcome:
    with noting_failure(change):
        is_changed = bank.set_settings(**given)
    if is_changed or "proposal" in details:
        told = {name: code_of(value) for name, value in given.items() if value is not None and name not in TEXTS}
        end(change, bank, [], 0, told | details)
    else:
        close(change, "failed")
    return Outcome(is_changed=is_changed)


def trust(change: Change, bank: Bank, bits: int, details: dict[str, Any]) -> Outcome:
    said = {"identity": bank.snapshot.manifest.identity, "bits": bits}
    with transaction.atomic():
        Trusted.objects.update_or_create(bank=access.bank_id_of(bank), defaults=said)
        end(change, bank, [], 0, {"bits": bits} | details)
    return Outcome(is_changed=True)


def _let_act(change: Change, bank: Bank, ranges: Sequence[tuple[int, int]], details: dict[str, Any]) -> Outcome:
    count = sum(last - first + 1 for first, last in ranges)
    end(change, bank, [(first, last) for first, last in ranges], count, {"entries": count} | details)
    return Outcome(is_changed=True)


def _read_entries(wish: str) -> list[Entry]:
    return msgspec.json.decode(wish, type=list[Entry])


def _read_settings(wish: str) -> dict[str, Any]:
    given: dict[str, Any] = dict(json.loads(wish))
    kinds = {"kind": Kind, "tlp": Tlp}
    return {name: kinds[name](value) if name in kinds else value for name, value in given.items()}


_DOINGS: dict[str, Callable[[Change, Bank, str, dict[str, Any]], Outcome]] = {
    "add": lambda change, bank, wish, details: add(change, bank, _read_entries(wish), details),
    "withdraw": lambda change, bank, wish, details: withdraw(change, bank, json.loads(wish), details),
    "set": lambda change, bank, wish, details: set_settings(change, bank, _read_settings(wish), details),
    "trust": lambda change, bank, wish, details: trust(change, bank, json.loads(wish), details),
    "came": lambda change, bank, wish, details: _let_act(change, bank, json.loads(wish), details),
}
