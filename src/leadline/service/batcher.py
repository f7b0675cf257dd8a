"""Single look-ups that arrive together are searched together: one call of the engine instead of one each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from leadline.domain import Fingerprints, PdqFamily, ViewHashes
from leadline.match.matcher import Matcher
from leadline.match.policy import PICTURE, MatchAnswer
from leadline.service.lists import Lists

_AT_ONCE = 128  # keeps one call under a millisecond or two, so that the loop goes on


class Query(NamedTuple):
    """algorithm: md5 | sha1 | sha256 | pdq | a plug-in's name, or "" to take it from the length.

    banks    sorted names; None: all
    quality  of a PDQ hash, where the asker knows it: banks' floors apply then
    """

    algorithm: str
    value: bytes
    banks: tuple[str, ...] | None = None
    radius_bits: int | None = None
    quality: int | None = None


class FileQuery(NamedTuple):
    """All that was computed of one file. banks, radius_bits: as of `Query`."""

    prints: Fingerprints
    banks: tuple[str, ...] | None = None
    radius_bits: int | None = None


_Asked = tuple[Query, asyncio.Future[MatchAnswer]]


class Batcher:
    """For one event loop. What is asked within one turn of it is one batch."""

    def __init__(self, lists: Lists, searchers: Executor) -> None:
        self._lists, self._searchers = lists, searchers
        self._waiting: list[_Asked] = []

    def ask(self, query: Query) -> asyncio.Future[MatchAnswer]:
        """The answer; or BankNotFound, ConfigError, ShardLost. The hash has the length of its algorithm."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._search)
        told: asyncio.Future[MatchAnswer] = loop.create_future()
        self._waiting.append((query, told))
        return told

    def _search(self) -> None:
        now, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        loop = asyncio.get_running_loop()
        if self._waiting:
            loop.call_soon(self._search)
        groups: dict[tuple[tuple[str, ...] | None, int | None], list[_Asked]] = {}
        for asked in now:
            groups.setdefault((asked[0].banks, asked[0].radius_bits), []).append(asked)
        for (banks, radius_bits), group in groups.items():
            queries = [query for query, _ in group]
            try:
                matcher = self._lists.matcher(banks, radius_bits)
                if self._lists.is_remote:  # other machines answer: the loop does not wait for them
                    searched = loop.run_in_executor(self._searchers, search, matcher, queries)
                    searched.add_done_callback(partial(_tell_later, group))
                else:
                    _tell(group, search(matcher, queries))
            except Exception as error:  # whatever it was: nobody waits for ever
                _fail(group, error)


def _tell(group: list[_Asked], answers: Sequence[MatchAnswer]) -> None:
    for (_, told), answer in zip(group, answers, strict=True):
        if not told.done():
            told.set_result(answer)


def _fail(group: list[_Asked], error: BaseException) -> None:
    for _, told in group:
        if not told.done():
            told.set_exception(error)


def _tell_later(group: list[_Asked], searched: asyncio.Future[list[MatchAnswer]]) -> None:
    if searched.cancelled():
        _fail(group, RuntimeError("the service ends"))
    elif (error := searched.exception()) is not None:
        _fail(group, error)
    else:
        _tell(group, searched.result())


def search(matcher: Matcher, queries: Sequence[Query]) -> list[MatchAnswer]:
    """One answer per query, in order; their banks and radius are the matcher's."""
    if all(query.quality is None for query in queries):
        return matcher.match_hashes([(query.algorithm, query.value) for query in queries])
    plain = iter(matcher.match_hashes([(q.algorithm, q.value) for q in queries if q.quality is None]))
    pictures = iter(matcher.match([_picture(q.value, q.quality) for q in queries if q.quality is not None]))
    return [next(plain) if query.quality is None else next(pictures) for query in queries]


def search_again(lists: Lists, query: Query | FileQuery, banks: tuple[str, ...]) -> MatchAnswer:
    """The answer of these banks alone, on the spot."""
    matcher = lists.matcher(banks, query.radius_bits)
    return matcher.match([query.prints])[0] if isinstance(query, FileQuery) else search(matcher, [query])[0]


def _picture(pdq: bytes, quality: int) -> Fingerprints:
    return Fingerprints({}, (ViewHashes(PICTURE, PdqFamily.B, (pdq,), quality, 0, 0),))
