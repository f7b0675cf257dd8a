"""How allauth's sign-in is fitted to the house: by invitation only, with our layout of second factors and OIDC."""

from __future__ import annotations

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from leadline.workbench.accounts import access, throttle
from leadline.workbench.accounts.models import Person

_MFA_METHODS = {"mfa", "otp", "hwk", "swk", "fpt", "face", "iris", "sc", "pop"}  # RFC 8176 values of `amr`


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        super().pre_authenticate(request, **credentials)
        if throttle.must_wait(request, credentials.get("email", "")):
            raise ValidationError(_("Too many attempts. Wait ten minutes, or sign in with a passkey."))

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        super().authentication_failed(request, **credentials)
        throttle.note_failure(request, credentials.get("email", ""))

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        throttle.remember_browser(response, user, is_secure=settings.SESSION_COOKIE_SECURE)
        return response


class MfaAdapter(DefaultMFAAdapter):
    """Secrets of authenticators are sealed at rest, so that a copy of the database alone signs nobody in."""

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
    derived = HKDF(SHA256(), 32, salt=None, info=b"leadline authenticators").derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(derived))


class OidcAdapter(DefaultSocialAccountAdapter):
    """Sign-in by the office's OpenID Connect provider: for people who were invited, never for strangers."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        told = sociallogin.account.extra_data
        claims = {**(told.get("userinfo") or {}), **(told.get("id_token") or {})}
        if not sociallogin.is_existing:
            self._connect(request, sociallogin, claims)
        methods = set(claims.get("amr") or ())
        request.session[access.MFA_BY_PROVIDER] = bool(methods & _MFA_METHODS)

    def _connect(self, request: HttpRequest, sociallogin: Any, claims: Any) -> None:
        """By a verified address of somebody who is here already; everybody else is turned away alike."""
        email = str(claims.get("email", ""))
        person = Person.objects.filter(email__iexact=email, is_active=True).first() if email else None
        if person is None or claims.get("email_verified") is not True:
            messages.error(request, _("This sign-in belongs to nobody here. Ask for an invitation."))
            raise ImmediateHttpResponse(redirect("account_login"))
        sociallogin.connect(request, person)
