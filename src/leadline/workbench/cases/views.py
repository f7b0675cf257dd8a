"""Pages of cases. Lists are text; links are shown defanged; no page shows a picture or sends a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leadline.domain import Tlp
from leadline.errors import InputError, LeadlineError
from leadline.workbench.accounts.access import person_of
from leadline.workbench.actors import actor_of
from leadline.workbench.cases import access, actions, overlaps, timeline
from leadline.workbench.cases.forms import (
    AnswerForm,
    AskForm,
    ExportForm,
    HandlingForm,
    LeadForm,
    LeavingForm,
    MemberForm,
    NewForm,
    NoteForm,
    OfficeForm,
    OutForm,
    PartyForm,
    PartyRoleForm,
    SelectorForm,
    StateForm,
    TaskChangeForm,
    TaskForm,
    ThingForm,
    TitleForm,
)
from leadline.workbench.cases.outlines import outlines
from leadline.workbench.cases.states import (
    TASK_STEPS,
    MemberRole,
    Outcome,
    Pap,
    PartyRole,
    Reason,
    SelectorKind,
    State,
    TaskState,
)
from leadline.workbench.permissions import Permission, Sensitivity, requires
from leadline.workbench.reports.access import show_item
from leadline.workbench.review.access import find_assessment
from leadline.workbench.words import told

_ITEMS_OFFERED = 200
_P = Permission


@requires(_P.CASES_READ)
def list_cases(request: HttpRequest) -> HttpResponse:
    actor, form = actor_of(request), AskForm(request.GET or {"state": "live"})
    asked = form.cleaned_data if form.is_valid() else {}
    page = access.list_cases(
        actor, asked.get("state", "live"), mine=bool(asked.get("mine")), cursor=request.GET.get("cursor", "")
    )
    context = {
        "page": page,
        "cases": access.titled(page.rows),
        "form": form,
        "tasks": access.own_tasks(actor),
        "asked": access.asked_of(actor.person),
        "answer_form": AnswerForm(),
        "may_write": actor.may(_P.CASES_WRITE),
    }
    return render(request, "cases/list.html", context)


# --- a new one -------------------------------------------------------------------------------------------------------


@requires(_P.CASES_WRITE)
def new_case(request: HttpRequest) -> HttpResponse:
    """Empty, or with the report, item, asset or cluster that the address names. Any other is as if it were absent."""
    found, items = _asked_things(request), []
    for target in found:
        if hasattr(target, "items"):
            items = [(str(one.pk), show_item(one).shown) for one in target.items.order_by("position")[:_ITEMS_OFFERED]]
    form = NewForm(request.POST or None, outlines=outlines().choices(), items=items)
    if request.method == "POST" and form.is_valid():
        try:
            case = _opened(request, form.cleaned_data, found)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("Case %(number)s is open.") % {"number": case.number})
            return redirect("case", case.pk)
    return render(request, "cases/new.html", {"form": form, "things": found})


def _asked_things(request: HttpRequest) -> list[Any]:
    actor, found = actor_of(request), []
    for kind in ("report", "item", "asset", "cluster"):
        if name := request.GET.get(kind, ""):
            found.append(access.find_object(actor, kind, name))
    if name := request.GET.get("assessment", ""):
        made = find_assessment(actor, name) if access.is_number(name) else None
        found.append(access.find_object(actor, "cluster", str(made.cluster_id)) if made else None)
    if None in found:
        raise Http404
    return found


def _opened(request: HttpRequest, given: dict[str, Any], found: list[Any]) -> Any:
    chosen = given.get("items", [])
    if chosen:
        named = [access.find_object(actor_of(request), "item", one) for one in chosen]
        found = [*(one for one in found if not hasattr(one, "items")), *(one for one in named if one is not None)]
    return actions.open_case(
        person_of(request),
        given["title"],
        things=found,
        outline=outlines().newest(given["template"]) if given["template"] else None,
        tlp=Tlp(given["tlp"]),
        pap=Pap(given["pap"]),
        sensitivity=Sensitivity(given["sensitivity"]),
    )


# --- one case --------------------------------------------------------------------------------------------------------


@requires(_P.CASES_READ)
def show_case(request: HttpRequest, case_id: str) -> HttpResponse:
    return _page(request, _found(request, case_id))


def _page(request: HttpRequest, case: Any, **wrong: Any) -> HttpResponse:
    actor = actor_of(request)
    view = access.open_case(actor, case)
    is_open, person = case.state != State.CLOSED, actor.person
    workers = [member.person for member in view.members if member.role == MemberRole.WORKER]
    parties = [(str(one.pk), name) for section in view.people.sections for one, name in section.parties]
    notes = [(str(one.note.pk), f"{one.note.at:%Y-%m-%d %H:%M} {one.note.by.name}") for one in view.notes]
    may_release = actor.may(_P.EVIDENCE_RELEASE)
    others = access.candidates(case)
    shown: dict[str, Any] = {
        "title_form": TitleForm(initial={"title": view.title}),
        "thing_form": ThingForm(),
        "out_form": OutForm(),
        "party_form": PartyForm(),
        "selector_form": SelectorForm(parties=parties),
        "task_form": TaskForm(people=workers),
        "note_form": NoteForm(notes=notes),
        "member_form": MemberForm(people=[*others, *(m.person for m in view.members if m.person_id != case.lead_id)]),
        "leaving_form": LeavingForm(),
        "lead_form": LeadForm(people=_heirs(view, others, person)),
        "handling_form": HandlingForm(initial={"tlp": case.tlp, "pap": case.pap, "sensitivity": case.sensitivity}),
        "answer_form": AnswerForm(),
        "export_form": ExportForm(),
    }
    context = {
        "view": view,
        "case": case,
        "hints": overlaps.hints_for(actor, case),
        "may_write": is_open and access.may_write(person, case),
        "is_lead": access.is_lead(person, case),
        "may_hand_over": access.is_lead(person, case) or may_release,
        "may_release": may_release,
        "may_export": actor.may(_P.EVIDENCE_EXPORT) and access.may_write(person, case),
        "roles": [role.value for role in PartyRole],
        "task_steps": {state.value: [to.value for to in sorted(steps)] for state, steps in TASK_STEPS.items()},
        "outcomes": [one.value for one in Outcome],
        "today": access.today(),
        "person": person,
        **_apart({**shown, **wrong}),
    }
    return render(request, "cases/case.html", context)


def _apart(shown: dict[str, Any]) -> dict[str, Any]:
    """Many forms on one page: the fields of each have ids of their own."""
    for name, form in shown.items():
        form.auto_id = f"{name.replace('_', '-')}-%s"
    return shown


def _heirs(view: Any, others: list[Any], person: Any) -> list[Any]:
    inside = [member.person for member in view.members if access.may_join(member.person)]
    return [one for one in [*inside, *others] if one.pk not in (view.case.lead_id, person.pk)]


@requires(_P.CASES_READ)
def list_things(request: HttpRequest, case_id: str) -> HttpResponse:
    case = _found(request, case_id)
    page = access.things_page(actor_of(request), case, request.GET.get("cursor", ""))
    return render(request, "cases/things.html", {"case": case, "page": page})


@requires(_P.CASES_READ)
def list_records(request: HttpRequest, case_id: str) -> HttpResponse:
    """What the file said that the case was read from, record by record."""
    case = _found(request, case_id)
    page = access.records_page(actor_of(request), case, request.GET.get("cursor", ""))
    return render(request, "cases/records.html", {"case": case, "page": page})


@requires(_P.CASES_READ)
def show_timeline(request: HttpRequest, case_id: str) -> HttpResponse:
    case = _found(request, case_id)
    page = timeline.events_page(actor_of(request), case, request.GET.get("cursor", ""))
    context = {"case": case, "page": page, "chart": timeline.chart_of(case), "height": timeline.HEIGHT}
    return render(request, "cases/timeline.html", context)


# --- acts ------------------------------------------------------------------------------------------------------------


@requires(_P.CASES_WRITE)
@require_POST
def set_title(request: HttpRequest, case_id: str) -> HttpResponse:
    return _act(request, case_id, TitleForm(request.POST), "title_form", lambda by, case, said: actions.set_title(
        by, case.pk, said["title"]))  # fmt: skip


@requires(_P.CASES_WRITE)
@require_POST
def change_state(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        outcome = Outcome(said["outcome"]) if said["outcome"] else None
        actions.change_state(
            by, case.pk, State(said["to"]), Reason(said["reason"]), seen=State(said["seen"]), outcome=outcome
        )

    return _act(request, case_id, StateForm(request.POST), "", act)


@requires(_P.CASES_WRITE, fresh=True)
@require_POST
def set_handling(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        sensitivity, tlp, pap = Sensitivity(said["sensitivity"]), Tlp(said["tlp"]), Pap(said["pap"])
        if not actions.set_handling(by, case.pk, sensitivity, tlp, pap, said["reason"]):
            messages.success(request, _("To a looser handling a second person has to agree."))

    return _act(request, case_id, HandlingForm(request.POST), "handling_form", act)


@requires(_P.EVIDENCE_RELEASE, fresh=True)
@require_POST
def decide_handling(request: HttpRequest, case_id: str) -> HttpResponse:
    case, confirm = _found(request, case_id), "confirm" in request.POST
    _try(request, lambda: actions.decide_handling(person_of(request), case.pk, confirm=confirm))
    return redirect("case", case.pk)


@requires(_P.CASES_WRITE)
@require_POST
def add_thing(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        target = access.find_object(actor_of(request), said["kind"], said["number"])
        if target is None:
            raise InputError("not there, or not for you to see", where=said["kind"], mend="check its number")
        actions.add_things(by, case.pk, [target])

    return _act(request, case_id, ThingForm(request.POST), "thing_form", act)


@requires(_P.CASES_WRITE)
@require_POST
def take_out(request: HttpRequest, case_id: str, thing_id: str) -> HttpResponse:
    return _act(request, case_id, OutForm(request.POST), "", lambda by, case, said: actions.take_out(
        by, case.pk, thing_id, said["reason"]))  # fmt: skip


@requires(_P.CASES_WRITE)
@require_POST
def add_party(request: HttpRequest, case_id: str) -> HttpResponse:
    return _act(request, case_id, PartyForm(request.POST), "party_form", lambda by, case, said: actions.add_party(
        by, case.pk, said["name"], PartyRole(said["role"])))  # fmt: skip


@requires(_P.CASES_WRITE)
@require_POST
def set_party_role(request: HttpRequest, case_id: str, party_id: str) -> HttpResponse:
    return _act(request, case_id, PartyRoleForm(request.POST), "", lambda by, case, said: actions.set_party_role(
        by, case.pk, party_id, PartyRole(said["role"])))  # fmt: skip


@requires(_P.CASES_WRITE)
@require_POST
def add_selector(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        item = access.find_object(actor_of(request), "item", said["item"]) if said["item"] else None
        if said["item"] and item is None:
            raise InputError("not there, or not for you to see", where="item", mend="check its number")
        kind, role = SelectorKind(said["kind"]), PartyRole(said["role"])
        actions.add_selector(by, case.pk, kind, said["value"], role, party_id=said["party"] or None, item=item)

    case = _found(request, case_id)
    people = access.people_of(actor_of(request), case)
    parties = [(str(one.pk), name) for section in people.sections for one, name in section.parties]
    return _act(request, case_id, SelectorForm(request.POST, parties=parties), "selector_form", act)


@requires(_P.CASES_WRITE)
@require_POST
def remove_selector(request: HttpRequest, case_id: str, selector_id: str) -> HttpResponse:
    return _act(request, case_id, OutForm(request.POST), "", lambda by, case, said: actions.remove_selector(
        by, case.pk, selector_id, said["reason"]))  # fmt: skip


@requires(_P.CASES_WRITE)
@require_POST
def add_task(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        assignee = access.find_person(said["assignee"])
        actions.add_task(by, case.pk, said["text"], assignee=assignee, due_on=said["due_on"])

    form = TaskForm(request.POST, people=access.workers_of(_found(request, case_id)))
    return _act(request, case_id, form, "task_form", act)


@requires(_P.CASES_WRITE)
@require_POST
def change_task(request: HttpRequest, case_id: str, task_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        if said["to"]:
            actions.move_task(by, case.pk, task_id, TaskState(said["to"]), seen=TaskState(said["seen"] or said["to"]))
            return
        assignee = access.find_person(said["assignee"])
        actions.set_task(by, case.pk, task_id, assignee=assignee, due_on=said["due_on"])

    form = TaskChangeForm(request.POST, people=access.workers_of(_found(request, case_id)))
    return _act(request, case_id, form, "", act)


@requires(_P.CASES_WRITE)
@require_POST
def add_note(request: HttpRequest, case_id: str) -> HttpResponse:
    notes = [(str(pk), "") for pk in access.note_ids(_found(request, case_id))]
    return _act(request, case_id, NoteForm(request.POST, notes=notes), "", lambda by, case, said: actions.add_note(
        by, case.pk, said["text"], corrects=said["corrects"] or None))  # fmt: skip


@requires(_P.CASES_WRITE, fresh=True)
@require_POST
def add_member(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        person = access.find_person(said["person"])
        if person is None:
            raise InputError("no such colleague", where="person")
        actions.add_member(by, case.pk, person, MemberRole(said["role"]), form.lasts())

    form = MemberForm(request.POST, people=access.colleagues())
    return _act(request, case_id, form, "", act)


@requires(_P.CASES_WRITE, fresh=True)
@require_POST
def end_membership(request: HttpRequest, case_id: str, member_id: str) -> HttpResponse:
    case, form = _found(request, case_id), LeavingForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    _try(request, lambda: actions.end_membership(person_of(request), case.pk, member_id, reason))
    still = access.find_case(actor_of(request), case.pk)
    return redirect("case", case.pk) if still is not None else redirect("cases")


@requires(_P.CASES_WRITE, fresh=True)
@require_POST
def hand_over(request: HttpRequest, case_id: str) -> HttpResponse:
    def act(by: Any, case: Any, said: dict[str, Any]) -> None:
        to = access.find_person(said["person"])
        if to is None:
            raise InputError("no such colleague", where="person")
        actions.hand_over(by, case.pk, to, said["reason"])

    return _act(request, case_id, LeadForm(request.POST, people=access.colleagues()), "", act)


@requires(_P.CASES_WRITE)
@require_POST
def ask_leads(request: HttpRequest, case_id: str) -> HttpResponse:
    case = _found(request, case_id)
    if _try(request, lambda: actions.ask_leads(person_of(request), case.pk), quiet=True):
        messages.success(request, _("It is asked. Whoever leads it sees your name, and nothing of your case."))
    return redirect("case", case.pk)


@requires(_P.CASES_WRITE)
@require_POST
def answer(request: HttpRequest, question_id: str) -> HttpResponse:
    question, form = access.find_question(person_of(request), question_id), AnswerForm(request.POST)
    if question is None:
        raise Http404
    if form.is_valid():
        _try(request, lambda: actions.answer(person_of(request), question.pk, form.cleaned_data["answer"]))
    return redirect("cases")


@requires(_P.EVIDENCE_EXPORT, fresh=True)
@require_POST
def export(request: HttpRequest, case_id: str) -> Any:
    """Hashes and labels as VICS. Files leave in an exhibit only."""
    case, form = _found(request, case_id), ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, case, export_form=form)
    try:
        made = actions.export_case(person_of(request), case.pk, **form.cleaned_data)
    except LeadlineError as error:
        messages.error(request, told(error))
        return redirect("case", case.pk)
    answer = StreamingHttpResponse(made.pieces, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{case.number}.vics.json"'
    return answer


@requires(_P.SETTINGS_MANAGE, fresh=True)
def set_office(request: HttpRequest) -> HttpResponse:
    form = OfficeForm(request.POST or None, initial={"red_hints": access.red_gives_hints()})
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        actions.set_red_hints(person_of(request), is_on=said["red_hints"], legal_basis=said["legal_basis"])
        messages.success(request, _("The change is recorded."))
        return redirect("case_office")
    return render(request, "cases/office.html", {"form": form})


def _act(
    request: HttpRequest, case_id: str, form: forms.Form, name: str, act: Callable[[Any, Any, dict[str, Any]], Any]
) -> HttpResponse:
    """One act on a case that this person may see. A form that is wrong is shown again under its name in the page."""
    case = _found(request, case_id)
    if not form.is_valid():
        if name:
            return _page(request, case, **{name: form})
        messages.error(request, _("Something is missing in what you gave."))
        return redirect("case", case.pk)
    _try(request, lambda: act(person_of(request), case, form.cleaned_data))
    return redirect("case", case.pk)


def _try(request: HttpRequest, act: Callable[[], Any], *, quiet: bool = False) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    if not quiet:
        messages.success(request, _("The change is recorded."))
    return True


def _found(request: HttpRequest, case_id: str) -> Any:
    case = access.find_case(actor_of(request), case_id)
    if case is None:
        raise Http404
    return case
