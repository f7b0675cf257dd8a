"""Where the service is and who asks: checked once, the token shown to nobody. Opens no connection."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from leadline.errors import ConfigError

_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class Address:
    """url: scheme, host and port, perhaps a prefix."""

    url: str
    token: str = field(default="", repr=False)
    authorities: Path | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def verification(self) -> ssl.SSLContext | bool:
        """How the service's certificate is checked: by the usual authorities, or those of a file."""
        if self.url.startswith("http://"):
            return False
        if self.authorities is None:
            return httpx.create_ssl_context(trust_env=False)
        try:
            return ssl.create_default_context(cafile=str(self.authorities))
        except OSError as error:
            what = f"cannot be read: {error.strerror or 'no certificates'}"
            raise ConfigError(what, where=str(self.authorities), mend="give a PEM file of certificates") from None


def make_address(
    url: str, *, token: str | None, token_file: Path | None, authorities: Path | None, is_clear_allowed: bool
) -> Address:
    """ConfigError for an address that is none, a token that cannot be read, or one that would travel in clear."""
    try:
        parsed = httpx.URL(url.rstrip("/"))
    except (httpx.InvalidURL, TypeError):
        raise ConfigError("not an address", mend="give https://HOST:PORT") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query or parsed.fragment:
        raise ConfigError("not an address of a service", mend="give https://HOST:PORT, and the token by itself")
    text = _read_token(token, token_file)
    if text and parsed.scheme == "http" and not is_clear_allowed and not _is_loopback(parsed.host):
        mend = "use https://, or clear=True where the way is guarded otherwise"
        raise ConfigError("the token would travel in clear", where=parsed.host, mend=mend)
    return Address(str(parsed), text, authorities)


def _read_token(token: str | None, token_file: Path | None) -> str:
    if token is not None and token_file is not None:
        raise ConfigError("a token and a file of a token", mend="give one of them")
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigError("no token can be read there", where=str(token_file), mend="one line of text") from None
    if token is not None and not _TOKEN.fullmatch(token):
        raise ConfigError("not a token", where=str(token_file or ""), mend="llt_..., without blanks")
    return token or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
