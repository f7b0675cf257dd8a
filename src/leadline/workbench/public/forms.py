"""Forms of the public side: addresses and text, ticks, contact if wanted, a passphrase, an answer. No upload."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from leadline.domain import Urgency
from leadline.workbench.public.passphrase import MAX_CHARACTERS, normalize_passphrase

MAX_ADDRESSES = 100
MAX_TEXT_CHARACTERS = 20_000
MAX_URLS_CHARACTERS = 20_000
MAX_MESSAGE_CHARACTERS = 10_000  # reports.actions.post_message takes no more
# A browser's spelling check may send what is typed to a service elsewhere.
_QUIET = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}


class PublicForm(forms.Form):
    """Its signed token, and no `required` attribute: the server's list of faults is the same in every browser."""

    use_required_attribute = False
    token = forms.CharField(max_length=200, required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, label_suffix="", auto_id="%s", **kwargs)
        for field in self.fields.values():  # a browser would cut off a long text without a word; the server says so
            field.widget.attrs.pop("maxlength", None)


class ReportForm(PublicForm):
    urls = forms.CharField(
        label=_("Web addresses"),
        help_text=_("One on each line. Copy them from the address bar. Do not go back there to look again."),
        max_length=MAX_URLS_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "inputmode": "url", **_QUIET}),
    )
    text = forms.CharField(
        label=_("What do you want to tell us?"),
        help_text=_("In your own words: where it is, when you saw it, a name that is used there. Write as you like."),
        max_length=MAX_TEXT_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, **_QUIET}),
    )
    urgency = forms.MultipleChoiceField(
        label=_("Does one of these apply?"),
        choices=[
            (Urgency.CHILD_AT_RISK_NOW.value, _("A child is in danger now")),
            (Urgency.ONGOING.value, _("It is still going on")),
            (Urgency.KNOWN_VICTIM_CONTACT.value, _("It is about me, or about somebody I know")),
            (Urgency.COMMERCIAL.value, _("Somebody asks for money for it")),
        ],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name", "spellcheck": "false"}),
    )
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
    )
    phone = forms.CharField(
        label=_("Telephone number"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "spellcheck": "false"}),
    )

    def clean_urls(self) -> list[str]:
        lines = [line.strip() for line in str(self.cleaned_data["urls"]).splitlines() if line.strip()]
        if len(lines) > MAX_ADDRESSES:
            message = _("These are more than %(most)d addresses. Send the rest in a second report.")
            raise ValidationError(message, params={"most": MAX_ADDRESSES})
        return lines

    def clean(self) -> dict[str, Any]:
        data = dict(super().clean() or {})
        if not self.errors and not data.get("urls") and not data.get("text"):
            self.add_error("urls", _("Give an address here, or write something in the next field."))
        return data

    def contact_fields(self) -> list[forms.BoundField]:
        return [self["name"], self["email"], self["phone"]]


class AppealForm(ReportForm):
    """As a report, with a reason and without ticks: no appeal is more urgent than another."""

    urgency = None  # type: ignore[assignment]
    urls = forms.CharField(
        label=_("What is it about?"),
        help_text=_("An address, a number that we gave you, or the hash of a file. One on each line."),
        max_length=MAX_URLS_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, **_QUIET}),
    )
    text = forms.CharField(
        label=_("Why do you think that the decision is wrong?"),
        max_length=MAX_TEXT_CHARACTERS,
        error_messages={"required": _("Tell us in a few words why.")},
        widget=forms.Textarea(attrs={"rows": 8, **_QUIET}),
    )


class PassphraseForm(PublicForm):
    passphrase = forms.CharField(
        label=_("Your passphrase"),
        help_text=_("The words that you were given after your report. Capital letters do not matter."),
        max_length=MAX_CHARACTERS,
        error_messages={"required": _("Type in the words of your passphrase.")},
        widget=forms.TextInput(attrs=_QUIET),
    )

    def clean_passphrase(self) -> str:
        return normalize_passphrase(str(self.cleaned_data["passphrase"]))


class AnswerForm(PublicForm):
    ticket = forms.CharField(max_length=2000, widget=forms.HiddenInput)
    answer = forms.CharField(
        label=_("Your message to us"),
        max_length=MAX_MESSAGE_CHARACTERS,
        error_messages={"required": _("Write your message first.")},
        widget=forms.Textarea(attrs={"rows": 6, **_QUIET}),
    )
