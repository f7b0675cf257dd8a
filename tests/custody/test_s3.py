"""The vault in an S3-compatible service: the same promises, against a real server of the protocol on loopback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.custody.keys import FileKeySlot, InstanceKey
from leadline.custody.upkeep import verify_vault
from leadline.custody.vault import Vault, open_vault
from leadline.errors import AssetErased

MARK = b"a phrase that must never be found in a bucket " * 9


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Vault, Any]]:
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    bucket = boto3.resource("s3", endpoint_url=endpoint).create_bucket(Bucket="made-up")
    InstanceKey.create(tmp_path / "key")
    (tmp_path / "apart").mkdir(mode=0o700)
    place = f"s3://made-up/office?endpoint={endpoint}"
    yield open_vault(place, FileKeySlot.load(tmp_path / "key"), tmp_path / "apart" / "erasures"), bucket
    server.stop()
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_files_go_in_sealed_come_out_whole_and_are_erased(vault: tuple[Vault, Any]) -> None:
    opened, bucket = vault
    large = os.urandom(12 << 20)
    small, big = (opened.put([data], limit_bytes=1 << 30).sha256 for data in (MARK, large))
    assert b"".join(opened.open(small)) == MARK
    assert b"".join(opened.open(big)) == large
    assert list(verify_vault(opened)) == []
    assert all(MARK[:30] not in item.get()["Body"].read() for item in bucket.objects.all())
    opened.erase(small)
    with pytest.raises(AssetErased):
        opened.open(small)
    assert [item.key for item in bucket.objects.all() if small in item.key] == []
    assert list(opened.addresses()) == [big]
