"""Forms of review."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leadline.domain import IncomingItem, ItemKind
from leadline.law.assessments import AssessmentScheme
from leadline.law.labels import LabelScheme
from leadline.selectors.split import split_paste
from leadline.workbench.review.actions import (
    HOLD_REASONS,
    HOW_TOLD,
    OUTCOMES,
    REVISION_REASONS,
    SOURCES,
    TOLD,
    UPHOLD_REASONS,
)
from leadline.workbench.review.floors import CATEGORIES, DAILY_MINUTES, REVEAL_S, SHIFT_MINUTES, TILE_EDGE_PX
from leadline.workbench.words import choices

MAX_NOTE_CHARS = 10_000


class ShiftForm(forms.Form):
    planned_minutes = forms.IntegerField(
        label=_("Length of the shift in minutes"), min_value=15, max_value=600, initial=SHIFT_MINUTES
    )


class AnswersForm(forms.Form):
    """The questions of a scheme as radio buttons or boxes, the official codes a person may pick, a note.

    picked   codes ("scheme|version|code") that stay to be picked, also where their scheme is offered no more
    """

    def __init__(
        self, data: Any, scheme: AssessmentScheme, labels: Iterable[LabelScheme], *, initial: Any = None,
        picked: Iterable[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(data, initial=initial)
        self.scheme = scheme
        for question in scheme.questions:
            kind = forms.MultipleChoiceField if question.multiple else forms.ChoiceField
            widget = forms.CheckboxSelectMultiple if question.multiple else forms.RadioSelect
            self.fields[f"q-{question.id}"] = kind(
                label=_(question.text), choices=[(c.code, _(c.name)) for c in question.codes], widget=widget,
                required=False,
            )  # fmt: skip
        choices = [
            (f"{one.id}|{one.version}|{code.code}", f"{one.name}: {code.name}") for one in labels for code in one.codes
        ]
        offered = {code for code, _name in choices}
        choices += [(code, "{} ({}): {}".format(*code.split("|"))) for code in picked if code not in offered]
        if choices:
            self.fields["labels"] = forms.MultipleChoiceField(
                label=_("Official codes"), choices=choices, widget=forms.CheckboxSelectMultiple, required=False
            )
        self.fields["note"] = forms.CharField(
            label=_("Note"), required=False, max_length=MAX_NOTE_CHARS, widget=forms.Textarea(attrs={"rows": 3})
        )

    def answers(self) -> dict[str, list[str]]:
        found = {}
        for question in self.scheme.questions:
            given = self.cleaned_data.get(f"q-{question.id}") or []
            found[question.id] = [given] if isinstance(given, str) else list(given)
        shown = {question.id for question in self.scheme.shown(found)}
        return {name: codes for name, codes in found.items() if codes and name in shown}


class RevisionForm(AnswersForm):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        reasons = choices("revision-reason", *REVISION_REASONS)
        self.fields["reason"] = forms.ChoiceField(label=_("Reason"), choices=reasons)


class ProposeForm(forms.Form):
    """The assessed file as an entry of a bank of the office; a second person confirms it there."""

    bank = forms.ChoiceField(label=_("Bank"))
    kind = forms.ChoiceField(
        label=_("Kind"), choices=choices("kind", "illegal", "exploitative", "other", "false-positive")
    )

    def __init__(self, *args: Any, banks: Iterable[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["bank"].choices = [(name, name) for name in banks]  # type: ignore[attr-defined]


class OutcomeForm(forms.Form):
    word = forms.ChoiceField(label=_("What became of it"), choices=choices("review-outcome", *OUTCOMES))
    source = forms.ChoiceField(label=_("Told by"), choices=choices("told-by", *SOURCES))


class HoldForm(forms.Form):
    hours = forms.IntegerField(label=_("Hours"), min_value=1, max_value=24 * 60, initial=24)
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("review-hold-reason", *HOLD_REASONS))

    def until(self) -> datetime:
        return timezone.now() + timedelta(hours=self.cleaned_data["hours"])


class AssignForm(forms.Form):
    person = forms.ChoiceField(label=_("To"), required=False)

    def __init__(self, *args: Any, people: Iterable[Any], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["person"].choices = [("", _("nobody in particular")), *((str(p.pk), p.name) for p in people)]  # type: ignore[attr-defined]


class _FloorsForm(forms.Form):
    blur_share = forms.FloatField(
        label=_("Blur of a tile"), min_value=0.05, max_value=0.5, initial=0.05,
        help_text=_("Share of its long edge. Comfort, not protection."),
    )  # fmt: skip
    tile_edge_px = forms.IntegerField(
        label=_("Long edge of a tile in pixels"), min_value=16, max_value=TILE_EDGE_PX, initial=TILE_EDGE_PX
    )
    reveal_seconds = forms.IntegerField(
        label=_("Seconds that one look lasts at most"), min_value=1, max_value=REVEAL_S, initial=REVEAL_S
    )
    daily_minutes = forms.IntegerField(
        label=_("Minutes of looking a day, weighed by severity"), min_value=0, max_value=DAILY_MINUTES,
        initial=DAILY_MINUTES,
    )  # fmt: skip
    allow_whole = forms.BooleanField(label=_("Whole pictures, not only the lens"), required=False, initial=True)
    allow_colour = forms.BooleanField(label=_("Colour"), required=False, initial=True)


class WishForm(_FloorsForm):
    opted_out = forms.MultipleChoiceField(
        label=_("Not for me"), choices=choices("category", *CATEGORIES), required=False,
        widget=forms.CheckboxSelectMultiple, help_text=_("Never counted, shown to nobody."),
    )  # fmt: skip
    is_volunteer = forms.BooleanField(
        label=_("I volunteer for samples of what is known"), required=False,
        help_text=_("One or two in a hundred known files are checked by people who chose to."),
    )  # fmt: skip
    single_keys = forms.BooleanField(
        label=_("Single letters and digits are keys"), required=False,
        help_text=_("Switch them off where you speak to your computer, or hit keys by chance. Space, Esc, Ctrl stay."),
    )  # fmt: skip


class OfficeForm(_FloorsForm):
    cluster_radius = forms.IntegerField(
        label=_("Radius of a cluster in bits"), min_value=0, max_value=31,
        help_text=_("For files that arrive from now on."),
    )  # fmt: skip
    sample_per_mille = forms.IntegerField(
        label=_("Known files in a thousand that volunteers check"), min_value=0, max_value=20
    )
    label_schemes = forms.MultipleChoiceField(
        label=_("Schemes of official codes on the card"), required=False, widget=forms.CheckboxSelectMultiple
    )
    facts_scheme = forms.ChoiceField(label=_("Question scheme"))
    appeal_days = forms.IntegerField(
        label=_("Days within which an appeal is answered"), min_value=1, max_value=365,
        help_text=_("Your own term, for appeals that arrive from now on."),
    )  # fmt: skip
    legal_basis = forms.CharField(label=_("Why"), max_length=300)

    def __init__(self, *args: Any, schemes: Iterable[LabelScheme], questions: Iterable[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["label_schemes"].choices = [(f"{s.id}|{s.version}", s.name) for s in schemes]  # type: ignore[attr-defined]
        self.fields["facts_scheme"].choices = [(name, name) for name in sorted(set(questions))]  # type: ignore[attr-defined]


class MoodForm(forms.Form):
    mood = forms.ChoiceField(
        label=_("How are you? Only you can read this."), choices=[(str(n), str(n)) for n in range(1, 6)]
    )


# --- appeals, and what a revision leaves to do -----------------------------------------------------------------------


class AppealForm(forms.Form):
    """Somebody told us by letter or telephone that a decision is wrong: taken down by a colleague."""

    assessment = forms.UUIDField(required=False, widget=forms.HiddenInput)
    about = forms.CharField(
        label=_("What it is about"), required=False, max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
        help_text=_("Hashes, links, or numbers of reports, as they were given; it is split into items."),
    )  # fmt: skip
    text = forms.CharField(
        label=_("What they say"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"})
    )
    source = forms.CharField(
        label=_("Source"), required=False, max_length=120,
        help_text=_("The organisation or service it comes from; no names of persons."),
    )  # fmt: skip
    name = forms.CharField(label=_("Name"), required=False, max_length=200)
    email = forms.EmailField(label=_("E-mail address"), required=False, max_length=200)

    def items(self) -> tuple[IncomingItem, ...]:
        """Hashes, links and accounts; what lies between them, say a report's number, as text."""
        found = split_paste(self.cleaned_data["about"])
        return tuple(
            IncomingItem(item.kind, item.value.strip())
            for item in found
            if item.kind is not ItemKind.TEXT or any(map(str.isalnum, item.value))
        )


class ContestForm(forms.Form):
    named = forms.CharField(
        label=_("Hash of a file, or number of an assessment"), max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )  # fmt: skip


class UpholdForm(forms.Form):
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("uphold-reason", *UPHOLD_REASONS))


class AnswerAppealForm(forms.Form):
    told = forms.ChoiceField(
        label=_("What they are told"), choices=choices("appeal-told", *TOLD), initial=TOLD[0],
        help_text=_("That a decision stands or was changed says that it was there: tell it to those alone who knew."),
    )  # fmt: skip
    text = forms.CharField(
        label=_("A message to them"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4})
    )

    def __init__(self, *args: Any, can_write: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        if not can_write:  # they have no passphrase, so nobody would read it
            del self.fields["text"]


class ToldForm(forms.Form):
    how = forms.ChoiceField(label=_("How"), choices=choices("how-told", *HOW_TOLD))
