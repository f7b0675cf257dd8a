"""How allauth's sign-in is fitted to the house: by invitation only, with our layout of second factors and OIDC."""

from __future__ import annotations

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from cryptography.fernet import Fernet
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from leadline.workbench import sealing
from leadline.workbench.accounts import access, throttle
from leadline.workbench.accounts.models import Person

# RFC 8176: values of `amr` by what they prove. One kind alone is one factor, whatever its name.
_KNOWS = frozenset({"pwd", "pin", "kba"})
_HAS = frozenset({"otp", "hwk", "swk", "sc", "pop", "sms", "tel"})
_IS = frozenset({"face", "fpt", "iris", "retina", "vbm"})


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        super().pre_authenticate(request, **credentials)
        email = str(credentials.get("email", ""))
        if not throttle.may_try(request, email):
            raise ValidationError(_("Too many attempts. Wait ten minutes, or sign in with a passkey."))

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """At sign-in, and where somebody proves again who they are."""
        person, email = super().authenticate(request, **credentials), str(credentials.get("email", ""))
        if person is not None:
            throttle.give_back(request, email)
        return person

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        social = (kwargs.get("signal_kwargs") or {}).get("sociallogin")
        if social is not None and is_multi_factor(claims_of(social)):
            request.session[access.MFA_BY_PROVIDER] = str(user.pk)  # for this person, and no other of this browser
        else:
            request.session.pop(access.MFA_BY_PROVIDER, None)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        throttle.remember_browser(response, user.email, throttle.codes_of(user))
        return response

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whom the limits count: behind the named proxy the visitor, not the proxy."""
        return throttle.address_of(request).partition("/")[0] or "127.0.0.1"


class MfaAdapter(DefaultMFAAdapter):
    """Secrets of authenticators are sealed under the instance key: a copy of the database signs nobody in, and after a
    restore everybody's second factor is still theirs."""

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: Any) -> str:
        return str(user.email)

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """The last second factor stays: it is replaced, not removed."""
        kinds = (authenticator.Type.TOTP, authenticator.Type.WEBAUTHN)
        if authenticator.type not in kinds:
            return True
        return bool(type(authenticator).objects.filter(user=authenticator.user, type__in=kinds).count() > 1)


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(sealing.derive("authenticators")))


class OidcAdapter(DefaultSocialAccountAdapter):
    """Sign-in by the office's OpenID Connect provider: for people who were invited, never for strangers."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.state.get("process") != "login":  # to connect, or only to come back from there: not used here
            raise ImmediateHttpResponse(redirect("account_login"))
        if not sociallogin.is_existing:
            self._connect(request, sociallogin, claims_of(sociallogin))

    def _connect(self, request: HttpRequest, sociallogin: Any, claims: Any) -> None:
        """By a verified address of somebody who is here already; everybody else is turned away alike."""
        email = str(claims.get("email", ""))
        person = Person.objects.filter(email__iexact=email, is_active=True).first() if email else None
        linked = SocialAccount.objects.filter(user=person, provider=sociallogin.account.provider)
        # linked: somebody has come in by this address already, and an address may be given to another at the provider
        if person is None or claims.get("email_verified") is not True or linked.exists():
            messages.error(request, _("This sign-in belongs to nobody here. Ask for an invitation."))
            raise ImmediateHttpResponse(redirect("account_login"))
        sociallogin.connect(request, person)


def claims_of(sociallogin: Any) -> dict[str, Any]:
    told = sociallogin.account.extra_data
    return {**(told.get("userinfo") or {}), **(told.get("id_token") or {})}


def is_multi_factor(claims: dict[str, Any]) -> bool:
    """Whether the provider says that two kinds of proof were given."""
    told = claims.get("amr")
    methods = {str(method) for method in told} if isinstance(told, list) else set()
    return "mfa" in methods or sum(bool(methods & kind) for kind in (_KNOWS, _HAS, _IS)) >= 2
