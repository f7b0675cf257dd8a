"""The log of changes: whole frames or none."""

from __future__ import annotations

import errno
import os

import pytest

from leadline.errors import BankCorrupt, BankError
from leadline.match.log import START, Change, append_frame, create_log, read_log


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    create_log(path)
    return path


def fill(log, payloads):
    end = START
    for number, payload in enumerate(payloads):
        end = append_frame(log, end, Change.ADD, number + 1, payload)
    return end


def test_frames_come_back_in_order(log):
    end = fill(log, [b"one", b"", b"three" * 1000])
    read = read_log(log)
    assert [(f.sequence, f.payload) for f in read.frames] == [(1, b"one"), (2, b""), (3, b"three" * 1000)]
    assert (read.end, read.torn_bytes) == (end, 0)


def test_only_new_frames_are_read_from_a_position(log):
    middle = fill(log, [b"one", b"two"])
    append_frame(log, middle, Change.REMOVE, 3, b"three")
    assert [f.payload for f in read_log(log, middle).frames] == [b"three"]


def test_a_log_cut_anywhere_gives_the_whole_frames_before_the_cut(log):
    ends = [fill(log, [b"a" * 70, b"b" * 10, b"c" * 200][:count]).offset for count in (0, 1, 2, 3)]
    data = log.read_bytes()
    for length in range(64, len(data) + 1):
        log.write_bytes(data[:length])
        whole = sum(end <= length for end in ends) - 1
        read = read_log(log)
        assert len(read.frames) == whole
        assert read.torn_bytes == length - ends[whole]


def test_a_torn_end_is_overwritten_by_the_next_change(log):
    end = fill(log, [b"a"])
    with log.open("ab") as file:
        file.write(b"LLFRAME\x00" + b"\x07" * 500)
    append_frame(log, end, Change.ADD, 2, b"b")
    read = read_log(log)
    assert ([f.payload for f in read.frames], read.torn_bytes) == ([b"a", b"b"], 0)


def test_no_flipped_byte_of_a_frame_in_the_middle_goes_unseen(log):
    end = fill(log, [b"first"])
    append_frame(log, end, Change.ADD, 2, b"second")
    good = log.read_bytes()
    for at in range(end.offset):
        bad = bytearray(good)
        bad[at] ^= 0x10
        log.write_bytes(bytes(bad))
        with pytest.raises(BankCorrupt):
            read_log(log)


def test_a_damaged_last_frame_is_torn_never_believed(log):
    start = fill(log, [b"first"])
    end = append_frame(log, start, Change.ADD, 2, b"second")
    good = log.read_bytes()
    for at in range(start.offset, end.offset):
        bad = bytearray(good)
        bad[at] ^= 0x10
        log.write_bytes(bytes(bad))
        try:
            read = read_log(log)
        except BankCorrupt:
            continue
        assert [f.payload for f in read.frames] == [b"first"]


def test_a_frame_of_another_past_is_refused(log, tmp_path):
    """A change that was never acknowledged was seen, cut off, and another written in its place."""
    other = tmp_path / "other"
    create_log(other)
    fill(other, [b"another", b"past"])
    fill(log, [b"one"])
    log.write_bytes(log.read_bytes()[:192] + other.read_bytes()[192:])
    with pytest.raises(BankCorrupt):
        read_log(log)


@pytest.mark.parametrize("fails", ["pwrite", "fsync"])
def test_a_full_disk_leaves_the_log_as_it_was(log, monkeypatch, fails):
    end = fill(log, [b"a"])
    before = log.read_bytes()
    real = os.pwrite

    def refuse(*args):
        if fails == "pwrite":
            real(args[0], args[1][:40], args[2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, fails, refuse)
    with pytest.raises(BankError, match="not recorded: No space left"):
        append_frame(log, end, Change.ADD, 2, b"b" * 500)
    monkeypatch.undo()
    assert log.read_bytes() == before


def test_a_change_that_was_refused_is_not_read_even_where_it_cannot_be_cut_off(log, monkeypatch):
    """After a failed sync the frame stands whole in memory: without its mark it is a torn end."""
    end = fill(log, [b"a"])

    def refuse(*args):
        raise OSError(errno.EIO, "Input/output error")

    for name in ("fsync", "ftruncate"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(BankError, match="not recorded"):
        append_frame(log, end, Change.ADD, 2, b"b" * 500)
    monkeypatch.undo()
    read = read_log(log)
    assert ([f.payload for f in read.frames], read.end) == ([b"a"], end)
    assert read.torn_bytes > 0
