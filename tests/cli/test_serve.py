"""`leadline serve` refuses what would be unsafe before it starts anything; `leadline token` keeps the tokens."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from leadline.service import serving
from leadline.service.tokens import Tokens

TOKEN = re.compile(r"llt_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the server was made with; none is started."""
    made: list[Any] = []

    class Server:
        def __init__(self, *_: Any, **options: Any) -> None:
            made.append(options)

        def serve(self, **_: Any) -> None:
            pass

    monkeypatch.setattr(serving, "Server", Server)
    return made


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no bank"),
        (("--bank", "{bank}", "--host", "0.0.0.0"), "in clear"),
        (("--bank", "{bank}", "--host", "192.0.2.7"), "in clear"),
        (("--bank", "{bank}", "--host", "0.0.0.0", "--no-token"), "everybody"),
        (("--bank", "{bank}", "--host", "0.0.0.0", "--no-token", "--proxy", "front"), "everybody"),
        (("--bank", "{bank}", "--host", "0.0.0.0", "--certificate", "{pem}"), "half of TLS"),
        (("--bank", "{bank}", "--host", "0.0.0.0", "--key", "{pem}"), "half of TLS"),
        (("--bank", "{bank}", "--certificate", "{absent}", "--key", "{pem}"), "no such file"),
        (("--bank", "{bank}", "--certificate", "{pem}", "--key", "{absent}"), "no such file"),
        (("--bank", "{bank}", "--port", "0"), "--port"),
        (("--bank", "{bank}", "--workers", "0"), "--workers"),
        (("--bank", "{bank}", "--radius", "65"), "--radius"),
        (("--bank", "{bank}", "--certificate", "{pem}", "--key", "{pem}"), "certificate"),
        (("--bank", "{bank}", "--publish", "known=red"), "label"),
        (("--bank", "{bank}", "--publish", "known", "--publish", "known"), "twice"),
        (("--ray", "127.0.0.1:1", "--shard", "{absent}", "--publish", "known"), "shards"),
        (("--ray", "127.0.0.1:1"), "--shard FOLDER"),
        (("--ray", "127.0.0.1:1", "--banks", "{bank}"), "--bank BANK for each bank"),
        (("--bank", "{bank}", "--shard", "{bank}"), "add --ray ADDRESS"),
    ],
)
def test_what_would_be_unsafe_is_exit_2_and_starts_nothing(
    arguments: tuple[str, ...], told: str, run: Any, bank: Path, tmp_path: Path, started: list[Any]
) -> None:
    (tmp_path / "some.pem").write_text("no certificate\n")
    names = {"bank": bank, "pem": tmp_path / "some.pem", "absent": tmp_path / "absent.pem"}
    ended = run("serve", "--state", tmp_path / "state", *(part.format(**names) for part in arguments))
    assert (ended.code, ended.out) == (2, "")
    (fault,) = ended.faults
    assert told in fault
    assert started == []


def test_a_key_under_a_passphrase_is_refused_and_nobody_is_asked_for_it(
    run: Any, bank: Path, tmp_path: Path, started: list[Any]
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + timedelta(days=1))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.sign(private, SHA256()).public_bytes(serialization.Encoding.PEM))
    for encryption, code in ((serialization.BestAvailableEncryption(b"x"), 2), (serialization.NoEncryption(), 0)):
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        key.write_bytes(private.private_bytes(*form))
        ended = run("serve", "--bank", bank, "--state", tmp_path / "state", "--certificate", chain, "--key", key)
        assert ended.code == code
        assert [fault for fault in ended.faults if "the key without a passphrase" not in fault] == []
    assert len(started) == 1


def test_a_bank_that_is_not_there_is_exit_1(run: Any, tmp_path: Path, started: list[Any]) -> None:
    ended = run("serve", "--bank", tmp_path / "absent", "--state", tmp_path / "state")
    assert ended.code == 1
    assert len(ended.faults) == 1
    assert started == []


def test_tokens_that_others_can_read_stop_the_start(run: Any, bank: Path, tmp_path: Path, started: list[Any]) -> None:
    state = tmp_path / "state"
    assert run("token", "add", "shop", "--scope", "match", "--state", state).code == 0
    (state / "tokens.json").chmod(0o644)
    ended = run("serve", "--bank", bank, "--state", state)
    assert ended.code == 2
    assert "chmod 600" in ended.faults[0]
    assert started == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_no_tls(host: str, run: Any, bank: Path, tmp_path: Path, started: list[Any]) -> None:
    ended = run("serve", "--bank", bank, "--state", tmp_path / "state", "--host", host, "--no-token")
    assert ended.code == 0
    assert started[0]["address"] == host
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_behind_a_proxy_that_has_tls_it_listens_everywhere(
    run: Any, bank: Path, tmp_path: Path, started: list[Any]
) -> None:
    ended = run("serve", "--bank", bank, "--state", tmp_path / "state", "--host", "0.0.0.0", "--proxy", "front")
    assert (ended.code, ended.faults) == (0, [])
    assert started[0]["address"] == "0.0.0.0"


def test_a_token_is_shown_once_and_stored_as_a_hash(run: Any, tmp_path: Path) -> None:
    made = run("token", "add", "shop", "--scope", "match", "--scope", "hash", "--state", tmp_path)
    assert made.code == 0
    (text,) = TOKEN.findall(made.out)
    (kept,) = (path for path in tmp_path.iterdir() if path.suffix == ".json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert text.rpartition("_")[2] not in kept.read_text()
    listed = run("token", "list", "--state", tmp_path)
    assert listed.code == 0
    assert "shop  hash, match" in listed.out
    assert not TOKEN.search(listed.out)


def test_tokens_are_told_to_programs(run: Any, tmp_path: Path) -> None:
    made = run("token", "add", "shop", "--scope", "match", "--lasts", "never", "--state", tmp_path, "--json").objects[0]
    assert TOKEN.fullmatch(made.pop("token"))
    assert run("token", "list", "--state", tmp_path, "--json").objects == [made]
    assert made | {"id": ""} == {
        "id": "", "name": "shop", "scopes": ["match"], "until": "", "is_expired": False, "per_minute": 0,
        "max_body": 0, "body_timeout": 0, "lists": [],
    }  # fmt: skip


def test_a_token_can_have_limits_of_its_own(run: Any, tmp_path: Path) -> None:
    limits = ("--per-minute", "60", "--max-body", "1000", "--body-timeout", "5")
    run("token", "add", "shop", "--scope", "match", *limits, "--state", tmp_path)
    (kept,) = Tokens(tmp_path).all()
    assert (kept.per_minute, kept.max_body_bytes, kept.body_timeout_s) == (60, 1000, 5)


def test_a_token_that_never_ends_is_told_so(run: Any, tmp_path: Path) -> None:
    run("token", "add", "shop", "--scope", "match", "--lasts", "never", "--state", tmp_path)
    assert "until removed" in run("token", "list", "--state", tmp_path).out


def test_a_removed_token_is_gone_and_cannot_be_removed_twice(run: Any, tmp_path: Path) -> None:
    token_id = run("token", "add", "shop", "--scope", "match", "--state", tmp_path, "--json").objects[0]["id"]
    assert run("token", "remove", token_id, "--state", tmp_path).out == "removed: shop\n"
    again = run("token", "remove", token_id, "--state", tmp_path)
    assert again.code == 1
    assert len(again.faults) == 1
    assert run("token", "list", "--state", tmp_path).code == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("shop",),
        ("shop", "--scope", "everything"),
        ("shop", "--scope", "match", "--lasts", "soon"),
        ("shop", "--scope", "match", "--lasts", "0d"),
        ("shop", "--scope", "match", "--per-minute", "-1"),
    ],
)
def test_a_token_asked_for_wrongly_is_exit_2(wrong: tuple[str, ...], run: Any, tmp_path: Path) -> None:
    ended = run("token", "add", *wrong, "--state", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.faults) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_none_is_exit_1(run: Any, tmp_path: Path) -> None:
    ended = run("token", "add", "no/name", "--scope", "match", "--state", tmp_path)
    assert ended.code == 1
    assert len(ended.faults) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_cannot_be_written_is_a_fault(run: Callable[..., Any], tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert run("token", "add", "shop", "--scope", "match", "--state", tmp_path / "state").code == 1


def test_a_subscribers_token_names_its_banks(run: Any, tmp_path: Path) -> None:
    made = run("token", "add", "b", "--scope", "subscribe", "--list", "known", "--state", tmp_path, "--json").objects[0]
    assert (made["scopes"], made["lists"]) == (["subscribe"], ["known"])
    assert run("token", "add", "b", "--scope", "subscribe", "--state", tmp_path).code == 2
    assert run("token", "add", "b", "--scope", "match", "--list", "known", "--state", tmp_path).code == 2
