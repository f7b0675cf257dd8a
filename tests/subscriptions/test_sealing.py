"""Credentials sealed with the instance key open in their own place and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadline.custody.keys import InstanceKey, WatchedKeySlot
from leadline.errors import SealBroken
from leadline.subscriptions.sealing import SlotSealing


@pytest.fixture
def sealing(tmp_path: Path) -> SlotSealing:
    path = tmp_path / "instance.key"
    InstanceKey.create(path)
    return SlotSealing(WatchedKeySlot(path))


def test_a_credential_opens_where_it_was_sealed_for_and_is_not_in_what_is_stored(sealing: SlotSealing) -> None:
    sealed = sealing.seal("made-up password", b"one source")
    assert sealing.open(sealed, b"one source") == "made-up password"
    assert b"made-up" not in sealed


@pytest.mark.parametrize("change", [lambda s: s[:-1] + bytes([s[-1] ^ 1]), lambda s: s[:2], lambda s: b"\x02" + s[1:]])
def test_a_changed_one_opens_nothing(sealing: SlotSealing, change: object) -> None:
    sealed = sealing.seal("made-up password", b"one source")
    with pytest.raises(SealBroken):
        sealing.open(change(sealed), b"one source")  # type: ignore[operator]


def test_one_moved_to_another_source_does_not_open(sealing: SlotSealing) -> None:
    with pytest.raises(SealBroken):
        sealing.open(sealing.seal("made-up password", b"one source"), b"another source")
