"""What applies to an item: whom it binds, which union law joins, and that unknown never turns into no."""

from __future__ import annotations

from string import ascii_uppercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.errors import InputError
from leadline.law.library import Library
from leadline.law.matrix import applies, country_code
from leadline.law.terms import Answer, Binds, Involved

CORE = ["access", "live", "age", "reporting", "preservation"]
NO_CELLS = {("JP", "access"), ("KE", "access"), ("KE", "live"), ("MX", "access"), ("EU-DSA", "access")}


@given(st.text(ascii_uppercase, min_size=2, max_size=2))
def test_unknown_never_turns_into_no(library: Library, country: str) -> None:
    for applied in applies(library.matrix, {Involved.HOST: [country]}):
        for cell in applied.cells:
            shipped = library.matrix.cells.get(cell.key)
            assert cell.answer is (shipped.answer if shipped else Answer.UNKNOWN)
            assert cell.answer is not Answer.NO or (cell.jurisdiction, cell.question_id) in NO_CELLS


def test_a_country_that_is_not_in_the_matrix_is_unknown_on_every_core_question(library: Library) -> None:
    (applied,) = applies(library.matrix, {Involved.SUSPECT: ["ZZ"]})
    assert [(c.question_id, c.answer) for c in applied.cells] == [(q, Answer.UNKNOWN) for q in CORE]
    assert {c.note for c in applied.cells} == {"not in the matrix"}


def test_every_country_in_the_matrix_has_an_answer_on_every_core_question(library: Library) -> None:
    for country in library.matrix.jurisdictions.values():
        asked = {cell.question_id for cell in library.matrix.row(country)}
        assert asked >= set(CORE) or country.kind != "country"


def test_union_law_joins_its_members_and_nobody_else(library: Library) -> None:
    def laws(country: str) -> list[str]:
        return [law.id for law in library.matrix.laws_in(country)]

    assert laws("DE") == ["DE", "EU-2011-93", "EU-DSA"]
    assert laws("DK") == ["DK", "EU-DSA"]
    assert laws("GR") == ["GR", "EU-2011-93", "EU-DSA"]
    assert laws("GB") == ["GB"]
    assert laws("NO") == ["NO"]


def test_a_proposal_and_an_expired_law_never_apply(library: Library) -> None:
    everywhere = applies(library.matrix, {Involved.HOST: library.matrix.jurisdictions["EU-DSA"].members})
    assert {"EU-RECAST", "EU-2021-1232"}.isdisjoint({a.jurisdiction.id for a in everywhere})


def test_each_country_is_answered_for_the_part_it_plays(library: Library) -> None:
    found = applies(library.matrix, {Involved.HOST: ["us", "CA"], Involved.OWN: ["UK"]})
    assert [(a.involved, a.country) for a in found] == [("host", "US"), ("host", "CA"), ("own", "GB")]


def test_each_cell_names_whom_it_binds(library: Library) -> None:
    def binds(law: str, question: str) -> Binds:
        return library.matrix.answers(law, question)[0].binds

    assert binds("US", "reporting") is Binds.PROVIDER
    assert binds("US", "access") is Binds.ANYONE
    assert binds("LANZAROTE", "access") is Binds.STATE
    assert binds("EU-2011-93", "access") is Binds.STATE
    assert {c.binds for c in library.matrix.cells.values() if c.question_id == "preservation"} == {Binds.PROVIDER}


def test_a_known_answer_always_has_a_source_and_every_cell_a_date(library: Library) -> None:
    for cell in library.matrix.cells.values():
        assert cell.as_of is not None
        assert cell.source or cell.answer is Answer.UNKNOWN


@pytest.mark.parametrize("text", ["", "D", "DEU", "12", "D\n", "ÄÖ", "日本"])
def test_what_is_no_country_code_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no country code"):
        country_code(text)


def test_common_names_of_two_countries_are_read() -> None:
    assert [country_code(t) for t in (" uk", "EL", "gb")] == ["GB", "GR", "GB"]


def test_a_question_that_the_matrix_does_not_ask_is_an_error_and_not_unknown(library: Library) -> None:
    with pytest.raises(InputError, match="no such question"):
        library.matrix.answers("US", "acess")
