"""The messages of the wall: what is packed comes back, and nothing else is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.media import wire
from leadline.media.keyring import DKIM_CHECK
from leadline.media.limits import Limits
from leadline.media.sniff import CONTAINER_TYPES
from leadline.media.wire import (
    Alpha,
    Answer,
    Command,
    Kind,
    Needs,
    Op,
    Order,
    Request,
    Start,
    Status,
    ViewName,
    WireError,
)


def test_it_brings_an_answer_back_whole() -> None:
    answer = Answer(
        Kind.VIEW,
        Status.TRUNCATED,
        mime=3,
        decoder=1,
        mode=4,
        orientation=6,
        alpha=Alpha.VARIED,
        view=ViewName.FRAME,
        channels=3,
        partial=True,
        width=1600,
        height=1004,
        count=63,
        size_bytes=1 << 40,
    )
    assert Answer.unpack(answer.pack()) == answer
    member = Answer(Kind.MEMBER, count=5, size_bytes=7, facts_bytes=8192)
    assert Answer.unpack(member.pack()) == member


def test_only_a_member_has_facts_and_only_so_many() -> None:
    for answer in (Answer(Kind.CHUNK, count=5, facts_bytes=1), Answer(Kind.MEMBER, facts_bytes=8193)):
        with pytest.raises(WireError, match="facts"):
            Answer.unpack(answer.pack())


def test_it_brings_a_request_a_command_and_a_start_back_whole() -> None:
    assert Request.unpack(Request(Op.DECODE, 1, 77).pack()) == Request(Op.DECODE, 1, 77)
    assert Request.unpack(Request(Op.UNPACK, 1, 77, 3).pack()) == Request(Op.UNPACK, 1, 77, 3)
    with pytest.raises(WireError):
        Request.unpack(Request(Op.UNPACK, container=len(wire.CONTAINERS)).pack())
    assert set(wire.CONTAINERS) == {"", DKIM_CHECK, *CONTAINER_TYPES}  # the last is asked for, never sniffed
    order = Order(Command.FORK, Needs.HEIF | Needs.THREADS, 22)
    assert Order.unpack(order.pack()) == order
    start = Start(Limits(max_pixels=5, timeout_s=0.25, max_ratio=9), True, 4711, 4096, 8192)
    assert Start.unpack(start.pack()) == start


@given(st.binary(max_size=80))
def test_it_believes_or_refuses_any_bytes_and_never_fails_otherwise(untrusted: bytes) -> None:
    for size in {len(untrusted), len(Answer(Kind.END).pack())}:
        message = untrusted.ljust(size, b"\0")[:size]
        try:
            answer = Answer.unpack(message)
        except WireError:
            continue
        assert answer.width <= wire.MAX_DIMENSION
        assert 1 <= answer.orientation <= 8
        assert answer.mime < len(wire.MIMES)


@pytest.mark.parametrize(
    ("width", "height", "channels"),
    [(0, 1, 3), (1, 0, 1), (1001, 1000, 3), (1 << 30, 1 << 30, 1), (10, 10, 0), (10, 10, 2), (10, 10, 4)],
)
def test_it_refuses_pixels_that_do_not_fit(width: int, height: int, channels: int) -> None:
    answer = Answer(Kind.VIEW, width=width, height=height, channels=channels)
    with pytest.raises(WireError):
        wire.pixel_bytes(answer, 1_000_000)


def test_it_counts_the_bytes_of_pixels_that_fit() -> None:
    assert wire.pixel_bytes(Answer(Kind.VIEW, width=1000, height=1000, channels=3), 1_000_000) == 3_000_000
    assert wire.pixel_bytes(Answer(Kind.VIEW, width=7, height=3, channels=1), 1_000_000) == 21


def test_every_status_has_a_code_in_kebab_case() -> None:
    assert Status.TOO_MANY_PIXELS.code == "too-many-pixels"
    assert all(status.code.replace("-", "").isalpha() for status in Status)


@pytest.mark.parametrize("value", [0, -1, 1 << 48])
def test_a_limit_is_positive_and_fits_the_wire(value: int) -> None:
    with pytest.raises(ValueError, match="max_pixels"):
        Limits(max_pixels=value)
