"""Tokens live in a file of hashes, are told once, and end when they are removed or expire."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from leadline.errors import ConfigError, InputError, ScopeMissing, TokenRefused
from leadline.service import tokens as module
from leadline.service.tokens import Scope, Tokens

MATCH = frozenset({Scope.MATCH})


def test_a_token_is_found_by_its_text_and_is_nowhere_in_the_file(tmp_path: Path) -> None:
    made, text = Tokens(tmp_path).add("shop", MATCH)
    assert Tokens(tmp_path).find(text.encode()) == made
    stored = (tmp_path / "tokens.json").read_text()
    assert text not in stored
    assert text.rpartition("_")[2] not in stored
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600


CHANGES: list[Callable[[str], str]] = [
    lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
    lambda text: text + "x",
    lambda text: "",
    lambda text: "llt_aaaaaaaa_" + text[13:],
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_text_is_refused_in_the_same_words(tmp_path: Path, change: Callable[[str], str]) -> None:
    tokens = Tokens(tmp_path)
    _, text = tokens.add("shop", MATCH)
    with pytest.raises(TokenRefused) as refused:
        tokens.find(change(text).encode())
    assert str(refused.value) == "no live token: send a live token: Authorization: Bearer llt_..."


def test_a_token_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    _, text = tokens.add("shop", MATCH, lasts_s=60)
    tokens.find(text.encode())
    later = time.time() + 61
    monkeypatch.setattr(module.time, "time", lambda: later)
    with pytest.raises(TokenRefused):
        tokens.find(text.encode())


def test_another_process_sees_what_was_added_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_AGAIN_S", 0)
    service, office = Tokens(tmp_path), Tokens(tmp_path)
    first, text = office.add("first", MATCH)
    _, second = office.add("second", MATCH)
    assert service.find(text.encode()).name == "first"
    office.remove(first.id)
    with pytest.raises(TokenRefused):
        service.find(text.encode())
    assert service.find(second.encode()).name == "second"


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Tokens(tmp_path).add("shop", MATCH)
    (tmp_path / "tokens.json").chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        Tokens(tmp_path).all()


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    _, text = Tokens(tmp_path).add("shop", MATCH)
    with (tmp_path / "tokens.json").open("r+b") as file:
        file.truncate(20)
    with pytest.raises(ConfigError, match="damaged"):
        Tokens(tmp_path).find(text.encode())


def test_a_scope_that_is_missing_is_named(tmp_path: Path) -> None:
    made, _ = Tokens(tmp_path).add("shop", MATCH)
    made.demand(Scope.MATCH)
    with pytest.raises(ScopeMissing, match="curate"):
        made.demand(Scope.MATCH, Scope.CURATE)


@pytest.mark.parametrize(("name", "scopes"), [("", MATCH), ("a\nb", MATCH), ("shop", frozenset())])
def test_a_token_needs_a_plain_name_and_a_scope(tmp_path: Path, name: str, scopes: frozenset[Scope]) -> None:
    with pytest.raises(InputError):
        Tokens(tmp_path).add(name, scopes)
    assert not (tmp_path / "tokens.json").exists()
