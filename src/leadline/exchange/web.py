"""HTTP to a source whose address the operator wrote: bounded, retried where that is safe, never led elsewhere.

The operator's own address may be private (a MISP in the house); every link and redirect must stay at that address,
since those come from outside. Plain HTTP is for loopback alone. No environment proxy, no credentials in errors.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from leadline.errors import ConfigError, CredentialsRefused, ExchangeError, SourceBroken, SourceUnavailable, sentence

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and some sources want a token in theirs
MAX_ANSWER_BYTES = 256 << 20
_PIECE_BYTES = 1 << 17
_MAX_REDIRECTS = 3
_RETRIED = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.5, 120.0
_EXPIRED = frozenset({404, 410})
# Once: it grows a thousandfold at most, where others make gigabytes of one piece, before any is counted.
_PACKED = "gzip"
_MAX_FAULT_BYTES = 1 << 16
_MOVED = "check the address that you set; where it is right, ask the source whether it moved"


class Answer:
    """A body as a file that can be read once, `most_bytes` at most. SourceBroken where it is cut short or too large.

    piece_bytes  it is waited for so much before any is read; None: for whatever comes
    """

    def __init__(
        self, response: httpx.Response, most_bytes: int, where: str, piece_bytes: int | None = _PIECE_BYTES
    ) -> None:
        self.headers, self.where = response.headers, where
        self._pieces, self._left, self._ready = response.iter_bytes(piece_bytes), most_bytes, b""

    def read(self, size: int = -1) -> bytes:
        """As of a file: up to `size` bytes, all where it is negative, b"" at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if not self._ready:
            self._ready = self._next()
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def _next(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except httpx.TimeoutException:
            raise SourceUnavailable("its answer stopped half-way", where=self.where, code="timeout") from None
        except (httpx.HTTPError, httpx.StreamError):
            mend = "retry; where it stays so, tell the source"
            raise SourceBroken("its answer was cut short", where=self.where, mend=mend, code="cut-short") from None
        self._left -= len(piece)
        if self._left < 0:
            mend = "nothing of it counts; check the address that you set, then tell the source"
            raise SourceBroken(
                "its answer is larger than any of its kind", where=self.where, mend=mend, code="too-large"
            )
        return piece


class Web:
    """One source's address. Not for several threads at once.

    source      its name, for errors
    address     https://NAME/BASE (http:// on loopback only)
    auth        user and password of HTTP Basic
    headers     secret ones too: none of them is ever told
    retries     further tries of a GET after 429, 500, 502, 503, 504 or no answer
    explain     (status, body of a refusal) -> the error it means, for sources that say it in the body; None: by status
    """

    def __init__(
        self,
        source: str,
        address: str,
        *,
        sleep: Callable[[float], None],
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        retries: int = 4,
        ca_file: Path | None = None,
        explain: Callable[[int, bytes], ExchangeError | None] = lambda status, body: None,
    ) -> None:
        self._source, self.address, self._explain = source, check_address(address, source), explain
        self._origin, self._sleep, self._retries = _origin(self.address), sleep, retries
        try:
            context = _context(self.address, ca_file)
        except (OSError, ssl.SSLError):
            raise ConfigError("the file of certificates cannot be read", where=str(ca_file), mend="give PEM") from None
        self._client = httpx.Client(
            auth=auth, headers={"user-agent": "leadline", "accept-encoding": _PACKED, **(headers or {})},
            timeout=timeout_s, verify=context, trust_env=False, follow_redirects=False,
        )  # fmt: skip

    def close(self) -> None:
        self._client.close()

    def join(self, untrusted_link: str) -> str:
        """A link that the source gave, as an address: `/path` counts from the base, as NCMEC means it. SourceBroken
        where it leads elsewhere or nowhere."""
        is_below = untrusted_link.startswith("/") and not untrusted_link.startswith("//")
        return self._lead(self.address + untrusted_link if is_below else untrusted_link, self.address + "/")

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """The whole body of a GET. path: below the address, or an address that `join` gave."""
        with self.open(path, params, most_bytes=most_bytes) as answer:
            return answer.read()

    @contextmanager
    def open(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        most_bytes: int = MAX_ANSWER_BYTES,
        is_repeatable: bool = True,
        piece_bytes: int | None = _PIECE_BYTES,
    ) -> Iterator[Answer]:
        """The body of a GET as a stream. A later fault of the stream is not retried: what was read is the caller's.

        is_repeatable   False: asking moves the source on, so it is retried after 429 alone, which says that it did not
        """
        url = self._full(path)
        response = self._retry(
            lambda: self._client.build_request("GET", url, params=params), is_repeatable=is_repeatable
        )
        try:
            yield Answer(response, most_bytes, self._source, piece_bytes)
        finally:
            response.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        most_bytes: int = 1 << 20,
    ) -> bytes:
        """A request that changes something: tried once, never again by itself."""
        told = {"content-type": content_type, **(headers or {})}
        request = self._client.build_request(method, self._full(path), content=content, headers=told)
        response = self._ask(request)
        try:
            self._require(response)
            return Answer(response, most_bytes, self._source).read()
        finally:
            response.close()

    def ask(self, path: str, *, content: bytes, content_type: str, most_bytes: int = 1 << 20) -> bytes:
        """A POST that only asks and changes nothing there: tried again as a GET is. Its redirects are not followed."""
        url, told = self._full(path), {"content-type": content_type}
        response = self._retry(lambda: self._client.build_request("POST", url, content=content, headers=told))
        try:
            return Answer(response, most_bytes, self._source).read()
        finally:
            response.close()

    def _full(self, path: str) -> str:
        return self._stay(path) if path.startswith(("http:", "https:")) else self.address + path

    def _retry(self, build: Callable[[], httpx.Request], *, is_repeatable: bool = True) -> httpx.Response:
        pause_s = _FIRST_PAUSE_S
        for tries_left in range(self._retries, -1, -1):
            try:
                response = self._follow(build())
                try:
                    self._require(response)
                except BaseException:
                    response.close()
                    raise
                return response
            except SourceUnavailable as error:
                if not tries_left or error.code == "certificate" or error.retry_after_s > _MAX_PAUSE_S:
                    raise
                if not is_repeatable and error.code != "too-busy":
                    raise
                self._sleep(max(pause_s, error.retry_after_s))
                pause_s = min(2 * pause_s, _MAX_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    def _follow(self, request: httpx.Request) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._ask(request)
            if not response.has_redirect_location:
                return response
            response.close()
            if request.method != "GET":
                raise SourceBroken(
                    "it redirects what is not followed", where=self._source, mend=_MOVED, code="redirected"
                )
            url = self._lead(response.headers["location"], str(request.url))
            request = self._client.build_request("GET", url)
        raise SourceBroken("it redirects for ever", where=self._source, mend=_MOVED, code="redirected")

    def _ask(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._client.send(request, stream=True)
        except httpx.TimeoutException:
            raise SourceUnavailable("it does not answer in time", where=self._source, code="timeout") from None
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error).upper() or "SSL" in str(error).upper():
                mend = "check the address; for a certificate of your own give --option ca_file=FILE (PEM)"
                raise SourceUnavailable(
                    "its certificate is not accepted", where=self._source, mend=mend, code="certificate"
                ) from None
            raise SourceUnavailable("it cannot be reached", where=self._source, mend="check the address") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise SourceUnavailable("no answer came", where=self._source) from None
        if response.headers.get("content-encoding", _PACKED).strip().lower() not in (_PACKED, "identity"):
            response.close()
            what = "its answer is packed as nobody asked for"
            raise SourceBroken(what, where=self._source, mend="retry; where it stays so, tell the source")
        return response

    def _require(self, response: httpx.Response) -> None:
        status = response.status_code
        if status < 300:
            return
        if error := self._explain(status, self._read_fault(response)):
            raise error
        what = sentence("it answers %(status)s", status=status)
        if status in (401, 403):
            mend = "check the credentials, that they belong to this environment, and what they may do"
            raise CredentialsRefused(what, where=self._source, mend=mend)
        if status in _RETRIED:
            code = "too-busy" if status == 429 else "remote-status"
            after_s = _retry_after_s(response.headers.get("retry-after", ""))
            raise SourceUnavailable(what, where=self._source, mend="try later", code=code, retry_after_s=after_s)
        code = "page-expired" if status in _EXPIRED else "remote-status"
        raise SourceBroken(what, where=self._source, mend="check the address and the list's name", code=code)

    def _read_fault(self, response: httpx.Response) -> bytes:
        try:
            return Answer(response, _MAX_FAULT_BYTES, self._source).read()
        except ExchangeError:
            return b""

    def _lead(self, untrusted_link: str, base: str) -> str:
        try:
            url = urljoin(base, untrusted_link)
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL):
            raise SourceBroken("a link of it is no address", where=self._source, mend="tell the source") from None
        return self._stay(url)

    def _stay(self, url: str) -> str:
        if _origin(url) != self._origin:
            what = "it points to another address, which is not followed"
            raise SourceBroken(what, where=self._source, mend=_MOVED, code="redirected")
        return url


def read_json(untrusted_body: bytes, source: str) -> dict[str, Any]:
    """The body as a JSON object. SourceBroken where it is none."""
    try:
        value = json.loads(untrusted_body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        mend = "retry; where it stays so, tell the source"
        raise SourceBroken("its answer is no JSON object", where=source, mend=mend)
    return value


def _context(address: str, ca_file: Path | None) -> ssl.SSLContext:
    """Reading the system's certificates takes a tenth of a second, and over http there are none to be checked."""
    if address.startswith("http:") and ca_file is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def check_address(address: str, source: str = "") -> str:
    """The address without a slash at its end. ConfigError where it is none to send credentials to."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.username is not None or parts.query or parts.fragment:
        raise ConfigError("not an address", where=source, mend="give https://NAME/BASE, without password or query")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("credentials do not leave without TLS", where=source, mend="give an https:// address")
    return address.rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", "", None


def _retry_after_s(text: str) -> float:
    """Seconds or a date of HTTP; 0 for anything else."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
