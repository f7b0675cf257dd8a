"""What every connector must do, whatever its source does: a suite for those that pull a list, one for look-ups, one for
those that send; and what of the first holds for a list that is a file, too.

A subclass names its connector, gives credentials, a stand-in (`make_mock`, made-up data, three pages or more where the
protocol has pages) and options. Its stand-in keeps time by `mock.clock`, which the suite moves.
"""

from __future__ import annotations

import base64
import contextlib
import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import httpx
import msgspec
import pytest

from leadline.domain import EXACT_ALGORITHMS, Entry, Fingerprints, Kind, Tlp
from leadline.errors import (
    ConfigError,
    CredentialsRefused,
    ExchangeError,
    LeadlineError,
    SourceBroken,
    SourceUnavailable,
)
from leadline.exchange import web
from leadline.exchange.base import EntryDefaults
from leadline.exchange.connector import Connector, ListConnector, LookUpConnector, Outgoing, Page
from leadline.exchange.mock.base import Fault, FaultKind, Mock, serving
from leadline.exchange.web import Answer
from leadline.match.bank import Bank
from leadline.match.matcher import Matcher
from leadline.subscriptions.holdings import Holdings
from leadline.subscriptions.importing import BATCH_RECORDS, Importer, Outcome

NOW_S = 1_795_000_000.0  # November 2026: after every time that a stand-in tells
FOR_EVER = 1_000_000
DEFAULTS = EntryDefaults(Kind.OTHER, source="far-list", tlp=Tlp.AMBER, licence="for tests")


class Clock:
    """Seconds since 1970, moved by the test; sleeping moves it, too, and is remembered."""

    def __init__(self) -> None:
        self.now = NOW_S
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Oddity(StrEnum):
    """What an entry can be asked to be like."""

    UNKNOWN = "unknown"  # beside a good hash it holds a tag, type or status that nobody here knows
    SHORT_HASH = "short-hash"  # its only hash lacks its last character
    UPPER_CASE = "upper-case"  # its hash is in capital letters


class Planted(NamedTuple):
    """An entry that a stand-in was given: its Record's key (empty where it is none), and the bytes of its hash."""

    key: str
    digest: bytes


class Killed(BaseException):
    """As of a process: nothing catches it."""


class Given(NamedTuple):
    """What a test makes connectors of."""

    connector: Callable[..., Any]
    clock: Clock
    mock: Any  # a Mock, but of a list that is no service


class Subscriber:
    """One bank and holdings, filled by pulls; each pull with a new connector, as after a restart."""

    def __init__(self, folder: Path, given: Given) -> None:
        folder.mkdir()
        self._given = given
        self.bank = Bank.create(folder / "bank", name="REHEARSAL", kind=Kind.OTHER, clock=given.clock, kinds={})
        self.holdings = Holdings(folder / "holdings.sqlite")

    def pull(self, *, batch_records: int = BATCH_RECORDS, pages: int = FOR_EVER, **options: Any) -> Outcome:
        """Killed after so many pages."""
        connector = self._given.connector(**options)
        try:
            importer = Importer(self.bank, self.holdings, batch_records=batch_records)
            return importer.run(_killed_after(connector.pull(self.holdings.checkpoint), pages))
        finally:
            connector.close()

    def entries(self) -> dict[str, Entry]:
        """By the source's own key. Without what depends on when, and in which order, they came."""
        entries = list(self.bank.entries())
        found = {entry.source_id: msgspec.structs.replace(entry, id=None, added=0) for entry in entries}
        assert len(found) == len(entries), "one entry of the source stands here twice"
        return found


def _killed_after(pages: Iterator[Page], count: int) -> Iterator[Page]:
    for number, page in enumerate(pages):
        if number == count:
            raise Killed
        yield page


def require_no_secret(error: LeadlineError, connector: Connector) -> None:
    text = "".join(traceback.format_exception(error)) + repr(vars(error))
    pair = ":".join(connector.secrets.values()).encode()
    for secret in (*connector.secrets.values(), base64.b64encode(pair).decode()):
        assert not secret or secret not in text


class ConnectorContract:
    """What both kinds have in common.

    greetings  requests with which its client begins, before the first of what it is asked for
    """

    connector: ClassVar[type[Connector]]
    secrets: ClassVar[Mapping[str, str]] = {}
    greetings: ClassVar[int] = 0

    def make_mock(self) -> Mock:
        raise NotImplementedError

    def options(self, address: str) -> dict[str, Any]:
        """Of the connector, with the stand-in at this address."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def mock(self, clock: Clock) -> Mock:
        mock = self.make_mock()
        mock.clock = clock
        return mock

    @pytest.fixture
    def given(self, mock: Mock, clock: Clock) -> Iterator[Given]:
        with serving(mock) as address:

            def connect(secrets: Mapping[str, str] = self.secrets, **options: Any) -> Connector:
                return self.make({**self.options(address), **options}, secrets, clock)

            yield Given(connect, clock, mock)

    def make(self, options: dict[str, Any], secrets: Mapping[str, str], clock: Clock) -> Connector:
        made = self.connector.options_type(**options)
        return self.connector(made, secrets, DEFAULTS, clock=clock, sleep=clock.sleep)

    def ask(self, connector: Connector) -> None:
        """Whatever asks the source what it is there for."""
        raise NotImplementedError

    def refusal(self, connector: Connector, act: Callable[[Connector], object]) -> ExchangeError:
        """What `act` raises; it tells no credential."""
        with contextlib.closing(connector), pytest.raises(ExchangeError) as caught:
            act(connector)
        require_no_secret(caught.value, connector)
        return caught.value

    def test_a_check_of_a_good_source_is_good(self, given: Given) -> None:
        with contextlib.closing(given.connector()) as connector:
            assert connector.check() is not None
            connector.close()
        assert given.mock.asked

    def test_making_one_asks_nothing(self, given: Given) -> None:
        given.connector().close()
        assert not given.mock.asked

    @pytest.mark.parametrize("status", ["401", "403"])
    def test_refused_credentials_are_said_to_be_refused(self, given: Given, status: str) -> None:
        given.mock.faults.append(Fault(FaultKind(status), times=FOR_EVER))
        acts: list[Callable[[Connector], object]] = [lambda connector: connector.check(), self.ask]
        for act in acts:
            error = self.refusal(given.connector(), act)
            assert isinstance(error, CredentialsRefused)
            assert error.where
        assert not given.clock.slept, "nothing is tried again"

    def test_credentials_of_another_environment_are_refused(self, given: Given) -> None:
        if not self.secrets:
            return
        others = {name: f"not-{value}" for name, value in self.secrets.items()}
        assert isinstance(self.refusal(given.connector(others), self.ask), CredentialsRefused)

    def test_a_source_that_is_too_busy_is_asked_again_when_it_says(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.TOO_MANY, times=1, retry_after_s=7))
        with contextlib.closing(given.connector()) as connector:
            self.ask(connector)
        assert given.clock.slept == [7]

    def test_a_source_that_stays_broken_is_said_to_be_unavailable(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.BROKEN, times=FOR_EVER))
        error = self.refusal(given.connector(), self.ask)
        assert isinstance(error, SourceUnavailable)
        assert error.where
        assert given.clock.slept, "it was tried again, and not at once"

    def test_a_source_that_does_not_answer_in_time_is_said_to_be_unavailable(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.SLOW, times=FOR_EVER, seconds=0.5))
        error = self.refusal(given.connector(timeout_s=0.1), self.ask)
        assert isinstance(error, SourceUnavailable)
        assert error.code == "timeout"

    def test_a_redirect_to_a_private_address_is_not_followed(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.REDIRECT, times=FOR_EVER))
        error = self.refusal(given.connector(), self.ask)
        assert isinstance(error, SourceBroken)
        assert error.code == "redirected"

    @pytest.fixture(autouse=True)
    def _small_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All bounds of answers are lower here, so that a test need not send hundreds of megabytes."""

        class SmallAnswer(Answer):
            def __init__(self, response: httpx.Response, most_bytes: int, where: str, *more: int | None) -> None:
                super().__init__(response, min(most_bytes, 1 << 18), where, *more)

        monkeypatch.setattr(web, "Answer", SmallAnswer)

    def test_an_answer_without_end_is_said_to_be_too_large(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.ENDLESS, times=FOR_EVER, after=self.greetings))
        error = self.refusal(given.connector(), self.ask)
        assert isinstance(error, SourceBroken)
        assert error.code == "too-large", error
        assert error.where

    @pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.MALFORMED])
    def test_an_answer_that_is_none_is_said_to_be_broken(self, given: Given, kind: FaultKind) -> None:
        given.mock.faults.append(Fault(kind, times=FOR_EVER))
        error = self.refusal(given.connector(), self.ask)
        assert isinstance(error, SourceBroken)
        assert error.where

    def test_credentials_do_not_leave_without_tls(self, clock: Clock) -> None:
        with pytest.raises(ConfigError):
            self.ask(self.make(self.options("http://198.51.100.7"), self.secrets, clock))


class ListContract:
    """What a list is, wherever it comes from: `given.mock` is its source, or a stand-in for it.

    paged    it is told in pages, and the source has three or more
    resumes  a pull goes on with the page after the last that was applied, and does not begin anew
    dated    it tells a time of each entry
    beside   a record of it may hold several hashes, so that one of an unknown kind is kept beside a good one
    """

    secrets: ClassVar[Mapping[str, str]] = {}
    paged: ClassVar[bool] = True
    resumes: ClassVar[bool] = True
    dated: ClassVar[bool] = True
    beside: ClassVar[bool] = True

    def plant(self, mock: Any, oddity: Oddity) -> Planted:
        """Have the source tell one more entry, an odd one."""
        raise NotImplementedError

    def withdraw(self, mock: Any, key: str) -> bool:
        """Have the source take back the entry of this Record's key."""
        raise NotImplementedError

    @pytest.fixture
    def new(self, tmp_path: Path, given: Given) -> Callable[[], Subscriber]:
        made: list[Subscriber] = []

        def subscribe() -> Subscriber:
            made.append(Subscriber(tmp_path / str(len(made)), given))
            return made[-1]

        return subscribe

    @pytest.fixture
    def whole(self, new: Callable[[], Subscriber]) -> dict[str, Entry]:
        """The entries of an undisturbed pull."""
        subscriber = new()
        assert subscriber.pull().is_complete
        entries = subscriber.entries()
        assert entries
        return entries

    def test_an_entry_keeps_what_its_source_says_of_it(self, whole: dict[str, Entry]) -> None:
        for key, entry in whole.items():
            assert (entry.source, entry.source_id) == (DEFAULTS.source, key)
            assert entry.licence == DEFAULTS.licence
            assert len(bytes.fromhex(json.loads(entry.metadata)["record"])) == 32
            assert entry.scheme or not entry.label, "a code never stands alone"
            assert not self.dated or 0 < entry.first_seen <= entry.last_seen <= NOW_S

    def test_a_second_pull_changes_nothing(self, new: Callable[[], Subscriber], given: Given) -> None:
        subscriber = new()
        subscriber.pull()
        version, before = subscriber.bank.list_version, subscriber.entries()
        given.clock.now += 60
        again = subscriber.pull()
        assert again.is_complete
        assert (again.added, again.changed, again.withdrawn) == (0, 0, 0)
        assert (subscriber.bank.list_version, subscriber.entries()) == (version, before)

    def test_its_whole_list_told_again_changes_nothing(self, new: Callable[[], Subscriber], given: Given) -> None:
        subscriber = new()
        first = subscriber.pull()
        subscriber.holdings.set_facts({"checkpoint": ""})
        version = subscriber.bank.list_version
        again = subscriber.pull()
        assert (again.same, again.added, again.changed) == (first.added, 0, 0)
        assert subscriber.bank.list_version == version

    @pytest.mark.parametrize("batch_records", [1, 25])
    def test_killed_at_any_page_it_ends_with_the_identical_bank(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], batch_records: int, given: Given
    ) -> None:
        pages = new().pull().pages
        assert pages >= (3 if self.paged else 1)
        for count in range(pages):
            subscriber = new()
            with pytest.raises(Killed):
                subscriber.pull(batch_records=batch_records, pages=count)
            assert subscriber.entries().items() <= whole.items()
            given.clock.now += 60
            assert subscriber.pull(batch_records=batch_records).is_complete
            assert subscriber.entries() == whole

    def test_killed_again_and_again_it_ends_with_the_identical_bank(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry]
    ) -> None:
        if not (self.paged and self.resumes):
            return
        subscriber = new()
        for _ in range(50):
            with contextlib.suppress(Killed):
                assert subscriber.pull(batch_records=1, pages=2).is_complete
                break
        assert subscriber.entries() == whole

    def test_a_checkpoint_is_plain_json(self, given: Given) -> None:
        with contextlib.closing(given.connector()) as connector:
            for page in connector.pull(None):
                assert json.loads(json.dumps(dict(page.checkpoint))) == page.checkpoint
                assert not any(secret in json.dumps(page.checkpoint) for secret in self.secrets.values() if secret)

    def test_what_the_source_withdrew_is_gone_and_matches_no_more(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], given: Given
    ) -> None:
        subscriber = new()
        subscriber.pull()
        key, entry = next((key, entry) for key, entry in whole.items() if _asked_for(entry))
        assert all(_matches(subscriber.bank, entry))
        given.clock.now += 60
        assert self.withdraw(given.mock, key)
        given.clock.now += 60
        assert subscriber.pull().withdrawn == 1
        assert not any(_matches(subscriber.bank, entry))
        assert subscriber.entries() == {other: kept for other, kept in whole.items() if other != key}

    def test_what_nobody_here_knows_is_counted_and_costs_nothing(
        self, new: Callable[[], Subscriber], mock: Any
    ) -> None:
        planted = self.plant(mock, Oddity.UNKNOWN)
        subscriber = new()
        outcome = subscriber.pull()
        assert outcome.unknown.total() >= 1
        assert outcome.refused == 0
        entry = subscriber.entries()[planted.key]
        assert planted.digest in entry.fingerprints.values()
        assert not self.beside or any(json.loads(entry.metadata)["fingerprints"].values())

    def test_a_hash_of_a_wrong_length_is_refused_with_its_place(
        self, new: Callable[[], Subscriber], mock: Any, whole: dict[str, Entry]
    ) -> None:
        self.plant(mock, Oddity.SHORT_HASH)
        subscriber = new()
        outcome = subscriber.pull()
        assert outcome.is_complete
        assert outcome.refused + outcome.refused_hashes == 1
        assert all(fault.where and fault.mend for fault in outcome.faults)
        assert whole.items() <= subscriber.entries().items()

    def test_hashes_in_capital_letters_are_the_same(self, new: Callable[[], Subscriber], mock: Any) -> None:
        planted = self.plant(mock, Oddity.UPPER_CASE)
        subscriber = new()
        assert subscriber.pull().refused_hashes == 0
        assert planted.digest in subscriber.entries()[planted.key].fingerprints.values()


class ListConnectorContract(ListContract, ConnectorContract):
    """For a ListConnector that is asked over HTTP."""

    connector: ClassVar[type[ListConnector]]

    def withdraw(self, mock: Any, key: str) -> bool:
        return mock.withdraw(key)

    def ask(self, connector: Connector) -> None:
        assert isinstance(connector, ListConnector)
        for _ in connector.pull(None):
            pass

    @pytest.mark.parametrize(
        ("kind", "after"),
        [
            *((FaultKind.BROKEN, 1), (FaultKind.CUT, 0), (FaultKind.CUT, 1), (FaultKind.CUT, 2)),
            *((FaultKind.MALFORMED, 0), (FaultKind.MALFORMED, 1), (FaultKind.MALFORMED, 2)),
            *((FaultKind.REDIRECT, 1), (FaultKind.UNAUTHORISED, 1), (FaultKind.ENDLESS, 1)),
        ],
    )
    def test_a_pull_after_a_fault_ends_with_the_identical_bank(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], given: Given, kind: FaultKind, after: int
    ) -> None:
        subscriber = new()
        given.mock.faults.append(Fault(kind, after=self.greetings + after))
        with contextlib.suppress(ExchangeError):
            subscriber.pull(batch_records=1)
        assert subscriber.entries().items() <= whole.items()
        given.mock.faults.clear()
        given.clock.now += 60
        assert subscriber.pull().is_complete
        assert subscriber.entries() == whole

    def test_pages_in_no_order_of_time_lose_nothing(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], given: Given
    ) -> None:
        subscriber = new()
        given.mock.faults.append(Fault(FaultKind.OUT_OF_ORDER, times=FOR_EVER))
        with contextlib.suppress(Killed):
            subscriber.pull(batch_records=1, pages=1)
        given.clock.now += 60
        assert subscriber.pull().is_complete
        assert subscriber.entries() == whole

    @pytest.mark.parametrize("ahead_s", [3600, -3600])
    def test_a_source_whose_clock_is_another_is_read_whole_and_withdraws(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], given: Given, ahead_s: int
    ) -> None:
        """An hour's difference costs an hour at most, and nothing for ever."""
        given.mock.clock = lambda: given.clock.now + ahead_s
        subscriber, left = new(), dict(whole)
        assert subscriber.pull().is_complete
        assert subscriber.entries() == left
        for key in list(whole)[:2]:
            given.clock.now += 60
            assert self.withdraw(given.mock, key)
            del left[key]
            given.clock.now += 3660  # some leave the last seconds for the next pull
            assert subscriber.pull().withdrawn == 1
            assert subscriber.entries() == left

    def test_a_page_that_is_no_longer_known_costs_nothing(
        self, new: Callable[[], Subscriber], whole: dict[str, Entry], given: Given
    ) -> None:
        if not self.paged:
            return
        subscriber = new()
        with pytest.raises(Killed):
            subscriber.pull(batch_records=1, pages=2)
        given.mock.faults.append(Fault(FaultKind.EXPIRED))
        for _ in range(2):
            with contextlib.suppress(ExchangeError):
                subscriber.pull()
        assert subscriber.entries() == whole


def _asked_for(entry: Entry) -> list[tuple[str, bytes]]:
    known = {*EXACT_ALGORITHMS, "pdq"}
    return [(name, digest) for name, digest in entry.fingerprints.items() if name in known]


def _matches(bank: Bank, entry: Entry) -> list[bool]:
    return [bool(answer.matches) for answer in Matcher([bank]).match_hashes(_asked_for(entry))]


class LookUpConnectorContract(ConnectorContract):
    """For a LookUpConnector."""

    connector: ClassVar[type[LookUpConnector]]

    def known(self, mock: Mock) -> Fingerprints:
        """Of a file that the stand-in knows."""
        raise NotImplementedError

    def unknown(self, mock: Mock) -> Fingerprints:
        """Of one that it does not know."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _asked(self, mock: Mock) -> None:
        self._question = [self.known(mock)]

    def ask(self, connector: Connector) -> None:
        assert isinstance(connector, LookUpConnector)
        connector.look_up(self._question)

    def test_each_question_has_its_answer_in_order(self, given: Given) -> None:
        known, unknown = self.known(given.mock), self.unknown(given.mock)
        with contextlib.closing(given.connector()) as connector:
            found = connector.look_up([unknown, known, unknown, known])
        assert [one.is_known for one in found] == [False, True, False, True]
        assert not found[0].classification

    def test_a_thousand_questions_have_a_thousand_answers(self, given: Given) -> None:
        known, unknown = self.known(given.mock), self.unknown(given.mock)
        with contextlib.closing(given.connector()) as connector:
            found = connector.look_up([unknown] * 700 + [known] + [unknown] * 299)
        assert [number for number, one in enumerate(found) if one.is_known] == [700]

    def test_nothing_is_asked_about_nothing(self, given: Given) -> None:
        with contextlib.closing(given.connector()) as connector:
            assert connector.look_up([]) == []
        assert not given.mock.asked

    def test_a_fault_is_never_taken_for_an_unknown_file(self, given: Given) -> None:
        given.mock.faults.append(Fault(FaultKind.BROKEN, times=1))
        with contextlib.closing(given.connector()) as connector:
            assert [one.is_known for one in connector.look_up(self._question)] == [True]


class SendContract(ConnectorContract):
    """For a connector that sends, beside what else it is."""

    def acts(self, mock: Any) -> list[Outgoing]:
        """Some that the stand-in takes, in two requests or more, none of which asks anything first."""
        raise NotImplementedError

    def send(self, given: Given, *faults: Fault) -> list[LeadlineError | None]:
        """What became of each act. Each was sent once, or not at all, and no error tells a credential."""
        acts = self.acts(given.mock)
        given.mock.asked.clear()
        given.mock.faults[:] = faults
        with contextlib.closing(given.connector()) as connector:
            sent = connector.send(acts)
        assert [one.outgoing for one in sent] == acts
        requests = Counter((one.method, one.path, one.body) for one in given.mock.asked[self.greetings :])
        assert set(requests.values()) == {1}
        assert not given.clock.slept
        for one in sent:
            assert one.error is None or one.error.where
            if one.error is not None:
                require_no_secret(one.error, connector)
        return [one.error for one in sent]

    def test_each_act_has_its_outcome_in_order(self, given: Given) -> None:
        assert self.send(given) == [None] * len(self.acts(given.mock))
        assert len(given.mock.asked) >= self.greetings + 2

    def test_what_goes_wrong_is_the_outcome_of_each_act_and_none_is_sent_again(self, given: Given) -> None:
        told: list[tuple[FaultKind, type[ExchangeError]]] = [
            (FaultKind.UNAUTHORISED, CredentialsRefused),
            (FaultKind.TOO_MANY, SourceUnavailable),
            (FaultKind.BROKEN, SourceUnavailable),
            (FaultKind.CUT, SourceBroken),  # it may have been taken
            (FaultKind.REDIRECT, SourceBroken),
        ]
        for kind, expected in told:
            errors = self.send(given, Fault(kind, times=FOR_EVER, after=self.greetings))
            assert {type(error) for error in errors} == {expected}, kind

    def test_an_act_that_fails_is_not_sent_again_and_keeps_no_other_from_being_sent(self, given: Given) -> None:
        errors = self.send(given, Fault(FaultKind.BROKEN, after=self.greetings))
        assert {type(error) for error in errors} == {SourceUnavailable, type(None)}
