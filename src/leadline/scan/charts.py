"""Charts as accessible SVG, each with a table of its figures. Pure text; no script, no style, nothing external."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Rows = Sequence[tuple[str, int]]
_WIDTH = 560
_BARS_WIDTH, _ROW, _LABEL, _VALUE = 440, 28, 176, 58
_COLUMN_HEIGHT = 176


def bars(title: str, rows: Rows, *, unit: str = "files", classes: Sequence[str] = ()) -> str:
    """Horizontal bars, one a row, in the order given."""
    height = max(len(rows), 1) * _ROW + 4
    top = max((value for _, value in rows), default=0) or 1
    room = _BARS_WIDTH - _LABEL - _VALUE
    drawn = []
    for place, (label, value) in enumerate(rows):
        y, width = place * _ROW + 4, max(round(room * value / top, 1), 3 if value else 0)
        style = classes[place] if place < len(classes) else "bar"
        drawn.append(
            f'<g><title>{escape(label)}: {value:,} {unit}</title>'
            f'<text class="label" x="{_LABEL - 12}" y="{y + 15}" text-anchor="end">{escape(_short(label, 24))}</text>'
            f'<rect class="track" x="{_LABEL}" y="{y + 2}" width="{room}" height="18" rx="4"/>'
            f'<rect class="{style}" x="{_LABEL}" y="{y + 2}" width="{width}" height="18" rx="4"/>'
            f'<text class="value" x="{_LABEL + room + 10}" y="{y + 15}">{value:,}</text></g>'
        )
    return _figure(title, rows, unit, "".join(drawn), _BARS_WIDTH, height)


def columns(title: str, rows: Rows, *, unit: str = "files", first: str = "", last: str = "") -> str:
    """Upright columns for a distribution; `first` and `last` name the ends of the axis."""
    top = max((value for _, value in rows), default=0) or 1
    step = (_WIDTH - 20) / max(len(rows), 1)
    width = max(step - min(step * 0.25, 8), 1)
    drawn = []
    for place, (label, value) in enumerate(rows):
        tall = max(round((_COLUMN_HEIGHT - 44) * value / top, 1), 2 if value else 0)
        x, y = 10 + place * step + (step - width) / 2, _COLUMN_HEIGHT - 26 - tall
        drawn.append(
            f'<g><title>{escape(label)}: {value:,} {unit}</title>'
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall}" '
            f'rx="{min(3, width / 3):.1f}"/>'
        )
        if len(rows) <= 12:
            middle = x + width / 2
            drawn.append(_text("label", middle, _COLUMN_HEIGHT - 8, label, "middle"))
            drawn.append(_text("value", middle, y - 6, f"{value:,}", "middle") if value else "")
        drawn.append("</g>")
    ground = _COLUMN_HEIGHT - 25
    drawn.append(f'<line class="axis" x1="10" x2="{_WIDTH - 10}" y1="{ground}" y2="{ground}"/>')
    if len(rows) > 12:
        drawn.append(_text("label", 10, _COLUMN_HEIGHT - 8, first or rows[0][0], "start"))
        drawn.append(_text("label", _WIDTH - 10, _COLUMN_HEIGHT - 8, last or rows[-1][0], "end"))
    return _figure(title, rows, unit, "".join(drawn), _WIDTH, _COLUMN_HEIGHT)


def _text(style: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def stacked(rows: Rows, classes: Sequence[str], title: str) -> str:
    """One bar divided among the rows: how much of the whole each is."""
    total = sum(value for _, value in rows) or 1
    x, drawn = 0.0, []
    for (label, value), style in zip(rows, classes, strict=True):
        width = 1000 * value / total
        if value:
            shown = max(width - 2, 1.5)
            drawn.append(
                f'<rect class="{style}" x="{x:.2f}" y="0" width="{shown:.2f}" height="14">'
                f"<title>{escape(label)}: {value:,} ({100 * value / total:.1f} %)</title></rect>"
            )
        x += width
    told = ", ".join(f"{label} {value:,}" for label, value in rows)
    return (
        '<svg class="stack" viewBox="0 0 1000 14" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}: {escape(told)}">{"".join(drawn)}</svg>'
    )


def _figure(title: str, rows: Rows, unit: str, drawing: str, width: int, height: int) -> str:
    if not any(value for _, value in rows):
        return f'<figure class="chart empty"><figcaption>{escape(title)}</figcaption><p>None in this scan.</p></figure>'
    told = "; ".join(f"{label} {value:,}" for label, value in rows[:12] if value)
    cells = "".join(f"<tr><td>{escape(label)}</td><td class=num>{value:,}</td></tr>" for label, value in rows if value)
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}: {escape(told)}">{drawing}</svg>'
        f"<details><summary>Figures</summary><table><thead><tr><th>{escape(title)}</th>"
        f"<th class=num>{escape(unit)}</th></tr></thead><tbody>{cells}</tbody></table></details></figure>"
    )


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
