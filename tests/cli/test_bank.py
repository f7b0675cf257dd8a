"""`leadline bank`."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.exchange import lists
from leadline.exchange.detect import ListFormat

MD5, SHA1, SHA256, PDQ = "a1" * 16, "b2" * 20, "d4" * 32, "c3" * 32
WHY = "a copy for a test"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def _build(run: Any, out: Path, *more: object, kind: str = "illegal") -> Any:
    return run("bank", "build", "--out", out, "--name", "n", "--kind", kind, "--json", *more)


def test_a_csv_becomes_a_bank_with_its_numbers(bank: Path, run: Any) -> None:
    ended = run("bank", "list", bank, "--json")
    assert ended.code == 0
    assert [(e["id"], e["kind"]) for e in ended.objects] == [(7, "illegal"), (8, "illegal"), (9, "benign")]
    assert ended.objects[0]["fingerprints"] == {"md5": MD5, "pdq": PDQ}
    assert (ended.objects[0]["scheme"], ended.objects[0]["label"]) == ("uk", "A")


def test_counts_add_up_and_bad_records_are_named(run: Any, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"md5,sha1\n{MD5},\nbad,\n{EMPTY_MD5},\n,{SHA1}\n{EMPTY_MD5},{SHA1}\n")
    ended = _build(run, tmp_path / "b", listed)
    assert ended.code == 3
    (record,) = ended.objects
    assert (record["read"], record["added"], record["refused"], record["refused_hashes"]) == (5, 3, 2, 1)
    assert record["entries"] == 3
    assert f"({listed}: line 3)" in ended.faults[0]
    assert f"({listed}: entry 3" in ended.faults[1]


def test_a_malformed_hash_is_counted_and_told_and_the_rest_of_its_record_matches(run: Any, tmp_path: Path) -> None:
    media = [{"MD5": MD5}, {"MD5": "E5" * 16, "SHA1": "zz"}, {"MD5": "E6" * 16, "SHA1": "N/A"}, {"MD5": "zz"}]
    (tmp_path / "set.json").write_text(json.dumps({"value": media}))
    (tmp_path / "list.csv").write_text(f"md5,sha1\n{'e7' * 16},bad\n")
    ended = _build(run, tmp_path / "b", tmp_path / "set.json", tmp_path / "list.csv")
    assert ended.code == 3
    (record,) = ended.objects
    assert (record["read"], record["added"], record["refused"], record["refused_hashes"]) == (5, 4, 1, 2)
    assert [("record 2" in f, "record 4" in f, "line 2" in f) for f in ended.faults] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    found = run("match", "e5" * 16, "e6" * 16, "e7" * 16, "--bank", tmp_path / "b", "--json").objects
    assert [len(answer["matches"]) for answer in found] == [1, 1, 1]


def test_a_refused_hash_of_an_entry_that_is_left_out_is_not_told(run: Any, tmp_path: Path) -> None:
    media = [{"MD5": MD5, "Category": 0, "SHA1": "zz"}, {"MD5": MD5, "Category": 1}]
    (tmp_path / "set.json").write_text(json.dumps({"value": media}))
    ended = _build(run, tmp_path / "b", "--label-kind", "0=skip", tmp_path / "set.json")
    assert (ended.code, ended.objects[0]["refused_hashes"], ended.faults) == (0, 0, [])


def test_what_nobody_here_knows_of_lists_is_counted_over_all_of_them(run: Any, tmp_path: Path) -> None:
    other = [{"HashName": "netclean", "HashValue": "77"}]
    (tmp_path / "set.json").write_text(json.dumps({"value": [{"MD5": MD5, "AlternativeHashes": other}]}))
    (tmp_path / "list.csv").write_text(f"md5,colour\n{MD5},red\n")
    ended = _build(run, tmp_path / "b", tmp_path / "set.json", tmp_path / "list.csv")
    assert (ended.code, ended.objects[0]["unknown"]) == (0, {"fingerprint netclean": 1, "column colour": 1})
    assert "fingerprint netclean 1\n" in run("bank", "add", tmp_path / "b", tmp_path / "set.json").out


def test_a_list_of_a_million_faults_is_told_in_a_few_lines(run: Any, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{MD5}\n" + "zzz\n" * 20_000)
    ended = _build(run, tmp_path / "b", "--format", "text", listed)
    assert ended.code == 3
    assert ended.objects[0]["refused"] == 20_000
    assert len(ended.faults) == 51
    assert "19950 more refused" in ended.faults[-1]


def test_nothing_added_leaves_no_bank(run: Any, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("zzz\n")
    ended = _build(run, tmp_path / "b", listed)
    assert ended.code == 1
    assert ended.objects[0]["added"] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["list.txt"]
    assert ended.faults


def test_a_bank_is_never_built_over_another(run: Any, bank: Path, tmp_path: Path) -> None:
    ended = _build(run, bank, tmp_path / "known.csv")
    assert ended.code == 2
    assert len(run("bank", "list", bank).out.splitlines()) == 3


def test_lists_of_all_formats_and_standard_input_make_one_bank(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"md5\n{MD5}\n")
    (tmp_path / "b.txt").write_text(f"{SHA1}\npdq {PDQ}\n")
    (tmp_path / "c.json").write_text(json.dumps({"value": [{"MediaID": 3, "MD5": "E5" * 16, "Category": 1}]}))
    files = [tmp_path / name for name in ("a.csv", "b.txt", "c.json")]
    ended = run(
        "bank", "build", "--out", tmp_path / "b", "--name", "n", "--kind", "other", "--scheme", "vics:US", *files, "-",
        stdin=f"{SHA256}\n".encode(),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    entries = run("bank", "list", tmp_path / "b", "--json").objects
    assert [sorted(e["fingerprints"]) for e in entries] == [["md5"], ["sha1"], ["pdq"], ["md5"], ["pdq", "sha256"]]
    assert (entries[3]["scheme"], entries[3]["label"]) == ("vics:US", "1")


def test_labels_can_be_given_kinds_or_left_out(run: Any, tmp_path: Path) -> None:
    media = [{"MediaID": i, "MD5": f"{i + 1:032x}", "Category": i} for i in range(3)]
    (tmp_path / "set.json").write_text(json.dumps({"value": media}))
    ended = _build(
        run, tmp_path / "b", "--label-kind", "0=skip", "--label-kind", "2=exploitative", tmp_path / "set.json"
    )
    assert ended.code == 0, ended.err
    assert (ended.objects[0]["read"], ended.objects[0]["added"], ended.objects[0]["left_out"]) == (2, 2, 1)
    kinds = [e["kind"] for e in run("bank", "list", tmp_path / "b", "--json").objects]
    assert kinds == ["illegal", "exploitative"]


@pytest.mark.parametrize("text", ["nothing", "1=bad", "=", "1="])
def test_a_malformed_label_kind_is_wrong_use(run: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "l.txt").write_text(MD5)
    assert _build(run, tmp_path / "b", "--label-kind", text, tmp_path / "l.txt").code == 2


def test_entries_are_added_removed_merged_and_verified(run: Any, bank: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("ee" * 16)
    ended = run("bank", "add", bank, "--kind", "false-positive", "--json", tmp_path / "more.txt")
    assert (ended.code, ended.objects[0]["added"], ended.objects[0]["entries"]) == (0, 1, 4)
    (tmp_path / "ids.txt").write_text("8\n\n9\n")
    ended = run("bank", "remove", bank, "--from", tmp_path / "ids.txt", "--json")
    assert (ended.code, ended.objects[0]["removed"]) == (0, 2)
    assert run("bank", "merge", bank).code == 0
    assert run("bank", "verify", bank).code == 0
    kinds = [e["kind"] for e in run("bank", "list", bank, "--json").objects]
    assert kinds == ["illegal", "false-positive"]
    info = run("bank", "info", bank, "--json")
    assert info.code == 0
    assert len(info.objects) == 1


def test_removing_what_is_not_there_is_said(run: Any, bank: Path) -> None:
    assert run("bank", "remove", bank, "99").code == 1
    ended = run("bank", "remove", bank, "8", "99", "x", "--json")
    assert ended.code == 3
    assert (ended.objects[0]["removed"], ended.objects[0]["refused"]) == (1, 2)
    assert len(ended.faults) == 2
    assert run("bank", "remove", bank).code == 2


def test_a_damaged_bank_is_found_wrong(run: Any, bank: Path) -> None:
    records = next(iter(sorted(bank.glob("*.records"))))
    data = bytearray(records.read_bytes())
    data[-100] ^= 0xFF
    records.write_bytes(data)
    ended = run("bank", "verify", bank, "--json")
    assert ended.code == 4
    assert ended.objects[0]["sound"] is False
    assert ended.faults


def test_an_exported_csv_read_back_is_the_same_bank(run: Any, bank: Path, tmp_path: Path) -> None:
    assert run("bank", "export", bank, "--reason", WHY, "--format", "csv", "--out", tmp_path / "out.csv").code == 0
    assert _build(run, tmp_path / "again", tmp_path / "out.csv").code == 0
    first, second = (run("bank", "list", b, "--json").objects for b in (bank, tmp_path / "again"))
    for entry in first + second:
        entry.pop("added")
    assert first == second


def test_an_export_never_overwrites_and_never_leaves_half(run: Any, bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    ended = run("bank", "export", bank, "--reason", WHY, "--format", "csv", "--out", out)
    assert ended.code == 2
    assert out.read_text() == "mine"
    assert not list(tmp_path.glob("*.part"))


def test_exports_as_text_and_vics_read_back(run: Any, bank: Path, tmp_path: Path) -> None:
    text = run("bank", "export", bank, "--reason", WHY, "--format", "text", "--out", "-")
    assert set(text.out.split()) == {MD5, f"pdq:{PDQ}", SHA1, f"sha256:{SHA256}"}
    vics = run("bank", "export", bank, "--reason", WHY, "--format", "vics", "--out", "-")
    assert [m["MediaID"] for m in json.loads(vics.out)["value"]] == [7, 8, 9]
    older = ("bank", "export", bank, "--reason", WHY, "--vics-version", "1.3", "--out", "-", "--format")
    assert json.loads(run(*older, "vics").out)["odata.metadata"].endswith("/1.3.xml#Media")
    assert run(*older, "csv").code == 2


def test_an_export_as_stix_is_read_back_and_leaves_suspended_entries_out(run: Any, bank: Path, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text(f"md5,disabled_until\n{'e7' * 16},2100-01-01\n")
    assert run("bank", "add", bank, tmp_path / "more.csv").code == 0
    ended = run("bank", "export", bank, "--reason", WHY, "--format", "stix", "--out", tmp_path / "bundle.json")
    assert ended.code == 3
    assert "1 entries are suspended" in ended.faults[0]
    assert _build(run, tmp_path / "again", tmp_path / "bundle.json").code == 0
    text = run("bank", "export", tmp_path / "again", "--reason", WHY, "--format", "text", "--out", "-")
    assert set(text.out.split()) == {MD5, f"pdq:{PDQ}", SHA1, f"sha256:{SHA256}"}


def test_entries_that_a_format_cannot_hold_are_told_and_the_rest_is_written(run: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f'md5,fingerprints\n{MD5},\n,"{{""made-up"": ""0102""}}"\n')
    assert _build(run, tmp_path / "b", tmp_path / "list.csv").code == 0
    ended = run("bank", "export", tmp_path / "b", "--reason", WHY, "--format", "text", "--out", tmp_path / "out.txt")
    assert ended.code == 3
    assert "1 entries have no hash" in ended.faults[0]
    assert (tmp_path / "out.txt").read_text().split() == [MD5]


def test_a_bank_and_an_export_outlive_a_power_cut(
    run: Any, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told as done has its name on disk: the folder it stands in is synced after the name was given."""
    done: list[tuple[str, str]] = []

    def noting(name: str, what: Any, real: Any) -> None:
        def noted(*arguments: Any, **options: Any) -> Any:
            result = real(*arguments, **options)
            done.append((name, what(*arguments)))
            return result

        monkeypatch.setattr(os, name, noted)

    noting("fsync", lambda fd: os.readlink(f"/proc/self/fd/{fd}"), os.fsync)
    noting("rename", lambda _, target: str(target), os.rename)
    noting("link", lambda _, target: str(target), os.link)
    (tmp_path / "list.txt").write_text(MD5)
    place = tmp_path / "made" / "deep"
    assert _build(run, place / "b", tmp_path / "list.txt").code == 0
    assert ("fsync", str(place)) in done[done.index(("rename", str(place / "b"))) :]
    assert {("fsync", str(tmp_path)), ("fsync", str(tmp_path / "made"))} <= set(done)
    assert run("bank", "export", bank, "--reason", WHY, "--format", "csv", "--out", place / "out.csv").code == 0
    assert ("fsync", str(place)) in done[done.index(("link", str(place / "out.csv"))) :]


def test_a_folder_of_media_is_hashed_into_a_bank(run: Any, pictures: Path, tmp_path: Path) -> None:
    ended = _build(run, tmp_path / "b", pictures, kind="benign")
    assert ended.code == 3
    assert ended.objects[0]["files"] == 5
    entries = {Path(e["source_id"]).name: e for e in run("bank", "list", tmp_path / "b", "--json").objects}
    assert set(entries) == {"one.png", "turned.png", "other.jpg", "note.txt", "broken.png"}
    assert set(entries["one.png"]["fingerprints"]) == {"md5", "sha1", "sha256", "pdq"}
    assert set(entries["broken.png"]["fingerprints"]) == {"md5", "sha1", "sha256"}
    assert "broken.png" in ended.faults[0]
    single = _build(run, tmp_path / "c", pictures / "one.png")
    assert (single.code, single.objects[0]["added"]) == (0, 1)


def test_an_input_that_stops_being_readable_keeps_what_was_read(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> Iterator[Entry]:
        yield Entry(Kind.OTHER, {"md5": b"\x01" * 16})
        raise OSError(errno.EIO, "disk gone")

    monkeypatch.setitem(lists._READERS, ListFormat.TEXT, read)
    (tmp_path / "list.txt").write_text(MD5)
    ended = _build(run, tmp_path / "b", tmp_path / "list.txt")
    assert ended.code == 3
    assert (ended.objects[0]["read"], ended.objects[0]["added"], ended.objects[0]["refused"]) == (2, 1, 1)
    assert "list.txt" in ended.faults[0]
    assert "input/output error" in ended.faults[0]


def test_a_build_that_is_stopped_leaves_nothing(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> Iterator[Entry]:
        yield Entry(Kind.OTHER, {"md5": b"\x01" * 16})
        raise KeyboardInterrupt

    monkeypatch.setitem(lists._READERS, ListFormat.TEXT, read)
    (tmp_path / "list.txt").write_text(MD5)
    ended = _build(run, tmp_path / "b", tmp_path / "list.txt")
    assert ended.code == 130
    assert [p.name for p in tmp_path.iterdir()] == ["list.txt"]


def test_a_large_addition_is_merged_in_the_background(run: Any, bank: Path, tmp_path: Path) -> None:
    lines = tmp_path / "many.txt"
    lines.write_text("".join(f"{number:064x}\n" for number in range(1, 50_100)))
    added = run("bank", "add", bank, lines, "--json")
    assert added.objects[0]["merging"]
    deadline = time.monotonic() + 60
    while (recent := run("bank", "info", bank, "--json").objects[0]["recent"]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert recent == 0
    assert run("bank", "info", bank, "--json").objects[0]["entries"] == 50_102


def test_settings_are_changed_and_told(bank: Path, run: Any) -> None:
    ended = run("bank", "set", bank, "--radius", 12, "--tlp", "red", "--json")
    assert ended.code == 0
    (told,) = ended.objects
    assert (told["changed"], told["radius_bits"], told["tlp"]) == (True, 12, "red")
    again = run("bank", "set", bank, "--radius", 12, "--json")
    assert (again.objects[0]["changed"], run("bank", "verify", bank).code) == (False, 0)
    assert run("bank", "set", bank, "--radius", 65).code == 2
