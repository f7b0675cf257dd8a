"""Banks for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Entry, Kind
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.models import Change, Proposal
from leadline.workbench.hooks.models import DoneRequest
from leadline.workbench.permissions import Permission, Role

MD5 = [f"{n:032x}" for n in range(1, 30)]


@pytest.fixture
def program(senior: Person, program_of: Callable[..., Client]) -> Client:
    actor = Actor.of_person(senior)
    actions.create_bank(actor, "known", kind=Kind.OTHER, reason="own-list")
    return program_of(senior, Role.SENIOR)


def post(program: Client, where: str, body: object, **headers: str) -> Any:
    return program.post(f"/api/v1{where}", json.dumps(body), content_type="application/json", headers=headers)


def add(program: Client, hashes: list[str], **headers: str) -> Any:
    return post(program, "/banks/known/entries", {"hashes": hashes, "reason": "own-assessment"}, **headers)


def test_what_is_added_is_found_and_what_is_withdrawn_is_not(program: Client) -> None:
    added = add(program, [*MD5[:2], "nonsense"])
    assert (added.status_code, added.json()["ids"], added.json()["refused_count"]) == (201, [1, 2], 1)
    (match,) = post(program, "/look-ups", {"hashes": MD5[:1]}).json()["items"][0]["matches"]
    assert (match["bank"], match["entry"], match["algorithm"], match["distance"]) == ("known", 1, "md5", 0)
    assert post(program, "/banks/known/withdrawals", {"ids": [1], "reason": "duplicate"}).json() == {
        "withdrawn": 1,
        "proposal": None,
    }
    assert post(program, "/look-ups", {"hashes": MD5[:1]}).json()["items"] == [{"matches": [], "truncated": False}]
    history = program.get("/api/v1/banks/known/entries/1/history").json()["items"]
    assert [change["what"] for change in history] == ["add", "withdraw"]
    assert all(change["actor"].startswith("key:") for change in history)


def test_near_hashes_are_found_within_the_radius_that_is_asked(program: Client) -> None:
    digest = bytearray(range(32))
    add(program, [f"pdq:{digest.hex()}"])
    digest[0] ^= 0xFF
    near = f"pdq:{bytes(digest).hex()}"
    assert post(program, "/look-ups", {"hashes": [near]}).json()["items"][0]["matches"][0]["distance"] == 8
    assert post(program, "/look-ups", {"hashes": [near], "radius_bits": 7}).json()["items"][0]["matches"] == []


def test_entries_come_page_by_page(program: Client) -> None:
    add(program, MD5[:7])
    found, cursor = [], ""
    for _ in range(9):
        page = program.get("/api/v1/banks/known/entries", {"limit": 3, "cursor": cursor}).json()
        found += [entry["fingerprints"]["md5"] for entry in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == MD5[:7]
    refused = program.get("/api/v1/banks/known/entries", {"cursor": "made-up"})
    assert (refused.status_code, refused.json()["code"]) == (422, "cursor")
    assert program.get("/api/v1/banks/known/entries", {"page": 2}).json()["code"] == "unknown-parameter"


def test_a_request_sent_twice_with_one_key_adds_once(program: Client) -> None:
    first = add(program, MD5[:2], **{"Idempotency-Key": "a-1"})
    again = add(program, MD5[:2], **{"Idempotency-Key": "a-1"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert access.all_banks()[0].count == 2
    other = add(program, MD5[2:4], **{"Idempotency-Key": "a-1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-reuse")
    assert add(program, MD5[2:4], **{"Idempotency-Key": "a-2"}).status_code == 201


def test_one_that_failed_may_be_sent_again_and_one_that_was_cut_may_not(program: Client) -> None:
    body = {"hashes": MD5[:1], "reason": "because"}
    for _ in range(2):
        assert post(program, "/banks/known/entries", body, **{"Idempotency-Key": "b"}).json()["code"] == "input"
    add(program, MD5[:1], **{"Idempotency-Key": "c"})
    DoneRequest.objects.update(status=None)
    cut = add(program, MD5[:1], **{"Idempotency-Key": "c"})
    assert (cut.status_code, cut.json()["code"]) == (409, "idempotency-busy")


def test_an_idempotency_key_is_its_callers_own(
    program: Client, senior: Person, program_of: Callable[..., Client]
) -> None:
    add(program, MD5[:1], **{"Idempotency-Key": "same"})
    other = program_of(senior, Role.SENIOR)
    assert add(other, MD5[1:2], **{"Idempotency-Key": "same"}).json()["ids"] == [2]


def test_a_false_positive_by_a_key_waits_for_another_person_than_its_owner(program: Client, senior: Person) -> None:
    body = {"hashes": MD5[:1], "reason": "harmless", "kind": "false-positive", "radius_bits": 3}
    told = post(program, "/banks/known/entries", body).json()
    assert (told["added"], told["proposal"]) == (0, str(Proposal.objects.get().pk))
    assert Proposal.objects.get().proposed_by == senior


def test_a_key_that_may_only_read_changes_nothing(senior: Person, program: Client, program_of: Any) -> None:
    reader = program_of(senior, Role.SENIOR, Permission.BANKS_READ)
    assert add(reader, MD5[:1]).status_code == 403
    assert Change.objects.filter(what="add").count() == 0


def test_an_entry_says_what_its_list_says(program: Client, senior: Person) -> None:
    prints = {"md5": bytes.fromhex(MD5[0])}
    wished = Entry(kind=Kind.EXPLOITATIVE, fingerprints=prints, label="B", scheme="made-up")
    actions.add_entries(Actor.of_person(senior), "known", [wished], reason="partner-list")
    told = program.get("/api/v1/banks/known/entries/1").json()
    assert (told["kind"], told["label"], told["scheme"]) == ("exploitative", "B", "made-up")
    assert told["fingerprints"] == {"md5": MD5[0]}
    assert program.get("/api/v1/banks/known/entries/2").status_code == 404
