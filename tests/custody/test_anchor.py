"""Anchors: signed, dropped whole, and what a chain held against them shows."""

from __future__ import annotations

import dataclasses
import errno
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from leadline.custody import verify
from leadline.custody.anchor import encode_anchor, make_anchor, read_anchor, write_anchor
from leadline.custody.chain import encode_line
from leadline.errors import CustodyFormatError

NOW = "2026-03-01T12:00:00.000Z"


def test_an_anchor_comes_back_as_it_left(material: Any) -> None:
    anchor = material.anchor(20)
    assert read_anchor(encode_anchor(anchor)) == anchor
    assert read_anchor(encode_anchor(anchor) + b"\r\n") == anchor
    assert anchor.head == material.events[19].head.hash


@pytest.mark.parametrize(
    ("field", "value"),
    [("line", 21), ("chain", "hotline-2"), ("head", "0" * 64), ("at", "2026-03-02T12:00:00.000Z"), ("key", "1" * 64)],
)
def test_a_changed_anchor_is_refused(material: Any, field: str, value: object) -> None:
    changed = dataclasses.replace(material.anchor(20), **{field: value})
    with pytest.raises(CustodyFormatError, match="signature is wrong"):
        read_anchor(encode_anchor(changed))


@pytest.mark.parametrize("untrusted", [b"", b"{}", b"null", b"\xff", b'{"chain":"a"}', b"[" * 100_000])
def test_what_is_no_anchor_is_refused(untrusted: bytes) -> None:
    with pytest.raises(CustodyFormatError, match="no anchor"):
        read_anchor(untrusted)


def test_a_signer_that_does_not_fit_its_public_key_is_refused_at_once(key: Any, other_key: Any) -> None:
    with pytest.raises(CustodyFormatError, match="signature is wrong"):
        make_anchor("hotline-1", 1, "0" * 64, NOW, sign=other_key.sign, public_key=key.public)


def test_the_drop_is_whole_once_and_never_overwritten(material: Any, tmp_path: Path) -> None:
    path = write_anchor(tmp_path, material.anchor(20))
    assert path.name == "2026-03-01-000000000020-hotline-1.json"
    assert write_anchor(tmp_path, material.anchor(20)) == path
    assert read_anchor(path.read_bytes()) == material.anchor(20)
    path.write_bytes(b"another")
    with pytest.raises(FileExistsError):
        write_anchor(tmp_path, material.anchor(20))
    assert path.read_bytes() == b"another"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_leaves_no_half_anchor(material: Any, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError) as caught:
            write_anchor(tmp_path, material.anchor(20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == []


# --- a chain held against anchors ------------------------------------------------------------------------------------


def check(path: Path, events: Any, keys: dict[str, str], *anchors: Any) -> verify.Result:
    path.write_bytes(b"".join(map(encode_line, events)))
    handed = [verify.Given(f"copy-{n}", encode_anchor(anchor), True) for n, anchor in enumerate(anchors)]
    return verify.check_path(path, keys, handed)


def test_without_an_anchor_a_chain_is_not_anchored(material: Any, tmp_path: Path) -> None:
    result = check(tmp_path / "c", material.events, {})
    assert result.ok
    assert "  not anchored" in verify.describe(result)


def test_a_named_key_anchors_up_to_its_highest_line(material: Any, tmp_path: Path, key: Any) -> None:
    result = check(tmp_path / "c", material.events, {key.hex: " (hotline)"}, material.anchor(20), material.anchor(10))
    assert result.ok
    assert f"  anchored up to 20 by key {key.hex} (hotline)" in verify.describe(result)


def test_an_anchor_in_your_hand_counts_where_no_key_is_named(material: Any, tmp_path: Path, key: Any) -> None:
    result = check(tmp_path / "c", material.events, {}, material.anchor(20))
    assert f"  anchored up to 20 by your copy copy-0, signed by key {key.hex}" in verify.describe(result)


def test_a_chain_rewritten_as_a_whole_is_caught(material: Any, drawn: Any, tmp_path: Path, key: Any) -> None:
    rewritten = drawn(30, seed=3)
    assert check(tmp_path / "c", rewritten, {}).ok  # it fits itself: only the anchor tells
    for keys in ({}, {key.hex: ""}):
        result = check(tmp_path / "c", rewritten, keys, material.anchor(20))
        assert not result.ok
        assert result.first_wrong_line == 20
        assert "of lines 1 to 20 some or all were rewritten" in "\n".join(verify.describe(result))
        assert "  not anchored" in verify.describe(result)


def test_a_chain_rewritten_from_its_middle_is_bounded_by_the_last_anchor_that_fits(
    material: Any, tmp_path: Path
) -> None:
    from leadline.custody.chain import next_event

    events = material.events[:15]
    while len(events) < 30:
        event = material.events[len(events)]
        fields = ("at", "act", "object_kind", "object_id", "reason", "details")
        events.append(next_event(events[-1], actor="person-9", **{name: getattr(event, name) for name in fields}))
    result = check(tmp_path / "c", events, {}, material.anchor(10), material.anchor(20))
    assert not result.ok
    assert "of lines 11 to 20 some or all were rewritten" in "\n".join(verify.describe(result))
    assert result.anchored.line == 10


def test_a_chain_rewritten_and_signed_with_a_new_key_is_caught(
    material: Any, drawn: Any, tmp_path: Path, key: Any, other_key: Any
) -> None:
    material.events = drawn(30, seed=3)
    forged = material.anchor(20, other_key)
    result = check(tmp_path / "c", material.events, {key.hex: ""}, forged)
    assert [fault.code for fault in result.faults] == ["key"]
    assert "not anchored" in "\n".join(verify.describe(result))
    assert other_key.hex in "\n".join(result.notes)


def test_lines_cut_from_the_end_are_caught(material: Any, tmp_path: Path, key: Any) -> None:
    result = check(tmp_path / "c", material.events[:15], {key.hex: ""}, material.anchor(10), material.anchor(20))
    assert [(fault.code, fault.line) for fault in result.faults] == [("cut", 16)]
    assert result.anchored.line == 10


def test_an_empty_chain_with_an_anchor_was_cut_and_without_is_nothing(material: Any, tmp_path: Path) -> None:
    assert not check(tmp_path / "c", [], {}, material.anchor(1)).ok
    with pytest.raises(verify.Malformed, match="no lines"):
        check(tmp_path / "c", [], {})


def test_an_anchor_behind_a_wrong_line_proves_nothing(material: Any, tmp_path: Path) -> None:
    path = tmp_path / "c"
    lines = [encode_line(event) for event in material.events]
    lines[9] = lines[9].replace(b"person-1", b"person-0")
    path.write_bytes(b"".join(lines))
    handed = [verify.Given("copy", encode_anchor(material.anchor(n)), True) for n in (5, 20)]
    result = verify.check_path(path, {}, handed)
    assert result.first_wrong_line == 10
    assert result.anchored.line == 5


def test_a_broken_anchor_is_wrong_and_not_passed_over(material: Any, tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"".join(map(encode_line, material.events)))
    result = verify.check_path(path, {}, [verify.Given("copy", b"{}", True)])
    assert [fault.code for fault in result.faults] == ["anchor"]
