"""The chain: what may enter, and that no change of a line stays unseen."""

from __future__ import annotations

import datetime
import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.custody import verify
from leadline.custody.canonical import encode_canonical
from leadline.custody.chain import (
    GENESIS,
    CustodyEvent,
    Head,
    decode_line,
    encode_line,
    encode_withheld,
    find_fault,
    format_time,
    next_event,
    read_lines,
)
from leadline.errors import CustodyFormatError

FIRST: dict[str, Any] = {
    "at": "2026-01-31T23:59:59.123Z",
    "actor": "person-1",
    "act": "asset.sealed",
    "object_kind": "asset",
    "object_id": "a" * 64,
    "reason": "intake",
}


def test_the_hash_is_what_the_documentation_says_it_is() -> None:
    """docs/custody.md, The chain: written out by hand, so that a change of the format cannot pass unseen."""
    event = next_event(None, **FIRST, details={"n": 1}, salt="0" * 32)
    body = (
        b'{"act":"asset.sealed","actor":"person-1","at":"2026-01-31T23:59:59.123Z","details":{"n":1},"object_id":"'
        + b"a" * 64
        + b'","object_kind":"asset","reason":"intake","salt":"00000000000000000000000000000000"}'
    )
    body_hash = hashlib.sha256(b"leadline custody body 1\n" + body).hexdigest()
    line = f'{{"body_hash":"{body_hash}","line":1,"previous_hash":"{"0" * 64}"}}'
    assert event.hash == hashlib.sha256(b"leadline custody line 1\n" + line.encode()).hexdigest()


def test_the_first_event_follows_genesis_and_the_next_one_follows_it() -> None:
    first = next_event(None, **FIRST)
    second = next_event(first, **FIRST)
    assert (first.line, first.previous_hash) == (1, GENESIS)
    assert (second.line, second.previous_hash) == (2, first.hash)
    assert next_event(Head(1, first.hash), **FIRST).previous_hash == first.hash


def test_equal_events_have_different_hashes_so_that_a_withheld_one_cannot_be_guessed() -> None:
    first, again = next_event(None, **FIRST), next_event(None, **FIRST)
    assert first.salt != again.salt
    assert first.hash != again.hash
    assert b"asset" not in encode_withheld(first)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("act", "Asset sealed"),
        ("act", ""),
        ("act", "a" * 65),
        ("act", "a\n"),
        ("actor", "somebody at home"),
        ("actor", "é"),
        ("actor", "a@example.org"),
        ("object_id", "a" * 129),
        ("object_id", 7),
        ("object_kind", "Asset"),
        ("reason", "because the reporter said so"),
        ("reason", None),
        ("at", "2026-01-31T23:59:59Z"),
        ("at", "2026-02-30T23:59:59.000Z"),
        ("at", "2026-01-31T23:59:60.000Z"),
        ("at", "٢٠٢٦-01-31T23:59:59.000Z"),
        ("salt", "00"),
        ("details", {"note": "free text"}),
        ("details", {"Note": "a"}),
        ("details", {"a": 1.5}),
        ("details", {"a": 2**53}),
        ("details", {"a": None}),
        ("details", {"a": {"b": "c"}}),
        ("details", {"a": [["b"]]}),
        ("details", {1: "a"}),
        ("details", ["a"]),
    ],
)
def test_no_text_and_no_evidence_can_enter(field: str, value: object) -> None:
    with pytest.raises((CustodyFormatError, AttributeError)) as caught:
        next_event(None, **(FIRST | {field: value}))
    if isinstance(caught.value, CustodyFormatError):
        assert "free text" not in str(caught.value)
        assert "because" not in str(caught.value)


def test_a_line_too_long_to_be_read_back_is_refused() -> None:
    with pytest.raises(CustodyFormatError, match="too many details"):
        next_event(None, **FIRST, details={"ids": ["a" * 128] * 600})
    longest = next_event(None, **FIRST, details={"ids": ["a" * 128] * 490})
    assert find_fault([encode_line(longest)]) is None


@pytest.mark.parametrize(("line", "previous_hash"), [(0, GENESIS), (1, "g" * 64), (True, GENESIS), (2**53, GENESIS)])
def test_numbers_and_hashes_are_checked(line: int, previous_hash: str) -> None:
    with pytest.raises(CustodyFormatError):
        CustodyEvent(line=line, previous_hash=previous_hash, salt="0" * 32, details={}, **FIRST)


def test_times_are_cut_to_milliseconds_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2026, 1, 1, 1, 2, 3, 999_999, tzinfo=zone)
    assert format_time(moment) == "2025-12-31T23:02:03.999Z"
    with pytest.raises(CustodyFormatError, match="zone"):
        format_time(moment.replace(tzinfo=None))


def test_lines_come_back_as_the_events_they_were(chain30: list[CustodyEvent]) -> None:
    data = b"".join(map(encode_line, chain30))
    assert [decode_line(line) for line in read_lines(io.BytesIO(data))] == chain30
    with pytest.raises(CustodyFormatError):
        decode_line(encode_line(chain30[0]).replace(b"person-0", b"person-1"))
    with pytest.raises(CustodyFormatError):
        decode_line(encode_withheld(chain30[0]))


def test_a_good_chain_has_no_fault_whole_or_from_a_known_head(chain30: list[CustodyEvent]) -> None:
    assert find_fault(map(encode_line, chain30)) is None
    assert find_fault(map(encode_line, chain30[10:]), chain30[9].head) is None
    assert find_fault([]) is None


def test_withheld_lines_bind_all_lines_before_them(chain30: list[CustodyEvent], drawn: Callable[..., Any]) -> None:
    """The forger's way round a chain of hashes alone: other lines first, then the true rest, withheld."""
    good = [encode_line(e) if e.line < 4 else encode_withheld(e) for e in chain30]
    assert find_fault(good) is None
    forged = [encode_line(e) for e in drawn(3, seed=5)] + good[3:]
    fault = find_fault(forged)
    assert fault is not None
    assert (fault.line, fault.code) == (4, "hash")


def test_a_clock_set_back_is_counted_and_no_fault(chain30: list[CustodyEvent]) -> None:
    earlier = FIRST | {"at": "2020-01-01T00:00:00.000Z"}
    events = [*chain30, next_event(chain30[-1], **earlier)]
    chain = verify.check_chain(verify.read_lines(io.BytesIO(b"".join(map(encode_line, events)))))
    assert chain.fault is None
    assert (chain.back_steps, chain.first_back_step) == (1, 31)


LINES = 9


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, int, int, int]:
    kind = draw(st.sampled_from(["edit", "delete", "insert", "swap", "foreign"]))
    where = draw(st.integers(0, LINES - 1 if kind in ("edit", "swap", "foreign") else LINES - 2))
    return kind, where, draw(st.integers(0, LINES - 1)), draw(st.integers(0, 10_000))


@given(changes())
def test_any_edit_deletion_insertion_or_swap_is_found_and_the_first_wrong_line_named(
    change: tuple[str, int, int, int],
) -> None:
    kind, where, other, amount = change
    events = _chain(0)
    lines = [encode_line(e)[:-1] for e in events]
    changed = list(lines)
    if kind == "edit":
        position = amount % len(lines[where])
        line = bytearray(lines[where])
        line[position] ^= 1 + amount % 255
        changed[where] = bytes(line)
    elif kind == "delete":
        del changed[where]  # never the last: a shorter chain is a chain; anchors tell of it
    elif kind == "insert":
        changed.insert(where, lines[other])
    elif kind == "foreign":
        changed[where] = encode_line(_chain(7)[where])[:-1]
    else:
        changed[where], changed[other] = lines[other], lines[where]
    differing = [n for n, line in enumerate(changed, 1) if n > len(lines) or line != lines[n - 1]]
    if (kind, where) == ("foreign", 0):
        differing = [2]  # a first line follows from nothing: that it is a stranger shows at the next one
    fault = find_fault(changed)
    assert (fault.line if fault else None) == (differing[0] if differing else None)


_CHAINS: dict[int, list[CustodyEvent]] = {}


def _chain(seed: int) -> list[CustodyEvent]:
    if seed not in _CHAINS:
        events: list[CustodyEvent] = []
        for number in range(LINES):
            salt = f"{seed * 100 + number:032x}"
            events.append(next_event(events[-1] if events else None, **FIRST, details={"n": number}, salt=salt))
        _CHAINS[seed] = events
    return _CHAINS[seed]


@given(st.integers(0, LINES - 2), st.integers(1, 9))
def test_an_edit_with_its_own_hash_made_good_shows_at_the_next_line(where: int, number: int) -> None:
    events = _chain(0)
    event = events[where]
    previous = events[where - 1] if where else None
    forged = next_event(previous, **FIRST, details={"n": 1000 + number}, salt=event.salt)
    lines = [encode_line(forged if e is event else e) for e in events]
    fault = find_fault(lines)
    assert fault is not None
    assert (fault.line, fault.code) == (where + 2, "link")


@pytest.mark.parametrize(
    ("untrusted", "code"),
    [
        (b"", "malformed"),
        (b"null", "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (b'{"line":1}', "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b'{"line":' + b"9" * 50_000 + b"}", "malformed"),
        (b'{"body_hash":"%s","hash":"%s","line":1.0}' % (b"0" * 64, b"0" * 64), "malformed"),
        (b'{"body_hash":"%s","hash":"%s","line":true}' % (b"0" * 64, b"0" * 64), "malformed"),
        (b'{"body_hash":"%s","hash":"%s","line":-1}' % (b"0" * 64, b"0" * 64), "malformed"),
        (b'{"body_hash":"%s","hash":"%s","line":NaN}' % (b"0" * 64, b"0" * 64), "malformed"),
        (b'{"body_hash":"%s","hash":"%s","line":1}' % (b"0" * 64, b"0" * 64), "hash"),
        (b'{"body_hash":"%s","hash":"%s","line":3}' % (b"0" * 64, b"0" * 64), "gap"),
    ],
)
def test_lines_that_are_none_are_found_not_crashed_on(untrusted: bytes, code: str) -> None:
    fault = find_fault([untrusted])
    assert fault is not None
    assert (fault.line, fault.code) == (1, code)


def test_a_second_spelling_of_the_same_line_is_a_fault(chain30: list[CustodyEvent]) -> None:
    line = encode_line(chain30[0])
    for other in (
        line.replace(b'":', b'": ', 1),
        line.replace(b"{", b'{"act":"x",', 1),
        line.replace(b"a", b"\\u0061", 1),
    ):
        fault = find_fault([other])
        assert fault is not None
        assert fault.code == "malformed"


def test_a_line_without_end_is_cut_and_does_not_fill_memory() -> None:
    lines = verify.read_lines(io.BytesIO(b"a" * 5_000_000))
    assert max(map(len, lines)) <= verify.MAX_LINE_BYTES + 2


def test_a_last_line_cut_short_is_a_fault(chain30: list[CustodyEvent]) -> None:
    data = b"".join(map(encode_line, chain30))
    for cut in (1, 2, 100):
        fault = verify.check_chain(verify.read_lines(io.BytesIO(data[:-cut]))).fault
        assert fault is not None
        assert fault.line == 30


codes = st.from_regex(verify.CODE, fullmatch=True)
ids = st.from_regex(verify.ID, fullmatch=True)
numbers = st.integers(-verify.MAX_NUMBER, verify.MAX_NUMBER)
values = ids | numbers | st.booleans()


@given(codes, ids, st.dictionaries(st.from_regex(verify.NAME, fullmatch=True), values | st.lists(values), max_size=5))
def test_writer_and_reader_spell_every_event_alike(act: str, actor: str, details: dict[str, Any]) -> None:
    """The writer uses the rfc8785 package, the reader plain json: two roads to the same bytes."""
    event = next_event(None, **(FIRST | {"act": act, "actor": actor}), details=details)
    line = encode_line(event)[:-1]
    value = verify.parse_json(line)
    assert verify.encode_json(value) == encode_canonical(value) == line
    assert verify.read_line(line).hash == event.hash
    assert decode_line(line) == event
    assert find_fault([line]) is None
