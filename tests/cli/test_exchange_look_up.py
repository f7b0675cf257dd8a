"""`leadline exchange look-up` against the stand-in of Project Arachnid Shield."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.exchange.mock.arachnid import EXAMPLE, ArachnidMock
from leadline.exchange.mock.base import PASSWORD, USER, Fault, FaultKind, serving

UNKNOWN = "pdq:" + "5a" * 32
PAGE = "https://example.org/page"
GIF = b"GIF89a a head is enough: it is sent, not decoded"


@pytest.fixture
def mock() -> ArachnidMock:
    return ArachnidMock()


@pytest.fixture
def options() -> tuple[str, ...]:
    """Of the source, beside its address."""
    return ()


@pytest.fixture
def shield(
    run: Any, mock: ArachnidMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> Iterator[str]:
    monkeypatch.setenv("LEADLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHIELD_USER", USER)
    monkeypatch.setenv("SHIELD_PASSWORD", PASSWORD)
    secrets = ("--secret", "user=env:SHIELD_USER", "--secret", "password=env:SHIELD_PASSWORD")
    with serving(mock) as address:
        add = ("exchange", "add", "shield", "--connector", "arachnid", "--kind", "illegal")
        told = [part for option in (f"address={address}", *options) for part in ("--option", option)]
        assert run(*add, *told, *secrets).code == 0
        yield "shield"


def test_hashes_are_answered_in_order(run: Any, shield: str) -> None:
    ended = run("exchange", "look-up", shield, UNKNOWN, EXAMPLE, "--json")
    unknown, known = ended.objects
    assert (ended.code, unknown) == (0, {"hash": UNKNOWN, "known": False})
    assert (known["hash"], known["known"], known["classification"], known["exact"]) == (EXAMPLE, True, "csam", False)
    status = run("exchange", "status")
    assert (status.code, status.out.strip()) == (0, "shield: a look-up: asked, never pulled")


def test_it_is_said_in_words_without_json(run: Any, shield: str, mock: ArachnidMock) -> None:
    mock.labels[bytes.fromhex("5a" * 32)] = "new\x1b[2Jword"
    ended = run("exchange", "look-up", shield, UNKNOWN, EXAMPLE)
    assert ended.out.splitlines() == [f"{UNKNOWN}  known: new\\x1b[2Jword, near", f"{EXAMPLE}  known: csam, near"]


def test_of_a_picture_only_its_hash_leaves(run: Any, shield: str, mock: ArachnidMock, pictures: Path) -> None:
    [told] = run("hash", pictures / "one.png", "--json").objects
    mock.labels[bytes.fromhex(told["pdq"])] = "harmful-abusive-material"
    [found] = run("exchange", "look-up", shield, told["path"], "--json").objects
    assert (found["path"], found["classification"]) == (told["path"], "harmful-abusive-material")
    (asked,) = mock.asked
    assert list(json.loads(asked.body)) == ["hashes"]
    assert len(asked.body) < 100


def test_what_cannot_be_asked_about_is_not_called_unknown(run: Any, shield: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    ended = run("exchange", "look-up", shield, text, "pdq:12", EXAMPLE, "--json")
    assert [one["known"] for one in ended.objects] == [None, None, True]
    assert ended.code == 3


def test_a_source_that_gives_a_list_is_no_look_up(run: Any, shield: str) -> None:
    keys = [part for of in ("subscription_key", "fetch_key") for part in ("--secret", f"{of}=env:SHIELD_USER")]
    assert run("exchange", "add", "list", "--connector", "stopncii", "--kind", "other", *keys).code == 0
    ended = run("exchange", "look-up", "list", EXAMPLE)
    assert ended.code == 2
    assert "leadline exchange pull list" in ended.faults[0]


def test_a_fault_is_an_error_and_no_answer(run: Any, shield: str, mock: ArachnidMock) -> None:
    mock.faults.append(Fault(FaultKind.UNAUTHORISED))
    ended = run("exchange", "look-up", shield, EXAMPLE)
    assert (ended.code, ended.out) == (1, "")
    assert "401" in ended.faults[0]


def test_without_the_operators_word_neither_address_nor_file_leaves(
    run: Any, shield: str, mock: ArachnidMock, tmp_path: Path
) -> None:
    (tmp_path / "one.gif").write_bytes(GIF)
    for option, more in (("send_urls", PAGE), ("send_media", "--media")):
        ended = run("exchange", "look-up", shield, EXAMPLE, tmp_path / "one.gif", more)
        assert (ended.code, ended.out, mock.asked) == (2, "", [])
        assert f"--option {option}=true" in ended.faults[0]


@pytest.mark.parametrize("options", [("send_urls=true", "send_media=true")])
def test_addresses_leave_and_files_with_a_flag_where_the_operator_allows_it(
    run: Any, shield: str, mock: ArachnidMock, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.gif").write_bytes(GIF)
    (folder / "two.txt").write_text("neither picture nor video: it stays here")
    mock.urls[PAGE] = "csam"
    mock.media[hashlib.sha256(GIF).hexdigest()] = "harmful-abusive-material"
    ended = run("exchange", "look-up", shield, folder, PAGE, "https://[", EXAMPLE, "--media", "--json")
    gif, text, page, broken, known = ended.objects
    assert (gif["sent"], gif["known"], gif["classification"]) == ("media", True, "harmful-abusive-material")
    assert (page["url"], page["sent"], page["known"], page["exact"]) == (PAGE, "url", True, True)
    assert (text["known"], broken["known"], broken["error"]["code"]) == (None, None, "url-format")
    assert not any("sent" in one for one in (text, broken, known))
    assert {(one.path, one.body) for one in mock.asked if one.path != "/v1/pdq/"} == {
        ("/v1/media/", GIF),
        ("/v1/url/", json.dumps({"url": PAGE}).encode()),
    }
    assert (known["known"], ended.code) == (True, 3)


@pytest.mark.parametrize("options", [("send_urls=true",)])
def test_an_address_that_the_service_refuses_costs_the_next_nothing(run: Any, shield: str, mock: ArachnidMock) -> None:
    mock.faults.append(Fault(FaultKind.MALFORMED))
    ended = run("exchange", "look-up", shield, PAGE, f"{PAGE}/2")
    assert ended.out.splitlines() == [f"{PAGE}  no answer (url sent)", f"{PAGE}/2  not known (url sent)"]
    assert (ended.code, len(ended.faults)) == (3, 1)
