"""The plug-in slot: a made-up kind of 144 bytes, installed, absent, and out of contract."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from leadline.domain import Entry, Fingerprints, Kind, PdqFamily, ViewHashes
from leadline.errors import ConfigError, HashFormatError
from leadline.match import fingerprints
from leadline.match.bank import Bank
from leadline.match.fingerprints import ENTRY_POINT_GROUP, load_kinds
from leadline.match.matcher import Matcher


class MadeUp:
    """Sum of absolute differences of 144 bytes."""

    name = "made-up"
    length_bytes = 144
    threshold = 20.0

    def distances(self, query, table):
        return np.abs(table.astype(np.int16) - query.astype(np.int16)).sum(axis=1).astype(np.float64)

    def compute(self, pixels):
        return bytes(144) if pixels.size else None


def install(monkeypatch, *values: str) -> None:
    points = EntryPoints(EntryPoint(f"p{n}", value, ENTRY_POINT_GROUP) for n, value in enumerate(values))
    monkeypatch.setattr(fingerprints, "entry_points", lambda group: points.select(group=group))


def view(**others: bytes) -> ViewHashes:
    return ViewHashes("picture", PdqFamily.B, (), 100, 9, 9, {k.replace("_", "-"): v for k, v in others.items()})


def made_up(value: int, changed: int = 0) -> bytes:
    return bytes([value + 1] * changed + [value] * (144 - changed))


def test_installed_kinds_are_loaded_by_name(monkeypatch):
    monkeypatch.setattr(fingerprints, "_made_up_for_a_test", MadeUp, raising=False)
    install(monkeypatch, "leadline.match.fingerprints:_made_up_for_a_test")
    kinds = load_kinds()
    assert (list(kinds), kinds["made-up"].length_bytes) == (["made-up"], 144)


def test_without_plug_ins_there_are_no_kinds(monkeypatch):
    install(monkeypatch)
    assert load_kinds() == {}


@pytest.mark.parametrize(
    "value", ["no_such_module:x", "leadline.match.fingerprints:nothing", "leadline.match.fingerprints:np"]
)
def test_a_plug_in_that_does_not_load_is_an_error_not_a_gap(monkeypatch, value):
    install(monkeypatch, value)
    with pytest.raises(ConfigError):
        load_kinds()


@pytest.mark.parametrize("wrong", [{"name": "pdq"}, {"name": "Made Up"}, {"length_bytes": 0}, {"length_bytes": "144"}])
def test_a_plug_in_out_of_contract_is_refused(wrong):
    with pytest.raises(ConfigError):
        fingerprints.check_kind(type("Bad", (MadeUp,), wrong)(), "bad")


def test_two_plug_ins_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(fingerprints, "_made_up_for_a_test", MadeUp, raising=False)
    install(monkeypatch, *["leadline.match.fingerprints:_made_up_for_a_test"] * 2)
    with pytest.raises(ConfigError, match="two plug-ins"):
        load_kinds()


@pytest.fixture
def bank(new_bank) -> Bank:
    return new_bank(
        kinds={"made-up": MadeUp()},
        entries=[
            Entry(kind=Kind.ILLEGAL, fingerprints={"made-up": made_up(50)}, label="x"),
            Entry(kind=Kind.ILLEGAL, fingerprints={"made-up": made_up(90)}),
            Entry(kind=Kind.ILLEGAL, fingerprints={"md5": b"m" * 16}),
        ],
    )


@pytest.mark.parametrize("merged", [False, True])
def test_its_distance_and_threshold_decide(bank, merged):
    if merged:
        bank.merge()
    matcher = Matcher([bank])
    assert list(matcher.kinds) == ["made-up"]
    files = [Fingerprints(views=(view(made_up=made_up(50, changed)),)) for changed in (0, 20, 21)]
    answers = matcher.match(files)
    assert [[(m.entry, m.algorithm, m.distance, m.threshold) for m in a.matches] for a in answers] == [
        [(1, "made-up", 0.0, 20.0)],
        [(1, "made-up", 20.0, 20.0)],
        [],
    ]
    assert answers[0].matches[0].label == "x"
    bank.remove([1])
    assert matcher.match(files)[0].matches == ()


def test_a_hash_of_its_kind_can_be_asked_for_by_name(bank):
    (answer,) = Matcher([bank]).match_hashes([("made-up", made_up(90, 3))])
    assert [(m.entry, m.distance) for m in answer.matches] == [(2, 3.0)]
    with pytest.raises(HashFormatError):
        Matcher([bank]).match_hashes([("made-up", b"1" * 143)])


def test_entries_of_another_length_are_refused_while_it_is_installed(bank):
    result = bank.add([Entry(kind=Kind.ILLEGAL, fingerprints={"made-up": b"1" * 143})])
    assert "143 bytes" in str(result.refused[0].error)


def test_what_no_plug_in_compares_is_said_never_silent(bank):
    without = Bank.open(bank.path, kinds={})
    assert without.info().not_compared == {"made-up": 2}
    assert bank.info().not_compared == {}
    (answer,) = Matcher([without]).match([Fingerprints(views=(view(made_up=made_up(50)),))])
    assert answer.matches == ()
    assert answer.reasons == ("made-up of 144 bytes in BANK not compared: no plug-in for it is installed",)
    (answer,) = Matcher([bank]).match([Fingerprints(views=(view(),))])
    assert answer.reasons == ("made-up in BANK not compared: none was computed of this file",)


def test_entries_of_an_absent_kind_are_kept_and_compared_later(new_bank):
    bank = new_bank(kinds={}, entries=[Entry(kind=Kind.OTHER, fingerprints={"made-up": made_up(1)})])
    bank.merge()
    later = Bank.open(bank.path, kinds={"made-up": MadeUp()})
    (answer,) = Matcher([later]).match([Fingerprints(views=(view(made_up=made_up(1)),))])
    assert [m.entry for m in answer.matches] == [1]


@pytest.mark.parametrize("bad", [np.zeros(1), np.full(2, np.nan), "nonsense", RuntimeError("broken")])
def test_a_plug_in_that_fails_never_passes_for_no_match(bank, monkeypatch, bad):
    def distances(self, query, table):
        if isinstance(bad, Exception):
            raise bad
        return bad

    monkeypatch.setattr(MadeUp, "distances", distances)
    with pytest.raises(ConfigError):
        Matcher([bank]).match([Fingerprints(views=(view(made_up=made_up(50)),))])
