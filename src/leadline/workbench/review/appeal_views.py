"""Pages of appeals, and of what revisions leave to do: entries to withdraw, people to tell. No picture on any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leadline.domain import Channel, IncomingReport, Reporter
from leadline.errors import InputError, LeadlineError
from leadline.workbench.actors import actor_of
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.forms import MessageForm
from leadline.workbench.reports.states import Reason, State
from leadline.workbench.review import access, actions, appeals, to_do
from leadline.workbench.review.forms import AnswerAppealForm, AppealForm, ContestForm, ToldForm, UpholdForm
from leadline.workbench.words import told


@requires(Permission.REVIEW)
def list_appeals(request: HttpRequest) -> HttpResponse:
    """By their term: no appeal is more urgent than another. ?answered=1: those that are over."""
    is_answered = "answered" in request.GET
    page = appeals.appeals_page(actor_of(request), answered=is_answered, cursor=request.GET.get("cursor", ""))
    return render(request, "review/appeals.html", {"page": page, "is_answered": is_answered})


@requires(Permission.REVIEW)
def new_appeal(request: HttpRequest) -> HttpResponse:
    """Somebody wrote or telephoned. ?assessment=ID: from the page of the decision they mean."""
    form = AppealForm(request.POST or None, initial={"assessment": request.GET.get("assessment", "")})
    if request.method == "POST" and form.is_valid():
        try:
            appeal = _received(request, form)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("Appeal %(number)s is received.") % {"number": appeal.report.number})
            return redirect("review_appeal", appeal.pk)
    return render(request, "review/appeal_new.html", {"form": form})


def _received(request: HttpRequest, form: AppealForm) -> Any:
    given, actor = form.cleaned_data, actor_of(request)
    made = access.find_assessment(actor, given["assessment"]) if given["assessment"] else None
    if given["assessment"] and made is None:
        raise InputError("no such assessment", where="assessment")
    reporter = Reporter(name=given["name"], email=given["email"]) if given["name"] or given["email"] else None
    incoming = IncomingReport(Channel.STAFF_FORM, form.items(), reporter=reporter, text=given["text"])
    appeal, _is_new = actions.receive_appeal(
        actor, incoming, assessment_id=made.pk if made else None, source=given["source"]
    )
    actions.look_up_appeal(appeal.pk)
    return appeal


@requires(Permission.REVIEW)
def show_appeal(request: HttpRequest, appeal_id: str) -> HttpResponse:
    actor, appeal = actor_of(request), _found(request, appeal_id)
    view = appeals.open_appeal(actor, appeal)
    context = {
        "view": view,
        "report": appeal.report,
        "is_late": appeals.is_late(appeal),
        "contest_form": ContestForm(),
        "uphold_form": UpholdForm(),
        "message_form": MessageForm(),
        "answer_form": AnswerAppealForm(can_write=bool(appeal.report.passphrase_hash)),
    }
    return render(request, "review/appeal.html", context)


@requires(Permission.REVIEW)
@require_POST
def take_appeal(request: HttpRequest, appeal_id: str) -> HttpResponse:
    """Somebody works on it: that is what the appellant reads."""
    appeal, person = _found(request, appeal_id), actor_of(request).person
    seen = State(appeal.report.state)
    _try(
        request,
        lambda: reports.change_state(person, appeal.report_id, State.TRIAGE, Reason.TAKEN, seen=seen),
    )
    return redirect("review_appeal", appeal.pk)


@requires(Permission.REVIEW)
@require_POST
def ask_appellant(request: HttpRequest, appeal_id: str) -> HttpResponse:
    appeal, form = _found(request, appeal_id), MessageForm(request.POST)
    if form.is_valid():
        text, actor = form.cleaned_data["text"], actor_of(request).id
        _try(
            request, lambda: reports.post_message(appeal.report, text=text, actor=actor, from_reporter=False)
        )
    return redirect("review_appeal", appeal.pk)


@requires(Permission.REVIEW)
@require_POST
def contest_assessment(request: HttpRequest, appeal_id: str) -> HttpResponse:
    """A person says which decision is meant, where the appeal's own words did not lead there."""
    appeal, form, actor = _found(request, appeal_id), ContestForm(request.POST), actor_of(request)
    made = appeals.find_contestable(actor, form.cleaned_data["named"]) if form.is_valid() else None
    if made is None:
        messages.error(request, _("There is no decision in force of that, or none that you may see."))
    else:
        _try(request, lambda: actions.contest_assessment(actor.person, appeal.pk, made))
    return redirect("review_appeal", appeal.pk)


@requires(Permission.REVIEW)
@require_POST
def uphold_contest(request: HttpRequest, appeal_id: str, contest_id: int) -> HttpResponse:
    appeal, form, actor = _found(request, appeal_id), UpholdForm(request.POST), actor_of(request)
    contest = appeals.find_contest(actor, appeal, contest_id)
    if contest is None:
        raise Http404
    if form.is_valid():
        _try(request, lambda: actions.uphold(actor.person, contest.pk, form.cleaned_data["reason"]))
    return redirect("review_appeal", appeal.pk)


@requires(Permission.REVIEW)
@require_POST
def answer_appeal(request: HttpRequest, appeal_id: str) -> HttpResponse:
    appeal, actor = _found(request, appeal_id), actor_of(request)
    form = AnswerAppealForm(request.POST, can_write=bool(appeal.report.passphrase_hash))
    if form.is_valid():
        said = form.cleaned_data
        if _try(request, lambda: actions.answer_appeal(actor.person, appeal.pk, said["told"], said.get("text", ""))):
            messages.success(request, _("It is answered."))
    return redirect("review_appeal", appeal.pk)


# --- what revisions leave to do --------------------------------------------------------------------------------------


@requires(Permission.BANKS_WRITE)
def list_withdrawals(request: HttpRequest) -> HttpResponse:
    """Entries of decisions that were revised by somebody who does not see their bank."""
    actor = actor_of(request)
    context = {"rows": to_do.withdrawals(actor), "may_review": actor.may(Permission.REVIEW)}
    return render(request, "review/withdrawals.html", context)


@requires(Permission.BANKS_WRITE)
@require_POST
def undo_reach(request: HttpRequest, reach_id: int) -> HttpResponse:
    """Propose the withdrawal, or take back what waits; somebody else confirms it on the pages of banks."""
    actor = actor_of(request)
    reach = to_do.find_withdrawal(actor, reach_id)
    if reach is None:
        raise Http404
    if _try(request, lambda: actions.undo_one_reach(actor, reach.pk)):
        messages.success(request, _("Proposed: a second person confirms it on the page of the bank."))
    return _back(request, reach.assessment_id, "review_withdrawals")


@requires(Permission.REVIEW)
def list_to_tell(request: HttpRequest) -> HttpResponse:
    page = to_do.to_tell_page(actor_of(request), request.GET.get("cursor", ""))
    return render(request, "review/to_tell.html", {"page": page, "told_form": ToldForm()})


@requires(Permission.REVIEW)
@require_POST
def note_told(request: HttpRequest, to_tell_id: int) -> HttpResponse:
    actor, form = actor_of(request), ToldForm(request.POST)
    row = to_do.find_to_tell(actor, to_tell_id)
    if row is None:
        raise Http404
    if form.is_valid():
        _try(request, lambda: actions.note_told(actor.person, row.pk, form.cleaned_data["how"]))
    return _back(request, row.assessment_id, "review_to_tell")


def _back(request: HttpRequest, assessment_id: Any, else_to: str) -> HttpResponse:
    """To the page whose button was pressed."""
    return redirect("review_assessment", assessment_id) if "here" in request.POST else redirect(else_to)


def _found(request: HttpRequest, appeal_id: str) -> Any:
    appeal = appeals.find_appeal(actor_of(request), appeal_id)
    if appeal is None:
        raise Http404
    return appeal


def _try(request: HttpRequest, act: Callable[[], Any]) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    return True
