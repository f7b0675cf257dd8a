"""The custody report: one printable page for people in court. Loads nothing, runs nothing, shows no asset."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from leadline.custody.anchor import Anchor
from leadline.custody.chain import CustodyEvent, Detail
from leadline.custody.facts import VIEWED, AssetFacts, ExhibitFacts
from leadline.custody.verify import show_text

_STYLE = """
body{font:11pt/1.45 Georgia,serif;color:#111;background:#fff;max-width:60em;margin:2em auto;padding:0 1.5em}
h1{font-size:1.7em;margin:0}h2{font-size:1.15em;margin:2em 0 .4em;border-bottom:1px solid #111}
table{border-collapse:collapse;width:100%;font-size:.85em}th,td{text-align:left;vertical-align:top;padding:.3em .5em}
th{border-bottom:1px solid #111}td{border-bottom:1px solid #ccc;overflow-wrap:anywhere}
.hash{font:8.5pt/1.35 ui-monospace,Consolas,monospace}dt{font-weight:bold}dd{margin:0 0 .4em}
.note{background:#f3f0e6;padding:.6em 1em}tr{break-inside:avoid}thead{display:table-header-group}
@page{size:A4;margin:18mm}@media print{body{margin:0;padding:0;max-width:none}}
""".strip()


def render_custody(
    facts: ExhibitFacts,
    assets: Sequence[AssetFacts],
    events: Sequence[CustodyEvent],
    anchors: Sequence[Anchor],
    *,
    last: int,
    head: str,
) -> str:
    """The page. `events`: the lines shown; `last` and `head`: where the chain stood. Every value is escaped."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"Custody of exhibit {_show(facts.exhibit_id)}"
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
            _about(facts, last, head),
            f'<p class="note">{_limits(len(events), last)}</p>',
            "<h2>Assets</h2>",
            _table(("Asset", "Kind, size, received, viewed", "Hashes"), (_asset_cells(asset) for asset in assets)),
            "<h2>Custody lines</h2>",
            _table(("Line", "When (UTC)", "Who", "Act", "Object", "Reason, details"), map(_event_cells, events)),
            "<h2>Hashes of these lines</h2>",
            _table(("Line", "Hash"), ((str(e.line), _hash(e.hash)) for e in events)),
            "<h2>Anchors</h2>",
            _table(("Line", "At (UTC)", "Head and key"), map(_anchor_cells, anchors)) if anchors else "<p>None.</p>",
            "</body></html>\n",
        )
    )


def _about(facts: ExhibitFacts, last: int, head: str) -> str:
    rows = (
        ("Made by", facts.organisation),
        ("Made at", facts.created_at),
        ("Reference", facts.reference),
        ("For", facts.recipient),
        ("Released by", ", ".join(facts.released_by)),
        ("Chain", f"{facts.chain_id}, {last} lines, head {head}"),
        ("Made with", facts.made_with),
    )
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{_show(value)}</dd>" for name, value in rows if value) + "</dl>"


def _limits(shown: int, last: int) -> str:
    return (
        f"Of the chain’s {last} lines {shown} are shown: those about this exhibit and its assets. Of the others the "
        "exhibit holds the hashes, so that all can be checked as one chain. This page is a reading copy: what counts "
        "is custody.jsonl. README.txt says how to check it, what it proves and what it does not."
    )


def _asset_cells(asset: AssetFacts) -> tuple[str, str, str]:
    told = f"{_show(asset.media_type or 'kind not known')}, {asset.size_bytes:,} bytes"
    received = f"<br>{_show(asset.received_at)}" if asset.received_at else ""
    viewed = f"<br>{_show(VIEWED[asset.viewed])}" if asset.viewed else ""
    name = f"<br>named “{_show(asset.name)}” when it came" if asset.name else ""
    hashes = "<br>".join(f"{_show(algorithm)} {_show(digits)}" for algorithm, digits in sorted(asset.hashes.items()))
    return _show(asset.asset_id) + name, told + received + viewed, f'<span class="hash">{hashes}</span>'


def _event_cells(event: CustodyEvent) -> tuple[str, ...]:
    details = "".join(f"<br>{_show(name)}: {_detail(value)}" for name, value in sorted(event.details.items()))
    about = f"{_show(event.object_kind)} {_show(event.object_id)}"
    return str(event.line), _show(event.at), _show(event.actor), _show(event.act), about, _show(event.reason) + details


def _detail(value: Detail) -> str:
    return ", ".join(map(_show, value)) if isinstance(value, list | tuple) else _show(value)


def _anchor_cells(anchor: Anchor) -> tuple[str, str, str]:
    return str(anchor.line), _show(anchor.at), f"{_hash(anchor.head)}<br>{_hash(anchor.key)}"


def _hash(digits: str) -> str:
    return f'<span class="hash">{_show(digits)}</span>'


def _show(untrusted: object) -> str:
    """Escaped, and with nothing in it that turns text round."""
    return escape(show_text(untrusted))


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`rows` hold HTML already."""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
