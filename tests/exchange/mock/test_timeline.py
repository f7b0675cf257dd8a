"""Changes told by time: lazily made, and no page loses one."""

from __future__ import annotations

from leadline.exchange.mock.timeline import FIRST_S, Change, Timeline, digits


def make(number: int) -> Change:
    return Change(f"k{number}", FIRST_S + number, {"number": number})


def numbers(found: list[Change]) -> list[int]:
    return [change.record["number"] for change in found]


def test_of_a_million_records_only_the_page_is_made() -> None:
    made: list[int] = []

    def count(number: int) -> Change:
        made.append(number)
        return make(number)

    found, has_more = Timeline(1_000_000, count).page(0, 999_995, 10)
    assert (numbers(found), has_more) == ([999_995, 999_996, 999_997, 999_998, 999_999], False)
    assert len(made) == 5


def test_a_page_begins_at_its_time() -> None:
    found, has_more = Timeline(10, make).page(FIRST_S + 4, 0, 3)
    assert (numbers(found), has_more) == ([4, 5, 6], True)


def test_a_change_moves_a_record_to_the_end_and_moves_no_other() -> None:
    timeline = Timeline(6, make)
    first, _ = timeline.page(0, 0, 3)
    timeline.put(Change("k1", FIRST_S + 100, {"number": 100}), 1)
    timeline.put(Change("k4", FIRST_S + 101, {"number": 101}), 4)
    timeline.put(Change("k1", FIRST_S + 102, {"number": 102}), 1)
    second, has_more = timeline.page(0, 3, 10)
    assert numbers(first) == [0, 1, 2]
    assert (numbers(second), has_more) == ([3, 5, 101, 102], False)


def test_pages_told_backwards_hold_the_same() -> None:
    timeline = Timeline(7, make)
    timeline.put(Change("new", FIRST_S + 100, {"number": 100}))
    pages = [timeline.page(0, start, 3, is_backwards=True) for start in (0, 3, 6)]
    assert [numbers(found) for found, _ in pages] == [[100, 6, 5], [4, 3, 2], [1, 0]]
    assert [has_more for _, has_more in pages] == [True, True, False]


def test_made_up_digits_differ_and_say_their_number() -> None:
    found = {digits(1, number, 64) for number in range(100)} | {digits(2, number, 64) for number in range(100)}
    assert len(found) == 200
    assert all(len(value) == 64 for value in found)
    assert digits(1, 255, 32).endswith("000000ff")
