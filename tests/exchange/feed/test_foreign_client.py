"""The reference client of TUF, which knows nothing of Leadline, reads and believes what is published."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.exchange.feed.conftest import DAY_S, Clock, Publisher, entry
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from leadline.exchange.feed.keys import SubscriberKey
from leadline.exchange.feed.roots import rotate


class Files(FetcherInterface):
    """Of a folder, under the address feed:/."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / url.removeprefix("feed:/")
        if not path.exists():
            raise DownloadHTTPError("absent", 404)
        return iter([path.read_bytes()])


def make_client(publisher: Publisher, folder: Path) -> Updater:
    for name in ("metadata", "contents"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    root = (publisher.keys / "1.root.json").read_bytes()
    return Updater(
        str(folder / "metadata"), "feed:/metadata", str(folder / "contents"), "feed:/targets",
        fetcher=Files(publisher.feed), bootstrap=root,
    )  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    """Its own clock cannot be moved."""
    made = Clock()
    made.now = time.time()
    return made


def test_it_follows_roots_and_fetches_contents_that_the_subscriber_opens(publisher: Publisher, tmp_path: Path) -> None:
    reader = publisher.admit("B")
    publisher.bank.add([entry(1)])
    publisher.publish()
    rotate(publisher.keys, new_root_keys=True, also_with=(), expires_s=publisher.clock.now + 300 * DAY_S)
    publisher.bank.add([entry(2)])
    publisher.publish()
    client = make_client(publisher, tmp_path / "client")
    client.refresh()
    for path, count in ((f"{reader.id}/1-0-0.age", 1), (f"{reader.id}/2-1-0.age", 1)):
        info = client.get_targetinfo(path)
        assert info is not None
        opened = SubscriberKey(reader.key).open(Path(client.download_target(info)).read_bytes())
        assert len(opened.splitlines()) == 1 + count


def test_it_refuses_what_our_own_reader_refuses(publisher: Publisher, tmp_path: Path) -> None:
    publisher.admit("B")
    publisher.publish()
    before = (publisher.feed / "metadata/timestamp.json").read_bytes()
    publisher.bank.add([entry(1)])
    publisher.publish()
    make_client(publisher, tmp_path / "client").refresh()
    (publisher.feed / "metadata/timestamp.json").write_bytes(before)
    with pytest.raises(RepositoryError):
        make_client(publisher, tmp_path / "client").refresh()
