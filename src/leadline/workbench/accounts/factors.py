"""Codes of authenticator apps and recovery codes: so many tries for one person, from whatever address they come.

allauth's own limit by person shares its name with the one for passwords, which must not be by person: a stranger could
lock an account's owner out. Whoever gets as far as a code has given the password, or is signed in.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.base import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from leadline.workbench.accounts import throttle


class _Counted:
    user: Any

    def clean_code(self) -> str:
        key = f"factor:{self.user.pk}"
        if throttle.must_wait(context.request, key):
            raise ValidationError(_("Too many attempts. Wait ten minutes, or use a passkey."))
        try:
            return str(super().clean_code())  # type: ignore[misc]
        except ValidationError:
            throttle.note_failure(context.request, key)
            raise


class AuthenticateForm(_Counted, forms.AuthenticateForm):  # type: ignore[misc]
    """At sign-in."""


class ReauthenticateForm(_Counted, forms.ReauthenticateForm):  # type: ignore[misc]
    """Before an act that asks for a fresh proof."""
