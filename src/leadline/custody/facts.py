"""What an exhibit says of itself and of its assets. Holds no content of an asset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from leadline.custody import verify
from leadline.errors import CustodyFormatError

HASH_DIGITS: Mapping[str, int] = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128, "pdq": 64}
# How much of an asset a person of the organisation was shown, by its record of what was sent to whom.
VIEWED: Mapping[str, str] = {
    "whole": "shown to a person whole, or nearly",
    "part": "shown to a person in part",
    "tile-only": "shown to a person small and blurred only",
    "not-viewed": "shown to nobody",
}
_MAX_TEXT = 1000


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """One asset. `hashes`: algorithm -> lower-case hex, sha256 always among them. `name`: as received, untrusted.

    `viewed`: one of VIEWED, as it stood when the exhibit was made; "": nothing is said of it.
    """

    asset_id: str
    hashes: Mapping[str, str]
    size_bytes: int
    media_type: str = ""
    received_at: str = ""
    name: str = ""
    viewed: str = ""

    def __post_init__(self) -> None:
        if self.viewed and self.viewed not in VIEWED:
            mend = f"one of {', '.join(VIEWED)}"
            raise CustodyFormatError("no such way to be viewed", where=f"asset {self.asset_id}", mend=mend)
        _check("asset_id", self.asset_id, verify.ID)
        if self.received_at:
            _check("received_at", self.received_at, verify.TIME)
        wrong = [n for n, v in self.hashes.items() if len(v) != HASH_DIGITS.get(n) or v.strip("0123456789abcdef")]
        if wrong or "sha256" not in self.hashes or not 0 <= self.size_bytes <= verify.MAX_NUMBER:
            raise CustodyFormatError("hashes or size are not", where=f"asset {self.asset_id}", mend="hash it again")

    @property
    def sha256(self) -> str:
        return self.hashes["sha256"]


@dataclass(frozen=True, slots=True)
class ExhibitFacts:
    """One exhibit. Texts are for people; ids and times are checked.

    `objects`: ids whose custody lines are shown in full, besides those of the exhibit and of its assets.
    `released_by`: ids of the people who released it; how many that must be is the workbench's rule.
    """

    exhibit_id: str
    chain_id: str
    organisation: str
    created_at: str
    released_by: tuple[str, ...]
    reference: str = ""
    recipient: str = ""
    objects: frozenset[str] = field(default_factory=frozenset)
    made_with: str = "Leadline"

    def __post_init__(self) -> None:
        for name, value in (("exhibit_id", self.exhibit_id), ("chain_id", self.chain_id)):
            _check(name, value, verify.ID)
        for person in self.released_by:
            _check("released_by", person, verify.ID)
        _check("created_at", self.created_at, verify.TIME)
        if max(map(len, (self.organisation, self.reference, self.recipient, self.made_with))) > _MAX_TEXT:
            raise CustodyFormatError("a text is too long", where=f"exhibit {self.exhibit_id}", mend="shorten it")


def _check(name: str, value: object, form: re.Pattern[str]) -> None:
    try:
        verify.check_text(name, value, form)
    except verify.Malformed as error:
        raise CustodyFormatError(str(error), where="exhibit", mend="correct the field") from None
