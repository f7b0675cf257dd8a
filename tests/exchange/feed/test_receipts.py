"""Receipts: what a subscriber has to prove, what counts as proof, who is overdue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.exchange.feed.conftest import DAY_S, NOW_S, Clock, Publisher, Reader, entry

from leadline.errors import InputError, SourceUnavailable
from leadline.exchange.feed.keys import SubscriberKey, make_subscriber_key
from leadline.exchange.feed.ledger import Ledger, Standing
from leadline.exchange.feed.receipts import make_receipt
from leadline.exchange.feed.shelf import Shelf


@pytest.fixture
def reader(publisher: Publisher) -> Reader:
    made = publisher.admit("B")
    publisher.bank.add([entry(1), entry(2), entry(3)])
    publisher.publish()
    return made


@pytest.fixture
def ledger(publisher: Publisher, reader: Reader) -> Iterator[Ledger]:
    with publisher.ledger() as opened:
        yield opened


def take_all(publisher: Publisher, ledger: Ledger, now_s: float = NOW_S) -> list[bool]:
    return [ledger.take_receipt(data, now_s) for _, data in Shelf(publisher.feed).receipts()]


def standing(ledger: Ledger) -> Standing:
    (found,) = ledger.standings()
    return found


def test_a_withdrawal_is_owed_until_the_receipt_is_there(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    reader.pull(publisher.feed)
    assert take_all(publisher, ledger) == [True]
    assert (standing(ledger).confirmed, standing(ledger).owed) == (1, 0)
    publisher.bank.remove([1, 2])
    publisher.publish()
    owes = standing(ledger)
    assert (owes.serial, owes.confirmed, owes.owed, owes.withdraw_by) == (2, 1, 2, int(NOW_S) + DAY_S)
    assert not owes.is_overdue(NOW_S + DAY_S)
    assert owes.is_overdue(NOW_S + DAY_S + 1)
    reader.pull(publisher.feed)
    assert take_all(publisher, ledger, NOW_S + 60) == [False, True]
    settled = standing(ledger)
    assert (settled.confirmed, settled.owed, settled.withdraw_by, settled.received_at) == (2, 0, 0, int(NOW_S) + 60)


def test_additions_alone_are_owed_nothing(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    publisher.bank.add([entry(4)])
    publisher.publish()
    assert standing(ledger).owed == 0
    assert not standing(ledger).is_overdue(NOW_S + 100 * DAY_S)


def test_the_first_deadline_counts(publisher: Publisher, reader: Reader, ledger: Ledger, clock: Clock) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    clock.now += 3600
    publisher.bank.remove([2])
    publisher.publish()
    assert (standing(ledger).owed, standing(ledger).withdraw_by) == (2, int(NOW_S) + DAY_S)


def test_who_subscribes_after_a_withdrawal_owes_nothing(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    publisher.bank.remove([1])
    publisher.admit("late")
    publisher.publish()
    assert {found.name: found.owed for found in ledger.standings()} == {"B": 1, "late": 0}


def test_a_receipt_for_a_state_is_said_only_once_it_is_applied(
    publisher: Publisher, reader: Reader, ledger: Ledger
) -> None:
    reader.pull(publisher.feed, confirm=False)
    assert take_all(publisher, ledger) == []
    reader.pull(publisher.feed, confirm=False)  # says what the stored checkpoint shows to be applied
    assert take_all(publisher, ledger) == [True]


def test_half_an_applied_list_gives_no_receipt(
    publisher: Publisher, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.exchange.feed.shelf.PART_ENTRIES", 1)
    half = publisher.admit("half")
    publisher.publish()
    half.pull(publisher.feed, most_pages=2)
    assert take_all(publisher, ledger) == []


def forged(reader: Reader, ledger: Ledger, **changed: Any) -> bytes:
    state = reader.checkpoint
    told = {"feed": state["feed"], "serial": state["serial"], "proof": state["proof"], "applied_at": int(NOW_S)}
    return make_receipt(SubscriberKey(changed.pop("key", reader.key)), **{**told, **changed})


def test_a_receipt_without_having_opened_the_withdrawal_does_not_count(
    publisher: Publisher, reader: Reader, ledger: Ledger
) -> None:
    reader.pull(publisher.feed)
    publisher.bank.remove([1])
    publisher.publish()
    for proof in (reader.checkpoint["proof"], "00" * 32):
        with pytest.raises(InputError, match="without the proof"):
            ledger.take_receipt(forged(reader, ledger, serial=2, proof=proof), NOW_S)
    assert standing(ledger).owed == 1


@pytest.mark.parametrize("changed", [{"feed": "0" * 32}, {"serial": 7}, {"key": make_subscriber_key()}])
def test_a_receipt_of_another_feed_state_or_subscriber_does_not_count(
    publisher: Publisher, reader: Reader, ledger: Ledger, changed: dict[str, Any]
) -> None:
    reader.pull(publisher.feed)
    with pytest.raises(InputError):
        ledger.take_receipt(forged(reader, ledger, **changed), NOW_S)


def test_a_receipt_that_was_changed_does_not_count(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    reader.pull(publisher.feed)
    receipt = json.loads(forged(reader, ledger))
    receipt["signed"]["applied_at"] -= 1
    with pytest.raises(InputError, match="did not sign"):
        ledger.take_receipt(json.dumps(receipt).encode(), NOW_S)
    receipt["signature"] = "zz"
    with pytest.raises(InputError, match="did not sign"):
        ledger.take_receipt(json.dumps(receipt).encode(), NOW_S)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 3000, b'{"signed":{},"signature":""}', b"\xff", b" " * 5000])
def test_what_is_no_receipt_is_refused(ledger: Ledger, data: bytes) -> None:
    with pytest.raises(InputError, match="not a receipt"):
        ledger.take_receipt(data, NOW_S)


def test_the_same_receipt_again_changes_nothing(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    reader.pull(publisher.feed)
    assert take_all(publisher, ledger, NOW_S) == [True]
    assert take_all(publisher, ledger, NOW_S + 5) == [False]
    assert standing(ledger).received_at == int(NOW_S)


def test_who_was_removed_is_shown_and_is_not_overdue(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    publisher.bank.remove([1])
    publisher.publish()
    publisher.agreements.clear()
    publisher.publish()
    assert standing(ledger).removed_at == int(NOW_S)
    assert not standing(ledger).is_overdue(NOW_S + 9 * DAY_S)


def test_receipts_that_cannot_be_left_are_said_and_the_pull_stands(publisher: Publisher, reader: Reader) -> None:
    blocked = publisher.folder / "blocked"
    blocked.write_text("a file in the place of a folder")
    with pytest.raises(SourceUnavailable, match="receipt"):
        reader.pull(publisher.feed, receipts=blocked / "receipts")
    assert reader.ids == {1, 2, 3}


def test_receipts_may_be_left_in_a_folder_of_ones_own(publisher: Publisher, reader: Reader, ledger: Ledger) -> None:
    own = publisher.folder / "own"
    reader.pull(publisher.feed, receipts=own)
    (path,) = own.iterdir()
    assert ledger.take_receipt(path.read_bytes(), NOW_S)


def test_nothing_published_has_no_ledger(make_publisher: Any) -> None:
    bank = make_publisher().bank
    with pytest.raises(InputError, match="nothing was published"):
        Ledger(bank.path, must_exist=True)
    assert not (bank.path / "feed.sqlite").exists()
