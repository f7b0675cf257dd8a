"""Banks through a prefix: whole at every moment, checked on arrival, changes in small pieces."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.service.conftest import MD5

from leadline.cli import main
from leadline.custody.storage import FolderStorage, Storage, open_storage
from leadline.domain import Entry, Kind
from leadline.errors import BankCorrupt, VaultUnavailable
from leadline.match.bank import Bank
from leadline.service.batcher import Query, search
from leadline.service.lists import Lists
from leadline.service.mirror import CURRENT, pull, upload


def entry(number: int) -> Entry:
    return Entry(Kind.ILLEGAL, {"md5": bytes([number]) * 16}, number)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = Bank.create(tmp_path / "known", name="KNOWN", kind=Kind.ILLEGAL)
    made.add([entry(1), entry(2)])
    return made


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "prefix")


def test_a_bucket_does_as_well_as_a_folder(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        keys = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}
        for name, value in keys.items():
            monkeypatch.setenv(name.upper(), value)
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)
        client.create_bucket(Bucket="lists")
        client.close()
        place = f"s3://lists/leadline?endpoint=http://{host}:{port}"
        assert main(["bank", "upload", str(bank.path), "--to", place, "--json"]) == 0
        storage = open_storage(place)
        assert pull(storage, tmp_path / "replica") == {"KNOWN": bank.list_version}
        assert ids(tmp_path / "replica", bank) == [1, 2]
        bank.add([entry(3)])
        bank.merge()
        assert upload(bank, storage)
        pull(storage, tmp_path / "replica")
        assert ids(tmp_path / "replica", bank) == [1, 2, 3]
    finally:
        server.stop()


def refuse(*_: object) -> bool:
    raise VaultUnavailable("no answer", where="the place", mend="try again")


def test_who_follows_goes_on_over_what_fails_and_takes_up_what_is_made_later(
    bank: Bank, storage: FolderStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    shelf, place = tmp_path / "shelf", str(storage.root)
    shelf.mkdir()
    bank.path.rename(shelf / "known")
    known = Bank.open(shelf / "known")

    def come_back_with_more() -> None:
        monkeypatch.setattr("leadline.service.mirror.upload", upload)
        known.add([entry(3)])
        Bank.create(shelf / "later", name="LATER", kind=Kind.OTHER).add([entry(4)])

    def stop() -> None:
        raise KeyboardInterrupt

    def go_away() -> None:
        monkeypatch.setattr("leadline.service.mirror.upload", refuse)

    turns = iter([go_away, lambda: None, come_back_with_more, lambda: shutil.rmtree(shelf / "later"), stop])
    monkeypatch.setattr("leadline.cli.bank_upload.time.sleep", lambda seconds: next(turns)())
    assert main(["bank", "upload", str(shelf), "--to", place, "--follow"]) == 130
    told = capfd.readouterr()
    assert told.out.splitlines() == ["KNOWN: version 1", "KNOWN: version 2", "LATER: version 1"]
    faults = [line for line in told.err.splitlines() if line.startswith("leadline: ")]
    assert faults[:2] == [
        "leadline: no answer (the place): try again",
        "leadline: a bank that was uploaded is gone here (later): replicas go on with it: see docs/scale.md",
    ]
    assert pull(storage, tmp_path / "replica") == {"KNOWN": 2, "LATER": 1}


def test_who_follows_is_told_at_once_what_never_went_well(
    bank: Bank, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("leadline.service.mirror.upload", refuse)
    assert main(["bank", "upload", str(bank.path), "--to", str(storage.root), "--follow"]) == 1
    assert capfd.readouterr().err == "leadline: no answer (the place): try again\n"


def ids(shelf: Path, bank: Bank) -> list[int]:
    there = Bank.open(shelf / bank.snapshot.manifest.identity)
    assert there.verify() == []
    return sorted(one.id or 0 for one in there.entries())


def objects(storage: Storage) -> set[str]:
    return {stored.name.partition("/")[2] for stored in storage.list()}


def test_a_bank_arrives_as_it_is_and_follows_each_change(bank: Bank, storage: FolderStorage, tmp_path: Path) -> None:
    shelf = tmp_path / "replica"
    assert upload(bank, storage)
    assert not upload(bank, storage)
    assert pull(storage, shelf) == {"KNOWN": bank.list_version}
    assert pull(storage, shelf) == {}
    assert ids(shelf, bank) == [1, 2]
    for change, expected in (
        (lambda: bank.add([entry(3)]), [1, 2, 3]),
        (lambda: bank.remove([1]), [2, 3]),
        (lambda: bank.merge(), [2, 3]),
        (lambda: bank.add([entry(4)]), [2, 3, 4]),
        (lambda: bank.set_settings(quality_floor=10), [2, 3, 4]),
    ):
        change()
        assert upload(bank, storage)
        pull(storage, shelf)
        assert ids(shelf, bank) == expected
    assert {path.name for path in (shelf / bank.snapshot.manifest.identity).glob("seg-*")} == {
        path.name for path in bank.path.glob("seg-*")
    }


def test_a_small_change_sends_its_own_bytes_only(bank: Bank, storage: FolderStorage) -> None:
    bank.merge()
    upload(bank, storage)
    before = objects(storage)
    grown = bank.snapshot.log_path.stat().st_size
    bank.add([entry(3)])
    upload(bank, storage)
    (new,) = objects(storage) - before
    assert new.endswith(f".{grown}-{bank.snapshot.log_path.stat().st_size}")


def test_a_reader_between_two_uploads_finds_what_it_was_told(
    bank: Bank, storage: FolderStorage, tmp_path: Path
) -> None:
    upload(bank, storage)
    told = {stored.name for stored in storage.list()}
    bank.add([entry(3)])
    bank.merge()
    upload(bank, storage)
    assert told <= {stored.name for stored in storage.list()}  # who is half-way through them can end
    bank.add([entry(4)])
    upload(bank, storage)
    assert not any("log-00000001." in name for name in objects(storage))
    pull(storage, tmp_path / "replica")
    assert ids(tmp_path / "replica", bank) == [1, 2, 3, 4]


def test_a_piece_that_is_damaged_changes_nothing_at_the_replica(
    bank: Bank, storage: FolderStorage, tmp_path: Path
) -> None:
    shelf = tmp_path / "replica"
    upload(bank, storage)
    pull(storage, shelf)
    bank.add([entry(3)])
    bank.merge()
    upload(bank, storage)
    name = next(stored.name for stored in storage.list() if ".records." in stored.name)
    good = storage.read(name)
    storage.put(name, good[:-1] + bytes([good[-1] ^ 1]), replace=True)
    with pytest.raises(BankCorrupt):
        pull(storage, shelf)
    assert ids(shelf, bank) == [1, 2]
    storage.put(name, good, replace=True)
    pull(storage, shelf)
    assert ids(shelf, bank) == [1, 2, 3]


def test_a_pull_that_was_cut_off_anywhere_is_ended_by_the_next(
    bank: Bank, storage: FolderStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(bank, storage)
    real, shelf = storage.read, tmp_path / "replica"
    for allowed in range(12):
        shutil.rmtree(shelf, ignore_errors=True)
        left = [allowed]

        def read(name: str, offset: int = 0, length: int | None = None, left: list[int] = left) -> bytes:
            if not left[0]:
                raise VaultUnavailable("plug pulled")
            left[0] -= 1
            return real(name, offset, length)

        with monkeypatch.context() as patch:
            patch.setattr(storage, "read", read)
            try:
                pull(storage, shelf)
            except VaultUnavailable:
                pass
            else:
                assert allowed
        bank.add([entry(10 + allowed)])
        upload(bank, storage)
        pull(storage, shelf)
        assert ids(shelf, bank) == [1, 2, *range(10, 11 + allowed)]


def test_a_log_that_was_half_written_is_gone_on_with(bank: Bank, storage: FolderStorage, tmp_path: Path) -> None:
    shelf = tmp_path / "replica"
    upload(bank, storage)
    pull(storage, shelf)
    bank.add([entry(3)])
    upload(bank, storage)
    log = shelf / bank.snapshot.manifest.identity / bank.snapshot.log_path.name
    whole = bank.snapshot.log_path.read_bytes()
    with log.open("ab") as file:
        file.write(whole[log.stat().st_size :][:100])
    pull(storage, shelf)
    assert log.read_bytes() == whole
    assert ids(shelf, bank) == [1, 2, 3]


def test_an_end_that_was_seen_and_never_acknowledged_is_replaced_on_both_sides(
    bank: Bank, storage: FolderStorage, tmp_path: Path
) -> None:
    shelf, log = tmp_path / "replica", bank.snapshot.log_path
    upload(bank, storage)
    acknowledged = log.read_bytes()
    bank.add([entry(66)])  # its writer fails to sync it, and cuts it off; meanwhile somebody uploaded
    upload(bank, storage)
    pull(storage, shelf)
    assert ids(shelf, bank) == [1, 2, 66]
    log.write_bytes(acknowledged)
    again = Bank.open(bank.path)
    again.add([entry(5), entry(6), entry(7)])
    upload(again, storage)
    pull(storage, shelf)
    assert ids(shelf, bank) == [1, 2, 5, 6, 7]


def test_only_one_process_pulls_and_a_service_sees_what_came(
    bank: Bank, storage: FolderStorage, tmp_path: Path
) -> None:
    shelf = tmp_path / "replica"
    shelf.mkdir()
    lists = Lists((), shelf=shelf)
    upload(bank, storage)
    fd = os.open(shelf / ".pulling", os.O_CREAT | os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert pull(storage, shelf) == {}
    os.close(fd)
    pull(storage, shelf)
    assert list(lists.refresh()) == ["KNOWN"]
    query = Query("md5", bytes.fromhex(MD5))
    assert search(lists.matcher(), [query])[0].matches == ()
    bank.add([Entry(Kind.ILLEGAL, {"md5": query.value}, 77)])
    upload(bank, storage)
    pull(storage, shelf)
    lists.refresh()
    assert [match.entry for match in search(lists.matcher(), [query])[0].matches] == [77]


def test_names_from_the_prefix_cannot_lead_elsewhere(bank: Bank, storage: FolderStorage, tmp_path: Path) -> None:
    upload(bank, storage)
    name = f"{bank.snapshot.manifest.identity}/{CURRENT}"
    storage.put(name, storage.read(name).replace(b'"log-00000001"', b'"../../outside"'), replace=True)
    with pytest.raises(BankCorrupt):
        pull(storage, tmp_path / "replica")
    assert not (tmp_path / "outside").exists()
