"""report.html: one self-contained page for people, from a summary and some rows. Shows no pictures, loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from leadline.domain import Kind, Verdict
from leadline.scan.charts import bars, columns, stacked
from leadline.scan.clusters import Cluster
from leadline.scan.finding import Finding, MatchLine, best_distance
from leadline.scan.journal import write_atomic
from leadline.scan.summary import Summary

MAX_ROWS = {
    (Verdict.KNOWN, False): 3000,
    (Verdict.NEAR, False): 3000,
    (Verdict.UNREADABLE, False): 1000,
    (Verdict.UNKNOWN, False): 500,
    (Verdict.SKIPPED, False): 200,
    (Verdict.KNOWN, True): 200,  # known-good: counted, hardly worth a look
}
_ORDER = (Verdict.KNOWN, Verdict.NEAR, Verdict.UNREADABLE, Verdict.UNKNOWN, Verdict.SKIPPED)


def is_benign(finding: Finding) -> bool:
    """Known-good: by an exact match only, a near one clears nothing."""
    return finding.kind == Kind.BENIGN and finding.verdict == Verdict.KNOWN


class ReportRows:
    """The rows a page can bear, as HTML: known and near up to a bound, the first of the others, in walk order."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.prefix = f"{sources[0].rstrip('/')}/" if len(sources) == 1 else ""
        self.rows: dict[tuple[Verdict, bool], list[tuple[tuple[int, float], str]]] = {key: [] for key in MAX_ROWS}
        self.seen: dict[tuple[Verdict, bool], int] = dict.fromkeys(MAX_ROWS, 0)

    def offer(self, finding: Finding) -> None:
        key = (Verdict(finding.verdict), is_benign(finding))
        self.seen[key] += 1
        if len(self.rows[key]) < MAX_ROWS[key]:
            self.rows[key].append((_seriousness(finding), _row(finding, self.prefix)))

    def ordered(self) -> Iterator[str]:
        """Most serious first, known-good last; else in walk order."""
        for key in [*((verdict, False) for verdict in _ORDER), (Verdict.KNOWN, True)]:
            yield from (row for _, row in sorted(self.rows[key], key=lambda ranked: ranked[0]))

    def left_out(self) -> list[str]:
        told = []
        for key, seen in self.seen.items():
            if seen > len(self.rows[key]):
                name = "known-good" if key[1] else str(key[0])
                told.append(f"{name}: the first {len(self.rows[key]):,} of {seen:,}")
        return told


def _seriousness(finding: Finding) -> tuple[int, float]:
    kinds = [str(kind) for kind in Kind]
    rank = kinds.index(finding.kind) if finding.kind in kinds else len(kinds)
    return rank, float(best_distance(finding.matches) or 0)


def write_report(summary: Summary, rows: ReportRows, clusters: Sequence[Cluster], out: Path) -> None:
    write_atomic(out, render_report(summary, rows, clusters).encode("utf-8"))


def render_report(summary: Summary, rows: ReportRows, clusters: Sequence[Cluster]) -> str:
    """The page as text. Every value from outside is escaped; style and script are allowed by their hashes alone."""
    home = resources.files("leadline.scan")
    style = home.joinpath("report.css").read_text("utf-8")
    script = home.joinpath("report.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {_source_hash(style)}; script-src {_source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    body = "".join(
        (
            _header(summary),
            "<main>",
            _tiles(summary),
            _warnings(summary),
            _charts(summary),
            _findings(rows),
            _clusters(summary, clusters, rows.prefix),
            _origin(summary),
            "</main>",
            "<footer>Made by Leadline. This page holds no pictures and loads nothing. What a list says of a file is "
            "that list’s statement; what is near or clustered is an inference and has to be looked at.</footer>",
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>Scan report · Leadline</title><style>{style}</style></head><body>{body}"
        f"<script>{script}</script></body></html>\n"
    )


def _source_hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def size_text(size_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size_bytes < 1000 or unit == "TB":
            return f"{size_bytes:,.0f} {unit}" if unit == "B" else f"{size_bytes:,.1f} {unit}"
        size_bytes /= 1000
    raise AssertionError


def _header(summary: Summary) -> str:
    sources = ", ".join(escape(source) for source in summary.sources)
    ended = f" to {escape(_clock(summary.ended))}" if summary.ended else ""
    members = f" and {summary.members:,} members of containers" if summary.members else ""
    mark = (
        '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M10 2v10"/><path d="M4 12a6 6 0 0 0 12 0"/>'
        '<circle cx="10" cy="15.5" r="2.6"/></svg>'
    )
    return (
        f'<header class="top"><div class="brand">{mark}<span>Leadline</span></div><h1>Scan report</h1>'
        f'<p class="lead"><strong>{sources}</strong></p>'
        f'<p class="lead">{escape(_clock(summary.started))}{ended} UTC · {summary.files:,} files{members} · '
        f"{size_text(summary.bytes)} · {summary.files_per_second:,.0f} files/s</p></header>"
    )


def _clock(rfc3339: str) -> str:
    return rfc3339.replace("T", " ").replace("Z", "")


def _tiles(summary: Summary) -> str:
    known = summary.kinds.get(Verdict.KNOWN, {})
    good = known.get(Kind.BENIGN, 0)
    counts = summary.verdicts
    parts = [
        ("known", "Known", counts.get("known", 0) - good, _kinds_text(known)),
        ("near", "Near", counts.get("near", 0), _near_text(summary)),
        ("unknown", "Unknown", counts.get("unknown", 0), _clusters_text(summary)),
        ("unreadable", "Unreadable", counts.get("unreadable", 0), _errors_text(summary)),
        ("benign", "Known-good", good, "counted apart, not reviewed" if good else ""),
        ("skipped", "Skipped", counts.get("skipped", 0), "links, devices, other file systems"),
    ]
    bar = stacked([(p[1], p[2]) for p in parts], [f"f-{p[0]}" for p in parts], "Verdicts")
    tiles = "".join(
        f'<li class="tile {style}"><div class="what">{name}</div><div class="number">{value:,}</div>'
        f'<div class="more">{escape(more)}</div></li>'
        for style, name, value, more in parts
    )
    return f'{bar}<ul class="tiles">{tiles}</ul>'


def _kinds_text(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if kind != Kind.BENIGN)


def _near_text(summary: Summary) -> str:
    kinds = summary.kinds.get(Verdict.NEAR, {})
    good = f"{kinds[Kind.BENIGN]:,} to known-good, to be looked at" if Kind.BENIGN in kinds else ""
    return ", ".join(text for text in (_kinds_text(kinds), good) if text)


def _clusters_text(summary: Summary) -> str:
    found = summary.clusters
    return f"{found.clustered:,} of them in {found.clusters:,} clusters" if found.clusters else ""


def _errors_text(summary: Summary) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in list(summary.errors.items())[:2])


def _warnings(summary: Summary) -> str:
    told = []
    if not summary.finished:
        told.append("This scan was interrupted: the figures are of the part that is done. Resume it with --resume.")
    if summary.isolation.get("none"):
        told.append("Decoders ran without a sandbox (--unsafe-decode): hostile files were not contained.")
    if summary.changed_while_read:
        told.append(f"{summary.changed_while_read:,} files changed while they were read.")
    if any(one.list_version != (one.list_version_end or one.list_version) for one in summary.lists):
        told.append("A list changed during this scan: findings name the version they met. Rematch to repeat them all.")
    return "".join(f'<p class="warn">{escape(text)}</p>' for text in told)


def _charts(summary: Summary) -> str:
    verdicts = [(name, summary.verdicts.get(name, 0)) for name in Verdict]
    types = list(summary.types.items())
    shown = types[:9] + ([("other types", sum(n for _, n in types[9:]))] if len(types) > 9 else [])
    widest = max([31, *summary.distances])
    distances = [(str(d), summary.distances.get(d, 0)) for d in range(widest + 1)] if summary.distances else []
    sizes = [(name, summary.sizes[name]) for name in summary.sizes]
    return (
        '<h2>At a glance</h2><div class="charts">'
        + bars("Verdicts", verdicts, classes=[f"f-{name}" for name in Verdict])
        + bars("Types, by content", shown)
        + bars("File sizes", sizes)
        + '</div><div class="charts">'
        + columns("Distance of pictures that matched, in bits", distances, first="0 (same)", last=f"{widest}")
        + columns("Pictures in a cluster of unknown near-duplicates", _cluster_sizes(summary), unit="clusters")
        + "</div>"
    )


def _cluster_sizes(summary: Summary) -> list[tuple[str, int]]:
    steps = ((2, 2), (3, 3), (4, 5), (6, 10), (11, 50), (51, 500), (501, 1 << 62))
    names = ("2", "3", "4–5", "6–10", "11–50", "51–500", "over 500")
    sizes = summary.clusters.sizes.items()
    return [
        (name, sum(count for size, count in sizes if low <= size <= high))
        for name, (low, high) in zip(names, steps, strict=True)
    ] if summary.clusters.clusters else []  # fmt: skip


def _findings(rows: ReportRows) -> str:
    left_out = rows.left_out()
    note = (
        f'<p class="note">This table is cut ({escape("; ".join(left_out))}); findings.jsonl has every line.</p>'
        if left_out
        else '<p class="note">Every finding of the scan, most serious first.</p>'
    )
    options = "".join(f'<option value="{verdict}">{verdict}</option>' for verdict in _ORDER)
    tools = (
        '<div class="tools"><input type="search" id="filter" placeholder="Filter by path, bank, type or reason" '
        'aria-label="Filter findings"><select id="verdict" aria-label="Verdict"><option value="">all verdicts</option>'
        f'{options}</select><output id="shown"></output></div>'
    )
    head = _head(("Verdict", "Kind", "Path", "Size#", "Type", "Match", "Bits#", "Quality#", "Why"))
    lines = "".join(rows.ordered())
    return (
        f'<h2>Findings</h2>{note}{tools}<div class="sheet tall" tabindex="0" role="region" aria-label="Findings">'
        f'<table class="sortable" id="findings">{head}<tbody>{lines}</tbody></table></div>'
    )


def _head(names: Iterable[str]) -> str:
    cells = (f'<th scope="col"{" class=num" if n.endswith("#") else ""}>{escape(n.rstrip("#"))}</th>' for n in names)
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _path(path: str, prefix: str) -> str:
    """A cell that shows where in the source it lies; the whole path to whoever asks."""
    return f'<td class=path title="{escape(path)}">{escape(path.removeprefix(prefix))}</td>'


def _row(finding: Finding, prefix: str) -> str:
    match: MatchLine | None = finding.matches[0] if finding.matches else None
    style = "benign" if is_benign(finding) else finding.verdict
    distance, verdict = match.distance if match else None, escape(finding.verdict)
    return (
        f'<tr data-verdict="{verdict}"><td><span class="pill {escape(style)}">{verdict}</span></td>'
        f"<td>{escape(finding.kind or '')}</td>{_path(finding.path, prefix)}"
        f'<td class=num data-sort="{finding.size}">{size_text(finding.size)}</td><td>{escape(finding.mime or "")}</td>'
        f"<td>{escape(f'{match.bank} #{match.entry}' if match else '')}</td>"
        f"<td class=num>{'' if distance is None else f'{distance:g}'}</td>"
        f"<td class=num>{'' if finding.quality is None else finding.quality}</td>"
        f"<td class=why>{escape('; '.join(finding.reasons))}</td></tr>"
    )


def _clusters(summary: Summary, clusters: Sequence[Cluster], prefix: str) -> str:
    if not clusters:
        return ""
    shown = "" if len(clusters) == summary.clusters.clusters else f" The {len(clusters)} largest are shown."
    rows = "".join(
        f"<tr><td class=num>{c.cluster}</td><td class=num>{c.size:,}</td>{_path(c.centre.path, prefix)}"
        f"<td class=path>{'<br>'.join(escape(m.path.removeprefix(prefix)) for m in c.members[:5])}"
        f"{f'<br>and {c.size - 6:,} more' if c.size > 6 else ''}</td></tr>"
        for c in clusters
    )
    return (
        '<h2>Near-duplicates among the unknown</h2><p class="note">Every member lies within '
        f"{summary.clusters.radius_bits} bits of its centre: one look at the centre decides many.{shown} "
        "All of them: clusters.jsonl.</p>"
        f'<div class="sheet tall" tabindex="0" role="region" aria-label="Clusters"><table class="sortable">'
        f"{_head(('Cluster#', 'Pictures#', 'Centre', 'Members'))}<tbody>{rows}</tbody></table></div>"
    )


def _origin(summary: Summary) -> str:
    lists = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.kind)}</td><td class=num>{one.entries:,}</td>"
        f"<td class=num>{_versions(one.list_version, one.list_version_end)}</td></tr>"
        for one in summary.lists
    )
    made = {
        **summary.versions,
        "instruction set": summary.host.get("cpu_isa", ""),
        "system": " ".join(str(summary.host.get(name, "")) for name in ("os", "release", "machine")),
        "CPUs": str(summary.host.get("cpus", "")),
    }
    radius = summary.options.get("radius_bits")
    how = {
        "radius": "each bank’s own" if radius is None else f"{radius} bits",
        "isolation": ", ".join(f"{n:,} {name}" for name, n in summary.isolation.items()),
        "pictures hashed": f"{summary.pictures_hashed:,} ({summary.low_quality:,} of too low a quality to be compared)",
        "decoded in part": f"{summary.partial:,}",
        "marked by false-positive entries": f"{summary.suppressed:,}",
        "hashes made by the serial path": f"{summary.recomputed:,} ({summary.recomputed_share:.2%})",
        "runs": f"{len(summary.runs)} ({summary.seconds:,.1f} s in all, {size_text(summary.bytes_per_second)}/s)",
    }
    return (
        '<h2>How this came about</h2><div class="pair"><div class="sheet"><table class="sortable">'
        f"{_head(('List', 'Kind', 'Entries#', 'Version#'))}<tbody>{lists}</tbody></table></div>"
        f'<div class="panel"><h3>Method</h3>{_facts(how)}</div>'
        f'<div class="panel"><h3>Made with</h3>{_facts(made)}</div></div>'
    )


def _versions(first: int, last: int | None) -> str:
    return f"{first:,}" if last in (None, first) else f"{first:,}–{last:,}"


def _facts(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items()) + "</dl>"
