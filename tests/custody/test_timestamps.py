"""RFC 3161 timestamps by a local authority (`openssl ts`): good ones, and every way to be wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.custody import verify
from leadline.custody.anchor import encode_anchor
from leadline.custody.chain import encode_line
from leadline.custody.timestamps import check_timestamp, load_roots, prove_stamps, request_timestamp
from leadline.errors import CustodyFormatError, TimestampFailed

MESSAGE = b"what is stamped"


@pytest.fixture(scope="session")
def token(authority: Any) -> bytes:
    return request_timestamp(MESSAGE, authority.answer, [authority.root])


def test_a_timestamp_is_had_and_tells_who_and_when(authority: Any, token: bytes) -> None:
    found = check_timestamp(token, MESSAGE, [authority.root])
    assert found.authority == "CN=Local Stamps"
    assert found.policy == "1.2.3.4.1"
    assert verify.TIME.fullmatch(found.at)


def test_the_message_itself_never_leaves(authority: Any, token: bytes) -> None:
    assert authority.requests
    assert all(MESSAGE not in request for request in authority.requests)


def test_openssl_takes_it_too(authority: Any, token: bytes, tmp_path: Path) -> None:
    """The command that README.txt gives an expert who has no Leadline."""
    (tmp_path / "token.tsr").write_bytes(token)
    (tmp_path / "message").write_bytes(MESSAGE)
    command = ["openssl", "ts", "-verify", "-in", "token.tsr", "-data", "message", "-CAfile", str(authority.root_file)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30)
    assert b"Verification: OK" in ended.stdout + ended.stderr


def test_a_timestamp_over_something_else_is_refused(authority: Any, token: bytes) -> None:
    with pytest.raises(CustodyFormatError, match="Mismatch between messages"):
        check_timestamp(token, b"something else", [authority.root])


def test_another_authoritys_root_is_refused(make_authority: Callable[..., Any], token: bytes) -> None:
    """Of the same name: a name is nobody."""
    with pytest.raises(CustodyFormatError, match="certificates"):
        check_timestamp(token, MESSAGE, [make_authority("Local").root])


def test_no_root_is_refused(token: bytes) -> None:
    with pytest.raises(CustodyFormatError, match="no root"):
        check_timestamp(token, MESSAGE, [])


def test_a_certificate_that_had_expired_when_it_stamped_is_refused(make_authority: Callable[..., Any]) -> None:
    expired = make_authority("Expired", 2020, 2021)
    with pytest.raises(TimestampFailed, match="certificates") as caught:
        request_timestamp(MESSAGE, expired.answer, [expired.root])
    assert not caught.value.permanent


def test_an_answer_to_another_request_is_refused(authority: Any, token: bytes) -> None:
    """A stamp that was kept and played again has another nonce."""
    with pytest.raises(TimestampFailed, match="Nonce"):
        request_timestamp(MESSAGE, lambda request: token, [authority.root])


@pytest.mark.parametrize("answer", [b"", b"<html>busy</html>", b"\x30\x03\x02\x01\x02", b"\0" * 2_000_000])
def test_an_answer_that_is_none_can_be_asked_for_again(authority: Any, answer: bytes) -> None:
    with pytest.raises(TimestampFailed) as caught:
        request_timestamp(MESSAGE, lambda request: answer, [authority.root])
    assert not caught.value.permanent


def test_a_broken_line_to_the_authority_is_told_as_it_is(authority: Any) -> None:
    def fail(request: bytes) -> bytes:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        request_timestamp(MESSAGE, fail, [authority.root])


def test_no_truncated_timestamp_is_taken(authority: Any, token: bytes) -> None:
    for length in range(0, len(token), 97):
        with pytest.raises(CustodyFormatError):
            check_timestamp(token[:length], MESSAGE, [authority.root])


def test_no_timestamp_with_a_changed_byte_is_taken_for_another_time(authority: Any, token: bytes) -> None:
    """Some bytes of a response are signed by nobody (its status text); what counts must be."""
    good = check_timestamp(token, MESSAGE, [authority.root])
    for position in range(0, len(token), 41):
        changed = bytearray(token)
        changed[position] ^= 0x55
        try:
            assert check_timestamp(bytes(changed), MESSAGE, [authority.root]) == good
        except CustodyFormatError:
            pass


def test_roots_come_from_pem_and_nothing_else(authority: Any) -> None:
    assert load_roots(authority.root_file.read_bytes()) == [authority.root]
    with pytest.raises(CustodyFormatError):
        load_roots(b"no certificate")


def check(path: Path, material: Any, line: int, tokens: list[bytes]) -> verify.Result:
    path.write_bytes(b"".join(map(encode_line, material.events)))
    result = verify.check_path(path, {}, [verify.Given("copy", encode_anchor(material.anchor(line)), True)])
    verify.match_stamps(result, [(f"stamp-{n}", token) for n, token in enumerate(tokens)])
    return result


def test_a_stamped_anchor_anchors_the_chain_by_the_authority(authority: Any, material: Any, tmp_path: Path) -> None:
    stamp = request_timestamp(encode_anchor(material.anchor(20)), authority.answer, [authority.root])
    result = check(tmp_path / "c", material, 20, [stamp])
    prove_stamps(result, [authority.root])
    assert result.ok
    assert "and timestamp authority CN=Local Stamps at 2" in result.anchored.by


def test_a_stamp_over_another_anchor_is_wrong(authority: Any, material: Any, tmp_path: Path) -> None:
    stamp = request_timestamp(encode_anchor(material.anchor(19)), authority.answer, [authority.root])
    assert [f.code for f in check(tmp_path / "c", material, 20, [stamp]).faults] == ["timestamp"]


def test_where_a_root_is_named_a_stranger_proves_nothing_and_that_is_wrong(
    authority: Any, make_authority: Callable[..., Any], material: Any, tmp_path: Path
) -> None:
    stranger = make_authority("Stranger")
    stamp = request_timestamp(encode_anchor(material.anchor(20)), stranger.answer, [stranger.root])
    result = check(tmp_path / "c", material, 20, [stamp])
    prove_stamps(result, [authority.root])
    assert [fault.code for fault in result.faults] == ["timestamp"]
    assert "authority" not in result.anchored.by
