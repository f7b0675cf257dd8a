"""A list that changes is matched against everything held: only what changed, without media, within the worker's round."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from tests.workbench.evidence.conftest import MakeBank, draw_png, exact_entry, near_entry

from leadline.domain import Kind
from leadline.errors import BankNotFound
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.models import Asset, AssetMatch, BankSeen, Task, TaskKind
from leadline.workbench.journal.models import Line


def take(seed: int) -> Asset:
    return actions.take_in(draw_png(seed), actor="somebody", source="test")


def open_tasks() -> list[tuple[str, Any]]:
    return [(task.kind, task.asset_id) for task in Task.objects.filter(done_at__isnull=True).order_by("id")]


def test_a_new_entry_finds_an_asset_that_is_held_already(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(90))
    asset, other = take(1), take(2)
    assert tasks.match_changes() == 0
    bank.add([near_entry(1, label="made-up-label")])
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    other.refresh_from_db()
    assert (asset.verdict, asset.inferred_label, other.verdict) == ("near", "made-up-label", "unknown")
    assert open_tasks() == [(TaskKind.NEW_HIT, asset.pk)]
    line = Line.objects.get(act="asset.matched", object_id=str(asset.pk))
    assert line.reason == "list-changed"


def test_an_exact_entry_that_arrives_later_sets_the_asset_aside(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(90))
    asset = take(1)
    tasks.match_changes()
    bank.add([exact_entry(draw_png(1))])
    tasks.match_changes()
    asset.refresh_from_db()
    assert (asset.verdict, asset.is_set_aside) == ("known", True)


def test_a_withdrawn_entry_undoes_the_label_and_says_so(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(1, label="made-up-label"))
    asset = take(1)
    tasks.match_changes()
    bank.remove([1])
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert (asset.verdict, asset.inferred_kind, asset.inferred_label) == ("unknown", "", "")
    assert AssetMatch.objects.get(asset=asset).withdrawn_at is not None
    assert open_tasks() == [(TaskKind.WITHDRAWN, asset.pk)]
    assert Line.objects.filter(act="asset.match-withdrawn", object_id=str(asset.pk)).count() == 1


def test_an_entry_that_says_something_else_now_changes_the_label(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(1, label="one"))
    asset = take(1)
    tasks.match_changes()
    bank.update([near_entry(1, id=1, label="two")])
    tasks.match_changes()
    asset.refresh_from_db()
    assert asset.inferred_label == "two"


def test_nothing_is_asked_twice_where_no_list_changed(make_bank: MakeBank) -> None:
    make_bank("LIST", near_entry(1))
    take(1)
    tasks.match_changes()
    lines = Line.objects.count()
    tasks.match_changes()
    assert Line.objects.count() == lines
    assert open_tasks() == []


def test_only_the_changed_entries_are_matched(make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = make_bank("LIST", *(near_entry(seed) for seed in range(50, 60)))
    take(1)
    tasks.match_changes()
    sizes: list[int] = []
    real = tasks.find_met

    def find_met(asked: Bank) -> set[Any]:
        sizes.append(asked.snapshot.alive_count)
        return real(asked)

    monkeypatch.setattr(tasks, "find_met", find_met)
    bank.add([near_entry(1)])
    assert tasks.match_changes() == 1
    bank.merge()
    bank.add([near_entry(2)])
    take(3)
    tasks.match_changes()
    assert sizes == [1, 1]


def test_after_a_restart_a_changed_list_is_matched_in_full(make_bank: MakeBank) -> None:
    bank = make_bank("LIST", near_entry(90))
    asset = take(1)
    tasks.match_changes()
    bank.add([near_entry(1)])
    tasks.forget()
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert asset.verdict == "near"


def test_a_round_that_was_cut_is_done_again(make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = make_bank("LIST", near_entry(90))
    asset = take(1)
    tasks.match_changes()
    bank.add([near_entry(1)])

    def cut(*_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(actions, "match_again", cut)
        with pytest.raises(KeyboardInterrupt):
            tasks.match_changes()
    assert tasks.match_changes() == 1
    asset.refresh_from_db()
    assert asset.verdict == "near"


def test_a_file_taken_in_while_a_list_changes_asks_the_newer_list(
    make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round has announced the new entry and walked past; the file was matched against the list before it."""
    bank = make_bank("LIST", near_entry(90))
    tasks.match_changes()
    real, asked = Matcher.match, []

    def match(self: Matcher, files: Any) -> Any:
        answers = real(self, files)
        if not asked:
            asked.append(1)
            bank.add([near_entry(1)])
            tasks.match_changes()
        return answers

    monkeypatch.setattr(Matcher, "match", match)
    assert take(1).verdict == "near"


def test_a_ban_that_runs_out_counts_as_a_change(make_bank: MakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    later = int(time.time()) + 3600
    make_bank("LIST", near_entry(1, disabled_until=later))
    asset = take(1)
    tasks.match_changes()
    asset.refresh_from_db()
    assert asset.verdict == "unknown"
    monkeypatch.setattr(Bank, "now", lambda self: later + 10)
    from datetime import UTC, datetime

    monkeypatch.setattr(tasks.timezone, "now", lambda: datetime.fromtimestamp(later + 10, UTC))
    assert tasks.match_changes() == 1


def test_a_bank_that_is_gone_undoes_nothing_and_is_a_fault(make_bank: MakeBank, office: Any) -> None:
    bank = make_bank("LIST", near_entry(1))
    asset = take(1)
    tasks.match_changes()
    away = office.home / "away"
    shutil.move(bank.path, away)
    with pytest.raises(BankNotFound):
        tasks.match_changes()
    asset.refresh_from_db()
    assert asset.verdict == "near"
    unmatched = take(2)
    assert BankSeen.objects.get().list_version == -1
    shutil.move(away, bank.path)
    Bank.open(bank.path).add([near_entry(2)])
    tasks.match_changes()
    unmatched.refresh_from_db()
    assert unmatched.verdict == "near"


def test_a_false_positive_of_another_bank_marks_what_was_found_before(
    make_bank: MakeBank, let_act: Callable[[], None]
) -> None:
    make_bank("LIST", near_entry(1))
    ours = make_bank("OURS", kind=Kind.FALSE_POSITIVE)
    asset = take(1)
    tasks.match_changes()
    ours.add([exact_entry(draw_png(1), Kind.FALSE_POSITIVE)])
    tasks.match_changes()
    asset.refresh_from_db()
    assert asset.inferred_kind == "illegal"  # nobody stands for it yet
    let_act()
    tasks.match_changes()
    asset.refresh_from_db()
    assert asset.inferred_kind == "false-positive"
    assert asset.matches.get(bank="LIST").suppressed_by == "OURS/1"
