"""The ways out that the rooms below have: exhibits, reports, webhooks, programs that read banks. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Max
from django.urls import reverse

from leadline.custody.chain import format_time
from leadline.errors import BankError
from leadline.workbench.accounts.models import ApiKey
from leadline.workbench.actors import Actor
from leadline.workbench.banks.access import find_bank, find_entry, visible_banks
from leadline.workbench.evidence.access import find_exhibit
from leadline.workbench.evidence.models import Exhibit, ExhibitState
from leadline.workbench.hooks.access import find_endpoint
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Permission
from leadline.workbench.reports.access import find_report, reports_of_assets
from leadline.workbench.reports.models import Message, StateChange
from leadline.workbench.reports.states import State
from leadline.workbench.review import reached
from leadline.workbench.review.models import Assessment
from leadline.workbench.review.reached import Left, Shown

_AT_ONCE = 500
_SENT = (ExhibitState.RELEASED.value, ExhibitState.READY.value, ExhibitState.RECEIVED.value)


def _files(made: Assessment) -> list[str]:
    return [str(pk) for pk in made.coverage.values_list("asset", flat=True)]


def _some(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), _AT_ONCE):
        yield ids[first : first + _AT_ONCE]


class Exhibits:
    """Released since the assessment was made, with one of its files in it."""

    def find(self, made: Assessment) -> Iterable[Left]:
        seen: dict[str, Left] = {}
        for some in _some(_files(made)):
            rows = Exhibit.objects.filter(assets__in=some, state__in=_SENT, decided_at__gte=made.made_at)
            seen |= {str(row.pk): Left(str(row.pk), row.decided_at or row.requested_at) for row in rows.distinct()}
        return seen.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        exhibit = find_exhibit(actor, object_id)
        return None if exhibit is None else Shown(exhibit.recipient, reverse("exhibit", args=[exhibit.pk]))


class Forwarded:
    """Reports of its files that were passed on to somebody since."""

    def find(self, made: Assessment) -> Iterable[Left]:
        changes = StateChange.objects.filter(to_state=State.FORWARDED.value, at__gte=made.made_at)
        return _of_reports(made, changes)

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        return _show_report(actor, object_id)


class Answered:
    """Reports of its files whose reporter was told something since: an outcome, or a message."""

    def find(self, made: Assessment) -> Iterable[Left]:
        closed = StateChange.objects.filter(to_state=State.CLOSED.value, at__gte=made.made_at)
        said = Message.objects.filter(from_reporter=False, at__gte=made.made_at)
        found = {left.object_id: left for left in _of_reports(made, closed.exclude(report__passphrase_hash=""))}
        return (found | {left.object_id: left for left in _of_reports(made, said)}).values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        return _show_report(actor, object_id)


def _of_reports(made: Assessment, rows: Any) -> list[Left]:
    ids = [str(one) for one in reports_of_assets(_files(made))]
    found = []
    for some in _some(ids):
        last = rows.filter(report__in=some).order_by().values("report").annotate(last=Max("at"))
        found += [Left(str(row["report"]), row["last"]) for row in last]
    return found


def _show_report(actor: Actor, object_id: str) -> Shown | None:
    report = find_report(actor, object_id)
    return None if report is None else Shown(report.number, reverse("report", args=[report.pk]))


class Webhooks:
    """Programs that were told of its files, or of an entry that it led to. Deliveries are remembered for 30 days."""

    def find(self, made: Assessment) -> Iterable[Left]:
        lines = [*self._of_files(made), *self._of_entries(made)]
        events = [f"msg_{line}_{digest[:24]}" for line, digest in lines]
        found: dict[str, Left] = {}
        for some in _some(events):
            rows = Delivery.objects.filter(event__in=some, state="delivered", last_try_at__isnull=False)
            for row in rows.order_by().values("endpoint").annotate(last=Max("last_try_at")):
                left = Left(str(row["endpoint"]), row["last"])
                before = found.get(left.object_id)
                found[left.object_id] = left if before is None or before.at < left.at else before
        return found.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        endpoint = find_endpoint(object_id)
        return None if endpoint is None else Shown(urlsplit(endpoint.url).hostname or "")

    def _of_files(self, made: Assessment) -> Iterator[tuple[int, str]]:
        since = format_time(made.made_at)
        for some in _some(_files(made)):
            lines = Line.objects.filter(object_id__in=some, object_kind="asset", at__gte=since)
            yield from lines.values_list("line", "hash")

    def _of_entries(self, made: Assessment) -> Iterator[tuple[int, str]]:
        for bank, change in made.reached.filter(proposal__change__isnull=False).values_list(
            "proposal__bank", "proposal__change"
        ):
            lines = Line.objects.filter(object_id=bank, act="bank.entry.added", details__contains=str(change))
            yield from lines.values_list("line", "hash")


class Readers:
    """Programs whose key let them read a bank while an entry of this assessment stood in it. What a key read is not
    written down; that it was used since is."""

    def find(self, made: Assessment) -> Iterable[Left]:
        found: dict[str, Left] = {}
        for reach in made.reached.filter(proposal__change__state="done").select_related("proposal__change"):
            change = reach.proposal.change
            since = change.ended_at or change.begun_at if change else made.made_at
            for key in ApiKey.objects.filter(last_used_on__gte=since.date()).select_related("owner"):
                if Permission.BANKS_READ in key.scopes and self._sees(key, reach.proposal.bank):
                    found[str(key.pk)] = Left(str(key.pk), since)
        return found.values()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        key = ApiKey.objects.filter(pk=object_id).select_related("owner").first()
        return None if key is None else Shown(f"{key.name} ({key.owner.name})")

    def _sees(self, key: ApiKey, bank: str) -> bool:
        try:
            find_bank(Actor.of_key(key), bank)
        except BankError:
            return False
        return True


class Sources:
    """Lists that hold an entry whose match a person found to be false: their source is told, that it may mend them.

    Nothing leaves by it, so a revision finds none; `propose_entry` of a false positive lists them. What is proposed
    to put it right is sharing's.
    """

    def find(self, made: Assessment) -> Iterable[Left]:
        return ()

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        name, _, number = object_id.rpartition(":")
        for view in visible_banks(actor):
            if view.bank is not None and view.bank.name == name:
                try:
                    entry = find_entry(actor, view.bank, int(number))
                except BankError:  # withdrawn meanwhile, or not for this actor
                    return None
                said = " ".join(filter(None, (entry.source or view.bank.name, entry.source_id)))
                return Shown(said, reverse("bank_entry", args=[view.id, entry.id]))
        return None


def register_all() -> None:
    reached.register("exhibit", Exhibits())
    reached.register("forwarded", Forwarded())
    reached.register("answered", Answered())
    reached.register("webhook", Webhooks())
    reached.register("reader", Readers())
    reached.register("list-source", Sources())
