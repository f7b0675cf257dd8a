"""What is a match, what marks it, what is said of what was not compared."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.domain import Entry, Fingerprints, Kind, PdqFamily, Transform, ViewHashes
from leadline.errors import ConfigError, HashFormatError
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher
from leadline.match.policy import NO_MATCH


def view(*pdq: bytes, name: str = "picture", quality: int = 100, family: PdqFamily = PdqFamily.B) -> ViewHashes:
    return ViewHashes(name, family, pdq, quality, 100, 100)


def picture(*pdq: bytes, exact: dict[str, bytes] | None = None, **fields: object) -> Fingerprints:
    return Fingerprints(exact or {}, (view(*pdq, **fields),))


def one(matcher: Matcher, file: Fingerprints):
    (answer,) = matcher.match([file])
    return answer


def test_exact_and_near_matches_name_everything(new_bank, draw):
    pdq, md5 = draw.bytes(), draw.bytes(16)
    entry = draw.entry(
        fingerprints={"md5": md5, "pdq": pdq}, scheme="IWF", label="C", pdq_family=PdqFamily.A, quality=90
    )
    bank = new_bank("LIST", entries=[draw.entry(), entry])
    other = [draw.bytes() for _ in range(8)]
    other[3] = draw.near(pdq, 31)
    answer = one(Matcher([bank]), picture(*other, exact={"md5": md5, "sha1": draw.bytes(20)}))
    exact, near = answer.matches
    assert (exact.bank, exact.entry, exact.algorithm, exact.distance, exact.threshold) == ("LIST", 2, "md5", 0, 0)
    assert (near.algorithm, near.distance, near.threshold, near.transform) == ("pdq", 31, 31, Transform.ROTATE270)
    assert (near.kind, near.scheme, near.label, near.family, exact.family) == (Kind.ILLEGAL, "IWF", "C", "a", "")
    assert (near.list_version, near.view, near.suppressed_by, answer.truncated) == (1, "picture", None, False)


@pytest.mark.parametrize("merged", [False, True])
def test_the_radius_is_kept_to_the_bit(new_bank, draw, merged):
    centre = draw.bytes()
    bank = new_bank(radius_bits=20, entries=[draw.entry(fingerprints={"pdq": centre})])
    if merged:
        bank.merge()
    queries = [("pdq", draw.near(centre, bits)) for bits in (0, 20, 21, 31, 32)]
    own = [bool(a.matches) for a in Matcher([bank]).match_hashes(queries)]
    given = [bool(a.matches) for a in Matcher([bank], radius_bits=31).match_hashes(queries)]
    assert own == [True, True, False, False, False]
    assert given == [True, True, True, True, False]


def test_an_entry_is_reported_once_with_its_best_distance(new_bank, draw):
    centre = draw.bytes()
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": centre})])
    file = Fingerprints(
        views=(
            view(draw.near(centre, 9), draw.near(centre, 4), name="on-white"),
            view(draw.near(centre, 6), name="on-black"),
        )
    )
    (match,) = one(Matcher([bank]), file).matches
    assert (match.distance, match.view, match.transform) == (4, "on-white", Transform.ROTATE90)


def test_matches_stand_most_serious_first_then_nearest(new_bank, draw):
    centre = draw.bytes()

    def near(kind, bits):
        return draw.entry(kind, fingerprints={"pdq": draw.near(centre, bits)})

    mixed = new_bank(
        "B", entries=[near(Kind.BENIGN, 0), near(Kind.OTHER, 1), near(Kind.ILLEGAL, 9), near(Kind.EXPLOITATIVE, 2)]
    )
    more = new_bank("A", entries=[near(Kind.ILLEGAL, 9), near(Kind.ILLEGAL, 5)])
    matches = one(Matcher([mixed, more]), picture(centre)).matches
    assert [(m.kind.value, m.distance, m.bank, m.entry) for m in matches] == [
        ("illegal", 5, "A", 2),
        ("illegal", 9, "A", 1),
        ("illegal", 9, "B", 3),
        ("exploitative", 2, "B", 4),
        ("other", 1, "B", 2),
        ("benign", 0, "B", 1),
    ]


@pytest.mark.parametrize("by", ["pdq", "md5"])
@pytest.mark.parametrize("merged", [False, True])
def test_a_limit_never_hides_an_illegal_entry_behind_benign_ones(new_bank, draw, by, merged):
    digest = draw.bytes({"pdq": 32, "md5": 16}[by])
    illegal = draw.near(digest, 30) if by == "pdq" else digest
    bank = new_bank(
        entries=[draw.entry(Kind.BENIGN, fingerprints={by: digest}) for _ in range(50)]
        + [draw.entry(fingerprints={by: illegal})]
    )
    if merged:
        bank.merge()
    (answer,) = Matcher([bank], limit=5).match_hashes([(by, digest)])
    assert (len(answer.matches), answer.truncated) == (5, True)
    assert [(m.kind, m.entry) for m in answer.matches[:2]] == [(Kind.ILLEGAL, 51), (Kind.BENIGN, 1)]
    (whole,) = Matcher([bank], limit=51).match_hashes([(by, digest)])
    assert (len(whole.matches), whole.truncated) == (51, False)


def test_a_limit_of_nought_gives_all(new_bank, draw):
    digest = draw.bytes()
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": digest}) for _ in range(150)])
    (answer,) = Matcher([bank], limit=0).match_hashes([("pdq", digest)])
    assert (len(answer.matches), answer.truncated) == (150, False)


def test_removed_entries_do_not_use_up_the_limit(new_bank, draw):
    digest = draw.bytes()
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": digest, "md5": digest[:16]}) for _ in range(20)])
    bank.remove(range(1, 19))
    for query in (("pdq", digest), ("md5", digest[:16])):
        (answer,) = Matcher([bank], limit=2).match_hashes([query])
        assert ([m.entry for m in answer.matches], answer.truncated) == ([19, 20], False)


def test_a_disabled_entry_does_not_match_until_its_time(new_bank, draw, clock):
    pdq, md5 = draw.bytes(), draw.bytes(16)
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": pdq, "md5": md5}, disabled_until=clock.now + 10)])
    bank.merge()
    matcher = Matcher([bank])

    def found():
        return [bool(answer.matches) for answer in matcher.match_hashes([("pdq", pdq), ("md5", md5)])]

    before = found()
    clock.now += 9
    still = found()
    clock.now += 1
    assert (before, still, found()) == ([False, False], [False, False], [True, True])


def test_poor_hashes_are_not_matched_near_and_the_answer_says_so(new_bank, draw):
    pdq, md5 = draw.bytes(), draw.bytes(16)
    strict = new_bank("STRICT", entries=[draw.entry(fingerprints={"pdq": pdq, "md5": md5})])
    lax = new_bank("LAX", quality_floor=10, entries=[draw.entry(fingerprints={"pdq": pdq})])
    no_pdq = new_bank("MD5", entries=[draw.entry(fingerprints={"md5": md5})])
    answer = one(Matcher([strict, lax, no_pdq]), picture(pdq, exact={"md5": md5}, quality=12))
    assert [(m.bank, m.algorithm) for m in answer.matches] == [("LAX", "pdq"), ("MD5", "md5"), ("STRICT", "md5")]
    assert answer.reasons == ("quality 12 below 50: near match not attempted in STRICT",)
    mixed = Fingerprints(views=(view(pdq, quality=49), view(pdq, name="on-black", quality=50)))
    answer = one(Matcher([strict]), mixed)
    assert [m.view for m in answer.matches] == ["on-black"]
    assert answer.reasons == ("1 of 2 views of a quality below 50 not compared with STRICT",)


def test_poor_entries_match_exactly_but_not_near(new_bank, draw):
    pdq, md5 = draw.bytes(), draw.bytes(16)
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": pdq, "md5": md5}, quality=49)])
    near, exact = Matcher([bank]).match_hashes([("pdq", pdq), ("md5", md5)])
    assert (near.matches, [m.algorithm for m in exact.matches]) == ((), ["md5"])


def test_entries_of_both_families_are_searched_together(new_bank, draw):
    pdq = draw.bytes()
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": pdq})])
    matcher = Matcher([bank])
    assert matcher.needs_family_a is False
    bank.add([draw.entry(fingerprints={"pdq": pdq}, pdq_family=PdqFamily.A)])
    assert matcher.needs_family_a is True
    answer = one(matcher, picture(pdq))
    assert [m.family for m in answer.matches] == ["b", "a"]
    assert answer.reasons == ("BANK holds PDQ hashes of family a, of which this file has none",)
    both = Fingerprints(views=(view(draw.bytes()), view(pdq, family=PdqFamily.A)))
    answer = one(matcher, both)
    assert ([m.family for m in answer.matches], answer.reasons) == (["b", "a"], ())


class TestFalsePositives:
    """They mark; they never hide."""

    @pytest.fixture
    def pdq(self, draw) -> bytes:
        return draw.bytes()

    def banks(self, new_bank, entries, positives) -> Matcher:
        return Matcher([new_bank("LIST", entries=entries), new_bank("FP", Kind.FALSE_POSITIVE, entries=positives)])

    def positive(self, **fields) -> Entry:
        return Entry(kind=Kind.FALSE_POSITIVE, **fields)

    @pytest.mark.parametrize(
        ("radius", "distance", "marks"), [(0, 0, True), (0, 1, False), (3, 3, True), (3, 4, False)]
    )
    def test_one_marks_near_matches_within_its_own_radius(self, new_bank, draw, pdq, radius, distance, marks):
        listed = draw.entry(fingerprints={"pdq": draw.near(pdq, 10)})
        positive = self.positive(fingerprints={"pdq": draw.near(pdq, distance)}, radius_bits=radius)
        matches = one(self.banks(new_bank, [listed], [positive]), picture(pdq)).matches
        assert [(m.kind.value, m.suppressed_by) for m in matches] == (
            [("illegal", "FP/1"), ("false-positive", None)] if marks else [("illegal", None)]
        )
        if marks:
            assert (matches[1].distance, matches[1].threshold) == (distance, radius)

    def test_one_acts_through_any_transform_of_the_picture(self, new_bank, draw, pdq):
        turned = draw.bytes()
        matcher = self.banks(
            new_bank, [draw.entry(fingerprints={"pdq": pdq})], [self.positive(fingerprints={"pdq": turned})]
        )
        matches = one(matcher, picture(pdq, draw.bytes(), turned)).matches
        assert [m.suppressed_by for m in matches] == ["FP/1", None]

    def test_one_acts_by_the_exact_digest_of_the_file(self, new_bank, draw, pdq):
        md5 = draw.bytes(16)
        matcher = self.banks(
            new_bank, [draw.entry(fingerprints={"pdq": pdq})], [self.positive(fingerprints={"md5": md5})]
        )
        matches = one(matcher, picture(pdq, exact={"md5": md5})).matches
        assert [(m.kind.value, m.suppressed_by) for m in matches] == [("illegal", "FP/1"), ("false-positive", None)]

    @pytest.mark.parametrize(("algorithm", "length"), [("md5", 16), ("sha1", 20), ("sha256", 32)])
    def test_none_ever_acts_over_a_cryptographic_match_to_an_illegal_entry(
        self, new_bank, draw, pdq, algorithm, length
    ):
        digest = {algorithm: draw.bytes(length)}
        entries = [
            draw.entry(Kind.ILLEGAL, fingerprints={**digest, "pdq": pdq}),
            draw.entry(Kind.EXPLOITATIVE, fingerprints=digest),
        ]
        positive = self.positive(fingerprints={**digest, "pdq": pdq}, radius_bits=31)
        matches = one(self.banks(new_bank, entries, [positive]), picture(pdq, exact=digest)).matches
        marks = {(m.bank, m.entry, m.algorithm): m.suppressed_by for m in matches}
        assert marks == {
            ("LIST", 1, algorithm): None,
            ("LIST", 1, "pdq"): "FP/1",
            ("LIST", 2, algorithm): "FP/1",
            ("FP", 1, algorithm): None,
            ("FP", 1, "pdq"): None,
        }

    def test_a_harmless_frame_says_nothing_of_the_next_frame(self, new_bank, draw, pdq):
        harmless = draw.bytes()
        entries = [draw.entry(fingerprints={"pdq": pdq}), draw.entry(fingerprints={"pdq": draw.near(harmless, 5)})]
        matcher = self.banks(new_bank, entries, [self.positive(fingerprints={"pdq": harmless})])
        file = Fingerprints(views=(view(harmless, name="frame 1"), view(pdq, name="frame 2")))
        matches = one(matcher, file).matches
        assert [(m.bank, m.entry, m.suppressed_by) for m in matches] == [
            ("LIST", 1, None),
            ("LIST", 2, "FP/1"),
            ("FP", 1, None),
        ]

    def test_an_entry_met_by_an_unmarked_view_too_is_not_marked(self, new_bank, draw, pdq):
        harmless = draw.near(pdq, 2)
        matcher = self.banks(
            new_bank, [draw.entry(fingerprints={"pdq": pdq})], [self.positive(fingerprints={"pdq": harmless})]
        )
        file = Fingerprints(views=(view(harmless, name="frame 1"), view(draw.near(pdq, 9), name="frame 2")))
        match = one(matcher, file).matches[0]
        assert (match.kind, match.distance, match.view, match.suppressed_by) == (Kind.ILLEGAL, 9, "frame 2", None)

    def test_a_removed_or_disabled_one_does_not_act(self, new_bank, draw, pdq, clock):
        positives = [
            self.positive(fingerprints={"pdq": pdq}),
            self.positive(fingerprints={"pdq": pdq}, disabled_until=clock.now + 5),
        ]
        matcher = self.banks(new_bank, [draw.entry(fingerprints={"pdq": pdq})], positives)
        matcher.banks[1].remove([1])
        assert [m.suppressed_by for m in one(matcher, picture(pdq)).matches] == [None]
        clock.now += 5
        assert [m.suppressed_by for m in one(matcher, picture(pdq)).matches] == ["FP/2", None]

    def test_what_is_marked_does_not_crowd_out_what_is_not(self, new_bank, draw, pdq):
        unmarked = draw.bytes()
        entries = [draw.entry(fingerprints={"pdq": pdq}) for _ in range(5)]
        entries.append(draw.entry(Kind.OTHER, fingerprints={"pdq": unmarked}))
        banks = [
            new_bank("LIST", entries=entries),
            new_bank("FP", Kind.FALSE_POSITIVE, entries=[self.positive(fingerprints={"pdq": pdq})]),
        ]
        file = Fingerprints(views=(view(pdq, name="frame 1"), view(unmarked, name="frame 2")))
        answer = one(Matcher(banks, limit=3), file)
        assert (Kind.OTHER, None) in [(m.kind, m.suppressed_by) for m in answer.matches]
        assert answer.truncated is True


def test_answers_stand_in_the_order_of_the_lines(new_bank, draw):
    pdq, sha256, md5 = draw.bytes(), draw.bytes(), draw.bytes(16)
    bank = new_bank(entries=[draw.entry(fingerprints=f) for f in ({"pdq": pdq}, {"sha256": sha256}, {"md5": md5})])
    unknown = [("pdq", draw.bytes()), ("sha1", draw.bytes(20))]
    lines = [("md5", md5), unknown[0], ("", sha256), ("", pdq), unknown[1], ("", md5), ("pdq", sha256)]
    answers = Matcher([bank]).match_hashes(lines)
    assert [[(m.entry, m.algorithm) for m in a.matches] for a in answers] == [
        [(3, "md5")], [], [(2, "sha256")], [(1, "pdq")], [], [(3, "md5")], [],
    ]  # fmt: skip
    assert answers[1] is NO_MATCH
    assert Matcher([bank]).match_hashes([]) == []


def test_only_rows_that_match_are_answered_on_the_fast_path(new_bank, draw):
    rows = draw.rng.integers(0, 256, (1000, 32), dtype=np.uint8)
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": rows[n].tobytes()}) for n in (3, 700)])
    found = Matcher([bank]).match_rows("pdq", rows)
    assert {number: [m.entry for m in a.matches] for number, a in found.items()} == {3: [1], 700: [2]}


@pytest.mark.parametrize("line", [("md5", b"1" * 15), ("pdq", b"1" * 31), ("", b"1" * 9), ("sha256", b"")])
def test_a_hash_of_a_wrong_length_is_an_error(new_bank, draw, line):
    with pytest.raises(HashFormatError):
        Matcher([new_bank(entries=[draw.entry()])]).match_hashes([line])


def test_two_banks_of_one_name_are_refused(new_bank):
    bank = new_bank()
    with pytest.raises(ConfigError, match="two banks"):
        Matcher([bank, Bank.open(bank.path)])


@pytest.mark.parametrize("radius", [-1, 65])
def test_a_radius_out_of_range_is_refused(new_bank, radius):
    with pytest.raises(ConfigError, match=r"0\.\.64"):
        Matcher([new_bank()], radius_bits=radius)


def test_no_banks_and_no_files_give_no_matches(new_bank, draw):
    assert Matcher([]).match([picture(draw.bytes())]) == [NO_MATCH]
    assert Matcher([new_bank()]).match([]) == []
    assert Matcher([new_bank("E")]).match([Fingerprints(), picture(draw.bytes())]) == [NO_MATCH, NO_MATCH]


def test_a_batch_of_files_gets_the_answers_of_single_files(new_bank, draw):
    listed = [draw.bytes() for _ in range(30)]
    bank = new_bank(entries=[draw.entry(fingerprints={"pdq": h, "md5": h[:16]}) for h in listed])
    bank.merge()
    bank.add([draw.entry(fingerprints={"pdq": draw.near(h, 3)}) for h in listed[:10]])
    files = [
        picture(draw.near(listed[n % 30], n % 40), draw.bytes(), exact={"md5": listed[n % 7][:16]}) for n in range(60)
    ]
    matcher = Matcher([bank])
    together = matcher.match(files)
    assert together == [one(matcher, file) for file in files]
    assert {len(answer.matches) for answer in together} >= {1, 2, 3}


def test_a_change_of_another_writer_matches_after_refresh(new_bank, draw):
    bank, pdq = new_bank(), draw.bytes()
    matcher = Matcher([Bank.open(bank.path, kinds={})])
    assert matcher.refresh() is False
    bank.add([draw.entry(fingerprints={"pdq": pdq})])
    assert (matcher.refresh(), [m.list_version for m in one(matcher, picture(pdq)).matches]) == (True, [1])
