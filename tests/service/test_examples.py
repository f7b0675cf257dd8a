"""The examples of docs/examples run as they stand, against the real service."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.service.conftest import Bridge, Worker, living

from leadline.client import AsyncClient, Client, Patience
from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.media.scenes import draw_scene

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
TOKEN = "llt_abcdefgh_" + "x" * 43


def png(number: int) -> bytes:
    kept = io.BytesIO()
    Image.fromarray(draw_scene(number)).save(kept, "png")
    return kept.getvalue()


def archive_of(data: bytes) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as made:
        made.writestr("picture.png", data)
    return kept.getvalue()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    kept = tmp_path / "token"
    kept.write_text(TOKEN)
    monkeypatch.setenv("MATCH_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MATCH_TOKEN_FILE", str(kept))

    def load_example(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_example


@pytest.fixture
def asked(make_worker: Callable[..., Worker], shelf: Path) -> Worker:
    """A service that knows scene 1, and no other."""
    worker = make_worker(hashers=1)
    hashed = worker.ask("POST", "/v1/hash", content=png(1)).json()["files"][0]
    entry = Entry(Kind.ILLEGAL, {"pdq": bytes.fromhex(hashed["pdq"])}, quality=hashed["quality"])
    Bank.open(shelf / "known").add([entry])
    worker.refresh()
    return worker


def test_the_django_view_shows_holds_and_refuses(load: Any, asked: Worker) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import RequestFactory

    module = load("django_upload")

    def upload(data: bytes) -> tuple[int, bytes]:
        request = RequestFactory().post("/upload", {"file": SimpleUploadedFile("file", data)})
        answer = module.upload(request)
        return answer.status_code, answer.content

    module.service = Client("http://service", token=asked.token, clear=True, transport=Bridge(asked))
    assert upload(png(2))[0] == 201
    assert upload(png(1)) == (202, b'{"status": "held"}')
    assert upload(b"\x89PNG\r\n\x1a\n" + b"\0" * 64) == (202, b'{"status": "held"}')
    assert upload(archive_of(png(1))) == (202, b'{"status": "held"}'), "what is in it was not looked at"
    module.service = Client("http://service", token=TOKEN, clear=True, transport=Bridge(asked))
    assert upload(png(2)) == (503, b'{"status": "not taken", "code": "token"}')
    gone = httpx.MockTransport(lambda request: httpx.Response(503))
    module.service = Client("http://service", patience=Patience(tries=1), transport=gone)
    assert upload(png(2)) == (503, b'{"status": "not taken", "code": "unavailable"}')


def test_the_fastapi_view_shows_holds_and_refuses(load: Any, asked: Worker) -> None:
    pytest.importorskip("fastapi")
    module = load("fastapi_upload")

    async def scenario() -> list[tuple[int, Any]]:
        told = []
        async with (
            living(module.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(module.app), base_url="http://app") as browser,
        ):
            transport = httpx.ASGITransport(asked.service)
            async with AsyncClient("http://service", token=asked.token, clear=True, transport=transport) as service:
                module.app.state.service = service
                for data in (png(2), png(1), archive_of(png(1))):
                    answer = await browser.post("/upload", files={"file": data})
                    told.append((answer.status_code, answer.json()))
            gone = httpx.MockTransport(lambda request: httpx.Response(503))
            module.app.state.service = AsyncClient("http://service", patience=Patience(tries=1), transport=gone)
            answer = await browser.post("/upload", files={"file": png(2)})
            told.append((answer.status_code, answer.json()))
        return told

    shown, *held, refused = asked.do(scenario())
    assert (shown[0], shown[1]["status"]) == (200, "shown")
    assert held == [(200, {"status": "held"})] * 2
    assert refused == (503, {"detail": "unavailable"})


def test_the_examples_fit_on_a_page() -> None:
    long = [path.name for path in FOLDER.glob("*.py") if len(path.read_text().splitlines()) > 30]
    assert long == []
