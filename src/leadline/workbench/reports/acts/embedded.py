"""Media that come inside the words of a report, where files are not kept: hashed and matched as files, not stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from leadline.domain import Channel, IncomingReport
from leadline.errors import ReportFormatError
from leadline.workbench.embedded import is_media, leave_out
from leadline.workbench.evidence.access import media_mode
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import Asset, MediaMode

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def leave_out_media(incoming: IncomingReport, actor: str, source: str) -> tuple[IncomingReport, list[Asset]]:
    """The report with a note in the place of each, and the assets they are; unchanged where the office keeps media.

    In an office that refuses files they are only left out, and so they are where a stranger writes: the form takes no
    files, and nobody from outside may set its process to decoding.
    """
    contents: list[bytes] = []
    if (mode := media_mode()) is not MediaMode.KEEP:
        incoming = _in_all_words(incoming, lambda text: _left_out(text, contents))
    if mode is not MediaMode.HASH_AND_DISCARD or source == Channel.PUBLIC_FORM:
        return incoming, []
    found = [take_in(content, actor=actor, source=source) for content in contents]
    return incoming, list({asset.pk: asset for asset in found}.values())


def words_without_media(text: str) -> str:
    """Of a message, which is not looked up further."""
    return text if media_mode() is MediaMode.KEEP else leave_out(text)[0]


def list_without_media(untrusted: bytes) -> bytes:
    """A bulk delivery as it may be stored until it is imported. ReportFormatError where it is no list at all."""
    if is_media(untrusted) or (b"\0" in untrusted and not untrusted.startswith(_UTF_16)):
        mend = "give CSV, JSON or JSON lines; files go in by the page for files"
        raise ReportFormatError("this is no list of reports", where="file", mend=mend, code="no-list")
    if media_mode() is MediaMode.KEEP:
        return untrusted
    text, contents = leave_out(untrusted.decode("latin-1"))  # each byte one character, and back
    return text.encode("latin-1") if contents else untrusted


def _left_out(text: str, contents: list[bytes]) -> str:
    text, found = leave_out(text)
    contents += found
    return text


def _in_all_words(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_in_all_words(key, change): _in_all_words(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_all_words(one, change) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {spec.name: getattr(value, spec.name) for spec in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _in_all_words(one, change) for name, one in fields.items()})
    return value
