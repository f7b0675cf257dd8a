"""Pages of quality: one's own results, the team's agreement, golden sets, and what two saw differently."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leadline.errors import InputError, LeadlineError
from leadline.workbench.accounts.access import person_of
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.actors import actor_of
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.quality import access, actions
from leadline.workbench.quality.forms import GoldenForm, OfficeForm, PutInForm, SetForm
from leadline.workbench.review import access as review_access
from leadline.workbench.review.forms import AnswersForm, AssignForm
from leadline.workbench.review.scenes import scenes_of
from leadline.workbench.words import told


@requires(Permission.REVIEW)
def show_me(request: HttpRequest) -> HttpResponse:
    """For the person alone."""
    person = person_of(request)
    context = {
        "asked": access.asked_of(actor_of(request)),
        "golden": access.golden_results(person),
        "pairs": access.own_pairs(person),
        "same": access.count_same(person),
    }
    return render(request, "quality/me.html", context)


@requires(Permission.REVIEW_LEAD)
def show_team(request: HttpRequest) -> HttpResponse:
    """Figures of questions, never of people."""
    seen = access.schemes_seen()
    asked = request.GET.get("scheme", "")
    scheme = next((one for one in seen if f"{one[0]}|{one[1]}" == asked), seen[0] if seen else None)
    context: dict[str, Any] = {"schemes": seen, "scheme": scheme, "counts": access.counts()}
    if scheme is not None:
        try:
            context |= {"agreement": access.agreement(scheme), "golden": access.golden_figures(scheme)}
        except InputError:  # the office took the file of this version away
            context["is_gone"] = True
    return render(request, "quality/team.html", context)


# --- golden sets -----------------------------------------------------------------------------------------------------


@requires(Permission.REVIEW_LEAD)
def list_sets(request: HttpRequest) -> HttpResponse:
    form = SetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.make_set(person_of(request), form.cleaned_data["name"])
        except LeadlineError as error:
            form.add_error("name", told(error))
        else:
            return redirect("quality_set", made.pk)
    return render(request, "quality/sets.html", {"sets": access.golden_sets(), "form": form})


@requires(Permission.REVIEW_LEAD)
def show_set(request: HttpRequest, set_id: str) -> HttpResponse:
    golden_set, actor = _set(set_id), actor_of(request)
    form = PutInForm(request.POST or None, initial={"sha256": request.GET.get("sha256", "")})
    if request.method == "POST" and form.is_valid():
        asset = access.find_kept(actor, form.cleaned_data["sha256"])
        try:
            if asset is None:
                raise InputError("no such file here", where="sha256", mend="take in the picture first")
            item = actions.put_in(actor.person, golden_set, asset)
        except LeadlineError as error:
            form.add_error("sha256", told(error))
        else:
            return redirect("quality_item", item.pk)
    page = access.items_page(actor, golden_set, request.GET.get("cursor", ""))
    context = {"set": golden_set, "page": page, "form": form, "stand_out": access.stand_out(page.rows)}
    return render(request, "quality/set.html", context)


@requires(Permission.REVIEW_LEAD)
def choose_set(request: HttpRequest) -> HttpResponse:
    """From the page of an asset: which set it goes into."""
    sha256 = request.GET.get("sha256", "")
    live = [one for one in access.golden_sets() if one.ended_at is None]
    return render(request, "quality/choose.html", {"sets": live, "sha256": sha256})


@requires(Permission.REVIEW_LEAD)
@require_POST
def end_set(request: HttpRequest, set_id: str) -> HttpResponse:
    golden_set = _set(set_id)
    _try(request, lambda: actions.end_set(person_of(request), golden_set.pk))
    return redirect("quality_set", golden_set.pk)


@requires(Permission.REVIEW)
def show_item(request: HttpRequest, item_id: str) -> HttpResponse:
    """The questions, and the picture where one has asked to look. What others answered stands here after one's own."""
    item, actor = _item(request, item_id), actor_of(request)
    form = GoldenForm(request.POST or None, access.questions_now())
    if request.method == "POST" and form.is_valid():
        try:
            actions.answer(actor, item, form.answers())
        except InputError as error:
            _add(form, error)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("Your answers are recorded."))
            return redirect("quality_item", item.pk)
    looking = access.reference_of(item, actor.person)
    context = {"item": item, "form": form, "answers": _shown(item, actor), "is_lead": actor.may(Permission.REVIEW_LEAD)}
    context |= {"ask_form": AssignForm(people=review_access.colleagues(actor))} | _picture(actor, looking)
    return render(request, "quality/item.html", context)


def _shown(item: Any, actor: Any) -> list[dict[str, Any]]:
    rows = []
    for answer in access.answers_shown(item, actor.person):
        scheme = (answer.scheme, answer.scheme_version)
        words = access.beside(scheme, answer.answers, answer.answers)
        rows.append({"answer": answer, "words": words, "is_own": answer.by_id == actor.person.pk})
    return rows


@requires(Permission.REVIEW)
@require_POST
def look_at_item(request: HttpRequest, item_id: str) -> HttpResponse:
    item = _item(request, item_id)
    _try(request, lambda: actions.look(actor_of(request), item))
    return redirect("quality_item", item.pk)


@requires(Permission.REVIEW_LEAD)
@require_POST
def ask(request: HttpRequest, item_id: str) -> HttpResponse:
    item, form = _item(request, item_id), AssignForm(request.POST, people=review_access.colleagues(actor_of(request)))
    if form.is_valid():
        whom = review_access.find_colleague(form.cleaned_data["person"])
        _try(request, lambda: actions.ask(person_of(request), item, whom))
    return redirect("quality_item", item.pk)


@requires(Permission.REVIEW_LEAD)
@require_POST
def withdraw(request: HttpRequest, item_id: str) -> HttpResponse:
    item = _item(request, item_id)
    _try(request, lambda: actions.withdraw(person_of(request), item))
    return redirect("quality_set", item.set_id)


# --- what two saw differently ----------------------------------------------------------------------------------------


@requires(Permission.REVIEW)
def list_disagreements(request: HttpRequest) -> HttpResponse:
    page = access.pairs_page(actor_of(request), request.GET.get("cursor", ""))
    return render(request, "quality/disagreements.html", {"page": page})


@requires(Permission.REVIEW)
def show_disagreement(request: HttpRequest, pair_id: str) -> HttpResponse:
    """Both answers side by side without names; a third gives theirs. The picture only when it is asked for."""
    pair, actor = _pair(request, pair_id), actor_of(request)
    review = pair.review if pair.review.is_claimed_by(actor.person, timezone.now()) else None
    form = _answers_form(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            actions.settle(actor.person, pair.pk, form.answers(), given.get("labels", []), given.get("note", ""))
        except InputError as error:
            _add(form, error)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("Settled. Both are told, without names."))
            return redirect("quality_disagreements")
    elif review is not None:
        form = _answers_form(None, _draft(actor, review))
    context = {"pair": pair, "form": form, "is_inferred": access.is_inferred(pair), "rows": _rows(pair)}
    return render(request, "quality/disagreement.html", context | _picture(actor, review))


def _rows(pair: Any) -> list[Any]:
    """What is in force stands first: it is what a confirmation confirms."""
    standing = access.in_force(pair)
    one, other = (pair.second, pair.first) if standing == pair.second else (pair.first, pair.second)
    return access.beside((pair.scheme, pair.scheme_version), one.answers, other.answers)


def _draft(actor: Any, review: Any) -> dict[str, Any]:
    card = review_access.card_of(actor, review)
    given = card.draft.answers if card.draft else {}
    answers = {f"q-{name}": codes[0] if len(codes) == 1 else codes for name, codes in given.items()}
    return answers | {"labels": card.draft.labels if card.draft else [], "note": card.note}


def _answers_form(data: Any, initial: Any = None) -> AnswersForm:
    return AnswersForm(data, access.questions_now(), access.offered_labels(), initial=initial)


@requires(Permission.REVIEW)
@require_POST
def look_at_disagreement(request: HttpRequest, pair_id: str) -> HttpResponse:
    pair = _pair(request, pair_id)
    _try(request, lambda: actions.look_at_pair(actor_of(request), pair.pk))
    return redirect("quality_disagreement", pair.pk)


# --- the office ------------------------------------------------------------------------------------------------------


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def set_office(request: HttpRequest) -> HttpResponse:
    initial = {"double_percent": access.double_percent(), "golden_percent": access.golden_percent()}
    form = OfficeForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        for name, field in ((access.DOUBLE_PERCENT, "double_percent"), (access.GOLDEN_PERCENT, "golden_percent")):
            set_office_setting(person_of(request), name, str(given[field]), given["legal_basis"])
        messages.success(request, _("The change is recorded."))
        return redirect("quality_office")
    return render(request, "quality/office.html", {"form": form})


def _picture(actor: Any, review: Any) -> dict[str, Any]:
    """What the part of a page needs that shows a picture; none of it where nothing is claimed."""
    if review is None:
        return {"review": None, "work": review_access.work_of(actor.person)}
    card = review_access.card_of(actor, review)
    return {
        "review": review,
        "card": card,
        "work": review_access.work_of(actor.person),
        "floors": review_access.floors_of(actor.person),
        "scenes": scenes_of(card.subject),
        "lead": review_access.forewarning(card),
        "single_keys": review_access.wish_of(actor.person).single_keys,
    }


def _add(form: Any, error: InputError) -> None:
    name = f"q-{error.where}"
    form.add_error(name if name in form.fields else None, told(error))


def _try(request: HttpRequest, act: Any) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    return True


def _set(set_id: str) -> Any:
    found = access.find_set(set_id)
    if found is None:
        raise Http404
    return found


def _item(request: HttpRequest, item_id: str) -> Any:
    item = access.find_item(actor_of(request), item_id)
    if item is None:
        raise Http404
    return item


def _pair(request: HttpRequest, pair_id: str) -> Any:
    pair = access.find_pair(actor_of(request), pair_id)
    if pair is None or pair.review is None:
        raise Http404
    return pair
