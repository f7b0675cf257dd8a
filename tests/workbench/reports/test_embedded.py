"""In an office that keeps no media none comes in by the words of a report, in whatever field they stand."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.workbench.reports.conftest import draw_png

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Reporter
from leadline.errors import ReportFormatError
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence.actions import set_media_mode
from leadline.workbench.evidence.models import Asset, MediaMode
from leadline.workbench.reports import actions, contents, deliveries
from leadline.workbench.reports.models import Delivery, Report

PNG = draw_png(1)
B64 = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{B64}"


@pytest.fixture(params=[MediaMode.REFUSE, MediaMode.HASH_AND_DISCARD])
def mode(request: Any, analyst: Person) -> MediaMode:
    set_media_mode(analyst, request.param, "made-up law, section 2")
    found: MediaMode = request.param
    return found


def receive(**said: Any) -> Report:
    incoming = IncomingReport(**({"channel": Channel.API, "text": "words"} | said))
    return actions.receive(incoming, channel=Channel.API, actor="somebody").report


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is on its way into a row."""
    texts: list[str] = []
    real = contents.clean_text

    def clean_text(text: str) -> str:
        texts.append(text)
        return real(text)

    monkeypatch.setattr(contents, "clean_text", clean_text)
    return texts


SAID = {
    "text": {"text": f"before {URL} after"},
    "text-base64": {"text": f"before\n{B64}\nafter"},
    "facts": {"facts": {"deep": [{"picture": URL}]}},
    "note": {"items": (IncomingItem(ItemKind.URL, "https://example.org/a", note=URL),)},
    "reporter": {"reporter": Reporter(name=URL)},
}


@pytest.mark.parametrize("said", SAID)
def test_media_in_words_are_left_out_and_hashed(mode: MediaMode, said: str, sealed: list[str]) -> None:
    receive(**SAID[said])
    text = "\n".join(sealed)
    assert B64[100:140] not in text
    assert f"[content of {len(PNG)} bytes not kept" in text
    assets = [asset.state for asset in Asset.objects.all()]
    assert assets == (["discarded"] if mode is MediaMode.HASH_AND_DISCARD else [])


def test_where_media_are_kept_the_words_stay_as_they_came(keeping: None, sealed: list[str]) -> None:
    receive(text=URL)
    assert B64 in "".join(sealed)


def test_a_picture_is_no_bulk_delivery_in_any_mode(analyst: Person, client_of: Any) -> None:
    for data in (PNG, b"PK\x03\x04" + bytes(100), b"unknown \0 binary" * 100):
        with pytest.raises(ReportFormatError):
            deliveries.keep(analyst, data, "somebody")
    page = client_of(analyst).post("/reports/bulk/", {"source": "x", "file": SimpleUploadedFile("a.csv", PNG)})
    assert page.status_code == 200
    assert "no list of reports" in page.content.decode()
    assert not Delivery.objects.exists()


def test_media_inside_a_bulk_delivery_are_not_stored_until_it_is_imported(mode: MediaMode, analyst: Person) -> None:
    row = f'url,note\r\nhttps://example.org/a,"{URL}"\r\nhttps://example.org/b,grüße\r\n'.encode()
    kept = deliveries.open_data(deliveries.keep(analyst, row, "somebody"))
    assert B64[100:140].encode() not in kept
    assert kept.startswith(b'url,note\r\nhttps://example.org/a,"[content of ')
    assert kept.endswith("https://example.org/b,grüße\r\n".encode())


def test_media_in_an_answer_to_the_office_are_left_out(mode: MediaMode, sealed: list[str]) -> None:
    incoming = IncomingReport(channel=Channel.PUBLIC_FORM, text="words")
    words = "seven made up words for one test"
    report = actions.receive(incoming, channel=Channel.PUBLIC_FORM, actor="public-form", passphrase=words).report
    actions.post_message(report, text=f"here: {B64[:9000]}", actor="public-form", from_reporter=True)
    assert not any(B64[100:140] in text for text in sealed)
    assert any(text.startswith("here: [content of ") for text in sealed)


def test_a_stranger_sets_nothing_to_decoding(analyst: Person, sealed: list[str]) -> None:
    incoming = IncomingReport(channel=Channel.PUBLIC_FORM, text=f"see {URL}")
    actions.receive(incoming, channel=Channel.PUBLIC_FORM, actor="public-form")
    assert "[content of " in "".join(sealed)
    assert not Asset.objects.exists()
