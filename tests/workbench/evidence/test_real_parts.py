"""The office with real parts in place of files: a key service, a bucket, a timestamp authority that answers."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.db import transaction
from moto.server import ThreadedMotoServer
from tests.custody.conftest import Authority, authority, make_authority  # noqa: F401

from leadline.cli.run import run
from leadline.custody import slots
from leadline.errors import AssetErased, KeyUnavailable
from leadline.workbench import backup as backups
from leadline.workbench import chain, office, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.models import Anchor


def take(data: bytes, name: str = "") -> Asset:
    return actions.take_in(data, actor="somebody", source="test", name=name)


def read(asset: Asset) -> bytes:
    return b"".join(sealing.read_asset(asset.sha256))


# --- a key management service ----------------------------------------------------------------------------------------


class MadeUpService:
    """Keeps data keys itself and hands out tickets, as no file key does; changes its key when told to."""

    kept: dict[bytes, tuple[bytes, bytes]]
    is_away = False

    def __init__(self, argument: str) -> None:
        self.kept, self.generation = {}, 1

    @property
    def key_id(self) -> str:
        return f"made up/{self.generation}"

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        if self.is_away:
            raise ConnectionError("no answer")
        ticket = bytes([self.generation]) + secrets.token_bytes(20)
        self.kept[ticket] = (data_key, context)
        return ticket

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if self.is_away:
            raise ConnectionError("no answer")
        data_key, bound = self.kept[wrapped]
        if bound != context:
            raise PermissionError("context")
        return data_key

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped[0] == self.generation


@pytest.fixture
def service(office: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> MadeUpService:
    made = MadeUpService("https://kms.example.org/key")
    point = EntryPoint("made-up", "tests:nothing", slots.ENTRY_POINT_GROUP)
    monkeypatch.setattr(slots, "entry_points", lambda group: [point])
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda argument: made)
    settings.LEADLINE_KEY_SLOT = "made-up:https://kms.example.org/key"
    settings.LEADLINE_KEY_FILE.unlink()
    sealing.forget()
    return made


def test_an_office_works_with_a_key_service_and_without_a_key_file(
    service: MadeUpService, settings: Any, keeping: Person
) -> None:
    office.prepare_keys(settings, is_new=False)
    assert not settings.LEADLINE_KEY_FILE.exists()
    asset = take(b"made up", name="a.bin")
    assert (read(asset), sealing.is_key_there()) == (b"made up", True)
    service.generation = 2
    again = take(b"another", name="b.bin")
    done, damaged = actions.rotate_key()
    assert (done["files"] > 0, done["fields"], done["older"], damaged) == (True, 1, 0, [])
    for ticket in [ticket for ticket in service.kept if ticket[0] == 1]:
        del service.kept[ticket]  # the service has forgotten its old key
    sealing.forget()
    for row, name in ((asset, "a.bin"), (again, "b.bin")):
        row.refresh_from_db()
        assert sealing.unseal(bytes(row.name_sealed or b""), f"asset-name:{row.pk}") == name
    assert read(asset) == b"made up"
    assert actions.check_vault().faults == ()
    assert actions.forget_older_keys() == []


def test_while_the_key_service_does_not_answer_nothing_is_sealed(service: MadeUpService, keeping: Person) -> None:
    sealing.seal("text", "made-up:1")
    service.is_away = True
    sealing._probe.cache_clear()
    assert not sealing.is_key_there()
    with pytest.raises(KeyUnavailable):
        take(b"made up")


# --- a bucket --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The vault of this office is in it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client, name = boto3.client("s3", endpoint_url=f"http://{host}:{port}"), f"vault-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    settings.LEADLINE_VAULT = f"s3://{name}/office?endpoint=http://{host}:{port}"
    sealing.forget()
    yield lambda: [one["Key"] for one in client.list_objects_v2(Bucket=name).get("Contents", [])]
    sealing.forget()
    client.close()
    server.stop()


@pytest.mark.django_db(transaction=True)  # the database is really replaced
def test_an_office_keeps_erases_and_backs_up_in_a_bucket_and_comes_back_in_another_place(
    office: Any, bucket: Callable[[], list[str]], keeping: Person, settings: Any, tmp_path: Path
) -> None:
    one, two = take(b"LEADLINE-TEST-MARK one" * 50), take(b"LEADLINE-TEST-MARK two" * 50)
    assert read(one) == b"LEADLINE-TEST-MARK one" * 50
    assert any(one.sha256 in name for name in bucket())
    assert not any(one.sha256 in path.name for path in office.home.rglob("*"))
    made = backups.make_backup(tmp_path / "safe", lambda text: None)
    assert (made.damaged, len(list((made.folder / "vault").rglob("*.key")))) == ((), 2)
    actions.set_hold(keeping, two, is_on=True, reason="court-order")
    with transaction.atomic():
        actions.erase(one, actor="somebody", reason="term-ended")
    assert not any(one.sha256 in name for name in bucket())
    with pytest.raises(AssetErased):
        read(one)
    found = actions.check_vault()
    assert (found.files, found.faults) == (1, ())
    assert actions.rotate_key()[1] == []
    assert read(two) == b"LEADLINE-TEST-MARK two" * 50
    settings.LEADLINE_VAULT = settings.LEADLINE_VAULT.replace("/office?", "/again?")
    sealing.forget()
    assert backups.restore_backup(made.folder, replace=True, say=lambda text: None).erased == 1
    assert [name for name in bucket() if name.startswith("again/") and one.sha256 in name] == []
    assert read(two) == b"LEADLINE-TEST-MARK two" * 50
    with pytest.raises(AssetErased):
        read(one)
    assert actions.check_vault().faults == ()


# --- a timestamp authority -------------------------------------------------------------------------------------------


@contextmanager
def answering(stamps: Authority) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = stamps.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_an_anchor_is_stamped_and_what_is_exported_is_proved_by_the_authoritys_root(
    keeping: Person,
    authority: Authority,  # noqa: F811
    settings: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(authority) as url:
        settings.LEADLINE_TIMESTAMP_URLS = [url]
        settings.LEADLINE_TIMESTAMP_ROOTS = str(authority.root_file)
        tasks.sign_head()
        tasks.send_anchor()
        tasks.send_anchor()  # what it has is not asked for again
    anchor = Anchor.objects.get()
    assert [stamp["url"] for stamp in anchor.stamps] == [url]
    found = chain.check()
    assert (found.ok, "timestamp authority CN=Local Stamps" in found.anchored.by) == (True, True)
    (tmp_path / "custody.jsonl").write_bytes(b"".join(chain.lines()))
    (tmp_path / "anchor.json").write_text(anchor.statement)
    (tmp_path / "stamp.tsr").write_bytes(b64decode(anchor.stamps[0]["token"]))
    code = run(
        ["verify", str(tmp_path / "custody.jsonl"), "--anchor", str(tmp_path / "anchor.json"), "--json",
         "--timestamp", str(tmp_path / "stamp.tsr"), "--root", str(authority.root_file)]
    )  # fmt: skip
    record = json.loads(capsys.readouterr().out)
    assert (code, record["anchored_up_to"]) == (0, anchor.line)
    assert "timestamp authority CN=Local Stamps" in record["anchored_by"]


def test_an_authority_that_does_not_answer_keeps_the_anchor_from_nobody_else(keeping: Person, settings: Any) -> None:
    settings.LEADLINE_TIMESTAMP_URLS = ["http://127.0.0.1:1/"]
    settings.LEADLINE_TIMESTAMP_ROOTS = "/absent.pem"
    tasks.sign_head()
    with pytest.raises(OSError):
        tasks.send_anchor()
    assert Anchor.objects.get().left_by == ["drop", "mail"]
