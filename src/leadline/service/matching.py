"""`/v1/match`: hashes in, matches out; one by GET, many by POST as JSON or packed."""

from __future__ import annotations

from functools import partial

import msgspec

from leadline.client import packed
from leadline.domain import EXACT_ALGORITHMS, PDQ_BYTES
from leadline.errors import HashFormatError, LeadlineError, RequestRefused
from leadline.exchange.base import parse_hash
from leadline.match.policy import MatchAnswer
from leadline.service import answers
from leadline.service.batcher import Query, search
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.problems import place_of
from leadline.service.query import read_asked
from leadline.service.tokens import Scope

MAX_HASHES = packed.MAX_HASHES
_INLINE = 32  # hashes that are looked up on the loop; more go to a thread, so that others are answered meanwhile
_BYTES_A_HASH = 400
_LENGTHS = {**EXACT_ALGORITHMS, "pdq": PDQ_BYTES}
_BY_DIGITS = {32: "md5", 40: "sha1", 64: ""}


class Hash(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A hash with what else is known of it. quality: of PDQ, 0..100; a bank's floor then applies."""

    hash: str
    algorithm: str = ""
    quality: int | None = None


class Asked(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """hashes: 1 to 10,000. banks: names; left out: all. radius: 0..64 bits, scope `details`; left out: each bank's own.
    seed: makes the roll-out ratio of banks decide in the same way each time."""

    hashes: list[str | Hash]
    banks: list[str] | None = None
    radius: int | None = None
    seed: str | None = None


_decode = msgspec.json.Decoder(Asked).decode


async def match(call: Call, desk: Desk) -> None:
    call.token.demand(Scope.MATCH)
    if call.header(b"content-type").partition(b";")[0].strip() == packed.REQUEST_TYPE.encode():
        await _match_packed(call, desk)
    else:
        await _match_json(call, desk)


async def look_up(call: Call, desk: Desk) -> None:
    """One hash, out of the address: no body has to be waited for. The answer is that of a list of one."""
    call.token.demand(Scope.MATCH)
    asked = read_asked(call.scope["query_string"])
    if not asked.hash:
        raise RequestRefused("no hash", where="hash", mend="ask for /v1/match?hash=...")
    algorithm, value = read_hash(asked.hash)
    call.token.demand_radius(asked.radius)
    query = Query(algorithm, value, asked.banks, asked.radius)
    answer = desk.tell(call.token, query, await desk.batcher.ask(query), seed=asked.seed)
    told = answers.encode(answer, details=Scope.DETAILS in call.token.scopes, flooding=desk.flooding)
    desk.counters.count("leadline_lookups", "match")
    await call.reply(b'{"answers":[' + told + b'],"lists":' + desk.versions() + b"}")


async def _match_json(call: Call, desk: Desk) -> None:
    asked = read_json(await call.body(MAX_HASHES * _BYTES_A_HASH))
    call.token.demand_radius(asked.radius)
    if len(asked.hashes) == 1 and isinstance(asked.hashes[0], str) and asked.banks is None:
        await _match_one(call, desk, asked, asked.hashes[0])
        return
    banks = tuple(sorted(set(asked.banks))) if asked.banks is not None else None
    queries = [_read(item, banks, asked.radius) for item in asked.hashes]
    if not any(isinstance(query, tuple) for query in queries):
        raise next(query for query in queries if isinstance(query, LeadlineError))
    details = Scope.DETAILS in call.token.scopes
    found = await _look_up(desk, queries, asked)
    told = [
        _encode_told(call, desk, query, answer, asked)
        if isinstance(query, tuple)
        else answers.encode(query, details=details)
        for query, answer in zip(queries, found, strict=True)
    ]
    desk.counters.count("leadline_lookups", "match", by=len(told))
    await call.reply(b'{"answers":[' + b",".join(told) + b'],"lists":' + desk.versions() + b"}")


async def _match_one(call: Call, desk: Desk, asked: Asked, untrusted: str) -> None:
    """What platforms ask most: one hash, all banks. The same answer as the long way gives, with less in between."""
    algorithm, value = read_hash(untrusted)
    query = Query(algorithm, value, None, asked.radius)
    told = _encode_told(call, desk, query, await desk.batcher.ask(query), asked)
    desk.counters.count("leadline_lookups", "match")
    await call.reply(b'{"answers":[' + told + b'],"lists":' + desk.versions() + b"}")


def _encode_told(call: Call, desk: Desk, query: Query, answer: MatchAnswer | None, asked: Asked) -> bytes:
    told = desk.tell(call.token, query, answer, seed=asked.seed, among=len(asked.hashes))
    return answers.encode(told, details=Scope.DETAILS in call.token.scopes, flooding=desk.flooding)


def read_json(untrusted: bytes) -> Asked:
    try:
        asked = _decode(untrusted)
    except msgspec.ValidationError as error:
        raise RequestRefused("not what is asked for here", where=place_of(error), mend="see /v1/openapi.json") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        mend = "send JSON, or the packed form with its content type"
        raise RequestRefused("not JSON", status=400, mend=mend) from None
    if not 1 <= len(asked.hashes) <= MAX_HASHES:
        raise RequestRefused(f"{len(asked.hashes)} hashes", where="hashes", mend=f"send 1 to {MAX_HASHES}")
    if asked.radius is not None and not 0 <= asked.radius <= 64:
        raise RequestRefused("no such radius", where="radius", mend="0 to 64 bits")
    return asked


def _read(item: str | Hash, banks: tuple[str, ...] | None, radius: int | None) -> Query | LeadlineError:
    """What to look up, or why it is no hash."""
    untrusted = item if isinstance(item, str) else f"{item.algorithm}:{item.hash}" if item.algorithm else item.hash
    quality = None if isinstance(item, str) else item.quality
    try:
        algorithm, value = read_hash(untrusted)
    except HashFormatError as error:
        return error
    if quality is not None and algorithm in ("", "pdq"):
        return Query("pdq", value, banks, radius, quality)
    return Query(algorithm, value, banks, radius)


def read_hash(untrusted: str) -> tuple[str, bytes]:
    """Algorithm ("" where its length alone says: 64 digits are looked up as SHA-256 and as PDQ) and bytes."""
    name = _BY_DIGITS.get(len(untrusted))
    if name is None:
        prefix, _, digits = untrusted.partition(":")
        name, expected = prefix, _LENGTHS.get(prefix, -1)
    else:
        digits, expected = untrusted, len(untrusted) // 2
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    if 2 * len(value) == len(digits) and len(value) == expected:
        return name, value
    (algorithm, value), *more = parse_hash(untrusted).items()
    return ("" if more else algorithm), value


async def _look_up(desk: Desk, queries: list[Query | LeadlineError], asked: Asked) -> list[MatchAnswer | None]:
    """One answer per query that is one. Few are searched with whoever else asks now, many in a thread of their own."""
    asks = [query for query in queries if isinstance(query, tuple)]
    if len(asks) <= _INLINE:
        waiting = [desk.batcher.ask(query) for query in asks]
        found = [await told for told in waiting]
    else:
        found = await desk.searching.run(len(asks), partial(_search, desk, asks))
    rest = iter(found)
    return [next(rest) if isinstance(query, tuple) else None for query in queries]


def _search(desk: Desk, queries: list[Query]) -> list[MatchAnswer]:
    matcher = desk.lists.matcher(queries[0].banks, queries[0].radius_bits)
    return search(matcher, queries)


async def _match_packed(call: Call, desk: Desk) -> None:
    asked = packed.decode_request(await call.body(16 + MAX_HASHES * 32))
    if asked.radius_bits is not None and asked.radius_bits > 64:
        raise RequestRefused("no such radius", where="radius", mend="0 to 64 bits, or 255 for the banks' own")
    call.token.demand_radius(asked.radius_bits)
    matcher = desk.lists.matcher(None, asked.radius_bits)
    found = await desk.searching.run(len(asked.rows), partial(matcher.match_rows, asked.algorithm, asked.rows))
    told = desk.tell_rows(call.token, asked, found)
    named = {match.bank for answer in told.values() for match in answer.matches}
    banks = [
        (bank.name, bank.list_version)
        for bank in matcher.banks
        if bank.name not in desk.settings.silent or bank.name in named
    ]
    banks = packed.nameable(banks, named)
    rows = answers.pack(
        told,
        [name for name, _ in banks],
        details=Scope.DETAILS in call.token.scopes,
        flooding=desk.flooding,
    )
    desk.counters.count("leadline_lookups", "match", by=len(asked.rows))
    await call.reply(packed.encode_answer(len(asked.rows), banks, rows), packed.ANSWER_TYPE.encode())
