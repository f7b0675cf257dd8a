"""What a source of another organisation tells is matched against everything held; what it withdraws is undone, and said.

Credentials of sources are sealed under the instance key: a change of it takes them along, and a backup holds them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from leadline.cli import exchange_setup
from leadline.cli.config import Settings
from leadline.domain import Entry, Kind
from leadline.exchange.connector import Page, Record
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscription, Subscriptions
from leadline.subscriptions.holdings import Holdings
from leadline.subscriptions.importing import Importer
from leadline.workbench import backup, matching, sealing
from leadline.workbench.banks import actions as banks
from leadline.workbench.banks.models import Proposal
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.models import Asset, AssetMatch, Task, TaskKind
from leadline.workbench.journal.models import Line

DATA = b"a made-up file"
SUBSCRIPTION = Subscription("partner", "sample", {}, "", Kind.ILLEGAL)


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> Iterator[None]:
    sealing.forget()
    tasks.forget()
    yield
    sealing.forget()
    matching.close_engine()


@pytest.fixture
def asset(office: Any) -> Asset:
    return actions.take_in(DATA, actor="somebody", source="test")


def pull(office: Any, *records: Record) -> None:
    """As `leadline exchange pull` does: into the bank that `leadline exchange add` makes."""
    path = office.banks / "partner"
    if not path.exists():
        Bank.create(path, name="partner", kind=Kind.ILLEGAL, source="partner")
    with closing(Holdings(office.home / "holdings.sqlite")) as holdings:
        importer = Importer(Bank.open(path), holdings)
        importer.run(iter([Page(records, {"at": 1}, is_last=True)]))


def told(key: str = "p-1") -> Record:
    prints = {"sha256": hashlib.sha256(DATA).digest()}
    entry = Entry(Kind.ILLEGAL, prints, scheme="partner", label="A1", source_id=key, metadata='{"record":"00"}')
    return Record(key, hashlib.sha256(key.encode()).digest(), entry)


def withdrawn(key: str = "p-1") -> Record:
    return Record(key, bytes(32), None)


def open_tasks() -> list[tuple[str, Any]]:
    return [(task.kind, task.asset_id) for task in Task.objects.filter(done_at__isnull=True).order_by("id")]


def test_a_pulled_entry_hits_what_is_held_and_a_withdrawn_one_undoes_it_and_says_so(office: Any, asset: Asset) -> None:
    pull(office)
    tasks.match_changes()
    assert open_tasks() == []
    pull(office, told())
    banks.follow_folders()
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.verdict, asset.inferred_kind, asset.inferred_label) == ("known", "illegal", "A1")
    assert open_tasks() == [(TaskKind.NEW_HIT, asset.pk)]
    pull(office, withdrawn())
    banks.follow_folders()
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.verdict, asset.inferred_kind, asset.inferred_label) == ("unknown", "", "")
    assert AssetMatch.objects.get(asset=asset).withdrawn_at is not None
    assert (TaskKind.WITHDRAWN, asset.pk) in open_tasks()
    assert Line.objects.filter(act="asset.match-withdrawn", object_id=str(asset.pk)).count() == 1
    changes = [json.loads(d) for d in Line.objects.filter(act="bank.changed-outside").values_list("details", flat=True)]
    assert [(c.get("came"), c.get("went")) for c in changes] == [(1, None), (None, 1)]


def test_a_false_positive_that_a_source_tells_waits_for_two_people(office: Any, asset: Asset) -> None:
    pull(office, told())
    tasks.match_changes()
    record = told("p-2")
    assert record.entry is not None
    benign = Entry(Kind.BENIGN, record.entry.fingerprints, source_id="p-2", metadata='{"record":"00"}')
    pull(office, Record("p-2", bytes(32), benign))
    banks.follow_folders()
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.inferred_kind, asset.is_set_aside) == ("illegal", True)
    assert [proposal.count for proposal in Proposal.objects.filter(bank="partner", what="came")] == [1]
    assert not AssetMatch.objects.filter(asset=asset, kind="benign").exists()


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sources(office: Any) -> Subscriptions:
    settings = Settings(home=office.home, key_file=office.home / "keys" / "instance.key")
    made = Subscriptions(office.home / "exchanges", {}, lambda: exchange_setup.InstanceSealing(settings))
    made.add(SUBSCRIPTION, {"key": "a credential"})
    return made


def test_a_change_of_the_key_takes_credentials_along(sources: Subscriptions, office: Any) -> None:
    actions.rotate_key()
    assert sources.secrets("partner") == {"key": "a credential"}
    assert actions.forget_older_keys()
    assert sources.secrets("partner") == {"key": "a credential"}


def test_an_old_key_is_not_forgotten_while_a_credential_needs_it(sources: Subscriptions, office: Any) -> None:
    before = (office.home / "exchanges" / "partner" / "secrets.json").read_bytes()
    actions.rotate_key()
    (office.home / "exchanges" / "partner" / "secrets.json").write_bytes(before)
    assert sealing.count_under_older_keys() == 1


def test_a_damaged_credential_is_named_when_the_key_is_changed(sources: Subscriptions, office: Any) -> None:
    path = office.home / "exchanges" / "partner" / "secrets.json"
    path.write_text(json.dumps({"key": {"sealed": "AAAA"}}))
    assert actions.rotate_key()[1] == ["source partner: key"]


def test_a_backup_holds_sources_without_what_is_made_anew(sources: Subscriptions, tmp_path: Path) -> None:
    folder = sources.path("partner")
    with closing(Holdings(sources.holdings_path("partner"))):
        made = backup.make_backup(tmp_path / "backups", lambda line: None).folder
    kept = {path.name for path in (made / "exchanges" / folder.name).iterdir()}
    assert kept == {"settings.json", "secrets.json"}
