"""An office that keeps: sealed from the first byte, held, erased at its term, and swept where a stop left something."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from tests.workbench.evidence.conftest import draw_png
from tests.workbench.evidence.test_nothing_on_disk import MARK, find_mark, picture_with_mark

from leadline.custody.vault import Vault
from leadline.errors import AssetErased, AssetRefused, KeyUnavailable, NotAllowed, WrongState
from leadline.workbench import sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.acts import telling
from leadline.workbench.evidence.models import Asset, AssetState, MediaMode
from leadline.workbench.journal.models import Line

LATER = timedelta(days=31)


def take(data: bytes, **said: Any) -> Asset:
    return actions.take_in(data, **({"actor": "somebody", "source": "test"} | said))


def read(asset: Asset) -> bytes:
    return b"".join(sealing.read_asset(asset.sha256))


def acts_of(asset: Asset) -> list[str]:
    return list(Line.objects.filter(object_id=str(asset.pk)).order_by("line").values_list("act", flat=True))


def test_what_is_kept_is_sealed_and_nowhere_in_clear(keeping: Person, office: Any) -> None:
    asset = take(picture_with_mark(), name="LEADLINE-TEST-NAME.png")
    assert asset.state == AssetState.KEPT
    assert acts_of(asset) == ["asset.received", "asset.sealed"]
    assert read(asset) == picture_with_mark()
    assert find_mark(office.home) == []
    assert b"LEADLINE-TEST-NAME" not in bytes(asset.name_sealed or b"")
    assert sealing.unseal(bytes(asset.name_sealed or b""), f"asset-name:{asset.pk}") == "LEADLINE-TEST-NAME.png"
    assert asset.retain_until is not None
    assert timedelta(days=29) < asset.retain_until - timezone.now() < timedelta(days=31)


def test_an_upload_is_sealed_while_it_arrives(
    keeping: Person, senior: Person, client_of: Any, office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each piece the disk is searched; some megabytes of sealed bytes are there before the last piece is."""
    from leadline.workbench import receiving

    seen: list[tuple[list[str], int]] = []
    real = receiving.SealingUpload.receive_data_chunk

    def receive(self: Any, raw_data: bytes, start: int) -> None:
        real(self, raw_data, start)
        incoming = office.vault / "incoming"
        seen.append((find_mark(office.home), sum(path.stat().st_size for path in incoming.iterdir())))

    monkeypatch.setattr(receiving.SealingUpload, "receive_data_chunk", receive)
    data = b"\0\0\0\x18ftypmp42" + MARK * 60_000
    client_of(senior).post("/evidence/assets/upload/", {"file": SimpleUploadedFile("a.mp4", data, "video/mp4")})
    asset = Asset.objects.get()
    assert (asset.state, asset.mime) == (AssetState.KEPT, "video/mp4")
    assert len(seen) > 20
    assert all(found == [] for found, _ in seen)
    assert 1 << 20 < seen[-2][1] < len(data)
    assert read(asset) == data
    assert list((office.vault / "incoming").iterdir()) == []


def test_an_upload_that_is_refused_leaves_nothing(keeping: Person, senior: Person, client_of: Any, office: Any) -> None:
    client = client_of(senior)
    client.handler.enforce_csrf_checks = True
    client.post("/evidence/assets/upload/", {"file": SimpleUploadedFile("a.mp4", os.urandom(3 << 20))})
    assert not Asset.objects.exists()
    incoming = office.vault / "incoming"
    assert not incoming.exists() or list(incoming.iterdir()) == []


def test_a_file_that_was_discarded_is_kept_when_it_comes_again(senior: Person) -> None:
    asset = take(draw_png(1))
    assert asset.state == AssetState.DISCARDED
    actions.set_media_mode(senior, MediaMode.KEEP, "made-up law, section 1", retention_days=30)
    again = take(draw_png(1))
    assert (again.pk, again.state) == (asset.pk, AssetState.KEPT)
    assert read(again) == draw_png(1)


def test_without_its_key_the_office_keeps_nothing(keeping: Person, office: Any, senior: Person) -> None:
    key = office.home / "keys" / "instance.key"
    key.chmod(0o644)
    sealing.forget()
    with pytest.raises(KeyUnavailable):
        take(draw_png(1))
    assert not sealing.is_key_there()
    key.unlink()
    sealing.forget()
    with pytest.raises(KeyUnavailable):
        take(draw_png(1))
    assert not Asset.objects.exists()


def test_at_the_end_of_its_term_the_key_of_an_asset_is_destroyed(keeping: Person) -> None:
    asset, other = take(draw_png(1)), take(draw_png(2))
    Asset.objects.filter(pk=other.pk).update(retain_until=timezone.now() + 2 * LATER)
    assert actions.erase_expired(timezone.now()) == 0
    assert actions.erase_expired(timezone.now() + LATER) == 1
    asset.refresh_from_db()
    assert (asset.state, asset.name_sealed) == (AssetState.ERASED, None)
    assert acts_of(asset)[-1] == "asset.erased"
    with pytest.raises(AssetErased):
        read(asset)
    assert read(other) == draw_png(2)


def test_a_hold_beats_the_term(keeping: Person, analyst: Person, senior: Person) -> None:
    asset = take(draw_png(1))
    actions.set_hold(analyst, asset, is_on=True, reason="court-order")
    assert actions.erase_expired(timezone.now() + LATER) == 0
    assert read(asset) == draw_png(1)
    actions.set_hold(senior, asset, is_on=False, reason="ended")
    assert actions.erase_expired(timezone.now() + LATER) == 1
    assert acts_of(asset)[-3:] == ["asset.held", "asset.hold-ended", "asset.erased"]


def test_a_hold_is_for_what_is_kept(analyst: Person) -> None:
    with pytest.raises(WrongState):
        actions.set_hold(analyst, take(draw_png(1)), is_on=True, reason="court-order")


def test_ending_a_hold_needs_a_senior_who_signed_in_lately(
    keeping: Person, analyst: Person, senior: Person, client_of: Any
) -> None:
    asset = take(draw_png(1))
    page = f"/evidence/assets/{asset.pk}/hold/"
    client_of(analyst).post(page, {"reason": "court-order"})
    assert client_of(analyst).post(f"{page}end/", {"reason": "ended"}).status_code == 404
    assert "/account/again/" in client_of(senior, signed_in_s_ago=1000).post(f"{page}end/", {"reason": "ended"}).url
    asset.refresh_from_db()
    assert asset.on_hold


def test_an_erasure_that_was_stopped_half_way_is_done_again(keeping: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = take(draw_png(1))
    with monkeypatch.context() as patch:
        patch.setattr(telling, "record", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            actions.erase_expired(timezone.now() + LATER)
    asset.refresh_from_db()
    assert asset.state == AssetState.KEPT  # says the row; the key is gone already
    assert actions.erase_expired(timezone.now() + LATER) == 1
    assert acts_of(asset).count("asset.erased") == 1


def test_one_asset_that_is_not_in_the_vault_does_not_keep_the_others(keeping: Person, office: Any) -> None:
    lost, other = take(draw_png(1)), take(draw_png(2))
    for path in office.vault.rglob(f"{lost.sha256}*"):
        path.unlink()
    assert actions.erase_expired(timezone.now() + LATER) == 2
    assert {asset.state for asset in Asset.objects.all()} == {AssetState.ERASED}
    assert sealing.is_erased(lost.sha256)  # so that a backup that has it does not bring it back
    line = Line.objects.get(act="asset.erased", object_id=str(lost.pk))
    assert line.reason == "term-ended-missing"
    assert Line.objects.get(act="asset.erased", object_id=str(other.pk)).reason == "term-ended"


def test_an_asset_that_cannot_be_erased_is_a_fault_after_all_others_were(
    keeping: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = take(draw_png(1)), take(draw_png(2))
    real = Vault.erase

    def erase(self: Vault, sha256: str, *, reason: str) -> None:
        if sha256 == bad.sha256:
            raise PermissionError(13, "Permission denied")
        real(self, sha256, reason=reason)

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "erase", erase)
        with pytest.raises(PermissionError):
            actions.erase_expired(timezone.now() + LATER)
    assert [Asset.objects.get(pk=one.pk).state for one in (bad, good)] == [AssetState.KEPT, AssetState.ERASED]
    assert actions.erase_expired(timezone.now() + LATER) == 1


@pytest.fixture
def half_erased(keeping: Person) -> Asset:
    """The key is gone, and the row still says kept: a stop between the vault and the database."""
    asset = take(draw_png(1))
    sealing.open_vault().erase(asset.sha256, reason="term-ended")
    return asset


def test_nothing_is_held_or_given_a_term_that_is_gone(half_erased: Asset, keeping: Person) -> None:
    with pytest.raises(WrongState):
        actions.set_hold(keeping, half_erased, is_on=True, reason="court-order")
    with pytest.raises(WrongState):
        actions.set_term(keeping, half_erased, timezone.now() + LATER, "legal-term")


@pytest.mark.parametrize("on_hold", [False, True])
def test_a_row_that_says_kept_of_what_is_erased_is_put_right(half_erased: Asset, on_hold: bool) -> None:
    Asset.objects.update(on_hold=on_hold)
    assert actions.reconcile_erased() == 1
    half_erased.refresh_from_db()
    assert (half_erased.state, half_erased.on_hold) == (AssetState.ERASED, False)
    assert acts_of(half_erased)[-1] == "asset.erased"
    assert actions.reconcile_erased() == 0


def test_a_file_whose_term_has_ended_and_that_arrives_again_is_kept_for_a_term_of_its_own(keeping: Person) -> None:
    asset = take(draw_png(1))
    actions.erase_expired(timezone.now() + LATER)
    again = take(draw_png(1))
    assert (again.pk, again.state, again.erased_at, again.on_hold) == (asset.pk, AssetState.KEPT, None, False)
    assert read(again) == draw_png(1)
    sealed = Line.objects.filter(act="asset.sealed", object_id=str(asset.pk)).order_by("line")
    assert [line.reason for line in sealed] == ["none", "arrived-again"]
    assert actions.reconcile_erased() == 0
    assert actions.erase_expired(timezone.now() + LATER) == 1
    with pytest.raises(AssetErased):
        read(again)


def test_what_was_erased_stays_so_where_the_office_keeps_no_more(keeping: Person) -> None:
    asset = take(draw_png(1))
    actions.erase_expired(timezone.now() + LATER)
    actions.set_media_mode(keeping, MediaMode.HASH_AND_DISCARD, "made-up basis")
    assert take(draw_png(1)).state == AssetState.ERASED
    assert acts_of(asset)[-1] == "asset.discarded"
    with pytest.raises(AssetErased):
        read(asset)


@pytest.mark.usefixtures("half_erased")
def test_an_arrival_mends_a_row_that_says_kept_of_what_is_erased(keeping: Person) -> None:
    assert read(take(draw_png(1))) == draw_png(1)
    assert actions.reconcile_erased() == 0


def test_what_is_kept_and_arrives_again_is_kept_longer_and_never_shorter(keeping: Person) -> None:
    asset = take(draw_png(1))
    soon, late = timezone.now() + timedelta(days=1), timezone.now() + timedelta(days=5000)
    for until in (soon, late):
        Asset.objects.update(retain_until=until)
        take(draw_png(1))
        asset.refresh_from_db()
        assert asset.retain_until is not None
        assert asset.retain_until > soon
    assert asset.retain_until == late
    assert Line.objects.get(act="asset.term-set", object_id=str(asset.pk)).reason == "arrived-again"


def test_what_a_stop_left_between_seal_and_row_is_swept_after_a_day(keeping: Person) -> None:
    kept = take(draw_png(1))
    vault = sealing.open_vault()
    left = vault.put([b"made up"], limit_bytes=100)
    assert tasks.sweep() == 0
    assert sealing.sweep(tasks._is_kept, older_than_s=-1) == 1
    assert not vault.exists(left.sha256)
    assert read(kept) == draw_png(1)


def test_the_vault_is_checked_against_the_rows(keeping: Person, office: Any) -> None:
    asset, other = take(draw_png(1)), take(draw_png(2))
    assert actions.check_vault().faults == ()
    blob = max((office.vault).rglob(f"{asset.sha256}*"), key=lambda path: path.stat().st_size)
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.write_bytes(content)
    for path in office.vault.rglob(f"{other.sha256}*"):
        path.unlink()
    faults = actions.check_vault().faults
    assert any(asset.sha256 in fault for fault in faults)
    assert f"kept, and not in the vault: {other.sha256}" in faults


def test_a_new_key_opens_all_that_was_sealed_under_the_old(keeping: Person, office: Any) -> None:
    asset = take(draw_png(1), name="a.png")
    secret = sealing.derive("made-up purpose")
    done, damaged = actions.rotate_key()
    assert (done["older"], damaged) == (0, [])
    assert len(actions.forget_older_keys()) == 1
    asset.refresh_from_db()
    assert read(asset) == draw_png(1)
    assert sealing.unseal(bytes(asset.name_sealed or b""), f"asset-name:{asset.pk}") == "a.png"
    assert sealing.derive("made-up purpose") == secret


def test_a_name_sealed_for_one_row_does_not_open_for_another(office: Any) -> None:
    from leadline.errors import SealBroken

    sealed = sealing.seal("made up", "asset-name:1")
    with pytest.raises(SealBroken):
        sealing.unseal(sealed, "asset-name:2")
    with pytest.raises(SealBroken):
        sealing.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "asset-name:1")


def test_an_exhibit_encloses_the_file_for_its_recipient_alone(
    keeping: Person, make_person: Any, senior: Person, tmp_path: Any
) -> None:
    import zipfile

    import pyrage

    from leadline.workbench.permissions import Role

    recipient = pyrage.x25519.Identity.generate()
    asset = take(picture_with_mark(), name="a.png")
    exhibit = actions.request_exhibit(
        make_person("investigator", Role.INVESTIGATOR), [asset], recipient="Made-up court", reason="court-order",
        recipient_key=str(recipient.to_public()),
    )  # fmt: skip
    actions.decide_exhibit(senior, exhibit, release=True, reason="checked")
    tasks.build.call(str(exhibit.pk))
    path = access.exhibit_path(exhibit.pk)
    assert MARK not in path.read_bytes()
    with zipfile.ZipFile(path) as packed:
        sealed = packed.read(f"{exhibit.pk}/data/assets/{asset.sha256}.age")
    assert pyrage.decrypt(sealed, [recipient]) == picture_with_mark()


def test_a_mode_that_refuses_discards_what_was_sealed_meanwhile(keeping: Person, office: Any) -> None:
    from leadline.workbench.receiving import receive

    received = receive(draw_png(1), keep=True)
    actions.set_media_mode(keeping, MediaMode.REFUSE, "made-up law, section 2")
    with pytest.raises((NotAllowed, AssetRefused)):
        take(received)  # type: ignore[arg-type]
    assert list((office.vault / "incoming").iterdir()) == []


def test_a_mode_that_hashes_only_keeps_nothing_of_what_was_sealed_meanwhile(keeping: Person, office: Any) -> None:
    from leadline.workbench.receiving import receive

    received = receive(draw_png(1), keep=True)
    actions.set_media_mode(keeping, MediaMode.HASH_AND_DISCARD, "made-up law, section 2")
    asset = take(received)  # type: ignore[arg-type]
    assert asset.state == AssetState.DISCARDED
    assert not sealing.open_vault().exists(asset.sha256)
