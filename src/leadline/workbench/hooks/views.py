"""Pages of webhooks."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from leadline.errors import LeadlineError
from leadline.workbench.actors import actor_of
from leadline.workbench.hooks import access, actions
from leadline.workbench.hooks.forms import EndpointForm
from leadline.workbench.permissions import Permission, requires
from leadline.workbench.words import told

_A_PAGE = 50


@requires(Permission.WEBHOOKS_MANAGE)
def list_webhooks(request: HttpRequest) -> HttpResponse:
    return render(request, "hooks/endpoints.html", {"endpoints": access.endpoints(), "form": EndpointForm()})


@requires(Permission.WEBHOOKS_MANAGE, fresh=True)
def make_webhook(request: HttpRequest) -> HttpResponse:
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint = actions.make_endpoint(actor_of(request).person, **form.cleaned_data)
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return render(request, "hooks/secret.html", {"endpoint": endpoint, "secret": access.secret_of(endpoint)})
    return render(request, "hooks/endpoints.html", {"endpoints": access.endpoints(), "form": form})


@requires(Permission.WEBHOOKS_MANAGE)
def show_webhook(request: HttpRequest, endpoint_id: str) -> HttpResponse:
    endpoint = access.find_endpoint(endpoint_id)
    if endpoint is None:
        raise Http404
    page = Paginator(access.deliveries_of(endpoint), _A_PAGE).get_page(request.GET.get("page"))
    return render(request, "hooks/deliveries.html", {"endpoint": endpoint, "page": page})


@requires(Permission.WEBHOOKS_MANAGE, fresh=True)
def change_webhook(request: HttpRequest, endpoint_id: str, what: str) -> HttpResponse:
    endpoint, person = access.find_endpoint(endpoint_id), actor_of(request).person
    if endpoint is None or what not in {"renew", "end"}:
        raise Http404
    if request.method == "POST":
        try:
            if what == "renew":
                endpoint = actions.renew_secret(person, endpoint)
                shown = {"endpoint": endpoint, "secret": access.secret_of(endpoint)}
                return render(request, "hooks/secret.html", shown)
            actions.end_endpoint(person, endpoint, "ended-by-person")
        except LeadlineError as error:
            messages.error(request, told(error))
    return redirect("webhooks")


@requires(Permission.WEBHOOKS_MANAGE)
def send_again(request: HttpRequest, endpoint_id: str, delivery_id: int) -> HttpResponse:
    endpoint = access.find_endpoint(endpoint_id)
    delivery = None if endpoint is None else access.deliveries_of(endpoint).filter(pk=delivery_id).first()
    if delivery is None:
        raise Http404
    if request.method == "POST":
        try:
            actions.send_again(actor_of(request).person, delivery)
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("It is sent again within seconds."))
    return redirect("webhook", endpoint_id)
