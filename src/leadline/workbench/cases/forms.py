"""Forms of cases."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from leadline.domain import Tlp
from leadline.exchange.vics import is_category_set
from leadline.workbench.cases.contents import (
    MAX_NAME_CHARS,
    MAX_NOTE_CHARS,
    MAX_TASK_CHARS,
    MAX_TITLE_CHARS,
    MAX_VALUE_CHARS,
)
from leadline.workbench.cases.outlines import Outline
from leadline.workbench.cases.states import (
    ANSWERS,
    LEAD_REASONS,
    LEAVING_REASONS,
    REMOVAL_REASONS,
    Outcome,
    Reason,
    State,
)
from leadline.workbench.permissions import Sensitivity
from leadline.workbench.words import choices

_TLPS = [(one.value, f"TLP:{one.value.upper()}") for one in Tlp]
_KINDS = ("report", "item", "asset", "cluster")


def _named(field: forms.Field, rows: Iterable[tuple[str, Any]]) -> None:
    field.choices = list(rows)  # type: ignore[attr-defined]


class AskForm(forms.Form):
    """What the list is narrowed to. Every field may be absent."""

    state = forms.ChoiceField(
        label=_("State"), required=False, choices=[("live", _("not closed")), ("", _("any")), *choices("case-state")]
    )
    mine = forms.BooleanField(label=_("Mine"), required=False)


class _Handling(forms.Form):
    tlp = forms.ChoiceField(label=_("TLP"), choices=_TLPS, initial=Tlp.AMBER_STRICT.value)
    pap = forms.ChoiceField(
        label=_("PAP"),
        choices=choices("pap"),
        initial="amber",
        help_text=_("What one may do with what the case knows, so that those it is about do not notice."),
    )
    sensitivity = forms.TypedChoiceField(
        label=_("Sensitivity"), coerce=int, choices=choices("sensitivity"), initial=int(Sensitivity.SENSITIVE)
    )


class NewForm(_Handling):
    field_order = ("title", "template", "things", "tlp", "pap", "sensitivity")
    title = forms.CharField(label=_("Title"), max_length=MAX_TITLE_CHARS, help_text=_("Sealed. No names of persons."))
    template = forms.ChoiceField(label=_("Template"), required=False, help_text=_("Gives the case its first tasks."))

    def __init__(self, *args: Any, outlines: Iterable[Outline], items: Iterable[tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        found = [(one.id, _(one.name)) for one in outlines]
        _named(self.fields["template"], [("", _("none")), *found])
        rows = list(items)
        if rows:
            self.fields["items"] = forms.MultipleChoiceField(
                label=_("Of this report only"), choices=rows, required=False, widget=forms.CheckboxSelectMultiple,
                help_text=_("Without a choice the whole report comes in."),
            )  # fmt: skip


class HandlingForm(_Handling):
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("handling-reason"))


class TitleForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=MAX_TITLE_CHARS)


class StateForm(forms.Form):
    """`seen` is the state that the page showed."""

    seen = forms.ChoiceField(choices=[(one.value, one.value) for one in State], widget=forms.HiddenInput)
    to = forms.ChoiceField(choices=[(one.value, one.value) for one in State])
    reason = forms.ChoiceField(choices=[(one.value, one.value) for one in Reason])
    outcome = forms.ChoiceField(required=False, choices=[("", ""), *((one.value, one.value) for one in Outcome)])


class ThingForm(forms.Form):
    kind = forms.ChoiceField(label=_("What"), choices=choices("thing-kind"))
    number = forms.CharField(
        label=_("Number"), max_length=80, help_text=_("A report also by R-…, an asset also by its SHA-256.")
    )


class OutForm(forms.Form):
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("removal-reason", *REMOVAL_REASONS))


class PartyForm(forms.Form):
    name = forms.CharField(
        label=_("Name, or a stand-in for it"), max_length=MAX_NAME_CHARS, help_text=_("Sealed. For example: person 1.")
    )
    role = forms.ChoiceField(label=_("Role"), choices=choices("party-role"))


class PartyRoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=choices("party-role"))


class SelectorForm(forms.Form):
    kind = forms.ChoiceField(label=_("Kind"), choices=choices("selector-kind"))
    value = forms.CharField(
        label=_("Selector"),
        max_length=MAX_VALUE_CHARS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("As it is spelled; compared exactly."),
    )
    role = forms.ChoiceField(label=_("Whose it is"), choices=choices("party-role"))
    party = forms.ChoiceField(label=_("Person"), required=False)
    item = forms.CharField(label=_("Number of the item it was met on"), max_length=40, required=False)

    def __init__(self, *args: Any, parties: Iterable[tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        _named(self.fields["party"], [("", _("nobody in particular")), *parties])


class _Assigned(forms.Form):
    assignee = forms.ChoiceField(label=_("With"), required=False)
    due_on = forms.DateField(label=_("By"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, people: Iterable[Any], **more: Any) -> None:
        super().__init__(*args, **more)
        _named(self.fields["assignee"], [("", _("nobody yet")), *((str(one.pk), one.name) for one in people)])


class TaskForm(_Assigned):
    field_order = ("text", "assignee", "due_on")
    text = forms.CharField(label=_("Task"), max_length=MAX_TASK_CHARS)


class TaskChangeForm(_Assigned):
    """Another state where one is given, else who does it and by when."""

    seen = forms.ChoiceField(choices=choices("task-state"), required=False)
    to = forms.ChoiceField(choices=choices("task-state"), required=False)


class NoteForm(forms.Form):
    text = forms.CharField(label=_("Note"), max_length=MAX_NOTE_CHARS, widget=forms.Textarea(attrs={"rows": 4}))
    corrects = forms.ChoiceField(
        label=_("Corrects"), required=False, help_text=_("A note is never changed; a later one may put it right.")
    )

    def __init__(self, *args: Any, notes: Iterable[tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        _named(self.fields["corrects"], [("", _("no other note")), *notes])


class MemberForm(forms.Form):
    person = forms.ChoiceField(label=_("Person"))
    role = forms.ChoiceField(label=_("Role"), choices=choices("member-role"))
    days = forms.IntegerField(label=_("For days from now"), min_value=1, max_value=3660, initial=90)

    def __init__(self, *args: Any, people: Iterable[Any], **more: Any) -> None:
        super().__init__(*args, **more)
        _named(self.fields["person"], [(str(one.pk), one.name) for one in people])

    def lasts(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class LeavingForm(forms.Form):
    reason = forms.ChoiceField(
        label=_("Reason"), choices=choices("leaving-reason", *(one for one in LEAVING_REASONS if one != "renewed"))
    )


class LeadForm(forms.Form):
    person = forms.ChoiceField(label=_("Person"))
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("lead-reason", *LEAD_REASONS))

    def __init__(self, *args: Any, people: Iterable[Any], **more: Any) -> None:
        super().__init__(*args, **more)
        _named(self.fields["person"], [(str(one.pk), one.name) for one in people])


class AnswerForm(forms.Form):
    answer = forms.ChoiceField(label=_("Answer"), choices=choices("case-answer", *ANSWERS))


class ExportForm(forms.Form):
    category_set = forms.CharField(
        label=_("Category set"),
        required=False,
        max_length=64,
        help_text=_("Whose category codes the file has, such as US. Empty: as it came in."),
    )
    with_selectors = forms.BooleanField(
        label=_("With selectors"), required=False, help_text=_("Each with its role; those in doubt are left out.")
    )

    def clean_category_set(self) -> str:
        name = str(self.cleaned_data["category_set"]).strip()
        if name and not is_category_set(name):
            raise forms.ValidationError(_("Letters, digits, _ . and - only."))
        return name


class OfficeForm(forms.Form):
    red_hints = forms.BooleanField(
        label=_("Cases under TLP:RED say that they are there"),
        required=False,
        help_text=_("To colleagues who may not see them and whose case holds the same thing. They never say what."),
    )
    legal_basis = forms.CharField(label=_("Why"), max_length=300)
