"""`leadline verify`: what it prints, what it ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leadline.custody.anchor import Anchor, encode_anchor, make_anchor
from leadline.custody.chain import CustodyEvent, encode_line, next_event
from leadline.custody.exhibit import build_exhibit
from leadline.custody.facts import AssetFacts, ExhibitFacts

AT = "2026-03-01T12:00:00.000Z"
ASSET = "a" * 64
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = SIGNER.public_key().public_bytes_raw()


def draw_events(actor: str = "person-1") -> list[CustodyEvent]:
    events: list[CustodyEvent] = []
    for number in range(12):
        last = events[-1] if events else None
        act, salt = f"asset.act{number}", f"{number:032x}"
        event = next_event(
            last, at=AT, actor=actor, act=act, object_kind="asset", object_id=ASSET, reason="intake", salt=salt
        )
        events.append(event)
    return events


def make(events: list[CustodyEvent], line: int) -> Anchor:
    return make_anchor("chain-1", line, events[line - 1].head.hash, AT, sign=SIGNER.sign, public_key=PUBLIC)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "custody.jsonl"
    path.write_bytes(b"".join(map(encode_line, draw_events())))
    return path


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    path = tmp_path / "anchor.json"
    path.write_bytes(encode_anchor(make(draw_events(), 10)))
    return path


@pytest.fixture
def exhibit(tmp_path: Path) -> Path:
    facts = ExhibitFacts("ex-7", "chain-1", "Hotline Example", AT, ("person-1", "person-2"))
    assets = [AssetFacts(ASSET, {"sha256": ASSET}, 1234)]
    anchors = [make(draw_events(), 10)]
    folder = tmp_path / "ex-7"
    build_exhibit(folder, facts, draw_events(), assets, anchors=anchors, sign=SIGNER.sign, public_key=PUBLIC)
    return folder


def test_a_good_chain_is_0_and_not_anchored(run: Any, chain: Path) -> None:
    ended = run("verify", chain)
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out.splitlines() == [f"{chain}: chain, 12 lines hold", "  not anchored", "  all well"]


def test_an_anchored_chain_says_up_to_where_and_by_whom(run: Any, chain: Path, anchor: Path) -> None:
    ended = run("verify", chain, "--anchor", anchor, "--key", PUBLIC.hex())
    assert ended.code == 0
    assert f"  anchored up to 10 by key {PUBLIC.hex()}" in ended.out.splitlines()


def test_a_good_exhibit_is_0_and_signed(run: Any, exhibit: Path) -> None:
    ended = run("verify", exhibit, "--key", PUBLIC.hex())
    assert ended.code == 0, ended.out
    assert f"  anchored up to 10 by key {PUBLIC.hex()}" in ended.out.splitlines()
    assert f"  exhibit signed by key {PUBLIC.hex()}" in ended.out.splitlines()


def test_the_first_wrong_line_is_4_and_named_on_both_streams(run: Any, chain: Path) -> None:
    lines = chain.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"person-1", b"person-2")
    chain.write_bytes(b"".join(lines))
    ended = run("verify", chain)
    assert ended.code == 4
    assert "  WRONG line 5 of custody.jsonl: its hash does not fit what it says" in ended.out.splitlines()
    (fault,) = ended.faults
    assert "first at line 5" in fault


def test_a_chain_rewritten_as_a_whole_is_4(run: Any, chain: Path, anchor: Path) -> None:
    chain.write_bytes(b"".join(map(encode_line, draw_events("person-9"))))
    assert run("verify", chain).code == 0
    ended = run("verify", chain, "--anchor", anchor)
    assert ended.code == 4
    assert "of lines 1 to 10 some or all were rewritten" in ended.out


def test_json_holds_the_same(run: Any, chain: Path, exhibit: Path, anchor: Path) -> None:
    ended = run("verify", chain, exhibit, "--anchor", anchor, "--json")
    assert ended.code == 0
    first, second = ended.objects
    assert (first["kind"], first["ok"], first["lines"], first["anchored_up_to"]) == ("chain", True, 12, 10)
    assert (second["kind"], second["shown"], second["withheld"], second["faults"]) == ("exhibit", 12, 0, [])
    assert first["head"] == second["head"] == draw_events()[-1].head.hash
    assert first["first_wrong_line"] is None


def test_a_key_that_nothing_is_signed_by_is_4(run: Any, chain: Path, exhibit: Path) -> None:
    for path in (chain, exhibit):
        ended = run("verify", path, "--key", "1" * 64)
        assert ended.code == 4
        assert "signed by a key you named" in ended.faults[0]


def test_a_root_that_no_timestamp_is_under_is_4(run: Any, chain: Path, anchor: Path, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Nobody")])
    valid = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, SIGNER.public_key(), 1, *valid)
    (tmp_path / "root.pem").write_bytes(builder.sign(SIGNER, None).public_bytes(Encoding.PEM))
    ended = run("verify", chain, "--anchor", anchor, "--root", tmp_path / "root.pem")
    assert ended.code == 4
    assert "by an authority whose root you named" in ended.faults[0]


def test_a_timestamp_of_something_else_is_4(run: Any, chain: Path, anchor: Path, tmp_path: Path) -> None:
    (tmp_path / "token.tsr").write_bytes(b"no token")
    ended = run("verify", chain, "--anchor", anchor, "--timestamp", tmp_path / "token.tsr")
    assert ended.code == 4
    assert "not over an anchor" in ended.out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04"])
def test_nothing_to_check_is_1(run: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "none").write_bytes(content)
    for path in (tmp_path / "none", tmp_path, tmp_path / "absent"):
        ended = run("verify", path)
        assert ended.code == 1
        assert ended.out == ""
        assert len(ended.faults) == 1


def test_some_paths_with_nothing_to_check_are_3_but_wrong_is_4(run: Any, chain: Path, tmp_path: Path) -> None:
    assert run("verify", chain, tmp_path / "absent").code == 3
    (tmp_path / "bad").write_bytes(b"{}\n")
    assert run("verify", chain, tmp_path / "absent", tmp_path / "bad").code == 4


@pytest.mark.parametrize("option", ["--key", "--anchor", "--root", "--timestamp"])
def test_what_is_brought_along_and_cannot_be_read_is_1(run: Any, chain: Path, tmp_path: Path, option: str) -> None:
    ended = run("verify", chain, option, tmp_path / "absent")
    assert ended.code == 1
    assert len(ended.faults) == 1
    assert "absent" in ended.faults[0]


@pytest.mark.parametrize("option", ["--key", "--root"])
def test_a_key_or_root_that_is_none_is_refused(run: Any, chain: Path, option: str) -> None:
    ended = run("verify", chain, option, chain)
    assert ended.code == 1
    assert len(ended.faults) == 1


def test_an_anchor_that_is_none_is_wrong(run: Any, chain: Path) -> None:
    assert run("verify", chain, "--anchor", chain).code == 4
