"""`leadline feed`: keys, publishing, subscribing, pulling, receipts, checking, as two organisations would."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import MD5, Run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def keys(run: Run, tmp_path: Path, home: Path) -> Path:
    """Of a publisher and of a subscriber, whose card is an agreement already."""
    assert run("feed", "keygen", tmp_path / "keys", "--publisher", "Example Hotline").code == 0
    assert run("feed", "keygen", tmp_path / "mine", "--subscriber", "Hotline B").code == 0
    agree(tmp_path, tlp="amber+strict", kinds=["illegal", "benign"])
    return tmp_path / "keys"


def agree(tmp_path: Path, **terms: Any) -> None:
    card = json.loads((tmp_path / "mine/subscriber.json").read_text())
    (tmp_path / "partners").mkdir(exist_ok=True)
    (tmp_path / "partners/b.json").write_text(json.dumps({**card, **terms}))


def publish(run: Run, bank: Path, *more: object) -> Any:
    there = bank.parent
    return run(
        "feed", "publish", bank, "--dir", there / "feed", "--keys", there / "keys", "--subscribers",
        there / "partners", "--reason", "agreement 12", *more,
    )  # fmt: skip


def test_two_organisations_share_a_list_and_a_withdrawal_is_proven(run: Run, bank: Path, keys: Path) -> None:
    there = bank.parent
    (told,) = publish(run, bank, "--json").objects
    assert (told["version"], told["new"], told["told"][0]["entries"], told["told"][0]["name"]) == (
        1,
        True,
        3,
        "Hotline B",
    )
    added = run(
        "feed", "subscribe", "partner", "--from", there / "feed", "--root", keys / "1.root.json",
        "--key", there / "mine/subscriber.key", "--kind", "illegal", "--bank", there / "theirs",
    )  # fmt: skip
    assert added.code == 0, added.err
    (pulled,) = run("exchange", "pull", "partner", "--json").objects
    assert (pulled["ok"], pulled["added"], pulled["entries"]) == (True, 2, 2)  # the benign one was not wanted
    assert run("match", MD5, "--bank", there / "theirs", "--json").objects[0]["matches"]
    assert run("feed", "receipts", bank, "--json").objects[0]["confirmed"] == 1
    run("bank", "remove", bank, "7")
    publish(run, bank)
    (owing,) = run("feed", "receipts", bank, "--json").objects
    assert (owing["owed"], owing["serial"], owing["confirmed"], owing["overdue"]) == (1, 2, 1, False)
    checked = run("exchange", "check", "partner").out
    assert "about 2 entries for us" in checked, "the whole list, less what was withdrawn after it"
    opened = ("--root", keys / "1.root.json", "--key", there / "mine/subscriber.key", "--json")
    assert run("feed", "verify", there / "feed", *opened).objects[0]["entries"] == 2
    assert run("exchange", "pull", "partner", "--json").objects[0]["withdrawn"] == 1
    assert not run("match", MD5, "--bank", there / "theirs", "--json").objects[0]["matches"]
    settled = run("feed", "receipts", bank)
    assert settled.code == 0
    assert "Hotline B: in time" in settled.out
    assert "2 of 2" in settled.out
    history = run("feed", "receipts", bank, "--history", "--json").objects
    assert [(done["version"], done["withdrawn"], done["reason"]) for done in history] == [
        (1, 0, "agreement 12"), (2, 1, "agreement 12"),
    ]  # fmt: skip


def test_who_is_overdue_makes_exit_4(run: Run, bank: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(run, bank)
    run("bank", "remove", bank, "7")
    publish(run, bank, "--withdraw-within", "1h")
    assert run("feed", "receipts", bank).code == 0
    later_s = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later_s)
    ended = run("feed", "receipts", bank)
    assert ended.code == 4
    assert "Hotline B: OVERDUE" in ended.out


def test_a_person_sees_what_is_published_and_checked_and_how_far(run: Run, bank: Path, keys: Path, watch: Any) -> None:
    terminal = watch()
    assert publish(run, bank).code == 0
    assert "3/? entries of known" in terminal.text
    checked = run("feed", "verify", bank.parent / "feed", "--root", keys / "1.root.json")
    assert checked.code == 0
    assert f"files of {bank.parent / 'feed'}" in terminal.text


def test_publishing_again_has_nothing_to_do(run: Run, bank: Path, keys: Path) -> None:
    assert publish(run, bank).code == 0
    ended = publish(run, bank)
    assert ended.code == 0
    assert "nothing to do" in ended.out


def test_who_publishes_is_told_what_an_agreement_does_not_let_out(run: Run, bank: Path, keys: Path) -> None:
    agree(bank.parent, tlp="green", kinds=["illegal"])
    told = publish(run, bank).out
    assert "Hotline B: state 1, 0 entries, 0 withdrawn" in told
    assert "stay here: 1 for their kind, 2 for their TLP" in told
    run("bank", "set", bank, "--tlp", "red")
    agree(bank.parent, tlp="amber", kinds=["illegal"])
    assert publish(run, bank).code == 0


def test_an_illegal_bank_without_a_reason_is_not_published(run: Run, bank: Path, keys: Path) -> None:
    there = bank.parent
    ended = run("feed", "publish", bank, "--dir", there / "feed", "--keys", keys, "--subscribers", there / "partners")
    assert ended.code == 2
    assert "leave with a reason" in ended.faults[0]
    assert not (there / "feed").exists()


@pytest.mark.parametrize("terms", [{}, {"tlp": "red", "kinds": ["illegal"]}, {"tlp": "green", "kinds": []}])
def test_a_card_that_nothing_was_agreed_about_is_refused(run: Run, bank: Path, keys: Path, terms: Any) -> None:
    agree(bank.parent, **terms)
    ended = publish(run, bank)
    assert ended.code == 2
    assert "b.json" in ended.faults[0]


def test_verify_says_what_a_feed_holds_and_what_is_wrong_with_it(run: Run, bank: Path, keys: Path) -> None:
    there, root = bank.parent, ("--root", keys / "1.root.json")
    publish(run, bank)
    mine = ("--key", there / "mine/subscriber.key")
    (sound,) = run("feed", "verify", there / "feed", *root, *mine, "--json").objects
    assert (sound["sound"], sound["publisher"], sound["entries"], sound["files"]) == (True, "Example Hotline", 3, 1)
    assert run("feed", "verify", there / "feed", *root).code == 0
    (contents,) = (there / "feed/targets").glob("*/*.age")
    contents.write_bytes(contents.read_bytes()[:-1])
    for more in ((), mine):
        ended = run("feed", "verify", there / "feed", *root, *more, "--json")
        assert (ended.code, ended.objects[0]["sound"], ended.objects[0]["code"]) == (4, False, "damaged")
    assert run("feed", "verify", there / "absent", *root).code == 1
    assert run("feed", "verify", there / "feed", "--root", there / "partners/b.json").code == 2


def test_keys_are_private_and_never_made_over(run: Run, bank: Path, keys: Path) -> None:
    there = bank.parent
    private = [*keys.glob("*.key"), there / "mine/subscriber.key"]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600] * 3
    before = [path.read_bytes() for path in private]
    assert run("feed", "keygen", keys, "--publisher", "Other").code == 2
    assert run("feed", "keygen", there / "mine", "--subscriber", "Other").code == 2
    assert [path.read_bytes() for path in private] == before
    for arguments in ((), ("--publisher", "A", "--subscriber", "B"), ("--subscriber", "B", "--with", "x")):
        assert run("feed", "keygen", there / "new", *arguments).code == 2
    for path in private:
        text = path.read_text().strip()
        assert text not in run("feed", "keygen", keys, "--publisher", "Other").err


def test_subscribers_follow_a_rotation_with_a_root_key_from_elsewhere(run: Run, bank: Path, keys: Path) -> None:
    there = bank.parent
    publish(run, bank)
    run(
        "feed", "subscribe", "partner", "--from", there / "feed", "--root", keys / "1.root.json",
        "--key", there / "mine/subscriber.key", "--kind", "illegal", "--bank", there / "theirs",
    )  # fmt: skip
    run("exchange", "pull", "partner")
    (there / "safe").mkdir()
    shutil.move(keys / "root-1.key", there / "safe")
    assert run("feed", "keygen", keys, "--rotate").code == 2
    assert run("feed", "keygen", keys, "--rotate", "--with", there / "safe/root-1.key").code == 0
    os.unlink(keys / "online-1.key")
    assert publish(run, bank).code == 0
    (pulled,) = run("exchange", "pull", "partner", "--json").objects
    assert (pulled["ok"], pulled["same"]) == (True, 2)


def test_a_source_needs_a_root_and_a_key_that_are_such(run: Run, bank: Path, keys: Path, home: Path) -> None:
    there = bank.parent
    good = {"--root": keys / "1.root.json", "--key": there / "mine/subscriber.key"}
    for wrong in ({"--root": there / "partners/b.json"}, {"--key": keys / "online-1.key"}, {"--root": there / "no"}):
        given = [part for pair in {**good, **wrong}.items() for part in pair]
        ended = run("feed", "subscribe", "partner", "--from", there / "feed", *given, "--kind", "illegal")
        assert ended.code == 2, wrong
        assert len(ended.faults) == 1
    assert run("exchange", "list", "--json").objects == []
