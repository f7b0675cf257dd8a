"""One object of each kind at each sensitivity, TLP and grant, who may see it, and what no page shows to anybody else.

Who may see it is said here from the rules of the office (docs/api.md, docs/cases.md, docs/review.md), not asked of the
code: sensitivity up to the clearance of a role, TLP:RED for those alone who clear the most sensitive, anything by a
grant on that very object; programs have no grants. Rows are made as cheaply as they can be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.utils import timezone
from tests.journeys.filled import ANSWERS
from tests.workbench.conftest import new_person

from leadline.domain import Channel, Entry, IncomingItem, IncomingReport, ItemKind, Kind, Tlp, Urgency
from leadline.subscriptions.folder import Subscription
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import ApiKey, Invitation, ObjectGrant, Person, RoleGrant
from leadline.workbench.actors import Actor
from leadline.workbench.banks import actions as banks
from leadline.workbench.cases import actions as cases
from leadline.workbench.cases.models import Case, CaseTask, Question
from leadline.workbench.cases.models import Member as CaseMember
from leadline.workbench.cases.states import Pap, PartyRole, SelectorKind
from leadline.workbench.evidence.access import exhibit_path
from leadline.workbench.evidence.models import Asset, AssetMatch, Exhibit, Task
from leadline.workbench.hooks import actions as hooks
from leadline.workbench.hooks.models import Delivery as Sending
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
from leadline.workbench.quality.models import GoldenItem, GoldenSet, Pair
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports import deliveries
from leadline.workbench.reports.models import Item, Report
from leadline.workbench.review import actions as review
from leadline.workbench.review.models import (
    Appeal,
    Assessment,
    Cluster,
    Contest,
    Coverage,
    Exposure,
    Member,
    Reach,
    Review,
    Shift,
    ToTell,
)
from leadline.workbench.sharing import actions as sharing
from leadline.workbench.sharing import reach
from leadline.workbench.sharing.models import Share, ShareItem

Who = Role | None  # None: has an account and no role
EVERYBODY: frozenset[Who] = frozenset({None, *Role})
CLEARED = {Role.ANALYST: 1, Role.INVESTIGATOR: 1, Role.SENIOR: 2}  # up to which sensitivity; others none
ABSENT = {"uuid": "00000000-0000-0000-0000-0000000000a7", "int": "987654321", "str": "absent-object"}


class Shade(NamedTuple):
    name: str
    sensitivity: int
    tlp: str
    is_granted: bool = False

    def seen(self, *, granted: bool) -> frozenset[Who]:
        by_grant = EVERYBODY if granted and self.is_granted else frozenset()
        cleared = {who for who, most in CLEARED.items() if most >= self.sensitivity and (self.tlp != "red" or most > 1)}
        return by_grant | frozenset(cleared)


SHADES = (
    Shade("plain", 0, "clear"),
    Shade("sensitive", 1, "green"),
    Shade("restricted", 2, "amber"),
    Shade("red", 0, "red"),
    Shade("lent", 2, "amber+strict", is_granted=True),
    Shade("lent-red", 1, "red", is_granted=True),
)


@dataclass(frozen=True)
class Specimen:
    """values: by the names that addresses give to them. people, programs: who may see it. marks: what names it."""

    kind: str
    name: str
    values: dict[str, str]
    people: frozenset[Who]
    programs: frozenset[Who]
    marks: tuple[str, ...] = ()


class Office:
    """People of each role, two colleagues who made everything, and the specimens."""

    def __init__(self) -> None:
        self.people: dict[Who, Person] = {None: new_person("nobody")}
        self.people |= {role: new_person(f"the-{role}", role) for role in Role}
        self.maker, self.second = (new_person(f"maker-{n}", Role.SENIOR, Role.CURATOR) for n in (1, 2))
        self.keys: dict[Role, tuple[ApiKey, str]] = {
            role: make_key(self.people[role], f"of-{role}", role, ROLE_PERMISSIONS[role], timedelta(days=1))
            for role in Role
        }
        self.specimens: list[Specimen] = []
        self.assets: dict[str, Asset] = {}
        self.made: dict[str, Assessment] = {}
        self.appeals: dict[str, Appeal] = {}
        make_accounts(self)
        for shade in SHADES:
            make_evidence(self, shade)
            make_review(self, shade)
            make_report(self, shade)
            make_appeal(self, shade)
            make_quality(self, shade)
        for shade in SHADES:
            make_case(self, shade)
        make_own(self)
        make_banks(self)
        make_hooks(self)

    def add(self, kind: str, name: str, values: dict[str, Any], *marks: Any, people: Iterable[Who] = EVERYBODY,
            programs: Iterable[Who] | None = None) -> None:  # fmt: skip
        told = {key: str(value) for key, value in values.items()}
        seen = frozenset(people)
        by_keys = seen if programs is None else frozenset(programs)
        self.specimens.append(Specimen(kind, name, told, seen, by_keys, tuple(map(str, marks))))

    def add_shaded(self, kind: str, shade: Shade, values: dict[str, Any], *marks: Any, only: Any = EVERYBODY) -> None:
        seen, by_keys = shade.seen(granted=True) & only, shade.seen(granted=False) & only
        self.add(kind, shade.name, values, *marks, people=seen, programs=by_keys)

    def grant(self, shade: Shade, kind: str, object_id: Any) -> None:
        until = timezone.now() + timedelta(days=1)
        given = {"object_kind": kind, "object_id": str(object_id), "until": until, "given_by": self.maker}
        if shade.is_granted:
            ObjectGrant.objects.bulk_create(ObjectGrant(person=one, **given) for one in self.people.values())

    def claim(self, person: Person) -> None:
        """The card of the plain review, with its form, is this person's now."""
        until = timezone.now() + timedelta(hours=1)
        waiting = Review.objects.filter(cluster__centre=self.assets["plain"], state__in=("waiting", "claimed"))
        waiting.filter(purpose="decision").update(state="claimed", claimed_by=person, lease_until=until)

    def of(self, kind: str) -> Iterator[Specimen]:
        return (one for one in self.specimens if one.kind == kind)


def handled(shade: Shade) -> dict[str, Any]:
    return {"sensitivity": shade.sensitivity, "tlp": shade.tlp}


# --- evidence --------------------------------------------------------------------------------------------------------


def digest_of(shade: Shade) -> str:
    return hashlib.sha256(shade.name.encode()).hexdigest()


def make_evidence(office: Office, shade: Shade) -> None:
    digest = digest_of(shade)
    asset = Asset.objects.create(
        sha256=digest, sha1=digest[:40], md5=digest[:32], size_bytes=1, mime="image/png", width=9, height=9,
        state="kept", source=f"zq-source-{shade.name}", received_at=timezone.now(), **handled(shade),
    )  # fmt: skip
    office.assets[shade.name] = asset
    office.grant(shade, "asset", asset.pk)
    office.add_shaded("asset", shade, {"asset_id": asset.pk}, asset.pk, digest[:32], digest[:32].upper(), asset.source)
    task = Task.objects.create(kind="new-hit", asset=asset, bank=f"zq-task-{shade.name}")
    office.add_shaded("task", shade, {"task_id": task.pk}, task.bank)
    exhibit = Exhibit.objects.create(
        state="ready", recipient=f"zq-court-{shade.name}", reason="court-order", requested_by=office.maker, line=1,
        decided_by=office.second, decided_at=timezone.now(), manifest_sha512="0" * 128, size_bytes=1,
        sensitivity=shade.sensitivity,
    )  # fmt: skip
    exhibit.assets.add(asset)
    exhibit_path(exhibit.pk).parent.mkdir(exist_ok=True)
    exhibit_path(exhibit.pk).write_bytes(b"1")
    office.grant(shade, "exhibit", exhibit.pk)
    office.add_shaded("exhibit", shade, {"exhibit_id": exhibit.pk}, exhibit.pk, exhibit.recipient)


# --- reports and appeals ---------------------------------------------------------------------------------------------


def make_report(office: Office, shade: Shade) -> None:
    """Each also of one address that all of them report, and of the file that everybody with a clearance may see."""
    mark = f"zq-page-{shade.name}"
    items = tuple(IncomingItem(ItemKind.URL, f"https://example.net/{name}") for name in (mark, "all-of-them"))
    incoming = IncomingReport(Channel.STAFF_FORM, items, text="made up", urgency=frozenset({Urgency.CHILD_AT_RISK_NOW}))
    told = {"actor": str(office.maker.pk), "source": f"zq-sender-{shade.name}", "tlp": Tlp(shade.tlp)}
    report = reports.receive(incoming, channel=Channel.STAFF_FORM, **told).report
    Report.objects.filter(pk=report.pk).update(**handled(shade))
    item = report.items.order_by("position").first()
    Item.objects.filter(pk=item.pk).update(asset=office.assets["plain"])
    office.grant(shade, "report", report.pk)
    office.add_shaded("report", shade, {"report_id": report.pk}, report.pk, report.number, mark, told["source"])
    office.add_shaded("item", shade, {"item_id": item.pk}, item.pk)


def make_appeal(office: Office, shade: Shade) -> None:
    """Each against the decision of its own shade; the plain one against all of them."""
    incoming = IncomingReport(Channel.STAFF_FORM, text=f"zq-appeal-{shade.name}")
    appeal, _ = review.receive_appeal(Actor.of_person(office.maker), incoming, source=f"zq-appellant-{shade.name}")
    Report.objects.filter(pk=appeal.report_id).update(**handled(shade))
    office.appeals[shade.name] = appeal
    office.grant(shade, "report", appeal.report_id)
    marks = (appeal.pk, appeal.report.number, f"zq-appeal-{shade.name}", appeal.report.source)
    office.add("appeal", shade.name, {"appeal_id": appeal.pk}, *marks, people=shade.seen(granted=True), programs=())
    plain, made = office.appeals["plain"], office.made[shade.name]
    contest = Contest.objects.create(appeal=plain, assessment=made)
    if appeal != plain:
        Contest.objects.create(appeal=appeal, assessment=made)
    office.add_shaded("contest", shade, {"appeal_id": plain.pk, "contest_id": contest.pk})


# --- review and quality ----------------------------------------------------------------------------------------------


def make_review(office: Office, shade: Shade) -> None:
    asset, now = office.assets[shade.name], timezone.now()
    cluster = Cluster.objects.create(centre=asset, radius_bits=31)
    Member.objects.create(cluster=cluster, asset=asset, distance=0)
    given: dict[str, Any] = {"cluster": cluster, "category": "unknown", "received_at": now}
    waiting = Review.objects.create(**given)
    decided = Review.objects.create(**given, state="decided", decided_at=now)
    office.add_shaded("review", shade, {"review_id": waiting.pk, "asset_id": asset.pk}, waiting.pk)
    made = made_of(office.maker, decided, "in-force")
    office.made[shade.name] = made
    office.add_shaded("assessment", shade, {"assessment_id": made.pk}, made.pk, cluster.pk)
    to_tell = ToTell.objects.create(
        assessment=made, kind="exhibit", object_id=exhibit_of(office, shade), reached_at=now
    )
    office.add_shaded("to-tell", shade, {"to_tell_id": to_tell.pk})


def exhibit_of(office: Office, shade: Shade) -> str:
    return next(one.values["exhibit_id"] for one in office.of("exhibit") if one.name == shade.name)


def made_of(by: Person, decided: Review, standing: str) -> Assessment:
    then = timezone.now() - timedelta(days=2)
    made = Assessment.objects.create(
        review=decided, cluster=decided.cluster, by=by, made_at=then, effective_at=then, standing=standing,
        scheme="leadline-facts", scheme_version=1, answers=ANSWERS,
    )  # fmt: skip
    Coverage.objects.create(assessment=made, asset=decided.cluster.centre, origin="assessed")
    return made


def make_quality(office: Office, shade: Shade) -> None:
    """The investigator is asked to answer each golden item; the analyst is not."""
    asset, first = office.assets[shade.name], office.made[shade.name]
    golden_set, is_new = GoldenSet.objects.get_or_create(name="a set", defaults={"made_by": office.maker})
    if is_new:
        office.add("golden-set", "the only one", {"set_id": golden_set.pk})
    asked = office.people[Role.INVESTIGATOR]
    item = GoldenItem.objects.create(set=golden_set, asset=asset, put_in_by=office.maker, asked=asked)
    only = {Role.SENIOR, Role.INVESTIGATOR}
    office.add_shaded("golden-item", shade, {"item_id": item.pk}, item.pk, only=only)
    apart = Review.objects.create(
        cluster=first.cluster, category="unknown", received_at=timezone.now(), purpose="disagreement", subject=asset
    )
    other = made_of(office.second, first.review, "superseded")
    pair = Pair.objects.create(
        first=first, second=other, asset=asset, scheme=first.scheme, scheme_version=1, differs=["depiction"],
        state="open", review=apart,
    )  # fmt: skip
    office.add_shaded("pair", shade, {"pair_id": pair.pk}, pair.pk)


# --- cases -----------------------------------------------------------------------------------------------------------


def make_case(office: Office, shade: Shade) -> None:
    """All hold one account; the plain one holds the things of every shade, the others those of their own."""
    things: list[Any] = [office.assets[shade.name]]
    if shade.name == "plain":
        things = [*office.assets.values(), *Report.objects.filter(is_appeal=False), *Cluster.objects.all()]
        things += list(Item.objects.filter(position=0))
    by, title = office.maker, f"zq-title-{shade.name}"
    case = cases.open_case(by, title, things=things)
    party = cases.add_party(by, case.pk, "person 1", PartyRole.WITNESS)
    selector = cases.add_selector(by, case.pk, SelectorKind.HANDLE, "made_up_1", PartyRole.SUSPECT)
    cases.add_task(by, case.pk, "made up")
    if shade.name == "plain":
        join(office, case)
    Case.objects.filter(pk=case.pk).update(**handled(shade))
    office.grant(shade, "case", case.pk)
    inside = {
        "thing_id": case.things.first().pk, "party_id": party.pk, "selector_id": selector.pk,
        "task_id": CaseTask.objects.filter(case=case).latest("position").pk,
        "member_id": CaseMember.objects.get(case=case, person=by).pk,
    }  # fmt: skip
    office.add_shaded("case", shade, {"case_id": case.pk, **inside}, case.pk, case.number, title)


def join(office: Office, case: Case) -> None:
    """They work on it, and were given nothing of what lies in it and is not for them."""
    given = {"case": case, "joined_by": office.maker, "until": timezone.now() + timedelta(days=1)}
    for role in CLEARED:
        CaseMember.objects.create(person=office.people[role], joined_at=timezone.now(), **given)


# --- what is one person's own ----------------------------------------------------------------------------------------


def make_own(office: Office) -> None:
    """Of each role, and of a colleague who is nobody that looks."""
    owners: list[tuple[frozenset[Who], Person]] = [(frozenset({who}), person) for who, person in office.people.items()]
    owners.append((frozenset(), office.second))
    asking = cases.open_case(office.maker, "asks")
    for seen, person in owners:
        name = person.name
        if (key := _key_of(person)) is not None:
            office.add("key", name, {"key_id": key.pk}, people=seen)
        delivery = deliveries.keep(person, b"url\nhttps://example.net/made-up\n", f"zq-file-{name}")
        office.add("delivery", name, {"delivery_id": delivery.pk}, delivery.pk, f"zq-file-{name}", people=seen)
        if not seen & CLEARED.keys() and person != office.second:
            continue  # nobody else leads a case, or looks at pictures
        own = cases.open_case(person, "is asked")
        question = Question.objects.create(
            from_case=asking, to_case=own, asked_by=office.maker, asked_at=timezone.now()
        )
        office.add("question", name, {"question_id": question.pk}, question.pk, people=seen)
        office.add("look", name, {"look_id": look_of(office, person)}, people=())  # none is live: as good as absent
    for role in CLEARED:
        incoming = IncomingReport(Channel.API, text="made up")
        appeal, _ = review.receive_appeal(Actor.of_key(office.keys[role][0]), incoming)
        office.add("own-appeal", role, {"appeal_id": appeal.pk}, people=(), programs={role})


def _key_of(person: Person) -> ApiKey | None:
    held = RoleGrant.objects.filter(person=person, is_active=True).values_list("role", flat=True).first()
    role = Role(held) if held else None
    return make_key(person, person.name, role, ROLE_PERMISSIONS[role], timedelta(days=1))[0] if role else None


def look_of(office: Office, person: Person) -> Any:
    now, review_ = timezone.now(), office.made["plain"].review
    shift, _ = Shift.objects.get_or_create(
        person=person, defaults={"began_at": now, "planned_minutes": 60, "working_since": now, "ended_at": now}
    )
    return Exposure.objects.create(
        person=person, asset=office.assets["plain"], review=review_, shift=shift, level="lens", purpose="decision",
        severity=1, issued_at=now - timedelta(hours=1), until=now, session_hash="0" * 64,
    ).pk  # fmt: skip


# --- banks and what leaves them --------------------------------------------------------------------------------------

BANKS = (
    ("zq-bank-amber", Shade("amber", 0, "amber")),
    ("zq-bank-red", Shade("red", 0, "red")),
    ("zq-bank-lent-red", Shade("lent-red", 0, "red", is_granted=True)),
)


def make_banks(office: Office) -> None:
    """A bank is the office's own to everybody who may read banks, but for TLP:RED."""
    partner = make_partner(office)
    for bank_id, shade in BANKS:
        actor = Actor.of_person(office.maker)
        banks.create_bank(actor, bank_id, kind=Kind.ILLEGAL, reason="own-list", tlp=Tlp(shade.tlp))
        office.grant(shade, "bank", bank_id)
        is_red = shade.tlp == "red"
        people = shade.seen(granted=True) if is_red else EVERYBODY
        programs = shade.seen(granted=False) if is_red else EVERYBODY
        seen: dict[str, Any] = {"people": people, "programs": programs}
        first, red = add_entries(actor, bank_id)
        office.add("bank", shade.name, {"bank_id": bank_id}, bank_id, **seen)
        for number, entry in enumerate((first, red)):
            match_of(office.assets["plain"], bank_id, entry, number, is_red=is_red or entry == red)
        office.add("entry", shade.name, {"bank_id": bank_id, "entry_id": first}, label_of(bank_id, 0), **seen)
        of_red = {"people": Shade("", 0, "red", shade.is_granted).seen(granted=True), "programs": {Role.SENIOR}}
        inside = {"bank_id": bank_id, "entry_id": red}
        office.add("entry", f"red in {shade.name}", inside, label_of(bank_id, 1), **of_red)
        for what in ("proposal", "other proposal"):
            doubted = [Entry(kind=Kind.FALSE_POSITIVE, fingerprints={"md5": bytes.fromhex(md5_of(what))})]
            proposal = banks.add_entries(actor, bank_id, doubted, reason="harmless").proposal
            assert proposal is not None
            office.add("proposal", f"{what} in {shade.name}", {"proposal_id": proposal.pk}, proposal.pk, **seen)
        reached = Reach.objects.create(assessment=office.made["plain"], proposal=proposal)
        office.add("reach", shade.name, {"reach_id": reached.pk}, **seen)
        share = share_of(office, partner, bank_id)
        office.add("share", shade.name, {"share_id": share.pk}, share.pk, **seen)


def label_of(bank_id: str, number: int) -> str:
    return f"zq-entry-{number}-{bank_id}"


def md5_of(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def add_entries(actor: Actor, bank_id: str) -> tuple[int, int]:
    """An ordinary one and one under TLP:RED, whose label names it."""
    found = []
    for number, tlp in enumerate((Tlp.AMBER, Tlp.RED)):
        digest = bytes.fromhex(md5_of(label_of(bank_id, number)))
        entry = Entry(kind=Kind.ILLEGAL, fingerprints={"md5": digest}, tlp=tlp, label=label_of(bank_id, number))
        found += banks.add_entries(actor, bank_id, [entry], reason="own-assessment").ids
    return found[0], found[1]


def match_of(asset: Asset, bank_id: str, entry: int, number: int, *, is_red: bool) -> None:
    """The file that everybody with a clearance sees is known to every bank; what a red one says of it comes last."""
    label, now = label_of(bank_id, number), timezone.now()
    AssetMatch.objects.create(
        asset=asset, bank=bank_id, entry=entry, kind="illegal", algorithm="md5", distance=0, threshold=0,
        transform="identity", view="picture", label=label, is_red=is_red, list_version=1, found_at=now,
    )  # fmt: skip
    said = {"inferred_kind": "illegal", "inferred_label": label, "inferred_from": bank_id, "inferred_red": is_red}
    Asset.objects.filter(pk=asset.pk).update(verdict="known", **said)
    Task.objects.get_or_create(kind="withdrawn", asset=asset, bank=bank_id, defaults={"is_red": is_red})


def make_partner(office: Office) -> Any:
    known = reach.subscriptions()
    options = {"address": "https://partner.example.org/v1"}
    keys = {"subscription_key": "made up", "fetch_key": "made up"}
    known.add(Subscription("a-source", "stopncii", options, "", Kind.OTHER), keys)
    office.add("source", "the only one", {"name": "a-source"})
    administrator = office.people[Role.ADMINISTRATOR]
    partner = sharing.make_partner(administrator, "A made-up partner", "a-source")
    sharing.agree(
        administrator, partner, tlp=Tlp.AMBER_STRICT, pap=Pap.AMBER, kinds=[Kind.ILLEGAL], purposes=["matching"],
        valid_from=date(2026, 1, 1), valid_until=date(2120, 1, 1), document="made up",
    )  # fmt: skip
    office.add("partner", "the only one", {"partner_id": partner.pk})
    return partner


def share_of(office: Office, partner: Any, bank_id: str) -> Share:
    now = timezone.now()
    share = Share.objects.create(
        partner=partner, agreement=partner.agreements.get(), act="submit", bank=bank_id, purpose="matching",
        reason="agreed-exchange", digest="0" * 64, passing=1, stopped=0, proposed_by=office.maker,
        proposer=str(office.maker.pk), proposed_at=now, expires_at=now + timedelta(days=1), state="sent",
        decided_by=office.second, decided_at=now,
    )  # fmt: skip
    ShareItem.objects.create(share=share, entry=1, rule="agreed", state="taken", digest="0" * 64, at=now)
    return share


# --- accounts, webhooks ----------------------------------------------------------------------------------------------


def make_accounts(office: Office) -> None:
    office.add("person", "a colleague", {"person_id": new_person("a-colleague", Role.CURATOR).pk})
    invitation = Invitation.objects.create(token_hash="0" * 64, until=timezone.now() + timedelta(days=1))
    office.add("invitation", "open", {"invitation_id": invitation.pk})
    given = {"person": office.second, "role": Role.AUDITOR, "given_by": office.maker}
    office.add("role", "unconfirmed", {"grant_id": RoleGrant.objects.create(**given).pk})


def make_hooks(office: Office) -> None:
    endpoint = hooks.make_endpoint(office.people[Role.ADMINISTRATOR], "https://hook.example.net/in", ["report.*"])
    failed: dict[str, Any] = {"act": "report.received", "body": "{}", "state": "failed", "tries": 9}
    sending = Sending.objects.create(endpoint=endpoint, event="msg_made_up", **failed)
    office.add("webhook", "live", {"endpoint_id": endpoint.pk, "webhook_id": endpoint.pk, "delivery_id": sending.pk})
