"""Tests of the slot for key management services, with made-up ones that keep its contract and that do not."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from leadline.custody import slots
from leadline.custody.keys import FileKeySlot, InstanceKey
from leadline.custody.slots import open_slot
from leadline.custody.vault import open_vault
from leadline.errors import ConfigError, KeyUnavailable, SealBroken


class MadeUpService:
    """Keeps data keys itself and hands out tickets, as no file key does."""

    key_id = "made-up/1"

    def __init__(self, argument: str) -> None:
        if argument != "https://kms.example.org/key":
            raise RuntimeError("no such key: hunter2")
        self.kept: dict[bytes, tuple[bytes, bytes]] = {}

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        ticket = secrets.token_bytes(20)
        self.kept[ticket] = (data_key, context)
        return ticket

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        data_key, bound = self.kept[wrapped]
        if bound != context:
            raise PermissionError("context")
        return data_key

    def is_current(self, wrapped: bytes) -> bool:
        return True


class Forgetful(MadeUpService):
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        super().unwrap(wrapped, context)
        return bytes(32)


class Careless(MadeUpService):
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return self.kept[wrapped][0]


class Transparent(MadeUpService):
    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return data_key + context

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if wrapped[32:] != context:
            raise PermissionError
        return wrapped[:32]


class Talkative(MadeUpService):
    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return super().wrap(data_key, context) + bytes(2000)


class Wordy(MadeUpService):
    def wrap(self, data_key: bytes, context: bytes) -> Any:
        return "a text"


class Down(MadeUpService):
    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        raise ConnectionError(f"could not send {data_key.hex()}")


class Incomplete:
    key_id = "x"

    def __init__(self, argument: str) -> None: ...


Install = Callable[..., None]
ADDRESS = "https://kms.example.org/key"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install_them(*names: str) -> None:
        found = [EntryPoint("madeup", f"made_up:{name}", slots.ENTRY_POINT_GROUP) for name in names]
        monkeypatch.setattr(EntryPoint, "load", lambda point: globals()[point.attr])
        monkeypatch.setattr(slots, "entry_points", lambda *, group: found if group == slots.ENTRY_POINT_GROUP else [])

    return install_them


def test_a_service_keeps_the_keys_of_a_vault(install: Install, tmp_path: Path) -> None:
    install("MadeUpService")
    slot = open_slot("madeup", ADDRESS)
    vault = open_vault(tmp_path / "vault", slot, tmp_path / "apart" / "list")
    sealed = vault.put([b"drawn scene"], limit_bytes=100)
    assert b"".join(vault.open(sealed.sha256)) == b"drawn scene"
    assert slot.key_id == "made-up/1"
    has_forgotten = open_slot("madeup", ADDRESS)
    with pytest.raises(KeyUnavailable):
        open_vault(tmp_path / "vault", has_forgotten, tmp_path / "apart" / "list")


def test_a_service_that_is_not_installed_is_said(install: Install) -> None:
    install()
    with pytest.raises(ConfigError, match="no key slot of that name"):
        open_slot("madeup", ADDRESS)


def test_two_services_of_one_name_are_refused(install: Install) -> None:
    install("MadeUpService", "Careless")
    with pytest.raises(ConfigError, match="two key slots"):
        open_slot("madeup", ADDRESS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Forgetful", "does not keep"),
        ("Transparent", "does not keep"),
        ("Careless", "ignores the context"),
        ("Talkative", "out of contract"),
        ("Wordy", "out of contract"),
        ("Down", "failed to wrap: ConnectionError"),
        ("Incomplete", "not a key slot"),
    ],
)
def test_a_service_that_does_not_keep_its_contract_is_refused(install: Install, name: str, said: str) -> None:
    install(name)
    with pytest.raises(KeyUnavailable, match=said):
        open_slot("madeup", ADDRESS)


def test_what_a_service_says_is_not_shown(install: Install) -> None:
    install("MadeUpService")
    with pytest.raises(KeyUnavailable) as caught:
        open_slot("madeup", "https://kms.example.org/other")
    assert "hunter2" not in str(caught.value)


def test_our_own_errors_pass_the_guard(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    key = FileKeySlot(InstanceKey(bytes(range(32))))
    guarded = slots.check_slot(key, "file")
    with pytest.raises(SealBroken):
        guarded.unwrap(key.wrap(b"d" * 32, b"a"), b"b")
    assert guarded.is_current(key.wrap(b"d" * 32, b"a"))
