"""A finding: what a scan says of one file, as a typed record <-> one JSON line. Decides nothing, opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from leadline.domain import Fingerprints, Match, PdqFamily, ViewHashes
from leadline.scan.names import decode_name, encode_name, join_member
from leadline.scan.verdict import Judgement

if TYPE_CHECKING:
    from leadline.scan.hashing import FileFacts

Number = int | float


class MatchLine(msgspec.Struct, frozen=True):
    """domain.Match as it stands in a finding."""

    bank: str
    kind: str
    entry: int
    algorithm: str
    distance: Number
    transform: str
    view: str
    threshold: Number
    list_version: int
    scheme: str
    label: str
    family: str
    suppressed_by: str | None


class ViewLine(msgspec.Struct, frozen=True):
    """The perceptual hashes of one view. pdq_transforms: 8 hashes in the order of domain.Transform, so that
    `rematch` finds turned and mirrored copies without the disk (they cannot be derived from the one hash)."""

    view: str
    pdq: str
    quality: int
    pdq_family: str
    pdq_transforms: list[str] | UnsetType = UNSET
    others: dict[str, str] | UnsetType = UNSET


class Times(msgspec.Struct, frozen=True):
    """RFC 3339 in UTC, or null where the file system gives none that the calendar knows."""

    mtime: str | None
    ctime: str | None


class Fault(msgspec.Struct, frozen=True):
    code: str
    message: str


class Finding(msgspec.Struct, kw_only=True, frozen=True):
    """One line of findings.jsonl. Fields that are UNSET are left out of the line (docs/scan.md lists all).

    path        shown text; of a member: container!member. path_b64: the bytes, where the text alone is not enough
    container   the file on disk that holds a member; its own line follows those of its members
    members     of a container: how many lines before this one are of its members
    notes       facts of reading and decoding; `reasons` repeats them beside what the matches say
    """

    path: str
    path_b64: str | UnsetType = UNSET
    container: str | UnsetType = UNSET
    container_b64: str | UnsetType = UNSET
    members: int | UnsetType = UNSET
    size: int
    times: Times
    md5: str | None
    sha1: str | None
    sha256: str | None
    mime: str | None
    width: int | None
    height: int | None
    pdq: str | None
    quality: int | None
    pdq_family: str | None
    pdq_transforms: list[str] | UnsetType = UNSET
    others: dict[str, str] | UnsetType = UNSET
    views: list[ViewLine] | UnsetType = UNSET
    partial: bool
    alpha: str | None
    changed_while_read: bool
    verdict: str
    kind: str | None
    reasons: list[str]
    matches: list[MatchLine]
    notes: list[str] | UnsetType = UNSET
    error: Fault | UnsetType = UNSET
    isolation: str
    decoder: str | None
    recomputed: bool | UnsetType = UNSET


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Finding).decode


def encode_line(finding: Finding) -> bytes:
    """One line of findings.jsonl, with its newline."""
    return bytes(_encode(finding)) + b"\n"


def decode_line(line: bytes) -> Finding:
    """Raises msgspec.DecodeError for anything but one finding."""
    return _decode(line)


def rfc3339(time_ns: int) -> str | None:
    """Nanoseconds since 1970 -> 2026-11-23T20:15:01.123456789Z; None outside the years 1-9999."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    try:
        whole = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    fraction = f".{rest_ns:09d}".rstrip("0").rstrip(".")
    return f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}Z" if whole.year >= 1000 else None


def raw_path(finding: Finding) -> bytes:
    """The bytes of the finding's path (container!member for a member)."""
    return decode_name(finding.path, _given(finding.path_b64))


def walk_path(finding: Finding) -> bytes:
    """The file on disk the finding is about: the container of a member, else the path itself."""
    if isinstance(finding.container, str):
        return decode_name(finding.container, _given(finding.container_b64))
    return raw_path(finding)


def _given(value: str | UnsetType) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: float) -> Number:
    return int(value) if float(value).is_integer() else float(value)


def match_line(match: Match) -> MatchLine:
    return MatchLine(
        match.bank, str(match.kind), match.entry, match.algorithm, _number(match.distance), str(match.transform),
        match.view, _number(match.threshold), match.list_version, match.scheme, match.label, match.family,
        match.suppressed_by,
    )  # fmt: skip


def _view_line(view: ViewHashes) -> ViewLine:
    hashes = [h.hex() for h in view.pdq]
    return ViewLine(
        view=view.view,
        pdq=hashes[0],
        quality=view.quality,
        pdq_family=str(view.family),
        pdq_transforms=hashes if len(hashes) > 1 else UNSET,
        others={name: value.hex() for name, value in view.others.items()} or UNSET,
    )


def finding_views(finding: Finding) -> list[ViewLine]:
    """All views of a finding: its `views`, or the one that stands in the finding itself."""
    if isinstance(finding.views, list):
        return finding.views
    if finding.pdq is None:
        return []
    family, quality = finding.pdq_family or str(PdqFamily.B), finding.quality or 0
    return [ViewLine("picture", finding.pdq, quality, family, finding.pdq_transforms, finding.others)]


def finding_fingerprints(finding: Finding) -> Fingerprints:
    """What was computed from the file, back from its line. Raises ValueError for hex that is not."""
    exact = {
        name: bytes.fromhex(value)
        for name, value in (("md5", finding.md5), ("sha1", finding.sha1), ("sha256", finding.sha256))
        if value is not None
    }
    return Fingerprints(exact, tuple(_view_hashes(v, finding) for v in finding_views(finding)))


def _view_hashes(line: ViewLine, finding: Finding) -> ViewHashes:
    hashes = line.pdq_transforms if isinstance(line.pdq_transforms, list) else [line.pdq]
    others = line.others if isinstance(line.others, dict) else {}
    return ViewHashes(
        view=line.view,
        family=PdqFamily(line.pdq_family),
        pdq=tuple(bytes.fromhex(h) for h in hashes),
        quality=line.quality,
        width=finding.width or 0,
        height=finding.height or 0,
        others={name: bytes.fromhex(value) for name, value in others.items()},
    )


def make_finding(facts: FileFacts, judgement: Judgement, *, members: int | None = None) -> Finding:
    """Facts of one file and what the matches made of them -> its finding."""
    raw = facts.path if facts.member is None else join_member(facts.path, facts.member)
    path, path_b64 = encode_name(raw)
    container, container_b64 = encode_name(facts.path) if facts.member is not None else (UNSET, None)
    exact = {name: value.hex() for name, value in facts.fingerprints.exact.items()}
    views = [_view_line(view) for view in facts.fingerprints.views if view.pdq]
    first = next((v for v in views if v.pdq_family == PdqFamily.B), views[0] if views else None)
    return Finding(
        path=path, path_b64=path_b64 or UNSET, container=container, container_b64=container_b64 or UNSET,
        members=UNSET if members is None else members,
        size=facts.size_bytes, times=Times(_time(facts.mtime_ns), _time(facts.ctime_ns)),
        md5=exact.get("md5"), sha1=exact.get("sha1"), sha256=exact.get("sha256"), mime=facts.mime or None,
        width=facts.width or None, height=facts.height or None,
        pdq=first.pdq if first else None, quality=first.quality if first else None,
        pdq_family=first.pdq_family if first else None,
        pdq_transforms=first.pdq_transforms if len(views) == 1 and first else UNSET,
        others=first.others if len(views) == 1 and first else UNSET,
        views=views if len(views) > 1 else UNSET,
        partial=facts.partial, alpha=facts.alpha if views else None, changed_while_read=facts.changed_while_read,
        verdict=str(judgement.verdict), kind=str(judgement.kind) if judgement.kind else None,
        reasons=list(judgement.reasons), matches=[match_line(m) for m in judgement.matches],
        notes=list(facts.reasons) or UNSET, error=_fault(facts), isolation=str(facts.isolation),
        decoder=facts.decoder or None, recomputed=True if facts.recomputed else UNSET,
    )  # fmt: skip


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else rfc3339(time_ns)


def _fault(facts: FileFacts) -> Fault | UnsetType:
    if facts.error is None:
        return UNSET
    return Fault(facts.error.code, facts.error.what)


def rejudged(finding: Finding, judgement: Judgement) -> Finding:
    """The same file, judged anew against other lists."""
    return msgspec.structs.replace(
        finding,
        verdict=str(judgement.verdict),
        kind=str(judgement.kind) if judgement.kind else None,
        reasons=list(judgement.reasons),
        matches=[match_line(m) for m in judgement.matches],
    )


def best_distance(matches: Sequence[MatchLine]) -> Number | None:
    """The smallest distance of an unsuppressed perceptual match, for tables and charts."""
    near = [m.distance for m in matches if m.algorithm == "pdq" and m.suppressed_by is None]
    return min(near, default=None)
