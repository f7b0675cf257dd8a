"""Bulk deliveries of reports."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.domain import Channel, IncomingReport, ItemKind, Urgency
from leadline.errors import ReportFormatError
from leadline.exchange import bulk
from leadline.exchange.base import MAX_LINE_BYTES, MAX_RECORD_BYTES
from leadline.exchange.bulk import BulkFormat, Row

MD5, LONG = "a1" * 16, "c3" * 32
A, B = "https://example.org/a", "https://example.net/b"


def rows(data: bytes | str) -> list[Row]:
    return list(bulk.read(io.BytesIO(data.encode() if isinstance(data, str) else data), where="file"))


def reports(data: bytes | str) -> list[IncomingReport]:
    found = [row.result for row in rows(data)]
    assert all(isinstance(result, IncomingReport) for result in found), found
    return found  # type: ignore[return-value]


def error(row: Row) -> ReportFormatError:
    assert isinstance(row.result, ReportFormatError)
    return row.result


def values(report: Any) -> list[tuple[str, str]]:
    return [(item.kind.value, item.value) for item in report.items]


FULL = {
    "reference": "2026-17", "received_at": "2026-11-23T20:15:01Z", "url": A, "account": "@made_up", "hash": MD5,
    "text": "made-up text", "note": "a note", "referrer": "https://example.net/list", "urgency": "ongoing commercial",
    "reporter_email": "reporter@example.org", "colour": "red",
}  # fmt: skip


def as_csv(delimiter: str) -> str:
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(FULL), delimiter=delimiter)
    table.writeheader()
    table.writerow(FULL)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        as_csv(",").encode(),
        as_csv(";").encode("utf-8-sig"),
        as_csv("\t").encode("utf-16"),
        ("sep=;\r\n" + as_csv(";")).encode(),
        as_csv(",").upper().split("\n")[0].encode() + b"\n" + as_csv(",").split("\n", 1)[1].encode(),
        json.dumps([FULL]).encode(),
        json.dumps({"reports": [FULL]}).encode("utf-8-sig"),
        (json.dumps(FULL) + "\n").encode("utf-16"),
        json.dumps(FULL, indent=2).encode(),
    ],
)
def test_every_form_gives_the_same_report(data: bytes) -> None:
    (report,) = reports(data)
    assert report.channel is Channel.BULK
    assert report.source_reference == "2026-17"
    assert report.received_at == 1795464901
    assert values(report) == [("url", A), ("account", "@made_up"), ("hash", MD5)]
    assert {(item.note, item.referrer) for item in report.items} == {("a note", "https://example.net/list")}
    assert report.items[2].facts == {"algorithms": ["md5"]}
    assert report.text == "made-up text"
    assert report.urgency == {Urgency.ONGOING, Urgency.COMMERCIAL}
    assert report.reporter is not None
    assert report.reporter.email == "reporter@example.org"
    assert {name.lower(): value for name, value in report.facts.items()} == {"colour": "red"}


def test_each_row_has_its_own_result_and_the_rest_goes_on() -> None:
    data = f"url,hash,received_at,urgency\n{A},,,\n,zz,,\n{A},,yesterday,\n{A},,,soon\n,,,\n{B},,,\n{A},,,,,x\n"
    found = rows(data)
    assert [row.number for row in found] == [2, 3, 4, 5, 7, 8]
    assert [isinstance(row.result, IncomingReport) for row in found] == [True, False, False, False, True, False]
    assert [error(row).field for row in found if isinstance(row.result, ReportFormatError)] == [
        "hash", "received_at", "urgency", "",
    ]  # fmt: skip
    for row in found:
        if isinstance(row.result, ReportFormatError):
            assert row.result.where == f"file: line {row.number}"
            assert row.result.mend
            assert A not in str(row.result)


@pytest.mark.parametrize("cell", ['=HYPERLINK("https://example.org/")', "+1+1", "-2", "@SUM(A1)", "=cmd|' /C x'!A1"])
def test_formula_cells_stay_the_text_they_are(cell: str) -> None:
    quoted = cell.replace('"', '""')
    (report,) = reports(f'url,text\n{A},"{quoted}"\n')
    assert report.text == cell


def test_an_apostrophe_that_kept_a_spreadsheet_quiet_is_taken_off() -> None:
    assert values(reports("account\n'@made_up\n")[0]) == [("account", "@made_up")]


def test_ticks_have_a_column_each_or_one_for_all_and_words_set_none() -> None:
    data = "url,Child at risk now,urgency,text\n"
    data += f"{A},x,ongoing;commercial,\n{A},no,,urgent child at risk now\n{A},maybe,,\n"
    first, second, third = rows(data)
    assert isinstance(first.result, IncomingReport)
    assert isinstance(second.result, IncomingReport)
    assert first.result.urgency == {Urgency.CHILD_AT_RISK_NOW, Urgency.ONGOING, Urgency.COMMERCIAL}
    assert second.result.urgency == frozenset()
    assert error(third).field == "child-at-risk-now"


def test_what_follows_the_list_of_reports_is_no_report() -> None:
    (report,) = reports(json.dumps({"reports": [{"url": A}], "meta": {"a": [{"url": B}]}, "more": [[{"url": B}]]}))
    assert values(report) == [("url", A)]
    found = rows(json.dumps({"reports": [{"url": A}]})[:-1] + ', "cut')
    assert [isinstance(row.result, IncomingReport) for row in found] == [True, False]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        (f"{A}\n{B}\n", "first line names no column"),
        ("colour,size\n1,2\n", "first line names no column"),
        (f"url,link\n{A},{B}\n", "url twice"),
        ("[]", "no report"),
        ("[1]", "no object"),
        ('{"reports": []}', "no report"),
        ('{"colour": "red"}', "reports nothing"),
    ],
)
def test_a_file_without_reports_says_why(data: str, says: str) -> None:
    (row,) = rows(data)
    assert says in error(row).what
    assert error(row).mend


def test_a_stray_quote_costs_one_row_and_never_the_next() -> None:
    lines = [f"https://example.org/{i},note {i},x" for i in range(60)]
    lines[20] = 'https://example.org/20,"open,x'
    lines[21] = 'https://example.org/21,then closed",x'
    found = rows("url,note,colour\n" + "\n".join(lines))
    assert [row.number for row in found if isinstance(row.result, ReportFormatError)] == [22]
    assert sum(isinstance(row.result, IncomingReport) for row in found) == 59


def test_a_text_over_several_lines_is_one_field() -> None:
    (report,) = reports(f'url,text\r\n{A},"one, two\r\n""three""\r\n\r\nfour"\r\n')
    assert report.text == 'one, two\r\n"three"\r\n\r\nfour'


def test_western_spreadsheets_without_unicode_are_read() -> None:
    assert reports(f"url,text\r\n{A},café “now”\r\n".encode("cp1252"))[0].text == "café “now”"


def test_a_json_report_may_have_many_items() -> None:
    record = {
        "url": [A, B],
        "note": "for all",
        "items": [
            {"kind": "hash", "value": f"pdq:{LONG}", "note": "own", "made_by": "tool"},
            {"kind": "file", "value": "a.jpg"},
        ],
        "child-at-risk-now": True,
        "deep": {"a": [1, 2.5, None, "b"]},
    }
    (report,) = reports(json.dumps([record]))
    assert values(report) == [("url", A), ("url", B), ("hash", f"pdq:{LONG}"), ("file", "a.jpg")]
    assert [item.note for item in report.items] == ["for all", "for all", "own", "for all"]
    assert report.items[2].facts == {"made_by": "tool", "algorithms": ["pdq"]}
    assert report.urgency == {Urgency.CHILD_AT_RISK_NOW}
    assert report.facts == {"deep": {"a": [1, 2.5, None, "b"]}}


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"url": {"a": 1}}, "url"),
        ({"url": [A, 7.5]}, "url"),
        ({"items": {}}, "items"),
        ({"items": [5]}, "items[0]"),
        ({"items": [{"kind": "picture", "value": "x"}]}, "items[0].kind"),
        ({"items": [{"kind": "url", "value": A}, {"kind": "url"}]}, "items[1].value"),
        ({"items": [{"kind": "hash", "value": "zz"}]}, "items[0].value"),
        ({"url": A, "link": B}, "url"),
        ({"url": "h" * 20_000}, "url"),
        ({"url": A, "text": "t" * 300_000}, "text"),
        ({"url": A, "received_at": True}, "received_at"),
        ({"url": A, "md5": "a1"}, "md5"),
        ({"url": A, "urgency": [1.5]}, "urgency"),
        ({"url": [A] * 10_001}, "items"),
    ],
)
def test_a_wrong_field_is_named(record: dict[str, object], field: str) -> None:
    first, second = rows(json.dumps([record, {"url": B}]))
    assert error(first).field == field
    assert isinstance(second.result, IncomingReport)


@pytest.mark.parametrize("cut", [1, 10, 40, 62])
def test_a_json_file_cut_off_keeps_what_came_before(cut: int) -> None:
    whole = json.dumps([{"url": A}, {"url": B}, {"text": "x" * 50}])
    found = rows(whole[:-cut])
    good = [row for row in found if isinstance(row.result, IncomingReport)]
    assert len(good) == (3 if cut == 1 else 2)
    assert "breaks off" in error(found[-1]).what
    assert error(found[-1]).where == f"file: after record {len(good)}"


def test_broken_lines_of_json_cost_themselves_alone() -> None:
    data = f'{{"url": "{A}"\n{{"url": "{B}"}}\n\n[1]\n{{"text": NaN}}\n{{"text": "last"}}'
    found = rows(data)
    assert [(row.number, isinstance(row.result, IncomingReport)) for row in found] == [
        (1, False), (2, True), (4, False), (5, False), (6, True),
    ]  # fmt: skip


def test_signs_that_no_database_holds_are_replaced() -> None:
    for data in ('[{"text": "a\\u0000b", "x\\u0000": ["\\u0000"]}]', '{"text": "a\\ud800b", "x\\udfff": ["\\udfff"]}'):
        (report,) = reports(data)
        assert report.text == "a\ufffdb"
        assert report.facts == {"x\ufffd": ["\ufffd"]}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_without_end_is_an_error(opening: str) -> None:
    start = f'{{"url": "{A}", "x": '
    closed = start + "[" * 99 + "]" * 99 + "}"
    for data in (f"[{start}{opening * 1_000_000}", f"{{}}\n{start}{opening * 100_000}\n", closed):
        assert all(isinstance(row.result, ReportFormatError) for row in rows(data))


def test_depth_that_somebody_could_mean_is_kept() -> None:
    record = {"url": A, "x": [[[[[["y"]]]]]]}
    for data in (json.dumps([record]), json.dumps(record) + "\n"):
        assert reports(data)[0].facts == {"x": [[[[[["y"]]]]]]}


class _Endless(io.RawIOBase):
    """A stream that never ends, and counts what was asked of it."""

    def __init__(self, start: bytes, unit: bytes) -> None:
        self.start, self.unit, self.given = start, unit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.start or self.unit * (len(buffer) // len(self.unit))
        data = data[: len(buffer)]
        self.start = b""
        buffer[: len(data)] = data
        self.given += len(data)
        return len(data)


def test_a_record_without_end_is_stopped() -> None:
    endless = _Endless(b'[{"url": "', b"a" * 1000)
    (row,) = bulk.read(io.BufferedReader(endless), where="file")
    assert "larger" in error(row).what
    assert endless.given < 2 * MAX_RECORD_BYTES


def test_a_line_without_end_is_never_held_whole() -> None:
    data = b"url,text\n" + b"x" * (3 * MAX_LINE_BYTES) + f"\n{A},\n".encode()
    first, second = rows(data)
    assert "longer" in error(first).what
    assert isinstance(second.result, IncomingReport)


def test_a_preview_shows_the_first_rows_and_reads_little_more() -> None:
    endless = _Endless(b"URL;Colour;Child at risk now\n", f"{A};red;\n".encode())
    preview = bulk.preview(io.BufferedReader(endless), where="file", limit=5)
    assert preview.format is BulkFormat.CSV
    assert preview.columns == (("URL", "url"), ("Colour", None), ("Child at risk now", "child-at-risk-now"))
    assert [row.number for row in preview.rows] == [2, 3, 4, 5, 6]
    assert preview.more
    assert endless.given < 1 << 22


def test_a_preview_says_what_an_import_will_say() -> None:
    data = f"url,hash\n{A},\n,zz\n{B},\n".encode()
    preview = bulk.preview(io.BytesIO(data), where="file")
    assert [str(row.result) for row in preview.rows] == [str(row.result) for row in rows(data)]
    assert not preview.more


_cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).map(str.strip)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(_cells, _cells), min_size=1, max_size=8), st.sampled_from(",;\t"))
def test_every_record_written_is_a_row_that_is_read(records: list[tuple[str, str]], delimiter: str) -> None:
    stream = io.StringIO()
    table = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    table.writerow(["url", "colour"])
    table.writerows((f"https://example.org/{place}", text) for place, (text, _) in enumerate(records))
    found = reports(stream.getvalue())
    assert [values(report) for report in found] == [
        [("url", f"https://example.org/{place}")] for place in range(len(records))
    ]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.binary(max_size=300) | st.text(st.sampled_from('[]{}",:\n;url\\u0 "reports"x'), max_size=80).map(str.encode))
def test_any_bytes_give_rows_and_nothing_else(data: bytes) -> None:
    for row in bulk.read(io.BytesIO(data), where="file"):
        assert isinstance(row.result, IncomingReport | ReportFormatError)


@settings(derandomize=True, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["url", "items", "kind", "value", "urgency", "hash", "x"]), inner, max_size=4),
    max_leaves=20,
))  # fmt: skip
def test_any_json_is_a_report_or_a_named_error(value: object) -> None:
    for row in rows(json.dumps([value])):
        if isinstance(row.result, ReportFormatError):
            assert row.result.mend
        else:
            assert row.result.items or row.result.text
            assert all(isinstance(item.kind, ItemKind) for item in row.result.items)
