from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from leadline.domain import Kind, Match
from leadline.scan.charts import bars, columns, stacked
from leadline.scan.finding import Finding, make_finding
from leadline.scan.hashing import FileFacts
from leadline.scan.journal import ListState, Run, State
from leadline.scan.report import MAX_ROWS, ReportRows, render_report
from leadline.scan.summary import ClusterSummary, Summary, Tally, make_summary, size_name
from leadline.scan.verdict import judge

Make = Callable[..., FileFacts]
HOSTILE = b"/e/<script>alert(1)</script>\"'&<img src=x>.jpg"


def page_of(findings: list[Finding]) -> str:
    tally, rows = Tally(), ReportRows(["/e/<i>"])
    for finding in findings:
        tally.add(finding)
        rows.offer(finding)
    run = Run("2026-11-23T12:00:00Z", 2.0, 4, 100, 0, "2026-11-23T12:00:02Z", [ListState("<b>", "illegal", 3, 1, 2)])
    state = State(1, ["/e/<i>"], {"radius_bits": None}, ["<b>"], [run], True)
    return render_report(make_summary("/out", state, tally, ClusterSummary(31)), rows, [])


@pytest.fixture
def page(facts: Make) -> str:
    near = Match("<b>bank", Kind.ILLEGAL, 4, "pdq", 6.0, 31.0, 2)
    given = [facts(HOSTILE, pdq=bytes(32)), facts(b"/e/plain.txt", mime="text/<plain>")]
    return page_of([make_finding(f, judge([near] if n == 0 else [], notes=("<u>",))) for n, f in enumerate(given)])


class Seen(HTMLParser):
    """Every element with its attributes, and whatever could load or run something."""

    VOID = frozenset({"meta", "input", "br", "rect", "line", "path", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


def test_it_is_well_formed_and_loads_nothing(page: str) -> None:
    found = seen(page)
    assert found.open == []
    assert not {"img", "link", "iframe", "object", "embed", "form", "base", "video"} & set(found.tags)
    assert not {"src", "href", "style", "srcset", "action"} & {name for name, _ in found.attributes}
    assert not any(name.startswith("on") for name, _ in found.attributes)
    assert "http" not in re.sub(r"http-equiv", "", page)


def test_it_allows_its_own_style_and_script_alone(page: str) -> None:
    policy = re.search(r'Policy" content="([^"]*)"', page)
    assert policy is not None
    for tag in ("style", "script"):
        text = page.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy.group(1)
    assert policy.group(1).startswith("default-src &#x27;none&#x27;")
    assert seen(page).tags.count("script") == 1


def test_it_escapes_whatever_comes_from_outside(page: str) -> None:
    assert "alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;&lt;img src=x&gt;.jpg" in page
    for hostile in ("<b>", "<i>", "<u>", "<plain>"):
        assert hostile not in page


def test_it_says_where_the_table_was_cut(facts: Make) -> None:
    limit = next(rows for (verdict, _), rows in MAX_ROWS.items() if verdict == "unknown")
    page = page_of([make_finding(facts(b"/e/%d" % n), judge([])) for n in range(limit + 3)])
    assert page.count('<tr data-verdict="unknown">') == limit
    assert f"unknown: the first {limit:,} of {limit + 3:,}" in page


def test_it_warns_of_lists_that_changed_meanwhile(page: str) -> None:
    assert "A list changed during this scan" in page


@pytest.mark.parametrize("chart", [bars, columns])
def test_it_draws_charts_with_their_figures_in_words(chart: Callable[..., str]) -> None:
    drawn = chart("Verdicts <x>", [("known", 3), ("a & b", 0), ("near", 1200)])
    assert 'role="img"' in drawn
    assert "Verdicts &lt;x&gt;: known 3; near 1,200" in drawn
    assert "<title>a &amp; b: 0 files</title>" in drawn
    assert "<td class=num>1,200</td>" in drawn


@pytest.mark.parametrize("rows", [[], [("known", 0)]])
def test_it_draws_nothing_of_nothing(rows: list[tuple[str, int]]) -> None:
    assert "None in this scan" in bars("Verdicts", rows)
    assert "rect" not in stacked([("known", 0)], ["f-known"], "Verdicts")


@pytest.mark.parametrize(
    ("size", "name"), [(0, "empty"), (1, "up to 1 KB"), (1024, "up to 1 KB"), (1025, "1–10 KB"), (1 << 40, "over 1 GB")]
)
def test_it_sorts_files_by_size(size: int, name: str) -> None:
    assert size_name(size) == name


def test_it_counts_so_that_everything_adds_up(facts: Make) -> None:
    tally = Tally()
    exact = Match("B", Kind.BENIGN, 1, "md5", 0, 0, 1)
    marked = Match("B", Kind.ILLEGAL, 1, "pdq", 3, 31, 1, suppressed_by="FP/1")
    tally.add(make_finding(facts(b"/e/a", size_bytes=5), judge([exact])))
    tally.add(make_finding(facts(b"/e/z.zip", member=b"m", size_bytes=100), judge([marked])))
    tally.add(make_finding(facts(b"/e/z.zip", size_bytes=50, pdq=bytes(32), recomputed=True), judge([]), members=1))
    tally.add(make_finding(facts(b"/e/pipe", size_bytes=9), judge([], skipped=True)))
    state = State(1, ["/e"], {}, [], [Run("t", 2.0, 3, 55)], True)
    summary: Summary = make_summary("/out", state, tally, ClusterSummary(31))
    assert summary.verdicts == {"known": 1, "near": 0, "unknown": 2, "unreadable": 0, "skipped": 1}
    assert (summary.findings, summary.files, summary.members) == (4, 3, 1)
    assert summary.kinds == {"known": {"benign": 1}}
    assert (summary.bytes, summary.suppressed, summary.unread) == (55, 1, 0)
    assert (summary.pictures_hashed, summary.recomputed_share) == (1, 1.0)
    assert (summary.files_per_second, summary.bytes_per_second) == (1.5, 27.5)
