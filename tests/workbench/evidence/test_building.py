"""One exhibit, one builder: what is called ready is whole, and what could not be built says so and can be tried again."""

from __future__ import annotations

import errno
import hashlib
import zipfile
from datetime import timedelta
from typing import Any

import pyrage
import pytest
from django.utils import timezone
from tests.workbench.evidence.conftest import draw_png

from leadline.errors import WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.acts import bags
from leadline.workbench.evidence.models import Asset, Exhibit, ExhibitState
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role


@pytest.fixture
def investigator(make_person: Any) -> Person:
    person: Person = make_person("investigator", Role.INVESTIGATOR)
    return person


def released(by: Person, second: Person, *assets: Asset, **said: Any) -> Exhibit:
    exhibit = actions.request_exhibit(by, assets, recipient="Made-up court", reason="court-order", **said)
    return actions.decide_exhibit(second, exhibit, release=True, reason="checked")


@pytest.fixture
def exhibit(investigator: Person, senior: Person) -> Exhibit:
    return released(investigator, senior, actions.take_in(draw_png(1), actor="somebody", source="test"))


def build(exhibit: Exhibit) -> Exhibit:
    tasks.build.call(str(exhibit.pk))
    exhibit.refresh_from_db()
    return exhibit


def acts_of(exhibit: Exhibit) -> list[str]:
    return list(Line.objects.filter(object_id=str(exhibit.pk)).order_by("line").values_list("act", flat=True))


def check_whole(exhibit: Exhibit) -> None:
    with zipfile.ZipFile(access.exhibit_path(exhibit.pk)) as bag:
        manifest = bag.read(f"{exhibit.pk}/manifest-sha512.txt")
        assert hashlib.sha512(manifest).hexdigest() == exhibit.manifest_sha512
        listed = dict(reversed(line.split("  ", 1)) for line in manifest.decode().splitlines())
        for name, digest in listed.items():
            assert hashlib.sha512(bag.read(f"{exhibit.pk}/{name}")).hexdigest() == digest


def test_a_second_builder_leaves_the_first_alone(exhibit: Exhibit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue's task and the duty that looks for lost ones meet while the first is packing."""
    real, second = bags.pack_bag, []

    def pack(*arguments: Any) -> str:
        if not second:
            second.append(1)
            tasks.build.call(str(exhibit.pk))
            exhibit.refresh_from_db()
            assert exhibit.state == ExhibitState.RELEASED
        return real(*arguments)

    monkeypatch.setattr(bags, "pack_bag", pack)
    assert build(exhibit).state == ExhibitState.READY
    check_whole(exhibit)
    assert acts_of(exhibit).count("exhibit.built") == 1


def test_a_ready_exhibit_is_not_built_anew(exhibit: Exhibit) -> None:
    first = build(exhibit).manifest_sha512
    content = access.exhibit_path(exhibit.pk).read_bytes()
    assert build(exhibit).manifest_sha512 == first
    assert access.exhibit_path(exhibit.pk).read_bytes() == content


@pytest.mark.parametrize("name", ["data/assets.json", "manifest-sha512.txt"])
def test_a_file_that_goes_missing_while_it_is_packed_is_a_fault(
    exhibit: Exhibit, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = bags.pack_bag

    def pack(folder: Any, out: Any) -> str:
        (folder / name).unlink()
        return real(folder, out)

    monkeypatch.setattr(bags, "pack_bag", pack)
    assert (build(exhibit).state, exhibit.fault) == (ExhibitState.FAILED, "not-whole")
    assert not access.exhibit_path(exhibit.pk).exists()


def test_a_full_disk_ends_in_a_fault_and_another_try_succeeds(
    exhibit: Exhibit, investigator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bags, "pack_bag", full)
        assert (build(exhibit).state, exhibit.fault) == (ExhibitState.FAILED, "disk")
    assert [path.suffix for path in access.exhibit_path(exhibit.pk).parent.iterdir()] == [".lock"]
    assert build(exhibit).state == ExhibitState.FAILED  # nobody has asked
    actions.build_again(investigator, exhibit)
    assert build(exhibit).state == ExhibitState.READY
    check_whole(exhibit)
    with pytest.raises(WrongState):
        actions.build_again(investigator, exhibit)
    assert [act for act in acts_of(exhibit) if "buil" in act or "fail" in act] == [
        "exhibit.failed",
        "exhibit.build-again",
        "exhibit.built",
    ]


def test_a_failed_exhibit_is_tried_again_from_its_page(exhibit: Exhibit, investigator: Person, client_of: Any) -> None:
    actions.note_failed(exhibit, "disk")
    client, page = client_of(investigator), f"/evidence/exhibits/{exhibit.pk}/"
    assert "Build it again" in client.get(page).content.decode()
    assert client.post(f"{page}again/").status_code == 302
    exhibit.refresh_from_db()
    assert exhibit.state == ExhibitState.RELEASED


def test_an_asset_erased_between_release_and_build_is_a_fault_that_is_named(
    keeping: Person, investigator: Person, senior: Person
) -> None:
    asset = actions.take_in(draw_png(1), actor="somebody", source="test")
    key = str(pyrage.x25519.Identity.generate().to_public())
    exhibit = released(investigator, senior, asset, recipient_key=key)
    assert actions.erase_expired(timezone.now() + timedelta(days=31)) == 1
    assert (build(exhibit).state, exhibit.fault) == (ExhibitState.FAILED, "asset-erased")


def test_an_exhibit_whose_file_was_changed_is_not_handed_out(
    exhibit: Exhibit, investigator: Person, client_of: Any
) -> None:
    path = access.exhibit_path(build(exhibit).pk)
    path.write_bytes(path.read_bytes()[:-1])
    answer = client_of(investigator).post(f"/evidence/exhibits/{exhibit.pk}/download/")
    assert answer.status_code == 302
    assert "exhibit.downloaded" not in acts_of(exhibit)


def test_the_duty_asks_the_queue_and_builds_nothing_itself(exhibit: Exhibit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(type(tasks.build), "enqueue", lambda self, exhibit_id: asked.append(exhibit_id))
    assert tasks.rebuild_stuck() == 0  # it was released a moment ago
    assert tasks.rebuild_stuck(timezone.now()) == 1
    assert asked == [str(exhibit.pk)]
    exhibit.refresh_from_db()
    assert exhibit.state == ExhibitState.RELEASED
