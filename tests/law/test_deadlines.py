"""A deadline only where the law names the operator's own role and country; everything else is information."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.errors import InputError
from leadline.law.deadlines import Sense, add_period, deadlines
from leadline.law.library import Library, load_library
from leadline.law.terms import Role, Unit

from .conftest import Write
from .test_matrix_files import PERIOD, cell

RECEIVED = datetime(2026, 11, 27, 10, tzinfo=UTC)
SENT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def test_a_provider_in_the_united_states_keeps_for_one_year_from_its_report(library: Library) -> None:
    found = deadlines(library.matrix, "US", Role.PROVIDER, RECEIVED, report_sent_at=SENT)
    (one,) = found.binding
    assert (one.cell.question_id, one.sense) == ("preservation", Sense.KEEP_UNTIL)
    assert one.due_at == datetime(2027, 11, 28, 9, 30, tzinfo=UTC)
    assert found.information == ()


def test_a_provider_in_canada_keeps_for_21_days(library: Library) -> None:
    (one,) = deadlines(library.matrix, "CA", Role.PROVIDER, RECEIVED, report_sent_at=SENT).binding
    assert one.due_at == datetime(2026, 12, 19, 9, 30, tzinfo=UTC)


def test_before_the_report_is_sent_its_period_has_no_end(library: Library) -> None:
    (one,) = deadlines(library.matrix, "US", Role.PROVIDER, RECEIVED).binding
    assert (one.due_at, one.counts_from) == (None, "report-sent")


@pytest.mark.parametrize("role", [Role.HOTLINE, Role.POLICE])
@pytest.mark.parametrize("country", ["US", "CA", "PH", "BR"])
def test_what_binds_a_provider_is_information_to_others(library: Library, role: Role, country: str) -> None:
    found = deadlines(library.matrix, country, role, RECEIVED, report_sent_at=SENT)
    assert found.binding == ()
    assert {c.jurisdiction for c in found.information} == {country}


def test_another_countrys_period_is_information_even_to_a_provider(library: Library) -> None:
    others = ["US", "us", "CA"]
    found = deadlines(library.matrix, "DE", Role.PROVIDER, RECEIVED, report_sent_at=SENT, other_countries=others)
    assert found.binding == ()
    assert [c.jurisdiction for c in found.information] == ["US", "CA"]


def test_a_period_that_nobody_says_what_it_counts_from_is_information(library: Library) -> None:
    found = deadlines(library.matrix, "PH", Role.PROVIDER, RECEIVED, report_sent_at=SENT)
    assert found.binding == ()
    assert [c.question_id for c in found.information] == ["reporting", "removal"]


@given(st.sampled_from(list(Role)), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2))
def test_the_shipped_matrix_binds_providers_of_two_countries_and_nobody_else(
    library: Library, role: Role, country: str
) -> None:
    found = deadlines(library.matrix, country, role, RECEIVED, report_sent_at=SENT)
    assert bool(found.binding) == (role is Role.PROVIDER and country in ("US", "CA"))


@pytest.mark.parametrize(("binds", "bound"), [
    ("hotline", {Role.HOTLINE}), ("anyone", set(Role)), ("state", set()), ("police", {Role.POLICE}),
])
def test_an_operators_own_cell_sets_a_deadline_for_those_it_names(write: Write, binds: str, bound: set[Role]) -> None:
    matrix = load_library(write("matrix/own.yaml", cell("GR", "reporting", binds=binds, more=PERIOD))).matrix
    got = {role: deadlines(matrix, "GR", role, RECEIVED).binding for role in Role}
    assert {role for role, binding in got.items() if binding} == bound
    assert all(b[0].due_at == RECEIVED + timedelta(hours=24) for b in got.values() if b)


def test_a_duty_that_holds_only_in_part_sets_no_deadline(write: Write) -> None:
    matrix = load_library(write("matrix/own.yaml", cell("GR", "reporting", "partial", "hotline", more=PERIOD))).matrix
    found = deadlines(matrix, "GR", Role.HOTLINE, RECEIVED)
    assert (found.binding, len(found.information)) == ((), 1)


def test_times_are_counted_in_utc_and_a_time_without_a_zone_is_refused(library: Library) -> None:
    evening = datetime(2026, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    (one,) = deadlines(library.matrix, "CA", Role.PROVIDER, evening, report_sent_at=evening).binding
    assert one.due_at == datetime(2027, 1, 22, 4, tzinfo=UTC)
    with pytest.raises(InputError, match="without a zone"):
        deadlines(library.matrix, "CA", Role.PROVIDER, datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(("start", "number", "unit", "sense", "end"), [
    ("2024-02-29", 1, Unit.YEARS, Sense.KEEP_UNTIL, "2025-03-01"),
    ("2024-02-29", 1, Unit.YEARS, Sense.ACT_BEFORE, "2025-02-28"),
    ("2024-02-29", 4, Unit.YEARS, Sense.KEEP_UNTIL, "2028-02-29"),
    ("2026-08-31", 6, Unit.MONTHS, Sense.ACT_BEFORE, "2027-02-28"),
    ("2026-08-31", 6, Unit.MONTHS, Sense.KEEP_UNTIL, "2027-03-01"),
    ("2026-07-31", 5, Unit.MONTHS, Sense.KEEP_UNTIL, "2026-12-31"),
    ("2026-12-31", 1, Unit.MONTHS, Sense.KEEP_UNTIL, "2027-01-31"),
    ("2026-02-20", 21, Unit.DAYS, Sense.KEEP_UNTIL, "2026-03-13"),
])
def test_where_a_day_does_not_exist_the_safe_side_is_taken(
    start: str, number: int, unit: Unit, sense: Sense, end: str
) -> None:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert add_period(at, number, unit, sense).date().isoformat() == end


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.integers(1, 120), st.sampled_from(list(Unit)))  # noqa: DTZ001
def test_acting_before_is_never_later_than_keeping_until(start: datetime, number: int, unit: Unit) -> None:
    act, keep = (add_period(start.replace(tzinfo=UTC), number, unit, s) for s in (Sense.ACT_BEFORE, Sense.KEEP_UNTIL))
    assert start.replace(tzinfo=UTC) < act <= keep <= act + timedelta(days=1)
