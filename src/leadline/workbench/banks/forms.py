"""Forms of banks: what people type and upload becomes typed entries, hashes and settings here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from django import forms
from django.utils.translation import gettext_lazy as _
from msgspec.structs import replace

from leadline.domain import DEFAULT_QUALITY_FLOOR, DEFAULT_RADIUS_BITS, Entry, Kind, Tlp
from leadline.errors import HashFormatError, InputError, LeadlineError
from leadline.exchange import lists
from leadline.exchange.base import EntryDefaults, parse_hash
from leadline.exchange.detect import HEAD_BYTES, detect_format
from leadline.match.admission import MAX_FALSE_POSITIVE_RADIUS_BITS, MAX_ID
from leadline.match.bank import Bank
from leadline.match.search import MAX_RADIUS_BITS
from leadline.workbench.banks.models import REASONS
from leadline.workbench.words import choices, told

KINDS = choices("kind", *Kind)
TLPS = [(tlp.value, f"TLP:{tlp.value.upper()}") for tlp in Tlp]
MAX_LOOKED_UP = 1000


class BankSettingsForm(forms.Form):
    kind = forms.ChoiceField(
        label=_("Kind"), choices=KINDS, help_text=_("What an entry says of a file, where the list does not say.")
    )
    tlp = forms.ChoiceField(label=_("TLP"), choices=TLPS, initial=Tlp.AMBER_STRICT.value)
    radius_bits = forms.IntegerField(
        label=_("Radius in bits"), min_value=0, max_value=MAX_RADIUS_BITS, initial=DEFAULT_RADIUS_BITS,
        help_text=_("Pictures whose PDQ differs in so many bits or fewer are near. False positives keep their own."),
    )  # fmt: skip
    quality_floor = forms.IntegerField(
        label=_("Quality floor"), min_value=0, max_value=100, initial=DEFAULT_QUALITY_FLOOR
    )
    source = forms.CharField(label=_("Source"), max_length=200, required=False, help_text=_("Whose list this is."))
    licence = forms.CharField(label=_("Licence"), max_length=200, required=False)
    reason = forms.ChoiceField(label=_("Reason"))

    def __init__(self, *args: Any, what: str = "set", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].choices = REASONS[what]  # type: ignore[attr-defined]

    def settings(self) -> dict[str, Any]:
        given = {name: value for name, value in self.cleaned_data.items() if name not in {"reason", "name"}}
        return given | {"kind": Kind(given["kind"]), "tlp": Tlp(given["tlp"])}


class TrustForm(forms.Form):
    trusted_bits = forms.IntegerField(
        label=_("Trusted margin in bits"), min_value=0, max_value=MAX_RADIUS_BITS,
        help_text=_("A picture so near is set aside as known, and nobody needs to see it. 0: exact matches only."),
    )  # fmt: skip
    reason = forms.ChoiceField(label=_("Reason"), choices=REASONS["set"])


class NewBankForm(BankSettingsForm):
    name = forms.RegexField(
        label=_("Name"), regex=r"^[a-z0-9][a-z0-9-]{0,63}$", help_text=_("Small letters, digits and hyphens.")
    )
    field_order = ("name",)


class AddForm(forms.Form):
    hashes = forms.CharField(
        label=_("Hashes"), widget=forms.Textarea, required=False, max_length=2_000_000,
        help_text=_("One a line. 64 digits are taken as SHA-256 and PDQ, unless sha256: or pdq: stands before them."),
    )  # fmt: skip
    upload = forms.FileField(label=_("Or a list"), required=False, help_text=_("CSV, plain text, or VICS-shaped JSON."))
    kind = forms.ChoiceField(label=_("Kind"), choices=KINDS)
    radius_bits = forms.IntegerField(
        label=_("Radius of false positives"), min_value=0, max_value=MAX_FALSE_POSITIVE_RADIUS_BITS, initial=0,
        required=False, help_text=_("How far around it a false positive acts, in bits. Nothing for other kinds."),
    )  # fmt: skip
    reason = forms.ChoiceField(label=_("Reason"), choices=[*REASONS["add"], *REASONS["propose"]])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if bool(given.get("hashes", "").strip()) == bool(given.get("upload")):
            raise forms.ValidationError(_("Give hashes or a list, one of the two."))
        return given

    def entries(self, bank: Bank) -> Iterator[Entry | LeadlineError]:
        """Typed entries, an error in the place of each bad record. InputError where it is no list."""
        given = self.cleaned_data
        stream: BinaryIO = given["upload"] or io.BytesIO(given["hashes"].encode())
        ending = PurePath(given["upload"].name).suffix if given["upload"] else ".txt"
        return read_list(stream, ending, bank, Kind(given["kind"]), given["radius_bits"] or 0)


def read_list(
    stream: BinaryIO, ending: str, bank: Bank, kind: Kind, radius_bits: int = 0
) -> Iterator[Entry | LeadlineError]:
    """A list in any of the formats that `exchange` reads; what it does not say is taken from the bank."""
    untrusted_head = stream.read(HEAD_BYTES)
    stream.seek(0)
    found = detect_format(untrusted_head, ending)
    if found is None:
        raise InputError("this is no list of hashes", where="upload", mend="give CSV, plain text or VICS JSON")
    manifest = bank.snapshot.manifest
    defaults = EntryDefaults(kind, source=manifest.source, tlp=manifest.tlp, licence=manifest.licence)
    return _with_radius(lists.read_list(found, stream, None, where="list", defaults=defaults), radius_bits)


def _with_radius(entries: Iterator[Entry | LeadlineError], radius_bits: int) -> Iterator[Entry | LeadlineError]:
    for entry in entries:
        if radius_bits and isinstance(entry, Entry) and entry.kind is Kind.FALSE_POSITIVE:
            yield replace(entry, radius_bits=radius_bits)
        else:
            yield entry


class WithdrawForm(forms.Form):
    ids = forms.CharField(label=_("Numbers of entries"), max_length=20_000, help_text=_("With spaces between."))
    reason = forms.ChoiceField(label=_("Reason"), choices=REASONS["withdraw"])

    def clean_ids(self) -> list[int]:
        words = str(self.cleaned_data["ids"]).replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and len(word) < 17 and 0 < int(word) <= MAX_ID for word in words):
            raise forms.ValidationError(_("Numbers of entries, with spaces between."))
        return [int(word) for word in words]


class LookUpForm(forms.Form):
    hashes = forms.CharField(label=_("Hashes"), widget=forms.Textarea, max_length=200_000, help_text=_("One a line."))
    radius_bits = forms.IntegerField(
        label=_("Radius in bits"), min_value=0, max_value=MAX_RADIUS_BITS, required=False,
        help_text=_("In place of each bank's own."),
    )  # fmt: skip

    def clean_hashes(self) -> list[tuple[str, str, bytes]]:
        """(as shown, algorithm, digest)."""
        lines = [line.strip() for line in str(self.cleaned_data["hashes"]).splitlines() if line.strip()]
        if len(lines) > MAX_LOOKED_UP:
            raise forms.ValidationError(_("At most 1000 at once."))
        try:
            return [found for line in lines for found in read_hash(line)]
        except HashFormatError as error:
            raise forms.ValidationError(told(error)) from None


def read_hash(untrusted_line: str) -> list[tuple[str, str, bytes]]:
    """(as shown, algorithm, digest) for each kind that one hash may be. HashFormatError."""
    return [(f"{name}:{digest.hex()}", name, digest) for name, digest in parse_hash(untrusted_line).items()]
