"""The gate: which entries may leave to a partner, by which rule, and as what. Reads banks and rows; sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from leadline.domain import Entry, Tlp
from leadline.errors import BankError
from leadline.exchange.connector import Act, Outgoing
from leadline.match.bank import Bank
from leadline.workbench import sealing
from leadline.workbench.actors import Actor
from leadline.workbench.banks import access as banks
from leadline.workbench.cases.states import Pap
from leadline.workbench.sharing import leaving, reach
from leadline.workbench.sharing.models import Agreement, ItemState, Partner, ShareItem, ShareState

PASSES = frozenset({"agreed", "was-sent"})
_STRICTEST_FIRST_TLP, _STRICTEST_FIRST_PAP = list(Tlp), list(Pap)
UNMARKED_PAP = Pap.AMBER  # as a case that says nothing
_AT_ONCE = 500
_UNDER_WAY = [ShareState.PROPOSED, ShareState.APPROVED, ShareState.SENDING, ShareState.UNCLEAR, ShareState.FAILED]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wishes to leave. ids, or where there are none the entries that all filters let through.

    since   entries added here since that day
    algorithm, codes  of an opinion: the fingerprint it is about, the partner's own reason codes
    """

    act: Act
    bank: str
    ids: Sequence[int] = ()
    kind: str = ""
    label: str = ""
    source: str = ""
    since: datetime | None = None
    algorithm: str = ""
    codes: tuple[str, ...] = ()

    def lets_through(self, entry: Entry) -> bool:
        wished = ((self.kind, str(entry.kind)), (self.label, entry.label), (self.source, entry.source))
        since_s = 0 if self.since is None else int(self.since.timestamp())
        return entry.added >= since_s and all(not want or want == has for want, has in wished)


@dataclass(frozen=True, slots=True)
class Ruling:
    """Of one entry: the rule that lets it pass or stops it; `left`: exactly what would leave, empty where it stops."""

    entry: int
    rule: str
    left: bytes = b""

    @property
    def passes(self) -> bool:
        return self.rule in PASSES

    @property
    def digest(self) -> str:
        return leaving.digest(self.left) if self.left else ""

    @property
    def told(self) -> Any:
        """What would leave, as a page shows it."""
        return json.loads(self.left) if self.left else None


class Gate:
    """For one partner, one agreement, one act. Entries that `by` may not see are absent to it."""

    def __init__(
        self,
        by: Actor | None,
        partner: Partner,
        agreement: Agreement,
        bank: Bank | None,
        wish: Wish,
        *,
        but: Any = None,
    ) -> None:
        """by: None for the worker, who sends what somebody else approved. but: the share that is being sent."""
        self._by, self._partner, self._agreement, self._bank, self._wish, self._but = (
            by, partner, agreement, bank, wish, but,
        )  # fmt: skip
        self._is_red = bank is not None and banks.is_red(bank)
        self._holder = reach.holder_of(bank) if bank is not None else ""
        self._sources = frozenset(one.name for one in reach.sources())
        self._words = banks.words_on(bank)[::-1] if bank is not None else []

    def judge(self, ids: Iterable[int]) -> list[Ruling]:
        """One ruling an entry, in order."""
        wanted, rulings = list(dict.fromkeys(ids)), []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            before, under_way = self._sent_before(some), self._under_way(some)
            rulings += [self._judge(entry, before.get(entry), entry in under_way) for entry in some]
        return rulings

    def _judge(self, entry_id: int, before: ShareItem | None, is_under_way: bool) -> Ruling:
        if is_under_way:
            return Ruling(entry_id, "under-way")
        if self._wish.act is Act.WITHDRAW:
            return self._judge_withdrawal(entry_id, before)
        if before is not None:
            return Ruling(entry_id, "sent-before")
        entry = self._find(entry_id)
        if entry is None:
            return Ruling(entry_id, "absent")
        rule = self._stopped_by(entry) or "agreed"
        return Ruling(entry_id, rule, leaving.encode(self._outgoing(entry)) if rule == "agreed" else b"")

    def _judge_withdrawal(self, entry_id: int, before: ShareItem | None) -> Ruling:
        """What a partner has may always be taken back, whatever has become of the entry here."""
        if before is None:
            return Ruling(entry_id, "never-sent")
        sent = leaving.decode(unseal_left(before))
        outgoing = Outgoing(Act.WITHDRAW, before.remote_id or sent.key, sent.algorithm, self._wish.codes, sent.entry)
        return Ruling(entry_id, "was-sent", leaving.encode(outgoing))

    def _find(self, entry_id: int) -> Entry | None:
        if self._bank is None:
            return None
        try:
            return self._bank.get(entry_id) if self._by is None else banks.find_entry(self._by, self._bank, entry_id)
        except BankError:
            return None

    def _stopped_by(self, entry: Entry) -> str:
        """The first rule that stops it; "" where none does."""
        agreement, is_opinion = self._agreement, self._wish.act is not Act.SUBMIT
        is_theirs = self._holder == self._partner.source and entry.source == self._partner.source
        is_others = bool(self._holder) or entry.source in self._sources
        pap = pap_of(entry)
        rules = (
            ("suspended", self._bank is not None and entry.disabled_until > self._bank.now()),
            ("tlp-red", self._is_red or entry.tlp is Tlp.RED),
            ("tlp-above", _is_stricter(_STRICTEST_FIRST_TLP, entry.tlp, Tlp(agreement.tlp))),
            ("pap-unknown", pap is None),
            ("pap-above", pap is not None and _is_stricter(_STRICTEST_FIRST_PAP, pap, Pap(agreement.pap))),
            ("kind", str(entry.kind) not in agreement.kinds),
            ("unconfirmed", banks.needs_two(entry.kind) and not self._is_confirmed(entry.id or 0)),
            ("not-theirs", is_opinion and not is_theirs),
            ("theirs", not is_opinion and is_theirs),
            ("others", not is_opinion and is_others and not agreement.onward),
        )
        return next((rule for rule, stops in rules if stops), "")

    def _is_confirmed(self, entry_id: int) -> bool:
        return next((is_yes for first, last, is_yes in self._words if first <= entry_id <= last), False)

    def _outgoing(self, entry: Entry) -> Outgoing:
        wish = self._wish
        if wish.act is Act.SUBMIT:
            return Outgoing(wish.act, "", wish.algorithm, wish.codes, leaving.strip(entry, str(pap_of(entry) or "")))
        return Outgoing(wish.act, entry.source_id, wish.algorithm, wish.codes)  # an opinion: its own key, no more

    def _sent_before(self, ids: Sequence[int]) -> dict[int, ShareItem]:
        """What the partner has of ours, or has been told: the newest act on each entry that it took."""
        acts = [Act.SUBMIT, Act.WITHDRAW] if self._wish.act in (Act.SUBMIT, Act.WITHDRAW) else [Act.AFFIRM, Act.DISPUTE]
        rows = ShareItem.objects.filter(
            share__partner=self._partner, share__bank=self._wish.bank, share__act__in=acts, entry__in=ids,
            state=ItemState.TAKEN,
        )  # fmt: skip
        newest = {row.entry: row for row in rows.select_related("share").order_by("id")}
        same = Act.SUBMIT if self._wish.act is Act.WITHDRAW else self._wish.act
        return {entry: row for entry, row in newest.items() if row.share.act == same}

    def _under_way(self, ids: Sequence[int]) -> set[int]:
        live = [ItemState.WAITING, ItemState.SENDING, ItemState.UNCLEAR]
        rows = ShareItem.objects.filter(
            share__partner=self._partner, share__bank=self._wish.bank, share__state__in=_UNDER_WAY, entry__in=ids,
            state__in=live,
        )  # fmt: skip
        return set(rows.exclude(share=self._but).values_list("entry", flat=True))


def pap_of(entry: Entry) -> Pap | None:
    """Of its metadata; an entry without one counts as amber. None where it says something nobody here knows."""
    try:
        said = str(json.loads(entry.metadata or "{}").get("pap", "")).lower().removeprefix("pap:")
        return Pap("clear" if said == "white" else said) if said else UNMARKED_PAP  # white: of older PAP
    except (ValueError, AttributeError):
        return None


def is_live(agreement: Agreement, now: datetime) -> bool:
    today = now.astimezone(UTC).date()
    return agreement.ended_at is None and agreement.valid_from <= today <= agreement.valid_until


def unseal_left(item: ShareItem) -> bytes:
    assert item.left_sealed is not None
    return sealing.unseal(bytes(item.left_sealed), left_context(item.share_id, item.entry)).encode()


def left_context(share_id: object, entry: int) -> str:
    return f"share:{share_id}:entry:{entry}"


def _is_stricter(strictest_first: Sequence[Any], label: Any, limit: Any) -> bool:
    return strictest_first.index(label) < strictest_first.index(limit)
