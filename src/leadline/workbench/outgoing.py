"""Small posts to configured addresses: pinned, bounded, never redirected. Reads no answer but its status."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadline.errors import UrlFormatError
from leadline.exchange.pinned import Network, connecting, host_header
from leadline.exchange.pinned import is_public as is_public
from leadline.exchange.pinned import pin as pin
from leadline.exchange.pinned import read_target as read_target

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: nothing answered, and `failure` says why as a code. retry_after_s: what a 429 or 503 asked for."""

    status: int = 0
    failure: str = ""
    retry_after_s: int = 0


def post(url: str, body: bytes, headers: Mapping[str, str], *, allowed: Sequence[Network]) -> Answer:
    """Post once. Never raises for what the other side does; ends after TIMEOUT_S whatever it does."""
    try:
        target = read_target(url)
    except UrlFormatError:
        return Answer(failure="url")
    address = pin(target, allowed)
    if isinstance(address, str):
        return Answer(failure=address)
    try:
        with connecting(target, address, TIMEOUT_S) as connection:
            connection.request("POST", target.path, body, {"Host": host_header(target), **headers})
            answer = connection.getresponse()
            return Answer(answer.status, "" if 200 <= answer.status < 300 else "refused", _seconds(answer))
    except ssl.SSLCertVerificationError:
        return Answer(failure="certificate")
    except TimeoutError:
        return Answer(failure="timeout")
    except (OSError, http.client.HTTPException, ValueError):
        return Answer(failure="no-answer")


def _seconds(answer: http.client.HTTPResponse) -> int:
    text = answer.headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
