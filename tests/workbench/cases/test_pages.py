"""The pages: forms do what the acts do, absent and forbidden look the same, and nothing that is hidden is on them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from leadline.domain import Tlp
from leadline.workbench.accounts.models import Person
from leadline.workbench.cases import access, actions
from leadline.workbench.cases.models import Case, CaseTask, ImportState, Member, Note, Party, Selector, Thing
from leadline.workbench.cases.states import (
    ANSWERS,
    LEAD_REASONS,
    LEAVING_REASONS,
    REMOVAL_REASONS,
    MemberRole,
    Outcome,
    Pap,
    PartyRole,
    Reason,
    SelectorKind,
    State,
    TaskState,
)
from leadline.workbench.permissions import Role, Sensitivity
from leadline.workbench.review.models import Cluster, Review
from leadline.workbench.review.models import Member as ClusterMember
from leadline.workbench.words import WORDS

from .conftest import again, arrive, png, record, reported

pytestmark = pytest.mark.django_db
Browse = Callable[[Person], Client]


@pytest.fixture
def page(client_of: Browse, lead: Person) -> Client:
    return client_of(lead)


def post(page: Client, case: Case, what: str, **said: Any) -> str:
    answer = page.post(f"/cases/{case.pk}/{what}/", said, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_case_is_opened_on_the_page_of_a_report_with_some_of_its_items(page: Client) -> None:
    report = reported("https://site.example.net/1")
    shown = page.get(f"/reports/{report.pk}/").content.decode()
    assert f"/cases/new/?report={report.pk}" in shown
    form = page.get(f"/cases/new/?report={report.pk}").content.decode()
    assert "hxxps[:]//site[.]example[.]net/1" in form
    handling = {"tlp": "amber", "pap": "green", "sensitivity": "1"}
    page.post(f"/cases/new/?report={report.pk}", {"title": "Whole", "template": "reported-site", **handling})
    page.post(f"/cases/new/?report={report.pk}", {"title": "One", "items": [str(report.items.get().pk)], **handling})
    assert [thing.kind for thing in Thing.objects.order_by("added_at")] == ["report", "item"]
    case = Case.objects.order_by("number").first()
    assert case is not None
    assert (case.tlp, case.pap, case.tasks.count()) == ("amber", "green", 5)


def test_a_case_is_opened_from_an_assessment_as_its_cluster(page: Client, lead: Person) -> None:
    from django.utils import timezone

    from leadline.workbench.review.models import Assessment

    asset, now = arrive(1), timezone.now()
    cluster = Cluster.objects.create(centre=asset, radius_bits=31)
    ClusterMember.objects.create(cluster=cluster, asset=asset, distance=0)
    review = Review.objects.create(cluster=cluster, category="unknown", received_at=now, state="decided")
    made = Assessment.objects.create(
        review=review, cluster=cluster, by=lead, made_at=now, effective_at=now, standing="in-force",
        scheme="leadline-facts", scheme_version=1, answers={},
    )  # fmt: skip
    handling = {"tlp": "amber", "pap": "green", "sensitivity": "1"}
    page.post(f"/cases/new/?assessment={made.pk}", {"title": "made up", **handling})
    assert Thing.objects.get().cluster == cluster


@pytest.mark.parametrize("asked", ["report", "item", "asset", "cluster", "assessment"])
def test_a_case_cannot_be_opened_from_what_is_not_there_or_not_to_be_seen(page: Client, asked: str) -> None:
    hidden = reported("https://site.example.net/1", sensitivity=Sensitivity.RESTRICTED)
    ids = {"report": hidden.pk, "item": hidden.items.get().pk}
    for name in (ids.get(asked, ""), "00000000-0000-0000-0000-000000000007", "wrong"):
        if name:
            assert page.get(f"/cases/new/?{asked}={name}").status_code == 404


def test_the_forms_of_a_case_do_what_they_say(
    page: Client, case: Case, lead: Person, make_person: Callable[..., Person]
) -> None:
    asset, report = arrive(1), reported("https://site.example.net/1")
    post(page, case, "title", title="Another")
    post(page, case, "things/add", kind="asset", number=asset.sha256)
    post(page, case, "things/add", kind="report", number=report.number)
    post(page, case, "people/add", name="person 1", role="victim")
    party = Party.objects.get()
    said = {"kind": "handle", "value": "made_up", "role": "victim", "party": str(party.pk), "item": ""}
    post(page, case, "selectors/add", **said)
    post(page, case, "tasks/add", text="made up", assignee=str(lead.pk), due_on="2031-01-02")
    task = CaseTask.objects.get()
    post(page, case, f"tasks/{task.pk}", seen="waiting", to="doing")
    post(page, case, f"tasks/{task.pk}", assignee="", due_on="")
    post(page, case, "notes/add", text="an observation", corrects="")
    text = post(page, case, "notes/add", text="put right", corrects=str(Note.objects.get().pk))
    task.refresh_from_db()
    assert (task.state, task.assignee, task.due_on) == ("doing", None, None)
    assert access.title_of(Case.objects.get()) == "Another"
    for word in ("Another", report.number, asset.sha256[:16], "person 1", "made_up", "put right", "corrected later"):
        assert word in text
    colleague = make_person("colleague", Role.ANALYST)
    post(page, case, "members/add", person=str(colleague.pk), role="worker", days="10")
    member = Member.objects.get(person=colleague)
    post(page, case, f"members/{member.pk}/end", reason="work-done")
    assert not access.live_members().filter(person=colleague).exists()
    post(page, case, f"things/{Thing.objects.filter(asset=asset).get().pk}/out", reason="mistake")
    post(page, case, f"selectors/{Selector.objects.get().pk}/out", reason="mistake")
    post(page, case, f"people/{party.pk}/role", role="witness")
    post(page, case, f"tasks/{task.pk}", seen="doing", to="done")
    text = post(page, case, "state", seen="open", to="closed", reason="resolved", outcome="no-action")
    assert "no action" in text
    assert Case.objects.get().state == "closed"
    post(page, case, "lead", person=str(colleague.pk), reason="handed-over")
    assert Case.objects.get().lead == colleague


def test_the_sections_of_people_stand_apart_on_the_page(page: Client, case: Case, lead: Person) -> None:
    for value, role in (("shared", "victim"), ("shared", "suspect"), ("alone", "suspect")):
        post(page, case, "selectors/add", kind="handle", value=value, role=role, party="", item="")
    text = page.get(f"/cases/{case.pk}/").content.decode()
    suspects = text[text.index('id="role-suspect"') :]
    suspects = suspects[: suspects.index("</section>")]
    assert ("alone" in suspects, "shared" in suspects) == (True, False)
    doubt = text[text.index('id="doubt"') : text.index('id="role-victim"')]
    assert "shared" in doubt


def test_a_looser_handling_is_decided_on_the_page_by_a_second_person(
    page: Client, case: Case, lead: Person, senior: Person, client_of: Browse
) -> None:
    loose = {"tlp": "green", "pap": "amber", "sensitivity": "1", "reason": "source-asked"}
    text = post(page, case, "handling", **loose)
    assert "A second person decides" in text
    assert page.post(f"/cases/{case.pk}/handling/decide/", {"confirm": "1"}).status_code == 404  # no such right
    post(client_of(senior), case, "handling/decide", confirm="1")
    assert Case.objects.get().tlp == "green"


def test_absent_and_forbidden_look_the_same_on_every_address(
    case: Case, lead: Person, analyst: Person, client_of: Browse
) -> None:
    actions.set_handling(lead, case.pk, Sensitivity.SENSITIVE, Tlp.RED, Pap.AMBER, "source-asked")
    browser, absent = client_of(analyst), "00000000-0000-0000-0000-000000000007"
    for what in ("", "things/", "records/", "timeline/"):
        assert browser.get(f"/cases/{case.pk}/{what}").status_code == 404
        assert browser.get(f"/cases/{absent}/{what}").status_code == 404
    for what in ("title", "state", "things/add", "people/add", "selectors/add", "tasks/add", "notes/add", "ask"):
        assert browser.post(f"/cases/{case.pk}/{what}/").status_code == 404
    assert case.number not in browser.get("/cases/?state=").content.decode()
    actions.add_member(lead, case.pk, analyst, MemberRole.READER, timedelta(days=1))
    assert client_of(again(analyst)).get(f"/cases/{case.pk}/").status_code == 200


def test_a_reader_is_offered_no_form(case: Case, lead: Person, analyst: Person, client_of: Browse) -> None:
    actions.add_member(lead, case.pk, analyst, MemberRole.READER, timedelta(days=1))
    text = client_of(analyst).get(f"/cases/{case.pk}/").content.decode()
    main = text[text.index("<main") :]
    assert main.count("<form") == 1  # to leave
    assert f"/cases/{case.pk}/members/" in main


def test_the_list_shows_own_tasks_and_narrows(page: Client, case: Case, lead: Person, analyst: Person) -> None:
    other = actions.open_case(analyst, "Of a colleague")
    actions.add_task(lead, case.pk, "my errand", assignee=lead)
    text = page.get("/cases/").content.decode()
    assert all(word in text for word in (case.number, other.number, "my errand"))
    assert "Of a colleague" not in page.get("/cases/?state=live&mine=on").content.decode()
    assert (
        case.number
        not in page.get("/cases/?state=closed")
        .content.decode()
        .partition("<table><caption")[2]
        .partition("cases, newest")[2]
    )


def test_a_case_is_exported_with_a_fresh_proof_as_a_file(
    case: Case, make_person: Callable[..., Person], client_of: Browse, lead: Person, page: Client
) -> None:
    investigator = make_person("investigator", Role.INVESTIGATOR)
    own = actions.open_case(investigator, "made up", things=[arrive(1)])
    answer = client_of(investigator).post(f"/cases/{own.pk}/export/", {"category_set": "US"})
    assert answer["Content-Disposition"] == f'attachment; filename="{own.number}.vics.json"'
    document = json.loads(b"".join(answer.streaming_content))
    assert (document["value"][0]["CaseNumber"], len(document["value"][0]["Media"])) == (own.number, 1)
    stale = client_of(investigator)
    assert page.post(f"/cases/{case.pk}/export/").status_code == 404  # an analyst exports nothing
    wrong = stale.post(f"/cases/{own.pk}/export/", {"category_set": "no name"}).content.decode()
    assert "Letters, digits" in wrong
    old = client_of(investigator, signed_in_s_ago=3600)  # type: ignore[call-arg]
    assert old.post(f"/cases/{own.pk}/export/").status_code == 302


def test_what_was_imported_is_shown_as_somebody_elses_word(
    page: Client, make_file: Any, folder: Path, lead: Person
) -> None:
    from .test_vics import read_in

    tally = read_in(make_file([record(1, png(1)), record(2, png(9))]), folder, lead)
    text = page.get(f"/cases/{tally.case_id}/records/").content.decode()
    assert text.count("vics:US: 1 (imported: somebody else&#x27;s word)") == 2
    assert "hash differs" in text
    assert "imported" in page.get(f"/cases/{tally.case_id}/things/").content.decode()


def test_the_office_decides_about_hints_of_red_cases(make_person: Callable[..., Person], client_of: Browse) -> None:
    browser = client_of(make_person("administrator", Role.ADMINISTRATOR))
    assert not access.red_gives_hints()
    browser.post("/cases/office/", {"red_hints": "on", "legal_basis": "made-up order"})
    assert access.red_gives_hints()


def test_every_label_of_a_form_has_a_control_of_its_own(page: Client, case: Case) -> None:
    text = page.get(f"/cases/{case.pk}/").content.decode()
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<label[^>]* for="([^"]+)"', text)) <= set(ids)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("case-state", State), ("case-reason", Reason), ("case-outcome", Outcome), ("pap", Pap),
        ("member-role", MemberRole), ("party-role", PartyRole), ("party-roles", PartyRole),
        ("selector-kind", SelectorKind), ("task-state", TaskState), ("import-state", ImportState),
        ("thing-kind", Thing.KINDS), ("removal-reason", REMOVAL_REASONS), ("leaving-reason", LEAVING_REASONS),
        ("lead-reason", LEAD_REASONS), ("case-answer", ANSWERS),
    ],
)  # fmt: skip
def test_every_code_has_a_word(kind: str, codes: Any) -> None:
    assert set(WORDS[kind]) == {str(code) for code in codes}


def test_every_act_on_a_case_has_a_word() -> None:
    told = re.compile(r'"(case\.[a-z-]+)"')
    acts = Path(actions.__file__).parent / "acts"
    found = {act for path in acts.glob("*.py") for act in told.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 20
    assert found <= set(WORDS["case-act"])
