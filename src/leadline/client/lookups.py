"""Look-ups as plans: hashes in, one answer for each out, in order. An answer that lacks one is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from leadline.client import packed
from leadline.client.plans import JSON, Plan, Reply, checked
from leadline.client.problems import decode
from leadline.client.records import Answer, Hash, Match
from leadline.errors import AnswerBroken, HashFormatError, LeadlineError, RequestRefused

HashLike = str | bytes | Hash
_MOST_DIGITS = 300  # more than any hash has; the service bounds what it reads
_NAMES = {16: "md5:", 20: "sha1:", 32: ""}


class Terms(msgspec.Struct, frozen=True):
    """What holds for all hashes of one request; those of equal terms can share one."""

    banks: tuple[str, ...] | None = None
    radius: int | None = None
    seed: str | None = None


class _Asked(msgspec.Struct, omit_defaults=True):
    hashes: Sequence[str | Hash]
    banks: tuple[str, ...] | None = None
    radius: int | None = None
    seed: str | None = None


class _Fault(msgspec.Struct):
    code: str
    message: str


class _Item(msgspec.Struct):
    matches: tuple[Match, ...] | None = None
    truncated: bool = False
    reasons: tuple[str, ...] = ()
    error: _Fault | None = None


class _Answers(msgspec.Struct):
    answers: list[_Item]
    lists: dict[str, int]


Told = list[Answer | LeadlineError]


def text_of(item: HashLike) -> str | Hash:
    """What is sent of it. HashFormatError for what cannot be a hash, so that it spoils no request that others share."""
    if isinstance(item, (bytes, bytearray)):
        if len(item) not in _NAMES:
            raise HashFormatError("no digest has that length", where=f"{len(item)} bytes", mend="16, 20 or 32 bytes")
        return _NAMES[len(item)] + item.hex()
    said = (item.algorithm, item.hash) if isinstance(item, Hash) else (item,)
    if not all(isinstance(text, str) and text.isascii() and len(text) <= _MOST_DIGITS for text in said):
        raise HashFormatError("not a hash", mend="give its digits, or its bytes")
    if isinstance(item, Hash) and not (item.quality is None or isinstance(item.quality, int)):
        raise HashFormatError("not a quality", where="quality", mend="0 to 100, or None")
    return item


def terms(banks: Iterable[str] | None, radius: int | None, seed: str | None) -> Terms:
    if isinstance(banks, str):
        raise RequestRefused("one text for banks", where="banks", mend="give a list of names")
    named = None if banks is None else tuple(banks)
    if named == ():
        raise RequestRefused("no bank named", where="banks", mend="name one, or leave it out for all")
    return Terms(named, radius, seed)


def all_answers(told: Told) -> list[Answer]:
    """The answers, where every hash was one; else the first error is raised."""
    answers = []
    for item in told:
        if isinstance(item, LeadlineError):
            raise item
        answers.append(item)
    return answers


def match(hashes: Sequence[str | Hash], terms: Terms) -> Plan[Told]:
    """1 to 10,000 hashes. An answer of fewer items than asked is an error, and so is an item without matches."""
    if not 1 <= len(hashes) <= packed.MAX_HASHES:
        raise RequestRefused(f"{len(hashes)} hashes", mend=f"ask for 1 to {packed.MAX_HASHES} at once")

    def read(plan: Plan[Told], reply: Reply) -> Told:
        try:
            told = decode(checked(plan, reply).body, _Answers, plan.where)
        except HashFormatError as error:  # not one of them was a hash
            return [error for _ in hashes]
        if len(told.answers) != len(hashes):
            raise AnswerBroken(f"{len(told.answers)} answers to {len(hashes)} hashes", where=plan.where)
        return [_answer(item, at, told.lists, plan) for at, item in enumerate(told.answers)]

    body = msgspec.json.encode(_Asked(hashes, terms.banks, terms.radius, terms.seed))
    return Plan("POST", "/v1/match", read, body, {"content-type": JSON})


def _answer(item: _Item, at: int, lists: Mapping[str, int], plan: Plan[Any]) -> Answer | LeadlineError:
    if item.error is not None:
        return HashFormatError(item.error.message, where=f"hash {at + 1}", code=item.error.code)
    if item.matches is None:
        raise AnswerBroken("an answer without matches and without an error", where=plan.where)
    return Answer(item.matches, item.truncated, item.reasons, lists)


def match_packed(rows: packed.Rows, algorithm: str, radius: int | None) -> Plan[packed.Told]:
    def read(plan: Plan[packed.Told], reply: Reply) -> packed.Told:
        try:
            told = packed.decode_answer(checked(plan, reply).body)
        except RequestRefused as error:
            if reply.status >= 300:
                raise
            raise AnswerBroken(error.what, where=plan.where, mend=error.mend) from None
        found = told.matches
        is_whole = told.hashes == len(rows) and np.all(found["hash"] < len(rows))
        if not is_whole or not np.all(found["bank"] < len(told.banks)):
            raise AnswerBroken("not the answer to these hashes", where=plan.where)
        return told

    body = packed.encode_request(algorithm, rows, radius)
    return Plan("POST", "/v1/match", read, body, {"content-type": packed.REQUEST_TYPE})


def join(parts: Sequence[packed.Told]) -> packed.Told:
    """Several packed answers as one. A list that changed meanwhile is told by its older version.

    RequestRefused where they met more banks than one answer has room for.
    """
    versions: dict[str, int] = {}
    for part in parts:
        for name, version in part.banks:
            versions[name] = min(version, versions.get(name, version))
    met = {part.banks[number][0] for part in parts for number in np.unique(part.matches["bank"])}
    banks = packed.nameable(list(versions.items()), met)
    numbers = {name: number for number, (name, _) in enumerate(banks)}
    before, joined = 0, []
    for part in parts:
        found = part.matches.copy()
        found["hash"] += np.uint32(before)
        renumber = np.array([numbers.get(name, 0) for name, _ in part.banks] or [0], np.uint8)
        found["bank"] = renumber[found["bank"]]
        joined.append(found)
        before += part.hashes
    return packed.Told(before, tuple(banks), np.concatenate(joined))


def chunks(hashes: Iterable[HashLike]) -> Iterator[tuple[list[str | Hash], dict[int, LeadlineError]]]:
    """10,000 at a time: what is to be asked, and by its place what cannot be."""
    source = iter(hashes)
    while chunk := list(islice(source, packed.MAX_HASHES)):
        asked, faults = list[str | Hash](), dict[int, LeadlineError]()
        for at, item in enumerate(chunk):
            try:
                asked.append(text_of(item))
            except HashFormatError as error:
                faults[at] = error
        yield asked, faults


def in_place(told: Told, faults: Mapping[int, LeadlineError]) -> Told:
    """Answers, and between them the errors of what was not asked, in the order of the hashes."""
    rest = iter(told)
    return [faults[at] if at in faults else next(rest) for at in range(len(told) + len(faults))]


def parts(rows: packed.Rows) -> Iterator[packed.Rows]:
    """At least one, so that rows that are none are refused where all are."""
    yield rows[: packed.MAX_HASHES]
    for at in range(packed.MAX_HASHES, len(rows), packed.MAX_HASHES):
        yield rows[at : at + packed.MAX_HASHES]
