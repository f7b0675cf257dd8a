"""Krippendorff's alpha against the examples that he published, and what the page says where there is no figure.

Krippendorff, K. (2011). Computing Krippendorff's Alpha-Reliability. University of Pennsylvania, ScholarlyCommons,
https://repository.upenn.edu/asc_papers/43: examples A (two observers, binary), B (two observers, nominal), C and D (four
observers, missing values; nominal, ordinal). The values are those of the paper, to its three digits.
"""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from leadline.workbench.quality.alpha import measure

MEG, OWEN = "0100000010", "1110010000"
BEN, GERRY = "aabbdcccedda", "babbbccceddd"
FOUR = ("123321412***", "1233224125*3", "*3332342251*", "12332441251*")


def units(*observers: str) -> list[list[str]]:
    return [[code for code in unit if code != "*"] for unit in zip(*observers, strict=True)]


@pytest.mark.golden
def test_two_observers_and_two_values() -> None:
    assert measure(units(MEG, OWEN)).alpha == pytest.approx(0.095, abs=0.0005)


@pytest.mark.golden
def test_two_observers_and_named_values() -> None:
    assert measure(units(BEN, GERRY)).alpha == pytest.approx(0.692, abs=0.0005)


@pytest.mark.golden
def test_any_number_of_observers_with_values_missing() -> None:
    found = measure(units(*FOUR))
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert found.units == 11  # the twelfth was seen by one observer alone


@pytest.mark.golden
def test_values_that_have_an_order() -> None:
    assert measure(units(*FOUR), "12345").alpha == pytest.approx(0.815, abs=0.0005)


def test_full_agreement_is_one_and_answers_beside_the_scale_are_left_out() -> None:
    same = [("a", "a"), ("b", "b"), ("c", "c")] * 4
    assert measure(same).alpha == 1
    assert measure([*same, ("a", "unclear")], ("a", "b", "c")).units == 12
    assert measure([*same, ("a", "unclear")]).alpha < 1


def test_there_is_no_figure_of_too_few_or_where_all_are_the_same() -> None:
    few = measure([("a", "b")] * 9)
    assert (few.alpha, few.why, few.units, few.same) == (None, "too-few", 9, 0)
    assert measure([("a", "b")] * 10).alpha is not None
    same = measure([("a", "a")] * 10)
    assert (same.alpha, same.why, same.same) == (None, "no-variation", 10)


def test_without_the_package_the_other_figures_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *more: Any, **options: Any) -> Any:
        if name == "krippendorff":
            raise ImportError(name)
        return original(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    found = measure([("a", "b"), ("a", "a")] * 5)
    assert (found.alpha, found.why, found.same, found.percent) == (None, "not-installed", 5, 50)
