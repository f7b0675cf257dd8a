"""The API of evidence: what a key may see, and a file posted to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.workbench.evidence.conftest import MakeBank, draw_png, near_entry

from leadline.workbench.accounts.actions import make_key
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions
from leadline.workbench.evidence.models import Asset, MediaMode
from leadline.workbench.permissions import Permission, Role

_P = Permission


@pytest.fixture
def program(analyst: Person) -> Client:
    _, secret = make_key(analyst, "program", Role.ANALYST, [_P.EVIDENCE_READ, _P.EVIDENCE_WRITE], timedelta(days=1))
    return Client(headers={"authorization": f"Bearer {secret}"})


def post(program: Client, seed: int) -> Any:
    return program.post("/api/v1/assets", {"file": SimpleUploadedFile("a.png", draw_png(seed), "image/png")})


def test_a_file_is_posted_matched_and_found_by_hash(program: Client, make_bank: MakeBank) -> None:
    make_bank("NEAR", near_entry(1))
    answer = post(program, 1)
    assert answer.status_code == 201, answer.content
    asset = answer.json()
    assert (asset["state"], asset["verdict"]) == ("discarded", "near")
    found = program.get("/api/v1/assets", {"digest": asset["md5"]}).json()
    assert [one["id"] for one in found["items"]] == [asset["id"]]
    matches = program.get(f"/api/v1/assets/{asset['id']}/matches").json()["items"]
    assert [(one["bank"], one["entry"]) for one in matches] == [("NEAR", 1)]


def test_hashes_alone_are_looked_up_among_assets_and_banks(
    program: Client, make_bank: MakeBank, analyst: Person, program_of: Callable[..., Client]
) -> None:
    make_bank("NEAR", near_entry(1))
    asset = post(program, 1).json()
    asked = {"hashes": [asset["md5"], asset["sha1"], f"pdq:{asset['pdq']}", asset["sha256"], "sha256:" + "0" * 64]}

    def ask(key: Client) -> Any:
        return key.post("/api/v1/assets/look-ups", asked, content_type="application/json").json()["items"]

    reader = program_of(analyst, Role.ANALYST, _P.EVIDENCE_READ, _P.BANKS_READ)
    held = [{"id": asset["id"], "state": "discarded", "verdict": "near"}]
    answers = ask(reader)
    assert [answer["assets"] for answer in answers] == [held, held, held, held, []]
    assert [(m["bank"], m["entry"]) for answer in answers for m in answer["matches"]] == [("NEAR", 1)]  # by its PDQ
    assert [answer["matches"] for answer in ask(program)] == [None] * 5
    Asset.objects.update(sensitivity=2)
    assert [answer["assets"] for answer in ask(reader)] == [[]] * 5


def test_an_office_that_refuses_refuses_programs_too(program: Client, senior: Person) -> None:
    actions.set_media_mode(senior, MediaMode.REFUSE, "made-up law, section 2")
    answer = post(program, 1)
    assert (answer.status_code, answer.json()["code"]) == (403, "media-refused")
    assert not Asset.objects.exists()


def test_hidden_and_absent_look_the_same(program: Client) -> None:
    asset = post(program, 1).json()
    Asset.objects.update(sensitivity=2)
    hidden = program.get(f"/api/v1/assets/{asset['id']}")
    absent = program.get("/api/v1/assets/00000000-0000-4000-8000-000000000000")
    assert (hidden.status_code, hidden.content) == (404, absent.content)
    assert program.get("/api/v1/assets").json()["items"] == []


def test_the_cursor_goes_through_all_assets(program: Client) -> None:
    for seed in range(3):
        post(program, seed)
    seen, cursor = [], ""
    while True:
        page = program.get("/api/v1/assets", {"cursor": cursor, "limit": 2}).json()
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 3
