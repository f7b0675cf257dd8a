"""A list and an arrival meet at every moment: before the worker's round, after it, while the folder is another one."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry, near_entry

from leadline.domain import Entry, Kind
from leadline.errors import BankNotFound
from leadline.match.bank import Bank
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.acts import matches
from leadline.workbench.evidence.models import Asset, BankSeen, Task, TaskKind
from leadline.workbench.journal.models import Line

DATA = b"a made-up file"


def take(data: bytes = DATA) -> Asset:
    return actions.take_in(data, actor="somebody", source="test")


def open_tasks() -> list[str]:
    return list(Task.objects.filter(done_at__isnull=True).order_by("id").values_list("kind", flat=True))


def acts_of(asset: Asset) -> list[str]:
    acts = Line.objects.filter(object_id=str(asset.pk)).order_by("line").values_list("act", flat=True)
    return [act for act in acts if "match" in act]


# --- a file comes again before the worker's round ----------------------------------------------------------------------


def test_a_new_entry_raises_a_task_also_where_the_file_came_again_before_the_round(make_bank: MakeBank) -> None:
    bank = make_bank("LIST")
    take()
    tasks.match_changes()
    bank.add([exact_entry(DATA)])
    asset = take()
    assert (asset.verdict, open_tasks(), acts_of(asset)) == ("known", [TaskKind.NEW_HIT], ["asset.matched"])
    assert tasks.match_changes() == 0
    assert (open_tasks(), acts_of(asset)) == ([TaskKind.NEW_HIT], ["asset.matched"])


def test_a_withdrawn_entry_says_so_also_where_the_file_came_again_before_the_round(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", exact_entry(DATA))
    take()
    tasks.match_changes()
    bank.remove([1])
    asset = take()
    assert (asset.verdict, open_tasks()) == ("unknown", [TaskKind.WITHDRAWN])
    assert acts_of(asset) == ["asset.matched", "asset.match-withdrawn"]
    assert tasks.match_changes() == 0


def test_the_first_arrival_of_a_known_file_raises_no_task(make_bank: MakeBank) -> None:
    make_bank("LIST", exact_entry(DATA))
    assert acts_of(take()) == ["asset.matched"]
    assert acts_of(take()) == ["asset.matched"]
    assert open_tasks() == []


def test_an_arrival_does_not_wait_for_a_worker_that_is_behind_or_away(make_bank: MakeBank) -> None:
    """The list went on, or back to a copy; the worker announced another state long ago and does not run."""
    bank = make_bank("LIST")
    take()
    tasks.match_changes()
    for _ in range(3):
        bank.add([exact_entry(DATA)])
    assert take().verdict == "known"
    BankSeen.objects.update(announced="another.state.9.9.9")
    assert take(b"another file").verdict == "unknown"


# --- the folder of a bank is another one -------------------------------------------------------------------------------


def put_in_place(bank: Bank, office: Any, *entries: Entry) -> None:
    """Another bank of the same name, kind and list version, moved to where it stood."""
    fresh = Bank.create(office.home / "fresh", name=bank.name, kind=bank.kind)
    for one in entries:
        fresh.add([one])
    shutil.rmtree(bank.path)
    shutil.move(office.home / "fresh", bank.path)


def test_a_replaced_bank_of_the_same_list_version_is_matched(make_bank: MakeBank, office: Any) -> None:
    bank = make_bank("LIST", exact_entry(b"something else"))
    asset = take()
    tasks.match_changes()
    put_in_place(bank, office, exact_entry(DATA))
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert (asset.verdict, open_tasks()) == ("known", [TaskKind.NEW_HIT])
    put_in_place(bank, office, exact_entry(b"something else"))
    tasks.forget()  # as after a new start of the worker
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert (asset.verdict, acts_of(asset)) == ("unknown", ["asset.matched", "asset.match-withdrawn"])


def test_a_restored_copy_that_grew_to_the_same_version_is_matched(make_bank: MakeBank, office: Any) -> None:
    bank = make_bank("LIST", exact_entry(b"something else"))
    asset = take()
    shutil.copytree(bank.path, office.home / "copy")
    bank.add([exact_entry(b"of the first")])
    tasks.match_changes()
    shutil.rmtree(bank.path)
    shutil.move(office.home / "copy", bank.path)
    restored = Bank.open(bank.path)
    restored.add([exact_entry(DATA)])
    assert restored.list_version == bank.list_version
    tasks.match_changes()
    asset.refresh_from_db()
    assert asset.verdict == "known"


def test_a_file_that_arrives_while_the_replaced_bank_is_walked_through_asks_the_new_one(
    make_bank: MakeBank, office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadline.match.matcher import Matcher

    bank, asked = make_bank("LIST", exact_entry(b"something else")), []
    tasks.match_changes()
    real = Matcher.match

    def match(self: Matcher, files: Any) -> Any:
        answers = real(self, files)
        if not asked:
            asked.append(1)
            put_in_place(bank, office, exact_entry(DATA))
            tasks.match_changes()
        return answers

    monkeypatch.setattr(Matcher, "match", match)
    assert take().verdict == "known"


# --- a bank goes and comes ---------------------------------------------------------------------------------------------


def test_a_bank_that_is_gone_between_two_rounds_and_back_is_matched_from_the_beginning(
    make_bank: MakeBank, office: Any
) -> None:
    bank = make_bank("LIST", exact_entry(DATA))
    asset = take()
    tasks.match_changes()
    shutil.move(bank.path, office.home / "away")
    with pytest.raises(BankNotFound):
        tasks.match_changes()
    Bank.open(office.home / "away").remove([1])
    shutil.move(office.home / "away", bank.path)
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert (asset.verdict, open_tasks()) == ("unknown", [TaskKind.WITHDRAWN])


def test_a_bank_that_turns_unreadable_undoes_nothing_and_is_matched_when_it_is_back(
    make_bank: MakeBank, office: Any
) -> None:
    bank = make_bank("LIST", exact_entry(DATA))
    asset = take()
    tasks.match_changes()
    away = bank.path / "away"
    (bank.path / "manifest.json").rename(away)
    (bank.path / "manifest.json").mkdir()
    with pytest.raises(BankNotFound):
        tasks.match_changes()
    missed = take(b"another file")
    asset.refresh_from_db()
    assert (asset.verdict, open_tasks()) == ("known", [])
    (bank.path / "manifest.json").rmdir()
    away.rename(bank.path / "manifest.json")
    Bank.open(bank.path).add([exact_entry(b"another file")])
    tasks.match_changes()
    missed.refresh_from_db()
    assert missed.verdict == "known"


def test_what_the_command_line_adds_while_the_worker_is_stopped_is_met_when_it_starts(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(90))
    first, second = take(draw_png(1)), take(draw_png(2))
    tasks.match_changes()
    tasks.forget()
    bank.add([near_entry(1), near_entry(2)])
    take(draw_png(1))  # comes again meanwhile
    assert tasks.match_changes() == 1
    assert {acts_of(one)[-1] for one in (first, second)} == {"asset.matched"}
    assert open_tasks() == [TaskKind.NEW_HIT, TaskKind.NEW_HIT]


def test_two_workers_that_come_round_at_once_tell_a_change_once(make_bank: MakeBank, monkeypatch: Any) -> None:
    """The second compares before the first has written, and finds nothing left once it holds the rows."""
    bank = make_bank("LIST")
    asset = take()
    tasks.match_changes()
    bank.add([exact_entry(DATA)])
    real, inner = matches._compare, []

    def compare(*arguments: Any) -> Any:
        found = list(real(*arguments))
        if not inner:
            inner.append(1)
            assert tasks.match_changes() == 1
        return iter(found)

    monkeypatch.setattr(matches, "_compare", compare)
    assert tasks.match_changes() == 0
    assert (open_tasks(), acts_of(asset)) == ([TaskKind.NEW_HIT], ["asset.matched"])


# --- many at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_long_list_meets_all_it_knows_in_few_transactions(
    make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    monkeypatch.setattr(matches, "_IN_AT_ONCE", 20)
    bank = make_bank("LIST")
    held = [take(f"file {number}".encode()) for number in range(45)]
    tasks.match_changes()
    bank.add([Entry(kind=Kind.ILLEGAL, fingerprints={algorithm: bytes.fromhex(getattr(a, algorithm))}) for a in held])
    with CaptureQueriesContext(connection) as queries:
        assert tasks.match_changes() == 45
    begun = [q["sql"] for q in queries if q["sql"].startswith(("BEGIN", "SAVEPOINT"))]
    assert len(begun) < 10
    assert set(Asset.objects.values_list("verdict", flat=True)) == {"known"}
    assert len(open_tasks()) == 45
    assert Line.objects.filter(act="asset.matched").count() == 45


def test_what_stays_as_it_is_is_not_locked(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", exact_entry(DATA))
    take()
    tasks.match_changes()
    tasks.forget()
    bank.add([exact_entry(b"nobody has it")])
    with CaptureQueriesContext(connection) as queries:
        assert tasks.match_changes() == 0
    assert not any('UPDATE "evidence_asset' in query["sql"] for query in queries)
    assert Line.objects.filter(act="bank.matched").count() == 2


def test_reading_every_row_finds_what_single_look_ups_find(
    make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [take(f"file {number}".encode()) for number in range(9)]
    bank = make_bank("LIST", *(exact_entry(f"file {number}".encode()) for number in range(0, 9, 2)))
    singly = tasks.find_met(bank)
    monkeypatch.setattr(tasks, "_ASKED_SINGLY", 0)
    assert tasks.find_met(bank) == singly == {asset.pk for asset in held[::2]}
