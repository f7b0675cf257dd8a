"""What an assessment leads to outside this app: entries proposed for the office's banks, outcomes noted, both undone.

Nothing here changes a bank: it makes proposals, and a second person confirms each of them on the pages of banks. Nor
does it send anything: who got something that a revised decision led to is listed, and told by a person, or by what two
people let leave (sharing).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from leadline.domain import EXACT_ALGORITHMS, Entry, Kind, PdqFamily
from leadline.errors import BankError, InputError, WrongState
from leadline.match.bank import Bank
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access as banks
from leadline.workbench.banks import actions as bank_actions
from leadline.workbench.banks.models import EntryChange, Proposal
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import record
from leadline.workbench.review import reached
from leadline.workbench.review.models import Assessment, Cluster, Origin, Outcome, Reach, Standing, ToTell

_KINDS = frozenset({Kind.ILLEGAL, Kind.EXPLOITATIVE, Kind.OTHER, Kind.FALSE_POSITIVE})
OUTCOMES = tuple(word for word, _ in Outcome.WORDS)
SOURCES = ("police", "host", "partner", "own-check")
_NAME_MAX = 100  # of a bank; with the number of its entry it has to fit into one field
HOW_TOLD = ("letter", "mail", "telephone", "portal", "exchange", "not-needed")


@transaction.atomic
def propose_entry(by: Actor, assessment_id: Any, bank_id: str, kind: Kind) -> Reach:
    """The assessed file's fingerprints as an entry of a bank of the office. A second person confirms it there.

    Only the file that the person had before them: near-duplicates are matched by its PDQ anyhow.
    """
    made = Assessment.objects.select_for_update().get(pk=assessment_id)
    if made.standing != Standing.IN_FORCE:
        raise WrongState("it does not count", mend="wait ten seconds, or take the one that does")
    if kind not in _KINDS:
        raise InputError("not a kind that an assessment can state", where="kind")
    if made.reached.filter(undone_by__isnull=True, ended_at__isnull=True, proposal__bank=bank_id).exists():
        raise WrongState("it is proposed for this bank already")
    covered = made.coverage.filter(origin=Origin.ASSESSED.value).select_related("asset").first()
    if covered is None:
        raise WrongState("no file of it was assessed")
    entry = entry_of(covered.asset, made, kind)
    reason = "other-content" if kind is Kind.FALSE_POSITIVE else "own-assessment"
    outcome = bank_actions.propose(by, banks.find_bank(by, bank_id), "add", [entry], 1, reason)
    proposal = _proposal_of(outcome, by, bank_id)
    reach = Reach.objects.create(assessment=made, proposal=proposal)
    if kind is Kind.FALSE_POSITIVE:
        _list_sources(made, covered.asset)
    _tell("assessment.proposed", made, by.id, {"bank": bank_id, "kind": kind.value, "proposal": str(proposal.pk)})
    return reach


def _list_sources(made: Assessment, asset: Asset) -> None:
    """Whoever gave us an entry that this file met, and should not have met, is to be told by a person."""
    met = asset.matches.filter(withdrawn_at__isnull=True).exclude(kind__in=[Kind.FALSE_POSITIVE, Kind.BENIGN])
    rows = [
        ToTell(assessment=made, kind="list-source", object_id=f"{match.bank}:{match.entry}", reached_at=match.found_at)
        for match in met
        if len(match.bank) <= _NAME_MAX
    ]
    ToTell.objects.bulk_create(rows, ignore_conflicts=True)


def _proposal_of(outcome: bank_actions.Outcome, by: Actor, bank_id: str) -> Proposal:
    """In an office of one person it was confirmed at once, and only its row says so."""
    if outcome.proposal is not None:
        return outcome.proposal
    return Proposal.objects.filter(bank=bank_id, proposed_by=by.person).latest("proposed_at")


def entry_of(asset: Asset, made: Assessment, kind: Kind) -> Entry:
    prints = {name: bytes.fromhex(getattr(asset, name)) for name in EXACT_ALGORITHMS}
    view = asset.views.filter(family=PdqFamily.B.value).order_by("id").first()
    if view is not None and kind is not Kind.FALSE_POSITIVE:  # a false positive speaks for the very file only
        prints["pdq"] = view.hashes.pdq[0]
    label = made.labels.filter(is_derived=False, ended_at__isnull=True).first()
    return Entry(
        kind=kind,
        fingerprints=prints,
        quality=view.quality if view is not None and "pdq" in prints else None,
        scheme=f"{label.scheme}:{label.version}" if label else "",
        label=label.code if label else "",
        source="own-assessment",
        source_id=str(made.pk),
        # Whoever reads the entry must know which questions stood behind its label.
        metadata=json.dumps(
            {"assessment": str(made.pk), "answers_scheme": f"{made.scheme} {made.scheme_version}"}
        ),
    )


def undo_reach(by: Actor, old: Assessment) -> list[Reach]:
    """After a revision: what waits is taken back, what stands in a bank is proposed for withdrawal. Each is listed.

    What lies in a bank that this person may not see stays on the list, for somebody who may.
    """
    done = []
    for reach in old.reached.filter(undone_by__isnull=True, ended_at__isnull=True).select_related("proposal"):
        try:
            bank = banks.find_bank(by, reach.proposal.bank)
        except BankError:
            continue
        done.append(_undo(by, bank, reach))
    return done


def _undo(by: Actor, bank: Bank, reach: Reach) -> Reach:
    if reach.proposal.state == "open":
        bank_actions.refuse(by, reach.proposal)
        reach.ended_at = timezone.now()
    elif reach.proposal.state == "confirmed":
        if not (ids := entries_of(reach)):
            return reach  # it is being written just now: it stays on the list
        outcome = bank_actions.propose(by, bank, "withdraw", ids, len(ids), "listed-by-mistake")
        reach.undone_by = _proposal_of(outcome, by, reach.proposal.bank)
    else:
        reach.ended_at = timezone.now()
    reach.save()
    return reach


@transaction.atomic
def undo_one_reach(by: Actor, reach_id: Any) -> Reach:
    """What the reviser could not undo, by somebody who sees that bank; BankNotFound where they do not.

    As with a revision it is a proposal: somebody else confirms the withdrawal.
    """
    rows = Reach.objects.select_for_update(of=("self",)).select_related("proposal", "assessment")
    reach = rows.filter(pk=reach_id).first()
    bank = banks.find_bank(by, reach.proposal.bank if reach else "")
    assert reach is not None
    if reach.assessment.standing != Standing.SUPERSEDED or reach.undone_by_id or reach.ended_at:
        raise WrongState("there is nothing to undo")
    reach = _undo(by, bank, reach)
    if not reach.undone_by_id and not reach.ended_at:
        raise WrongState("its entry is being written just now", mend="try again in some minutes")
    _tell("assessment.reach-undone", reach.assessment, by.id, {"proposal": str(reach.proposal_id)})
    return reach


def list_reached(old: Assessment) -> int:
    """After a revision: everybody whom what it led to may have reached, as a task for a person; how many."""
    rows = [
        ToTell(assessment=old, kind=kind, object_id=left.object_id, reached_at=left.at)
        for kind, left in reached.find_all(old)
    ]
    ToTell.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


@transaction.atomic
def note_told(person: Person, to_tell_id: Any, how: str) -> ToTell:
    """A person has told them, or says why nobody needs to."""
    if how not in HOW_TOLD:
        raise InputError("no such way to tell", where="how", mend=", ".join(HOW_TOLD))
    row = ToTell.objects.select_for_update().get(pk=to_tell_id)
    if row.told_at is not None:
        raise WrongState("they were told already")
    row.how, row.told_at, row.told_by = how, timezone.now(), person
    row.save(update_fields=["how", "told_at", "told_by"])
    record(
        "assessment.told", actor=str(person.pk), object_kind="assessment", object_id=str(row.assessment_id), reason=how,
        details={"kind": row.kind, "to": row.object_id},
    )  # fmt: skip
    return row


def entries_of(reach: Reach) -> list[int]:
    """The ids under which its entries stand in the bank, once they do."""
    if reach.proposal.change_id is None:
        return []
    ranges = EntryChange.objects.filter(change=reach.proposal.change_id)
    return [i for row in ranges for i in range(row.first_entry, row.last_entry + 1)]


@transaction.atomic
def note_outcomes(by: str, clusters: Sequence[Cluster], word: str, source: str) -> list[Outcome]:
    """Of several at once, or of none: what became of all that a report points at."""
    if not clusters:
        raise WrongState("nothing of it is here to be decided", mend="name a file that is")
    return [note_outcome(by, cluster, word, source) for cluster in clusters]


@transaction.atomic
def note_outcome(by: str, cluster: Cluster, word: str, source: str) -> Outcome:
    if word not in OUTCOMES:
        raise InputError("no such outcome", where="word", mend=", ".join(OUTCOMES))
    if source not in SOURCES:
        raise InputError("no such source", where="source", mend=", ".join(SOURCES))
    noted = Outcome.objects.create(cluster=cluster, word=word, source=source, noted_by=by)
    record(
        "outcome.noted", actor=by, object_kind="cluster", object_id=str(cluster.pk), reason=word,
        details={"source": source},
    )  # fmt: skip
    return noted


def _tell(act: str, made: Assessment, actor: str, details: dict[str, Any]) -> None:
    record(act, actor=actor, object_kind="assessment", object_id=str(made.pk), details=details)
