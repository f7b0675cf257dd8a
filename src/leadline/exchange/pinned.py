"""HTTP to addresses that others named: resolved once, pinned, bounded in time; never through a proxy. Decides nothing.

An address is resolved once, every answer must be public (or in a network the configuration allows), and the connection
goes to that very number: a name that resolves differently a moment later changes nothing. A redirect is a new address.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from leadline.errors import AddressRefused, ConfigError, FetchFailed, UrlFormatError

MAX_REDIRECTS = 3
_MAX_URL_CHARS, _MAX_MEDIA_URL_CHARS = 500, 4096  # signed addresses of media are long
_PORTS = {"https": 443, "http": 80}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "leadline", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
_REFUSALS = {
    "unresolved": "its name does not resolve",
    "private-address": "it lies in a private network",
    "no-tls": "it is not reached by TLS",
}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """ConfigError for a text that is no network."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError("not a network", where=str(error)[:100], mend="give one as 10.0.0.0/8") from None


def read_target(url: str, *, max_chars: int = _MAX_URL_CHARS) -> Target:
    """The parts of an address that may be asked. UrlFormatError for anything but plain http(s)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UrlFormatError("not an address", mend="give https://NAME/PATH") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= max_chars
    if not plain or parts.scheme not in _PORTS or not host or parts.username is not None or parts.fragment:
        raise UrlFormatError("not an address to ask", mend="give https://NAME/PATH, without a password in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def is_public(address: Address) -> bool:
    """Whether it lies in the open internet, also behind the forms that wrap an IPv4 address in an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in ipaddress.IPv6Network("64:ff9b::/96"):  # RFC 6052
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def pin(target: Target, allowed: Sequence[Network], *, tls_only: bool = True) -> Address | str:
    """The one number to connect to, or a code that says why not.

    allowed   networks that may be reached although they are private, and without TLS
    tls_only  whether all others are to be reached by TLS alone
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return "unresolved"
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        is_allowed = any(address.version == net.version and address in net for net in allowed)
        if not is_allowed and not is_public(address):
            return "private-address"
        if not is_allowed and tls_only and target.scheme != "https":
            return "no-tls"
    return addresses[0] if addresses else "unresolved"


class Pinned(http.client.HTTPConnection):
    """Connects to the number it was given, and proves the name by TLS where there is TLS."""

    def __init__(self, target: Target, address: Address, timeout_s: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout_s)
        self._address, self._is_tls, self.is_cut = str(address), target.scheme == "https", False
        self._live: socket.socket | None = None  # `sock` is given away when an answer is to be read to its end

    def connect(self) -> None:
        self._live = self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._is_tls:
            context = ssl.create_default_context()
            secured = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self._live = self.sock = secured
            secured.do_handshake()
        if self.is_cut:
            raise TimeoutError

    def cut(self) -> None:
        """End it from another thread, whatever it waits for."""
        self.is_cut = True
        if self._live is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(self._live, socket.SHUT_RDWR)  # also of TLS: nothing is said, it is over


@contextmanager
def connecting(target: Target, address: Address, timeout_s: float) -> Iterator[Pinned]:
    """A connection that ends after so long whatever the other side does: a socket's own limit starts anew with every
    byte. Raises what http.client, ssl and socket raise."""
    connection = Pinned(target, address, timeout_s)
    watch = threading.Timer(timeout_s, connection.cut)
    watch.daemon = True
    watch.start()
    try:
        yield connection
    finally:
        watch.cancel()
        connection.close()


def host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == _PORTS[target.scheme] else f"{host}:{target.port}"


class Fetched:
    """What an address holds, to be read in pieces. content_type: as the other side says; "" where it does not."""

    def __init__(self, response: http.client.HTTPResponse, connection: Pinned) -> None:
        self._response, self._connection = response, connection
        self.content_type = response.headers.get("Content-Type", "")
        self.said_bytes = response.length  # None where it is not said

    def read(self, size: int, /) -> bytes:
        """FetchFailed where it ends too early or too late."""
        with _telling():
            piece = self._response.read(size)
            if not piece and self._connection.is_cut:  # of a body without a length this looks like its end
                raise TimeoutError
            if not piece and self._response.length:
                raise FetchFailed("the address sent less than it said", code="cut-short")
            return piece


@contextmanager
def fetching(url: str, *, allowed: Sequence[Network], timeout_s: float) -> Iterator[Fetched]:
    """GET, at most three redirects on. AddressRefused for where we do not go, FetchFailed for what the others do.

    All of it, reading too, ends after timeout_s. No credentials, no cookies, no proxy of the environment.
    """
    give_up_s, hops = time.monotonic() + timeout_s, 0
    target = _read(url)
    while True:
        address = pin(target, allowed, tls_only=False)
        if isinstance(address, str):
            raise AddressRefused(f"not fetched: {_REFUSALS[address]}", code=address)
        left_s = give_up_s - time.monotonic()
        if left_s <= 0:
            raise FetchFailed("the address did not answer in time", code="timeout")
        with connecting(target, address, left_s) as connection:
            with _telling():
                connection.request("GET", target.path, headers={"Host": host_header(target), **_HEADERS})
                response = connection.getresponse()
            with closing(response):
                if response.status not in _REDIRECTS:
                    _check(response)
                    yield Fetched(response, connection)
                    return
            location, hops = response.headers.get("Location", ""), hops + 1
        if hops > MAX_REDIRECTS:
            raise AddressRefused("not fetched: too many redirects", code="redirects")
        before, url = target, _join(url, location)
        target = _read(url)
        if before.scheme == "https" and target.scheme != "https":
            raise AddressRefused("not fetched: a redirect away from TLS", code="no-tls")


def _read(url: str) -> Target:
    return read_target(url.partition("#")[0], max_chars=_MAX_MEDIA_URL_CHARS)


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise UrlFormatError("not fetched: a redirect to no address") from None


def _check(response: http.client.HTTPResponse) -> None:
    if response.status != http.HTTPStatus.OK:
        raise FetchFailed(f"the address answered {response.status}", code="remote-status")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchFailed("the address sent a packed answer that was not asked for", code="encoded")


@contextmanager
def _telling() -> Iterator[None]:
    """What goes wrong between us and the other side, as FetchFailed."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise FetchFailed("the address cannot prove its name", code="certificate") from None
    except TimeoutError:
        raise FetchFailed("the address did not answer in time", code="timeout") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise FetchFailed("the address did not answer", code="no-answer") from None
