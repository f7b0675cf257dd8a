"""Built exhibits hold no more in clear than they must, end after their anchor begins, and go when their time is over."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pyrage
import pytest
from django.db import transaction
from django.utils import timezone

from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.models import Asset, Exhibit
from leadline.workbench.journal.models import Anchor, Line
from leadline.workbench.permissions import Role

NAME = "LEADLINE-TEST-NAME.bin"


@pytest.fixture
def asset(keeping: Person) -> Asset:
    return actions.take_in(b"made up" * 100, actor="somebody", source="test", name=NAME)


@pytest.fixture
def identity() -> Any:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def ready(asset: Asset, senior: Person, make_person: Any, identity: Any) -> Exhibit:
    exhibit = actions.request_exhibit(
        make_person("investigator", Role.INVESTIGATOR), [asset], recipient="Made-up court", reason="court-order",
        recipient_key=str(identity.to_public()),
    )  # fmt: skip
    actions.decide_exhibit(senior, exhibit, release=True, reason="checked")
    tasks.build.call(str(exhibit.pk))
    exhibit.refresh_from_db()
    assert exhibit.state == "ready"
    return exhibit


def test_the_name_of_an_enclosed_file_is_the_recipients_to_read(ready: Exhibit, asset: Asset, identity: Any) -> None:
    path = access.exhibit_path(ready.pk)
    assert NAME.encode() not in path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as bag:
        sealed = bag.read(f"{ready.pk}/data/names.json.age")
    assert json.loads(pyrage.decrypt(sealed, [identity])) == {str(asset.pk): NAME}


def test_the_lines_of_an_exhibit_lie_before_the_anchor_that_is_signed_for_it(ready: Exhibit) -> None:
    released = Line.objects.get(act="exhibit.released")
    assert Anchor.objects.get().line >= released.line


def remove(days: int) -> int:
    return actions.remove_exhibits(timezone.now() + timedelta(days=days))


def test_a_built_file_goes_after_its_receipt_or_its_term(ready: Exhibit, senior: Person) -> None:
    assert remove(89) == 0
    actions.note_receipt(senior, ready, b"received with thanks")
    assert remove(29) == 0
    assert remove(31) == 1
    assert not access.exhibit_path(ready.pk).exists()
    assert remove(31) == 0
    assert list(Line.objects.filter(act="exhibit.removed").values_list("object_id", "reason")) == [
        (str(ready.pk), "term-ended")
    ]


def test_one_that_was_never_received_goes_too(ready: Exhibit) -> None:
    assert remove(91) == 1


def test_with_the_erasure_of_an_enclosed_file_its_copy_here_goes(ready: Exhibit, asset: Asset) -> None:
    with transaction.atomic():
        actions.erase(asset, actor="somebody", reason="term-ended")
    assert tasks.remove_exhibits() == 1
    assert not access.exhibit_path(ready.pk).exists()
    assert Line.objects.get(act="exhibit.removed").reason == "asset-erased"
