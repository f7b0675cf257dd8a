"""What the service does with each bank: whether it answers, in which share of look-ups, or only in silence.

These are settings of the service, in its state folder; what a bank says of itself (radius, floor, kind) is in its own
folder.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from leadline.service.kept import Kept

FILE_NAME = "banks.json"


class BankSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """enabled: false takes the bank out of all answers. ratio: the share of look-ups it takes part in, 0 none, 1 all.
    shadow: its matches are counted and logged, and never told."""

    enabled: bool = True
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    shadow: bool = False

    @property
    def may_be_told(self) -> bool:
        """Whether any answer can name the bank."""
        return self.enabled and self.ratio > 0 and not self.shadow


PLAIN = BankSettings()


class Settings:
    """Of the banks of one state folder, by name. `refresh` is called twice a second; the rest reads memory."""

    def __init__(self, folder: Path) -> None:
        self._file = Kept(folder / FILE_NAME, dict[str, BankSettings], {})
        self.special: Mapping[str, BankSettings] = {}  # of the banks that are not simply on; replaced whole
        self.silent: frozenset[str] = frozenset()  # banks that no answer can name
        self.switched_off: frozenset[str] = frozenset()  # banks that need not be searched
        self.refresh()

    def of(self, bank: str) -> BankSettings:
        return self.special.get(bank, PLAIN)

    def refresh(self) -> None:
        """Pick up what another process set. ConfigError where the file is damaged: what held goes on to hold."""
        self._take(self._file.read())

    def set(self, bank: str, settings: BankSettings) -> None:
        """For all workers, within a second. Raises OSError, ConfigError."""
        self._take(self._file.change(lambda before: {**before, bank: settings}))

    def forget(self, bank: str) -> None:
        """A bank of that name that is made later begins as a plain one."""
        self._take(self._file.change(lambda before: {name: s for name, s in before.items() if name != bank}))

    def _take(self, known: Mapping[str, BankSettings]) -> None:
        special = {name: settings for name, settings in known.items() if settings != PLAIN}
        if special != self.special:
            self.silent = frozenset(name for name, s in special.items() if not s.may_be_told)
            self.switched_off = frozenset(name for name, s in special.items() if not s.enabled)
            self.special = special


def takes_part(bank: str, settings: BankSettings, seed: str | None) -> bool:
    """Whether a bank takes part in one look-up.

    With a seed always the same for the same bank and seed: the first eight bytes of SHA-256 over the bank's name, a
    zero byte and the seed (both UTF-8), as a big-endian number, divided by 2**64, lie below the ratio. So whoever is
    in at a ratio is in at every greater one. Without a seed, chance decides anew for each look-up.
    """
    if not settings.enabled:
        return False
    if settings.ratio >= 1:
        return True
    if seed is None:
        return random.random() < settings.ratio  # noqa: S311 (a share of the traffic, no secret)
    drawn = hashlib.sha256(f"{bank}\0{seed}".encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(drawn, "big") < settings.ratio * 2**64
