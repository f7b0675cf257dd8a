"""Banks and changes of them, as plans. Each change bears an idempotency key: it is made once, however often sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

import msgspec

from leadline.client.lookups import HashLike, text_of
from leadline.client.packed import MAX_HASHES
from leadline.client.plans import JSON, Plan, Reply, checked, new_key
from leadline.client.problems import decode
from leadline.client.records import Added, BankFacts, NewEntry, Removed
from leadline.errors import AnswerBroken, HashFormatError, RequestRefused

_KEY = re.compile(r"[!-~]{1,200}")


class _Additions(msgspec.Struct):
    entries: Sequence[NewEntry]


class _Removals(msgspec.Struct):
    ids: Sequence[int] = ()
    hashes: Sequence[str] = ()


class _BankPage(msgspec.Struct):
    banks: list[BankFacts]
    next: str | None


def list_banks(after: str) -> Plan[_BankPage]:
    """One page of them; `next` is where the following one begins."""

    def read(plan: Plan[_BankPage], reply: Reply) -> _BankPage:
        page = decode(checked(plan, reply).body, _BankPage, plan.where)
        if page.next is not None and page.next <= after:
            raise AnswerBroken("a list of banks that does not go on", where=plan.where)
        return page

    return Plan("GET", "/v1/banks", read, params={"after": after} if after else {})


def add_entries(bank: str, entries: Iterable[NewEntry], key: str | None) -> Plan[Added]:
    new = tuple(entries)
    _refuse_number(len(new))

    def read(plan: Plan[Added], reply: Reply) -> Added:
        told = decode(checked(plan, reply).body, Added, plan.where)
        taken = sum(i is not None for i in told.ids)
        if len(told.ids) != len(new) or taken + len({refusal.index for refusal in told.refused}) != len(new):
            raise AnswerBroken("not every entry was answered for", where=plan.where)
        return told

    body = msgspec.json.encode(_Additions(new))
    return Plan("POST", f"/v1/banks/{quote(bank, safe='')}/entries", read, body, _headers(key))


def remove_entries(bank: str, ids: Iterable[int], hashes: Iterable[HashLike], key: str | None) -> Plan[Removed]:
    numbers, texts = tuple(ids), tuple(_digits(item) for item in hashes)
    if numbers and texts:
        raise RequestRefused("ids and hashes at once", mend="name one of both")
    _refuse_number(len(numbers) or len(texts))

    def read(plan: Plan[Removed], reply: Reply) -> Removed:
        told = decode(checked(plan, reply).body, Removed, plan.where)
        refused = {refusal.index for refusal in told.refused}
        answered_for = set(told.ids) | {numbers[at] for at in refused if at < len(numbers)}
        if numbers and answered_for != set(numbers):
            raise AnswerBroken("not every entry was answered for", where=plan.where)
        return told

    body = msgspec.json.encode(_Removals(numbers, texts))
    return Plan("POST", f"/v1/banks/{quote(bank, safe='')}/remove", read, body, _headers(key))


def _digits(item: HashLike) -> str:
    text = text_of(item)
    if not isinstance(text, str):
        raise HashFormatError("more than a hash", mend="give its digits or its bytes")
    return text


def _headers(key: str | None) -> dict[str, str]:
    if key is not None and not _KEY.fullmatch(key):
        raise RequestRefused("not an idempotency key", where="key", mend="1 to 200 printable characters, no blanks")
    return {"content-type": JSON, "idempotency-key": new_key() if key is None else key}


def _refuse_number(count: int) -> None:
    if not 1 <= count <= MAX_HASHES:
        raise RequestRefused(f"{count} entries", mend=f"send 1 to {MAX_HASHES} at once")
