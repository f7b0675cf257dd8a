"""Bulk deliveries of reports, CSV, JSON and JSON lines, row by row. Stores nothing, calculates no cell.

Every row gives one result, and the rows around a bad one are read all the same.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BufferedReader
from typing import BinaryIO

import ijson
from ijson.common import ObjectBuilder

from leadline.domain import IncomingReport
from leadline.errors import LeadlineError, ListFormatError, ReportFormatError, sentence
from leadline.exchange.base import BoundedRecords, Line, numbered_lines, recode, too_long
from leadline.exchange.bulk_record import CONTENT, KNOWN, field_name, report_of
from leadline.exchange.csv_rows import DELIMITERS, plain, read_rows
from leadline.exchange.incoming import MAX_DEPTH, load_json, placed

_HEAD_BYTES = 1 << 16
_STARTS, _ENDS = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})
_REPORTS_ROOT = re.compile(r'\{\s{0,99}"reports"\s{0,99}:\s{0,99}\[')
_RECORD_START = re.compile(r"\s{0,9}(?:h[tx]{2}ps?:|www\.|[0-9a-fA-F]{32})", re.I)


class BulkFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    JSON_LINES = "json-lines"


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one row: a report, or what is wrong with it (`field`) and how to mend it (`mend`).

    number  line of a CSV or JSON lines file (from 1, the header counts), record of a JSON file (from 1)
    """

    number: int
    result: IncomingReport | ReportFormatError


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a delivery, read as an import reads them, with nothing else done.

    columns  of a CSV file: its header as written, and the field it is taken for (None: kept among the facts)
    more     whether rows follow those shown
    """

    format: BulkFormat
    columns: tuple[tuple[str, str | None], ...]
    rows: tuple[Row, ...]
    more: bool


def read(untrusted: BinaryIO, *, where: str) -> Iterator[Row]:
    """Rows of a delivery, streamed; the format is told from its first bytes.

    where  how messages call the file. A fault of the whole file is one row with an error.
    """
    yield from _opened(untrusted, where)[2]


def preview(untrusted: BinaryIO, *, where: str, limit: int = 50) -> Preview:
    """At most `limit` rows from the start. The stream is left wherever reading stopped."""
    form, columns, rows = _opened(untrusted, where)
    shown = tuple(itertools.islice(rows, limit))
    more = next(rows, None) is not None
    return Preview(form, tuple((name, _meaning(name)) for name in columns), shown, more)


def _meaning(name: str) -> str | None:
    known = field_name(name)
    return known if known in KNOWN else None


def _opened(untrusted: BinaryIO, where: str) -> tuple[BulkFormat, list[str], Iterator[Row]]:
    reader = recode(untrusted)
    head = reader.peek(_HEAD_BYTES)[:_HEAD_BYTES].decode("utf-8", "replace").lstrip()
    if head.startswith("["):
        return BulkFormat.JSON, [], _json(reader, 1, where)
    if _REPORTS_ROOT.match(head):
        return BulkFormat.JSON, [], _json(reader, 2, where)
    if head.startswith("{") and _is_lines(head):
        return BulkFormat.JSON_LINES, [], _json_lines(reader, where)
    if head.startswith("{"):
        return BulkFormat.JSON, [], _json(reader, 0, where)
    lines = numbered_lines(reader)
    header = _header(lines, where)
    if isinstance(header, Row):
        return BulkFormat.CSV, [], iter([header])
    delimiter, names = header
    return BulkFormat.CSV, names, _csv(lines, delimiter, names, where)


def _is_lines(head: str) -> bool:
    """One object a line, not one object over many lines; a broken first line must not hide the others."""
    lines = [line.strip() for line in head.split("\n") if line.strip()]
    return lines[0].endswith("}") or (len(lines) > 1 and lines[1].startswith("{"))


# CSV


def _header(lines: Iterator[Line], where: str) -> tuple[str, list[str]] | Row:
    mend = sentence("name the columns in the first line, at least one of %(names)s", names=", ".join(CONTENT))
    for number, untrusted_line in lines:
        if untrusted_line is None:
            return Row(number, placed(too_long(""), f"{where}: line {number}"))
        text = _decode(untrusted_line)
        if not text.strip() or text.startswith(("#", "sep=")):
            continue
        place = f"{where}: line {number}"
        delimiter, names = max((_split(text, sign) for sign in DELIMITERS), key=_count_known)
        known = [field_name(name) for name in names if field_name(name) in KNOWN]
        if not set(known) & set(CONTENT):
            return Row(number, ReportFormatError("the first line names no column that a report needs",
                                                 where=place, mend=mend))  # fmt: skip
        twice = next((name for name in known if known.count(name) > 1), "")
        if twice:
            what = sentence("the header names %(names)s twice", names=twice)
            return Row(number, ReportFormatError(what, where=place, mend="rename one", field=twice))
        return delimiter, names
    return Row(1, ReportFormatError("the file is empty", where=where, mend=mend))


def _split(text: str, delimiter: str) -> tuple[str, list[str]]:
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        cells = []
    return delimiter, [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]


def _count_known(split: tuple[str, list[str]]) -> tuple[int, int]:
    names = split[1]
    return sum(field_name(name) in KNOWN for name in names), len(names)


def _csv(lines: Iterator[Line], delimiter: str, names: list[str], where: str) -> Iterator[Row]:
    def swallowed(cell: str) -> bool:
        """A later line that begins as a record does, or has a record's columns: rather an error than a lost row."""
        return any(
            delimiter in line
            and (
                _RECORD_START.match(line) is not None
                or (line.count(delimiter) == len(names) - 1 and any(map(_RECORD_START.match, line.split(delimiter))))
            )
            for line in cell.split("\n")[1:]
        )

    for number, row, _ in read_rows(lines, delimiter, len(names), swallowed=swallowed, decode=_decode):
        place = f"{where}: line {number}"
        if isinstance(row, ListFormatError):
            yield Row(number, placed(row, place))
        else:
            cells = {name: plain(cell.strip()) for name, cell in zip(names, row, strict=False) if cell.strip()}
            if cells:  # spreadsheets end their files with rows of bare delimiters
                yield Row(number, _result(cells, place))


def _decode(untrusted_line: bytes) -> str:
    """UTF-8, else Windows-1252, which spreadsheets of western Europe write: it has a sign for nearly every byte."""
    try:
        text = untrusted_line.decode("utf-8")
    except UnicodeDecodeError:
        text = untrusted_line.decode("cp1252", "replace")
    return text.rstrip("\r\n")


# JSON


def _json_lines(reader: BufferedReader, where: str) -> Iterator[Row]:
    for number, untrusted_line in numbered_lines(reader):
        place = f"{where}: line {number}"
        if untrusted_line is None:
            yield Row(number, placed(too_long(""), place))
        elif untrusted_line.strip():
            try:
                yield Row(number, _result(load_json(untrusted_line), place))
            except ReportFormatError as error:
                yield Row(number, placed(error, place))


def _json(reader: BufferedReader, around: int, where: str) -> Iterator[Row]:
    number = 0
    try:
        for untrusted_record in _records(BoundedRecords(reader), around):
            nested = untrusted_record.get("reports") if isinstance(untrusted_record, dict) and not around else None
            for untrusted_report in nested if isinstance(nested, list) else [untrusted_record]:
                number += 1
                yield Row(number, _result(untrusted_report, f"{where}: record {number}"))
    except (ListFormatError, ReportFormatError) as error:
        yield Row(number + 1, placed(error, f"{where}: after record {number}"))
    except (ijson.JSONError, ValueError, ArithmeticError):
        fault = ReportFormatError(
            "the JSON breaks off or is malformed here",
            where=f"{where}: after record {number}",
            mend="ask the sender for a whole file; the records before this one were read",
        )
        yield Row(number + 1, fault)
    else:
        if number == 0:
            yield Row(1, ReportFormatError("the file holds no report", where=where, mend="check what was exported"))


def _records(source: BoundedRecords, around: int) -> Iterator[object]:
    """Every value that has `around` containers around it, up to the end of the container it stands in.

    Not `ijson.items`: it carries the path of each value along, so that deep nesting costs the square of its depth.
    """
    depth, builder, is_over = 0, None, False
    for event, value in ijson.basic_parse(source, use_float=True):
        if event in _ENDS:
            depth -= 1
            is_over = is_over or depth < around  # what follows the list of reports is read for its form alone
        elif depth == around and builder is None and not is_over and event != "map_key":
            builder = ObjectBuilder()
        if builder is not None:
            builder.event(event, value)
        depth += event in _STARTS
        if depth > around + MAX_DEPTH:
            raise ReportFormatError("the record is nested too deeply", mend="ask the sender for a flat one")
        if builder is not None and depth == around:
            yield builder.value
            builder, source.since_record = None, 0


def _result(untrusted_record: object, place: str) -> IncomingReport | ReportFormatError:
    try:
        return report_of(untrusted_record)
    except LeadlineError as error:
        return placed(error, place)
