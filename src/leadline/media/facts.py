"""What a container says of a member: a few short strings of known form, packed inside the wall, checked outside.

Checked for form, never for truth: a sender, a time or an address is what the container claims. Never holds a member's
bytes. What does not fit is cut, and `cut` names it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from enum import Enum

MAX_VALUE_BYTES = 2048
MAX_FACTS_BYTES = 8192


class Form(Enum):
    TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")  # one line, no control characters
    TOKEN = re.compile(r"[!-~]+")
    NUMBER = re.compile(r"[0-9]{1,18}")


# A closed list: a number outside it is out of bounds. The first two are of every member of these formats.
FACTS: tuple[tuple[str, Form], ...] = (
    ("format", Form.TOKEN),  # mail | mhtml | warc | har | telegram | discord | whatsapp
    ("role", Form.TOKEN),  # see ROLES
    ("cut", Form.TOKEN),  # names of facts that were shortened or dropped, by commas
    ("url", Form.TEXT),
    ("mime", Form.TEXT),  # as declared; what it is is for `sniff` to say
    ("time", Form.TEXT),  # as written in the container
    ("direction", Form.TOKEN),  # request | response
    ("method", Form.TOKEN),
    ("http_status", Form.NUMBER),
    ("content_encoding", Form.TEXT),
    ("warc_type", Form.TOKEN),
    ("record_id", Form.TEXT),
    ("payload_digest", Form.TOKEN),
    ("block_digest", Form.TOKEN),
    ("refers_to", Form.TEXT),
    ("ip_address", Form.TOKEN),
    ("from", Form.TEXT),
    ("to", Form.TEXT),
    ("cc", Form.TEXT),
    ("reply_to", Form.TEXT),
    ("return_path", Form.TEXT),
    ("subject", Form.TEXT),
    ("date", Form.TEXT),
    ("message_id", Form.TEXT),
    ("in_reply_to", Form.TEXT),
    ("repeated", Form.TOKEN),  # headers that a mail has more than once and should not
    ("part", Form.TOKEN),  # 1.2 is the second part of the first part
    ("charset", Form.TEXT),  # what the text was read as, and whether that fits what was declared
    ("disposition", Form.TOKEN),
    ("content_id", Form.TEXT),
    ("title", Form.TEXT),
    ("chat_type", Form.TOKEN),
    ("chat_id", Form.TOKEN),
    ("exported_at", Form.TEXT),
    ("date_order", Form.TOKEN),  # day-first | month-first | year-first | unknown
    ("dkim_keys", Form.TOKEN),  # of a mail: names of the key records that its signatures need, by commas
    ("dkim", Form.TOKEN),  # pass | partial | fail | error
    ("dkim_key", Form.TOKEN),  # the record under which the best signature holds
)
ROLES = frozenset(
    {
        "file",  # bytes that the container stores
        "headers",  # a mail's own header lines, as they are
        "text",  # made here: a mail's plain text as UTF-8
        "messages",  # made here: a conversation, one JSON object a line (`media.transcript`)
        "checks",  # made here: what became of a mail's signatures, and no bytes
    }
)
_NUMBER_OF = {name: number for number, (name, _) in enumerate(FACTS)}
_HEAD = struct.Struct("<BH")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def pack_facts(facts: Mapping[str, str]) -> bytes:
    """Inside: every fact in its form and size. An unknown name is a KeyError: a fault of ours."""
    cut: set[str] = set()
    packed: dict[int, bytes] = {}
    room = MAX_FACTS_BYTES - 512  # for `cut` itself
    for name, value in facts.items():
        if not value:
            continue
        data = _fit(name, value)
        if data != value.encode("utf-8", "surrogatepass"):
            cut.add(name)
        if data and len(data) + _HEAD.size <= room:
            packed[_NUMBER_OF[name]] = data
            room -= len(data) + _HEAD.size
        else:
            cut.add(name)
    if cut:
        packed[_NUMBER_OF["cut"]] = ",".join(sorted(cut)).encode()[:400]
    return b"".join(_HEAD.pack(number, len(data)) + data for number, data in sorted(packed.items()))


def _fit(name: str, value: str) -> bytes:
    form = FACTS[_NUMBER_OF[name]][1]
    if form is Form.TEXT:
        value = _UNSAFE.sub("\ufffd", value[:MAX_VALUE_BYTES])
    elif not form.value.fullmatch(value):
        return b""
    return value.encode()[:MAX_VALUE_BYTES].decode("utf-8", "ignore").encode()


def unpack_facts(untrusted: bytes) -> dict[str, str]:
    """Outside: name -> value, each in its form, none twice. Raises ValueError for anything else."""
    facts: dict[str, str] = {}
    last, at = -1, 0
    if len(untrusted) > MAX_FACTS_BYTES:
        raise ValueError("facts too large")
    while at < len(untrusted):
        if len(untrusted) - at < _HEAD.size:
            raise ValueError("facts cut off")
        number, size = _HEAD.unpack_from(untrusted, at)
        at += _HEAD.size
        untrusted_value = untrusted[at : at + size]
        if not last < number < len(FACTS) or len(untrusted_value) != size or size > MAX_VALUE_BYTES:
            raise ValueError("facts out of bounds")
        name, form = FACTS[number]
        value = untrusted_value.decode("utf-8")
        if not form.value.fullmatch(value):
            raise ValueError("a fact out of its form")
        facts[name] = value
        last, at = number, at + size
    if facts.get("role", "file") not in ROLES:
        raise ValueError("no such role")
    return facts
