"""Exhibits: asked for by one, released by another, built whole, checked by plain Python."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.workbench.evidence.conftest import draw_png

from leadline.errors import CustodyFormatError, NotAllowed, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import OfficeSetting, Person
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.models import Asset, Exhibit, ExhibitState
from leadline.workbench.journal.models import Anchor, Line
from leadline.workbench.permissions import Role


@pytest.fixture
def investigator(make_person: Any) -> Person:
    person: Person = make_person("investigator", Role.INVESTIGATOR)
    return person


@pytest.fixture
def asset() -> Asset:
    return actions.take_in(draw_png(1), actor="somebody", source="test", name="holiday picture.png")


def ask(by: Person, *assets: Asset, **said: Any) -> Exhibit:
    return actions.request_exhibit(by, assets, recipient="Made-up court", reason="court-order", **said)


def build(exhibit: Exhibit) -> Exhibit:
    tasks.build.call(str(exhibit.pk))
    exhibit.refresh_from_db()
    return exhibit


def test_nobody_releases_what_they_asked_for(senior: Person, asset: Asset) -> None:
    exhibit = ask(senior, asset)
    with pytest.raises(NotAllowed):
        actions.decide_exhibit(senior, exhibit, release=True, reason="checked")


def test_in_an_office_of_one_person_they_do(senior: Person, asset: Asset) -> None:
    OfficeSetting.objects.create(name="one-person-office", value="yes", legal_basis="chosen at set-up", set_by=senior)
    assert actions.decide_exhibit(senior, ask(senior, asset), release=True, reason="checked").state == "released"


def test_a_released_exhibit_is_verified_by_plain_python(
    investigator: Person, senior: Person, asset: Asset, tmp_path: Path
) -> None:
    tasks.sign_head()
    tasks.send_anchor()
    exhibit = ask(investigator, asset, reference="made-up 7")
    actions.decide_exhibit(senior, exhibit, release=True, reason="checked")
    assert build(exhibit).state == ExhibitState.READY
    with zipfile.ZipFile(access.exhibit_path(exhibit.pk)) as packed:
        packed.extractall(tmp_path)
    bag, key = tmp_path / str(exhibit.pk), sealing.signing_key().public_bytes.hex()
    checked = subprocess.run(
        [sys.executable, "-I", str(bag / "verify.py"), str(bag), "--key", key], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "anchored up to" in checked.stdout
    facts = json.loads((bag / "data/exhibit.json").read_text())
    assert facts["released_by"] == [str(investigator.pk), str(senior.pk)]
    assets = json.loads((bag / "data/assets.json").read_text())
    assert (assets[0]["hashes"]["sha256"], assets[0]["file"], assets[0]["name"]) == (asset.sha256, "", "")


def test_a_build_that_was_killed_is_begun_again(investigator: Person, senior: Person, asset: Asset) -> None:
    exhibit = ask(investigator, asset)
    actions.decide_exhibit(senior, exhibit, release=True, reason="checked")
    folder = access.exhibit_path(exhibit.pk).parent
    left = folder / f"building-{exhibit.pk}-0123456789abcdef"
    (left / "data").mkdir(parents=True)
    (left / "data" / "half").write_bytes(b"half")
    assert build(exhibit).state == ExhibitState.READY
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".zip"]


def test_files_are_enclosed_for_an_age_key_only_and_only_where_they_are_kept(investigator: Person, asset: Asset) -> None:
    with pytest.raises(CustodyFormatError):
        ask(investigator, asset, recipient_key="age1madeup")
    import pyrage

    key = str(pyrage.x25519.Identity.generate().to_public())
    with pytest.raises(WrongState):
        ask(investigator, asset, recipient_key=key)


def test_the_receipt_is_recorded_by_its_hash(investigator: Person, senior: Person, asset: Asset) -> None:
    exhibit = ask(investigator, asset)
    with pytest.raises(WrongState):
        actions.note_receipt(investigator, exhibit, b"signed")
    actions.decide_exhibit(senior, exhibit, release=True, reason="checked")
    actions.note_receipt(investigator, build(exhibit), b"signed")
    exhibit.refresh_from_db()
    # SHA-256 of the six letters, by coreutils
    assert exhibit.state == ExhibitState.RECEIVED
    assert len(exhibit.receipt_sha256) == 64
    assert Line.objects.filter(act="exhibit.received", object_id=str(exhibit.pk)).exists()


def test_the_journey_over_the_pages(
    investigator: Person, senior: Person, outsider: Person, asset: Asset, client_of: Any
) -> None:
    asking, releasing, outside = client_of(investigator), client_of(senior), client_of(outsider)
    said = {"assets": asset.sha256, "recipient": "Made-up court", "reason": "court-order"}
    assert asking.post("/evidence/exhibits/new/", said).status_code == 302
    exhibit = Exhibit.objects.get()
    page = f"/evidence/exhibits/{exhibit.pk}/"
    assert asking.post(f"{page}download/").status_code == 404
    assert asking.post(f"{page}release/", {"reason": "checked"}).status_code == 404  # has no right to release
    assert outside.get(page).status_code == 404
    assert releasing.post(f"{page}release/", {"reason": "checked"}).status_code == 302
    build(exhibit)
    answer = asking.post(f"{page}download/")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert b"".join(answer.streaming_content)[:2] == b"PK"
    assert Line.objects.filter(act="exhibit.downloaded", actor=str(investigator.pk)).count() == 1


def test_a_release_needs_a_fresh_sign_in(investigator: Person, senior: Person, asset: Asset, client_of: Any) -> None:
    exhibit = ask(investigator, asset)
    stale: Client = client_of(senior, signed_in_s_ago=16 * 60)
    answer = stale.post(f"/evidence/exhibits/{exhibit.pk}/release/", {"reason": "checked"})
    assert answer.status_code == 302
    assert "/account/again/" in answer["Location"]
    exhibit.refresh_from_db()
    assert exhibit.state == ExhibitState.REQUESTED


def test_an_exhibit_of_an_asset_one_may_not_see_looks_like_one_of_none(
    investigator: Person, asset: Asset, client_of: Any
) -> None:
    Asset.objects.update(sensitivity=2)
    said = {"recipient": "Made-up court", "reason": "court-order"}
    client = client_of(investigator)
    hidden = client.post("/evidence/exhibits/new/", said | {"assets": asset.sha256}).content
    absent = client.post("/evidence/exhibits/new/", said | {"assets": "0" * 64}).content
    assert hidden.replace(asset.sha256.encode(), b"X").count(b"Not found") == absent.count(b"Not found") == 1


def test_the_head_is_signed_dropped_and_mailed(make_person: Any, office: Any, mailoutbox: Any) -> None:
    make_person("auditor", Role.AUDITOR)
    assert tasks.sign_head() is None
    actions.take_in(b"made up", actor="somebody", source="test")
    anchor = tasks.sign_head()
    assert anchor is not None
    tasks.send_anchor()
    tasks.send_anchor()
    anchor = Anchor.objects.get()
    assert anchor.left_by == ["drop", "mail"]
    assert [path.read_text() for path in (office.home / "anchors").glob("*.json")] == [anchor.statement]
    assert [mail.to for mail in mailoutbox] == [["auditor@example.org"]]
