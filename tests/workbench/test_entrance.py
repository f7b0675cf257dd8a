"""What is refused before a byte of it is read, and who may speak for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.workbench.accounts.models import Person

pytestmark = pytest.mark.django_db
LARGE = 5 << 20


class Unread:
    """A body that says how large it is, and how much of it was asked for."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        asked = min(size if size >= 0 else LARGE, LARGE - self.read_bytes)
        self.read_bytes += asked
        return b"x" * asked

    readline = read


def post(client: Client, path: str, body: Unread) -> int:
    mime = "multipart/form-data; boundary=x"
    kinds = {"CONTENT_LENGTH": str(LARGE), "CONTENT_TYPE": mime, "wsgi.input": body, "REQUEST_METHOD": "POST"}
    return int(client.request(PATH_INFO=path, **kinds).status_code)


@pytest.mark.parametrize("path", ["/account/login/", "/reports/import/", "/evidence/upload/", "/nothing/", "/people/"])
def test_nobody_fills_the_memory_before_signing_in(office: object, path: str) -> None:
    body = Unread()
    assert (post(Client(), path, body), body.read_bytes) == (413, 0)


def test_who_is_signed_in_sends_large_bodies_only_where_files_are_taken(
    analyst: Person, client_of: Callable[[Person], Client]
) -> None:
    client, body = client_of(analyst), Unread()
    assert (post(client, "/account/keys/new/", body), body.read_bytes) == (413, 0)
    assert post(client, "/reports/import/", body) != 413


def test_every_view_with_a_file_in_its_form_says_so() -> None:
    import re
    from pathlib import Path

    import leadline.workbench

    folder = Path(leadline.workbench.__file__).parent
    for path in folder.glob("*/views.py"):
        for declared, body in re.findall(r"@requires\(([^)]*)\)\n(?:@\w+\n)*def \w+(.*?)(?=\n@requires|\Z)", path.read_text(), re.S):
            direct = body.partition("\ndef ")[0]
            assert "request.FILES" not in direct or "files=True" in declared, (path.parent.name, body[:60])


def test_an_upload_is_limited_over_all_its_files(settings: Any) -> None:
    from django.core.files.uploadhandler import StopUpload

    from leadline.workbench.uploads import MemoryOnlyUpload

    settings.LEADLINE_MAX_UPLOAD_BYTES = 10
    handler = MemoryOnlyUpload()
    handler.new_file("a", "a", "text/plain", 6)
    handler.receive_data_chunk(b"123456", 0)
    handler.new_file("b", "b", "text/plain", 6)
    with pytest.raises(StopUpload):
        handler.receive_data_chunk(b"123456", 0)


def test_behind_a_proxy_nobody_else_comes_in(office: object, settings: Any) -> None:
    settings.LEADLINE_PROXY = "10.0.0.9"
    said = {"X-Forwarded-Proto": "https"}
    assert Client().get("/account/login/", REMOTE_ADDR="198.51.100.1", headers=said).status_code == 400
    assert Client().get("/account/login/", REMOTE_ADDR="10.0.0.9", headers=said).status_code == 200
    assert Client().get("/healthz", REMOTE_ADDR="127.0.0.1").status_code != 400


def test_a_stranger_does_not_speak_for_the_proxy(office: object, rf: Any, settings: Any) -> None:
    from leadline.workbench.entrance import named_proxy_only

    settings.LEADLINE_PROXY = "10.0.0.9"
    seen: list[Any] = []
    handle = named_proxy_only(lambda request: seen.append(request.META) or None)  # type: ignore[func-returns-value]
    for peer in ("127.0.0.1", "10.0.0.9"):
        handle(rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_FOR="203.0.113.1"))
    assert ["HTTP_X_FORWARDED_PROTO" in meta for meta in seen] == [False, True]
    assert ["HTTP_X_FORWARDED_FOR" in meta for meta in seen] == [False, True]


def test_the_public_form_stands_behind_the_same_proxy() -> None:
    from leadline.workbench import public_settings

    assert "leadline.workbench.entrance.named_proxy_only" in public_settings.MIDDLEWARE
