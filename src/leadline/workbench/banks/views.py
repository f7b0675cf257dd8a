"""Pages of banks. They show hashes and what lists say of them; a bank holds nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from leadline.errors import BankNotFound, LeadlineError
from leadline.match.bank import Bank
from leadline.workbench.actors import Actor, actor_of
from leadline.workbench.banks import access, actions
from leadline.workbench.banks.forms import AddForm, BankSettingsForm, LookUpForm, NewBankForm, TrustForm, WithdrawForm
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.words import told

_A_PAGE = 50
_SHOWN_FAULTS = 50


@requires(Permission.BANKS_READ)
def list_banks(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    context = {
        "banks": access.visible_banks(actor),
        "faults": access.bank_faults(),
        "proposals": [(p, access.wish_of(p) if p.what == "trust" else "") for p in access.open_proposals(actor)],
        "held": actor.permissions,
    }
    return render(request, "banks/banks.html", context)


@requires(Permission.BANKS_WRITE)
def make_bank(request: HttpRequest) -> HttpResponse:
    form = NewBankForm(request.POST or None, what="create")
    if request.method == "POST" and form.is_valid():
        name, reason = form.cleaned_data["name"], form.cleaned_data["reason"]
        try:
            actions.create_bank(actor_of(request), name, reason=reason, **form.settings())
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return redirect("bank", name)
    return render(request, "banks/form.html", {"form": form, "title": _("New bank"), "act": _("Make it")})


@requires(Permission.BANKS_READ)
def show_bank(request: HttpRequest, bank_id: str) -> HttpResponse:
    actor = actor_of(request)
    bank = _found(actor, bank_id)
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 17 else 0
    entries, following = access.page_entries(actor, bank, after, _A_PAGE)
    context = {"bank_id": bank_id, "bank": bank, "entries": entries, "following": following, "after": after}
    context |= {"held": actor.permissions, "withdraw_form": WithdrawForm()}
    context["trusted_bits"] = access.trusted_bits(bank)
    return render(request, "banks/bank.html", context)


@requires(Permission.BANKS_READ)
def show_entry(request: HttpRequest, bank_id: str, entry_id: int) -> HttpResponse:
    """One that is withdrawn still has its history."""
    actor = actor_of(request)
    bank = _found(actor, bank_id)
    history = list(access.visible_history(actor, bank, entry_id))
    try:
        entry = access.find_entry(actor, bank, entry_id)
    except BankNotFound:
        if not any(change.what == "withdraw" for change in history):
            raise Http404 from None
        entry = None
    context: dict[str, Any] = {"bank_id": bank_id, "entry_id": entry_id, "entry": entry, "history": history}
    if entry is not None:
        context["prints"] = [(name, digest.hex()) for name, digest in entry.fingerprints.items()]
    return render(request, "banks/entry.html", context)


@requires(Permission.BANKS_READ)
def show_changes(request: HttpRequest, bank_id: str) -> HttpResponse:
    bank = _found(actor_of(request), bank_id)
    page = Paginator(access.changes_of(bank), _A_PAGE).get_page(request.GET.get("page"))
    return render(request, "banks/changes.html", {"bank_id": bank_id, "page": page})


@requires(Permission.BANKS_WRITE, files=True)
def add_entries(request: HttpRequest, bank_id: str) -> HttpResponse:
    actor = actor_of(request)
    bank = _found(actor, bank_id)
    form = AddForm(request.POST or None, request.FILES or None, initial={"kind": bank.kind.value})
    outcome = None
    if request.method == "POST" and form.is_valid():
        try:
            outcome = actions.add_entries(actor, bank_id, form.entries(bank), reason=form.cleaned_data["reason"])
        except LeadlineError as error:
            form.add_error(None, told(error))
    context = {"form": form, "bank_id": bank_id, "outcome": outcome, "shown": _SHOWN_FAULTS}
    return render(request, "banks/add.html", context)


@requires(Permission.BANKS_WRITE)
def withdraw_entries(request: HttpRequest, bank_id: str) -> HttpResponse:
    actor = actor_of(request)
    _found(actor, bank_id)
    form = WithdrawForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            outcome = actions.withdraw_entries(
                actor, bank_id, form.cleaned_data["ids"], reason=form.cleaned_data["reason"]
            )
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            _say(request, outcome, _("Withdrawn: %(count)s") % {"count": outcome.withdrawn})
            return redirect("bank", bank_id)
    title = _("Withdraw entries of %(bank)s") % {"bank": bank_id}
    return render(request, "banks/form.html", {"form": form, "title": title, "act": _("Withdraw")})


@requires(Permission.BANKS_WRITE, fresh=True)
def set_bank(request: HttpRequest, bank_id: str) -> HttpResponse:
    actor = actor_of(request)
    manifest = _found(actor, bank_id).snapshot.manifest
    names = ("kind", "tlp", "radius_bits", "quality_floor", "source", "licence")
    form = BankSettingsForm(request.POST or None, initial={name: getattr(manifest, name) for name in names})
    if request.method == "POST" and form.is_valid():
        try:
            outcome = actions.set_bank(actor, bank_id, reason=form.cleaned_data["reason"], **form.settings())
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            _say(request, outcome, _("The change is recorded."))
            return redirect("bank", bank_id)
    title = _("Settings of %(bank)s") % {"bank": bank_id}
    return render(request, "banks/form.html", {"form": form, "title": title, "act": _("Change")})


@requires(Permission.BANKS_WRITE, fresh=True)
def trust_bank(request: HttpRequest, bank_id: str) -> HttpResponse:
    """How near is near enough to be set aside unseen."""
    actor = actor_of(request)
    bits = access.trusted_bits(_found(actor, bank_id))
    form = TrustForm(request.POST or None, initial={"trusted_bits": bits})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            outcome = actions.trust_near(actor, bank_id, given["trusted_bits"], reason=given["reason"])
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            _say(request, outcome, _("The change is recorded."))
            return redirect("bank", bank_id)
    title = _("Trusted margin of %(bank)s") % {"bank": bank_id}
    return render(request, "banks/form.html", {"form": form, "title": title, "act": _("Change")})


@requires(Permission.BANKS_READ)
def look_up(request: HttpRequest) -> HttpResponse:
    """By POST: hashes stay out of addresses and their logs."""
    form, answers = LookUpForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        lines = form.cleaned_data["hashes"]
        found = access.look_up(actor_of(request), [line[1:] for line in lines], form.cleaned_data["radius_bits"])
        answers = [(line[0], *answer) for line, answer in zip(lines, found, strict=True)]
    return render(request, "banks/look_up.html", {"form": form, "answers": answers})


@requires(Permission.BANKS_APPROVE, fresh=True)
def decide(request: HttpRequest, proposal_id: str, what: str) -> HttpResponse:
    actor = actor_of(request)
    proposal = access.find_proposal(actor, proposal_id)
    if proposal is None or what not in {"confirm", "refuse"}:
        raise Http404
    if request.method == "POST":
        try:
            outcome = actions.confirm(actor, proposal) if what == "confirm" else actions.refuse(actor, proposal)
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            _say(request, outcome, _("The decision is recorded."))
    return redirect("banks")


def _say(request: HttpRequest, outcome: actions.Outcome | None, done: str) -> None:
    waits = _("It waits for a second person; nothing has changed yet.")
    messages.success(request, done if outcome is None or outcome.proposal is None else waits)


def _found(actor: Actor, bank_id: str) -> Bank:
    try:
        return access.find_bank(actor, bank_id)
    except BankNotFound:
        raise Http404 from None
