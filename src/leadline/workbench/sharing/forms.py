"""Forms of sharing: what people type becomes typed wishes and agreements here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leadline.domain import Kind, Tlp
from leadline.exchange.connector import Act
from leadline.match.admission import MAX_ID
from leadline.workbench.banks.forms import KINDS, TLPS
from leadline.workbench.cases.states import Pap
from leadline.workbench.sharing.access import MAX_ENTRIES
from leadline.workbench.sharing.gate import Wish
from leadline.workbench.sharing.models import DOCUMENT_CHARS, NAME_CHARS, NOTE_CHARS, PURPOSES, REASONS, REFUSALS
from leadline.workbench.words import choices

ACTS = choices("share-act")
_RANGE = re.compile(r"([0-9]{1,16})(?:-([0-9]{1,16}))?")
_DAY = forms.DateInput(attrs={"type": "date"})


def read_ids(untrusted: str) -> list[int]:
    """`1 2 5-9` -> numbers, each once. ValueError where it is something else, or too many."""
    found: dict[int, None] = {}
    for word in untrusted.replace(",", " ").split():
        match = _RANGE.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 0 < first <= last <= MAX_ID or last - first >= MAX_ENTRIES:
            raise ValueError
        found |= dict.fromkeys(range(first, last + 1))
        if len(found) > MAX_ENTRIES:
            raise ValueError
    return list(found)


class ShareForm(forms.Form):
    partner = forms.ChoiceField(label=_("Partner"))
    act = forms.ChoiceField(label=_("What they are sent"), choices=ACTS)
    bank = forms.ChoiceField(label=_("Bank"))
    ids = forms.CharField(
        label=_("Numbers of entries"), max_length=20_000, required=False,
        help_text=_("With spaces between; 5-9 for several in a row. Without numbers: all that the next fields choose."),
    )  # fmt: skip
    kind = forms.ChoiceField(label=_("Kind"), choices=[("", _("any")), *KINDS], required=False)
    label = forms.CharField(label=_("Label"), max_length=200, required=False)
    since = forms.DateField(label=_("Added here since"), required=False, widget=_DAY)
    algorithm = forms.RegexField(
        r"^[a-z0-9_-]{0,32}$", label=_("Fingerprint"), required=False,
        help_text=_("Of an opinion, where the partner asks which: md5, sha1, pdq ..."),
    )  # fmt: skip
    codes = forms.RegexField(
        r"^[A-Za-z0-9_.:, -]{0,300}$", label=_("Reasons in the partner's codes"), required=False,
        help_text=_("With commas between."),
    )  # fmt: skip
    purpose = forms.ChoiceField(label=_("Purpose"), choices=PURPOSES)
    reason = forms.ChoiceField(label=_("Reason"), choices=REASONS)
    note = forms.CharField(label=_("Note"), widget=forms.Textarea, max_length=NOTE_CHARS, required=False)

    def __init__(
        self, data: Any, *, partners: list[tuple[str, str]], banks: list[tuple[str, str]], **more: Any
    ) -> None:
        super().__init__(data, **more)
        self.fields["partner"].choices = partners  # type: ignore[attr-defined]
        self.fields["bank"].choices = banks  # type: ignore[attr-defined]

    def clean_ids(self) -> list[int]:
        try:
            return read_ids(self.cleaned_data["ids"])
        except ValueError:
            raise forms.ValidationError(_("Numbers of entries, with spaces between.")) from None

    def wish(self) -> Wish:
        given = self.cleaned_data
        since = datetime.combine(given["since"], time(), UTC) if given["since"] else None
        codes = tuple(code.strip() for code in given["codes"].split(",") if code.strip())
        return Wish(
            Act(given["act"]), given["bank"], tuple(given["ids"]), given["kind"], given["label"], "", since,
            given["algorithm"], codes,
        )  # fmt: skip


class AskForm(forms.Form):
    """Which shares are listed."""

    state = forms.ChoiceField(label=_("State"), choices=[("", _("any")), *choices("share-state")], required=False)
    partner = forms.ChoiceField(label=_("Partner"), required=False)

    def __init__(self, data: Any, *, partners: list[tuple[str, str]]) -> None:
        super().__init__(data)
        self.fields["partner"].choices = [("", _("any")), *partners]  # type: ignore[attr-defined]


class RefuseForm(forms.Form):
    reason = forms.ChoiceField(label=_("Why it is refused"), choices=REFUSALS)


class PartnerForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=NAME_CHARS)
    source = forms.ChoiceField(label=_("Source by which they are reached"))

    def __init__(self, data: Any, *, sources: list[str]) -> None:
        super().__init__(data)
        self.fields["source"].choices = [(name, name) for name in sources]  # type: ignore[attr-defined]


class AgreementForm(forms.Form):
    tlp = forms.ChoiceField(
        label=_("Strictest TLP that they keep"), choices=[pair for pair in TLPS if pair[0] != Tlp.RED],
        initial=Tlp.AMBER.value, help_text=_("Entries with a stricter label stay here. TLP:RED never leaves."),
    )  # fmt: skip
    pap = forms.ChoiceField(
        label=_("Strictest PAP that they keep"), choices=choices("pap"), initial=Pap.AMBER.value,
        help_text=_("An entry that says none counts as amber."),
    )  # fmt: skip
    kinds = forms.MultipleChoiceField(label=_("Kinds"), choices=KINDS, widget=forms.CheckboxSelectMultiple)
    purposes = forms.MultipleChoiceField(label=_("Purposes"), choices=PURPOSES, widget=forms.CheckboxSelectMultiple)
    onward = forms.BooleanField(
        label=_("They may be given what other organisations gave us"), required=False,
        help_text=_("Only where those agreed to it."),
    )  # fmt: skip
    valid_from = forms.DateField(label=_("From"), widget=_DAY)
    valid_until = forms.DateField(label=_("Until"), widget=_DAY)
    document = forms.CharField(
        label=_("Where the document is"), max_length=DOCUMENT_CHARS, help_text=_("Kept sealed."), required=True
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["valid_from"].initial = timezone.now().date()

    def agreement(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        return given | {
            "tlp": Tlp(given["tlp"]), "pap": Pap(given["pap"]), "kinds": [Kind(kind) for kind in given["kinds"]],
        }  # fmt: skip
