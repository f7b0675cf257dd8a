"""Who may come in, how often, and how many at once. Decides on headers alone, before a body is read."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable, Iterable

from leadline.errors import TokenRefused, TooBusy
from leadline.service.options import Options
from leadline.service.tokens import EVERYBODY, Token, Tokens

_BURST_S = 2.0  # a token that was idle may make up for so long
_FORGET_S = 600.0
_BUSY_S = 1.0
_NEAR = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class Guard:
    """One for each worker: a token's rate is divided among them, since one balancer shares requests out evenly."""

    def __init__(self, options: Options, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._no_token = options.no_token
        self._tokens = Tokens(options.state)
        self._workers, self._per_minute = max(1, options.workers), options.per_minute
        self._most_in_flight = options.in_flight
        self._clock = clock
        self._levels: dict[str, tuple[float, float]] = {}  # token -> requests it has left, and when that was so
        self.in_flight = 0

    def identify(
        self, headers: Iterable[tuple[bytes, bytes]], in_path: bytes | None = None, *, basic: bool = False
    ) -> Token:
        """The token of a request: in its address (HMA's paths), else `Authorization: Bearer`. TokenRefused.

        basic  it may also be the password of `Authorization: Basic`, for clients that can send nothing else
        """
        text = in_path
        if text is None:
            sent = next((value for name, value in headers if name == b"authorization"), None)
            if sent is None:
                if self._no_token:
                    _demand_near(headers)
                    return EVERYBODY
                raise TokenRefused("no token", mend="send Authorization: Bearer llt_...")
            scheme, _, text = sent.partition(b" ")
            if basic and scheme.lower() == b"basic":
                text = _password(text)
            elif scheme.lower() != b"bearer":
                raise TokenRefused("no bearer token", mend="send Authorization: Bearer llt_...")
        return self._tokens.find(text)

    def lives(self, token_id: str) -> bool:
        """Whether a token that was let in would be let in again."""
        return token_id == EVERYBODY.id or self._tokens.lives(token_id)

    def admit(self, token: Token) -> None:
        """Count one request of this token. TooBusy where it comes too often, or the worker has its hands full."""
        if self.in_flight >= self._most_in_flight:
            raise TooBusy("too many requests at once", retry_after_s=_BUSY_S)
        a_second = (token.per_minute or self._per_minute) / 60 / self._workers
        now = self._clock()
        most = max(1.0, a_second * _BURST_S)
        level, at = self._levels.get(token.id, (most, now))
        level = min(level + (now - at) * a_second, most)
        if level < 1:
            wait_s = (1 - level) / a_second
            self._levels[token.id] = level, now
            raise TooBusy("too many requests of this token", retry_after_s=wait_s, code="too-many-requests")
        self._levels[token.id] = level - 1, now

    def forget_idle(self) -> None:
        """Drop what is known of tokens that have not been used for a while."""
        now = self._clock()
        self._levels = {key: kept for key, kept in self._levels.items() if now - kept[1] < _FORGET_S}


def _demand_near(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """A page of another site whose name was made to lead to this machine would be asked for by that name."""
    host = next((value for name, value in headers if name == b"host"), b"localhost")
    if not _NEAR.fullmatch(host):
        raise TokenRefused("no token, and not asked for as this machine", mend="ask localhost, or send a token")


def _password(untrusted: bytes) -> bytes:
    """Of a user, whoever that is; nothing, which is no token, where it is not Basic's form."""
    try:
        return base64.b64decode(untrusted.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
