"""Forms of reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leadline.domain import Channel, Tlp, Urgency
from leadline.law.terms import Involved
from leadline.selectors.split import MAX_PASTE_CHARS
from leadline.workbench.evidence.forms import HandlingForm as HandlingForm
from leadline.workbench.evidence.forms import HoldForm as HoldForm
from leadline.workbench.reports.access import INVOLVED, OUTCOMES
from leadline.workbench.reports.actions import MAX_MESSAGE_CHARS
from leadline.workbench.reports.deliveries import MAX_DELIVERY_BYTES
from leadline.workbench.reports.states import Reason, State
from leadline.workbench.words import choices

TICKS = [
    (Urgency.CHILD_AT_RISK_NOW.value, _("A child may be in danger now")),
    (Urgency.ONGOING.value, _("It goes on")),
    (Urgency.KNOWN_VICTIM_CONTACT.value, _("The reporter can reach, or is, the person concerned")),
    (Urgency.COMMERCIAL.value, _("It is sold")),
    (Urgency.SENDER_ESCALATED.value, _("The sender marked it as urgent")),
]
_CHANNELS = choices("channel", *Channel)
_TLPS = [(tlp.value, f"TLP:{tlp.value.upper()}") for tlp in Tlp]
_LEVELS = [(str(level), str(level)) for level in (3, 2, 1, 0)]


class AskForm(forms.Form):
    """What a list is narrowed to. Every field may be absent."""

    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[("open", _("open")), ("all", _("all")), *choices("report-state", *State)],
    )
    urgency = forms.ChoiceField(label=_("Urgency"), required=False, choices=[("", _("any")), *_LEVELS])
    channel = forms.ChoiceField(label=_("Channel"), required=False, choices=[("", _("any")), *_CHANNELS])
    text = forms.CharField(label=_("Number, reference or exact item"), required=False, max_length=16_384)
    mine = forms.BooleanField(label=_("Mine"), required=False)
    overdue = forms.BooleanField(label=_("Overdue"), required=False)
    newest = forms.BooleanField(label=_("Newest first"), required=False)

    def asked(self) -> dict[str, Any]:
        """For access.Asked; what is malformed narrows nothing."""
        given = self.cleaned_data if self.is_valid() else {}
        found = {name: given.get(name, "") for name in ("channel", "text")}
        found |= {name: bool(given.get(name)) for name in ("mine", "overdue", "newest")}
        level = given.get("urgency")
        return found | {"state": given.get("state") or "open", "urgency": int(level) if level else None}


class _Handling(forms.Form):
    source = forms.CharField(
        label=_("Source"),
        required=False,
        max_length=120,
        help_text=_("The organisation or service it comes from; no names of persons."),
    )
    tlp = forms.ChoiceField(label=_("TLP"), choices=_TLPS, initial=Tlp.AMBER_STRICT.value)


class NewForm(_Handling):
    field_order = ("paste", "urgency", "source", "source_reference", "tlp")
    paste = forms.CharField(
        label=_("Paste anything"),
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "autocomplete": "off"}),
        max_length=MAX_PASTE_CHARS,
        help_text=_("Links, accounts, hashes, text; as it came, also defanged. It is split into items."),
    )
    urgency = forms.MultipleChoiceField(
        label=_("Urgency"), choices=TICKS, widget=forms.CheckboxSelectMultiple, required=False
    )
    source_reference = forms.CharField(label=_("The sender's reference"), required=False, max_length=200)


class _SizedFile(forms.FileField):
    def __init__(self, *, limit_bytes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._limit_bytes = limit_bytes

    def clean(self, data: Any, initial: Any = None) -> Any:
        file = super().clean(data, initial)
        if file is not None and file.size > self._limit_bytes:
            raise forms.ValidationError(_("The file is too large. Send it in parts."))
        return file


class BulkForm(forms.Form):
    file = _SizedFile(
        label=_("CSV, JSON or JSON lines"),
        limit_bytes=MAX_DELIVERY_BYTES,
        help_text=_("Columns: reference, received_at, url, account, hash, text, note, referrer, urgency."),
    )
    source = forms.CharField(label=_("Source"), required=False, max_length=120)


class ImportForm(_Handling):
    field_order = ("channel", "file", "legal_order", "source", "tlp")
    channel = forms.ChoiceField(
        label=_("What it is"),
        choices=[
            (Channel.MAIL.value, _("Mail (.eml)")),
            (Channel.ICCAM.value, _("ICCAM-shaped JSON")),
            (Channel.NCMEC.value, _("NCMEC report (XML)")),
            (Channel.CHAT.value, _("Exported conversation (WhatsApp, Telegram, Discord)")),
            (Channel.CAPTURE.value, _("Web capture (WARC, WACZ, MHTML, HAR)")),
            (Channel.SCAN.value, _("Result of leadline scan (findings.jsonl)")),
        ],
    )
    file = _SizedFile(label=_("File"), limit_bytes=1 << 28)
    legal_order = forms.CharField(
        label=_("Legal order"),
        required=False,
        max_length=200,
        help_text=_("Of a conversation or a capture: the order or permission under which it was made."),
    )

    def clean(self) -> dict[str, Any]:
        given = dict(super().clean() or {})
        if given.get("channel") == Channel.CHAT.value and not str(given.get("legal_order", "")).strip():
            self.add_error("legal_order", _("A conversation is taken in with its legal order only."))
        return given


class StateForm(forms.Form):
    """`seen` is the state that the page showed: a report that has moved on since is not moved by an old page."""

    seen = forms.ChoiceField(choices=choices("report-state", *State), widget=forms.HiddenInput)
    to = forms.ChoiceField(label=_("To"), choices=choices("report-state", *State))
    reason = forms.ChoiceField(label=_("Reason"), choices=choices("report-reason", *Reason))
    outcome = forms.ChoiceField(
        label=_("Outcome"), required=False, choices=[("", "—"), *choices("report-outcome", *OUTCOMES)]
    )
    same_as = forms.CharField(label=_("Number of the report that goes on"), required=False, max_length=16)


class MessageForm(forms.Form):
    text = forms.CharField(label=_("Message"), widget=forms.Textarea(attrs={"rows": 4}), max_length=MAX_MESSAGE_CHARS)


class GrantForm(forms.Form):
    """Let one colleague open this report."""

    person = forms.ChoiceField(label=_("Person"))
    days = forms.IntegerField(label=_("For days from now"), min_value=1, max_value=366, initial=30)

    def lasts(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].choices = [(str(one.pk), one.name) for one in people]  # type: ignore[attr-defined]


class CountriesForm(forms.Form):
    """Countries involved, for the law beside the report: two letters each, with blanks or commas between."""

    host = forms.CharField(
        label=_("Country of the host"), required=False, max_length=100,
        help_text=_("ISO 3166, such as NL; several: NL, US"),
    )  # fmt: skip
    reporter = forms.CharField(label=_("Country of the reporter"), required=False, max_length=100)
    suspect = forms.CharField(label=_("Country of the suspect"), required=False, max_length=100)

    def countries(self) -> dict[Involved, list[str]]:
        return {kind: self.cleaned_data[kind.value].replace(",", " ").split() for kind in INVOLVED}


class OnCallForm(forms.Form):
    person = forms.ChoiceField(label=_("Person"))
    hours = forms.IntegerField(label=_("For hours from now"), min_value=1, max_value=24 * 14, initial=12)

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].choices = [(str(one.pk), one.name) for one in people]  # type: ignore[attr-defined]

    def times(self) -> tuple[datetime, datetime]:
        now = timezone.now()
        return now, now + timedelta(hours=self.cleaned_data["hours"])


class SettingsForm(forms.Form):
    """The office's terms for reports."""

    contact_days = forms.IntegerField(label=_("Days that contacts are kept after a report is closed"), min_value=1)
    report_days = forms.IntegerField(label=_("Days that reports are kept after they are closed"), min_value=1)
    search_fields = forms.MultipleChoiceField(
        label=_("What may be searched"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            ("number", _("our number")),
            ("reference", _("the sender's reference")),
            ("state", _("state")),
            ("channel", _("channel")),
            ("item", _("items, by exact match")),
        ],
    )
    legal_basis = forms.CharField(label=_("Legal basis"), max_length=300)

    def clean(self) -> dict[str, Any]:
        given = dict(super().clean() or {})
        if given.get("contact_days", 0) > given.get("report_days", 0):
            self.add_error("contact_days", _("Contacts are never kept longer than the report."))
        return given
