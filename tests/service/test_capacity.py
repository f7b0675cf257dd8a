"""docs/scale.md: the table of capacity says what bench/RESULTS.md measured, and reckons the rest from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()
RESULTS = (ROOT / "bench" / "RESULTS.md").read_text()
BENCHES = dict(re.findall(r"<!-- bench\.(\w+) .*?-->(.*?)(?=<!--|\Z)", RESULTS, re.DOTALL))
SEARCH, SERVICE = BENCHES["search"], BENCHES["service"]
MEASURED_AT = 10_000_000
ROUNDED = 0.05
ROWS = {"1 million": 10**6, "10 million": 10**7, "100 million": 10**8, "1 billion": 10**9}


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def cells(text: str, start: str) -> list[str]:
    """Of the row of a table that begins so."""
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in row.split("|")[1:-1]]


def engine(hashes: int) -> list[str]:
    """build s, B/hash, queries/s with one thread, with two, ..."""
    return cells(SEARCH, f"leadline | {hashes:,}")[2:]


def reckoned(per_second: float) -> tuple[float, float]:
    """Single GETs, and hashes in packed lists, of the service over an engine that is as fast."""
    get_s = 1 / numbers(cells(SERVICE, "leadline serve, 2 workers, GET")[2])[0]
    bare, packed = (numbers(cell)[0] for cell in cells(SERVICE, "none")[1:3])
    at_measured = numbers(engine(MEASURED_AT)[3])[0]
    return 1 / (get_s - 1 / at_measured + 1 / per_second), per_second * packed / bare


@pytest.mark.parametrize("row", ["1 million", "10 million", "100 million"])
def test_what_the_engine_does_is_what_was_measured(row: str) -> None:
    _, memory, _, rate, *_ = cells(PAGE, row)
    hashes = ROWS[row]
    assert rate == engine(hashes)[3]
    assert numbers(memory)[0] == pytest.approx(hashes * numbers(engine(hashes)[1])[0] / 1e9, rel=ROUNDED)


def test_what_the_service_does_at_ten_million_is_what_was_measured() -> None:
    single, packed = numbers(cells(PAGE, "10 million")[4])[:2]
    assert single == pytest.approx(numbers(cells(SERVICE, "leadline serve, 2 workers, GET")[2])[0], rel=ROUNDED)
    assert packed == pytest.approx(numbers(cells(SERVICE, "none")[2])[0], rel=ROUNDED)
    assert "measured" in cells(PAGE, "10 million")[5]


@pytest.mark.parametrize("row", ["1 million", "100 million"])
def test_what_was_not_measured_is_reckoned_as_the_page_says_and_marked(row: str) -> None:
    single, packed = reckoned(numbers(engine(ROWS[row])[3])[0])
    told = cells(PAGE, row)[4]
    assert numbers(told)[:2] == [pytest.approx(single, rel=ROUNDED), pytest.approx(packed, rel=ROUNDED)]
    assert "extrapolated" in told


@pytest.mark.parametrize(("row", "hashes"), ROWS.items())
def test_machines_hold_their_bank_while_it_is_merged(row: str, hashes: int) -> None:
    """Index and records, and in memory the new index and the hashes (32 bytes each)."""
    _, memory, machines, *_ = cells(PAGE, row)
    count, each_gb = numbers(machines)[:2]
    assert (2 * numbers(memory)[0] + (40 + 32) * hashes / 1e9) / count < each_gb


def test_the_largest_bank_is_reckoned_from_the_one_that_was_measured() -> None:
    _, memory, machines, rate, service, how = cells(PAGE, "1 billion")
    assert numbers(memory)[0] == pytest.approx(10 * numbers(engine(10**8)[1])[0] * 10**8 / 1e9, rel=ROUNDED)
    of_a_shard = numbers(engine(10**8)[3])[0] * 10**8 / (ROWS["1 billion"] / numbers(machines)[0])
    assert numbers(rate)[0] == pytest.approx(of_a_shard, rel=ROUNDED)
    assert numbers(service)[:2] == [pytest.approx(told, rel=ROUNDED) for told in reckoned(of_a_shard)]
    assert "extrapolated" in how
