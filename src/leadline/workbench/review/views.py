"""Pages of review. Lists are text; the card brings a small blurred picture, and more only while a key is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leadline.domain import Kind
from leadline.errors import InputError, LeadlineError
from leadline.workbench.accounts.access import person_of
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.actors import actor_of
from leadline.workbench.banks.access import visible_banks
from leadline.workbench.evidence.access import veil
from leadline.workbench.laws import access as law
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.review import access, actions, appeals, scenes, to_do
from leadline.workbench.review.digest import digest_of
from leadline.workbench.review.forms import (
    AnswersForm,
    AssignForm,
    HoldForm,
    MoodForm,
    OfficeForm,
    OutcomeForm,
    ProposeForm,
    RevisionForm,
    ShiftForm,
    ToldForm,
    WishForm,
)
from leadline.workbench.words import told

_FLOOR_FIELDS = ("blur_share", "tile_edge_px", "reveal_seconds", "daily_minutes", "allow_whole", "allow_colour")


@requires(Permission.REVIEW)
def list_queue(request: HttpRequest) -> HttpResponse:
    """Text only: what waits, why it is urgent, what is known of it. No pictures."""
    actor = actor_of(request)
    work = access.work_of(actor.person)
    page = access.page_of(access.narrowed(access.queue(actor), work), request.GET.get("cursor", ""))
    veil(actor, [review.cluster.centre for review in page.rows])
    mine, pending = access.claimed_by(actor), access.pending_of(actor.person)
    context = {"page": page, "work": work, "mine": mine, "pending": pending}
    context["single_keys"] = access.wish_of(actor.person).single_keys
    return render(request, "review/queue.html", context)


# --- shifts ----------------------------------------------------------------------------------------------------------


@requires(Permission.REVIEW, fresh=True)
def begin_shift(request: HttpRequest) -> HttpResponse:
    """The proof of who they are, for every look until the shift ends."""
    form = ShiftForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        minutes, session = form.cleaned_data["planned_minutes"], _session(request)
        _try(request, lambda: actions.begin_shift(person_of(request), minutes, session=session))
        return redirect("review_queue")
    return render(request, "review/shift.html", {"form": form, "work": access.work_of(person_of(request))})


@requires(Permission.REVIEW)
@require_POST
def end_shift(request: HttpRequest) -> HttpResponse:
    _try(request, lambda: actions.end_shift(person_of(request)))
    return redirect("review_me")


@requires(Permission.REVIEW)
@require_POST
def begin_break(request: HttpRequest) -> HttpResponse:
    _try(request, lambda: actions.begin_break(person_of(request)))
    return redirect("review_break")


@requires(Permission.REVIEW)
def show_break(request: HttpRequest) -> HttpResponse:
    work = access.work_of(person_of(request))
    if request.method == "POST" and _try(request, lambda: actions.end_break(person_of(request))):
        return redirect("review_queue")
    return render(request, "review/break.html", {"work": work, "mood_form": MoodForm()})


@requires(Permission.REVIEW)
@require_POST
def check_in(request: HttpRequest) -> HttpResponse:
    form = MoodForm(request.POST)
    if form.is_valid():
        actions.check_in(person_of(request), int(form.cleaned_data["mood"]))
    return redirect("review_me")


# --- the card --------------------------------------------------------------------------------------------------------


@requires(Permission.REVIEW)
@require_POST
def claim_next(request: HttpRequest) -> HttpResponse:
    try:
        review = actions.claim_next(actor_of(request))
    except LeadlineError as error:
        messages.error(request, told(error))
        return redirect("review_queue")
    if review is None:
        messages.success(request, _("Nothing waits for you."))
        return redirect("review_queue")
    return redirect("review_card", review.pk)


@requires(Permission.REVIEW)
@require_POST
def claim(request: HttpRequest, review_id: str) -> HttpResponse:
    _found(request, review_id)
    if _try(request, lambda: actions.claim(actor_of(request), review_id)):
        return redirect("review_card", review_id)
    return redirect("review_queue")


@requires(Permission.REVIEW)
def show_card(request: HttpRequest, review_id: str) -> HttpResponse:
    review, actor = _found(request, review_id), actor_of(request)
    if access.is_apart(review):  # it has a page of its own
        raise Http404
    if not review.is_claimed_by(actor.person, timezone.now()):
        return render(request, "review/closed_card.html", {"card": access.card_of(actor, review)})
    actions.renew(actor.person, review)
    return _card(request, review)


def _card(request: HttpRequest, review: Any, form: AnswersForm | None = None) -> HttpResponse:
    actor = actor_of(request)
    card = access.card_of(actor, review)
    draft = card.draft
    initial = {f"q-{name}": codes for name, codes in (draft.answers if draft else {}).items()}
    initial = {name: codes[0] if len(codes) == 1 else codes for name, codes in initial.items()}
    initial |= {"labels": draft.labels if draft else [], "note": card.note}
    context = {
        "card": card,
        "review": review,
        "form": form or _answers_form(AnswersForm, None, initial=initial),
        "hold_form": HoldForm(),
        "assign_form": AssignForm(people=access.colleagues(actor)),
        "work": access.work_of(actor.person),
        "floors": access.floors_of(actor.person),
        "scenes": scenes.scenes_of(card.subject),
        "lead": access.forewarning(card),
        "law": access.law_of(card),
        "may_correct": actor.may(Permission.SETTINGS_MANAGE),
        "pending": access.pending_of(actor.person),
        "appeals": appeals.beside(actor, review),
        "single_keys": access.wish_of(actor.person).single_keys,
        "may_lead": actor.may(Permission.REVIEW_LEAD),
    }
    return render(request, "review/card.html", context)


def _answers_form(
    kind: type[AnswersForm], data: Any, *, initial: Any = None, picked: Sequence[str] = ()
) -> AnswersForm:
    library = law.library()
    offered = set(access.label_schemes())
    labels = [scheme for scheme in library.labels.choosable() if f"{scheme.id}|{scheme.version}" in offered]
    newest = library.assessments.newest(access.facts_scheme())
    return kind(data, newest, labels, initial=initial, picked=picked)


@requires(Permission.REVIEW)
@require_POST
def hand_in(request: HttpRequest, review_id: str) -> HttpResponse:
    review, form = _found(request, review_id), _answers_form(AnswersForm, request.POST)
    asset = access.find_member(review, request.POST.get("asset", "")) or access.subject_of(review)
    if not form.is_valid():
        return _card(request, review, form)
    given = form.cleaned_data
    try:
        made = actions.hand_in(
            person_of(request), review_id, asset, form.answers(), given.get("labels", []), given.get("note", "")
        )
    except InputError as error:
        form.add_error(f"q-{error.where}" if f"q-{error.where}" in form.fields else None, told(error))
        return _card(request, review, form)
    except LeadlineError as error:
        twice = access.handed_in_just_now(person_of(request), review, form.answers())
        if twice is None:
            actions.save_draft(
                person_of(request), review, form.answers(), given.get("labels", []), given.get("note", "")
            )
            messages.error(request, told(error))
            return redirect("review_queue")
        made = twice
    return _next(request) if "next" in request.POST else redirect("review_assessment", made.pk)


def _next(request: HttpRequest) -> HttpResponse:
    try:
        review = actions.claim_next(actor_of(request))
    except LeadlineError as error:
        messages.error(request, told(error))
        review = None
    return redirect("review_queue") if review is None else redirect("review_card", review.pk)


@requires(Permission.REVIEW)
@require_POST
def undo(request: HttpRequest, assessment_id: str) -> HttpResponse:
    if access.find_assessment(actor_of(request), assessment_id) is None:
        raise Http404
    try:
        made = actions.undo(person_of(request), assessment_id)
    except LeadlineError as error:
        messages.error(request, told(error))
        return redirect("review_queue")
    return redirect("review_card", made.review_id)


@requires(Permission.REVIEW)
@require_POST
def save_draft(request: HttpRequest, review_id: str) -> HttpResponse:
    """While answers are given: a lease that ends, or a browser that does, loses none of them."""
    review, form = _found(request, review_id), _answers_form(AnswersForm, request.POST)
    if not form.is_valid():
        return JsonResponse({"saved": False}, status=422)
    given = form.cleaned_data
    actions.save_draft(person_of(request), review, form.answers(), given.get("labels", []), given.get("note", ""))
    return JsonResponse({"saved": True})


@requires(Permission.REVIEW)
@require_POST
def change(request: HttpRequest, review_id: str, what: str) -> HttpResponse:
    """give-back, hold, escalate, second, skip, assign, never, never-office."""
    review, actor = _found(request, review_id), actor_of(request)
    act = _CHANGES.get(what)
    if act is None:
        raise Http404
    if _try(request, lambda: act(request, actor, review)) and what in ("skip", "give-back", "escalate", "hold"):
        return _next(request) if "next" in request.POST else redirect("review_queue")
    if review.is_claimed_by(actor.person, timezone.now()) and what == "second":
        return redirect("review_card", review.pk)
    return redirect("review_queue")


def _hold(request: HttpRequest, actor: Any, review: Any) -> None:
    form = HoldForm(request.POST)
    if not form.is_valid():
        raise InputError("give hours and a reason")
    actions.hold(actor.person, review.pk, form.until(), form.cleaned_data["reason"])


def _assign(request: HttpRequest, actor: Any, review: Any) -> None:
    form = AssignForm(request.POST, people=access.colleagues(actor))
    if not form.is_valid():
        raise InputError("choose a colleague")
    actions.assign(actor, review.pk, access.find_colleague(form.cleaned_data["person"]))


def _never(request: HttpRequest, actor: Any, review: Any) -> None:
    actions.never_again(actor.person, review.cluster.centre)
    actions.skip(actor.person, review.pk)


def _never_office(request: HttpRequest, actor: Any, review: Any) -> None:
    if not actor.may(Permission.REVIEW_LEAD):
        raise Http404
    actions.never_again(actor.person, review.cluster.centre, for_office=True)
    actions.skip(actor.person, review.pk)


_CHANGES = {
    "give-back": lambda request, actor, review: actions.give_back(actor.person, review.pk),
    "escalate": lambda request, actor, review: actions.escalate(actor.person, review.pk),
    "second": lambda request, actor, review: actions.second_opinion(actor.person, review.pk),
    "skip": lambda request, actor, review: actions.skip(actor.person, review.pk),
    "hold": _hold,
    "assign": _assign,
    "never": _never,
    "never-office": _never_office,
}


# --- pictures --------------------------------------------------------------------------------------------------------


@requires(Permission.REVIEW)
@require_GET
def show_tile(request: HttpRequest, review_id: str, asset_id: str) -> HttpResponse:
    review = _found(request, review_id)
    asset = access.find_member(review, asset_id)
    if asset is None:
        raise Http404
    number, person = request.GET.get("scene", "1"), person_of(request)
    return _picture(request, lambda: actions.show_tile(person, review, asset, _session(request), scene=number))


@requires(Permission.REVIEW)
@require_POST
def reveal(request: HttpRequest, review_id: str) -> HttpResponse:
    """A key is held: leave to look, for some seconds."""
    review = _found(request, review_id)
    asset = access.find_member(review, request.POST.get("asset", ""))
    if asset is None:
        raise Http404
    try:
        level, colour = actions.Level(request.POST.get("level", "")), "colour" in request.POST
        made = actions.grant(
            person_of(request), review, asset, level, _session(request), in_colour=colour,
            scene=request.POST.get("scene", "1"),
        )  # fmt: skip
    except ValueError:
        return _refused(InputError("no such level", where="level"))
    except LeadlineError as error:
        return _refused(error)
    return JsonResponse({"look": str(made.pk), "level": made.level, "seconds": (made.until - made.issued_at).seconds})


@requires(Permission.REVIEW)
@require_GET
def show_look(request: HttpRequest, look_id: str) -> HttpResponse:
    """The pixels of a live grant: of a lens those around x, y (fractions) and no others."""
    try:
        centre = (_fraction(request.GET.get("x", "0.5")), _fraction(request.GET.get("y", "0.5")))
    except ValueError:
        return _refused(InputError("x and y are fractions from 0 to 1", where="x, y"))
    return _picture(request, lambda: actions.show(person_of(request), look_id, _session(request), centre))


@requires(Permission.REVIEW)
@require_POST
def end_look(request: HttpRequest, look_id: str) -> HttpResponse:
    return JsonResponse({"ended": actions.end(person_of(request), look_id)})


@requires(Permission.REVIEW)
@require_POST
def blank(request: HttpRequest) -> HttpResponse:
    """Escape: every grant ends."""
    return JsonResponse({"ended": actions.end_all(person_of(request))})


def _picture(request: HttpRequest, make: Any) -> HttpResponse:
    """For our own script alone: opened as a page, or drawn into another's, there is nothing."""
    if request.headers.get("Sec-Fetch-Dest", "empty") != "empty":
        raise Http404
    try:
        made = make()
    except LeadlineError as error:
        return _refused(error)
    answer = HttpResponse(made.png, content_type="image/png")
    part = made.rectangle
    answer.headers["X-Part"] = f"{part.left:.6f} {part.top:.6f} {part.width:.6f} {part.height:.6f}"
    return answer


def _refused(error: LeadlineError) -> HttpResponse:
    status = 422 if isinstance(error, InputError) else 409
    return JsonResponse({"error": told(error), "code": error.code}, status=status)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _session(request: HttpRequest) -> str:
    return request.session.session_key or ""


# --- what was decided ------------------------------------------------------------------------------------------------


@requires(Permission.REVIEW)
def list_assessments(request: HttpRequest) -> HttpResponse:
    page = access.assessments_page(actor_of(request), request.GET.get("cursor", ""))
    context = {"page": page, "derived_anew": access.derived_anew(actor_of(request))}
    return render(request, "review/assessments.html", context)


@requires(Permission.REVIEW)
def show_assessment(request: HttpRequest, assessment_id: str) -> HttpResponse:
    actor = actor_of(request)
    made = access.find_assessment(actor, assessment_id)
    if made is None:
        raise Http404
    actions.note_read(actor.person, made)
    initial = {f"q-{name}": codes[0] if len(codes) == 1 else codes for name, codes in made.answers.items()}
    may_revise = made.standing == "in-force" and made.by_id != actor.person.pk
    initial["labels"] = picked = access.picked_of(made)
    data = request.POST or None
    form = _answers_form(RevisionForm, data, initial=initial, picked=picked) if may_revise else None
    if request.method == "POST" and form is not None and form.is_valid():
        given = form.cleaned_data
        try:
            new = actions.revise(
                actor.person, made.pk, given["reason"], form.answers(), given.get("labels", []), given.get("note", "")
            )
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return redirect("review_assessment", new.pk)
    can_undo = access.can_undo(made, actor.person)
    bank_ids = [bank.id for bank in visible_banks(actor) if not bank.fault] if actor.may(Permission.BANKS_WRITE) else []
    context = {"made": made, "told": access.told_of(made), "form": form, "can_undo": can_undo}
    context["single_keys"] = access.wish_of(actor.person).single_keys
    context |= {"outcome_form": OutcomeForm(), "propose_form": ProposeForm(banks=bank_ids) if bank_ids else None}
    context |= {"reached": to_do.reached_of(actor, made), "to_tell": to_do.to_tell_of(actor, made)}
    context |= {"told_form": ToldForm(), "contests": appeals.open_against(actor, made)}
    return render(request, "review/assessment.html", context)


@requires(Permission.BANKS_WRITE)
@require_POST
def propose_entry(request: HttpRequest, assessment_id: str) -> HttpResponse:
    """By somebody who may write banks; nothing is in a bank before a second person has confirmed it there."""
    actor = actor_of(request)
    made = access.find_assessment(actor, assessment_id)
    if made is None:
        raise Http404
    form = ProposeForm(request.POST, banks=[bank.id for bank in visible_banks(actor)])
    if form.is_valid():
        given = form.cleaned_data
        if _try(request, lambda: actions.propose_entry(actor, made.pk, given["bank"], Kind(given["kind"]))):
            messages.success(request, _("Proposed: a second person confirms it on the page of the bank."))
    return redirect("review_assessment", made.pk)


@requires(Permission.REVIEW)
@require_POST
def note_outcome(request: HttpRequest, assessment_id: str) -> HttpResponse:
    made, form = access.find_assessment(actor_of(request), assessment_id), OutcomeForm(request.POST)
    if made is None:
        raise Http404
    if form.is_valid():
        actions.note_outcome(actor_of(request).id, made.cluster, form.cleaned_data["word"], form.cleaned_data["source"])
    return redirect("review_assessment", made.pk)


# --- oneself, the team, the office -----------------------------------------------------------------------------------


@requires(Permission.REVIEW)
def show_me(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    wish, floors = access.wish_of(person), access.floors_of(person)
    initial = {name: getattr(floors, name) for name in _FLOOR_FIELDS}  # as it is: a wish may be older than the floor
    initial |= {name: getattr(wish, name) for name in ("opted_out", "is_volunteer", "single_keys")}
    form = WishForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            actions.set_wish(person, **{name: form.cleaned_data[name] for name in form.changed_data})
        except InputError as error:
            form.add_error(error.where if error.where in form.fields else None, told(error))
        else:
            messages.success(request, _("The change is saved."))
            return redirect("review_me")
    actions.note_visit(person)
    context = {
        "form": form,
        "work": access.work_of(person),
        "looks": access.exposures_of(person)[:50],
        "days": access.own_days(person),
        "digest": digest_of(person),
        "moods": access.moods_of(person)[:30],
        "mood_form": MoodForm(),
    }
    return render(request, "review/me.html", context)


@requires(Permission.REVIEW_LEAD)
def show_team(request: HttpRequest) -> HttpResponse:
    return render(request, "review/team.html", {"days": access.team_days()})


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def set_office(request: HttpRequest) -> HttpResponse:
    """The floors of the office: people can only be more careful."""
    library, floors = law.library(), access.office_floors()
    initial = {name: getattr(floors, name) for name in _FLOOR_FIELDS}
    initial |= {
        "cluster_radius": access.cluster_radius(),
        "sample_per_mille": access.sample_per_mille(),
        "label_schemes": access.label_schemes(),
        "facts_scheme": access.facts_scheme(),
        "appeal_days": access.appeal_days(),
    }
    questions = [scheme for scheme, _version in library.assessments.schemes]
    form = OfficeForm(request.POST or None, initial=initial, schemes=library.labels.choosable(), questions=questions)
    if request.method == "POST" and form.is_valid():
        for name, value in access.settings_of(form.cleaned_data).items():
            set_office_setting(person_of(request), name, value, form.cleaned_data["legal_basis"])
        messages.success(request, _("The change is recorded."))
        return redirect("review_office")
    return render(request, "review/office.html", {"form": form})


def _try(request: HttpRequest, act: Any) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    return True


def _found(request: HttpRequest, review_id: str) -> Any:
    review = access.find_review(actor_of(request), review_id)
    if review is None:
        raise Http404
    return review
