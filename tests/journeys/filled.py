"""One object of each kind, made by the acts that pages and programs use. For journeys, and for the walk of the API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from tests.journeys.inside import PASSPHRASE

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Tlp, Urgency
from leadline.media.scenes import draw_scene, encode_picture
from leadline.workbench.accounts import actions as accounts
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.evidence.models import Asset, Exhibit, MediaMode, Task
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role, Sensitivity
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports import deliveries
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Reason, State

BANK = "known"
People = Mapping[Role, Person]

from leadline.workbench.review import actions as review
from leadline.workbench.review.models import Assessment, Member, Review

def picture(seed: int) -> bytes:
    return encode_picture(draw_scene(seed, 320, 240), "PNG")


def fill(people: People, hook_url: str = "https://hook.example.net/in") -> dict[str, str]:
    """What each thing is called by, as addresses want it. `people`: a senior, an investigator, an administrator."""
    return {
        **fill_bank(people[Role.SENIOR]),
        **fill_evidence(people),
        **fill_reports(people),
        **fill_outside(people, hook_url),
    }


def fill_bank(senior: Person) -> dict[str, str]:
    actor = Actor.of_person(senior)
    banks.create_bank(actor, BANK, kind=Kind.ILLEGAL, reason="own-list")
    entries = [Entry(kind=Kind.ILLEGAL, fingerprints={"md5": bytes([n]) * 16}) for n in range(5)]
    first = banks.add_entries(actor, BANK, entries, reason="own-assessment").ids[0]
    doubted = [Entry(kind=Kind.FALSE_POSITIVE, fingerprints={"md5": bytes([9]) * 16})]
    proposal = banks.add_entries(actor, BANK, doubted, reason="harmless").proposal
    assert proposal is not None
    return {"bank": BANK, "entry": str(first), "proposal": str(proposal.pk)}


def fill_evidence(people: People) -> dict[str, str]:
    """A kept file that a list came to know later, one that few may see, and exhibits in two states."""
    senior, investigator = people[Role.SENIOR], people[Role.INVESTIGATOR]
    evidence.set_media_mode(people[Role.ADMINISTRATOR], MediaMode.KEEP, "made-up law, section 1", retention_days=30)
    asset, hidden = (
        evidence.take_in(picture(seed), actor=str(senior.pk), source="test", name="made-up.png") for seed in (1, 2)
    )
    evidence.set_handling(senior, hidden, Sensitivity.RESTRICTED, Tlp.AMBER_STRICT, "own-assessment")
    entry = Entry(kind=Kind.ILLEGAL, fingerprints={"sha256": hashlib.sha256(picture(1)).digest()})
    banks.add_entries(Actor.of_person(senior), BANK, [entry], reason="own-assessment")
    tasks.match_changes()
    ready = exhibit_of(investigator, senior, asset)
    evidence.build_exhibit(str(ready.pk))
    asked = evidence.request_exhibit(investigator, [asset], recipient="Made-up court", reason="court-order")
    task = Task.objects.filter(asset=asset, done_at__isnull=True).first()
    return {
        "asset": str(asset.pk),
        "hidden_asset": str(hidden.pk),
        "exhibit": str(ready.pk),
        "asked_exhibit": str(asked.pk),
        "task": str(task.pk if task else 0),
    }


def exhibit_of(by: Person, second: Person, *assets: Asset) -> Exhibit:
    exhibit = evidence.request_exhibit(by, list(assets), recipient="Made-up court", reason="court-order")
    return evidence.decide_exhibit(second, exhibit, release=True, reason="checked")


def fill_reports(people: People) -> dict[str, str]:
    senior = people[Role.SENIOR]
    now = timezone.now()
    reports.set_on_call(senior, senior, now - timedelta(hours=1), now + timedelta(hours=1))
    report = receive("https://pictures.example.net/made-up/1", passphrase=PASSPHRASE, urgency=Urgency.CHILD_AT_RISK_NOW)
    receive("https://pictures.example.net/made-up/1")
    hidden = receive("https://pictures.example.net/made-up/2", sensitivity=Sensitivity.RESTRICTED)
    reports.change_state(senior, report.pk, State.TRIAGE, Reason.TAKEN, seen=State.NEW)
    reports.post_message(report, text="Which page was it?", actor=str(senior.pk), from_reporter=False)
    rows = b"url,note\nhttps://pictures.example.net/made-up/3,made up\nhttp://[,wrong\n"
    delivery = deliveries.keep(senior, rows, "a made-up partner")
    item = report.items.get()
    return {
        "report": str(report.pk),
        "item": str(item.pk),
        "hidden_report": str(hidden.pk),
        "hidden_item": str(hidden.items.get().pk),
        "delivery": str(delivery.pk),
    }
    appeal, _ = review.receive_appeal(
        Actor.of_person(senior), IncomingReport(Channel.STAFF_FORM, text="made up"), source="a made-up host"
    )


def receive(url: str, *, passphrase: str = "", urgency: Urgency | None = None, **more: Any) -> Report:
    incoming = IncomingReport(
        Channel.PUBLIC_FORM,
        (IncomingItem(ItemKind.URL, url),),
        "appeal": str(appeal.pk),
        text="made up",
        urgency=frozenset({urgency} if urgency else ()),
    )
    receipt = reports.receive(incoming, channel=Channel.PUBLIC_FORM, actor="public-form", passphrase=passphrase, **more)
    return receipt.report


def fill_outside(people: People, hook_url: str) -> dict[str, str]:
    """A webhook with a delivery that failed, and a program's key."""
    administrator = people[Role.ADMINISTRATOR]
    endpoint = hooks.make_endpoint(administrator, hook_url, ["report.*"])
    failed: dict[str, Any] = {"act": "report.received", "body": "{}", "state": "failed", "tries": 9}
    delivery = Delivery.objects.create(endpoint=endpoint, event="msg_made_up", last_failure="refused", **failed)
    key, _ = accounts.make_key(
        people[Role.SENIOR], "a program", Role.SENIOR, ROLE_PERMISSIONS[Role.SENIOR], timedelta(days=1)
    )
    return {"webhook": str(endpoint.pk), "hook_delivery": str(delivery.pk), "key": str(key.pk)}
