"""Urgency from matches: of files, of reported hashes, of what a scan elsewhere found, and of lists that change later."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.workbench.reports.conftest import draw_png, mail_with_file, make_report

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Urgency
from leadline.match.bank import Bank
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.banks.models import Proposal
from leadline.workbench.demo import _findings
from leadline.workbench.evidence import tasks as evidence_tasks
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role
from leadline.workbench.reports import actions, tasks
from leadline.workbench.reports.intake import Sender, receive_file, receive_mail
from leadline.workbench.reports.models import Alert, Report

PICTURE = draw_png(11)
SHA256 = hashlib.sha256(PICTURE).hexdigest()
SENDER = Sender(actor="tester", source="test")


@pytest.fixture(autouse=True)
def _lists_are_new() -> None:
    evidence_tasks.forget()


def add(office: Any, kind: Kind = Kind.ILLEGAL, name: str = "list", data: bytes = PICTURE) -> tuple[Bank, Entry]:
    bank = Bank.create(office.banks / name, name=name, kind=kind)
    entry = Entry(kind, {name: hashlib.new(name, data).digest() for name in ("sha256", "md5")})
    assert bank.add([entry]).added == 1
    return bank, entry


def of_hash(value: str, channel: Channel = Channel.API, **more: Any) -> Report:
    incoming = IncomingReport(channel, (IncomingItem(ItemKind.HASH, value),), **more)
    return actions.receive(incoming, channel=channel, actor="key:a").report


@pytest.mark.parametrize("written", ["{}", "sha256:{}", "SHA256 {}"])
def test_a_partners_hash_that_a_list_knows_makes_its_report_urgent_and_says_why(office: Any, written: str) -> None:
    add(office)
    report = of_hash(written.format(SHA256))
    assert (report.urgency, report.urgency_why) == (1, [["match.illegal", 20]])
    assert report.items.get().kind_met == "illegal"


def test_a_hash_that_no_list_knows_and_one_that_is_none_change_nothing(office: Any) -> None:
    add(office)
    assert [of_hash(value).urgency for value in ("0" * 64, "d41d8cd98f00b204e9800998ecf8427f", "no hash")] == [0, 0, 0]


def test_a_hash_of_what_two_people_call_harmless_raises_nothing(office: Any, make_person: Any) -> None:
    add(office, Kind.BENIGN)
    assert of_hash(SHA256).items.get().kind_met == ""
    banks.follow_folders()
    for one in (Actor.of_person(make_person(name, Role.CURATOR)) for name in ("one", "two")):
        banks.confirm(one, Proposal.objects.get())
    report = of_hash(SHA256)
    assert (report.urgency, report.items.get().kind_met) == (0, "benign")


def test_a_scan_made_elsewhere_counts_what_it_found_and_says_that_it_was_the_scan(office: Any) -> None:
    lines = [json.loads(line) for line in _findings().splitlines()]
    lines[0]["kind"] = "illegal"
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (receipt,) = receive_file(Channel.SCAN, data, "findings.jsonl", SENDER, None)
    assert receipt.report.urgency_why == [["scan.illegal", 20]]
    claimed = of_hash(SHA256, facts={"kind": "illegal"})
    assert claimed.urgency == 0  # what any other sender says of itself counts nothing


def test_a_list_that_grows_later_raises_the_reports_of_a_file_and_tells_the_person_on_call(office: Any) -> None:
    receipt = receive_mail(mail_with_file("a.png", PICTURE), SENDER, None)
    ticked = IncomingReport(
        Channel.API, (IncomingItem(ItemKind.HASH, SHA256),), urgency=frozenset({Urgency.KNOWN_VICTIM_CONTACT})
    )
    by_hash = actions.receive(ticked, channel=Channel.API, actor="key:a").report
    other = make_report()
    assert (receipt.report.urgency, by_hash.urgency, tasks.follow_matches()) == (0, 2, 0)
    bank, _ = add(office)
    evidence_tasks.match_changes()
    assert tasks.follow_matches() == 2
    for report in (receipt.report, by_hash, other):
        report.refresh_from_db()
    assert (receipt.report.urgency, receipt.report.rank, receipt.report.urgency_why) == (1, 2, [["match.illegal", 20]])
    assert (by_hash.urgency, by_hash.urgency_why) == (3, [["tick.known-victim-contact", 40], ["match.illegal", 20]])
    assert other.urgency == 0
    assert [alert.report_id for alert in Alert.objects.all()] == [by_hash.pk]
    told = Line.objects.filter(act="report.urgency", object_id=str(by_hash.pk)).get()
    assert (told.reason, json.loads(told.details)["from"], json.loads(told.details)["to"]) == ("list-changed", 2, 3)
    assert tasks.follow_matches() == 0
    bank.remove([entry.id for entry in bank.entries_after(-1, 5)])
    evidence_tasks.match_changes()
    assert tasks.follow_matches() == 2
    receipt.report.refresh_from_db()
    assert (receipt.report.urgency, receipt.report.urgency_why) == (0, [])
    assert Alert.objects.count() == 1  # somebody was told, and acknowledges it
