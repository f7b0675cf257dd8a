"""Uploads are hashed in memory and in the sandbox, within bounds; what is wrong with one is said clearly."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import Worker
from tests.service.pictures import encoded, form, scene

from leadline.domain import Entry, Kind
from leadline.errors import ConfigError, SandboxUnavailable
from leadline.match.bank import Bank
from leadline.media.client import Sandbox
from leadline.service.options import Options
from leadline.service.serving import check_intake
from leadline.service.tokens import Scope

PICTURE = encoded(scene())
FIELDS = [
    "size", "md5", "sha1", "sha256", "mime", "width", "height", "pdq", "quality", "pdq_family", "partial", "isolation",
]  # fmt: skip


@pytest.fixture
def hashing(make_worker: Callable[..., Worker]) -> Callable[..., Worker]:
    def make(*scopes: Scope, **options: Any) -> Worker:
        return make_worker(*scopes, **{"hashers": 1, **options})

    return make


@pytest.fixture
def uploads(hashing: Callable[..., Worker]) -> Worker:
    return hashing()


def files(worker: Worker, path: str = "/v1/hash", **request: Any) -> list[dict[str, Any]]:
    answer = worker.ask("POST", path, **request)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["files"])


def problem(worker: Worker, path: str = "/v1/hash", **request: Any) -> tuple[int, str]:
    answer = worker.ask("POST", path, **request)
    return answer.status_code, answer.json()["code"]


def bits(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_a_bare_body_is_hashed_as_the_command_line_does(uploads: Worker) -> None:
    (record,) = files(uploads, content=PICTURE, headers={"content-type": "image/png"})
    assert list(record) == [*FIELDS, "notes"]
    for name in ("md5", "sha1", "sha256"):
        assert record[name] == hashlib.new(name, PICTURE).hexdigest()
    assert (record["size"], record["mime"], record["isolation"]) == (len(PICTURE), "image/png", "file")
    assert (record["width"], record["height"], record["pdq_family"]) == (320, 240, "b")
    assert record["quality"] >= 50


def test_parts_are_answered_in_their_order_under_their_names(uploads: Worker) -> None:
    jpeg = encoded(scene(), "JPEG", quality=90)
    request = form(("first", "a.png", PICTURE), ("second", None, jpeg), ("third", "c.txt", b"words"))
    first, second, third = files(uploads, **request)
    assert [record["name"] for record in (first, second, third)] == ["first", "second", "third"]
    assert bits(first["pdq"], second["pdq"]) <= 10
    assert third["md5"] == hashlib.md5(b"words").hexdigest()
    assert (third["pdq"], third["quality"]) == (None, None)


def test_a_large_body_in_small_pieces_is_the_same_file(uploads: Worker) -> None:
    whole = bytes(range(256)) * 20_000

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 70_001):
            yield whole[at : at + 70_001]

    (record,) = files(uploads, content=pieces())
    assert (record["size"], record["sha256"]) == (len(whole), hashlib.sha256(whole).hexdigest())


def test_nothing_is_written_to_disk(uploads: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was made")

    for name in ("SpooledTemporaryFile", "NamedTemporaryFile", "TemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    mark = b"a mark that is found nowhere"
    files(uploads, **form(("big", "big.bin", mark + bytes(3 << 20))))
    written = [path for path in tmp_path.rglob("*") if path.is_file() and mark in path.read_bytes()]
    assert written == []


def test_a_scan_says_what_banks_say_and_hides_details_from_who_may_not_see_them(
    hashing: Callable[..., Worker], shelf: Path
) -> None:
    (record,) = files(hashing(), content=PICTURE)
    bank = Bank.create(shelf / "drawn", name="drawn", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(record["pdq"])}, 5, quality=100, label="L")])
    jpeg = encoded(scene(), "JPEG", quality=80)

    (full,) = files(hashing(), "/v1/scan", content=jpeg)
    assert (full["verdict"], full["kind"], full["truncated"]) == ("near", "other", False)
    (match,) = full["matches"]
    assert (match["bank"], match["entry"], match["label"], match["flooding"]) == ("drawn", 5, "L", False)
    assert 0 <= match["distance"] <= 31
    assert any("entry 5" in reason for reason in full["reasons"])

    (plain,) = files(hashing(Scope.HASH, Scope.MATCH), "/v1/scan", content=jpeg)
    assert plain["verdict"] == "near"
    assert plain["matches"] == [{"bank": "drawn", "kind": "other"}]
    assert not any("entry" in reason or "distance" in reason for reason in plain["reasons"])


def test_a_turned_copy_is_found_and_banks_can_be_named(hashing: Callable[..., Worker], shelf: Path) -> None:
    worker = hashing()
    (record,) = files(worker, content=PICTURE)
    bank = Bank.create(shelf / "drawn", name="drawn", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(record["pdq"])}, quality=100)])
    worker.refresh()
    turned = encoded(scene().rotate(90, expand=True))
    assert files(worker, "/v1/scan?banks=known,drawn", content=turned)[0]["verdict"] == "near"
    assert files(worker, "/v1/scan?banks=known", content=turned)[0]["verdict"] == "unknown"
    assert files(worker, "/v1/scan?radius=0&seed=x", content=turned)[0]["verdict"] in ("near", "unknown")
    assert problem(worker, "/v1/scan?banks=absent", content=turned) == (404, "bank-not-found")
    assert problem(worker, "/v1/scan?radius=65", content=turned) == (422, "body")


def test_a_false_positive_marks_and_hides_nothing(hashing: Callable[..., Worker], shelf: Path) -> None:
    worker = hashing()
    (record,) = files(worker, content=PICTURE)
    pdq = bytes.fromhex(record["pdq"])
    for name, kind in (("drawn", Kind.EXPLOITATIVE), ("cleared", Kind.FALSE_POSITIVE)):
        Bank.create(shelf / name, name=name, kind=kind).add([Entry(kind, {"pdq": pdq}, quality=100)])
    worker.refresh()
    (scanned,) = files(worker, "/v1/scan", content=PICTURE)
    assert scanned["verdict"] == "unknown"
    assert {match["bank"]: match["suppressed_by"] for match in scanned["matches"]}["drawn"] == "cleared/1"


def test_a_damaged_picture_keeps_its_digests_and_is_counted(uploads: Worker) -> None:
    broken = b"\xff\xd8\xff\xe0" + bytes(500)
    (record,) = files(uploads, content=broken)
    assert record["sha256"] == hashlib.sha256(broken).hexdigest()
    assert record["error"]["code"]
    (scanned,) = files(uploads, "/v1/scan", content=broken)
    assert scanned["verdict"] == "unreadable"
    metrics = uploads.ask("GET", "/metrics").text
    assert f'leadline_decode_failures_total{{code="{record["error"]["code"]}"}} 2.0' in metrics
    assert "leadline_hash_queue " in metrics
    assert 'leadline_lookups_total{route="scan"} 1.0' in metrics


def test_a_zip_bomb_is_not_opened_and_the_answer_says_so(uploads: Worker) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(50 << 20))
    (scanned,) = files(uploads, "/v1/scan", content=out.getvalue())
    assert (scanned["mime"], scanned["verdict"]) == ("application/zip", "unknown")
    assert "not opened: files within it are to be sent one by one" in scanned["notes"]
    assert "not opened: files within it are to be sent one by one" in scanned["reasons"]


def test_an_empty_body_is_an_empty_file(uploads: Worker) -> None:
    (record,) = files(uploads, content=b"")
    assert (record["size"], record["notes"]) == (0, ["empty file"])


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (form(("a", "a", b"x"), end=False), (400, "multipart")),
        (form(), (400, "multipart")),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data; boundary=b"}}, (400, "multipart")),
        ({"content": b"junk", "headers": {"content-type": "multipart/form-data"}}, (400, "media-type")),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary="}}, (400, "media-type")),
        ({"content": b"x", "headers": {"content-encoding": "gzip"}}, (415, "media-type")),
        (form(*[("a", "a", b"x")] * 101), (413, "too-many-parts")),
        (form(("a", "a", b"x" * 2001)), (413, "too-large")),
        ({"content": b"x" * 2001}, (413, "too-large")),
        (form(("a", "a", b"x" * 1900), ("b", "b", b"x" * 1900), ("c", "c", b"x" * 1900)), (413, "too-large")),
    ],
)  # fmt: skip
def test_what_is_no_upload_is_refused_in_clear_words(
    hashing: Callable[..., Worker], request_: dict[str, Any], told: tuple[int, str]
) -> None:
    worker = hashing(max_body_bytes=2000, max_upload_bytes=5000 if told[1] != "too-many-parts" else 1 << 20)
    assert problem(worker, **request_) == told


def test_a_part_that_is_none_is_refused(uploads: Worker) -> None:
    request = form(("a", "a", b"x"))
    request["content"] = request["content"].replace(b"form-data; name", b"attachment; name")
    assert problem(uploads, **request) == (400, "multipart")


def test_more_than_a_worker_can_hold_is_told_to_come_again_and_fits_later(hashing: Callable[..., Worker]) -> None:
    worker = hashing(held_bytes=10_000, max_body_bytes=20_000)
    for _ in range(3):  # what was held is given back
        assert len(files(worker, content=b"x" * 9_000)) == 1
    refused = worker.ask("POST", "/v1/hash", content=b"x" * 11_000)
    assert (refused.status_code, refused.json()["code"]) == (429, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert 'leadline_refused_total{code="busy"} 1.0' in worker.ask("GET", "/metrics").text

    async def unsaid() -> AsyncIterator[bytes]:
        yield b"x"

    assert problem(worker, content=unsaid()) == (429, "busy")  # it could come to more than there is room for


def test_a_queue_that_is_full_takes_nothing(hashing: Callable[..., Worker]) -> None:
    assert problem(hashing(hash_queue=0), content=b"x") == (429, "busy")


def test_a_service_without_decoders_says_so(hashing: Callable[..., Worker]) -> None:
    assert problem(hashing(hashers=0), content=b"x") == (501, "hashing-off")


def test_a_decoder_that_was_killed_is_renewed(uploads: Worker) -> None:
    before = _children()
    files(uploads, content=PICTURE)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    (record,) = files(uploads, content=PICTURE)
    assert "error" not in record
    assert record["quality"] >= 50
    assert _children().isdisjoint(before)


def _children() -> set[int]:
    """Zygotes of this process."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            said = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            is_ours = bool(said) and int(said[1]) == os.getpid() and said[0] != "Z"
            if is_ours and b"leadline.media.worker" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def test_a_machine_that_cannot_isolate_starts_no_worker(
    hashing: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "start", _refuse)
    with pytest.raises(SandboxUnavailable):
        hashing(hashers=2)


def test_what_uploads_need_is_looked_for_before_any_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not a network"):
        check_intake(Options(fetch_private=("10.0.0.1/8",)))
    check_intake(Options(hashers=1, fetch_private=("10.0.0.0/8",)))
    monkeypatch.setattr(Sandbox, "start", _refuse)
    with pytest.raises(SandboxUnavailable):
        check_intake(Options(hashers=1))
    check_intake(Options(hashers=0))


def _refuse(self: Sandbox) -> None:
    raise SandboxUnavailable("the sandbox does not hold")


@pytest.mark.parametrize(
    ("path", "scope", "missing"),
    [("/v1/hash", Scope.MATCH, "hash"), ("/v1/scan", Scope.HASH, "match"), ("/v1/scan", Scope.MATCH, "hash")],
)
def test_scopes_are_demanded(hashing: Callable[..., Worker], path: str, scope: Scope, missing: str) -> None:
    answer = hashing(scope, hashers=0).ask("POST", path, content=b"x")
    assert answer.status_code == 403
    assert missing in answer.json()["detail"]


def test_other_methods_are_none(uploads: Worker) -> None:
    answer = uploads.ask("GET", "/v1/hash")
    assert (answer.status_code, answer.json()["code"]) == (405, "method")


def test_who_goes_away_amid_an_upload_leaves_nothing_behind(hashing: Callable[..., Worker]) -> None:
    worker = hashing(held_bytes=10_000, max_body_bytes=10_000)

    def messages() -> Iterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"x" * 10, "more_body": True}
        while True:
            yield {"type": "http.disconnect"}

    come = messages()

    async def receive() -> dict[str, Any]:
        return next(come)

    async def send(message: Any) -> None:
        return

    headers = [(b"authorization", f"Bearer {worker.token}".encode()), (b"content-length", b"10000")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/hash", "raw_path": b"/v1/hash", "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    worker.do(worker.service(scope, receive, send))
    assert len(files(worker, content=b"x" * 10_000)) == 1
