"""What is published: which entries to whom, nothing twice, nothing lost to a kill."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.exchange.feed.conftest import DAY_S, Clock, Publisher, entry, md5

from leadline.domain import Kind, Tlp
from leadline.errors import BankError, ConfigError, FeedRefused, KeyUnavailable
from leadline.exchange.base import EntryDefaults
from leadline.exchange.feed.contents import Reading
from leadline.exchange.feed.roots import create_roots
from leadline.exchange.feed.shelf import Shelf
from leadline.match.bank import Bank


def contents(publisher: Publisher, reader_id: str) -> list[Path]:
    return sorted((publisher.feed / "targets" / reader_id).iterdir())


def test_a_subscriber_holds_what_the_bank_holds_with_where_it_is_from(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([
        entry(7, label="A", scheme="uk", source="police", source_id="x-1", licence="CC0", first_seen=11, last_seen=12,
              fingerprints={"md5": md5(7), "pdq": b"\x33" * 32}, quality=90, note="for us alone", metadata='{"a":1}'),
        entry(9, kind=Kind.ILLEGAL, tlp=Tlp.AMBER),
    ])  # fmt: skip
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {7, 9}
    told = reader.held["7"]
    assert (told.kind, told.tlp, told.licence, told.scheme, told.label) == (Kind.OTHER, Tlp.GREEN, "CC0", "uk", "A")
    assert (told.fingerprints, told.quality) == ({"md5": md5(7), "pdq": b"\x33" * 32}, 90)
    assert (told.source, told.source_id, told.first_seen, told.last_seen) == ("partner", "7", 11, 12)
    assert '"publisher":"Example Hotline","origin":"police","origin_id":"x-1"' in told.metadata
    assert told.note == ""
    assert '"a"' not in told.metadata
    other = reader.held["9"]
    assert (other.kind, other.tlp, other.licence) == (Kind.ILLEGAL, Tlp.AMBER, "as agreed")


def test_only_what_changed_is_told_again(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(number) for number in range(1, 6)])
    publisher.publish()
    reader.pull(publisher.feed)
    publisher.bank.remove([2])
    publisher.bank.update([entry(3, label="other")])
    publisher.bank.add([entry(6)])
    assert publisher.publish().told == (("B", 2, 2, 1, False, {}),)
    reader.pull(publisher.feed)
    (page,) = reader.pages
    assert {record.key: record.entry is None for record in page.records} == {"2": True, "3": False, "6": False}
    assert reader.ids == {1, 3, 4, 5, 6}
    assert reader.held["3"].label == "other"


def test_publishing_again_writes_nothing(publisher: Publisher) -> None:
    publisher.admit("B")
    publisher.bank.add([entry(1)])
    assert publisher.publish().is_new
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in publisher.feed.rglob("*.*")}
    assert not publisher.publish().is_new
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in publisher.feed.rglob("*.*")} == before


def test_what_is_signed_is_signed_anew_before_it_expires(publisher: Publisher, clock: Clock) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    clock.now += 4 * DAY_S
    assert publisher.publish().is_new
    clock.now += 6 * DAY_S
    reader.pull(publisher.feed)
    assert reader.ids == {1}


def test_an_agreement_says_which_labels_and_kinds_leave_and_red_never_does(publisher: Publisher) -> None:
    strict = publisher.admit("strict")
    open_ = publisher.admit("open", tlp="green", kinds=("illegal",))
    publisher.bank.add(
        [entry(10 + at, kind=Kind.ILLEGAL, tlp=tlp) for at, tlp in enumerate(Tlp)]
        + [entry(20, kind=Kind.BENIGN), entry(21, tlp=Tlp.CLEAR)]
    )
    publisher.publish()
    for reader in (strict, open_):
        reader.pull(publisher.feed, takes_clearing=True)
    labels = {10 + at: tlp for at, tlp in enumerate(Tlp)}
    assert strict.ids == {number for number, tlp in labels.items() if tlp is not Tlp.RED} | {20, 21}
    assert open_.ids == {number for number, tlp in labels.items() if tlp in (Tlp.GREEN, Tlp.CLEAR)}


def test_an_agreement_that_narrows_withdraws_what_it_no_longer_lets_out(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1), entry(2, tlp=Tlp.AMBER)])
    publisher.publish()
    reader.pull(publisher.feed)
    publisher.agreements["B"]["tlp"] = "green"
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}


def test_a_bank_that_turns_red_withdraws_all(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    reader.pull(publisher.feed)
    publisher.bank.set_settings(tlp=Tlp.RED)
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == set()


def test_a_suspended_entry_is_withdrawn_and_comes_back(publisher: Publisher, clock: Clock) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1), entry(2, disabled_until=int(clock.now) + DAY_S)])
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}
    clock.now += 2 * DAY_S
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1, 2}


def test_entries_that_take_matches_away_come_in_only_where_wanted(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1), entry(2, kind=Kind.FALSE_POSITIVE, radius_bits=4)])
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}
    assert reader.pages[0].unknown == {"kind false-positive": 1}


def test_a_line_of_which_nothing_is_known_here_is_kept_and_counted_and_no_fault() -> None:
    reading = Reading(EntryDefaults(Kind.OTHER), frozenset(), takes_clearing=False, publisher="Example Hotline")
    line = b'{"id":7,"kind":"other","hashes":{"nobody-knows":"00ff"}}'
    (record,) = reading.records([line], "feed")
    assert (record.key, record.entry, record.kept) == ("7", None, {"nobody-knows": "00ff"})
    assert not reading.faults
    assert reading.unknown == {
        "fingerprint nobody-knows": 1, "entry without a fingerprint that is known here": 1,
    }  # fmt: skip


def test_a_subscriber_that_is_left_out_is_told_nothing_more_and_others_go_on(publisher: Publisher) -> None:
    leaving, staying = publisher.admit("leaving"), publisher.admit("staying")
    publisher.bank.add([entry(1)])
    publisher.publish()
    leaving.pull(publisher.feed)
    del publisher.agreements["leaving"]
    publisher.bank.add([entry(2)])
    assert publisher.publish().removed == ("leaving",)
    assert not (publisher.feed / "targets" / leaving.id).exists()
    with pytest.raises(FeedRefused) as refused:
        leaving.pull(publisher.feed)
    assert refused.value.code == "not-for-us"
    staying.pull(publisher.feed)
    assert staying.ids == {1, 2}


def test_who_is_told_of_first_later_gets_the_whole_list(publisher: Publisher) -> None:
    publisher.admit("first")
    publisher.bank.add([entry(1)])
    publisher.publish()
    late = publisher.admit("late")
    assert publisher.publish().told == (("late", 1, 1, 0, True, {}),)
    late.pull(publisher.feed)
    assert late.ids == {1}


def test_a_long_list_is_told_in_parts_and_a_pull_goes_on_between_them(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.exchange.feed.shelf.PART_ENTRIES", 3)
    reader = publisher.admit("B")
    publisher.bank.add([entry(number) for number in range(1, 9)])
    publisher.publish()
    reader.pull(publisher.feed, most_pages=2, confirm=False)
    assert reader.ids == set(range(1, 7))
    reader.pull(publisher.feed)
    assert [len(page.records) for page in reader.pages] == [2]
    assert reader.ids == set(range(1, 9))


def test_after_many_changes_a_new_subscriber_reads_few_files(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.exchange.feed.publishing.STEPS_BETWEEN_WHOLES", 3)
    monkeypatch.setattr("leadline.exchange.feed.publishing.STEPS_KEPT", 4)
    reader, idle = publisher.admit("B"), publisher.admit("idle")
    for number in range(1, 12):
        publisher.bank.add([entry(number)])
        if number > 2:
            publisher.bank.remove([number - 2])
        publisher.publish()
        reader.pull(publisher.feed)
        assert reader.ids == {entry_id for entry_id in (number - 1, number) if entry_id}
    assert len(contents(publisher, reader.id)) <= 8
    idle.pull(publisher.feed)
    assert idle.ids == {10, 11}
    assert len(idle.pages) <= 3


@pytest.mark.parametrize("moment", ["contents", "ledger", "metadata"])
def test_a_kill_while_publishing_leaves_the_old_state_or_the_new_and_the_next_time_mends(
    publisher: Publisher, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    publisher.bank.add([entry(2)])
    with monkeypatch.context() as patch:
        if moment == "contents":
            patch.setattr(Shelf, "sync", die)
        elif moment == "ledger":
            patch.setattr(Shelf, "project", lambda self, roots, online: None if online.version == 1 else die())
        else:
            real = os.replace
            patch.setattr(os, "replace", lambda a, b: die() if str(b).endswith("timestamp.json") else real(a, b))
        with pytest.raises(Killed):
            publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1, 2}
    named = {path.name.split(".")[0] for path in contents(publisher, reader.id)}
    with publisher.ledger() as ledger:
        assert named == ledger.kept_digests()


def test_contents_that_were_lost_are_told_anew(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    reader.pull(publisher.feed)
    shutil.rmtree(publisher.feed)
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {1}


def test_a_ledger_from_a_backup_goes_on_after_what_was_published_since(publisher: Publisher, tmp_path: Path) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    shutil.copy(publisher.bank.path / "feed.sqlite", tmp_path / "copy")
    publisher.bank.add([entry(2)])
    publisher.publish()
    reader.pull(publisher.feed)
    shutil.copy(tmp_path / "copy", publisher.bank.path / "feed.sqlite")
    publisher.bank.remove([1])
    publisher.publish()
    reader.pull(publisher.feed)
    assert reader.ids == {2}


def test_without_its_ledger_a_feed_goes_on_with_whole_lists(publisher: Publisher) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    reader.pull(publisher.feed)
    ledger = publisher.bank.path / "feed.sqlite"
    ledger.write_bytes(b"damaged" * 1000)
    with pytest.raises(BankError, match="may be removed"):
        publisher.publish()
    ledger.unlink()
    publisher.bank.remove([1])
    publisher.bank.add([entry(2)])
    assert publisher.publish().version == 2
    reader.pull(publisher.feed)
    assert reader.ids == {2}


@pytest.mark.parametrize("kind", [Kind.ILLEGAL, Kind.OTHER])  # of the bank, whose entry is illegal
def test_what_is_illegal_leaves_only_with_a_reason_which_is_kept(
    make_publisher: Callable[..., Publisher], kind: Kind
) -> None:
    publisher = make_publisher(kind=kind)
    publisher.admit("B")
    publisher.bank.add([entry(1, kind=Kind.ILLEGAL)])
    with pytest.raises(ConfigError, match="leave with a reason"):
        publisher.publish(reason="")
    assert not publisher.feed.exists()
    publisher.publish(reason="agreement 12 of 2026")
    with publisher.ledger() as ledger:
        (publication,) = ledger.publications()
    assert (publication.actor, publication.reason, publication.told) == ("tester", "agreement 12 of 2026", 1)


def test_a_root_that_is_about_to_expire_publishes_nothing(publisher: Publisher, clock: Clock) -> None:
    publisher.admit("B")
    clock.now += 364 * DAY_S
    with pytest.raises(ConfigError, match="the root expires"):
        publisher.publish()


def test_another_feed_is_never_published_over(make_publisher: Callable[..., Publisher]) -> None:
    one, other = make_publisher("one"), make_publisher("other")
    one.publish()
    shutil.copytree(one.feed, other.feed)
    with pytest.raises(ConfigError, match="another feed lies there"):
        other.publish()
    shutil.rmtree(one.keys)
    create_roots(one.keys, "Example Hotline", keys=1, threshold=1, expires_s=one.clock.now + 300 * DAY_S)
    with pytest.raises(ConfigError, match="under other keys"):
        one.publish()


def test_keys_publish_one_bank_so_that_no_list_can_stand_for_another(make_publisher: Callable[..., Publisher]) -> None:
    one, other = make_publisher("one"), make_publisher("other")
    one.publish()
    shutil.rmtree(other.keys)
    shutil.copytree(one.keys, other.keys)
    with pytest.raises(ConfigError, match="another bank's feed"):
        other.publish()
    assert not other.feed.exists()


def test_a_key_that_others_can_read_signs_nothing(publisher: Publisher) -> None:
    (publisher.keys / "online-1.key").chmod(0o644)
    with pytest.raises(KeyUnavailable, match="others can read"):
        publisher.publish()


def test_nothing_that_is_published_shows_a_hash_or_a_name(publisher: Publisher) -> None:
    publisher.admit("Hotline of B")
    publisher.bank.add([entry(1, label="A")])
    publisher.publish()
    for path in publisher.feed.rglob("*.*"):
        data = path.read_bytes()
        assert md5(1).hex().encode() not in data
        assert b"Hotline of B" not in data


def test_a_folder_that_was_moved_is_still_the_feed(publisher: Publisher) -> None:
    publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    before = publisher.feed
    publisher.folder = publisher.folder.rename(publisher.folder.with_name("moved"))
    publisher.bank = Bank.open(publisher.folder / "bank", clock=publisher.clock)
    assert not publisher.publish().is_new
    with publisher.ledger() as ledger:
        assert ledger.fact("directory") == str(publisher.feed) != str(before)


def test_the_ledger_names_who_holds_an_entry_or_may_have_held_it(publisher: Publisher) -> None:
    publisher.admit("holds it")
    publisher.admit("never got it", tlp="green")
    publisher.admit("gave it back")
    publisher.admit("was removed")
    publisher.bank.add([entry(1, tlp=Tlp.AMBER), entry(2, tlp=Tlp.GREEN)])
    publisher.publish()
    first_at = int(publisher.clock.now)
    publisher.clock.now += DAY_S
    publisher.agreements["gave it back"]["tlp"] = "green"
    del publisher.agreements["was removed"]
    publisher.publish()

    def had(number: int, since_s: int = first_at) -> dict[str, int]:
        with publisher.ledger() as ledger:
            return {known.agreement.name: at for known, at in ledger.had([number], since_s)}

    assert had(1) == dict.fromkeys(("holds it", "gave it back", "was removed"), first_at)
    assert set(had(1, first_at + 1)) == {"holds it"}  # what went before cannot have been it
    assert had(2).keys() == {"holds it", "never got it", "gave it back", "was removed"}
