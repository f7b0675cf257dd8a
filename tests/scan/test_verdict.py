from __future__ import annotations

import itertools

import pytest

from leadline.domain import Kind, Match, Transform, Verdict
from leadline.scan.verdict import judge


def exact(kind: Kind, entry: int = 1, suppressed_by: str | None = None) -> Match:
    return Match("B", kind, entry, "md5", 0, 0, 1, suppressed_by=suppressed_by)


def near(kind: Kind, entry: int = 2, distance: int = 9, suppressed_by: str | None = None) -> Match:
    return Match("B", kind, entry, "pdq", distance, 31, 1, Transform.FLIP_Y, suppressed_by=suppressed_by)


PRIORITY = [
    exact(Kind.ILLEGAL),
    near(Kind.ILLEGAL),
    exact(Kind.EXPLOITATIVE),
    near(Kind.EXPLOITATIVE),
    exact(Kind.OTHER),
    near(Kind.OTHER),
    exact(Kind.FALSE_POSITIVE),
    exact(Kind.BENIGN),
    near(Kind.BENIGN),
]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(len(PRIORITY)), 2)))
def test_it_lets_the_more_serious_match_decide(first: int, second: int) -> None:
    decided = judge([PRIORITY[second], PRIORITY[first]])
    assert decided.kind == PRIORITY[first].kind
    assert decided.verdict == (Verdict.KNOWN if PRIORITY[first].algorithm == "md5" else Verdict.NEAR)
    assert decided.matches == (PRIORITY[first], PRIORITY[second])


def test_it_says_why_of_a_known_file() -> None:
    assert judge([exact(Kind.ILLEGAL)]).reasons == ("md5 equals entry 1 of bank B (illegal)",)


def test_it_says_how_far_and_how_turned_of_a_near_file() -> None:
    reason = "pdq distance 9 (limit 31) to entry 2 of bank B (illegal), turned (flip_y)"
    assert judge([near(Kind.ILLEGAL)]).reasons == (reason,)


def test_it_keeps_suppressed_matches_and_calls_the_file_unknown() -> None:
    decided = judge([near(Kind.ILLEGAL, suppressed_by="FP:7")])
    assert (decided.verdict, decided.kind) == (Verdict.UNKNOWN, None)
    assert len(decided.matches) == 1
    assert "suppressed by FP:7" in decided.reasons[0]


def test_it_prefers_an_unsuppressed_lesser_match_to_a_suppressed_one() -> None:
    decided = judge([near(Kind.ILLEGAL, suppressed_by="FP:7"), near(Kind.BENIGN)])
    assert (decided.verdict, decided.kind) == (Verdict.NEAR, Kind.BENIGN)


def test_it_calls_a_file_that_is_a_marked_false_positive_itself_known_as_such() -> None:
    decided = judge([near(Kind.ILLEGAL, suppressed_by="FP:7"), exact(Kind.FALSE_POSITIVE, 7)])
    assert (decided.verdict, decided.kind) == (Verdict.KNOWN, Kind.FALSE_POSITIVE)


def test_it_does_not_let_a_false_positive_speak_for_a_file_it_only_resembles() -> None:
    assert judge([near(Kind.FALSE_POSITIVE)]).verdict == Verdict.UNKNOWN


def test_near_to_known_good_is_named_and_clears_nothing() -> None:
    decided = judge([near(Kind.BENIGN)])
    assert (decided.verdict, decided.kind) == (Verdict.NEAR, Kind.BENIGN)
    assert decided.reasons[0].endswith("near to known-good clears nothing")
    damaged = judge([near(Kind.BENIGN)], error="decoded in part: truncated")
    assert (damaged.verdict, damaged.kind) == (Verdict.UNREADABLE, None)
    assert decided.reasons[0] in damaged.reasons
    assert judge([exact(Kind.BENIGN)], error="decoded in part: truncated").verdict == Verdict.KNOWN


def test_it_lets_an_exact_match_stand_where_the_picture_could_not_be_decoded() -> None:
    decided = judge([exact(Kind.ILLEGAL)], error="picture not decoded: bad header")
    assert decided.verdict == Verdict.KNOWN
    assert "picture not decoded: bad header" in decided.reasons


@pytest.mark.parametrize(
    ("given", "verdict", "reasons"),
    [
        ({}, Verdict.UNKNOWN, ("no entry matched",)),
        ({"notes": ("frames not compared",)}, Verdict.UNKNOWN, ("frames not compared",)),
        ({"error": "no permission"}, Verdict.UNREADABLE, ("no permission",)),
        ({"skipped": True, "notes": ("FIFO, not opened",)}, Verdict.SKIPPED, ("FIFO, not opened",)),
        ({"match_reasons": ("quality 3 below 50",)}, Verdict.UNKNOWN, ("quality 3 below 50",)),
    ],
)
def test_it_gives_every_file_without_a_match_a_verdict_with_reasons(
    given: dict[str, object], verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    decided = judge([], **given)  # type: ignore[arg-type]
    assert (decided.verdict, decided.reasons) == (verdict, reasons)
