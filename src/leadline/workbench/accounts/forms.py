"""Forms of accounts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from leadline.workbench.accounts.models import Person
from leadline.workbench.permissions import ROLE_PERMISSIONS, Role
from leadline.workbench.words import choices

ROLES = choices("role")


class PasswordForm(forms.Form):
    password = forms.CharField(
        label=_("Password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class JoinForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"))
    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("What colleagues see. A pseudonym protects you as well.")
    )
    password = forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters. A passkey or an authenticator app comes next."),
    )
    is_alone = forms.BooleanField(
        label=_("I work alone"),
        required=False,
        help_text=_("A one-person office: nobody else can confirm rights over evidence. This choice is recorded."),
    )

    def __init__(self, *args: Any, invited_email: str = "", at_setup: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not at_setup:
            del self.fields["is_alone"]
        if invited_email:
            self.fields["email"].disabled = True
            self.initial["email"] = invited_email

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if Person.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError(_("This address has an account already."))
        return email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        person = Person(email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", ""))
        validate_password(password, person)
        return password


class LanguageForm(forms.Form):
    """One's own, in every browser one signs in with."""

    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("As the browser says")), *settings.LANGUAGES]
    )


class InviteForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"))
    roles = forms.MultipleChoiceField(label=_("Roles"), choices=ROLES, widget=forms.CheckboxSelectMultiple)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=ROLES)


class ReasonForm(forms.Form):
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=[("left-office", _("Left the office")), ("misuse", _("Misuse")), ("mistake", _("Made by mistake"))],
    )


class KeyForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Which program uses it."))
    role = forms.ChoiceField(label=_("Role"))
    scopes = forms.MultipleChoiceField(label=_("May"), widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(label=_("Days until it ends"), min_value=1, max_value=366, initial=90)

    def __init__(self, *args: Any, roles: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = sorted(roles)
        permissions = sorted(frozenset().union(*(ROLE_PERMISSIONS[Role(role)] for role in held)))
        self.fields["role"].choices = choices("role", *held)  # type: ignore[attr-defined]
        scopes = [(name, format_html("<code>{}</code>", name)) for name in permissions]
        self.fields["scopes"].choices = scopes  # type: ignore[attr-defined]
