"""Another case holds the same: told as far as the viewer may know, and neither case tells anything of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Tlp
from leadline.errors import NotAllowed, WrongState
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases import access, actions, overlaps
from leadline.workbench.cases.models import Case, Question
from leadline.workbench.cases.states import PartyRole, SelectorKind
from leadline.workbench.journal.models import Line
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.review.models import Cluster
from leadline.workbench.review.models import Member as ClusterMember

from .conftest import arrive, reported

pytestmark = pytest.mark.django_db
URL = "https://site.example.net/same"


def hints(person: Person, case: Case) -> overlaps.Hints:
    return overlaps.hints_for(Actor.of_person(person), case)


@pytest.fixture
def hidden(senior: Person) -> Case:
    """A restricted case that analysts do not see."""
    return actions.open_case(senior, "The hidden title", sensitivity=Sensitivity.RESTRICTED)


def others_on(page: str) -> str:
    """What the page of a case says of other cases."""
    return page[page.index('id="others"') :].partition("</section>")[0]


def cluster_of(*seeds: int) -> Cluster:
    assets = [arrive(seed) for seed in seeds]
    cluster = Cluster.objects.create(centre=assets[0], radius_bits=31, size=len(assets))
    for asset in assets:
        ClusterMember.objects.create(cluster=cluster, asset=asset, distance=0)
    return cluster


def test_cases_with_nothing_in_common_give_no_hint(case: Case, lead: Person, senior: Person) -> None:
    actions.add_things(lead, case.pk, [arrive(1), reported(URL)])
    actions.open_case(senior, "another", things=[arrive(2), reported("https://site.example.net/other")])
    assert hints(lead, case) == overlaps.Hints((), False, (), False)


def test_the_same_file_report_item_cluster_or_selector_gives_one(case: Case, lead: Person, senior: Person) -> None:
    cluster, report = cluster_of(1, 2), reported(URL)
    item, alone = report.items.get(), arrive(3)
    same = reported(URL)
    pairs: list[tuple[Any, Any, str]] = [
        (alone, alone, "asset"),
        (cluster, cluster.centre, "asset"),
        (cluster.centre, cluster, "asset"),
        (arrive(1), arrive(2), ""),  # two files of one cluster, each by itself: not the same file
        (report, report, "report"),
        (item, report, "item"),
        (same, item, "item"),
    ]
    for mine, theirs, kind in pairs:
        one = actions.open_case(lead, "one", things=[mine])
        other = actions.open_case(senior, "other", things=[theirs])
        found = overlaps.overlaps(one).get(other.pk, set())
        assert (kind in found) if kind else (found == set()), (mine, theirs, found)
        assert (one.pk in overlaps.overlaps(other)) is bool(kind)


def test_a_selector_meets_a_selector_and_the_item_that_is_its_link(case: Case, lead: Person, senior: Person) -> None:
    actions.add_selector(lead, case.pk, SelectorKind.LINK, URL, PartyRole.OTHER)
    other = actions.open_case(senior, "other", things=[reported(URL)])
    third = actions.open_case(senior, "third")
    actions.add_selector(senior, third.pk, SelectorKind.LINK, f"{URL}#part", PartyRole.SUSPECT)
    assert overlaps.overlaps(case) == {other.pk: {"selector"}, third.pk: {"selector"}}
    assert overlaps.overlaps(other)[case.pk] == {"selector"}


def test_what_was_taken_out_gives_no_hint(case: Case, lead: Person, senior: Person) -> None:
    asset = arrive(1)
    (thing,) = actions.add_things(lead, case.pk, [asset])
    actions.open_case(senior, "other", things=[asset])
    assert hints(lead, case).seen
    actions.take_out(lead, case.pk, thing.pk, "mistake")
    assert not hints(lead, case).seen


def test_who_may_see_the_other_case_is_told_which_and_whom_to_ask(case: Case, lead: Person, analyst: Person) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    other = actions.open_case(analyst, "other", things=[asset])
    (hint,) = hints(lead, case).seen
    assert (hint.case, hint.case.lead.name, hint.kinds) == (other, "analyst", ("asset",))
    assert not hints(lead, case).is_hidden_one


def test_who_may_not_see_it_is_told_that_there_is_one_and_nothing_else(
    case: Case, hidden: Case, lead: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    actions.add_things(senior, hidden.pk, [asset])
    assert hints(lead, case) == overlaps.Hints((), True, (), True)
    page = client_of(lead).get(f"/cases/{case.pk}/").content.decode()
    page = others_on(page)
    assert "There is another case that holds something of this one" in page
    for secret in (hidden.number, str(hidden.pk), "The hidden title", senior.name):
        assert secret not in page
    assert client_of(lead).get(f"/cases/{hidden.pk}/").status_code == 404


def test_its_lead_is_asked_without_a_word_of_either_case(
    case: Case, hidden: Case, lead: Person, senior: Person, client_of: Callable[[Person], Client]
) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    actions.add_things(senior, hidden.pk, [asset])
    actions.set_handling(lead, case.pk, Sensitivity.RESTRICTED, Tlp(case.tlp), _pap(case), "source-asked")
    answer = client_of(lead).post(f"/cases/{case.pk}/ask/", follow=True).content.decode()
    assert hidden.number not in answer
    assert senior.name not in others_on(answer)
    (question,) = access.asked_of(senior)
    page = client_of(senior).get("/cases/").content.decode()
    told = page[page.index("Asked of you") : page.index("</ul></section>")]
    assert lead.name in told
    for secret in (case.number, str(case.pk), "A made-up case", asset.sha256):
        assert secret not in told
    lines = Line.objects.filter(object_id=str(case.pk), act="case.asked-others")
    assert [json.loads(line.details) for line in lines] == [{}]
    assert not hints(lead, case).can_ask
    with pytest.raises(WrongState):
        actions.ask_leads(lead, case.pk)
    with pytest.raises(NotAllowed):
        actions.answer(lead, question.pk, "in-touch")
    assert access.find_question(lead, question.pk) is None
    actions.answer(senior, question.pk, "in-touch")
    assert not access.asked_of(senior)
    (told_back,) = hints(lead, case).asked
    assert told_back[1] == "in-touch"


def _pap(case: Case) -> Any:
    from leadline.workbench.cases.states import Pap

    return Pap(case.pap)


def test_how_many_others_there_are_is_not_told(case: Case, lead: Person, senior: Person) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    before = hints(lead, case)
    assert not before.is_hidden_one
    shown = []
    for _ in range(2):
        actions.open_case(senior, "made up", sensitivity=Sensitivity.RESTRICTED, things=[asset])
        shown.append(hints(lead, case))
    assert shown[0] == shown[1]
    assert len(actions.ask_leads(lead, case.pk)) == 2
    assert len(hints(lead, case).asked) == 1


def test_a_case_under_tlp_red_gives_no_hint_unless_the_office_says_so(
    case: Case, lead: Person, senior: Person, make_person: Callable[..., Person]
) -> None:
    asset = arrive(1)
    actions.add_things(lead, case.pk, [asset])
    red = actions.open_case(senior, "red", tlp=Tlp.RED, things=[asset])
    assert hints(lead, case) == overlaps.Hints((), False, (), False)
    with pytest.raises(WrongState):
        actions.ask_leads(lead, case.pk)
    assert [hint.case for hint in hints(senior, case).seen] == [red]  # who sees both anyway
    administrator = make_person("administrator", Role.ADMINISTRATOR)
    actions.set_red_hints(administrator, is_on=True, legal_basis="made-up order")
    assert hints(lead, case).is_hidden_one
    assert len(actions.ask_leads(lead, case.pk)) == 1
    assert Question.objects.get().to_case == red
