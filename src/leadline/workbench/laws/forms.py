"""Forms of laws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leadline.law.terms import Answer, Binds, Confidence, Event, Role, Unit, Verified
from leadline.workbench.words import choices

_NONE = ("", "—")


class OfficeForm(forms.Form):
    country = forms.CharField(
        label=_("Country of the office"), min_length=2, max_length=2, help_text=_("ISO 3166: DE, NL, …")
    )
    role = forms.ChoiceField(label=_("The office is a"), choices=choices("law-role", *Role))
    legal_basis = forms.CharField(label=_("Why"), max_length=300)


class CellForm(forms.Form):
    """A correction: it needs a source, and the day it was read on."""

    jurisdiction = forms.CharField(label=_("Law of"), max_length=64)
    question_id = forms.ChoiceField(label=_("Question"))
    answer = forms.ChoiceField(label=_("Answer"), choices=choices("answer", *Answer))
    binds = forms.ChoiceField(label=_("Binds"), choices=choices("binds", *Binds))
    instrument = forms.CharField(label=_("Instrument"), max_length=300, required=False)
    provision = forms.CharField(label=_("Provision"), max_length=300, required=False)
    source = forms.CharField(label=_("Source"), max_length=900)
    as_of = forms.DateField(label=_("Read on"), widget=forms.DateInput(attrs={"type": "date"}))
    confidence = forms.ChoiceField(label=_("Confidence"), choices=choices("confidence", *Confidence))
    verified = forms.ChoiceField(label=_("Checked"), choices=choices("checked", *Verified))
    note = forms.CharField(label=_("Note"), max_length=900, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    extent = forms.CharField(label=_("Holds for"), max_length=200, required=False)
    age = forms.IntegerField(label=_("Age"), min_value=1, max_value=25, required=False)
    number = forms.IntegerField(label=_("Period"), min_value=1, max_value=1000, required=False)
    unit = forms.ChoiceField(label=_("Unit"), choices=[_NONE, *choices("unit", *Unit)], required=False)
    counts_from = forms.ChoiceField(label=_("Counts from"), choices=[_NONE, *choices("event", *Event)], required=False)

    def __init__(self, *args: Any, questions: Iterable[tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["question_id"].choices = [(name, _(text)) for name, text in questions]  # type: ignore[attr-defined]

    def cell(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        period = {name: given.pop(name) for name in ("number", "unit", "counts_from")}
        if any(period.values()):
            given["deadline"] = period
        return given
