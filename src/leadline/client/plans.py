"""One request as a value, how to read its answer, and when to send it again. Sends nothing: sync.py and aio.py do."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from leadline.client.problems import decode, error_of
from leadline.client.records import Health
from leadline.client.uploads import Upload
from leadline.errors import LeadlineError, ServiceUnavailable, TooBusy

T = TypeVar("T")
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole. Names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Plan(Generic[T]):
    """is_repeatable: the same again does no harm, since it changes nothing or says by its key that it is the same."""

    method: str
    path: str
    read: Callable[[Plan[T], Reply], T]
    body: bytes | Upload = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True

    @property
    def where(self) -> str:
        return f"{self.method} {self.path}"

    def finish(self, reply: Reply) -> T:
        """What was asked for; else an error of the tree in errors.py."""
        return self.read(self, reply)


@dataclass(frozen=True, slots=True)
class Patience:
    """tries: of one request, the first among them. longest_wait_s: where the service asks for more, nobody waits."""

    tries: int = 4
    first_wait_s: float = 0.1
    longest_wait_s: float = 10.0

    @property
    def for_listeners(self) -> Patience:
        """Who listens for changes has time: a worker that ends lets all its listeners go for half a minute."""
        return replace(self, longest_wait_s=max(60.0, self.longest_wait_s))

    def wait_s(self, plan: Plan[Any], tries_done: int, error: LeadlineError) -> float | None:
        """How long to wait before the same is sent again; None: not at all."""
        if tries_done >= self.tries or error.permanent or not _may_repeat(plan, error):
            return None
        asked_s = error.retry_after_s if isinstance(error, (TooBusy, ServiceUnavailable)) else 0.0
        if asked_s > self.longest_wait_s:
            return None
        backoff_s = min(self.longest_wait_s, self.first_wait_s * 2 ** (tries_done - 1))
        return asked_s + random.uniform(0, backoff_s)  # noqa: S311 (so that many clients do not come back at once)


def _may_repeat(plan: Plan[Any], error: LeadlineError) -> bool:
    if isinstance(plan.body, Upload) and not plan.body.can_begin:
        return False
    was_begun = not isinstance(error, TooBusy) and error.code != "unreachable"
    return plan.is_repeatable or not was_begun


def checked(plan: Plan[Any], reply: Reply) -> Reply:
    """The answer where it is a good one; else its error is raised."""
    if 200 <= reply.status < 300:
        return reply
    raise error_of(reply.status, reply.headers, reply.body, plan.where)


def new_key() -> str:
    """An idempotency key for one act."""
    return secrets.token_hex(16)


def health() -> Plan[Health]:
    def read(plan: Plan[Health], reply: Reply) -> Health:
        """503 is an answer here: not ready, and why."""
        is_told = reply.status == 503 and reply.headers.get("content-type", "").startswith(JSON)
        if not is_told:
            checked(plan, reply)
        return decode(reply.body, Health, plan.where)

    return Plan("GET", "/readyz", read)
