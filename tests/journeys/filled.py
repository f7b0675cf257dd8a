"""One object of each kind, made by the acts that pages and programs use. For journeys, and for the walk of the API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError
from django.utils import timezone
from tests.journeys.inside import PASSPHRASE

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Tlp, Urgency
from leadline.exchange.connector import Act
from leadline.media.photos import find_photos
from leadline.media.scenes import draw_scene, encode_picture
from leadline.subscriptions.folder import Subscription
from leadline.workbench.accounts import actions as accounts
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.cases import actions as cases
from leadline.workbench.cases.outlines import outlines
from leadline.workbench.cases.states import Pap, PartyRole, SelectorKind
from leadline.workbench.evidence import actions as evidence
from leadline.workbench.evidence import tasks
from leadline.workbench.evidence.models import Asset, Exhibit, MediaMode, Task
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.hooks.models import Delivery
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role, Sensitivity
from leadline.workbench.quality import actions as quality
from leadline.workbench.quality.models import Pair
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports import deliveries
from leadline.workbench.reports.models import Report
from leadline.workbench.reports.states import Reason, State
from leadline.workbench.review import actions as review
from leadline.workbench.review.models import Assessment, Member, Review
from leadline.workbench.sharing import actions as sharing
from leadline.workbench.sharing import reach
from leadline.workbench.sharing.access import preview
from leadline.workbench.sharing.gate import Wish

BANK, SOURCE = "known", "made-up-source"
ANSWERS = {
    "age-band": ["adult"], "depiction": ["drawn"], "self-generated": ["no"], "live": ["no"], "commercial": ["no"],
}  # fmt: skip
People = Mapping[Role, Person]


def picture(seed: int) -> bytes:
    """A benign photograph where `make bench-data` installed some, else a drawing."""
    photos = find_photos()
    return photos[seed].path.read_bytes() if seed < len(photos) else encode_picture(draw_scene(seed, 320, 240), "PNG")


def fill(people: People, hook_url: str = "https://hook.example.net/in") -> dict[str, str]:
    """What each thing is called by, as addresses want it. `people`: a senior, an investigator, an administrator."""
    filled = {
        **fill_bank(people[Role.SENIOR]),
        **fill_evidence(people),
        **fill_reports(people),
        **fill_outside(people, hook_url),
    }
    filled |= fill_sharing(people)
    return filled | fill_case(people[Role.SENIOR], Asset.objects.get(pk=filled["asset"]))


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
    appeal, _ = review.receive_appeal(
        Actor.of_person(senior), IncomingReport(Channel.STAFF_FORM, text="made up"), source="a made-up host"
    )
    return {
        "report": str(report.pk),
        "item": str(item.pk),
        "hidden_report": str(hidden.pk),
        "hidden_item": str(hidden.items.get().pk),
        "delivery": str(delivery.pk),
        "appeal": str(appeal.pk),
    }


def fill_quality(people: People) -> dict[str, str]:
    """A golden item that two agree on, and a file that an investigator and an analyst see differently."""
    senior, investigator, analyst = people[Role.SENIOR], people[Role.INVESTIGATOR], people[Role.ANALYST]
    golden = sorted_in(3)
    Review.objects.filter(cluster__centre=golden).update(state="set-aside")
    golden_set = quality.make_set(senior, "Drawn scenes")
    item = quality.put_in(senior, golden_set, golden)
    quality.ask(senior, item, analyst)
    for person in (senior, analyst):
        quality.answer(Actor.of_person(person), item, ANSWERS)
    shown = sorted_in(4)
    for person, answers in ((investigator, ANSWERS), (analyst, {**ANSWERS, "depiction": ["generated"]})):
        decide(person, shown, answers)
    quality.pair_up()
    pair = Pair.objects.get()
    return {"golden_set": str(golden_set.pk), "golden_item": str(item.pk), "pair": str(pair.pk)}


def sorted_in(seed: int) -> Asset:
    """A kept picture in its cluster. The office's own worker may have sorted it at the same moment."""
    asset = evidence.take_in(picture(seed), actor="system", source="test", name="made-up.png")
    with suppress(IntegrityError):
        review.sort_assets()
    assert Member.objects.filter(asset=asset).exists()
    return asset


def decide(person: Person, asset: Asset, answers: dict[str, list[str]]) -> None:
    """The first of two asks for the other; in force, or beside, as if ten seconds had passed."""
    review.begin_shift(person, session="made up")
    waiting = Review.objects.filter(cluster__centre=asset, state="waiting")
    claimed = review.claim(Actor.of_person(person), waiting.get().pk)
    if claimed.purpose == "decision":
        review.second_opinion(person, claimed.pk)
    made = review.hand_in(person, claimed.pk, asset, answers)
    then = timezone.now() - timedelta(seconds=20)
    Assessment.objects.filter(pk=made.pk).update(made_at=then, effective_at=then)
    review.settle()
    review.end_shift(person)


def receive(url: str, *, passphrase: str = "", urgency: Urgency | None = None, **more: Any) -> Report:
    incoming = IncomingReport(
        Channel.PUBLIC_FORM,
        (IncomingItem(ItemKind.URL, url),),
        text="made up",
        urgency=frozenset({urgency} if urgency else ()),
    )
    receipt = reports.receive(incoming, channel=Channel.PUBLIC_FORM, actor="public-form", passphrase=passphrase, **more)
    return receipt.report


def fill_case(senior: Person, asset: Asset) -> dict[str, str]:
    """A case with something in each part of it, a selector in doubt, and another case that holds the same file."""
    case = cases.open_case(senior, "A made-up case", things=[asset], outline=outlines().newest("reported-site"))
    party = cases.add_party(senior, case.pk, "person 1", PartyRole.WITNESS)
    handle = SelectorKind.HANDLE
    cases.add_selector(senior, case.pk, handle, "made_up_1", PartyRole.WITNESS, party_id=party.pk)
    for role in (PartyRole.VICTIM, PartyRole.SUSPECT):
        cases.add_selector(senior, case.pk, handle, "made_up_2", role)
    note = cases.add_note(senior, case.pk, "made up")
    cases.add_note(senior, case.pk, "put right", corrects=note.pk)
    cases.add_task(senior, case.pk, "made up", assignee=senior)
    cases.open_case(senior, "Another", things=[asset])
    return {"case": str(case.pk)}


def fill_sharing(people: People) -> dict[str, str]:
    """A source that was pulled, a partner reached by it, an agreement, and a share that waits for a second person."""
    known = reach.subscriptions()
    options = {"address": "https://partner.example.org/v1"}
    keys = {"subscription_key": "made up", "fetch_key": "made up"}
    known.add(Subscription(SOURCE, "stopncii", options, "", Kind.OTHER), keys)
    counts = {"told": 7, "added": 5, "changed": 0, "withdrawn": 2, "same": 0, "refused": 1, "refused_hashes": 0}
    run = {"started": 1_790_000_000, "ended": 1_790_000_060, "is_complete": True, "pending": 1, **counts}
    known.note_run(SOURCE, {**run, "reasons": {"made up": 1}, "faults": ["made up"], "unknown": {"made up": 3}})
    administrator, investigator = people[Role.ADMINISTRATOR], Actor.of_person(people[Role.INVESTIGATOR])
    partner = sharing.make_partner(administrator, "A made-up partner", SOURCE)
    sharing.agree(
        administrator, partner, tlp=Tlp.AMBER_STRICT, pap=Pap.AMBER, kinds=[Kind.ILLEGAL], purposes=["matching"],
        valid_from=date(2026, 1, 1), valid_until=date(2120, 1, 1), document="made up",
    )  # fmt: skip
    wish = Wish(Act.SUBMIT, BANK, (1, 999))
    seen = preview(investigator, partner, wish, "matching")
    share = sharing.propose(
        investigator, partner, wish, purpose="matching", reason="agreed-exchange", seen_digest=seen.digest
    )
    return {"source": SOURCE, "partner": str(partner.pk), "share": str(share.pk)}


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
