"""Banks come from strangers: damage is said or does nothing; it never crashes and never gives another answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from leadline.domain import Kind
from leadline.errors import BankCorrupt, BankError, LeadlineError
from leadline.match import admission
from leadline.match import manifest as manifests
from leadline.match.bank import Bank
from leadline.match.log import Change, append_frame
from leadline.match.matcher import Matcher
from leadline.match.table import encode_table


@pytest.fixture
def bank(new_bank, draw) -> Bank:
    """A merged segment with every kind of section, and a log with all kinds of changes."""
    bank = new_bank(
        entries=[
            draw.entry(note="n" * 30, quality=80),
            draw.entry(Kind.BENIGN, fingerprints={"md5": draw.bytes(16), "made-up": draw.bytes(40)}),
            draw.entry(Kind.FALSE_POSITIVE, radius_bits=3),
            draw.entry(fingerprints={"sha1": draw.bytes(20), "sha256": draw.bytes()}, disabled_until=9),
            draw.entry(id=2**40, label="l"),
            draw.entry(id=77, label="l"),
        ]
    )
    bank.remove([77])
    bank.merge()
    bank.add([draw.entry(), draw.entry()])
    bank.remove([5])
    bank.update([draw.entry(id=1, note="changed")])
    return bank


def answers(bank: Bank, queries: list[tuple[str, bytes]]) -> list[object]:
    found = [
        [(m.entry, m.kind, m.distance, m.label) for m in answer.matches]
        for answer in Matcher([bank]).match_hashes(queries)
    ]
    return [*found, sorted(bank.entries(), key=lambda e: e.id)]


def damage_every(path: Path, stride: int):
    good = path.read_bytes()
    edges = {*range(64), *range(max(0, len(good) - 700), len(good))}
    for at in sorted(edges.union(range(0, len(good), stride))):
        if at < len(good):
            yield at, good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]


@pytest.mark.parametrize("part", ["records", "index", "log"])
def test_no_flipped_byte_gives_another_answer_unnoticed(bank, tmp_path, part):
    queries = [item for e in bank.entries() for item in e.fingerprints.items() if item[0] != "made-up"]
    expected = answers(bank, queries)
    copy = tmp_path / "copy"
    shutil.copytree(bank.path, copy)
    pattern = {"records": "seg-*.records", "index": "seg-*.index", "log": "log-*"}[part]
    (path,) = copy.glob(pattern)
    good = path.read_bytes()
    noticed = 0
    for at, bad in damage_every(path, stride=29):
        path.write_bytes(bad)
        try:
            opened = Bank.open(copy, kinds={}, clock=bank._clock)
            told = answers(opened, queries)
            faults = opened.verify()
        except LeadlineError:
            noticed += 1
            continue
        assert faults or told == expected, (part, at)
        noticed += bool(faults)
    path.write_bytes(good)
    assert noticed > 300


@pytest.mark.parametrize("part", ["records", "index"])
def test_a_segment_cut_anywhere_is_refused(bank, part):
    (path,) = bank.path.glob(f"seg-*.{part}")
    good = path.read_bytes()
    for length in range(0, len(good), 101):
        path.write_bytes(good[:length])
        with pytest.raises(BankCorrupt):
            Bank.open(bank.path)


def test_no_flipped_byte_of_the_manifest_is_believed(bank):
    path = bank.path / manifests.FILE_NAME
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x11]) + good[at + 1 :])
        try:
            opened = Bank.open(bank.path)
        except BankError:
            continue
        assert opened.snapshot.manifest == bank.snapshot.manifest, at  # a blank between two values


@pytest.mark.parametrize(
    "change",
    [
        {"logs": ()},
        {"next_file": 0},
        {"radius_bits": 300},
        {"next_id": 0},
        {"name": "a/../b"},
        {"list_version": -1},
        {"segments": (manifests.SegmentFiles(-1, 0, 0, 0),)},
        {"logs": (manifests.LogFile(2, 64), manifests.LogFile(2, 64))},
        {"logs": (manifests.LogFile(2, 10**6),)},  # more acknowledged than there is
        {"segments": ()},  # the log then changes what is not there; ids would be given twice
    ],
)
def test_a_manifest_forged_with_a_right_checksum_does_no_harm(bank, change):
    forged = msgspec.structs.replace(bank.snapshot.manifest, **change)
    manifests.save_manifest(bank.path, forged)
    try:
        opened = Bank.open(bank.path)
        list(opened.entries())
        opened.find_pdq(np.zeros((1, 32), np.uint8), 64)
    except BankCorrupt:
        return
    assert change == {"segments": ()}


def test_a_bank_of_a_newer_format_asks_for_a_newer_leadline(bank):
    path = bank.path / manifests.FILE_NAME
    path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 2'))
    with pytest.raises(BankError, match=r"format version 2.*newer Leadline"):
        Bank.open(bank.path)


def test_a_missing_file_is_named(bank):
    (path,) = bank.path.glob("seg-*.index")
    path.unlink()
    with pytest.raises(BankCorrupt, match=path.name):
        Bank.open(bank.path)


def test_files_of_another_bank_are_not_taken_for_ones_own(bank, new_bank, draw):
    other = new_bank("OTHER", entries=[draw.entry()])
    other.merge()
    for part in ("records", "index"):
        (mine,), (theirs,) = bank.path.glob(f"seg-*.{part}"), other.path.glob(f"seg-*.{part}")
        shutil.copy(theirs, mine)
    with pytest.raises(BankCorrupt):
        Bank.open(bank.path)


def test_verify_finds_an_index_that_does_not_hold_its_records(bank, new_bank, draw, tmp_path):
    """Both files sound in themselves, of the same size, from two banks that differ in one hash."""
    entries = [draw.entry(quality=90) for _ in range(5)]
    one = new_bank("ONE", entries=entries)
    two = new_bank("TWO", entries=[*entries[:4], draw.entry(quality=90)])
    one.merge()
    two.merge()
    (mine,), (theirs,) = one.path.glob("seg-*.index"), two.path.glob("seg-*.index")
    shutil.copy(theirs, mine)
    assert any("PDQ index" in fault for fault in Bank.open(one.path).verify())


def test_a_strangers_bank_with_the_hash_of_the_empty_file_is_told(new_bank, draw, monkeypatch):
    empty = bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e")
    with monkeypatch.context() as lax:
        lax.setattr(admission, "EMPTY_FILE_DIGESTS", frozenset())
        bank = new_bank(entries=[draw.entry(fingerprints={"md5": empty})])
    assert any("empty file" in fault for fault in bank.verify())


def test_changes_out_of_order_are_refused(bank):
    """Frames whole in themselves and chained, with a version that could never be counted on."""
    snapshot = bank.snapshot
    payload = encode_table({"ids": np.array([1], np.int64)})
    append_frame(snapshot.log_path, snapshot.position, Change.REMOVE, 2**60, payload)
    with pytest.raises(BankCorrupt, match="out of order"):
        Bank.open(bank.path)
