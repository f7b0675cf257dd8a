"""From a findings file to what people and programs read: clusters, summary, report, tables. Reads no source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leadline.domain import DEFAULT_RADIUS_BITS
from leadline.scan import wire
from leadline.scan.clusters import CLUSTERS, Candidates, write_clusters
from leadline.scan.export import CSV_NAME, VICS_NAME, write_csv, write_vics_file
from leadline.scan.journal import FINDINGS, State, read_findings, write_atomic
from leadline.scan.names import show_name
from leadline.scan.report import ReportRows, write_report
from leadline.scan.summary import Summary, Tally, encode_summary, make_summary

SUMMARY, REPORT = "summary.json", "report.html"


def finish_output(
    out: Path,
    state: State,
    config: wire.LaneConfig,
    *,
    csv: bool = False,
    vics: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Write clusters.jsonl, summary.json, report.html and what else was asked for, from findings.jsonl."""
    tell = progress or (lambda _: None)
    tally, rows, candidates = Tally(state.sources), ReportRows(state.sources), Candidates()
    for finding, start, _ in read_findings(out / FINDINGS):
        tally.add(finding)
        rows.offer(finding)
        candidates.offer(finding, start)
    tell("clustering")
    radius_bits = DEFAULT_RADIUS_BITS if config.radius_bits is None else config.radius_bits
    clusters, shown = write_clusters(out / FINDINGS, candidates, radius_bits, out / CLUSTERS)
    summary = make_summary(show_name(str(out).encode("utf-8", "surrogateescape")), state, tally, clusters)
    tell("reporting")
    write_atomic(out / SUMMARY, encode_summary(summary))
    write_report(summary, rows, shown, out / REPORT)
    if csv:
        write_csv(out / FINDINGS, out / CSV_NAME)
    if vics:
        write_vics_file(out / FINDINGS, out / VICS_NAME)
    return summary
