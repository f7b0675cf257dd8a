"""What is asked and what is told, as typed records. A field that this token may not read is None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from leadline.domain import Kind, Tlp, Verdict


class Hash(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hash with what else is known of it. quality: of PDQ, 0..100; a bank's floor then applies."""

    hash: str
    algorithm: str = ""
    quality: int | None = None


class Match(msgspec.Struct, frozen=True):
    """A hash met an entry of a bank. What stands below `flooding` is told to tokens with the scope `details`.

    is_suppressed  a false-positive entry speaks against it: it is told, and the caller decides
    flooding       the entry meets far more than entries do, and a person was asked to look at it
    """

    bank: str
    kind: Kind
    suppressed: bool = False
    flooding: bool = False
    entry: int | None = None
    algorithm: str | None = None
    distance: float | None = None
    transform: str | None = None
    view: str | None = None
    threshold: float | None = None
    list_version: int | None = None
    scheme: str | None = None
    label: str | None = None
    family: str | None = None
    suppressed_by: str | None = None

    @property
    def is_suppressed(self) -> bool:
        return self.suppressed or self.suppressed_by is not None


class Answer(msgspec.Struct, frozen=True):
    """Of one hash, or of one file. lists: name -> list version of the banks that were asked.

    truncated  there were more matches than are told
    """

    matches: tuple[Match, ...]
    truncated: bool = False
    reasons: tuple[str, ...] = ()
    lists: Mapping[str, int] = {}


class Fault(msgspec.Struct, frozen=True):
    code: str
    message: str


class Hashed(msgspec.Struct, frozen=True):
    """One file. Its digests always stand; error: why its picture could not be decoded, where that is so.

    pdq        64 digits, None where there is no picture; pdq_family a | b
    partial    decoded in part only; isolation: what stood between its bytes and the service's machine
    notes      what reading and decoding had to say
    """

    size: int
    md5: str
    sha1: str
    sha256: str
    isolation: str
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    pdq: str | None = None
    quality: int | None = None
    pdq_family: str | None = None
    partial: bool = False
    error: Fault | None = None
    notes: tuple[str, ...] = ()


class Scanned(Hashed, frozen=True, kw_only=True):
    """A file and what the banks say of it. Decide by `verdict`: `unreadable` is not `unknown`."""

    verdict: Verdict
    matches: tuple[Match, ...]
    kind: Kind | None = None
    reasons: tuple[str, ...] = ()
    truncated: bool = False
    lists: Mapping[str, int] = {}


class NewEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to add to a bank. hashes: md5, sha1, sha256, pdq -> digits, and of PDQ its quality and family.

    kind, tlp  left out: the bank's
    radius     of a false-positive entry: how many bits around it it acts
    times      seconds since 1970
    """

    hashes: Mapping[str, str | int]
    kind: Kind | None = None
    label: str = ""
    scheme: str = ""
    source: str = ""
    source_id: str = ""
    licence: str = ""
    tlp: Tlp | None = None
    note: str = ""
    metadata: Mapping[str, Any] | None = None
    disabled_until: int = 0
    first_seen: int = 0
    last_seen: int = 0
    radius: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """index: which of those that were sent, from 0."""

    index: int
    code: str
    reason: str


class Added(msgspec.Struct, frozen=True):
    """ids: of each that was sent, None where it was refused; `refused` says why."""

    bank: str
    list_version: int
    ids: tuple[int | None, ...]
    refused: tuple[Refusal, ...] = ()


class Removed(msgspec.Struct, frozen=True):
    """ids: of all entries that are gone. refused: what was not there, or was no hash."""

    bank: str
    list_version: int
    ids: tuple[int, ...]
    refused: tuple[Refusal, ...] = ()


class BankFacts(msgspec.Struct, frozen=True):
    """What stands below `list_version` is not for tokens that only match."""

    name: str
    kind: Kind
    entries: int
    list_version: int
    radius: int | None = None
    quality_floor: int | None = None
    source: str | None = None
    tlp: Tlp | None = None
    licence: str | None = None
    created: int | None = None
    settings: Mapping[str, Any] | None = None
    fault: str | None = None


class Change(msgspec.Struct, frozen=True):
    """A bank is another than before, or gone. id: to be told only of what came after it, by whichever replica."""

    bank: str
    id: str
    is_gone: bool = False
    list_version: int | None = None
    entries: int | None = None


class Health(msgspec.Struct, frozen=True):
    """ready: whether answers are as new as the lists; `reasons` where they are not."""

    ready: bool
    reasons: tuple[str, ...] = ()
    lists: Mapping[str, int] = {}
