"""An office with a partner who takes everything, people who propose and approve, and a connector that remembers."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, ClassVar

import pytest

from leadline.domain import Entry, Kind, Tlp
from leadline.errors import LeadlineError
from leadline.exchange.connector import Act, Checked, Connector, Options, Outgoing, Sent
from leadline.exchange.connectors import CONNECTORS
from leadline.match.bank import Bank
from leadline.subscriptions.folder import Subscription
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.cases.states import Pap
from leadline.workbench.permissions import Role
from leadline.workbench.sharing import access, actions, reach
from leadline.workbench.sharing.gate import Wish
from leadline.workbench.sharing.models import Agreement, Partner, Share

PASSWORD = "a made-up credential"


class RecorderOptions(Options):
    address: str = "https://partner.example.org/hashes"
    timeout_s: float = 60.0


@dataclass
class Desk:
    """The partner's side: what arrived, and what it does with the next calls."""

    arrived: list[list[Outgoing]] = field(default_factory=list)
    secrets: list[dict[str, str]] = field(default_factory=list)
    errors: dict[str, LeadlineError] = field(default_factory=dict)  # md5 of an entry -> its outcome
    raises: list[BaseException] = field(default_factory=list)  # the next calls, before anything is tried
    meanwhile: Callable[[], Any] | None = None

    @property
    def all(self) -> list[Outgoing]:
        return [one for part in self.arrived for one in part]


class Recorder(Connector):
    name = "recorder"
    title = "remembers what it was handed"
    secret_names: ClassVar[tuple[str, ...]] = ("password",)
    act_names: ClassVar[frozenset[Act]] = frozenset(Act)
    options_type = RecorderOptions
    desk: ClassVar[Desk]

    def check(self) -> Checked:
        return Checked()

    def send(self, outgoing: Sequence[Outgoing]) -> list[Sent]:
        if self.desk.raises:
            raise self.desk.raises.pop(0)
        self.desk.arrived.append(list(outgoing))
        self.desk.secrets.append(dict(self.secrets))
        if self.desk.meanwhile is not None:
            self.desk.meanwhile()
        return [self._answer(one) for one in outgoing]

    def _answer(self, one: Outgoing) -> Sent:
        md5 = one.entry.fingerprints["md5"].hex() if one.entry else one.key
        error = self.desk.errors.get(md5)
        return Sent(one, error=error) if error else Sent(one, remote_id=f"theirs-{md5[:8]}")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    module = types.ModuleType("leadline.exchange.recorder")
    module.Recorder = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(CONNECTORS, "recorder", "recorder:Recorder")
    Recorder.desk = Desk()
    return Recorder.desk


def set_up(name: str, bank: str = "", **options: Any) -> None:
    """A source, its credential sealed with the office's key."""
    given = Subscription(name, "recorder", options, bank, Kind.ILLEGAL)
    reach.subscriptions().add(given, {"password": PASSWORD})


def digest_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def entry(number: int, **more: Any) -> Entry:
    more.setdefault("kind", Kind.ILLEGAL)
    more.setdefault("tlp", Tlp.AMBER)
    return Entry(fingerprints={"md5": digest_of(number)}, **more)


@pytest.fixture
def proposer(make_person: Callable[..., Person]) -> Actor:
    return Actor.of_person(make_person("proposer", Role.ANALYST))


@pytest.fixture
def approver(make_person: Callable[..., Person]) -> Actor:
    return Actor.of_person(make_person("approver", Role.SENIOR))


@pytest.fixture
def administrator(make_person: Callable[..., Person]) -> Person:
    return make_person("administrator", Role.ADMINISTRATOR)


@pytest.fixture
def bank(office: Any) -> Bank:
    """Five entries that may leave."""
    made = Bank.create(office.banks / "own", name="own", kind=Kind.ILLEGAL)
    made.add([entry(number) for number in range(1, 6)])
    return made


def agree(by: Person, partner: Partner, **more: Any) -> Agreement:
    today = date(2026, 1, 1)
    terms: dict[str, Any] = {
        "tlp": Tlp.AMBER, "pap": Pap.AMBER, "kinds": [Kind.ILLEGAL], "purposes": ["matching"], "valid_from": today,
        "valid_until": today + timedelta(days=36_500), "document": "a made-up folder, page 7",
    }  # fmt: skip
    return actions.agree(by, partner, **(terms | more))


@pytest.fixture
def partner(office: Any, desk: Desk, administrator: Person) -> Partner:
    set_up("partner")
    made = actions.make_partner(administrator, "A made-up hotline", "partner")
    agree(administrator, made)
    return made


def submit(*ids: int, act: Act = Act.SUBMIT, bank: str = "own", **more: Any) -> Wish:
    return Wish(act, bank, ids, **more)


def propose(by: Actor, partner: Partner, wish: Wish, **more: Any) -> Share:
    """What a dry run shows just now."""
    seen = access.preview(by, partner, wish, "matching")
    given: dict[str, Any] = {"purpose": "matching", "reason": "agreed-exchange", "seen_digest": seen.digest}
    return actions.propose(by, partner, wish, **(given | more))


def rules(by: Actor, partner: Partner, wish: Wish) -> dict[int, str]:
    return {one.entry: one.rule for one in access.preview(by, partner, wish, "matching").rulings}
