"""Forms of evidence."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leadline.domain import Tlp
from leadline.workbench.evidence.access import DEFAULT_RETENTION_DAYS
from leadline.workbench.evidence.models import MediaMode
from leadline.workbench.words import choices

_MAX_ASSETS = 10_000
_NAMES = re.compile(r"[0-9a-fA-F-]{32,64}")
_TERMS = [(str(d), str(d)) for d in (30, 90, 180, 365, 730, 1825, 3650)]


def _any(kind: str) -> list[tuple[str, Any]]:
    return [("", _("any")), *choices(kind)]


class AskForm(forms.Form):
    state = forms.ChoiceField(label=_("State"), choices=_any("asset-state"), required=False)
    verdict = forms.ChoiceField(label=_("Verdict"), choices=_any("verdict"), required=False)
    kind = forms.ChoiceField(label=_("Inferred kind"), choices=_any("kind"), required=False)
    digest = forms.CharField(label=_("Hash"), max_length=80, required=False)


class UploadForm(forms.Form):
    file = forms.FileField(label=_("File"), max_length=1000)


class HoldForm(forms.Form):
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=choices("hold-reason"),
    )


class TermForm(forms.Form):
    days = forms.ChoiceField(label=_("Keep for days from today"), choices=_TERMS)
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=choices("term-reason"),
    )

    def until(self) -> Any:
        return timezone.now() + timedelta(days=int(self.cleaned_data["days"]))


class HandlingForm(forms.Form):
    sensitivity = forms.TypedChoiceField(
        label=_("Sensitivity"), coerce=int, choices=choices("sensitivity")
    )
    tlp = forms.ChoiceField(label=_("TLP"), choices=[(t.value, f"TLP:{t.value.upper()}") for t in Tlp])
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=choices("handling-reason"),
    )


class ExhibitForm(forms.Form):
    assets = forms.CharField(
        label=_("Assets"), widget=forms.Textarea, help_text=_("Numbers or SHA-256, one a line."), max_length=700_000
    )
    recipient = forms.CharField(label=_("Recipient"), max_length=200)
    reference = forms.CharField(label=_("The recipient's reference"), max_length=200, required=False)
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=choices("exhibit-reason"),
    )
    recipient_key = forms.CharField(
        label=_("The recipient's age key"),
        max_length=200,
        required=False,
        help_text=_("Begins with age1. Without it the exhibit holds hashes only; with it the files, encrypted to it."),
    )

    def clean_assets(self) -> list[str]:
        names = str(self.cleaned_data["assets"]).split()
        if not all(_NAMES.fullmatch(name) for name in names) or not 0 < len(names) <= _MAX_ASSETS:
            raise forms.ValidationError(_("Numbers of assets or SHA-256 hashes, one a line, 10,000 at most."))
        return [name.lower() for name in names]


class DecideForm(forms.Form):
    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=choices("release-reason"),
    )


class ReceiptForm(forms.Form):
    confirmation = forms.FileField(
        label=_("The recipient's confirmation"), help_text=_("Its hash is recorded; the paper is not kept here.")
    )


class MediaModeForm(forms.Form):
    mode = forms.ChoiceField(
        label=_("Files that arrive are"),
        widget=forms.RadioSelect,
        choices=[
            (MediaMode.REFUSE.value, _("refused: none is taken in")),
            (MediaMode.HASH_AND_DISCARD.value, _("hashed in memory and discarded: no byte is written")),
            (MediaMode.KEEP.value, _("kept: sealed from their first byte")),
        ],
    )
    retention_days = forms.IntegerField(
        label=_("Kept files are erased after days"), min_value=1, max_value=36_500, initial=DEFAULT_RETENTION_DAYS
    )
    legal_basis = forms.CharField(
        label=_("Legal basis"),
        max_length=300,
        help_text=_("The law, the order or the agreement that allows it, in words. It is recorded with your name."),
    )

    def clean_mode(self) -> MediaMode:
        return MediaMode(self.cleaned_data["mode"])
