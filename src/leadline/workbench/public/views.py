"""Pages of the public form. What is typed goes to `intake` and nowhere else: no session, no cookie, no redirect."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import get_language

from leadline.workbench.public import intake
from leadline.workbench.public.forms import AnswerForm, AppealForm, PassphraseForm, PublicForm, ReportForm
from leadline.workbench.public.limits import APPEALS, MESSAGES, READINGS, REPORTS, Counter, Limit, visitor_address
from leadline.workbench.public.pages import render_fault, render_too_many
from leadline.workbench.public.tokens import (
    FormToken,
    Spent,
    check_form_token,
    make_form_token,
    make_ticket,
    open_ticket,
)

# This process's memory, and its only one: the public form is served by one process (server.py).
counter = Counter()
spent = Spent()


def start(request: HttpRequest) -> HttpResponse:
    return render(request, "public/start.html")


def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "public/help.html")


def leave(request: HttpRequest) -> HttpResponse:
    """The quick exit: away to a harmless site, and what the browser kept of this one is dropped."""
    response = HttpResponseRedirect(settings.LEADLINE_PUBLIC_EXIT_URL)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


def report(request: HttpRequest) -> HttpResponse:
    template = "public/report.html"
    if request.method != "POST":
        return render(request, template, {"form": ReportForm(initial={"token": make_form_token("report")})})
    form = ReportForm(request.POST)
    worth, chance = check_form_token(request.POST.get("token", "")[:200], "report")
    if not form.is_valid() or worth is not FormToken.GOOD:
        return render(request, template, {"form": form, **_renew(form, "report", worth)}, status=422)
    if not _may(request, REPORTS):
        return render_too_many(request, template, {"form": form}, REPORTS.window_s)
    receipt = intake.receive_report(form.cleaned_data, chance, get_language() or settings.LANGUAGE_CODE)
    return render(request, "public/receipt.html", {"receipt": receipt})


def appeal(request: HttpRequest) -> HttpResponse:
    """Somebody says that a decision was wrong. The answer is the same for a file that is known here and any other."""
    template = "public/appeal.html"
    if request.method != "POST":
        return render(request, template, {"form": AppealForm(initial={"token": make_form_token("appeal")})})
    form = AppealForm(request.POST)
    worth, chance = check_form_token(request.POST.get("token", "")[:200], "appeal")
    if not form.is_valid() or worth is not FormToken.GOOD:
        return render(request, template, {"form": form, **_renew(form, "appeal", worth)}, status=422)
    if not _may(request, APPEALS):
        return render_too_many(request, template, {"form": form}, APPEALS.window_s)
    receipt = intake.receive_appeal(form.cleaned_data, chance, get_language() or settings.LANGUAGE_CODE)
    return render(request, "public/receipt.html", {"receipt": receipt})


def read(request: HttpRequest) -> HttpResponse:
    template = "public/read.html"
    if request.method != "POST":
        return render(request, template, {"form": PassphraseForm(initial={"token": make_form_token("read")})})
    form = PassphraseForm(request.POST)
    worth, _ = check_form_token(request.POST.get("token", "")[:200], "read")
    if not form.is_valid() or worth not in {FormToken.GOOD, FormToken.TOO_SOON}:
        return render(request, template, {"form": form, **_renew(form, "read", worth)}, status=422)
    if not _may(request, READINGS):
        return render_too_many(request, template, {"form": form}, READINGS.window_s)
    passphrase = form.cleaned_data["passphrase"]
    found = intake.find_report(passphrase)
    if found is None:  # one answer for a wrong passphrase, one that never was, and one whose report is erased
        return render(request, template, {"form": form, "not_known": True}, status=422)
    return _show_outcome(request, found, passphrase)


def send(request: HttpRequest) -> HttpResponse:
    """An answer of the reporter, then the page again with it on it."""
    if request.method != "POST":
        return redirect("read")
    form = AnswerForm(request.POST)
    passphrase = open_ticket(request.POST.get("ticket", "")[:2000])
    worth, chance = check_form_token(request.POST.get("token", "")[:200], "send")
    if passphrase is None or worth in {FormToken.EXPIRED, FormToken.FOREIGN}:
        return _ask_passphrase_again(request, str(request.POST.get("answer", "")))
    if not _may(request, MESSAGES):
        return render_too_many(request, "public/outcome.html", {"form": form}, MESSAGES.window_s)
    found = intake.find_report(passphrase)
    if found is None:
        return _ask_passphrase_again(request, str(request.POST.get("answer", "")))
    if not form.is_valid():
        return _show_outcome(request, found, passphrase, form=form, status=422)
    _post_once(found, form.cleaned_data["answer"], chance)
    return _show_outcome(request, found, passphrase, was_sent=True)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render_fault(request, 400)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render_fault(request, 404)


def fault(request: HttpRequest) -> HttpResponse:
    return render_fault(request, 500)


def _may(request: HttpRequest, limit: Limit) -> bool:
    address = visitor_address(
        str(request.META.get("REMOTE_ADDR", "")),
        str(request.META.get("HTTP_X_FORWARDED_FOR", "")),
        settings.LEADLINE_PROXY,
    )
    return counter.take(limit, address)


def _renew(form: PublicForm, purpose: str, worth: FormToken) -> dict[str, Any]:
    """A fresh token where the old one is no good; the page then says so, and everything typed stays."""
    if worth in {FormToken.EXPIRED, FormToken.FOREIGN}:
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data["token"] = make_form_token(purpose)  # type: ignore[index]
    return {"send_again": form.is_valid() and worth is not FormToken.GOOD}


def _post_once(found: Any, answer: str, chance: str) -> None:
    """A page that is sent a second time (reload, a broken line) posts nothing more."""
    if not spent.spend(chance):
        return
    try:
        intake.post_answer(found, answer)
    except BaseException:
        spent.take_back(chance)
        raise


def _ask_passphrase_again(request: HttpRequest, untrusted_answer: str) -> HttpResponse:
    form = PassphraseForm(initial={"token": make_form_token("read")})
    context = {"form": form, "ticket_ended": True, "typed": untrusted_answer[:40_000]}
    return render(request, "public/read.html", context, status=422)


def _show_outcome(
    request: HttpRequest,
    found: Any,
    passphrase: str,
    *,
    form: AnswerForm | None = None,
    was_sent: bool = False,
    status: int = 200,
) -> HttpResponse:
    fresh = {"token": make_form_token("send"), "ticket": make_ticket(passphrase)}
    if form is None:
        form = AnswerForm(initial=fresh)
    context = {"outcome": intake.outcome_of(found), "form": form, "was_sent": was_sent}
    return render(request, "public/outcome.html", context, status=status)
