"""HMA's faults with pictures are none here: palette, CMYK, EXIF, features, damage. All pictures are drawn."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.service.conftest import Worker
from tests.service.pictures import encoded, form, scene

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank

FAR = "5" * 64
PLAIN = encoded(scene())


@pytest.fixture(scope="module")
def plain_pdq() -> str:
    """Of the plain picture, by the reference implementation."""
    pdqhash = pytest.importorskip("pdqhash")
    bits, _ = pdqhash.compute(np.asarray(scene()))
    return str(np.packbits(bits).tobytes().hex())


@pytest.fixture
def hashing(make_worker: Callable[..., Worker]) -> Worker:
    return make_worker(hashers=1)


def photo(content: bytes, name: str = "photo") -> dict[str, Any]:
    return form((name, "a-file", content))


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def variants() -> dict[str, bytes]:
    picture = scene()
    return {
        "plain": PLAIN,
        "palette": encoded(picture.quantize(256)),
        "grey": encoded(picture.convert("L")),
        "cmyk": encoded(picture.convert("CMYK"), "JPEG", quality=95),
        "upside-down by EXIF": encoded(picture.rotate(180), "JPEG", quality=95, exif=exif(3)),
        "on its side by EXIF": encoded(picture.rotate(90, expand=True), "JPEG", quality=95, exif=exif(6)),
        "opaque alpha": encoded(picture.convert("RGBA")),
    }


@pytest.mark.parametrize("name", variants())
def test_the_same_picture_in_another_mode_has_nearly_the_same_hash(
    hashing: Worker, plain_pdq: str, name: str
) -> None:
    answer = hashing.ask("POST", "/h/hash", **photo(variants()[name]))
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["pdq"]
    assert distance(answer.json()["pdq"], plain_pdq) <= 10
    assert 50 <= int(answer.headers["leadline-quality"]) <= 100


def test_a_file_is_looked_up_by_what_it_shows(
    make_worker: Callable[..., Worker], shelf: Path, plain_pdq: str
) -> None:
    bank = Bank.create(shelf / "drawn", name="DRAWN", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(plain_pdq)}, quality=100)])
    worker = make_worker(hashers=1)
    for content in variants().values():
        found = worker.ask("POST", "/m/lookup", **photo(content)).json()
        assert list(found) == ["pdq"]
        (content_,) = found["pdq"]["DRAWN"]
        assert 0 <= int(content_["distance"]) <= 31
    turned = encoded(scene().rotate(90, expand=True))
    assert "DRAWN" in worker.ask("POST", "/m/lookup", **photo(turned)).json()["pdq"]
    assert worker.ask("POST", "/m/lookup?banks=known", **photo(PLAIN)).json() == {"pdq": {}}
    assert worker.ask("POST", "/m/lookup", **photo(encoded(scene(9)))).json() == {"pdq": {}}


def test_a_file_and_its_hash_are_answered_alike(
    make_worker: Callable[..., Worker], shelf: Path, plain_pdq: str
) -> None:
    bank = Bank.create(shelf / "drawn", name="DRAWN", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(plain_pdq), "md5": hashlib.md5(PLAIN).digest()}, quality=100)])
    worker = make_worker(hashers=1)
    by_file = worker.ask("POST", "/m/lookup?types=pdq,md5,sha1", **photo(PLAIN)).json()
    hashes = worker.ask("POST", "/h/hash?types=pdq,md5,sha1", **photo(PLAIN)).json()
    by_hash = {
        name: worker.ask("GET", "/m/lookup", params={"signal": signal, "signal_type": name}).json()
        for name, signal in hashes.items()
    }
    assert by_file == by_hash
    assert list(by_file["md5"]) == ["DRAWN"]
    assert by_file["sha1"] == {}


def test_a_featureless_picture_has_no_hash_and_no_match_and_no_error(hashing: Worker) -> None:
    blank = encoded(Image.new("RGB", (200, 200), (120, 120, 120)))
    answer = hashing.ask("POST", "/h/hash", **photo(blank))
    assert (answer.status_code, answer.json()) == (200, {"pdq": ""})
    assert int(answer.headers["leadline-quality"]) < 50
    looked_up = hashing.ask("POST", "/m/lookup", **photo(blank))
    assert (looked_up.status_code, looked_up.json()) == (200, {"pdq": {}})


@pytest.mark.parametrize("content", [b"", b"words", b"\xff\xd8\xff\xe0" + bytes(500), b"%PDF-1.7\n"])
def test_what_cannot_be_decoded_is_the_senders_fault_and_no_500(hashing: Worker, content: bytes) -> None:
    for path in ("/h/hash", "/m/lookup"):
        answer = hashing.ask("POST", path, **photo(content))
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("not a picture that can be decoded")


def test_a_video_is_its_md5_and_other_exact_hashes_where_asked_for(hashing: Worker) -> None:
    content = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20
    md5 = hashlib.md5(content).hexdigest()
    assert hashing.ask("POST", "/h/hash", **photo(content, "video")).json() == {"video_md5": md5}
    told = hashing.ask("POST", "/h/hash?types=sha256,md5", **photo(content, "video")).json()
    assert told == {"sha256": hashlib.sha256(content).hexdigest(), "md5": md5}


@pytest.mark.parametrize(
    "request_",
    [
        form(("photo", None, b"words")),  # a field, no file
        form(("photo", "a", PLAIN), ("photo", "b", PLAIN)),
        form(("file", "a", PLAIN)),
        {"content": PLAIN, "headers": {"content-type": "image/png"}},
    ],
)
def test_exactly_one_file_named_by_its_content_type_is_taken(hashing: Worker, request_: dict[str, Any]) -> None:
    for path in ("/h/hash", "/m/lookup"):
        answer = hashing.ask("POST", path, **request_)
        assert (answer.status_code, list(answer.json())) == (400, ["message"])


@pytest.mark.parametrize("types", ["", ",", "video_md5", "nonsense", "pdq,nonsense"])
def test_types_that_are_none_of_the_content_are_refused(hashing: Worker, types: str) -> None:
    assert hashing.ask("POST", f"/h/hash?types={types}", **photo(PLAIN)).status_code == 400


# --- by address ----------------------------------------------------------------------------------------------------


class Media(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind, _, _ = self.path[1:].partition("?")
        content = bytes(3000) if kind == "large" else PLAIN
        self.send_response(404 if kind == "gone" else 200)
        self.send_header("Content-Type", {"untold": "application/octet-stream"}.get(kind, "image/png"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def media() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Media)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_at_an_address_is_hashed_and_looked_up(
    make_worker: Callable[..., Worker], shelf: Path, media: str, plain_pdq: str
) -> None:
    bank = Bank.create(shelf / "drawn", name="DRAWN", kind=Kind.OTHER)
    bank.add([Entry(Kind.OTHER, {"pdq": bytes.fromhex(plain_pdq)}, quality=100)])
    worker = make_worker(hashers=1, fetch_urls=True, fetch_private=("127.0.0.0/8",))
    url = f"{media}/picture?a=1&b=2"
    assert distance(worker.ask("GET", "/h/hash", params={"url": url}).json()["pdq"], plain_pdq) <= 10
    found = worker.ask("GET", "/m/lookup", params={"url": url}).json()
    assert list(found["pdq"]) == ["DRAWN"]
    # with its type named, the outer object is left away
    assert worker.ask("GET", "/m/lookup", params={"url": url, "signal_type": "pdq"}).json() == found["pdq"]
    untold = {"url": f"{media}/untold"}
    assert worker.ask("GET", "/h/hash", params=untold).status_code == 400
    assert "pdq" in worker.ask("GET", "/h/hash", params={**untold, "content_type": "photo"}).json()
    assert list(worker.ask("GET", "/h/hash", params={"url": url, "types": "md5"}).json()) == ["md5"]


def test_a_file_at_an_address_is_added_with_what_is_said_of_it(
    make_worker: Callable[..., Worker], shelf: Path, media: str
) -> None:
    worker = make_worker(hashers=1, fetch_urls=True, fetch_private=("127.0.0.0/8",))
    url = {"url": f"{media}/picture"}
    plain = worker.ask("POST", "/c/bank/known/content", params=url)
    assert list(plain.json()["signals"]) == ["pdq"]
    said = {"metadata": {"content_id": "7", "json": {"a": 1}}, "note": "by address"}
    in_pieces = {"content": _in_pieces(json.dumps(said).encode()), "headers": {"transfer-encoding": "chunked"}}
    for body in ({"json": said}, in_pieces):
        added = worker.ask("POST", "/c/bank/known/content", params=url, **body).json()["id"]
        told = worker.ask("GET", f"/c/bank/known/content/{added}").json()
        assert (told["note"], told["metadata"]["content_id"], told["metadata"]["json"]) == ("by address", "7", {"a": 1})
    for wrong in ({"metadata": {"invalid_metadata": 5}}, {"metadata": []}, {"note": 5}):
        assert worker.ask("POST", "/c/bank/known/content", params=url, json=wrong).status_code == 400
    assert Bank.open(shelf / "known").count == 2 + 3


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body[:5]
    yield body[5:]


def test_fetching_stays_off_and_away_from_private_networks(
    make_worker: Callable[..., Worker], media: str, tmp_path: Path
) -> None:
    asked = {"url": f"{media}/picture"}
    off = make_worker(hashers=1)
    assert off.ask("GET", "/h/hash", params=asked).status_code == 403
    assert off.ask("POST", "/c/bank/known/content", params=asked).status_code == 403
    on = make_worker(hashers=1, fetch_urls=True, state=tmp_path / "other")
    answer = on.ask("GET", "/h/hash", params=asked)
    assert answer.status_code == 400
    assert "private network" in answer.json()["message"]
    assert "127.0.0.1" not in answer.text
    for wrong in ({}, {"url": ""}, {"url": "file:///etc/passwd"}, {"url": "https://u:p@example.org/"}):
        assert on.ask("GET", "/h/hash", params=wrong).status_code == 400


def test_what_an_address_does_wrong_is_told(make_worker: Callable[..., Worker], media: str) -> None:
    worker = make_worker(hashers=1, fetch_urls=True, fetch_private=("127.0.0.0/8",), max_body_bytes=2000)
    assert worker.ask("GET", "/h/hash", params={"url": f"{media}/large"}).status_code == 413
    assert worker.ask("GET", "/h/hash", params={"url": f"{media}/gone"}).status_code == 502
    assert worker.ask("GET", "/h/hash", params={"url": "http://127.0.0.1:9/"}).status_code == 502
