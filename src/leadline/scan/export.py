"""Findings as a table (CSV, formulas neutralised) and as VICS-shaped JSON, streamed. Judges nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from leadline.domain import Verdict
from leadline.exchange.csv_rows import formula_safe
from leadline.exchange.vics import VicsMedia, write_vics
from leadline.scan.finding import Finding, best_distance
from leadline.scan.journal import read_findings

CSV_NAME, VICS_NAME = "findings.csv", "findings.vics.json"
COLUMNS = (
    "path", "path_b64", "container", "verdict", "kind", "bank", "entry", "algorithm", "distance", "transform", "view",
    "scheme", "label", "suppressed_by", "matches", "size", "mtime", "mime", "width", "height", "md5", "sha1", "sha256",
    "pdq", "quality", "partial", "changed_while_read", "isolation", "reasons",
)  # fmt: skip
_MEDIA = ("image/", "video/", "audio/")


def write_csv(findings: Path, out: Path) -> int:
    """One row a finding, its most serious match beside it; returns how many. UTF-8 with a mark for spreadsheets."""
    count = 0
    with open(out, "w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream, lineterminator="\r\n")
        table.writerow(COLUMNS)
        for finding, _, _ in read_findings(findings):
            table.writerow([formula_safe(cell) for cell in _row(finding)])
            count += 1
    return count


def _row(finding: Finding) -> list[str]:
    values: dict[str, object] = {name: getattr(finding, name, None) for name in COLUMNS}
    first = finding.matches[0] if finding.matches else None
    for name in (
        "bank", "entry", "algorithm", "distance", "transform", "view", "scheme", "label", "suppressed_by"
    ):  # fmt: skip
        values[name] = getattr(first, name, None)
    values |= {"matches": len(finding.matches), "mtime": finding.times.mtime, "reasons": "; ".join(finding.reasons)}
    return [_cell(values[name]) for name in COLUMNS]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def write_vics_file(findings: Path, out: Path) -> int:
    """Media among the findings and whatever matched, as VICS-shaped records; returns how many."""
    with open(out, "wb") as stream:
        return write_vics(_media(findings), stream)


def _media(findings: Path) -> Iterator[VicsMedia]:
    number = 0
    for finding, _, _ in read_findings(findings):
        is_media = (finding.mime or "").startswith(_MEDIA)
        if finding.md5 is None or not (is_media or finding.matches):
            continue
        number += 1
        yield _record(finding, number)


def _record(finding: Finding, number: int) -> VicsMedia:
    """A bank's label is an inference: it stands as precategorised, with its bank as the source."""
    decided = finding.verdict in (Verdict.KNOWN, Verdict.NEAR)
    match = finding.matches[0] if decided and finding.matches else None
    distance = best_distance(finding.matches)
    facts = {
        "LeadlineVerdict": finding.verdict,
        "LeadlineKind": finding.kind or "",
        "LeadlineDistance": "" if distance is None else f"{distance:g}",
        "LeadlinePathBase64": finding.path_b64 if isinstance(finding.path_b64, str) else "",
    }
    return VicsMedia(
        media_id=number,
        md5=_bytes(finding.md5),
        sha1=_bytes(finding.sha1),
        sha256=_bytes(finding.sha256),
        pdq=_bytes(finding.pdq),
        size_bytes=finding.size,
        mime=finding.mime or "",
        relative_path=finding.path,
        scheme=match.scheme if match else "",
        label=match.label if match else "",
        precategorized=match is not None,
        precategorization_source=match.bank if match else "",
        comments="; ".join(finding.reasons),
        metadata={name: value for name, value in facts.items() if value},
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
