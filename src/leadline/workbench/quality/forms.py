"""Forms of quality."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leadline.law.assessments import AssessmentScheme
from leadline.workbench.quality.access import MOST_PERCENT
from leadline.workbench.quality.models import NAME_CHARS
from leadline.workbench.review.forms import AnswersForm


class SetForm(forms.Form):
    name = forms.CharField(label=_("Name of the set"), max_length=NAME_CHARS)


class PutInForm(forms.Form):
    sha256 = forms.RegexField(
        r"^\s*[0-9a-fA-F]{64}\s*$", label=_("SHA-256"), error_messages={"invalid": _("64 hexadecimal digits")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    is_harmless = forms.BooleanField(
        label=_("I have seen it, and it is harmless"),
        help_text=_("Golden items are shown to people who need not see them: never anything that could burden."),
    )


class GoldenForm(AnswersForm):
    """The questions alone."""

    def __init__(self, data: Any, scheme: AssessmentScheme, *, initial: Any = None) -> None:
        super().__init__(data, scheme, (), initial=initial)
        del self.fields["note"]


class OfficeForm(forms.Form):
    double_percent = forms.IntegerField(
        label=_("Decisions in a hundred that a second person makes as well"), min_value=0, max_value=MOST_PERCENT,
        help_text=_("Without being told, and without seeing the first answers."),
    )  # fmt: skip
    golden_percent = forms.IntegerField(
        label=_("Golden items for each hundred decisions of a person"), min_value=0, max_value=MOST_PERCENT
    )
    legal_basis = forms.CharField(label=_("Why"), max_length=300)
