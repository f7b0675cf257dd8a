"""Settings, credentials and status of sources on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from leadline.domain import Kind, PdqFamily, Tlp
from leadline.errors import ConfigError
from leadline.subscriptions.folder import SecretSource, Subscription, Subscriptions

SUBSCRIPTION = Subscription(
    "src", "sample", {"entries": 3}, "bank", Kind.ILLEGAL, Tlp.GREEN, "on loan", "scheme", PdqFamily.A,
    {"A": None, "B": Kind.BENIGN},
)  # fmt: skip


class Reversed:
    """Stands for sealing: text backwards, after its context."""

    def seal(self, text: str, context: bytes) -> bytes:
        return context + b"|" + text[::-1].encode()

    def open(self, sealed: bytes, context: bytes) -> str:
        assert sealed.startswith(context + b"|")
        return sealed.removeprefix(context + b"|")[::-1].decode()


@pytest.fixture
def subscriptions(tmp_path: Path) -> Subscriptions:
    return Subscriptions(tmp_path / "exchanges", {"KEY": " of the environment "}, Reversed)


def test_what_was_set_up_is_read_back(subscriptions: Subscriptions) -> None:
    assert subscriptions.names() == []
    subscriptions.add(SUBSCRIPTION, {})
    assert subscriptions.names() == ["src"]
    assert subscriptions.get("src") == SUBSCRIPTION


def test_a_source_that_is_there_already_is_said_to_be(subscriptions: Subscriptions) -> None:
    subscriptions.add(SUBSCRIPTION, {})
    with pytest.raises(ConfigError, match="there is such a source already") as caught:
        subscriptions.add(SUBSCRIPTION, {})
    assert caught.value.where == "src"


def test_each_kind_of_credential_is_found(subscriptions: Subscriptions, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of a file\n")
    given = {"a": SecretSource(file=str(tmp_path / "file")), "b": SecretSource(variable="KEY"), "c": "typed"}
    subscriptions.add(SUBSCRIPTION, given)
    assert subscriptions.secrets("src") == {"a": "of a file", "b": "of the environment", "c": "typed"}
    assert subscriptions.secret_places("src")["c"] == "sealed with the instance key"


@pytest.mark.parametrize("text", [None, "", " \n", b"\xff\xfe"])
def test_a_credential_file_that_gives_nothing_is_told(
    subscriptions: Subscriptions, tmp_path: Path, text: str | bytes | None
) -> None:
    path = tmp_path / "file"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    subscriptions.add(SUBSCRIPTION, {"a": SecretSource(file=str(path))})
    with pytest.raises(ConfigError) as caught:
        subscriptions.secrets("src")
    assert caught.value.where == str(path)


def test_what_a_kill_left_half_made_is_no_source(subscriptions: Subscriptions, tmp_path: Path) -> None:
    subscriptions.add(SUBSCRIPTION, {})
    half = tmp_path / "exchanges" / ".other.adding"
    half.mkdir()
    (half / "settings.json").write_text("{}")
    (half / "leftover").write_text("")
    assert subscriptions.names() == ["src"]
    other = Subscription("other", "sample", {}, "elsewhere", Kind.OTHER)
    subscriptions.add(other, {})
    assert subscriptions.get("other") == other
    assert not half.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "a" * 62, "a_b", "ä"])
def test_a_name_that_is_none_leads_nowhere(subscriptions: Subscriptions, name: str) -> None:
    with pytest.raises(ConfigError):
        subscriptions.add(Subscription(name, "sample", {}, "", Kind.OTHER), {})
    with pytest.raises(ConfigError):
        subscriptions.path(name)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"connector": 1}', "\xff", "[" * 100_000])
def test_settings_that_are_damaged_are_told(subscriptions: Subscriptions, tmp_path: Path, text: str) -> None:
    subscriptions.add(SUBSCRIPTION, {})
    (tmp_path / "exchanges" / "src" / "settings.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        subscriptions.get("src")


@pytest.mark.parametrize("raw", ['{"a": 1}', '{"a": {"sealed": "?"}}', '{"a": {"file": 1}}', '{"a": {"other": "x"}}'])
def test_credentials_that_are_damaged_are_told(subscriptions: Subscriptions, tmp_path: Path, raw: str) -> None:
    subscriptions.add(SUBSCRIPTION, {})
    (tmp_path / "exchanges" / "src" / "secrets.json").write_text(raw)
    with pytest.raises(ConfigError):
        subscriptions.secrets("src")


def test_the_last_runs_and_the_last_success_are_kept(subscriptions: Subscriptions) -> None:
    subscriptions.add(SUBSCRIPTION, {})
    assert subscriptions.status("src") == {}
    for number in range(60):
        subscriptions.note_start("src", number)
        assert subscriptions.status("src")["started"] == number
        error = {"error": {"code": "x"}} if number > 50 else {}
        subscriptions.note_run("src", {"number": number, "faults": ["one"], **error})
    status = subscriptions.status("src")
    assert [run["number"] for run in status["runs"]] == list(range(10, 60))
    assert status["last_success"]["number"] == 50
    assert [bool(run.get("faults")) for run in status["runs"]] == [False] * 49 + [True]
    assert "started" not in status


def test_terms_change_with_all_that_makes_an_entry_and_with_nothing_else() -> None:
    same = [Subscription("src", "sample", {"entries": 3}, "other bank", *_rest())]
    others = [
        Subscription("src", "sample", {"entries": 4}, "bank", *_rest()),
        Subscription("src", "sample", {"entries": 3}, "bank", Kind.OTHER, *_rest()[1:]),
        Subscription("src", "sample", {"entries": 3}, "bank", *_rest()[:-1], {"A": Kind.BENIGN, "B": Kind.BENIGN}),
    ]
    assert {one.terms for one in same} == {SUBSCRIPTION.terms}
    assert len({SUBSCRIPTION.terms, *(one.terms for one in others)}) == 4


def _rest() -> tuple[object, ...]:
    of = SUBSCRIPTION
    return of.kind, of.tlp, of.licence, of.scheme, of.pdq_family, of.label_kinds


def test_nothing_is_left_open_to_others(subscriptions: Subscriptions, tmp_path: Path) -> None:
    subscriptions.add(SUBSCRIPTION, {"a": "typed"})
    modes = {path.stat().st_mode & 0o077 for path in [tmp_path / "exchanges", *(tmp_path / "exchanges").rglob("*")]}
    assert modes == {0}
    assert json.loads((tmp_path / "exchanges" / "src" / "settings.json").read_text())["label_kinds"]["A"] == "skip"


def test_a_forgotten_source_leaves_nothing(subscriptions: Subscriptions, tmp_path: Path) -> None:
    subscriptions.add(SUBSCRIPTION, {"a": "typed"})
    subscriptions.remove("src")
    assert list((tmp_path / "exchanges").iterdir()) == []


def test_a_source_whose_removal_was_killed_is_forgotten_and_what_is_left_goes_with_the_next(
    subscriptions: Subscriptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, **options: object) -> None:
        if folder.exists():
            (folder / "settings.json").unlink()
            raise KeyboardInterrupt

    subscriptions.add(SUBSCRIPTION, {"a": "typed"})
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            subscriptions.remove("src")
    assert subscriptions.names() == []
    subscriptions.add(SUBSCRIPTION, {})
    subscriptions.remove("src")
    assert list((tmp_path / "exchanges").iterdir()) == []
