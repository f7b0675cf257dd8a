"""Forms of webhooks."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=_("Address"), max_length=500, help_text=_("https, and public; others only where a setting names them.")
    )
    events = forms.CharField(
        label=_("Events"),
        max_length=500,
        initial="report.*",
        help_text=_("Acts of the journal with spaces between: report.received, asset.matched, bank.* ..."),
    )

    def clean_events(self) -> list[str]:
        return str(self.cleaned_data["events"]).replace(",", " ").split()
