"""A contact and its conversation have a key of their own; once that is destroyed, no backup brings them back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.machine import Machine
from tests.workbench.evidence.test_backup import command
from tests.workbench.reports.conftest import make_report

from leadline.domain import Reporter
from leadline.errors import NotAllowed
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.models import Line
from leadline.workbench.reports import access, actions, contents
from leadline.workbench.reports.models import ContactKey, Message, Report
from leadline.workbench.reports.states import Outcome, Reason, State

ANN = Reporter(name="Ann Example", email="ann@example.org")
WORDS = "lantern harbour violet pebble"


def closed_report(**more: Any) -> Report:
    report = make_report(reporter=ANN, passphrase=WORDS, text="what was seen", **more)
    actions.post_message(report, text="Which day?", actor="tester", from_reporter=False)
    actions.change_state(None, report.pk, State.CLOSED, Reason.ASSESSED, seen=State.NEW, outcome=Outcome.GONE)
    return report


def view(report: Report, person: Person) -> access.ReportView:
    return access.open_report(Actor.of_person(person), Report.objects.get(pk=report.pk))


def test_a_contact_opens_with_its_own_key_and_with_no_other(analyst: Person) -> None:
    one, other = closed_report(), make_report("https://example.org/b", reporter=ANN)
    shown = view(one, analyst)
    assert shown.contact == {"name": "Ann Example", "email": "ann@example.org"}
    assert [text for _, text in shown.messages] == ["Which day?"]
    keys = {bytes(access.contact_key(report) or b"") for report in (one, other)}
    assert len(keys) == 2
    assert all(len(key) == 32 for key in keys)


def test_a_report_without_contact_and_passphrase_has_no_key(office: Any) -> None:
    make_report()
    assert not ContactKey.objects.exists()


def test_once_its_key_is_destroyed_the_sealed_contact_is_of_no_use(analyst: Person) -> None:
    """What a copy of the row still holds opens with no key that is left."""
    report = closed_report()
    sealed = Report.objects.get().contact_sealed
    key = ContactKey.objects.get().key_sealed
    actions.erase_contact(report.pk)
    assert not ContactKey.objects.exists()
    Report.objects.update(contact_sealed=sealed)
    assert view(report, analyst).contact == {}
    ContactKey.objects.create(report=report, key_sealed=key)  # a restored backup would bring it too
    assert view(report, analyst).contact == {}
    assert sealing.is_erased(contents.erasure_name(report.pk))


def test_after_a_restore_by_hand_passphrase_and_conversation_stay_closed_until_they_are_erased_again(
    analyst: Person,
) -> None:
    report = closed_report()
    row = Report.objects.values("contact_sealed", "passphrase_hash", "receipt_lookup").get()
    key, said = ContactKey.objects.get(), list(Message.objects.values_list("pk", "text_sealed"))
    actions.erase_contact(report.pk)
    Report.objects.update(contact_erased_at=None, **row)
    ContactKey.objects.bulk_create([key])
    for pk, sealed in said:
        Message.objects.filter(pk=pk).update(text_sealed=sealed)
    assert actions.find_by_passphrase(WORDS) is None
    assert [text for _, text in view(report, analyst).messages] == [""]
    with pytest.raises(NotAllowed):
        actions.post_message(report, text="Are you there?", actor="tester", from_reporter=False)
    assert actions.replay_contact_erasures() == 1
    assert actions.replay_contact_erasures() == 0
    assert (ContactKey.objects.count(), Report.objects.get().passphrase_hash) == (0, "")
    assert Line.objects.filter(act="contact.erased", reason="erased-before-restore").count() == 1


def test_a_stop_between_list_and_row_leaves_nothing_readable_and_is_finished(
    analyst: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = closed_report()

    def stop(*_: Any, **__: Any) -> None:
        raise OSError("made up")

    with monkeypatch.context() as patch:
        patch.setattr("leadline.workbench.reports.acts.retention.tell", stop)
        with pytest.raises(OSError, match="made up"):
            actions.erase_contact(report.pk)
    assert ContactKey.objects.exists()
    assert view(report, analyst).contact == {}
    actions.erase_contact(report.pk)
    assert not ContactKey.objects.exists()


def test_the_whole_report_takes_its_contact_with_it(analyst: Person) -> None:
    report = closed_report()
    actions.erase_report(report.pk)
    assert (ContactKey.objects.count(), view(report, analyst).contact) == (0, {})
    assert sealing.is_erased(contents.erasure_name(report.pk))


_MAKE = """
import django
django.setup()
from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.workbench.reports import actions
from leadline.workbench.reports.states import Outcome, Reason, State
for n in (1, 2):
    incoming = IncomingReport(Channel.API, (IncomingItem(ItemKind.URL, f"https://example.org/{n}"),),
        reporter=Reporter(name=f"Ann {n}"))
    report = actions.receive(incoming, channel=Channel.API, actor="key:a", passphrase=f"made up words {n}").report
    actions.change_state(None, report.pk, State.CLOSED, Reason.ASSESSED, seen=State.NEW, outcome=Outcome.GONE)
"""
_ERASE = """
import django
django.setup()
from leadline.workbench.reports import actions
from leadline.workbench.reports.models import Report
actions.erase_contact(Report.objects.order_by("number").first().pk)
"""
_READ = """
import django, json
django.setup()
from leadline.workbench.reports import access, actions
from leadline.workbench.reports.models import ContactKey, Report
reports = list(Report.objects.order_by("number"))
print(json.dumps({
    "contacts": [access._contact(report, access.contact_key(report)) for report in reports],
    "sealed": [report.contact_sealed is not None for report in reports],
    "found": [actions.find_by_passphrase(f"made up words {n}") is not None for n in (1, 2)],
    "keys": ContactKey.objects.count(),
}))
"""


@pytest.mark.skipif(bool(os.environ.get("DATABASE_URL")), reason="makes an office of its own, on SQLite")
def test_a_backup_of_before_brings_no_erased_contact_back(prepared: Machine, tmp_path: Path) -> None:
    home = tmp_path / "machine"
    home.mkdir(mode=0o700)
    machine = Machine(home, like=prepared)
    machine.python(_MAKE)
    code, made = command(machine, "backup")
    assert code == 0, made
    machine.python(_ERASE)
    assert json.loads(machine.python(_READ))["contacts"] == [{}, {"name": "Ann 2"}]
    code, restored = command(machine, "restore", made["backup"], "--replace")
    assert code == 0, restored
    assert json.loads(machine.python(_READ)) == {
        "contacts": [{}, {"name": "Ann 2"}], "sealed": [False, True], "found": [False, True], "keys": 1,
    }  # fmt: skip
