"""One person proposes, another approves, the worker sends: once, exactly what was seen, with a line for each step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from tests.workbench.sharing.conftest import (
    PASSWORD,
    Desk,
    agree,
    digest_of,
    entry,
    propose,
    rules,
    set_up,
    submit,
)

from leadline.domain import Kind, PdqFamily, Tlp
from leadline.errors import (
    CredentialsRefused,
    InputError,
    NotAllowed,
    OfficeError,
    SourceBroken,
    SourceUnavailable,
    WrongState,
)
from leadline.exchange.connector import Act, Outgoing
from leadline.match.bank import Bank
from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import OfficeSetting, Person
from leadline.workbench.actors import Actor
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
from leadline.workbench.sharing import access, actions, reach, tasks
from leadline.workbench.sharing.acts import deciding, sending
from leadline.workbench.sharing.models import Partner, Share, ShareItem


@pytest.fixture
def approved(partner: Partner, bank: Bank, proposer: Actor, approver: Actor) -> Share:
    return actions.approve(approver, propose(proposer, partner, submit(1, 2, 3)).pk)


def states(share: Share) -> dict[int, str]:
    return dict(ShareItem.objects.filter(share=share).order_by("id").values_list("entry", "state"))


def state(share: Share) -> str:
    return str(Share.objects.get(pk=share.pk).state)


def acts(share: Share) -> list[str]:
    return list(Line.objects.filter(object_id=str(share.pk)).order_by("line").values_list("act", flat=True))


def details(share: Share, act: str) -> dict[str, Any]:
    return dict(json.loads(Line.objects.get(object_id=str(share.pk), act=act).details))


def time_passes(share: Share) -> None:
    Share.objects.filter(pk=share.pk).update(next_try_at=timezone.now() - timedelta(seconds=1))


def spelled(one: Outgoing) -> str:
    """An act's bytes as docs/sharing.md says, written without the code under test."""
    told: dict[str, Any] = {"act": one.act.value, "key": one.key, "algorithm": one.algorithm}
    told |= {"reasons": list(one.reasons), "entry": None}
    if one.entry is not None:
        values = msgspec.structs.asdict(one.entry)
        values["fingerprints"] = {name: print_.hex() for name, print_ in one.entry.fingerprints.items()}
        told["entry"] = values
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of_all(acts: list[Outgoing]) -> str:
    lines = [hashlib.sha256(spelled(one).encode()).hexdigest() + "\n" for one in acts]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


# --- two people -------------------------------------------------------------------------------------------------------


def test_what_was_proposed_and_approved_is_sent_once(approved: Share, desk: Desk) -> None:
    tasks.send()
    tasks.send()
    assert [one.entry.fingerprints["md5"] for one in desk.all if one.entry] == [digest_of(n) for n in (1, 2, 3)]
    assert state(approved) == "sent"
    assert states(approved) == {1: "taken", 2: "taken", 3: "taken"}
    assert ShareItem.objects.get(share=approved, entry=2).remote_id == "theirs-00000000"


def test_nothing_leaves_before_a_second_person_said_yes(
    partner: Partner, bank: Bank, proposer: Actor, desk: Desk
) -> None:
    propose(proposer, partner, submit(1))
    tasks.send()
    assert desk.arrived == []


def test_nobody_approves_their_own_proposal(partner: Partner, bank: Bank, approver: Actor) -> None:
    share = propose(approver, partner, submit(1))
    with pytest.raises(NotAllowed):
        actions.approve(approver, share.pk)
    assert state(share) == "proposed"


def test_nobody_approves_it_with_their_key_either(partner: Partner, bank: Bank, approver: Actor) -> None:
    role = Role.SENIOR
    key, _ = make_key(approver.person, "a program", role, ROLE_PERMISSIONS[role], timedelta(days=1))
    share = propose(approver, partner, submit(1))
    with pytest.raises(NotAllowed):
        actions.approve(Actor.of_key(key), share.pk)


def test_one_person_alone_does_not_let_it_leave_in_an_office_of_one(
    partner: Partner, bank: Bank, make_person: Callable[..., Person]
) -> None:
    only = make_person("only", Role.SENIOR)
    OfficeSetting.objects.create(name="one-person-office", value="yes", set_by=only)
    with pytest.raises(NotAllowed):
        actions.approve(Actor.of_person(only), propose(Actor.of_person(only), partner, submit(1)).pk)


def test_the_database_holds_no_share_that_one_person_let_leave(
    partner: Partner, bank: Bank, proposer: Actor, desk: Desk
) -> None:
    share = propose(proposer, partner, submit(1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Share.objects.filter(pk=share.pk).update(state="approved", decided_by=proposer.person)


def test_who_may_not_approve_does_not(
    partner: Partner, bank: Bank, proposer: Actor, make_person: Callable[..., Person]
) -> None:
    share, other = propose(proposer, partner, submit(1)), make_person("other", Role.ANALYST)
    with pytest.raises(NotAllowed):
        actions.approve(Actor.of_person(other), share.pk)


def test_what_is_decided_is_not_decided_again(approved: Share, approver: Actor) -> None:
    for again in (
        lambda: actions.approve(approver, approved.pk),
        lambda: actions.refuse(approver, approved.pk, "mistake"),
    ):
        with pytest.raises(WrongState):
            again()


def test_a_proposal_is_what_was_seen_or_nothing(partner: Partner, bank: Bank, proposer: Actor) -> None:
    seen = access.preview(proposer, partner, submit(1, 2), "matching").digest
    bank.update([msgspec.structs.replace(bank.get(2), label="another")])
    with pytest.raises(WrongState, match="something else"):
        propose(proposer, partner, submit(1, 2), seen_digest=seen)
    assert Share.objects.count() == 0


def test_where_nothing_may_leave_nothing_is_proposed(partner: Partner, bank: Bank, proposer: Actor) -> None:
    with pytest.raises(InputError, match="nothing of it"):
        propose(proposer, partner, submit(999))


def test_a_proposal_cannot_be_rewritten_afterwards(approved: Share) -> None:
    from django.db import DatabaseError

    for column in ("digest", "bank", "proposer"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE sharing_share SET {column} = 'other'")


# --- a dry run, what leaves, and the journal --------------------------------------------------------------------------


def test_what_left_is_byte_for_byte_what_the_dry_run_showed(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, desk: Desk
) -> None:
    bank.add([entry(7, label="é", scheme="own:1", tlp=Tlp.GREEN, pdq_family=PdqFamily.A, note="stays here")])
    seen = access.preview(proposer, partner, submit(1, 6), "matching")
    share = actions.approve(approver, propose(proposer, partner, submit(1, 6)).pk)
    tasks.send()
    assert seen.digest == digest_of_all(desk.all)
    assert share.digest == seen.digest
    assert details(share, "share.leaving")["digest"] == seen.digest
    assert details(share, "share.left") == {
        "digest": seen.digest, "entries": 2, "partner": str(partner.pk), "taken": 2, "refused": 0, "unclear": 0,
    }  # fmt: skip


def test_each_step_has_its_line_and_no_line_holds_a_hash_of_the_list_or_a_credential(
    approved: Share, desk: Desk
) -> None:
    tasks.send()
    assert acts(approved) == ["share.proposed", "share.approved", "share.leaving", "share.left", "share.ended"]
    said = " ".join(Line.objects.values_list("details", flat=True))
    assert PASSWORD not in said
    assert digest_of(1).hex() not in said
    assert desk.secrets == [{"password": PASSWORD}]


@pytest.mark.parametrize("step", ["propose", "approve"])
def test_where_the_journal_takes_no_line_the_act_does_not_happen(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OfficeError("the journal is full")

    share = propose(proposer, partner, submit(1)) if step == "approve" else None
    monkeypatch.setattr(deciding, "tell", full)
    with pytest.raises(OfficeError):
        propose(proposer, partner, submit(1)) if share is None else actions.approve(approver, share.pk)
    assert [str(row.state) for row in Share.objects.all()] == ([] if share is None else ["proposed"])


def test_nothing_is_handed_over_before_its_line_is_in_the_journal(
    approved: Share, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OfficeError("the journal is full")

    monkeypatch.setattr(sending, "tell", full)
    with pytest.raises(OfficeError):
        tasks.send()
    assert desk.arrived == []
    assert states(approved) == {1: "waiting", 2: "waiting", 3: "waiting"}


def test_the_receipt_says_what_left_and_is_signed(approved: Share, desk: Desk, office: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    assert not access.has_left(approved)
    desk.errors[digest_of(2).hex()] = InputError("made up")
    tasks.send()
    told = json.loads(access.receipt(Share.objects.get(pk=approved.pk)))
    signature = told.pop("signature")
    signed = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["key"]))
    key.verify(bytes.fromhex(signature), b"leadline share receipt 1\n" + signed)
    assert told["left_digest"] == digest_of_all(desk.all)
    assert [(one["entry"], one["outcome"]) for one in told["entries"]] == [(1, "taken"), (2, "refused"), (3, "taken")]
    assert [one["act"] for one in told["journal"]] == acts(approved)


# --- what changes in between ------------------------------------------------------------------------------------------


def test_what_changed_since_it_was_approved_stays(approved: Share, bank: Bank, desk: Desk) -> None:
    import time

    bank.update(
        [
            msgspec.structs.replace(bank.get(1), disabled_until=int(time.time()) + 1000),
            msgspec.structs.replace(bank.get(2), label="another"),
        ]
    )
    tasks.send()
    assert [one.entry.fingerprints["md5"] for one in desk.all if one.entry] == [digest_of(3)]
    rows = ShareItem.objects.filter(share=approved).values_list("entry", "state", "rule")
    assert set(rows) == {(1, "stopped", "suspended"), (2, "stopped", "changed"), (3, "taken", "agreed")}


def test_what_became_red_since_stays(approved: Share, bank: Bank, desk: Desk) -> None:
    bank.update([msgspec.structs.replace(bank.get(n), tlp=Tlp.RED) for n in (1, 2, 3)])
    tasks.send()
    assert desk.arrived == []
    assert set(states(approved).values()) == {"stopped"}


@pytest.mark.parametrize("how", ["ended", "another", "elsewhere"])
def test_without_the_agreement_it_was_approved_under_nothing_leaves(
    approved: Share, partner: Partner, administrator: Person, desk: Desk, how: str
) -> None:
    if how == "elsewhere":
        reach.subscriptions().remove("partner")
        set_up("partner", address="https://elsewhere.example.org")
    elif how == "ended":
        actions.end_agreement(administrator, approved.agreement)
    else:
        agree(administrator, partner, kinds=[Kind.ILLEGAL, Kind.OTHER])
    tasks.send()
    assert desk.arrived == []
    assert state(approved) == "failed"


def test_a_share_can_be_taken_back_until_it_leaves(
    approved: Share, proposer: Actor, desk: Desk, make_person: Callable[..., Person]
) -> None:
    other = Actor.of_person(make_person("other", Role.ANALYST))
    with pytest.raises(NotAllowed):
        actions.withdraw(other, approved.pk)
    actions.withdraw(proposer, approved.pk)
    tasks.send()
    assert desk.arrived == []
    assert (state(approved), acts(approved)[-1]) == ("withdrawn", "share.withdrawn")
    assert not ShareItem.objects.filter(share=approved, left_sealed__isnull=False).exists()
    with pytest.raises(WrongState):
        actions.withdraw(proposer, approved.pk)


def test_what_is_refused_never_leaves_and_may_be_proposed_again(
    partner: Partner, bank: Bank, proposer: Actor, approver: Actor, desk: Desk
) -> None:
    share = propose(proposer, partner, submit(1))
    with pytest.raises(InputError):
        actions.refuse(approver, share.pk, "made-up reason")
    actions.refuse(approver, share.pk, "too-much")
    tasks.send()
    assert desk.arrived == []
    assert rules(proposer, partner, submit(1)) == {1: "agreed"}


def test_what_nobody_decides_expires(partner: Partner, bank: Bank, proposer: Actor, approver: Actor) -> None:
    share, fresh = propose(proposer, partner, submit(1)), propose(proposer, partner, submit(2))
    Share.objects.filter(pk=share.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(WrongState):
        actions.approve(approver, share.pk)
    assert actions.expire() == 1
    assert (state(share), state(fresh), acts(share)[-1]) == ("expired", "proposed", "share.expired")


# --- when sending goes wrong ------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As a kill -9 at this moment: nothing after it is done."""


def test_a_worker_killed_while_sending_never_sends_twice(approved: Share, desk: Desk, approver: Actor) -> None:
    def kill() -> None:
        raise Killed

    desk.meanwhile = kill
    with pytest.raises(Killed):
        tasks.send()
    desk.meanwhile = None
    assert (state(approved), set(states(approved).values())) == ("sending", {"sending"})
    for _ in range(3):
        tasks.send()
        time_passes(approved)
    assert len(desk.arrived) == 1
    assert (state(approved), set(states(approved).values())) == ("unclear", {"unclear"})
    actions.resolve(approver, approved.pk, arrived=True)
    tasks.send()
    assert len(desk.arrived) == 1
    assert (state(approved), set(states(approved).values())) == ("sent", {"taken"})


def test_what_a_person_found_not_to_have_arrived_is_sent_again(approved: Share, desk: Desk, approver: Actor) -> None:
    desk.errors = {digest_of(2).hex(): SourceBroken("cut short")}
    tasks.send()
    assert states(approved) == {1: "taken", 2: "unclear", 3: "taken"}
    desk.errors = {}
    tasks.send()
    assert len(desk.arrived) == 1
    actions.resolve(approver, approved.pk, arrived=False)
    tasks.send()
    assert [[one.entry.fingerprints["md5"] for one in part if one.entry] for part in desk.arrived][1:] == [
        [digest_of(2)]
    ]
    assert (state(approved), set(states(approved).values())) == ("sent", {"taken"})


def test_a_fault_of_a_connector_leaves_it_to_a_person(approved: Share, desk: Desk) -> None:
    desk.raises = [RuntimeError("made-up inner text")]
    tasks.send()
    assert (state(approved), set(states(approved).values())) == ("unclear", {"unclear"})


def test_where_nothing_was_tried_it_is_tried_again_later(approved: Share, desk: Desk) -> None:
    desk.raises = [SourceUnavailable("away", retry_after_s=600)]
    tasks.send()
    tasks.send()
    share = Share.objects.get(pk=approved.pk)
    assert (desk.arrived, share.state, share.failure) == ([], "approved", "no-answer")
    assert share.next_try_at is not None
    assert share.next_try_at > timezone.now() + timedelta(seconds=500)
    time_passes(approved)
    tasks.send()
    assert state(approved) == "sent"


def test_only_what_the_partner_was_too_busy_for_is_sent_again_by_itself(approved: Share, desk: Desk) -> None:
    desk.errors = {digest_of(1).hex(): SourceUnavailable("busy", code="too-busy")}
    tasks.send()
    assert (state(approved), states(approved)) == ("approved", {1: "waiting", 2: "taken", 3: "taken"})
    desk.errors = {}
    time_passes(approved)
    tasks.send()
    assert [len(part) for part in desk.arrived] == [3, 1]
    assert state(approved) == "sent"


def test_a_refusal_of_the_credentials_waits_for_a_person_and_tells_none(
    approved: Share, desk: Desk, proposer: Actor
) -> None:
    desk.raises = [CredentialsRefused(f"{PASSWORD} is wrong")]
    tasks.send()
    share = Share.objects.get(pk=approved.pk)
    assert (share.state, share.failure) == ("failed", "credentials-refused")
    assert PASSWORD not in " ".join(Line.objects.values_list("details", flat=True))
    actions.try_again(proposer, share.pk)
    tasks.send()
    assert state(approved) == "sent"


def test_a_source_that_stays_away_ends_in_failure_after_some_tries(approved: Share, desk: Desk) -> None:
    desk.raises = [SourceUnavailable("away") for _ in range(20)]
    for _ in range(20):
        tasks.send()
        time_passes(approved)
    assert state(approved) == "failed"
    assert len(desk.raises) == 20 - len(sending.DELAYS_S) - 1


def test_a_worker_that_was_taken_for_dead_notes_what_it_knows_and_sends_no_more(
    approved: Share, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AT_ONCE", 1)
    desk.meanwhile = actions.settle_cut
    tasks.send()
    assert len(desk.arrived) == 1
    assert (state(approved), states(approved)) == ("approved", {1: "taken", 2: "waiting", 3: "waiting"})
    desk.meanwhile = None
    time_passes(approved)
    tasks.send()
    assert [len(part) for part in desk.arrived] == [1, 1, 1]
    assert state(approved) == "sent"


def test_after_a_restore_no_machine_sends_what_may_have_left_since(
    approved: Share, partner: Partner, proposer: Actor, approver: Actor, desk: Desk
) -> None:
    waiting = propose(proposer, partner, submit(4))
    assert actions.doubt_after_restore() == 2
    tasks.send()
    assert desk.arrived == []
    assert (state(approved), state(waiting)) == ("unclear", "expired")
    actions.resolve(approver, approved.pk, arrived=False)
    tasks.send()
    assert (len(desk.all), state(approved)) == (3, "sent")


# --- taking back what a partner has -----------------------------------------------------------------------------------


def test_what_a_partner_has_is_taken_back_by_its_name_for_it_also_once_it_is_gone_here(
    approved: Share, partner: Partner, bank: Bank, proposer: Actor, approver: Actor, administrator: Person, desk: Desk
) -> None:
    tasks.send()
    assert rules(proposer, partner, submit(1)) == {1: "sent-before"}
    bank.remove([1])
    actions.end_agreement(administrator, approved.agreement)
    wish = submit(1, 4, act=Act.WITHDRAW)
    assert rules(proposer, partner, wish) == {1: "was-sent", 4: "never-sent"}
    taken_back = actions.approve(approver, propose(proposer, partner, wish).pk)
    tasks.send()
    [sent] = desk.arrived[-1]
    assert (sent.act, sent.key) == (Act.WITHDRAW, "theirs-00000000")
    assert sent.entry is not None
    assert sent.entry.fingerprints == {"md5": digest_of(1)}
    assert state(taken_back) == "sent"
    assert rules(proposer, partner, wish) == {1: "never-sent", 4: "never-sent"}
