"""Tokens: who may do what. A file of hashes, read again when it changes; a token itself is nowhere but with its owner.

A token is 256 random bits, so that one round of SHA-256 is enough to store it by.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from leadline.errors import ConfigError, InputError, ScopeMissing, TokenRefused

FILE_NAME = "tokens.json"
_PATTERN = re.compile(rb"llt_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")
_LOOK_AGAIN_S = 1.0


class Scope(StrEnum):
    """What a token is for. Distances and entries help whoever edits a file until nothing matches: `details`."""

    MATCH = "match"
    DETAILS = "details"
    HASH = "hash"
    CURATE = "curate"
    ADMIN = "admin"  # metrics, alarms, the settings of banks
    SUBSCRIBE = "subscribe"  # read the published banks that the token names


class Token(msgspec.Struct, frozen=True):
    """expires: seconds since 1970, 0 for never. lists: names of the published banks that `subscribe` lets it read; no
    other. 0 for the service's own limit: per_minute, requests; max_body_bytes, of a whole body; body_timeout_s, for it
    to come. The last two can be smaller than the service's own, never larger."""

    id: str
    name: str
    scopes: frozenset[Scope]
    sha256: str
    created: int
    expires: int = 0
    per_minute: int = 0
    lists: tuple[str, ...] = ()
    max_body_bytes: int = 0
    body_timeout_s: int = 0

    def demand(self, *scopes: Scope) -> None:
        """ScopeMissing where one is missing."""
        if missing := [scope for scope in scopes if scope not in self.scopes]:
            raise ScopeMissing(f"this token lacks the scope {missing[0]}", mend="use a token that has it")

    def demand_radius(self, radius_bits: int | None) -> None:
        """ScopeMissing for a radius without `details`: asking again with others would find the exact distance."""
        if radius_bits is not None:
            self.demand(Scope.DETAILS)


EVERYBODY = Token("nobody", "without a token", frozenset({Scope.MATCH, Scope.DETAILS, Scope.HASH, Scope.ADMIN}), "", 0)
_STANDS_FOR_NONE = hashlib.sha256(b"").digest()  # so that an unknown id takes as long as a wrong secret


def _has_ended(token: Token) -> bool:
    return bool(token.expires) and token.expires <= time.time()


class Tokens:
    """The tokens of one folder. Every process that looks sees a change within a second."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._by_id: dict[str, Token] = {}
        self._seen: tuple[int, int, int] | None = None
        self._looked_s = 0.0

    def find(self, untrusted_token: bytes) -> Token:
        """The token of this text, if it lives. TokenRefused otherwise, for whatever reason, in the same words."""
        self._look_again()
        form = _PATTERN.fullmatch(untrusted_token)
        known = self._by_id.get(form[1].decode()) if form else None
        stored = bytes.fromhex(known.sha256) if known else _STANDS_FOR_NONE
        is_right = hmac.compare_digest(hashlib.sha256(untrusted_token).digest(), stored)
        if known is None or not is_right or _has_ended(known):
            raise TokenRefused("no live token", mend="send a live token: Authorization: Bearer llt_...")
        return known

    def lives(self, token_id: str) -> bool:
        """Whether it was neither removed nor has ended, as the file was last read."""
        with suppress(ConfigError, OSError):  # of a file that cannot be read each request tells
            self._look_again()
        known = self._by_id.get(token_id)
        return known is not None and not _has_ended(known)

    def all(self) -> list[Token]:
        self._look_again(at_once=True)
        return list(self._by_id.values())

    def add(
        self,
        name: str,
        scopes: frozenset[Scope],
        *,
        lasts_s: int = 0,
        per_minute: int = 0,
        lists: tuple[str, ...] = (),
        max_body_bytes: int = 0,
        body_timeout_s: int = 0,
    ) -> tuple[Token, str]:
        """A new token, and its text: the only time that it is there to be read."""
        if not _NAME.fullmatch(name):
            raise InputError("not a name for a token", where=name[:60], mend="letters, digits, blanks, . _ -")
        if not scopes:
            raise InputError("a token without a scope", mend=f"give one of {', '.join(Scope)}")
        now, token_id = int(time.time()), base64.b32encode(secrets.token_bytes(5)).decode().lower()
        text = f"llt_{token_id}_{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        expires = now + lasts_s if lasts_s else 0
        limits = per_minute, lists, max_body_bytes, body_timeout_s
        made = Token(token_id, name, scopes, digest, now, expires, *limits)
        with self._writing() as tokens:
            tokens.append(made)
        return made, text

    def remove(self, token_id: str) -> Token:
        """InputError where there is none of that id."""
        with self._writing() as tokens:
            found = next((token for token in tokens if token.id == token_id), None)
            if found is None:
                raise InputError("no such token", where=token_id[:60], mend="`leadline token list` names them")
            tokens.remove(found)
        return found

    @contextmanager
    def _writing(self) -> Iterator[list[Token]]:
        """All tokens, to be changed; written as a whole, readable by their owner only, when the block ends well."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
            tokens = self.all()
            yield tokens
            made = self._path.with_suffix(f".{os.getpid()}.new")
            fd = os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(tokens, order="sorted")))
                file.flush()
                os.fsync(file.fileno())
            made.replace(self._path)
            self._look_again(at_once=True)
        finally:
            os.close(lock_fd)

    def _look_again(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._looked_s < _LOOK_AGAIN_S:
            return
        self._looked_s = now
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._by_id, self._seen = {}, None
            return
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        if status.st_mode & 0o077:
            mend = f"chmod 600 {self._path}"
            raise ConfigError("others can read the file of tokens", where=str(self._path), mend=mend)
        try:
            tokens = msgspec.json.decode(self._path.read_bytes(), type=list[Token])
        except msgspec.DecodeError as error:
            raise ConfigError("the file of tokens is damaged", where=str(self._path), mend=str(error)) from None
        self._by_id, self._seen = {token.id: token for token in tokens}, seen
