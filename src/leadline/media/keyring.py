"""A mail beside the DKIM key records it needs, as one block: packed outside the wall, unpacked inside. Checks nothing.

The child that reads a mail names the records (`media.mail`), the parent looks them up, and a fresh child is handed both
(`media.signatures`): no process that reads a stranger's mail ever has a network.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

DKIM_CHECK = "message/x-leadline-dkim"  # the block, as `Sandbox.members` is told of it
MAX_SIGNATURES = 4
MAX_RECORD_BYTES = 4096  # the largest RSA key of use takes 750; a larger number costs seconds to calculate with
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,127}\._domainkey\.[a-z0-9][a-z0-9.-]{0,252}")
_COUNT, _SIZES = struct.Struct("<B"), struct.Struct("<HH")


def is_key_name(untrusted: str) -> bool:
    """Whether it is the name of a key record, as RFC 6376 (3.6.2.1) builds it, in lower case and without last dot."""
    return len(untrusted) <= 253 and _NAME.fullmatch(untrusted) is not None


def domain_of(name: str) -> str:
    return name.partition("._domainkey.")[2]


def pack_keys(records: Mapping[str, bytes], untrusted_mail: bytes) -> bytes:
    """Records that are too large are left out: nothing is signed with them."""
    fit = {name: record for name, record in records.items() if len(record) <= MAX_RECORD_BYTES}
    head = _COUNT.pack(len(fit))
    for name, record in fit.items():
        head += _SIZES.pack(len(name), len(record)) + name.encode("ascii") + record
    return head + untrusted_mail


def unpack_keys(block: bytes) -> tuple[dict[bytes, bytes], bytes]:
    (count,), at = _COUNT.unpack_from(block), _COUNT.size
    records: dict[bytes, bytes] = {}
    for _ in range(count):
        name_bytes, record_bytes = _SIZES.unpack_from(block, at)
        at += _SIZES.size
        records[block[at : at + name_bytes]] = block[at + name_bytes : at + name_bytes + record_bytes]
        at += name_bytes + record_bytes
    return records, block[at:]
