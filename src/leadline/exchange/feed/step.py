"""One subscriber's next step in the making: of each entry that it may have, whether it is other than what it was told.

Entries come by ascending id, so that they are held against what was told in one walk over both.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from leadline.domain import Kind, Tlp
from leadline.exchange.feed.contents import withdrawn_line
from leadline.exchange.feed.keys import Agreement
from leadline.exchange.feed.ledger import Ledger
from leadline.exchange.feed.shelf import PartWriter

_NOTED_AT_ONCE = 5_000


class Outgoing(NamedTuple):
    """An entry as it leaves, made once for all subscribers. digest: of the line."""

    id: int
    kind: Kind
    tlp: Tlp
    line: bytes
    digest: bytes


class NextStep:
    """From state `since` to `serial`; a whole list where `is_whole`. proof: of `serial`.

    entries, withdrawn   how many were written as such, or withdrawn beside a whole list
    is_other             whether anything is other than what was told
    stays                how many entries the agreement does not let out, by why: "kind" or "tlp"
    """

    def __init__(
        self, ledger: Ledger, writer: PartWriter, agreement: Agreement, *, number: int, since: int, proof: bytes,
        is_whole: bool,
    ) -> None:  # fmt: skip
        self.agreement, self.number, self.since, self.serial = agreement, number, since, since + 1
        self.proof, self.is_whole, self.writer = proof, is_whole, writer
        self.entries = self.withdrawn = 0
        self.is_other = False
        self.stays = Counter[str]()
        self._ledger, self._told = ledger, ledger.told(number)
        self._before = next(self._told, None)
        self._noted: list[tuple[int, bytes | None]] = []

    def offer(self, given: Outgoing) -> None:
        """Each entry of the bank that counts."""
        if not self.agreement.admits(given.kind, given.tlp):
            self.stays["tlp" if given.kind in self.agreement.kinds else "kind"] += 1
            return
        self._withdraw_below(given.id)
        is_other = self._before != (given.id, given.digest)
        if self._before is not None and self._before[0] == given.id:
            self._before = next(self._told, None)
        if is_other:
            self._note(given.id, given.digest)
        if is_other or self.is_whole:
            self.writer.add(given.line, is_withdrawal=False)
            self.entries += 1

    def end(self) -> None:
        """What was told and was not offered is gone."""
        self._withdraw_below(1 << 62)
        self._ledger.note_changes(self.number, self._noted)
        self._noted = []

    def _withdraw_below(self, entry_id: int) -> None:
        while self._before is not None and self._before[0] < entry_id:
            self._note(self._before[0], None)
            self.withdrawn += 1
            if not self.is_whole:
                self.writer.add(withdrawn_line(self._before[0]), is_withdrawal=True)
            self._before = next(self._told, None)

    def _note(self, entry_id: int, digest: bytes | None) -> None:
        self.is_other = True
        self._noted.append((entry_id, digest))
        if len(self._noted) >= _NOTED_AT_ONCE:
            self._ledger.note_changes(self.number, self._noted)
            self._noted = []
