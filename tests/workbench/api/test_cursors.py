"""Cursors: opaque, signed, bound to their list, and stable while rows come and go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.errors import InputError
from leadline.workbench.accounts.models import Person
from leadline.workbench.cursors import decode_cursor, encode_cursor, slice_rows
from leadline.workbench.hooks.models import Delivery, Endpoint


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_a_cursor_comes_back_as_it_was_made(values: list[str], scope: str) -> None:
    assert decode_cursor(encode_cursor(values, scope), scope) == values


@given(st.text(max_size=60))
def test_what_we_did_not_make_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        decode_cursor(text, "list")


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InputError):
        decode_cursor(encode_cursor(["1"], "one"), "two")


@pytest.fixture
def endpoint(make_person: Callable[..., Person]) -> Endpoint:
    return Endpoint.objects.create(url="https://example.org/", events=["bank.*"], made_by=make_person("admin"))


def make(endpoint: Endpoint, *names: str) -> None:
    for name in names:
        Delivery.objects.create(endpoint=endpoint, event=name, act="bank.changed", body="{}", tries=int(name[1:]) % 2)


@pytest.mark.parametrize("order", [("-id",), ("id",), ("-tries", "-id"), ("tries", "id"), ("-made_at", "-id")])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_every_row_comes_once_in_order(endpoint: Endpoint, order: tuple[str, ...], limit: int) -> None:
    make(endpoint, *(f"e{n}" for n in range(7)))
    found, cursor = [], ""
    while True:
        rows, following = slice_rows(Delivery.objects.all(), order, cursor, limit, "s")
        found += [row.event for row in rows]
        if following is None:
            break
        cursor = following
    assert found == list(Delivery.objects.order_by(*order).values_list("event", flat=True))


def test_rows_that_come_and_go_shift_nothing(endpoint: Endpoint) -> None:
    make(endpoint, *(f"e{n}" for n in range(6)))
    first, cursor = slice_rows(Delivery.objects.all(), ("-id",), "", 3, "s")
    make(endpoint, "e6", "e7")
    Delivery.objects.filter(event="e4").delete()
    second, end = slice_rows(Delivery.objects.all(), ("-id",), cursor or "", 3, "s")
    assert [row.event for row in first] == ["e5", "e4", "e3"]
    assert ([row.event for row in second], end) == (["e2", "e1", "e0"], None)
