"""What leaves a bank as a list, and what is recorded of it."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.match.removal import remove_bank

MD5, SHA1, PDQ = b"\xa1" * 16, b"\xb2" * 20, b"\xc3" * 32
WHY = "a copy for a test"


def bank_of(folder: Path, kind: Kind, *entries: Entry) -> Bank:
    bank = Bank.create(folder / "known", name="known", kind=kind, kinds={})
    bank.add(entries or [Entry(kind, {"md5": MD5, "sha1": SHA1, "pdq": PDQ}), Entry(kind, {"pdq": PDQ[::-1]})])
    return bank


def recorded(bank: Bank) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (bank.path / "exports.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("format_", ["csv", "text", "vics", "stix", "hashdeep", "icse"])
@pytest.mark.parametrize("kind", [Kind.ILLEGAL, Kind.EXPLOITATIVE])
def test_guarded_kinds_leave_in_no_format_without_a_reason(run: Any, tmp_path: Path, kind: Kind, format_: str) -> None:
    bank = bank_of(tmp_path, kind)
    for reason in ((), ("--reason", "  ")):
        ended = run("bank", "export", bank.path, "--format", format_, "--out", tmp_path / "out", *reason)
        assert ended.code == 2
        assert "--reason" in ended.faults[0]
    assert not (tmp_path / "out").exists()
    assert not (bank.path / "exports.jsonl").exists()


def test_one_illegal_entry_in_a_bank_of_another_kind_needs_a_reason(run: Any, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, Kind.OTHER, Entry(Kind.OTHER, {"md5": MD5}), Entry(Kind.ILLEGAL, {"sha1": SHA1}))
    assert run("bank", "export", bank.path, "--format", "csv", "--out", tmp_path / "out").code == 2
    bank.remove([2])
    assert run("bank", "export", bank.path, "--format", "csv", "--out", tmp_path / "out").code == 0
    assert not (bank.path / "exports.jsonl").exists(), "nothing to record: its folder may be read only"


def test_more_than_a_look_at_guarded_entries_is_a_list_that_leaves(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, other = bank_of(tmp_path, Kind.ILLEGAL), bank_of(tmp_path / "other", Kind.OTHER)
    assert run("bank", "list", bank.path, "--json").code == 0
    monkeypatch.setattr("leadline.cli.bank._MAX_LOOKED_AT", 1)
    assert run("bank", "list", bank.path, "--json", "--limit", 1).code == 0
    assert run("bank", "list", other.path).code == 0
    for json_ in ((), ("--json",)):
        ended = run("bank", "list", bank.path, *json_)
        assert (ended.code, ended.out) == (2, "")
        assert "--reason" in ended.faults[0]
    assert not (bank.path / "exports.jsonl").exists()
    ended = run("bank", "list", bank.path, "--json", "--reason", WHY)
    assert len(ended.objects) == 2
    begun, written = recorded(bank)
    assert (begun["state"], begun["format"], begun["reason"]) == ("begun", "list", WHY)
    data = ended.out.encode()
    assert (written["entries"], written["bytes"]) == (2, len(data))
    assert written["sha256"] == hashlib.sha256(data).hexdigest()


def test_at_a_terminal_the_reason_is_asked_for(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, terminal = bank_of(tmp_path, Kind.ILLEGAL), SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("leadline.cli.options.sys", terminal)
    monkeypatch.setattr("leadline.cli.options.typer.prompt", lambda *_, **__: WHY)
    assert run("bank", "export", bank.path, "--format", "text", "--out", tmp_path / "out").code == 0
    assert recorded(bank)[0]["reason"] == WHY


@pytest.mark.parametrize("out", ["file", "-"])
def test_what_leaves_is_recorded_with_digest_reason_and_person(run: Any, tmp_path: Path, out: str) -> None:
    bank = bank_of(tmp_path, Kind.ILLEGAL)
    place = tmp_path / "out.txt" if out == "file" else "-"
    ended = run("bank", "export", bank.path, "--format", "icse", "--out", place, "--reason", WHY)
    assert ended.code == 3
    begun, written = recorded(bank)
    assert (begun["state"], begun["reason"], begun["format"]) == ("begun", WHY, "icse")
    assert begun["user"] == {"uid": os.getuid(), "name": pwd.getpwuid(os.getuid()).pw_name}
    data = (tmp_path / "out.txt").read_bytes() if out == "file" else ended.out.encode().replace(b"\n", b"\r\n")
    assert (written["state"], written["export"]) == ("written", begun["export"])
    assert written["entries"] == 1
    if out == "file":
        assert (written["bytes"], written["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_an_export_that_is_cut_off_is_recorded_and_leaves_no_file(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = bank_of(tmp_path, Kind.ILLEGAL)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leadline.exchange.vics.write", stopped)
    run("bank", "export", bank.path, "--format", "vics", "--out", tmp_path / "out", "--reason", WHY)
    assert [line["state"] for line in recorded(bank)] == ["begun"]
    assert [one.name for one in tmp_path.iterdir()] == ["known"]


def test_nothing_leaves_where_it_cannot_be_recorded(run: Any, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, Kind.ILLEGAL)
    (bank.path / "exports.jsonl").mkdir()
    ended = run("bank", "export", bank.path, "--format", "csv", "--out", tmp_path / "out", "--reason", WHY)
    assert ended.code == 1
    assert not (tmp_path / "out").exists()


def test_what_is_recorded_outlives_changes_a_torn_line_and_the_bank(run: Any, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, Kind.ILLEGAL)
    beside = bank.path / "exports.jsonl"
    beside.write_text('{"state":"beg')
    assert run("bank", "export", bank.path, "--format", "csv", "--out", tmp_path / "out", "--reason", WHY).code == 0
    assert [json.loads(line)["state"] for line in beside.read_text().splitlines()[1:]] == ["begun", "written"]
    kept = beside.read_bytes()
    bank.remove([1])
    bank.merge()
    assert bank.verify() == []
    remove_bank(bank.path)
    assert [one.name for one in bank.path.iterdir()] == ["exports.jsonl"]
    assert beside.read_bytes() == kept
    bank_of(tmp_path, Kind.OTHER)
    assert beside.read_bytes() == kept


def test_only_one_kind_of_hash_is_one_bare_hash_a_line(run: Any, tmp_path: Path) -> None:
    bank = bank_of(tmp_path, Kind.OTHER)
    ended = run("bank", "export", bank.path, "--format", "text", "--only", "pdq", "--out", "-")
    assert (ended.code, ended.out.split()) == (0, [PDQ.hex(), PDQ.hex()])
    ended = run("bank", "export", bank.path, "--format", "text", "--only", "md5", "--out", "-")
    assert (ended.code, ended.out.split()) == (3, [MD5.hex()])
    assert run("bank", "export", bank.path, "--format", "csv", "--only", "md5", "--out", "-").code == 2


@pytest.mark.parametrize(
    ("format_", "kept"),
    [
        ("csv", {"md5", "sha1", "sha256", "pdq"}),
        ("vics", {"md5", "sha1", "sha256", "pdq"}),
        ("stix", {"md5", "sha1", "sha256", "pdq"}),
        ("hashdeep", {"md5", "sha1", "sha256"}),
        ("icse", {"md5", "sha1"}),
    ],
)
def test_what_leaves_comes_in_again_as_the_same_entries(run: Any, tmp_path: Path, format_: str, kept: set[str]) -> None:
    entries = [
        Entry(
            Kind.OTHER, {"md5": bytes([n]) * 16, "sha1": bytes([n]) * 20, "sha256": bytes([n]) * 32, "pdq": bytes(32)},
            source_id=f"s{n}", scheme="made-up", label="A",
        )
        for n in range(1, 5)
    ]  # fmt: skip
    bank = bank_of(tmp_path, Kind.OTHER, *entries)
    out = tmp_path / "list"
    assert run("bank", "export", bank.path, "--format", format_, "--out", out).code == 0
    assert run("bank", "build", "--out", tmp_path / "again", "--name", "a", "--kind", "other", out).code == 0
    again = list(Bank.open(tmp_path / "again").entries())
    assert [e.fingerprints for e in again] == [
        {name: value for name, value in e.fingerprints.items() if name in kept} for e in entries
    ]
    if format_ in ("csv", "vics"):
        assert [(e.source_id, e.scheme, e.label) for e in again] == [(e.source_id, e.scheme, e.label) for e in entries]


@pytest.mark.parametrize(("format_", "kept"), [("nsrl", ("md5", "sha1")), ("nsrl-database", ("md5", "sha1", "sha256"))])
def test_an_nsrl_set_is_of_benign_entries_alone_and_none_is_lost_unsaid(
    run: Any, tmp_path: Path, format_: str, kept: tuple[str, ...]
) -> None:
    prints = {"md5": MD5, "sha1": SHA1, "sha256": PDQ}
    whole = [Entry(Kind.BENIGN, {name: bytes([n]) + value[1:] for name, value in prints.items()}) for n in range(3)]
    suspended = Entry(Kind.BENIGN, prints, disabled_until=1 << 33)
    bank = bank_of(
        tmp_path, Kind.BENIGN, *whole, suspended, Entry(Kind.BENIGN, {"pdq": PDQ}), Entry(Kind.OTHER, prints)
    )
    export = ("bank", "export", bank.path, "--format", format_, "--out", tmp_path / "NSRLFile.txt", "--reason", WHY)
    ended = run(*export)
    assert ended.code == 2
    assert "kind other: whoever reads an NSRL set takes all of it for harmless" in ended.faults[0]
    assert {one.name for one in tmp_path.iterdir()} == {"known"}
    assert not (bank.path / "exports.jsonl").exists()
    bank.remove([6])
    ended = run(*export)
    assert ended.code == 3
    assert "2 entries lack" in ended.faults[0]
    assert "suspended" in ended.faults[0]
    assert recorded(bank)[1]["entries"] == 3
    assert run("bank", "build", "--out", tmp_path / "b", "--name", "a", "--kind", "benign", export[6]).code == 0
    again = list(Bank.open(tmp_path / "b").entries())
    assert [e.fingerprints for e in again] == [{name: e.fingerprints[name] for name in kept} for e in whole]


@pytest.mark.parametrize("kind", [Kind.ILLEGAL, Kind.FALSE_POSITIVE])
def test_a_bank_of_another_kind_is_no_nsrl_set(run: Any, tmp_path: Path, kind: Kind) -> None:
    bank = bank_of(tmp_path, kind, Entry(Kind.BENIGN, {"md5": MD5, "sha1": SHA1}))
    ended = run("bank", "export", bank.path, "--format", "nsrl", "--out", "-", "--reason", WHY)
    assert (ended.code, ended.out) == (2, "")
    assert f"kind {kind}:" in ended.faults[0]
