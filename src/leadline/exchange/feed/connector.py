"""Connector `leadline-feed`: another Leadline's signed feed, from an address or a folder; receipts go back.

A pull believes nothing before the signed files are checked (trust.py), and tells the publisher how far it came only
once that is on disk: at `confirm`, or at the beginning of the next pull.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from leadline.errors import ExchangeError, FeedRefused, sentence
from leadline.exchange.connector import (
    Checked,
    Checkpoint,
    ListConnector,
    Page,
    Record,
    RootedPath,
    WebOptions,
    from_the_root,
)
from leadline.exchange.feed.contents import Head, Reading, open_part
from leadline.exchange.feed.keys import SubscriberKey
from leadline.exchange.feed.places import Place, open_place
from leadline.exchange.feed.reading import read_piece, require_head
from leadline.exchange.feed.receipts import make_receipt, next_proof, receipt_name
from leadline.exchange.feed.telling import Piece, Telling, choose, tellings_for
from leadline.exchange.feed.trust import Believed, Trust, believe
from leadline.match.fingerprints import load_kinds

_MAX_ROOT_BYTES = 1 << 20


class FeedOptions(WebOptions):
    """address: https://NAME/feed/BANK, or a folder. root: the publisher's root.json, its path or its text, come by a
    way that you trust. receipts: a folder for receipts, where none can be left at the address. takes_clearing: take
    benign and false-positive entries too, which take matches away."""

    address: str = Field(min_length=1)
    root: str = Field(min_length=1, repr=False)
    receipts: RootedPath | None = None
    takes_clearing: bool = False

    @field_validator("address")
    @classmethod
    def _place(cls, text: str) -> str:
        """A web address as it is, a folder from the root on."""
        return text if "://" in text else str(from_the_root(Path(text)))

    @field_validator("root")
    @classmethod
    def _read(cls, text: str) -> str:
        """Its text, so that a file that is lost or changed later changes nothing."""
        if text.lstrip().startswith("{"):
            return text
        try:
            with open(text, "rb") as file:
                return file.read(_MAX_ROOT_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            raise ValueError("the file of the root cannot be read") from None


@dataclass(frozen=True, slots=True)
class State:
    """Where a pull stands, as its checkpoint holds it. feed: whose list; serial: state of it that is applied, with its
    proof; mark, part: of the telling that is being applied, how many parts of it are."""

    root: str
    version: int = 0
    feed: str = ""
    serial: int = 0
    proof: str = ""
    mark: str = ""
    part: int = 0


class FeedConnector(ListConnector):
    name = "leadline-feed"
    title = "A Leadline's own signed feed"
    secret_names = ("key",)
    optional_secret_names = ("token",)
    options_type: ClassVar[type[FeedOptions]] = FeedOptions
    options: FeedOptions

    def __init__(self, options: FeedOptions, secrets: Mapping[str, str], *rest: Any, **more: Any) -> None:
        super().__init__(options, secrets, *rest, **more)
        self._key = SubscriberKey(secrets["key"])
        self._opened: Place | None = None
        self._confirmed = 0

    @property
    def _place(self) -> Place:
        if self._opened is None:
            options = self.options
            self._opened = open_place(
                options.address, source=self.name, sleep=self.sleep, token=self.secrets.get("token", ""),
                timeout_s=options.timeout_s, ca_file=options.ca_file, receipts=options.receipts,
            )  # fmt: skip
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def check(self) -> Checked:
        """Checks every signed file, opens no contents."""
        believed = believe(self._place, Trust(self.options.root.encode()), self.clock(), self.name)
        tellings = self._tellings(believed)
        way = choose(tellings, 0, self.name)
        # What changed counts twice: nothing is opened here.
        entries = sum(piece.entries - piece.withdrawn for telling in way for piece in telling.pieces)
        notes = [sentence("its list has about %(count)s entries for us", count=max(0, entries))]
        days = int((believed.expires_s - self.clock()) // 86_400)
        notes.append(sentence("what is signed holds for %(days)s more days", days=days))
        return Checked(f"subscriber {self._key.id} of {believed.publisher}", tuple(notes))

    def pull(self, checkpoint: Checkpoint | None) -> Iterator[Page]:
        state = State(self.options.root) if checkpoint is None else State(**checkpoint)
        with contextlib.suppress(ExchangeError):  # `confirm` says so, after the pull
            self._tell_applied(state)
        believed = believe(self._place, Trust(state.root.encode(), state.version), self.clock(), self.name)
        state = self._carry_over(state, believed)
        way = choose(self._tellings(believed), state.serial, self.name)
        if not way:
            yield Page((), asdict(state), is_last=True)
        total = sum(piece.entries + piece.withdrawn for telling in way for piece in telling.pieces)
        for telling in way:
            is_last_telling = telling is way[-1]
            first = state.part if state.mark == telling.mark else 0
            for piece in telling.pieces[first:]:
                page, state = self._read(believed, telling, piece, state, is_last_telling)
                yield replace(page, total=total)

    def confirm(self, checkpoint: Checkpoint) -> None:
        self._tell_applied(State(**checkpoint))

    # --- in steps ----------------------------------------------------------------------------------------------------

    def _carry_over(self, state: State, believed: Believed) -> State:
        """After a change of keys the whole list is told anew: nobody knows what the keys before it were used for."""
        trusted = replace(state, root=believed.trust.root.decode(), version=believed.trust.version, feed=believed.feed)
        return replace(trusted, serial=0, proof="", mark="", part=0) if believed.was_rotated else trusted

    def _tellings(self, believed: Believed) -> list[Telling]:
        tellings = tellings_for(believed.files, self._key.id, self.name)
        if not tellings:
            mend = "ask the publisher whether it has your card, and did not end the subscription"
            raise FeedRefused("it tells this key nothing", where=self.name, mend=mend, code="not-for-us")
        return tellings

    def _read(
        self, believed: Believed, telling: Telling, piece: Piece, state: State, is_last_telling: bool
    ) -> tuple[Page, State]:
        head, lines = self._open(piece, believed)
        reading = Reading(self.defaults, frozenset(load_kinds()), self.options.takes_clearing, believed.publisher)
        records: Sequence[Record] = list(reading.records(lines, f"state {piece.serial}, part {piece.part}"))
        is_end = piece.part == piece.parts - 1
        after = self._finished(state, telling, head) if is_end else replace(
            state, mark=telling.mark, part=piece.part + 1
        )  # fmt: skip
        page = Page(
            records, asdict(after), tuple(reading.faults), reading.unknown,
            begins_whole=telling.is_whole and piece.part == 0, is_last=is_end and is_last_telling,
        )  # fmt: skip
        return page, after

    def _finished(self, state: State, telling: Telling, head: Head) -> State:
        try:
            step = bytes.fromhex(head.proof)
            proof = step if telling.is_whole else next_proof(bytes.fromhex(state.proof), step)
        except ValueError:
            mend = "nothing of it was taken; tell the publisher"
            raise FeedRefused("contents without a proof", where=self.name, mend=mend, code="damaged") from None
        return replace(state, serial=telling.serial, proof=proof.hex(), mark="", part=0)

    def _open(self, piece: Piece, believed: Believed) -> tuple[Head, list[bytes]]:
        head, lines = open_part(read_piece(self._place, piece, self.name), self._key, self.name)
        require_head(head, believed.feed, self._key.id, piece, self.name)
        return head, lines

    def _tell_applied(self, state: State) -> None:
        if not state.serial or state.serial == self._confirmed:
            return
        receipt = make_receipt(
            self._key, feed=state.feed, serial=state.serial, proof=state.proof, applied_at=int(self.clock())
        )
        self._place.leave_receipt(receipt_name(self._key.id, state.serial), receipt)
        self._confirmed = state.serial
