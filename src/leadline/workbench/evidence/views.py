"""Pages of evidence: numbers, hashes, states. No page sends a byte of any file, and none shows a picture."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from leadline.domain import Tlp
from leadline.errors import LeadlineError
from leadline.workbench.accounts import access as people
from leadline.workbench.actors import actor_of
from leadline.workbench.evidence import access, actions, tasks
from leadline.workbench.evidence.forms import (
    AskForm,
    DecideForm,
    ExhibitForm,
    HandlingForm,
    HoldForm,
    MediaModeForm,
    ReceiptForm,
    TermForm,
    UploadForm,
)
from leadline.workbench.permissions import Permission, Sensitivity, requires
from leadline.workbench.receiving import SealingUpload
from leadline.workbench.words import told

_STAFF = "staff-upload"


@requires(Permission.EVIDENCE_READ)
def list_assets(request: HttpRequest) -> HttpResponse:
    form = AskForm(request.GET)
    asked = access.Asked(**form.cleaned_data) if form.is_valid() else access.Asked()
    assets = access.find_assets(actor_of(request), asked)
    page = access.page_of(assets, ("-received_at", "-id"), request.GET.get("after", ""), "assets")
    access.veil(actor_of(request), page.rows)
    count = access.count_up_to(assets)
    context = {"page": page, "form": form, "count": count, "at_most": access.COUNTED_AT_MOST}
    return render(request, "evidence/assets.html", context)


@requires(Permission.EVIDENCE_READ)
def show_asset(request: HttpRequest, asset_id: str) -> HttpResponse:
    asset = _asset(request, asset_id)
    return render(request, "evidence/asset.html", _asset_context(request, asset))


def _asset_context(request: HttpRequest, asset: Any) -> dict[str, Any]:
    actor = actor_of(request)
    access.veil(actor, [asset])
    return {
        "asset": asset,
        "views": asset.views.all(),
        "matches": access.matches_of(actor, asset),
        "hidden_matches": access.count_hidden_matches(actor, asset),
        "lines": access.lines_of(asset.pk)[:200],
        "hold_form": HoldForm(),
        "term_form": TermForm(),
        "handling_form": HandlingForm(initial={"sensitivity": asset.sensitivity, "tlp": asset.tlp}),
        "held": people.permissions_of(request.user),
    }


@csrf_exempt  # the inner view is protected; the body must not be read before its handler is set
@requires(Permission.EVIDENCE_WRITE, files=True)
def upload(request: HttpRequest) -> HttpResponse:
    arriving = SealingUpload(request, mode=access.media_mode())
    request.upload_handlers = [arriving]
    try:
        return _upload(request)
    finally:
        arriving.drop()


@csrf_protect
def _upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data["file"]
        try:
            asset = actions.take_in(given.received, actor=str(request.user.pk), source=_STAFF, name=given.name or "")
        except LeadlineError as error:
            form.add_error("file", told(error))
        else:
            messages.success(request, _("The file is recorded."))
            if access.find_asset(actor_of(request), asset.pk) is None:  # known, and not for this person's eyes
                return redirect("assets")
            return redirect("asset", asset_id=asset.pk)
    return render(request, "evidence/upload.html", {"form": form, "mode": access.media_mode()})


@requires(Permission.EVIDENCE_WRITE)
def hold_asset(request: HttpRequest, asset_id: str) -> HttpResponse:
    return _change_hold(request, asset_id, is_on=True)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
def end_hold(request: HttpRequest, asset_id: str) -> HttpResponse:
    return _change_hold(request, asset_id, is_on=False)


def _change_hold(request: HttpRequest, asset_id: str, *, is_on: bool) -> HttpResponse:
    asset, form = _asset(request, asset_id), HoldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        _try(request, lambda: actions.set_hold(_person(request), asset, is_on=is_on, reason=reason))
    return redirect("asset", asset_id=asset.pk)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
def set_term(request: HttpRequest, asset_id: str) -> HttpResponse:
    asset, form = _asset(request, asset_id), TermForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _try(request, lambda: actions.set_term(_person(request), asset, form.until(), form.cleaned_data["reason"]))
    return redirect("asset", asset_id=asset.pk)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
def set_handling(request: HttpRequest, asset_id: str) -> HttpResponse:
    asset, form = _asset(request, asset_id), HandlingForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        sensitivity, tlp = Sensitivity(said["sensitivity"]), Tlp(said["tlp"])
        _try(request, lambda: actions.set_handling(_person(request), asset, sensitivity, tlp, said["reason"]))
    return redirect("asset", asset_id=asset.pk)


@requires(Permission.EVIDENCE_READ)
def list_tasks(request: HttpRequest) -> HttpResponse:
    open_tasks = access.open_tasks(actor_of(request))
    page = access.page_of(open_tasks, ("-id",), request.GET.get("after", ""), "evidence-tasks")
    access.veil(actor_of(request), page.rows)
    return render(
        request,
        "evidence/tasks.html",
        {
            "page": page,
            "count": access.count_up_to(open_tasks),
            "at_most": access.COUNTED_AT_MOST,
            "held": people.permissions_of(request.user),
        },
    )


@requires(Permission.EVIDENCE_WRITE)
def end_task(request: HttpRequest, task_id: int) -> HttpResponse:
    task = access.find_task(actor_of(request), task_id)
    if task is None:
        raise Http404
    if request.method == "POST":
        _try(request, lambda: actions.end_task(_person(request), task))
    return redirect("evidence_tasks")


# --- exhibits --------------------------------------------------------------------------------------------------------


@requires(Permission.EVIDENCE_READ)
def list_exhibits(request: HttpRequest) -> HttpResponse:
    exhibits = access.visible_exhibits(actor_of(request))
    page = access.page_of(exhibits, ("-requested_at", "-id"), request.GET.get("after", ""), "exhibits")
    context = {"page": page, "held": people.permissions_of(request.user)}
    return render(request, "evidence/exhibits.html", context)


@requires(Permission.EVIDENCE_EXPORT, fresh=True)
def request_exhibit(request: HttpRequest) -> HttpResponse:
    form = ExhibitForm(request.POST or None, initial={"assets": request.GET.get("asset", "")})
    if request.method == "POST" and form.is_valid():
        said = dict(form.cleaned_data)
        assets, missing = access.assets_named(actor_of(request), said.pop("assets"))
        if missing:
            form.add_error("assets", _("Not found: %(name)s") % {"name": missing[0]})
        else:
            try:
                exhibit = actions.request_exhibit(_person(request), assets, **said)
            except LeadlineError as error:
                form.add_error(None, told(error))
            else:
                return redirect("exhibit", exhibit_id=exhibit.pk)
    return render(request, "evidence/exhibit_new.html", {"form": form})


@requires(Permission.EVIDENCE_READ)
def show_exhibit(request: HttpRequest, exhibit_id: str) -> HttpResponse:
    exhibit = _exhibit(request, exhibit_id)
    assets = access.visible_assets(actor_of(request)).filter(exhibits=exhibit)
    context = {
        "exhibit": exhibit,
        "assets": assets.order_by("-received_at", "-id")[:500],
        "count": access.count_up_to(exhibit.assets.all()),
        "lines": access.lines_of(exhibit.pk)[:200],
        "is_ready": access.is_ready(exhibit),
        "decide_form": DecideForm(),
        "receipt_form": ReceiptForm(),
        "held": people.permissions_of(request.user),
        "may_decide": people.is_one_person_office() or people.are_two(exhibit.requested_by, request.user),
    }
    return render(request, "evidence/exhibit.html", context)


@requires(Permission.EVIDENCE_RELEASE, fresh=True)
def decide_exhibit(request: HttpRequest, exhibit_id: str, what: str) -> HttpResponse:
    exhibit, form = _exhibit(request, exhibit_id), DecideForm(request.POST or None)
    if what not in ("release", "refuse"):
        raise Http404
    if request.method == "POST" and form.is_valid():
        is_release, reason = what == "release", form.cleaned_data["reason"]
        decide = actions.decide_exhibit
        if _try(request, lambda: decide(_person(request), exhibit, release=is_release, reason=reason)) and is_release:
            tasks.build.enqueue(str(exhibit.pk))
    return redirect("exhibit", exhibit_id=exhibit.pk)


@requires(Permission.EVIDENCE_EXPORT, fresh=True)
def build_again(request: HttpRequest, exhibit_id: str) -> HttpResponse:
    exhibit = _exhibit(request, exhibit_id)
    if request.method == "POST" and _try(request, lambda: actions.build_again(_person(request), exhibit)):
        tasks.build.enqueue(str(exhibit.pk))
    return redirect("exhibit", exhibit_id=exhibit.pk)


@requires(Permission.EVIDENCE_EXPORT, fresh=True)
def download_exhibit(request: HttpRequest, exhibit_id: str) -> HttpResponse:
    """A bag of hashes and custody, perhaps with files encrypted to their recipient: nothing a browser could show."""
    exhibit = _exhibit(request, exhibit_id)
    path = access.exhibit_path(exhibit.pk)
    if request.method != "POST" or not access.is_ready(exhibit) or not path.exists():
        raise Http404
    if path.stat().st_size != exhibit.size_bytes:  # changed since it was built: not what the journal speaks of
        messages.error(request, _("The file of this exhibit is not the one that was built. Call someone."))
        return redirect("exhibit", exhibit_id=exhibit.pk)
    actions.note_download(_person(request), exhibit)
    name = f"exhibit-{exhibit.pk}.zip"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)  # type: ignore[return-value]


@requires(Permission.EVIDENCE_EXPORT, files=True)
def note_receipt(request: HttpRequest, exhibit_id: str) -> HttpResponse:
    exhibit = _exhibit(request, exhibit_id)
    form = ReceiptForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        confirmation = form.cleaned_data["confirmation"].read()
        _try(request, lambda: actions.note_receipt(_person(request), exhibit, confirmation))
    return redirect("exhibit", exhibit_id=exhibit.pk)


# --- the office's decision -------------------------------------------------------------------------------------------


@requires(Permission.SETTINGS_MANAGE, fresh=True)
def set_media_mode(request: HttpRequest) -> HttpResponse:
    now = {"mode": access.media_mode().value, "retention_days": access.retention_days()}
    form = MediaModeForm(request.POST or None, initial=now)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            actions.set_media_mode(
                _person(request), said["mode"], said["legal_basis"], retention_days=said["retention_days"]
            )
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            messages.success(request, _("The change is recorded."))
            return redirect("media_mode")
    decisions = access.media_decisions()[:20]
    context = {"form": form, "decisions": decisions, "upload_limit": settings.LEADLINE_MAX_UPLOAD_BYTES}
    return render(request, "evidence/media_mode.html", context)


def _try(request: HttpRequest, act: Any) -> bool:
    try:
        act()
    except LeadlineError as error:
        messages.error(request, told(error))
        return False
    messages.success(request, _("The change is recorded."))
    return True


def _asset(request: HttpRequest, asset_id: str) -> Any:
    asset = access.find_asset(actor_of(request), asset_id)
    if asset is None:
        raise Http404
    return asset


def _exhibit(request: HttpRequest, exhibit_id: str) -> Any:
    exhibit = access.find_exhibit(actor_of(request), exhibit_id)
    if exhibit is None:
        raise Http404
    return exhibit


def _person(request: HttpRequest) -> Any:
    return request.user
