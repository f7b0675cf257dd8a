"""Three shards in the process of a test, and workers over them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from leadline.errors import BankNotFound, ShardLost
from leadline.match.bank import Bank
from leadline.match.split import split_bank
from leadline.service import app
from leadline.service.errands import Errand
from leadline.service.remote import RemoteLists
from leadline.service.shard import Ask, Shard

if TYPE_CHECKING:
    from tests.service.conftest import Worker

SHARDS = 3
KEY = {"idempotency-key": "one"}
_read = msgspec.msgpack.Decoder(Ask).decode


class Cluster:
    """Three shards in this process. lost: those that do not answer. fails: asked before each errand, and after it
    with what it did: ShardLost where True."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = folders
        self._shards = [Shard(str(folder)) for folder in folders]
        self.lost: set[int] = set()
        self.fails: Callable[[int, Errand, str], bool] = lambda number, errand, when: False

    def send(self, number: int, message: bytes) -> bytes:
        errand = _read(message).errand
        if number in self.lost or (errand is not None and self.fails(number, errand, "before")):
            raise ShardLost(f"shard {number} does not answer")
        told = self._shards[number].answer(message)
        if errand is not None and self.fails(number, errand, "after"):
            raise ShardLost(f"shard {number} does not answer")
        return told

    def parts(self, name: str = "known") -> list[Bank]:
        return [Bank.open(folder / name) for folder in self.folders]

    def names(self) -> list[list[str]]:
        """Of the banks in each shard's folder."""
        return [sorted(_names(folder)) for folder in self.folders]

    def ids(self, name: str = "known") -> list[list[int]]:
        return [sorted(entry.id or 0 for entry in part.entries()) for part in self.parts(name)]

    def versions(self) -> list[int]:
        return [part.list_version for part in self.parts()]

    def close(self) -> None:
        for shard in self._shards:
            shard.close()


def _names(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        with contextlib.suppress(BankNotFound):  # it goes at this moment
            yield Bank.open(path).name


@pytest.fixture
def cluster(shelf: Path, tmp_path: Path) -> Iterator[Cluster]:
    """The banks of the shelf, each over three shards."""
    folders = [tmp_path / f"shard-{number}" for number in range(SHARDS)]
    for name in ("known", "harmless"):
        split_bank(Bank.open(shelf / name), [folder / name for folder in folders])
    made = Cluster(folders)
    yield made
    made.close()


@pytest.fixture
def make_sharded(
    cluster: Cluster, make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, request: Any
) -> Callable[..., Worker]:
    def open_lists(options: Any) -> RemoteLists:
        lists = RemoteLists(cluster.send, SHARDS, state=options.state)
        request.addfinalizer(lists.close)
        return lists

    monkeypatch.setattr(app, "open_lists", open_lists)
    return lambda *scopes, **options: make_worker(*scopes, shelf=None, ray="somewhere", **options)


@pytest.fixture
def sharded(make_sharded: Callable[..., Worker]) -> Worker:
    return make_sharded()
