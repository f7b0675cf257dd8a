"""Large fingerprints of a source: fetched after its list, kept as files, gone with their record; a fault costs one."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.subscriptions.killing import Killed, killed_at

from leadline.domain import Kind
from leadline.exchange.connector import Page, Record
from leadline.exchange.mock.base import PASSWORD, USER, Asked, Fault, FaultKind, Reply, serving
from leadline.exchange.mock.ncmec import FIRST_S, NcmecMock
from leadline.exchange.ncmec import NcmecConnector
from leadline.match.bank import Bank
from leadline.subscriptions import large, large_files, large_rows
from leadline.subscriptions.folder import SecretSource, Subscription, Subscriptions
from leadline.subscriptions.health import Health, describe_source
from leadline.subscriptions.holdings import Holdings
from leadline.subscriptions.importing import Importer, Outcome
from leadline.subscriptions.large import LargePrint, read_large
from leadline.subscriptions.pulling import Wish, pull_source

NOW_S = 1_795_000_000.0


class Linking(NcmecMock):
    """Paths in `broken` are answered so."""

    broken: dict[str, Reply]

    def answer(self, asked: Asked) -> Reply:
        return self.broken.get(asked.path) or super().answer(asked)


class Place:
    """One source with a stand-in, pulled as by a process each time."""

    def __init__(self, folder: Path, mock: Linking, address: str) -> None:
        self.mock, self.now = mock, NOW_S
        mock.clock = lambda: self.now
        environment = {"USER_OF_IT": USER, "PASSWORD_OF_IT": PASSWORD}
        self.sources = Subscriptions(folder / "sources", environment, lambda: pytest.fail("nothing is sealed"))
        self.bank_path = Bank.create(folder / "bank", name="FAR", kind=Kind.OTHER).path
        secrets = {name: SecretSource(variable=f"{name.upper()}_OF_IT") for name in ("user", "password")}
        self.sources.add(Subscription("far", "ncmec", {"address": address}, str(self.bank_path), Kind.OTHER), secrets)

    def put(self, name: str, content: bytes, *, time_s: int = 0, version: str = "", path: str = "") -> str:
        """A record with an MD5 and a link; another `version` of it has another MD5."""
        path = path or f"/v2/large/{name}"
        self.mock.large[path] = content
        md5 = hashlib.sha256(f"{name}{version}".encode()).hexdigest()[:32]
        prints = f'<md5>{md5}</md5><tmk-pdqf rel="self" href="{path}"/>'
        return self.mock.put(name, prints, time_s=time_s or int(self.now))

    def set(self, **options: Any) -> None:
        self.sources.set_options("far", {**self.sources.get("far").options, **options})

    def pull(self, **wish: Any) -> Outcome:
        self.now += 600
        return pull_source(self.sources, "far", Wish(**wish), clock=lambda: self.now, sleep=lambda seconds: None)

    @property
    def asked(self) -> Counter[str]:
        """Links that were followed, by name."""
        return Counter(one.path.rpartition("/")[2] for one in self.mock.asked if one.path.startswith("/v2/large/"))

    @property
    def held(self) -> list[LargePrint]:
        return list(read_large(self.sources, "far"))

    @property
    def contents(self) -> dict[str, bytes]:
        return {one.key: one.path.read_bytes() for one in self.held}

    @property
    def health(self) -> Health:
        return describe_source(self.sources, "far", self.now)

    @property
    def files(self) -> set[str]:
        folder = self.sources.large_path("far")
        return {path.name for path in folder.rglob("*") if path.is_file()}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    mock = Linking(entries=0, page_size=10)
    mock.broken = {}
    with serving(mock) as address:
        yield Place(tmp_path, mock, address)


def test_they_are_kept_as_files_by_their_sha256_and_told_with_record_entry_and_kind(place: Place) -> None:
    keys = [place.put(name, name.encode() * 100_000) for name in ("a", "b")]
    outcome = place.pull()
    assert (outcome.added, outcome.large.kept, outcome.large.missing, outcome.large.stopped) == (2, 2, 0, "")
    ids = {entry.source_id: entry.id for entry in Bank.open(place.bank_path).entries()}
    assert [(one.kind, one.key, one.entry_id) for one in place.held] == [("tmk_pdqf", key, ids[key]) for key in keys]
    assert place.contents == {"41-a": b"a" * 100_000, "41-b": b"b" * 100_000}
    for one in place.held:
        assert (one.path.name, one.digest.hex(), one.size) == (sha(one.path.read_bytes()), one.path.name, 100_000)
        assert one.path.stat().st_mode & 0o77 == 0, "for its owner alone"
    (count,) = place.health.large.counts
    assert count == large_rows.LargeCount("tmk_pdqf", 2, 200_000, 0)


def test_what_is_held_is_not_fetched_again_and_no_address_is_stored(place: Place, tmp_path: Path) -> None:
    place.put("a", b"a" * 50)
    place.pull()
    place.pull()
    assert place.asked == {"a": 1}
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    assert not any(b"/v2/large" in one for one in stored)


def test_a_dry_run_fetches_none(place: Place) -> None:
    place.put("a", b"a" * 50)
    place.pull(is_dry=True)
    assert not place.asked
    assert not place.held


def test_a_record_that_changed_is_fetched_anew_and_what_it_led_to_before_is_gone(place: Place) -> None:
    place.put("a", b"first")
    place.pull()
    place.put("a", b"second", version="2")
    assert place.pull().changed == 1
    assert place.contents == {"41-a": b"second"}
    assert place.files == {sha(b"second")}


def test_what_a_changed_record_led_to_before_stays_until_its_new_state_has_come(place: Place) -> None:
    place.put("a", b"first")
    place.pull()
    place.put("a", b"second", version="2")
    place.mock.broken["/v2/large/a"] = Reply(404)
    outcome = place.pull()
    assert (outcome.large.failed, outcome.large.missing, place.contents) == (1, 1, {"41-a": b"first"})
    place.mock.broken.clear()
    place.pull()
    assert place.contents == {"41-a": b"second"}


def test_a_record_that_leads_to_none_any_more_holds_none(place: Place) -> None:
    key = place.put("a", b"first")
    place.pull()
    place.mock.put("a", f"<md5>{'ab' * 16}</md5>", time_s=int(place.now))
    place.pull()
    assert (place.held, place.files) == ([], set())
    assert [entry.source_id for entry in Bank.open(place.bank_path).entries()] == [key]


def test_with_its_record_it_is_withdrawn_and_its_file_goes_with_the_last_that_leads_to_it(place: Place) -> None:
    first, second = place.put("a", b"shared"), place.put("b", b"shared")
    place.put("c", b"other")
    place.pull()
    assert place.files == {sha(b"shared"), sha(b"other")}
    place.mock.withdraw(first)
    place.pull()
    assert (set(place.contents), place.files) == ({"41-b", "41-c"}, {sha(b"shared"), sha(b"other")})
    place.mock.withdraw(second)
    place.pull()
    assert (set(place.contents), place.files) == ({"41-c"}, {sha(b"other")})


def test_what_is_withdrawn_is_gone_although_the_source_breaks_later(place: Place) -> None:
    key = place.put("a", b"first", time_s=FIRST_S)
    place.pull()
    place.mock.withdraw(key)
    for number in range(25):
        place.mock.put(f"e{number}", f"<md5>{number:032x}</md5>", time_s=int(place.now) + 100)
    place.mock.faults.append(Fault(FaultKind.MALFORMED, after=2, times=9))
    with pytest.raises(large.ExchangeError):
        place.pull()
    assert (place.held, place.files) == ([], set())


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(404), "page-expired"),
        (Reply(403), "credentials-refused"),
        (Reply(200, b"", "application/octet-stream"), "empty"),
        (Reply(200, b"<html>", "text/html"), "source-broken"),
        (Reply(200, b"x" * 1_000_001, "application/octet-stream"), "too-large"),
        (Reply(302, headers={"location": "http://10.1.2.3/elsewhere"}), "redirected"),
    ],
)
def test_one_that_fails_costs_no_other_is_named_and_comes_with_the_next_pull(
    place: Place, reply: Reply, why: str
) -> None:
    place.set(large_mb=1)
    for name in ("a", "b", "c"):
        place.put(name, name.encode() * 9)
    place.mock.broken["/v2/large/b"] = reply
    outcome = place.pull()
    assert (outcome.is_complete, outcome.large.kept, outcome.large.failed, outcome.large.missing) == (True, 2, 1, 1)
    assert outcome.large.faults == [f"41-b tmk_pdqf: {why}"]
    told = place.health.large
    assert (told.reasons, told.failed) == ({why: 1}, (large_rows.Failed("41-b", "tmk_pdqf", why),))
    assert len(place.files) == 2, "nothing half is left"
    place.mock.broken.clear()
    assert place.pull().large.kept == 1
    assert (set(place.contents), place.health.large.reasons) == ({"41-a", "41-b", "41-c"}, {})
    assert place.asked["a"] == place.asked["c"] == 1


def test_a_body_that_is_cut_short_is_none(place: Place) -> None:
    place.put("a", b"a" * 99_999)
    place.mock.faults.append(Fault(FaultKind.CUT, after=3))  # status, the list, the list again
    assert place.pull().large.faults == ["41-a tmk_pdqf: cut-short"]
    assert not place.files
    assert place.pull().large.kept == 1


def test_a_link_to_another_host_is_not_followed(place: Place) -> None:
    place.mock.put("a", f'<md5>{"ab" * 16}</md5><tmk-pdqf href="http://10.1.2.3/x"/>', time_s=int(place.now))
    assert place.pull().large.faults == ["41-a tmk_pdqf: redirected"]


def test_a_source_that_answers_nothing_is_not_asked_for_ever(place: Place) -> None:
    for number in range(9):
        place.put(f"n{number}", b"x")
        place.mock.broken[f"/v2/large/n{number}"] = Reply(503)
    outcome = place.pull()
    assert (outcome.large.failed, outcome.large.missing, outcome.large.stopped) == (5, 9, "remote-status")
    place.mock.broken.clear()
    assert place.pull().large.kept == 9


def test_no_more_is_kept_than_the_cap_and_the_rest_comes_once_it_is_raised(place: Place) -> None:
    place.set(large_gb=0.00025)
    for name in ("a", "b", "c", "d"):
        place.put(name, name.encode() * 100_000)
    outcome = place.pull()
    assert (outcome.large.kept, outcome.large.missing, outcome.large.stopped) == (2, 2, "storage-full")
    assert (place.health.large.reasons, len(place.files)) == ({"storage-full": 2}, 2)
    assert place.pull().large.stopped == "storage-full"
    place.set(large_gb=1)
    outcome = place.pull()
    assert (outcome.told, outcome.large.kept, outcome.large.missing) == (0, 2, 0), "and the list is not told again"
    assert len(place.contents) == 4


def test_switched_off_none_is_fetched_and_each_is_counted(place: Place) -> None:
    place.set(large_gb=0)
    place.put("a", b"a")
    assert (place.pull().large.stopped, place.asked, place.health.large.reasons) == (
        "switched-off", {}, {"switched-off": 1},
    )  # fmt: skip
    place.set(large_gb=1)
    assert place.pull().large.kept == 1


def test_a_disk_that_is_nearly_full_is_left_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_files.LargeFiles, "free_bytes", property(lambda self: 1 << 30))
    place.put("a", b"a")
    assert (place.pull().large.stopped, dict(place.asked)) == ("disk-full", {})


def test_a_disk_that_takes_no_more_stops_it_and_the_pull_stands(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, pieces: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large_files.LargeFiles, "write", full)
    place.put("a", b"a")
    outcome = place.pull()
    assert (outcome.is_complete, outcome.added, outcome.large.stopped) == (True, 1, "disk-full")


def test_a_pull_fetches_for_so_long_and_the_next_one_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        place.put(f"n{number}", b"%d" % number)
    real = large_files.LargeFiles.write

    def slow(self: Any, pieces: Any) -> Any:
        place.now += 200
        return real(self, pieces)

    monkeypatch.setattr(large_files.LargeFiles, "write", slow)
    outcome = place.pull()
    assert (outcome.large.kept, outcome.large.missing, outcome.large.stopped) == (2, 3, "next-pull")
    assert (place.pull().large.missing, place.pull().large.missing) == (1, 0)
    assert sum(place.asked.values()) == 5


def test_a_source_that_is_slow_to_tell_nothing_of_what_is_missing_holds_up_no_list(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        place.put(f"n{number}", b"x", time_s=FIRST_S + 86_400 * number)
    asked = []

    def slow(self: object, after_s: int, until_s: int) -> Iterator[Page]:
        place.now += 200
        asked.append(after_s)
        return iter(())

    monkeypatch.setattr(NcmecConnector, "tell_again", slow)
    outcome = place.pull()
    assert (len(asked), outcome.large.failed, outcome.large.stopped) == (2, 2, "next-pull")
    place.pull()
    assert (len(set(asked)), place.health.large.reasons) == (4, {"not-told": 4, "next-pull": 5}), "others come first"


def test_one_that_trickles_in_is_given_up_for_this_pull(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = large_files.LargeFiles.write

    def slow(self: Any, pieces: Iterator[bytes]) -> Any:
        def slowly() -> Iterator[bytes]:
            for piece in pieces:
                place.now += 50
                yield piece

        return real(self, slowly())

    monkeypatch.setattr(large_files.LargeFiles, "write", slow)
    place.put("a", bytes(1_000_000))
    assert place.pull().large.faults == ["41-a tmk_pdqf: timeout"]
    assert not place.files
    monkeypatch.undo()
    assert place.pull().large.kept == 1


def test_no_more_than_a_piece_is_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    content, seen, real = bytes(5_000_000), [], large_files.LargeFiles.write

    def watched(self: Any, pieces: Iterator[bytes]) -> Any:
        return real(self, (seen.append(len(piece)) or piece for piece in pieces))  # type: ignore[func-returns-value]

    monkeypatch.setattr(large_files.LargeFiles, "write", watched)
    place.put("a", content)
    place.pull()
    assert (sum(seen), max(seen) <= 1 << 17) == (len(content), True)


def test_far_more_than_are_asked_for_at_once_all_come(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "_AT_ONCE", 3)
    for number in range(11):
        place.put(f"n{number}", b"%d" % number, time_s=FIRST_S + 40 * (number // 2) + 86_400 * (number // 6))
    assert place.pull().large.kept == 11
    assert sum(place.asked.values()) == 11


def test_one_of_an_entry_that_a_person_took_out_or_suspended_is_not_given_to_programs(place: Place) -> None:
    for name in ("a", "b", "c"):
        place.put(name, name.encode())
    place.pull()
    bank = Bank.open(place.bank_path)
    by_key = {entry.source_id: entry for entry in bank.entries()}
    bank.remove([by_key["41-a"].id or 0])
    bank.update([msgspec.structs.replace(by_key["41-b"], disabled_until=1 << 40)])
    assert set(place.contents) == {"41-c"}


def test_what_somebody_removed_from_the_disk_is_fetched_again(place: Place) -> None:
    place.put("a", b"a")
    place.pull()
    shutil.rmtree(place.sources.large_path("far"))
    assert not place.held
    assert place.pull().large.kept == 1
    assert place.contents == {"41-a": b"a"}


def test_of_holdings_that_are_lost_only_what_the_source_still_tells_comes_back(place: Place) -> None:
    gone = place.put("gone", b"gone")
    place.put("a", b"a")
    place.pull()
    place.mock.withdraw(gone)
    for path in place.sources.path("far").glob("holdings.sqlite*"):
        path.unlink()
    place.pull()
    assert (place.contents, place.files) == ({"41-a": b"a"}, {sha(b"a")})


def test_another_bank_has_the_list_told_again_once_and_nothing_fetched_again(place: Place) -> None:
    place.put("a", b"a")
    place.pull()
    shutil.rmtree(place.bank_path)
    Bank.create(place.bank_path, name="FAR", kind=Kind.OTHER)
    assert [place.pull().added, place.pull().told] == [1, 0]
    assert (place.contents, dict(place.asked)) == ({"41-a": b"a"}, {"a": 1})


def test_a_list_that_was_told_before_they_were_kept_is_told_again_once(place: Place) -> None:
    place.put("a", b"a")
    place.pull()
    with closing(sqlite3.connect(place.sources.holdings_path("far"))) as file:
        file.executescript(
            "DROP TABLE large; DROP TABLE loose; DELETE FROM fact WHERE name = 'large'; PRAGMA user_version = 2;"
        )
    outcome = place.pull()
    assert (outcome.same, outcome.changed, outcome.large.kept) == (1, 0, 1)
    assert place.pull().told == 0


def test_what_a_whole_list_no_longer_tells_goes(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank", name="FAR", kind=Kind.OTHER)
    records = [Record(key, key.encode() * 32, None, {"odd": ""}, {"odd": "/x"}, 9) for key in ("a", "b")]
    with closing(Holdings(tmp_path / "holdings.sqlite")) as holdings:
        for told in (records, records[1:]):
            page = Page(told, {"at": 1}, begins_whole=True, is_last=True)
            Importer(bank, holdings).run(iter([page]))
        assert [due.key for due in holdings.large.due(large._BEFORE_ALL, 9)] == ["b"]


# --- kills ------------------------------------------------------------------------------------------------------------


STEPS = (
    (large_files.LargeFiles, "write"), (large_files.LargeFiles, "keep"), (large_files.LargeFiles, "remove"),
    (large_rows.LargeRows, "expect"), (large_rows.LargeRows, "take"), (large_rows.LargeRows, "forget_loose"),
    (Holdings, "settle"),
)  # fmt: skip


def test_killed_at_any_step_the_next_pull_holds_all_and_only_what_is_told(tmp_path: Path) -> None:
    mock, number, was_killed = Linking(entries=0), 0, True
    mock.broken = {}
    with serving(mock) as address:
        while was_killed:
            folder = tmp_path / str(number)
            folder.mkdir()
            mock._later, mock.asked = [], []
            place = Place(folder, mock, address)
            gone = place.put("gone", b"gone")
            place.put("changed", b"first")
            place.pull()
            mock.withdraw(gone)
            place.put("changed", b"second", version="2")
            place.put("new", b"new")
            was_killed = False
            try:
                with killed_at(number, STEPS):
                    place.pull()
            except Killed:
                was_killed = True
            place.pull()
            assert place.contents == {"41-changed": b"second", "41-new": b"new"}, number
            assert place.files == {sha(b"second"), sha(b"new")}, number
            assert sum(place.asked.values()) <= 5, "of what was fetched before the kill one at most comes again"
            number += 1
    assert number > 15
