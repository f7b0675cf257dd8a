"""Pages of accounts: the way in, the person's own page, the people of the office."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from allauth.account.internal.flows.login import record_authentication
from allauth.account.views import password_reset_from_key
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views import i18n

from leadline.errors import LeadlineError
from leadline.workbench.accounts import access, actions, throttle
from leadline.workbench.accounts.actions import mail_invitation
from leadline.workbench.accounts.forms import (
    InviteForm,
    JoinForm,
    KeyForm,
    LanguageForm,
    PasswordForm,
    ReasonForm,
    RoleForm,
)
from leadline.workbench.permissions import Permission, Role, requires
from leadline.workbench.words import told

if TYPE_CHECKING:
    from leadline.workbench.accounts.models import Person


@requires(Permission.SIGNED_IN)
def show_home(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/home.html", {"roles": sorted(access.roles_of(request.user))})


@requires(Permission.SIGNED_IN)
def show_account(request: HttpRequest) -> HttpResponse:
    """What is a person's own: the language here; keys, sessions, factors and the password behind links."""
    person = access.person_of(request)
    form = LanguageForm(request.POST or None, initial={"language": person.language})
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/account.html", {"form": form})
    actions.set_language(person, form.cleaned_data["language"])
    with override(person.language or get_language()):  # said in the language that was just chosen
        messages.success(request, str(_("The change is saved.")))
    response = redirect("account")
    response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    return response


@requires(Permission.ANYONE)
def set_language(request: HttpRequest) -> HttpResponse:
    """From the head of every page: for this browser, and for somebody who has signed in their own from now on."""
    if request.method == "POST" and request.user.is_authenticated:
        form = LanguageForm(request.POST)
        if form.is_valid() and form.cleaned_data["language"]:
            actions.set_language(access.person_of(request), form.cleaned_data["language"])
    return i18n.set_language(request)


@requires(Permission.SIGNED_IN)
def show_second_factor(request: HttpRequest) -> HttpResponse:
    """Where a person without a second factor is sent, whatever page was asked for."""
    if access.has_second_factor(request.user, request):
        return redirect("home")
    return render(request, "accounts/second_factor.html", {"may_enrol": access.has_just_joined(request)})


@requires(Permission.ANYONE)
def join(request: HttpRequest, token: str) -> HttpResponse:
    invitation = access.find_invitation(token)
    if invitation is None:
        return _join_again(request, token)
    at_setup = not access.is_set_up()
    form = JoinForm(request.POST or None, invited_email=invitation.email, at_setup=at_setup)
    if request.method == "POST" and form.is_valid():
        person = actions.accept_invitation(
            token,
            email=form.cleaned_data["email"],
            name=form.cleaned_data["name"],
            password=form.cleaned_data["password"],
            is_alone=form.cleaned_data.get("is_alone", False),
        )
        return _begin(request, person)
    return render(request, "accounts/join.html", {"form": form, "at_setup": at_setup})


def _begin(request: HttpRequest, person: Person) -> HttpResponse:
    """Signed in by the invitation: the one session in which a first second factor is set up."""
    login(request, person, backend="allauth.account.auth_backends.AuthenticationBackend")
    record_authentication(request, person, method="password", email=person.email, reauthenticated=True)
    actions.list_session(request)
    request.session[access.JOINED] = [str(person.pk), time.time()]
    response = redirect("second_factor")
    throttle.remember_browser(response, person.email)
    return response


def _join_again(request: HttpRequest, token: str) -> HttpResponse:
    """Who stopped before the second factor was set up goes on with the link and the password they chose."""
    begun = access.find_begun_invitation(token)
    if begun is None:
        raise Http404
    person, form = begun.used_by, PasswordForm(request.POST or None)
    assert person is not None  # of a begun one
    if request.method == "POST" and form.is_valid():
        if not throttle.may_try(request, person.email):
            form.add_error(None, _("Too many attempts. Wait ten minutes."))
        elif person.check_password(form.cleaned_data["password"]):
            throttle.give_back(request, person.email)
            return _begin(request, person)
        else:
            form.add_error("password", _("This is not the password you chose."))
    return render(request, "accounts/join.html", {"form": form, "at_setup": False})


@requires(Permission.ANYONE)
def set_new_password(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    """allauth's. Who chose a new password here came by the mail to that address, so strangers' guesses no longer slow
    them in this browser; the second factor is asked for all the same."""
    response: HttpResponse = password_reset_from_key(request, uidb36=uidb36, key=key)
    person = getattr(request, "leadline_proved", None)
    if person is not None:
        throttle.remember_browser(response, person.email)
    return response


@requires(Permission.PEOPLE_READ)
def list_people(request: HttpRequest) -> HttpResponse:
    context = {
        "people": access.people(),
        "unconfirmed": access.unconfirmed_grants(),
        "invitations": access.open_invitations(),
        "invite_form": InviteForm(),
        "role_form": RoleForm(),
        "reason_form": ReasonForm(),
        "held": access.permissions_of(request.user),
        "on_one_word": access.stand_on_one_word(),
        "is_alone": access.is_one_person_office(),
        "has_second": access.has_second_person(request.user),
    }
    return render(request, "accounts/people.html", context)


@requires(Permission.PEOPLE_MANAGE, fresh=True)
def invite_person(request: HttpRequest) -> HttpResponse:
    form = InviteForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/invite.html", {"form": form})
    try:
        roles = [Role(role) for role in form.cleaned_data["roles"]]
        token = actions.invite(access.person_of(request), form.cleaned_data["email"], roles)
    except LeadlineError as error:
        form.add_error(None, told(error))
        return render(request, "accounts/invite.html", {"form": form})
    link, email = request.build_absolute_uri(reverse("join", args=[token])), form.cleaned_data["email"]
    try:
        is_sent = mail_invitation(email, link)
    except OSError:
        form.add_error(None, _("The mail server did not take the invitation. Withdraw it, and try again later."))
        return render(request, "accounts/invite.html", {"form": form})
    return render(request, "accounts/invited.html", {"link": "" if is_sent else link, "email": email})


@requires(Permission.PEOPLE_MANAGE, fresh=True)
def withdraw_invitation(request: HttpRequest, invitation_id: str) -> HttpResponse:
    if request.method == "POST":
        try:
            actions.withdraw_invitation(access.person_of(request), invitation_id)
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("The link opens nothing any more."))
    return redirect("people")


@requires(Permission.PEOPLE_MANAGE, fresh=True)
def end_one_person_office(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        try:
            actions.end_one_person_office(access.person_of(request))
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("From here on two people are needed."))
    return redirect("people")


@requires(Permission.PEOPLE_MANAGE, fresh=True)
def change_role(request: HttpRequest, person_id: str, what: str) -> HttpResponse:
    person, form = _found(person_id), RoleForm(request.POST or None)
    if what not in ("give", "end"):
        raise Http404
    if request.method == "POST" and form.is_valid():
        change = actions.give_role if what == "give" else actions.end_role
        try:
            change(access.person_of(request), person, Role(form.cleaned_data["role"]))
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("The change is recorded."))
    return redirect("people")


@requires(Permission.PEOPLE_CONFIRM, fresh=True)
def confirm_role(request: HttpRequest, grant_id: int) -> HttpResponse:
    if request.method == "POST" and access.unconfirmed_grants().filter(pk=grant_id).exists():
        try:
            actions.confirm_role(access.person_of(request), grant_id)
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("The role is confirmed."))
    return redirect("people")


@requires(Permission.PEOPLE_MANAGE, fresh=True)
def deactivate_person(request: HttpRequest, person_id: str) -> HttpResponse:
    person, form = _found(person_id), ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.deactivate_person(access.person_of(request), person, form.cleaned_data["reason"])
        except LeadlineError as error:
            messages.error(request, told(error))
        else:
            messages.success(request, _("The account is closed."))
    return redirect("people")


@requires(Permission.SIGNED_IN)
def list_keys(request: HttpRequest) -> HttpResponse:
    form = KeyForm(roles=access.roles_of(request.user))
    return render(request, "accounts/keys.html", {"keys": access.keys_of(request.user), "form": form})


@requires(Permission.SIGNED_IN, fresh=True)
def make_key(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST or None, roles=access.roles_of(request.user))
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        scopes = [Permission(scope) for scope in given["scopes"]]
        try:
            key, secret = actions.make_key(
                access.person_of(request), given["name"], Role(given["role"]), scopes, timedelta(days=given["days"])
            )
        except LeadlineError as error:
            form.add_error(None, told(error))
        else:
            return render(request, "accounts/key_made.html", {"key": key, "secret": secret})
    return render(request, "accounts/keys.html", {"keys": access.keys_of(request.user), "form": form})


@requires(Permission.SIGNED_IN, fresh=True)
def end_key(request: HttpRequest, key_id: str) -> HttpResponse:
    key = access.keys_of(request.user).filter(pk=key_id).first()
    if key is None:
        raise Http404
    if request.method == "POST" and key.ended_at is None:
        actions.end_key(access.person_of(request), key)
    return redirect("keys")


def _found(person_id: str) -> Person:
    person = access.find_person(person_id)
    if person is None:
        raise Http404
    return person
