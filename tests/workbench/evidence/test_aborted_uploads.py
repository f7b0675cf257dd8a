"""A sender who goes away in the middle leaves nothing: no file, no descriptor, no asset."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import UnreadablePostError
from django.test import RequestFactory

from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import views
from leadline.workbench.evidence.models import Asset
from leadline.workbench.receiving import Received

_BODY = (
    b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    + os.urandom(3 << 20).replace(b"--X", b"---")  # a boundary by chance in every sixth draw else
)


class Sender:
    """Gives some bytes of a body that was said to be longer; then it is silent, or gone."""

    def __init__(self, body: bytes, *, fails: bool) -> None:
        self.body, self.at, self.fails = body, 0, fails

    def read(self, size: int = -1) -> bytes:
        if self.at >= len(self.body):
            if self.fails:
                raise OSError("client went away")
            return b""
        piece = self.body[self.at : self.at + (65536 if size is None or size < 0 else size)]
        self.at += len(piece)
        return piece

    readline = read


def upload(person: Person, *, fails: bool) -> None:
    request: Any = RequestFactory().post("/", data=b"x", content_type="multipart/form-data; boundary=X")
    request.META["CONTENT_LENGTH"] = str(len(_BODY) + 10_000_000)
    request._stream, request.user, request._dont_enforce_csrf_checks = Sender(_BODY, fails=fails), person, True
    request.session = {}
    request._messages = FallbackStorage(request)
    try:
        assert views.upload(request).status_code == 200
    except UnreadablePostError:
        assert fails
    finally:
        request.close()


def left(office: Any) -> tuple[list[str], list[str]]:
    incoming = office.vault / "incoming"
    files = [path.name for path in incoming.iterdir()]
    open_files = [os.readlink(link) for link in map(str, Path("/proc/self/fd").iterdir()) if os.path.islink(link)]
    return files, [name for name in open_files if str(incoming) in name]


@pytest.mark.parametrize("fails", [True, False], ids=["error", "early-end"])
def test_nothing_is_left_of_an_upload_that_was_cut(keeping: Person, senior: Person, office: Any, fails: bool) -> None:
    gc.disable()  # it must not depend on when the collector comes round
    try:
        for _ in range(3):
            upload(senior, fails=fails)
        assert left(office) == ([], [])
    finally:
        gc.enable()
    assert not Asset.objects.exists()


def test_a_file_that_everybody_forgot_goes_with_its_object(keeping: Person, office: Any) -> None:
    received = Received(keep=True)
    received.feed(b"made up" * 1000)
    assert len(left(office)[0]) == 1
    del received
    gc.collect()
    assert left(office) == ([], [])
