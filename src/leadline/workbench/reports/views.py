"""Pages of reports. Links are shown defanged and never as links; no page shows a picture."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind, Tlp, Urgency
from leadline.errors import InputError, LeadlineError
from leadline.exchange import bulk
from leadline.selectors.split import split_paste
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.actors import actor_of
from leadline.workbench.cursors import Slice
from leadline.workbench.permissions import Permission, Sensitivity, requires
from leadline.workbench.reports import access, actions, deliveries, tasks
from leadline.workbench.reports.forms import (
    AskForm,
    BulkForm,
    CountriesForm,
    GrantForm,
    HandlingForm,
    HoldForm,
    ImportForm,
    MessageForm,
    NewForm,
    OnCallForm,
    SettingsForm,
    StateForm,
)
from leadline.workbench.reports.intake import Sender
from leadline.workbench.reports.intake import import_file as take_file
from leadline.workbench.reports.states import Outcome, Reason, State
from leadline.workbench.words import told

_PREVIEW_ROWS = 50


@requires(Permission.REPORTS_READ)
def list_reports(request: HttpRequest) -> HttpResponse:
    """What somebody looks for is posted: addresses of pages stand in logs, where no reported link belongs."""
    is_asked, actor = request.method == "POST", actor_of(request)
    given = request.POST if is_asked else request.GET.copy()
    if not is_asked:
        given.pop("text", None)
    form = AskForm(given)
    page = _listed(request, access.Asked(**form.asked()), str(given.get("cursor", "")))
    context = {
        "page": page,
        "form": form,
        "asked": [(name, value) for name, value in given.items() if name in form.fields] if is_asked else None,
        "alerts": access.unacknowledged(actor)[:20],
        "on_call": access.on_call(),
        "held": actor.permissions,
    }
    return render(request, "reports/list.html", context)


def _listed(request: HttpRequest, asked: access.Asked, cursor: str) -> Slice:
    actor = actor_of(request)
    try:
        return access.list_reports(actor, asked, cursor)
    except InputError as error:
        if error.code != "search-off":  # a cursor of another list, or an old one: the list from its start
            return access.list_reports(actor, asked)
        messages.error(request, told(error))
        return Slice([], None)


@requires(Permission.REPORTS_READ)
def show_report(request: HttpRequest, report_id: str) -> HttpResponse:
    return _page_of(request, _found(request, report_id))


def _page_of(request: HttpRequest, report: Any, **forms: Any) -> HttpResponse:
    actor = actor_of(request)
    view = access.open_report(actor, report)
    context = {
        "view": view,
        "report": report,
        "outcomes": access.OUTCOMES,
        "may_write": actor.may(Permission.REPORTS_WRITE),
        "may_release": actor.may(Permission.EVIDENCE_RELEASE),
        "message_form": forms.get("message_form") or MessageForm(),
        "handling_form": HandlingForm(initial={"sensitivity": report.sensitivity, "tlp": report.tlp}),
        "hold_form": HoldForm(),
        "grant_form": GrantForm(people=access.report_readers()),
        "law": access.law_of(report),
        "may_correct": actor.may(Permission.SETTINGS_MANAGE),
        "countries_form": CountriesForm(initial={kind: ", ".join(codes) for kind, codes in report.countries.items()}),
    }
    return render(request, "reports/report.html", context)


# --- in --------------------------------------------------------------------------------------------------------------


@requires(Permission.REPORTS_WRITE)
def new_report(request: HttpRequest) -> HttpResponse:
    """Paste, look at what it was split into, receive."""
    form = NewForm(request.POST or None)
    items: list[dict[str, str]] = []
    if request.method == "POST" and form.is_valid():
        found = [item for item in split_paste(form.cleaned_data["paste"]) if item.kind is not ItemKind.TEXT]
        items = [{"kind": item.kind, "shown": access.show_value(item.value, item.kind)} for item in found]
        if "receive" in request.POST:
            report = _received(request, form, found)
            if report is not None:
                return redirect("report", report.pk)
    return render(request, "reports/new.html", {"form": form, "items": items})


def _received(request: HttpRequest, form: NewForm, found: Any) -> Any:
    given = form.cleaned_data
    incoming = IncomingReport(
        channel=Channel.STAFF_FORM,
        items=tuple(IncomingItem(item.kind, item.value, facts=_service(item)) for item in found),
        source_reference=given["source_reference"],
        urgency=frozenset(Urgency(tick) for tick in given["urgency"]),
        text=_beyond(given["paste"], found),
    )
    try:
        receipt = actions.receive(
            incoming,
            channel=Channel.STAFF_FORM,
            actor=actor_of(request).id,
            source=given["source"],
            tlp=Tlp(given["tlp"]),
            importer=actor_of(request).person,
        )
    except LeadlineError as error:
        form.add_error(None, told(error))
        return None
    messages.success(request, _("Report %(number)s is received.") % {"number": receipt.report.number})
    return receipt.report


def _service(item: Any) -> dict[str, object]:
    return {"service": item.service} if item.service else {}


def _beyond(paste: str, found: Any) -> str:
    """The paste as it came, where it says more than its items."""
    kept, rest = 0, paste
    for item in found:
        rest = rest[: item.start - kept] + rest[item.end - kept :]
        kept += item.end - item.start
    return paste if any(map(str.isalnum, rest)) else ""


@requires(Permission.REPORTS_WRITE, files=True)
def import_file(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    receipts: Any = []
    if request.method == "POST" and form.is_valid():
        given, file = form.cleaned_data, form.cleaned_data["file"]
        sender = Sender(
            actor=actor_of(request).id,
            source=given["source"],
            legal_order=given["legal_order"],
            tlp=Tlp(given["tlp"]),
            importer=actor_of(request).person,
        )
        try:
            channel = Channel(given["channel"])
            receipts = take_file(channel, file.read(), file.name, sender, tasks.dns_resolver())
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            form = ImportForm()
    return render(request, "reports/import.html", {"form": form, "receipts": receipts})


@requires(Permission.REPORTS_WRITE, files=True)
def new_bulk(request: HttpRequest) -> HttpResponse:
    form = BulkForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        person = actor_of(request).person
        try:
            file = form.cleaned_data["file"]
            delivery = deliveries.keep(person, file.read(), form.cleaned_data["source"], file.name or "")
        except LeadlineError as error:
            form.add_error("file", told(error))
        else:
            return redirect("bulk", delivery.pk)
    return render(request, "reports/bulk_new.html", {"form": form})


@requires(Permission.REPORTS_WRITE)
def show_bulk(request: HttpRequest, delivery_id: str) -> HttpResponse:
    """Before the import its first lines; afterwards what became of each."""
    delivery = access.find_delivery(actor_of(request), delivery_id)
    if delivery is None:
        raise Http404
    preview = None
    if delivery.begun_at is None and delivery.data_sealed is not None:
        found = bulk.preview(BytesIO(deliveries.open_data(delivery)), where="file", limit=_PREVIEW_ROWS)
        preview = {"format": found.format, "columns": found.columns, "more": found.more, "rows": _rows(found)}
    results = access.delivery_lines(delivery, request.GET.get("cursor", ""))
    is_stopped = deliveries.is_stopped(delivery)
    is_importing = delivery.begun_at is not None and delivery.ended_at is None and not is_stopped
    context = {"delivery": delivery, "preview": preview, "results": results}
    return render(request, "reports/bulk.html", context | {"is_stopped": is_stopped, "is_importing": is_importing})


def _rows(preview: bulk.Preview) -> list[dict[str, Any]]:
    rows = []
    for row in preview.rows:
        if isinstance(row.result, IncomingReport):
            shown = [access.show_value(item.value, item.kind) for item in row.result.items]
            rows.append({"number": row.number, "items": shown, "urgency": sorted(row.result.urgency), "error": ""})
        else:
            rows.append({"number": row.number, "items": [], "urgency": [], "error": told(row.result)})
    return rows


@requires(Permission.REPORTS_WRITE)
@require_POST
def import_bulk(request: HttpRequest, delivery_id: str) -> HttpResponse:
    delivery = access.find_delivery(actor_of(request), delivery_id)
    if delivery is None:
        raise Http404
    try:
        deliveries.order_import(delivery, actor_of(request).person)
    except LeadlineError as error:
        messages.error(request, told(error))
    return redirect("bulk", delivery.pk)


# --- one report ------------------------------------------------------------------------------------------------------


@requires(Permission.REPORTS_WRITE)
@require_POST
def change_state(request: HttpRequest, report_id: str) -> HttpResponse:
    report, form = _found(request, report_id), StateForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a state and a reason."))
        return redirect("report", report.pk)
    given, actor = form.cleaned_data, actor_of(request)
    same_as = access.find_by_number(actor, given["same_as"]) if given["same_as"] else None
    try:
        actions.change_state(
            actor.person,
            report.pk,
            State(given["to"]),
            Reason(given["reason"]),
            seen=State(given["seen"]),
            outcome=Outcome(given["outcome"]) if given["outcome"] else None,
            same_as=same_as,
        )
    except LeadlineError as error:
        messages.error(request, told(error))
    else:
        messages.success(request, _("The change is recorded."))
    return redirect("report", report.pk)


@requires(Permission.REPORTS_WRITE)
@require_POST
def ask_reporter(request: HttpRequest, report_id: str) -> HttpResponse:
    report, form = _found(request, report_id), MessageForm(request.POST)
    if form.is_valid():
        try:
            text, actor = form.cleaned_data["text"], actor_of(request).id
            actions.post_message(report, text=text, actor=actor, from_reporter=False)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return redirect("report", report.pk)
    return _page_of(request, report, message_form=form)


@requires(Permission.REPORTS_WRITE)
@require_POST
def acknowledge(request: HttpRequest, report_id: str) -> HttpResponse:
    report = _found(request, report_id)
    try:
        actions.acknowledge(actor_of(request).person, report)
    except LeadlineError as error:
        messages.error(request, told(error))
    return redirect("report", report.pk)


@requires(Permission.REPORTS_WRITE)
@require_POST
def set_countries(request: HttpRequest, report_id: str) -> HttpResponse:
    report, form = _found(request, report_id), CountriesForm(request.POST)
    if form.is_valid() and _try(request, lambda: actions.set_countries(_person(request), report.pk, form.countries())):
        messages.success(request, _("The change is recorded."))
    return redirect("report", report.pk)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
@require_POST
def set_handling(request: HttpRequest, report_id: str) -> HttpResponse:
    report, form = _found(request, report_id), HandlingForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose what you change, and a reason."))
        return redirect("report", report.pk)
    said = form.cleaned_data
    sensitivity, tlp = Sensitivity(said["sensitivity"]), Tlp(said["tlp"])
    if _try(request, lambda: actions.set_handling(_person(request), report.pk, sensitivity, tlp, said["reason"])):
        messages.success(request, _("The change is recorded; to a looser handling a second person has to agree."))
    return redirect("report", report.pk)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
@require_POST
def decide_handling(request: HttpRequest, report_id: str) -> HttpResponse:
    report, confirm = _found(request, report_id), "confirm" in request.POST
    _try(request, lambda: actions.decide_handling(_person(request), report.pk, confirm=confirm))
    return redirect("report", report.pk)


@requires(Permission.REPORTS_WRITE, fresh=True)
@require_POST
def set_hold(request: HttpRequest, report_id: str) -> HttpResponse:
    return _change_hold(request, report_id, on_hold=True)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
@require_POST
def end_hold(request: HttpRequest, report_id: str) -> HttpResponse:
    return _change_hold(request, report_id, on_hold=False)


def _change_hold(request: HttpRequest, report_id: str, *, on_hold: bool) -> HttpResponse:
    report, form = _found(request, report_id), HoldForm(request.POST)
    if form.is_valid():
        reason = form.cleaned_data["reason"]
        _try(request, lambda: actions.set_hold(_person(request), report.pk, on_hold, reason=reason))
    else:
        messages.error(request, _("Choose a reason."))
    return redirect("report", report.pk)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
@require_POST
def let_see(request: HttpRequest, report_id: str) -> HttpResponse:
    report, form = _found(request, report_id), GrantForm(request.POST, people=access.report_readers())
    person = access.find_colleague(form.cleaned_data["person"]) if form.is_valid() else None
    if person is None:
        messages.error(request, _("Choose a colleague and a number of days."))
    elif _try(request, lambda: actions.let_see(_person(request), person, report, form.lasts())):
        messages.success(request, _("The change is recorded."))
    return redirect("report", report.pk)


def _person(request: HttpRequest) -> Any:
    return actor_of(request).person


def _try(request: HttpRequest, act: Callable[[], Any]) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    return True


# --- the office ------------------------------------------------------------------------------------------------------


@requires(Permission.REPORTS_WRITE)
def set_on_call(request: HttpRequest) -> HttpResponse:
    form = OnCallForm(request.POST or None, people=access.colleagues())
    if request.method == "POST" and form.is_valid():
        person = access.find_colleague(form.cleaned_data["person"])
        if person is not None:
            actions.set_on_call(actor_of(request).person, person, *form.times())
            return redirect("on_call")
    return render(request, "reports/on_call.html", {"form": form, "coming": access.coming_on_call()})


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def set_terms(request: HttpRequest) -> HttpResponse:
    initial = {
        "contact_days": access.retention(access.CONTACT_DAYS).days,
        "report_days": access.retention(access.REPORT_DAYS).days,
        "search_fields": access.search_fields(),
    }
    form = SettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        given, person = form.cleaned_data, actor_of(request).person
        values = {
            access.CONTACT_DAYS: str(given["contact_days"]),
            access.REPORT_DAYS: str(given["report_days"]),
            access.SEARCH_FIELDS: ",".join(given["search_fields"]) or "none",
        }
        for name, value in values.items():
            set_office_setting(person, name, value, given["legal_basis"])
        messages.success(request, _("The change is recorded."))
        return redirect("report_terms")
    return render(request, "reports/terms.html", {"form": form})


def _found(request: HttpRequest, report_id: str) -> Any:
    report = access.find_report(actor_of(request), report_id)
    if report is None:
        raise Http404
    return report
