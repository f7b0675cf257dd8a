"""Where a pull by time and token stands: when the time moves, when the whole list is told, when a token is dropped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from leadline.errors import SourceBroken
from leadline.exchange.connector import Checkpoint, Page
from leadline.exchange.telling import Telling, Told, begin_at, pull_told

NOW = 1_000_000
STALE_S = 500_000


class Source:
    """Tells as many pages as it has times; each token is the number of its page."""

    def __init__(self, *next_s: int) -> None:
        self.next_s, self.asked = next_s, list[tuple[int, str]]()
        self.forgotten: set[str] = set()

    def __call__(self, telling: Telling) -> Told:
        self.asked.append((telling.since_s, telling.token))
        if telling.token in self.forgotten:
            raise SourceBroken("it answers 404", code="page-expired")
        page = int(telling.token or 0)
        return Told([], str(page + 1) if page + 1 < len(self.next_s) else "", self.next_s[page])

    def pull(self, checkpoint: Checkpoint | None, now: float = NOW, pages: int = 99) -> list[Page]:
        found: list[Page] = []
        for page in pull_told(checkpoint, self, lambda: now, first_s=10, stale_s=STALE_S):
            found.append(page)
            if len(found) == pages:
                break
        return found


def flags(pages: Sequence[Page]) -> list[tuple[bool, bool]]:
    return [(page.begins_whole, page.is_last) for page in pages]


def test_the_first_pull_tells_the_whole_list_and_the_next_only_what_changed() -> None:
    source = Source(100, 300, 200)
    first = source.pull(None)
    assert flags(first) == [(True, False), (False, False), (False, True)]
    second = source.pull(first[-1].checkpoint)
    assert [since for since, _ in source.asked] == [10] * 3 + [200] * 3
    assert not any(page.begins_whole for page in second)


def test_the_time_does_not_move_before_the_last_page() -> None:
    source = Source(100, 300, 200)
    (*_, second) = source.pull(begin_at(50, NOW), pages=2)
    source.asked.clear()
    source.pull(second.checkpoint, NOW + 7200)
    assert source.asked[0] == (50, "")


@pytest.mark.parametrize(("later_s", "asked"), [(3600, (10, "2")), (3601, (10, "")), (-5, (10, ""))])
def test_a_token_lives_for_an_hour(later_s: int, asked: tuple[int, str]) -> None:
    source = Source(100, 300, 200)
    (*_, second) = source.pull(None, pages=2)
    source.asked.clear()
    (first, *_) = source.pull(second.checkpoint, NOW + later_s)
    assert source.asked[0] == asked
    assert first.begins_whole is not bool(asked[1])


def test_a_token_that_the_source_forgot_begins_the_telling_again_once() -> None:
    source = Source(100, 300, 200)
    (*_, second) = source.pull(None, pages=2)
    source.forgotten, source.asked = {"2"}, []
    with pytest.raises(SourceBroken):
        source.pull(second.checkpoint)
    assert [token for _, token in source.asked] == ["2", "", "1", "2"]


@pytest.mark.parametrize(("later_s", "is_whole"), [(STALE_S, False), (STALE_S + 1, True)])
def test_a_stale_checkpoint_has_the_whole_list_told(later_s: int, is_whole: bool) -> None:
    source = Source(100)
    (last,) = source.pull(None)
    (page,) = source.pull(last.checkpoint, NOW + later_s)
    assert page.begins_whole is is_whole
    assert source.asked[-1] == ((10 if is_whole else 100), "")


def test_how_fresh_it_is_counts_from_where_the_last_whole_telling_began() -> None:
    source = Source(100, 200)
    (first,) = source.pull(None, pages=1)
    (last,) = source.pull(first.checkpoint, NOW + 3000)
    (page, *_) = source.pull(last.checkpoint, NOW + STALE_S + 1)
    assert page.begins_whole


def test_a_time_ahead_of_ours_is_not_gone_to() -> None:
    source = Source(NOW + 99)
    (last,) = source.pull(None)
    source.pull(last.checkpoint)
    assert source.asked[-1] == (NOW, "")


def test_a_chosen_beginning_is_not_a_whole_list() -> None:
    source = Source(700)
    (page,) = source.pull(begin_at(600, NOW))
    assert (source.asked, page.begins_whole) == ([(600, "")], False)
