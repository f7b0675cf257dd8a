"""Files that arrive: what each mode keeps, what is computed of them, and that no byte of media reaches the disk in clear."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry, near_entry

from leadline.domain import Kind
from leadline.errors import InputError, NotAllowed
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access, actions
from leadline.workbench.evidence.models import Asset, AssetMatch, AssetState, MediaMode
from leadline.workbench.journal.models import Line


def take(data: bytes, **said: Any) -> Asset:
    return actions.take_in(data, **({"actor": "somebody", "source": "test"} | said))


def test_an_office_that_has_not_decided_hashes_and_discards() -> None:
    assert access.media_mode() is MediaMode.HASH_AND_DISCARD
    data = draw_png(1)
    asset = take(data)
    assert asset.sha256 == hashlib.sha256(data).hexdigest()
    assert asset.md5 == hashlib.md5(data).hexdigest()
    assert (asset.state, asset.mime, asset.width, asset.height) == (AssetState.DISCARDED, "image/png", 256, 192)
    assert asset.views.count() == 1
    assert len(bytes(asset.views.get().pdq)) == 8 * 32
    assert [line.act for line in Line.objects.order_by("line")] == ["asset.received", "asset.discarded"]


def test_an_office_that_refuses_takes_nothing(senior: Person) -> None:
    actions.set_media_mode(senior, MediaMode.REFUSE, "made-up law, section 2")
    with pytest.raises(NotAllowed) as refused:
        take(draw_png(1))
    assert refused.value.code == "media-refused"
    assert not Asset.objects.exists()


def test_a_media_mode_needs_a_legal_basis(senior: Person) -> None:
    with pytest.raises(InputError):
        actions.set_media_mode(senior, MediaMode.KEEP, "  ")
    assert access.media_mode() is MediaMode.HASH_AND_DISCARD


def test_the_same_file_again_is_the_same_asset() -> None:
    data = draw_png(2)
    assert take(data).pk == take(data).pk
    assert Asset.objects.count() == 1
    assert Line.objects.filter(act="asset.received").count() == 2


def test_a_known_file_is_labelled_as_an_inference_and_set_aside(make_bank: MakeBank) -> None:
    data = draw_png(3)
    make_bank("KNOWN", exact_entry(data, label="made-up-label", scheme="made-up"))
    asset = take(data)
    assert (asset.verdict, asset.inferred_kind, asset.inferred_label) == ("known", "illegal", "made-up-label")
    assert asset.is_set_aside
    match = AssetMatch.objects.get(asset=asset)
    assert (match.bank, match.algorithm, match.distance) == ("KNOWN", "sha256", 0.0)
    assert Line.objects.filter(act="asset.matched", object_id=str(asset.pk), reason="arrival").count() == 1


def test_a_near_file_is_labelled_and_left_for_a_person(make_bank: MakeBank) -> None:
    make_bank("NEAR", near_entry(4))
    asset = take(draw_png(4))
    assert (asset.verdict, asset.is_set_aside) == ("near", False)
    assert AssetMatch.objects.get(asset=asset).algorithm == "pdq"


def test_a_false_positive_marks_the_near_match_and_hides_nothing(
    make_bank: MakeBank, let_act: Callable[[], None]
) -> None:
    data = draw_png(5)
    make_bank("NEAR", near_entry(5))
    make_bank("OURS", exact_entry(data, Kind.FALSE_POSITIVE), kind=Kind.FALSE_POSITIVE)
    let_act()
    asset = take(data)
    assert (asset.inferred_kind, asset.is_set_aside) == ("false-positive", False)
    assert {m.suppressed_by for m in asset.matches.all()} == {"", "OURS/1"}


def test_what_is_no_picture_has_its_exact_hashes() -> None:
    asset = take(b"plain words, nothing else\n" * 500)
    assert (asset.views.count(), asset.pdq, asset.quality) == (0, "", None)
    assert asset.sha1 == hashlib.sha1(b"plain words, nothing else\n" * 500).hexdigest()


def test_a_broken_picture_is_recorded_with_the_reason() -> None:
    asset = take(draw_png(6)[:40])
    assert asset.fault
    assert asset.verdict == "unreadable"


def test_an_empty_file_is_an_asset_like_any_other() -> None:
    assert take(b"").size_bytes == 0
