"""PyMISP over our own HTTP: it makes the requests and reads the answers, `exchange/web.py` carries them.

Whatever PyMISP asks for goes to the operator's address and nowhere else, and the key is put on by the carrier: PyMISP
holds neither, so that no log, no error and no redirect of its own can give them away.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from pymisp import PyMISP, PyMISPError
from requests.adapters import BaseAdapter

from leadline.errors import LeadlineError, SourceBroken
from leadline.exchange.web import Web

logging.getLogger("pymisp").setLevel(logging.ERROR)  # at debug whole answers; at warning, that there is a newer PyMISP
JSON = "application/json"
_ROOT, _NO_KEY = "https://misp.invalid/", "put on by the carrier"  # PyMISP takes none that is empty
_ONLY_ASKING = ("/events/index", "/events/view/")  # POSTs that change nothing there
_MAX_ANSWER_BYTES = 128 << 20


def connect(web: Web, source: str) -> PyMISP:
    """PyMISP asks for the version, the user and the types of that MISP first. Raises what `telling` does."""
    with telling(source):
        return PyMISP(_ROOT, _NO_KEY, https_adapter=_Carrier(web))


@contextmanager
def telling(source: str) -> Iterator[None]:
    """What PyMISP raises, as our errors. Its own texts hold whole answers and are not told on."""
    try:
        yield
    except PyMISPError as error:
        if isinstance(error.__context__, LeadlineError):  # of the carrier; PyMISP wraps what is raised as it connects
            raise error.__context__ from None
        raise no_misp(source) from None


def no_misp(source: str) -> SourceBroken:
    mend = "check the address; retry; where it stays so, tell the source"
    return SourceBroken("its answer is none of a MISP", where=source, mend=mend)


class _Carrier(BaseAdapter):
    """The way out of the session that PyMISP makes. Only answers of success come back; the rest raises as Web does."""

    def __init__(self, web: Web) -> None:
        super().__init__()
        self._web = web

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Without what the session says of time, proxies and certificates: Web was told."""
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200, request, str(request.url)
        answer.headers["content-type"], answer.encoding = JSON, "utf-8"  # nothing is guessed from the bytes
        answer.raw = io.BytesIO(self._carry(request))
        return answer

    def _carry(self, request: requests.PreparedRequest) -> bytes:
        method, path, body = str(request.method), request.path_url, request.body or b""
        if method == "GET":
            return self._web.get(path, most_bytes=_MAX_ANSWER_BYTES)
        content = body if isinstance(body, bytes) else str(body).encode()
        if path.startswith(_ONLY_ASKING):
            return self._web.ask(path, content=content, content_type=JSON, most_bytes=_MAX_ANSWER_BYTES)
        return self._web.send(method, path, content=content, content_type=JSON, most_bytes=_MAX_ANSWER_BYTES)

    def close(self) -> None:
        """Web is closed by whoever made it."""
