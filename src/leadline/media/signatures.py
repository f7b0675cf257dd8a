"""DKIM (RFC 6376): which key records a mail needs, and whether its signatures hold. Inside the sandbox only.

Looks nothing up: records come in beside the mail (`media.keyring`). Time is bounded by the sandbox, not here.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import dkim
import dkim.canonicalization

from leadline.media.headers import Headers
from leadline.media.keyring import MAX_SIGNATURES, is_key_name, unpack_keys
from leadline.media.outlet import Counted
from leadline.media.wire import Status

PASS, PARTIAL, FAIL, ERROR = "pass", "partial", "fail", "error"
_MIN_KEY_BITS = 1024


def strip_trailing_blanks(content: bytes) -> bytes:
    """What the library does by a regular expression that takes quadratic time on a long run of blanks: a line of
    80 kB took 12 s."""
    *lines, last = content.split(b"\r\n")
    return b"\r\n".join([*(line.rstrip(b"\t ") for line in lines), last])


def prepare() -> None:
    """Put the linear function in place, and run what the library compiles or imports when first used."""
    dkim.canonicalization.strip_trailing_whitespace = strip_trailing_blanks
    _check(b"DKIM-Signature: v=1; a=rsa-sha256; d=a; s=b; h=from; bh=AAAA; b=AAAA\r\nFrom: a@a\r\n\r\nx\r\n", 0, {})


def needed_keys(headers: Headers) -> list[str]:
    """The names of the records that the first signatures need, each once. What is no such name is left out."""
    names = [_key_name(value) for value in headers.all("dkim-signature")[:MAX_SIGNATURES]]
    return list(dict.fromkeys(name for name in names if is_key_name(name)))


def _key_name(untrusted_value: str) -> str:
    pairs = (part.partition("=") for part in untrusted_value.split(";"))
    tags = {name.strip(): re.sub(r"\s", "", value) for name, _, value in pairs}
    return f"{tags.get('s', '')}._domainkey.{tags.get('d', '')}".lower().rstrip(".")


def check_signatures(source: BinaryIO, out: Counted) -> Status:
    """Tell the best of the mail's signatures as one member without bytes: a code, and whose key it was."""
    records, mail = unpack_keys(source.read())
    best, key = ERROR, ""
    for number in range(MAX_SIGNATURES):
        result, name = _check(mail, number, records)
        if _RANK[result] < _RANK[best]:
            best, key = result, name
    facts = {"role": "checks", "dkim": best, "dkim_key": key if best in (PASS, PARTIAL) else ""}
    if out.begin(b"dkim", 0, Status.OK, facts):
        out.end()
    return Status.OK


_RANK = {PASS: 0, PARTIAL: 1, FAIL: 2, ERROR: 3}


def _check(mail: bytes, number: int, records: dict[bytes, bytes]) -> tuple[str, str]:
    """Any fault of a signature is the mail's, not ours: the library raises what it likes."""
    asked: list[bytes] = []

    def find(name: bytes, **_: Any) -> bytes | None:
        asked.append(name.lower().rstrip(b"."))
        return records.get(asked[-1])

    try:
        checker = dkim.DKIM(mail, minkey=_MIN_KEY_BITS)
        holds = checker.verify(idx=number, dnsfunc=find)
    except dkim.ValidationError:
        return FAIL, ""
    except Exception:
        return ERROR, ""
    if not asked or records.get(asked[-1]) is None:
        return ERROR, ""  # no such signature, or no key of it
    if not holds:
        return FAIL, ""
    # l= leaves what lies behind it unsigned: whoever passes the mail on may have written it (RFC 6376, 8.2).
    return PARTIAL if b"l" in checker.signature_fields else PASS, asked[-1].decode("ascii")
