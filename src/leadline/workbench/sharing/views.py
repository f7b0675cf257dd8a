"""Pages of sharing: what is proposed, by whom, what would leave and what did; partners; sources of lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leadline.errors import LeadlineError
from leadline.workbench.accounts.access import person_of
from leadline.workbench.actors import Actor, actor_of
from leadline.workbench.banks.access import visible_banks
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.sharing import access, actions, reach, sources
from leadline.workbench.sharing.forms import AgreementForm, AskForm, PartnerForm, RefuseForm, ShareForm
from leadline.workbench.words import told

_SHOWN_RULINGS = 500
_FILLED_IN = ("partner", "bank", "ids", "act", "algorithm", "purpose", "reason")  # by whatever page led here


@requires(Permission.SHARING_READ)
def list_shares(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    form = AskForm(request.GET or None, partners=_partners())
    state, partner = "", ""
    if form.is_valid():
        state, partner = form.cleaned_data["state"], form.cleaned_data["partner"]
    page = access.shares_page(actor, state, partner or None, request.GET.get("cursor", ""))
    context = {"page": page, "form": form, "held": actor.permissions, "waiting": access.count_to_decide(actor)}
    return render(request, "sharing/shares.html", context)


@requires(Permission.SHARING_PROPOSE)
def new_share(request: HttpRequest) -> HttpResponse:
    """First a dry run; what it showed is proposed by its digest."""
    actor = actor_of(request)
    banks = [(view.id, view.bank.name) for view in visible_banks(actor) if view.bank is not None]
    initial = {name: request.GET[name] for name in _FILLED_IN if name in request.GET}
    form = ShareForm(request.POST or None, partners=_partners(), banks=banks, initial=initial)
    context: dict[str, Any] = {"form": form, "shown": _SHOWN_RULINGS}
    if request.method == "POST" and form.is_valid():
        try:
            share = _propose(actor, form, request.POST.get("digest", "")) if "propose" in request.POST else None
            if share is not None:
                messages.success(request, _("It waits for a second person. Nothing has left."))
                return redirect("share", share.pk)
            context["preview"] = _preview(actor, form)
        except LeadlineError as error:
            form.add_error(None, told(error))
    return render(request, "sharing/new.html", context)


def _preview(actor: Actor, form: ShareForm) -> access.Preview:
    given = form.cleaned_data
    return access.preview(actor, _partner(given["partner"]), form.wish(), given["purpose"])


def _propose(actor: Actor, form: ShareForm, digest: str) -> Any:
    given = form.cleaned_data
    return actions.propose(
        actor, _partner(given["partner"]), form.wish(), purpose=given["purpose"], reason=given["reason"],
        seen_digest=digest, note=given["note"],
    )  # fmt: skip


@requires(Permission.SHARING_READ)
def show_share(request: HttpRequest, share_id: str) -> HttpResponse:
    actor = actor_of(request)
    share = _share(actor, share_id)
    page = access.items_page(share, request.GET.get("cursor", ""))
    context = {
        "share": share, "items": [(item, access.told(actor, item)) for item in page.rows], "next": page.next,
        "note": access.note_of(share), "may_decide": access.may_decide(actor, share), "held": actor.permissions,
        "is_own": share.proposed_by_id == actor.person.pk, "has_left": access.has_left(share),
        "refuse_form": RefuseForm(),
    }  # fmt: skip
    return render(request, "sharing/share.html", context)


@requires(Permission.SHARING_APPROVE, fresh=True)
@require_POST
def decide(request: HttpRequest, share_id: str, what: str) -> HttpResponse:
    actor = actor_of(request)
    share = _share(actor, share_id)
    refusal = RefuseForm(request.POST)
    deeds: dict[str, Callable[[], Any]] = {
        "approve": lambda: actions.approve(actor, share.pk),
        "refuse": lambda: actions.refuse(actor, share.pk, refusal.data.get("reason", "")),
        "try-again": lambda: actions.try_again(actor, share.pk),
        "arrived": lambda: actions.resolve(actor, share.pk, arrived=True),
        "not-arrived": lambda: actions.resolve(actor, share.pk, arrived=False),
    }
    if what not in deeds:
        raise Http404
    _try(request, deeds[what])
    return redirect("share", share.pk)


@requires(Permission.SHARING_PROPOSE)
@require_POST
def withdraw(request: HttpRequest, share_id: str) -> HttpResponse:
    actor = actor_of(request)
    share = _share(actor, share_id)
    _try(request, lambda: actions.withdraw(actor, share.pk))
    return redirect("share", share.pk)


@requires(Permission.SHARING_READ, fresh=True)
def download_receipt(request: HttpRequest, share_id: str) -> HttpResponse:
    share = _share(actor_of(request), share_id)
    if not access.has_left(share):
        raise Http404
    answer = HttpResponse(access.receipt(share), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="share-{share.pk}.json"'
    return answer


# --- partners --------------------------------------------------------------------------------------------------------


@requires(Permission.SHARING_READ)
def list_partners(request: HttpRequest) -> HttpResponse:
    rows = [(partner, agreement, access.is_agreed(agreement)) for partner, agreement in _agreed()]
    return render(request, "sharing/partners.html", {"rows": rows, "held": actor_of(request).permissions})


def _agreed() -> list[tuple[Any, Any]]:
    return [(partner, access.agreement_of(partner)) for partner in access.partners()]


@requires(Permission.PARTNERS_MANAGE, fresh=True)
def make_partner(request: HttpRequest) -> HttpResponse:
    form = PartnerForm(request.POST or None, sources=reach.subscriptions().names())
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = actions.make_partner(person_of(request), given["name"], given["source"])
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return redirect("partner", made.pk)
    return render(request, "sharing/form.html", {"form": form, "title": _("New partner"), "act": _("Make it")})


@requires(Permission.SHARING_READ)
def show_partner(request: HttpRequest, partner_id: str) -> HttpResponse:
    partner = _partner(partner_id)
    rows = [(row, access.document_of(row), access.is_agreed(row)) for row in access.agreements_of(partner)]
    context = {"partner": partner, "agreements": rows, "held": actor_of(request).permissions}
    return render(request, "sharing/partner.html", context)


@requires(Permission.PARTNERS_MANAGE, fresh=True)
def agree(request: HttpRequest, partner_id: str) -> HttpResponse:
    partner, form = _partner(partner_id), AgreementForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.agree(person_of(request), partner, **form.agreement())
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return redirect("partner", partner.pk)
    title = _("New agreement with %(partner)s") % {"partner": partner.name}
    return render(request, "sharing/form.html", {"form": form, "title": title, "act": _("Record it")})


@requires(Permission.PARTNERS_MANAGE, fresh=True)
@require_POST
def end_agreement(request: HttpRequest, partner_id: str) -> HttpResponse:
    partner = _partner(partner_id)
    agreement = access.agreement_of(partner)
    if agreement is None:
        raise Http404
    _try(request, lambda: actions.end_agreement(person_of(request), agreement))
    return redirect("partner", partner.pk)


# --- sources of lists ------------------------------------------------------------------------------------------------


@requires(Permission.SOURCES_READ)
def list_sources(request: HttpRequest) -> HttpResponse:
    return render(request, "sharing/sources.html", {"sources": sources.all_sources()})


@requires(Permission.SOURCES_READ)
def show_source(request: HttpRequest, name: str) -> HttpResponse:
    found = sources.find_source(name)
    if found is None:
        raise Http404
    return render(request, "sharing/source.html", {"source": found})


def _try(request: HttpRequest, deed: Callable[[], Any]) -> None:
    try:
        deed()
    except LeadlineError as error:
        messages.error(request, told(error))
    else:
        messages.success(request, _("The decision is recorded."))


def _share(actor: Actor, share_id: Any) -> Any:
    share = access.find_share(actor, share_id)
    if share is None:
        raise Http404
    return share


def _partner(partner_id: Any) -> Any:
    partner = access.find_partner(partner_id)
    if partner is None:
        raise Http404
    return partner


def _partners() -> list[tuple[str, str]]:
    return [(str(partner.pk), partner.name) for partner in access.partners()]
