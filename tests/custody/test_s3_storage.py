"""The contract of every storage in an S3-compatible service, and what only such a service can do wrong."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto.server import ThreadedMotoServer
from tests.contracts.storage import StorageContract, keep, names

from leadline.custody import s3
from leadline.custody.keys import InstanceKey
from leadline.custody.s3 import Place, S3Storage, read_place
from leadline.custody.storage import FolderStorage
from leadline.custody.upkeep import FaultKind, copy_vault, verify_vault
from leadline.custody.vault import open_vault
from leadline.errors import AssetErased, ConfigError, VaultUnavailable

KEYS = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Iterator[Any]:
    made = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    yield made
    made.close()


@pytest.fixture
def url(endpoint: str, client: Any) -> str:
    bucket = f"vault-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/office/one?endpoint={endpoint}"


@pytest.fixture
def connect(url: str) -> Iterator[Callable[[], S3Storage]]:
    made: list[S3Storage] = []

    def connect_once() -> S3Storage:
        made.append(S3Storage.connect(url, **KEYS))
        return made[-1]

    yield connect_once
    for storage in made:
        storage.client.close()


@pytest.fixture
def storage(connect: Callable[[], S3Storage], monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # the smallest that the service takes
    return connect()


@pytest.fixture
def again(connect: Callable[[], S3Storage]) -> Callable[[], S3Storage]:
    return connect


class TestS3(StorageContract):
    large_bytes = 11 << 20  # three parts


def test_it_stays_within_its_prefix(storage: S3Storage, client: Any) -> None:
    client.put_object(Bucket=storage.place.bucket, Key="office/other/x", Body=b"not ours")
    client.put_object(Bucket=storage.place.bucket, Key="office/one-more", Body=b"not ours")
    storage.put("x", b"ours")
    assert names(storage) == ["x"]
    assert {o["Key"] for o in client.list_objects_v2(Bucket=storage.place.bucket)["Contents"]} == {
        "office/other/x", "office/one-more", "office/one/x",
    }  # fmt: skip


def test_a_large_object_leaves_no_second_copy(storage: S3Storage, client: Any) -> None:
    keep(storage, "ab/x.blob", bytes(11 << 20))
    listed = client.list_objects_v2(Bucket=storage.place.bucket)["Contents"]
    assert [o["Key"] for o in listed] == ["office/one/ab/x.blob"]


def test_a_vault_lives_in_a_bucket(storage: S3Storage, url: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Through the one setting, with credentials where boto3 looks for them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    key, contents = InstanceKey.create(tmp_path / "key"), b"drawn scene " * 500_000
    vault = open_vault(url, key, tmp_path / "erasures" / "list")
    sealed = vault.put([contents], limit_bytes=1 << 30)
    assert b"".join(vault.open(sealed.sha256)) == contents
    assert b"".join(vault.read_range(sealed.sha256, 1_200_000, 24)) == b"drawn scene " * 2
    assert vault.put([contents], limit_bytes=1 << 30).was_there
    other = open_vault(url, key, tmp_path / "erasures" / "list")
    assert [*verify_vault(other)] == []
    copy_vault(storage, FolderStorage(tmp_path / "copy"))
    other.erase(sealed.sha256)
    with pytest.raises(AssetErased):
        vault.open(sealed.sha256)
    assert [n for n in names(storage) if sealed.sha256 in n] == []
    copy_vault(FolderStorage(tmp_path / "copy"), storage)  # restored from before the erasure
    assert [fault.kind for fault in verify_vault(vault)] == [FaultKind.ERASED_YET_THERE]
    reopened = open_vault(url, key, tmp_path / "erasures" / "list")
    assert [n for n in names(storage) if sealed.sha256 in n] == []
    assert [*verify_vault(reopened)] == []
    for opened in (vault, other, reopened):
        opened.storage.client.close()  # type: ignore[attr-defined]


def test_it_refuses_a_bucket_that_keeps_older_versions(
    connect: Callable[[], S3Storage], client: Any, url: str
) -> None:
    bucket = read_place(url).bucket
    for status in ("Enabled", "Suspended"):
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        with pytest.raises(ConfigError, match="older versions"):
            S3Storage.connect(url, **KEYS)


def test_it_refuses_a_service_that_lets_a_later_writer_win(storage: S3Storage, monkeypatch: Any) -> None:
    real = storage.client.put_object

    def ignore_condition(**options: Any) -> Any:
        options.pop("IfNoneMatch", None)
        return real(**options)

    monkeypatch.setattr(storage.client, "put_object", ignore_condition)
    with pytest.raises(ConfigError, match="later writer"):
        storage.check()
    assert names(storage) == []


def test_it_refuses_a_bucket_that_is_not_there(url: str) -> None:
    with pytest.raises(ConfigError, match="NoSuchBucket"):
        S3Storage.connect(url.replace("vault-", "none-"), **KEYS)


def test_a_service_without_versions_will_do(storage: S3Storage, monkeypatch: Any) -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "NotImplemented"}}, "GetBucketVersioning")

    monkeypatch.setattr(storage.client, "get_bucket_versioning", refuse)
    storage.check()


@pytest.mark.parametrize(
    "fault",
    [ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"), ConnectTimeoutError(endpoint_url="http://s3.invalid")],
)
def test_a_service_that_does_not_answer_is_said(storage: S3Storage, monkeypatch: Any, fault: Exception) -> None:
    def fail(**_: Any) -> Any:
        raise fault

    for name in ("put_object", "get_object", "delete_object", "create_multipart_upload"):
        monkeypatch.setattr(storage.client, name, fail)
    for act in (
        lambda: storage.put("x", b""),
        lambda: storage.read("x"),
        lambda: storage.remove("x"),
        lambda: keep(storage, "x", bytes(11 << 20)),
    ):
        with pytest.raises(VaultUnavailable) as caught:
            act()
        assert not caught.value.permanent
        assert "s3.invalid" not in str(caught.value)


def test_an_upload_that_breaks_off_leaves_nothing(storage: S3Storage, client: Any, monkeypatch: Any) -> None:
    real, calls = storage.client.upload_part, []

    def fail_second(**options: Any) -> Any:
        calls.append(options["PartNumber"])
        if len(calls) == 2:
            raise ClientError({"Error": {"Code": "InternalError"}}, "UploadPart")
        return real(**options)

    monkeypatch.setattr(storage.client, "upload_part", fail_second)
    with pytest.raises(VaultUnavailable):
        keep(storage, "x", bytes(11 << 20))
    assert "Uploads" not in client.list_multipart_uploads(Bucket=storage.place.bucket)
    assert names(storage) == []


def test_uploads_abandoned_for_a_day_are_swept(storage: S3Storage, client: Any) -> None:
    bucket, now = storage.place.bucket, int(time.time())
    old, young = f"incoming/{now - 25 * 3600}-{'0' * 32}", f"incoming/{now - 23 * 3600}-{'0' * 32}"
    for key in (f"office/one/{old}", f"office/one/{young}", f"office/other/{old}"):
        client.create_multipart_upload(Bucket=bucket, Key=key)
    client.put_object(Bucket=bucket, Key=f"office/one/{old}", Body=b"1")
    client.put_object(Bucket=bucket, Key=f"office/one/{young}", Body=b"1")
    assert storage.sweep() == 2
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert {upload["Key"] for upload in left} == {f"office/one/{young}", f"office/other/{old}"}
    assert [o["Key"] for o in client.list_objects_v2(Bucket=bucket)["Contents"]] == [f"office/one/{young}"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("s3://bucket", Place("bucket", "", None, None)),
        ("s3://bucket/a/b/", Place("bucket", "a/b/", None, None)),
        (
            "s3://b/a?endpoint=https://s3.example.org:9000&region=eu",
            Place("b", "a/", "https://s3.example.org:9000", "eu"),
        ),
    ],
)
def test_it_reads_the_one_setting(said: str, meant: Place) -> None:
    assert read_place(said) == meant


@pytest.mark.parametrize(
    "wrong",
    ["s3:///x", "http://b/x", "s3://name:word@b/x", "s3://b/x?endpoint=ftp://h", "s3://b/x?secret=1", "s3://b/x#f"],
)
def test_it_refuses_what_is_no_address(wrong: str) -> None:
    with pytest.raises(ConfigError, match="not an address") as caught:
        read_place(wrong)
    assert "word" not in str(caught.value).replace("password", "")
