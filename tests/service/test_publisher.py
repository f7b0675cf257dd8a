"""What is told of a bank follows the bank: additions, changes, removals, time, labels, settings, other workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Entry, Kind, Tlp
from leadline.match.bank import Bank
from leadline.match.readers import GONE, VIDEO
from leadline.service.options import Publication
from leadline.service.publisher import Publisher
from leadline.service.told import Journal

NOW = 1_800_000_000
TOLD, GREEN = 0, Tlp.GREEN


class Moment:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


def entry(number: int, kind: Kind = Kind.ILLEGAL, tlp: Tlp = GREEN, **more: Any) -> Entry:
    return Entry(kind, {"md5": number.to_bytes(16, "big")}, number, tlp=tlp, **more)


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def bank(tmp_path: Path, moment: Moment) -> Bank:
    return Bank.create(tmp_path / "known", name="known", kind=Kind.ILLEGAL, clock=moment)


Make = Callable[..., Publisher]


@pytest.fixture
def make(bank: Bank, moment: Moment) -> Make:
    def publisher(tlp: Tlp = GREEN) -> Publisher:
        return Publisher(Publication("known", tlp), Journal(bank.path, clock=moment), clock=moment)

    return publisher


def told(bank: Bank) -> dict[int, int]:
    """Each entry's latest state, as a reader of the file finds it."""
    rows, _ = Journal(bank.path).read()
    return dict(zip(rows.ids[rows.is_latest].tolist(), rows.states[rows.is_latest].tolist(), strict=True))


def written(bank: Bank) -> int:
    return len(Journal(bank.path).read()[0].ids)


def test_entries_are_told_changed_and_told_to_be_gone(bank: Bank, make: Make) -> None:
    publisher = make()
    bank.add([entry(1), entry(2), entry(3)])
    assert publisher.settle(bank) == 3
    bank.update([entry(2, label="B1", scheme="ncmec")])
    bank.remove([3])
    assert publisher.settle(bank) == 2
    assert told(bank) == {1: TOLD, 2: TOLD, 3: GONE}
    assert publisher.settle(bank) == 0


def test_a_change_of_what_is_not_told_is_not_told(bank: Bank, make: Make) -> None:
    publisher = make()
    bank.add([entry(1)])
    publisher.settle(bank)
    bank.update([entry(1, note="for us", scheme="uk", label="A")])
    assert publisher.settle(bank) == 0


def test_only_kinds_that_a_match_speaks_for_are_told(bank: Bank, make: Make) -> None:
    bank.add([entry(number, kind) for number, kind in enumerate(Kind, 1)])
    make().settle(bank)
    kinds = list(Kind)
    assert {kinds[number - 1] for number in told(bank)} == {Kind.ILLEGAL, Kind.EXPLOITATIVE, Kind.OTHER}


def test_a_label_holds_an_entry_back_and_red_always(bank: Bank, make: Make) -> None:
    labels = list(Tlp)
    bank.add([entry(number, tlp=tlp) for number, tlp in enumerate(labels, 1)])
    for agreed, leaves in [
        (Tlp.CLEAR, {Tlp.CLEAR}),
        (Tlp.GREEN, {Tlp.CLEAR, Tlp.GREEN}),
        (Tlp.AMBER_STRICT, {Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER, Tlp.AMBER_STRICT}),
    ]:
        make(agreed).settle(bank)
        assert {labels[number - 1] for number, state in told(bank).items() if state == TOLD} == leaves


def test_a_narrower_agreement_takes_back_what_it_does_not_let_out(bank: Bank, make: Make) -> None:
    bank.add([entry(1, tlp=Tlp.AMBER), entry(2)])
    make(Tlp.AMBER).settle(bank)
    assert make(Tlp.GREEN).settle(bank) == 1
    assert told(bank) == {1: GONE, 2: TOLD}


def test_an_entry_that_becomes_red_is_told_to_be_gone(bank: Bank, make: Make) -> None:
    publisher = make()
    bank.add([entry(1)])
    publisher.settle(bank)
    bank.update([entry(1, tlp=Tlp.RED)])
    publisher.settle(bank)
    assert told(bank) == {1: GONE}


@pytest.mark.parametrize("restart", [False, True])
def test_a_disabled_entry_is_gone_until_its_time_is_over(bank: Bank, make: Make, moment: Moment, restart: bool) -> None:
    publisher = make()
    bank.add([entry(1), entry(2)])
    publisher.settle(bank)
    bank.update([entry(1, disabled_until=NOW + 100)])
    publisher.settle(bank)
    assert told(bank) == {1: GONE, 2: TOLD}
    moment.now += 99
    assert publisher.settle(bank) == 0
    moment.now += 1
    assert (make() if restart else publisher).settle(bank) == 1
    assert told(bank) == {1: TOLD, 2: TOLD}


def test_an_entry_with_no_fingerprint_of_the_protocol_is_not_told(bank: Bank, make: Make) -> None:
    bank.add([Entry(Kind.ILLEGAL, {"sha256": bytes(range(32))}, 1, tlp=GREEN), entry(2)])
    make().settle(bank)
    assert told(bank) == {2: TOLD}


def test_metadata_that_says_video_makes_it_a_video_unless_it_has_a_pdq(bank: Bank, make: Make) -> None:
    said = '{"type":"video"}'
    bank.add(
        [
            entry(1, metadata=said),
            entry(2, metadata='{"mime":"video/mp4"}'),
            entry(3, metadata='{"note":"no video"}'),
            Entry(Kind.ILLEGAL, {"pdq": b"\x01" * 32}, 4, tlp=GREEN, metadata=said),
        ]
    )
    publisher = make()
    publisher.settle(bank)
    assert told(bank) == {1: VIDEO, 2: VIDEO, 3: TOLD, 4: TOLD}
    bank.remove([1])
    publisher.settle(bank)
    assert told(bank)[1] == VIDEO | GONE


def test_a_pdq_below_the_quality_floor_is_not_told(bank: Bank, make: Make) -> None:
    bank.set_settings(quality_floor=50)
    pdq = {"pdq": b"\x01" * 32}
    bank.add([Entry(Kind.ILLEGAL, pdq, 1, tlp=GREEN, quality=49), Entry(Kind.ILLEGAL, pdq, 2, tlp=GREEN, quality=50)])
    publisher = make()
    publisher.settle(bank)
    assert told(bank) == {2: TOLD}
    bank.set_settings(quality_floor=40)
    publisher.settle(bank)
    assert told(bank) == {1: TOLD, 2: TOLD}


def test_a_merge_and_a_restart_tell_nothing_again(bank: Bank, make: Make) -> None:
    publisher = make()
    bank.add([entry(1), entry(2)])
    publisher.settle(bank)
    bank.remove([2])
    publisher.settle(bank)
    bank.merge()
    assert publisher.settle(bank) == 0
    bank.add([entry(3)])
    assert publisher.settle(bank) == 1
    assert make().settle(bank) == 0
    assert written(bank) == 4


def test_what_happened_while_no_service_ran_is_told_after(bank: Bank, make: Make) -> None:
    bank.add([entry(1), entry(2), entry(3)])
    make().settle(bank)
    bank.remove([1])
    bank.merge()
    bank.add([entry(4)])
    assert make().settle(bank) == 2
    assert told(bank) == {1: GONE, 2: TOLD, 3: TOLD, 4: TOLD}


def test_a_worker_that_is_behind_takes_nothing_back(bank: Bank, make: Make, moment: Moment) -> None:
    bank.add([entry(1)])
    behind = Bank.open(bank.path, clock=moment)
    bank.add([entry(2)])
    make().settle(bank)
    assert make().settle(behind) == 0
    assert told(bank) == {1: TOLD, 2: TOLD}


def test_two_workers_tell_each_change_once(bank: Bank, make: Make, moment: Moment) -> None:
    other, first, second = Bank.open(bank.path, clock=moment), make(), make()
    for number in range(1, 7):
        bank.add([entry(number)])
        if number % 3 == 0:
            bank.remove([number - 1])
        other.refresh()
        for publisher, one in [(first, bank), (second, other)][:: 1 if number % 2 else -1]:
            publisher.settle(one)
    assert written(bank) == 8
    assert told(bank) == {1: TOLD, 2: GONE, 3: TOLD, 4: TOLD, 5: GONE, 6: TOLD}


def test_another_bank_in_the_folder_takes_the_place_of_the_first(
    bank: Bank, make: Make, moment: Moment, tmp_path: Path
) -> None:
    bank.add([entry(1), entry(2)])
    make().settle(bank)
    for path in bank.path.iterdir():
        if path.name != "published":
            path.unlink()
    again = Bank.create(bank.path, name="known", kind=Kind.ILLEGAL, clock=moment)
    again.add([entry(2), entry(3)])
    make().settle(again)
    assert told(again) == {1: GONE, 2: TOLD, 3: TOLD}


def test_a_removed_bank_leaves_nothing_behind(bank: Bank, make: Make) -> None:
    from leadline.match.removal import remove_bank

    bank.add([entry(1)])
    make().settle(bank)
    remove_bank(bank.path)
    assert not bank.path.exists()
