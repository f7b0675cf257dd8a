"""Codes of authenticator apps and recovery codes: so many tries for one person, from whatever address they come.

allauth's own limit by person shares its name with the one for passwords, which must not be by person: a stranger could
lock an account's owner out. Whoever gets as far as a code has given the password, or is signed in; where that was not
the owner, the owner's own browser is not slowed here either. And the form for a new password, which notes whose it was.
"""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ResetPasswordKeyForm
from allauth.core import context
from allauth.mfa.base import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from leadline.workbench.accounts import throttle


class _Counted:
    user: Any

    def clean_code(self) -> str:
        codes = throttle.codes_of(self.user)
        if not throttle.may_try(context.request, codes):
            raise ValidationError(_("Too many attempts. Wait ten minutes, or use a passkey."))
        code = str(super().clean_code())  # type: ignore[misc]
        throttle.give_back(context.request, codes)
        return code


class NewPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    """By the link in a mail. `views.set_new_password` asks whose it was."""

    def save(self) -> None:
        super().save()
        context.request.leadline_proved = self.user


class AuthenticateForm(_Counted, forms.AuthenticateForm):  # type: ignore[misc]
    """At sign-in."""


class ReauthenticateForm(_Counted, forms.ReauthenticateForm):  # type: ignore[misc]
    """Before an act that asks for a fresh proof."""
