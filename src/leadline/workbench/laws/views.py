"""Pages of laws. Unknown is shown as unknown, and each cell with whom it binds, its source and how sure it is."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from leadline.errors import LeadlineError
from leadline.law.matrix import Applied, applies
from leadline.law.terms import Involved, Role
from leadline.workbench.accounts.access import person_of
from leadline.workbench.laws import access, actions
from leadline.workbench.laws.forms import CellForm, OfficeForm
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.words import told


@requires(Permission.REPORTS_READ)
def show_law(request: HttpRequest) -> HttpResponse:
    """Of one country (?country=NL), else of the office's own."""
    asked, fault = request.GET.get("country", "") or access.own_country(), ""
    applied: tuple[Applied, ...] = ()
    if asked:
        try:
            applied = applies(access.library().matrix, {Involved.OWN: [asked]})
        except LeadlineError as error:
            fault = told(error)
    context = {
        "applied": applied,
        "asked": asked,
        "fault": fault,
        "countries": access.countries(),
        "questions": access.question_texts(),
        "corrections": access.corrections(),
    }
    return render(request, "laws/law.html", context)


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def correct_cell(request: HttpRequest) -> HttpResponse:
    questions = access.question_texts()
    form = CellForm(request.POST or None, questions=questions.items(), initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            actions.correct_cell(person_of(request), form.cell())
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("The correction is recorded."))
            return redirect("correct_law")
    context = {"form": form, "corrections": access.corrections(), "questions": questions}
    return render(request, "laws/correct.html", context)


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def declare_office(request: HttpRequest) -> HttpResponse:
    form = OfficeForm(request.POST or None, initial={"country": access.own_country(), "role": access.own_role().value})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            actions.declare_office(person_of(request), given["country"], Role(given["role"]), given["legal_basis"])
        except LeadlineError as error:
            form.add_error("country", told(error))
        else:
            messages.success(request, _("The change is recorded."))
            return redirect("law_office")
    return render(request, "laws/office.html", {"form": form})
