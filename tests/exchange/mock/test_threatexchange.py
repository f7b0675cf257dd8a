"""Meta's own client of StopNCII reads the stand-in: what it serves is that protocol, and not our idea of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threatexchange.exchanges.clients.stopncii import api
from threatexchange.exchanges.collab_config import CollaborationConfigBase
from threatexchange.exchanges.impl.stop_ncii_api import StopNCIICredentials, StopNCIISignalExchangeAPI
from threatexchange.signal_type.md5 import VideoMD5Signal
from threatexchange.signal_type.pdq.signal import PdqSignal

from leadline.exchange.mock.base import TOKEN, serving
from leadline.exchange.mock.stopncii import FEEDBACK_KEY, FETCH_KEY, StopNciiMock

ENTRIES = 1000  # more than a page


@pytest.fixture
def mock() -> StopNciiMock:
    return StopNciiMock(ENTRIES)


@pytest.fixture
def address(mock: StopNciiMock) -> Iterator[str]:
    with serving(mock) as address:
        yield f"{address}/v1"


def test_it_fetches_every_record_and_its_exchange_makes_signals_of_them(address: str) -> None:
    collab = CollaborationConfigBase("ncii", "stopncii", True)
    exchange = StopNCIISignalExchangeAPI.for_collab(collab, StopNCIICredentials(FETCH_KEY, TOKEN, address))
    store = {}
    for delta in exchange.fetch_iter((), None):
        store.update(delta.updates)
        checkpoint = delta.checkpoint
    signals = exchange.naive_convert_to_signal_type((PdqSignal, VideoMD5Signal), collab, store)
    assert sum(map(len, signals.values())) == ENTRIES
    index = PdqSignal.get_index_cls().build(signals[PdqSignal].items())
    assert len(index.query(next(iter(signals[PdqSignal])))) == 1
    assert [len(delta.updates) for delta in exchange.fetch_iter((), checkpoint)] in ([0], [1])


def test_it_hears_that_a_record_is_withdrawn(mock: StopNciiMock, address: str) -> None:
    client = api.StopNCIIAPI(TOKEN, FETCH_KEY, base_url_override=address)
    (page, *_) = client.fetch_hashes_iter()
    gone = page.hashRecords[0]
    assert mock.withdraw(f"{gone.signalType.value}:{gone.hashValue}")
    told = {one.hashValue: one.hashStatus for page in client.fetch_hashes_iter() for one in page.hashRecords}
    assert told[gone.hashValue] is api.StopNCIICaseStatus.Withdrawn


def test_its_feedback_is_taken(mock: StopNciiMock, address: str) -> None:
    keys = {api.StopNCIIEndpoint.SubmitFeedback: FEEDBACK_KEY}
    client = api.StopNCIIAPI(TOKEN, FETCH_KEY, keys, address)
    client.submit_feedback(api.StopNCIISignalType.ImagePDQ, "5a" * 32, api.StopNCIICSPFeedbackValue.Blocked, {"seen"})
    assert [(one["hashValue"], one["feedbackValue"]) for one in mock.feedback] == [("5a" * 32, "Blocked")]
