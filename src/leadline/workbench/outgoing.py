"""Small posts to addresses that people configured: pinned, bounded, never redirected. Reads no answer but its status.

An address is resolved once, every answer must be public (or in a network the configuration allows), and the connection
goes to that very number: a name that resolves differently a moment later changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from leadline.errors import UrlFormatError

TIMEOUT_S = 15.0
_MAX_URL_CHARS = 500
_PORTS = {"https": 443, "http": 80}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: nothing answered, and `failure` says why as a code. retry_after_s: what a 429 or 503 asked for."""

    status: int = 0
    failure: str = ""
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str


def read_target(url: str) -> Target:
    """The parts of an address that may be posted to. UrlFormatError for anything but plain http(s)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UrlFormatError("not an address", mend="give https://NAME/PATH") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _MAX_URL_CHARS
    if not plain or parts.scheme not in _PORTS or not host or parts.username is not None or parts.fragment:
        raise UrlFormatError("not an address to post to", mend="give https://NAME/PATH, without a password in it")
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


def pin(target: Target, allowed: Sequence[Network]) -> Address | str:
    """The one number to connect to, or a code that says why not.

    allowed  networks that may be reached although they are private, and without TLS
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
        if not is_allowed and target.scheme != "https":
            return "no-tls"
    return addresses[0] if addresses else "unresolved"


def post(url: str, body: bytes, headers: Mapping[str, str], *, allowed: Sequence[Network]) -> Answer:
    """Post once. Never raises for what the other side does; ends after TIMEOUT_S whatever it does."""
    try:
        target = read_target(url)
    except UrlFormatError:
        return Answer(failure="url")
    address = pin(target, allowed)
    if isinstance(address, str):
        return Answer(failure=address)
    connection = _connection(target, address)
    watch = threading.Timer(TIMEOUT_S, _cut, [connection])  # a socket's own limit starts anew with every byte
    watch.daemon = True
    watch.start()
    try:
        connection.request("POST", target.path, body, {"Host": _host_header(target), **headers})
        answer = connection.getresponse()
        return Answer(answer.status, "" if 200 <= answer.status < 300 else "refused", _seconds(answer))
    except ssl.SSLCertVerificationError:
        return Answer(failure="certificate")
    except TimeoutError:
        return Answer(failure="timeout")
    except (OSError, http.client.HTTPException, ValueError):
        return Answer(failure="no-answer")
    finally:
        watch.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """Connects to the number it was given, and proves the name by TLS where there is TLS."""

    def __init__(self, target: Target, address: Address) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT_S)
        self._address, self._is_tls = str(address), target.scheme == "https"

    def connect(self) -> None:
        raw = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=self.host) if self._is_tls else raw


def _connection(target: Target, address: Address) -> http.client.HTTPConnection:
    return _Pinned(target, address)


def _cut(connection: http.client.HTTPConnection) -> None:
    sock: Any = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == _PORTS[target.scheme] else f"{host}:{target.port}"


def _seconds(answer: http.client.HTTPResponse) -> int:
    text = answer.headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
