"""A scan looks into mails and web captures as it does into archives: what they hold is known by hash and by PDQ."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.media.foreign import (
    attached,
    har,
    har_entry,
    http,
    mail,
    mhtml,
    multipart,
    pack_records,
    record,
    telegram,
    telegram_message,
)

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.media import scenes
from leadline.scan.hashing import hash_file
from leadline.scan.run import scan_paths

URL = "http://example.org/a.jpg"


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, picture: Callable[[int], bytes]) -> dict[str, dict[str, object]]:
    """Findings by path, of a folder where one listed picture lies in each format, exact and once more as a copy."""
    folder = tmp_path_factory.mktemp("reports") / "in"
    folder.mkdir()
    exact, copy = picture(1), scenes.encode_picture(scenes.draw_scene(1, 160, 120), quality=60)
    capture = record("response", URL, http(exact)) + record("response", f"{URL}?copy", http(copy))
    answers = record("response", URL, http(exact)), record("response", f"{URL}?copy", http(copy))
    deep = multipart([attached("files.zip", scenes.pack_zip({"in.jpg": exact}), "application/zip")], "in")
    made = {
        "a.eml": mail("words\n", ("exact.jpg", exact), ("copy.jpg", copy)),
        "a.mhtml": mhtml("http://example.org/", b"<p>", **{"a.jpg": exact, "copy.jpg": copy}),
        "a.warc": capture,
        "a.warc.gz": pack_records(*answers),
        "a.wacz": scenes.pack_zip({"datapackage.json": b"{}", "archive/data.warc.gz": pack_records(*answers)}),
        "a.har": har(har_entry(URL, exact), har_entry(f"{URL}?copy", copy), har_entry("http://example.org/", None)),
        "deep.eml": multipart([({"Content-Type": "message/rfc822"}, deep)]),
        "cut.eml": mail("words\n", ("exact.jpg", exact), ("lost.jpg", copy))[:-900],
        "chat.json": telegram(telegram_message(1, "hi")),
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    listed = folder.parent / "listed.jpg"
    listed.write_bytes(exact)
    facts = hash_file(listed)
    prints = {**facts.fingerprints.exact, "pdq": facts.fingerprints.views[0].pdq[0]}
    bank = Bank.create(folder.parent / "known", name="KNOWN", kind=Kind.ILLEGAL)
    bank.add([Entry(Kind.ILLEGAL, prints, quality=facts.fingerprints.views[0].quality)])
    scan_paths([folder], [bank.path], folder.parent / "out", workers=1)
    lines = (folder.parent / "out" / "findings.jsonl").read_text().splitlines()
    return {str(one["path"]).removeprefix(f"{folder}/"): one for one in map(json.loads, lines)}


@pytest.mark.parametrize(
    ("exact", "copy"),
    [
        ("a.eml!exact.jpg", "a.eml!copy.jpg"),
        ("a.mhtml!http://example.org/a.jpg", "a.mhtml!http://example.org/copy.jpg"),
        (f"a.warc!{URL}", f"a.warc!{URL}?copy"),
        (f"a.warc.gz!{URL}", f"a.warc.gz!{URL}?copy"),
        (f"a.wacz!archive/data.warc.gz!{URL}", f"a.wacz!archive/data.warc.gz!{URL}?copy"),
        (f"a.har!{URL}", f"a.har!{URL}?copy"),
    ],
)
def test_a_listed_picture_is_known_and_its_copy_near(
    scanned: dict[str, dict[str, object]], exact: str, copy: str
) -> None:
    assert (scanned[exact]["verdict"], scanned[exact]["kind"]) == ("known", "illegal")
    assert {match["algorithm"] for match in scanned[exact]["matches"]} >= {"sha256", "pdq"}  # type: ignore[attr-defined]
    assert scanned[copy]["verdict"] == "near"
    assert {match["algorithm"] for match in scanned[copy]["matches"]} == {"pdq"}  # type: ignore[attr-defined]


def test_a_zip_in_a_mail_in_a_mail_is_opened(scanned: dict[str, dict[str, object]]) -> None:
    assert scanned["deep.eml!part-1!files.zip!in.jpg"]["verdict"] == "known"
    assert "deep.eml!part-1!files.zip" in scanned
    assert scanned["deep.eml"]["members"] == 3


def test_the_containers_own_line_says_what_it_is_and_how_much_it_held(scanned: dict[str, dict[str, object]]) -> None:
    told = {name: (one["mime"], one["members"]) for name, one in scanned.items() if "members" in one}
    assert told == {
        "a.eml": ("message/rfc822", 3),
        "a.mhtml": ("multipart/related", 3),
        "a.warc": ("application/warc", 2),
        "a.warc.gz": ("application/gzip", 2),
        "a.wacz": ("application/wacz", 4),
        "a.har": ("application/har+json", 2),
        "deep.eml": ("message/rfc822", 3),
        "cut.eml": ("message/rfc822", 3),
    }


def test_headers_made_text_and_answers_kept_empty_are_no_files(scanned: dict[str, dict[str, object]]) -> None:
    assert {name for name in scanned if name.startswith(("a.eml!", "a.har!"))} == {
        *("a.eml!part-1", "a.eml!exact.jpg", "a.eml!copy.jpg"),
        *(f"a.har!{URL}", f"a.har!{URL}?copy"),
    }


def test_a_mail_cut_off_gives_what_was_there_and_is_told_as_not_all_read(
    scanned: dict[str, dict[str, object]],
) -> None:
    assert scanned["cut.eml!exact.jpg"]["verdict"] == "known"
    assert scanned["cut.eml!lost.jpg"]["verdict"] == "unreadable"
    assert scanned["cut.eml"]["verdict"] == "unreadable"
    assert scanned["cut.eml"]["error"]["code"] == "truncated"  # type: ignore[index]


def test_a_chat_holds_words_only_and_is_a_file_like_any_other(scanned: dict[str, dict[str, object]]) -> None:
    assert scanned["chat.json"]["mime"] == "application/x-telegram-export+json"
    assert scanned["chat.json"]["verdict"] == "unknown"
