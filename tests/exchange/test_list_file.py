"""Files as sources: told whole each time, and never half believed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.connector import DEFAULTS, Clock, Given, Killed, ListContract, Oddity, Planted, Subscriber

from leadline.domain import Entry, Kind
from leadline.errors import ConfigError, HashRefused, SourceBroken, SourceUnavailable
from leadline.exchange.base import EntryDefaults
from leadline.exchange.list_file import ListFile, ListFileOptions

NO_MOCK: Any = None
MD5S = [f"{number:032x}" for number in range(0xA0000, 0xA0000 + 40)]


def csv_of(*rows: str) -> str:
    return "\n".join(["id,md5,label,scheme", *rows]) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(csv_of(*(f"{number},{md5},A,made-up" for number, md5 in enumerate(MD5S, 1))))
    return path


@pytest.fixture
def new(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Subscriber]:
    monkeypatch.setattr("leadline.exchange.list_file.PAGE_RECORDS", 10)
    clock, made = Clock(), list[Subscriber]()

    def subscribe(defaults: EntryDefaults = DEFAULTS, **given: Any) -> Subscriber:
        def connect(**options: Any) -> ListFile:
            told = ListFileOptions(**{"path": path, **given, **options})
            return ListFile(told, {}, defaults, clock=clock, sleep=clock.sleep)

        made.append(Subscriber(tmp_path / f"here-{len(made)}", Given(connect, clock, NO_MOCK)))
        return made[-1]

    return subscribe


def drop(path: Path, *numbers: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(lines) if number not in numbers))


class TestListFile(ListContract):
    """The source is the file itself, which is read anew after a kill."""

    resumes = False
    dated = False

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "list.csv"
        path.write_text(csv_of(*(f"{number},{md5},A,made-up" for number, md5 in enumerate(MD5S[:6], 1))))
        return path

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def mock(self, path: Path) -> Path:
        return path

    @pytest.fixture
    def given(self, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Given:
        monkeypatch.setattr("leadline.exchange.list_file.PAGE_RECORDS", 2)

        def connect() -> ListFile:
            return ListFile(ListFileOptions(path=path), {}, DEFAULTS, clock=clock, sleep=clock.sleep)

        return Given(connect, clock, path)

    def plant(self, mock: Path, oddity: Oddity) -> Planted:
        md5 = "ab" * 16
        said = {Oddity.SHORT_HASH: md5[:-1], Oddity.UPPER_CASE: md5.upper()}.get(oddity, md5)
        mock.write_text(mock.read_text() + f"99,{said},A,made-up\n")
        return Planted("" if oddity is Oddity.SHORT_HASH else "99", bytes.fromhex(md5))

    def withdraw(self, mock: Path, key: str) -> bool:
        drop(mock, int(key))
        return True

    def test_what_nobody_here_knows_is_counted_and_costs_nothing(
        self, new: Callable[[], Subscriber], mock: Path
    ) -> None:
        """A column of its own is the list's own word: it is kept with each entry."""
        mock.write_text("\n".join(["id,md5,remark", f"1,{MD5S[0]},made up"]) + "\n")
        subscriber = new()
        outcome = subscriber.pull()
        assert (outcome.refused, outcome.unknown) == (0, {"column remark": 1})
        assert json.loads(subscriber.entries()["1"].metadata)["remark"] == "made up"


def test_an_entry_keeps_what_its_file_says_of_it(new: Callable[..., Subscriber]) -> None:
    subscriber = new()
    assert subscriber.pull().is_complete
    assert list(subscriber.entries()) == [str(number) for number in range(1, 41)]
    entry = subscriber.entries()["7"]
    assert (entry.fingerprints, entry.scheme, entry.label) == ({"md5": bytes.fromhex(MD5S[6])}, "made-up", "A")
    assert (entry.source, entry.licence, entry.tlp) == (DEFAULTS.source, DEFAULTS.licence, DEFAULTS.tlp)
    assert len(bytes.fromhex(json.loads(entry.metadata)["record"])) == 32


def test_a_file_that_is_the_same_is_not_told_again(new: Callable[..., Subscriber], path: Path) -> None:
    subscriber = new()
    subscriber.pull()
    version = subscriber.bank.list_version
    assert subscriber.pull().told == 0
    os.utime(path, (1, 1))
    assert subscriber.pull().told == 0, "the same bytes under another time"
    path.write_bytes(path.read_bytes().replace(b"7,", b"8,", 1))
    path.write_bytes(path.read_bytes().replace(b"8,", b"7,", 1))
    assert subscriber.pull().told == 0
    assert subscriber.bank.list_version == version


def test_a_change_that_leaves_size_and_time_as_they_were_is_seen(new: Callable[..., Subscriber], path: Path) -> None:
    subscriber = new()
    subscriber.pull()
    told = path.stat()
    path.write_text(path.read_text().replace(",A,", ",B,", 1))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert path.stat().st_size == told.st_size
    assert subscriber.pull().changed == 1
    assert subscriber.entries()["1"].label == "B"


@pytest.mark.parametrize("pages", [1, 3])
def test_killed_at_any_page_it_ends_with_the_identical_bank(
    new: Callable[..., Subscriber], path: Path, pages: int
) -> None:
    subscriber, whole = new(), new()
    subscriber.pull()
    drop(path, 2, 30)
    path.write_text(path.read_text().replace(",A,", ",B,", 7) + "99," + "ff" * 16 + ",A,made-up\n")
    assert whole.pull().is_complete
    with contextlib.suppress(Killed):
        subscriber.pull(pages=pages, batch_records=1)
    assert subscriber.pull().is_complete
    assert subscriber.entries() == whole.entries()


@pytest.mark.parametrize("cut", [2, 3, 200])
def test_a_list_that_breaks_off_takes_nothing_away(new: Callable[..., Subscriber], path: Path, cut: int) -> None:
    subscriber = new()
    text = json.dumps({"value": [{"MediaID": number, "MD5": md5} for number, md5 in enumerate(MD5S, 1)]})
    path.write_text(text)
    subscriber.pull()
    before = subscriber.entries()
    path.write_text(text[:-cut])
    with pytest.raises(SourceBroken) as caught:
        subscriber.pull()
    assert "list.csv: after record" in caught.value.where
    assert caught.value.mend
    assert subscriber.entries() == before
    path.write_text(text)
    assert subscriber.pull().is_complete
    assert subscriber.entries() == before


@pytest.mark.parametrize("text", ["", "\n\n", "id,md5\n", "no header\n1,2\n", '{"value": []}', "%%%% HASHDEEP-1.0\n"])
def test_a_list_without_an_entry_takes_nothing_away(new: Callable[..., Subscriber], path: Path, text: str) -> None:
    subscriber = new()
    subscriber.pull()
    path.write_text(text)
    with pytest.raises(SourceBroken):
        subscriber.pull()
    assert len(subscriber.entries()) == 40


def test_a_bad_record_is_named_and_the_rest_goes_on(new: Callable[..., Subscriber], path: Path) -> None:
    path.write_text(csv_of(f"1,{MD5S[0]},,", "2,abc,,", f"3,{MD5S[2].upper()},,"))
    subscriber = new()
    outcome = subscriber.pull()
    assert (outcome.is_complete, outcome.added, outcome.refused) == (True, 2, 1)
    assert [fault.where for fault in outcome.faults] == ["list.csv: line 3"]
    assert subscriber.entries()["3"].fingerprints == {"md5": bytes.fromhex(MD5S[2])}


def test_a_list_told_twice_over_is_held_once(new: Callable[..., Subscriber], path: Path) -> None:
    path.write_text("\n".join([*MD5S, *MD5S, *MD5S[:3]]) + "\n")
    subscriber = new()
    assert subscriber.pull().is_complete
    assert sorted(subscriber.entries()) == sorted(f"md5:{md5}" for md5 in MD5S)


def test_several_records_of_one_md5_stay_several_wherever_they_stand(
    new: Callable[..., Subscriber], path: Path
) -> None:
    rows = [f",{md5},A,made-up" for md5 in MD5S]
    path.write_text(csv_of(*rows, f",{MD5S[0]},B,made-up", f",{MD5S[0]},C,made-up", f",{MD5S[0]},A,made-up"))
    subscriber = new()
    subscriber.pull()
    labels = [e.label for e in subscriber.entries().values() if e.fingerprints["md5"].hex() == MD5S[0]]
    assert sorted(labels) == ["A", "B", "C"]
    path.write_text(csv_of(f",{MD5S[0]},C,made-up", *rows[1:], f",{MD5S[0]},A,made-up"))
    assert subscriber.pull().is_complete
    labels = [e.label for e in subscriber.entries().values() if e.fingerprints["md5"].hex() == MD5S[0]]
    assert sorted(labels) == ["A", "C"]


def test_a_record_with_hashes_alone_that_nobody_here_knows_is_kept_and_no_entry(
    new: Callable[..., Subscriber], path: Path
) -> None:
    other = [{"HashName": "netclean", "HashValue": "77"}]
    records = [{"MediaID": 1, "MD5": MD5S[0]}, {"MediaID": 2, "AlternativeHashes": other}, {"AlternativeHashes": other}]
    path.write_text(json.dumps({"value": records}))
    subscriber = new()
    outcome = subscriber.pull()
    assert (outcome.added, outcome.kept, outcome.refused) == (1, 2, 0)
    assert outcome.unknown == {"fingerprint netclean": 2}
    assert list(subscriber.entries()) == ["1"]
    path.write_text(json.dumps({"value": records[:2]}))
    assert subscriber.pull().withdrawn == 1


def test_what_nobody_here_knows_of_a_record_is_kept_counted_and_a_change_like_another(
    new: Callable[..., Subscriber], path: Path
) -> None:
    def write(digits: str) -> None:
        other = [{"HashName": "netclean", "HashValue": digits}]
        path.write_text(json.dumps({"value": [{"MediaID": 1, "MD5": MD5S[0], "AlternativeHashes": other}]}))

    write("77")
    subscriber = new()
    assert subscriber.pull().unknown == {"fingerprint netclean": 1}
    (before,) = subscriber.entries().values()
    write("78")
    assert subscriber.pull().changed == 1
    (entry,) = subscriber.entries().values()
    assert [json.loads(one.metadata)["fingerprints"]["netclean"] for one in (before, entry)] == ["77", "78"]


def test_the_digest_of_another_source_in_a_list_does_not_stand_for_ours(
    new: Callable[..., Subscriber], path: Path
) -> None:
    path.write_text(f"md5,record,colour\n{MD5S[0]},{'0' * 64},red\n")
    subscriber = new()
    subscriber.pull()
    (entry,) = subscriber.entries().values()
    assert entry.metadata.count("record") == 1
    assert json.loads(entry.metadata)["record"] != "0" * 64
    assert json.loads(entry.metadata)["colour"] == "red"


def test_a_folder_is_read_file_by_file(new: Callable[..., Subscriber], tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "a.csv").write_text(csv_of(f"1,{MD5S[0]},,"))
    (folder / "b.json").write_text(json.dumps({"value": [{"MediaID": 1, "MD5": MD5S[1]}]}))
    (folder / ".hidden").write_text(MD5S[2])
    (folder / "c.csv.part").write_text(MD5S[3])
    (folder / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "within").mkdir()
    subscriber = new(path=folder)
    outcome = subscriber.pull()
    assert sorted(subscriber.entries()) == ["a.csv:1", "b.json:1"]
    assert outcome.unknown == {"file .png": 1}
    (folder / "a.csv").unlink()
    assert subscriber.pull().withdrawn == 1
    (folder / "b.json").unlink()
    (folder / "d.png").unlink()
    with pytest.raises(SourceUnavailable):
        subscriber.pull()
    assert list(subscriber.entries()) == ["b.json:1"]


def test_what_is_harmless_comes_in_only_where_that_is_what_the_source_is_for(
    new: Callable[..., Subscriber], path: Path
) -> None:
    path.write_text(f"md5,sha1,kind\n{MD5S[0]},,illegal\n{MD5S[1]},,benign\n{MD5S[2]},short,false-positive\n")
    outcome = (careful := new()).pull()
    assert len(careful.entries()) == 1
    assert outcome.unknown == {"kind benign": 1, "kind false-positive": 1}
    assert outcome.refused_hashes == 0
    trusting = new(takes_clearing=True)
    trusting.pull()
    assert len(trusting.entries()) == 3
    benign = new(dataclasses.replace(DEFAULTS, kind=Kind.BENIGN))
    benign.pull()
    assert [e.kind for e in benign.entries().values()] == [Kind.ILLEGAL, Kind.BENIGN, Kind.FALSE_POSITIVE]


def test_a_file_that_changes_while_it_is_read_takes_nothing_away(
    new: Callable[..., Subscriber], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber = new()
    subscriber.pull()
    text = path.read_text()

    def changing(*_: object, **__: object) -> Iterator[Entry]:
        yield Entry(Kind.OTHER, {"md5": b"\x01" * 16})
        path.write_text(text)

    monkeypatch.setattr("leadline.exchange.list_file.read_list", changing)
    path.write_text("x" + text)
    with pytest.raises(SourceUnavailable, match="changed while it was read"):
        subscriber.pull()
    assert {str(number) for number in range(1, 41)} <= set(subscriber.entries())


def test_a_file_that_is_away_or_none_is_said_so(new: Callable[..., Subscriber], path: Path, tmp_path: Path) -> None:
    subscriber = new()
    subscriber.pull()
    path.unlink()
    with pytest.raises(SourceUnavailable):
        subscriber.pull()
    os.mkfifo(path)
    with pytest.raises(ConfigError):
        subscriber.pull()
    path.unlink()
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(SourceBroken, match="no list format"):
        new(path=path.rename(tmp_path / "x.png")).pull()
    assert len(subscriber.entries()) == 40


def test_a_check_says_what_is_there(path: Path) -> None:
    clock = Clock()
    found = ListFile(ListFileOptions(path=path), {}, DEFAULTS, clock=clock, sleep=clock.sleep).check()
    assert found.notes == ("list.csv: csv",)
    with pytest.raises(SourceUnavailable):
        ListFile(ListFileOptions(path=path / "no"), {}, DEFAULTS, clock=clock, sleep=clock.sleep).check()


def test_digits_are_what_the_source_was_set_up_for(new: Callable[..., Subscriber], path: Path) -> None:
    path.write_text("c3" * 32 + "\n")
    subscriber = new(hash_type="pdq", pdq_family="a")
    subscriber.pull()
    (entry,) = subscriber.entries().values()
    assert (set(entry.fingerprints), entry.pdq_family, entry.source_id) == ({"pdq"}, "a", "pdq:" + "c3" * 32)


def test_a_database_of_nsrl_is_read_as_harmless(new: Callable[..., Subscriber], tmp_path: Path) -> None:
    path = tmp_path / "rds.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE FILE (sha256, sha1, md5, file_name, file_size, package_id)")
        database.executemany("INSERT INTO FILE VALUES (?,?,?,'a',1,1)", [("D4" * 32, "B2" * 20, md5) for md5 in MD5S])
        database.commit()
    subscriber = new(dataclasses.replace(DEFAULTS, kind=Kind.BENIGN), path=path)
    assert subscriber.pull().added == 40
    assert subscriber.pull().told == 0
    assert {entry.kind for entry in subscriber.entries().values()} == {Kind.BENIGN}


def test_hashes_that_are_refused_are_told_beside_their_record(new: Callable[..., Subscriber], path: Path) -> None:
    path.write_text(f"id,md5,sha1\n1,{MD5S[0]},zz\n")
    outcome = new().pull()
    assert (outcome.added, outcome.refused_hashes) == (1, 1)
    assert isinstance(outcome.faults[0], HashRefused)


@pytest.mark.parametrize("size", [0, 5, 890, 910, 4040])
def test_metadata_keeps_what_the_list_said_beside_the_digest(
    new: Callable[..., Subscriber], path: Path, size: int
) -> None:
    path.write_text(f"md5,remark\n{MD5S[0]},{'é' * (size // 2)}\n", encoding="utf-8")
    subscriber = new()
    assert subscriber.pull().added == 1
    (entry,) = subscriber.entries().values()
    told = json.loads(entry.metadata)
    assert len(bytes.fromhex(told.pop("record"))) == 32
    assert told == ({"left_out": 1} if size > 4000 else {"remark": "é" * (size // 2)} if size else {})
