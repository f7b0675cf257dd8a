"""How often, without knowing who."""

from __future__ import annotations

import pytest

from leadline.workbench.public.limits import Counter, Limit, visitor_address

LIMIT = Limit("test", of_one=2, of_all=5, window_s=60)
NOON = 1_800_014_400.0 + 43_200


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def test_a_visitor_has_a_limit_and_another_visitor_has_their_own() -> None:
    counter = Counter(Clock())
    assert [counter.take(LIMIT, "203.0.113.1") for _ in range(3)] == [True, True, False]
    assert counter.take(LIMIT, "203.0.113.2")


def test_all_together_have_a_limit_which_refused_tries_do_not_eat_up() -> None:
    counter = Counter(Clock())
    for _ in range(50):
        counter.take(LIMIT, "203.0.113.1")
    assert [counter.take(LIMIT, f"203.0.113.{n}") for n in range(2, 6)] == [True, True, True, False]


def test_visitors_of_an_onion_service_have_only_the_limit_for_all() -> None:
    counter = Counter(Clock())
    assert [counter.take(LIMIT, "") for _ in range(6)] == [True] * 5 + [False]


def test_a_limit_ends_with_its_window() -> None:
    clock = Clock()
    counter = Counter(clock)
    assert [counter.take(LIMIT, "203.0.113.1") for _ in range(3)] == [True, True, False]
    clock.now += LIMIT.window_s
    assert counter.take(LIMIT, "203.0.113.1")


def test_the_key_is_new_every_day_and_nothing_of_yesterday_is_left() -> None:
    clock = Clock()
    counter = Counter(clock)
    counter.take(LIMIT, "203.0.113.1")
    before, kept = counter._key, set(counter._counts)
    clock.now += 86_400
    counter.take(Limit("other", 9, 9, 60), "203.0.113.2")
    assert counter._key != before
    assert not kept & set(counter._counts)


def test_no_address_is_in_the_counts_nor_its_plain_hash() -> None:
    import hashlib

    counter = Counter(Clock())
    counter.take(LIMIT, "203.0.113.77")
    held = repr(counter._counts) + repr(vars(counter))
    assert "203.0.113.77" not in held
    assert not any(hashlib.sha256(b"203.0.113.77").digest() == key[2] for key in counter._counts)


def test_the_memory_of_counts_is_bounded_by_the_limit_for_all() -> None:
    counter = Counter(Clock())
    for n in range(1000):
        counter.take(LIMIT, f"198.51.100.{n}")
    assert len(counter._counts) <= LIMIT.of_all + 1


def test_a_clock_set_back_opens_no_gate_for_ever() -> None:
    clock = Clock()
    counter = Counter(clock)
    clock.now -= 3600
    assert [counter.take(LIMIT, "203.0.113.1") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxy", "counted"),
    [
        ("203.0.113.9", "", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "", "203.0.113.9"),  # nobody may speak for others
        ("203.0.113.9", "198.51.100.1", "192.0.2.1", "203.0.113.9"),
        ("192.0.2.1", "198.51.100.66, 198.51.100.1", "192.0.2.1", "198.51.100.1"),  # the first was sent by the visitor
        ("192.0.2.1", "", "192.0.2.1", ""),
        ("192.0.2.1", "garbage", "192.0.2.1", ""),
        ("127.0.0.1", "", "", ""),
        ("::1", "", "", ""),
        ("", "", "", ""),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", "", "203.0.113.9"),
        ("fe80::1%eth0", "", "", "fe80::/64"),
    ],
)
def test_which_address_counts(peer: str, forwarded: str, proxy: str, counted: str) -> None:
    assert visitor_address(peer, forwarded, proxy) == counted


def test_a_flood_over_tor_leaves_the_clear_web_open_and_the_other_way_round() -> None:
    for flood, other in (("", "203.0.113.9"), ("203.0.113.{}", "")):
        counter = Counter(Clock())
        for n in range(20):
            counter.take(LIMIT, flood.format(n))
        assert not counter.take(LIMIT, flood.format(99))
        assert counter.take(LIMIT, other)
