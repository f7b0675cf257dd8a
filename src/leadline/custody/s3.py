"""Storage in an S3-compatible service (extra `leadline[s3]`). Refuses a bucket that would keep what is removed.

One setting: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`; without `endpoint` it is Amazon's. Credentials come from
where boto3 looks for them (its documentation: "Credentials"), or are given. What the service has acknowledged counts
as lasting.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from leadline.custody.storage import Stored
from leadline.errors import ConfigError, VaultUnavailable

PART_BYTES = 16 << 20  # of a multipart upload; S3 takes 10,000 parts of 5 MiB or more, so up to 160 GiB a file
_INCOMING = "incoming/"
_ABANDONED_AFTER_S = 24 * 3600  # a service does not say whether a writer lives
_STARTED = re.compile(r"incoming/([0-9]{1,12})-[0-9a-f]{32}")
_ABSENT = {"NoSuchKey", "404", "NoSuchUpload", "NotFound"}
_TAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_NOT_OFFERED = {"NotImplemented", "MethodNotAllowed", "501", "405"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vault lies. `prefix` ends in / or is empty; `endpoint` and `region` are None for boto3's own."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None


def read_place(untrusted_url: str) -> Place:
    """ConfigError where it is no address of this form."""
    parts = urlsplit(untrusted_url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    endpoint = options.pop("endpoint", None)
    region = options.pop("region", None)
    is_good = endpoint is None or urlsplit(endpoint).scheme in ("http", "https")
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or options or parts.fragment or not is_good:
        mend = "write s3://BUCKET/PREFIX?endpoint=URL, without name and password"
        raise ConfigError("not an address of a vault in S3", where="LEADLINE_VAULT", mend=mend)
    prefix = parts.path.strip("/")
    return Place(parts.netloc, f"{prefix}/" if prefix else "", endpoint, region)


class S3Storage:
    """The protocol `Storage` over one prefix of one bucket."""

    def __init__(self, client: Any, place: Place) -> None:
        self.client, self.place = client, place

    @classmethod
    def connect(cls, url: str, **credentials: str) -> S3Storage:
        """`credentials`: what boto3's client takes. ConfigError where the bucket may not be used for a vault."""
        place = read_place(url)
        config = Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 5},
            # Older services know no checksums in trailers; every chunk carries its own tag in any case.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        made = boto3.session.Session().client(
            "s3", endpoint_url=place.endpoint, region_name=place.region or "us-east-1", config=config, **credentials
        )
        storage = cls(made, place)
        storage.check()
        return storage

    def check(self) -> None:
        """A bucket for a vault keeps no older versions, and lets one of two first writers win."""
        with self.said():
            try:
                versioning = self.client.get_bucket_versioning(Bucket=self.place.bucket).get("Status")
            except ClientError as error:
                if _code(error) not in _NOT_OFFERED:
                    raise
                versioning = None
        if versioning is not None:
            mend = "use a bucket that never had versioning: its older versions would outlive an erasure"
            raise ConfigError("the bucket keeps older versions", where=self.place.bucket, mend=mend)
        probe = _incoming_name()
        try:
            if not self.put(probe, b"1") or self.put(probe, b"2"):
                mend = "use a service that honours If-None-Match: * on PutObject"
                raise ConfigError("the service lets a later writer win", where=self.place.bucket, mend=mend)
        finally:
            self.remove(probe)

    def begin(self) -> S3Sink:
        return S3Sink(self)

    def put(self, name: str, data: bytes, *, replace: bool = False) -> bool:
        condition = {} if replace else {"IfNoneMatch": "*"}
        with self.said():
            try:
                self.client.put_object(**self.named(name), Body=data, **condition)
            except ClientError as error:
                if not replace and _code(error) in _TAKEN:
                    return False
                raise
        return True

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        end = "" if length is None else str(offset + length - 1)
        with self.said(name):
            try:
                wanted = {} if offset == 0 and length is None else {"Range": f"bytes={offset}-{end}"}
                answer = self.client.get_object(**self.named(name), **wanted)
                with contextlib.closing(answer["Body"]) as body:
                    return bytes(body.read())
            except ClientError as error:
                if _code(error) in ("InvalidRange", "416"):  # behind its end
                    return b""
                raise

    def remove(self, name: str) -> None:
        with self.said():  # no zeros over it first: a bucket that would keep the old bytes has been refused
            self.client.delete_object(**self.named(name))

    def list(self, prefix: str = "") -> Iterator[Stored]:
        for stored in self._list(prefix):
            if not stored.name.startswith(_INCOMING):
                yield stored

    def sweep(self) -> int:
        """Uploads that were begun more than a day ago, by the clock of who began them."""
        old = [stored.name for stored in self._list(_INCOMING) if _is_abandoned(stored.name)]
        for name in old:
            self.remove(name)
        swept = len(old)
        with self.said():
            pages = self.client.get_paginator("list_multipart_uploads")
            where = {"Bucket": self.place.bucket, "Prefix": f"{self.place.prefix}{_INCOMING}"}
            for page in pages.paginate(**where):
                for upload in page.get("Uploads", []):
                    if _is_abandoned(upload["Key"][len(self.place.prefix) :]):
                        self.abort(upload["Key"], upload["UploadId"])
                        swept += 1
        return swept

    def abort(self, key: str, upload_id: str) -> None:
        with self.said():
            try:
                self.client.abort_multipart_upload(Bucket=self.place.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if _code(error) not in _ABSENT:
                    raise

    def named(self, name: str) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + name}

    def _list(self, prefix: str) -> Iterator[Stored]:
        pages = self.client.get_paginator("list_objects_v2")
        where = {"Bucket": self.place.bucket, "Prefix": self.place.prefix + prefix}
        with self.said():
            for page in pages.paginate(**where):
                for found in page.get("Contents", []):
                    name = found["Key"][len(self.place.prefix) :]
                    yield Stored(name, found["Size"], found["LastModified"].timestamp())

    @contextmanager
    def said(self, may_be_absent: str | None = None) -> Iterator[None]:
        """What the service refuses as one of our errors. Its own words may hold addresses: only its code is shown."""
        try:
            yield
        except ClientError as error:
            if may_be_absent is not None and _code(error) in _ABSENT:
                raise FileNotFoundError(may_be_absent) from None
            if _code(error) in ("NoSuchBucket", "AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
                mend = "check bucket, credentials and rights (docs/vault.md)"
                raise ConfigError(f"S3 refuses: {_code(error)}", where=self.place.bucket, mend=mend) from error
            what = f"S3 answered {_code(error)}"
            raise VaultUnavailable(what, where=self.place.bucket, mend="retry later") from error
        except BotoCoreError as error:
            what = f"S3 cannot be reached: {type(error).__name__}"
            raise VaultUnavailable(what, where=self.place.bucket, mend="check the endpoint, then retry") from error


class S3Sink:
    """A small object is sent in one request. A large one goes up in parts and is named by a copy in the service."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self._pending = bytearray()
        self._incoming = storage.named(_incoming_name())
        self._upload_id, self._is_whole = "", False
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) > PART_BYTES:
            self._send(bytes(self._pending[:PART_BYTES]))
            del self._pending[:PART_BYTES]

    def keep_as(self, name: str) -> None:
        if not self._upload_id:
            self._storage.put(name, bytes(self._pending), replace=True)
            return
        self._send(bytes(self._pending))
        client = self._storage.client
        with self._storage.said():
            client.complete_multipart_upload(
                **self._incoming, UploadId=self._upload_id, MultipartUpload={"Parts": self._parts}
            )
            self._is_whole = True
            target = self._storage.named(name)
            client.copy(self._incoming, target["Bucket"], target["Key"])

    def discard(self) -> None:
        """What cannot be removed now, `sweep` removes."""
        self._pending.clear()
        upload_id, self._upload_id = self._upload_id, ""
        if upload_id:
            with contextlib.suppress(VaultUnavailable):
                if self._is_whole:
                    with self._storage.said():
                        self._storage.client.delete_object(**self._incoming)
                else:
                    self._storage.abort(self._incoming["Key"], upload_id)

    def _send(self, data: bytes) -> None:
        client = self._storage.client
        with self._storage.said():
            if not self._upload_id:
                self._upload_id = client.create_multipart_upload(**self._incoming)["UploadId"]
            number = len(self._parts) + 1
            sent = client.upload_part(**self._incoming, UploadId=self._upload_id, PartNumber=number, Body=data)
            self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


def _incoming_name() -> str:
    return f"{_INCOMING}{int(time.time())}-{secrets.token_hex(16)}"


def _is_abandoned(name: str) -> bool:
    started = _STARTED.fullmatch(name)
    return started is not None and int(started[1]) < time.time() - _ABANDONED_AFTER_S


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
