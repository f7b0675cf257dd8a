"""Forms of search."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from leadline.workbench.search.query import MAX_QUERY_CHARS

KINDS = {
    "report": _("Reports"),
    "item": _("Reported items"),
    "asset": _("Assets"),
    "assessment": _("Assessments"),
    "appeal": _("Appeals"),
    "case": _("Cases"),
    "exhibit": _("Exhibits"),
    "share": _("Shares"),
    "entry": _("Entries of banks"),
    "line": _("Lines of the journal"),
}


class SearchForm(forms.Form):
    """Whatever is typed is a question; a kind and a cursor come from the buttons of the page."""

    query = forms.CharField(
        label=_("Look for"),
        max_length=MAX_QUERY_CHARS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "maxlength": MAX_QUERY_CHARS}),
        help_text=_(
            "A number, hash, link, account or host name is met as it is, also defanged. Else words, \"words side by "
            "side\", begin* and kind:report."
        ),
    )
    kind = forms.ChoiceField(required=False, choices=[("", ""), *KINDS.items()], widget=forms.HiddenInput)
    cursor = forms.CharField(required=False, max_length=1000, widget=forms.HiddenInput)
