"""What both clients have of httpx: time limits, its failures as ours, its answers as values. Sends nothing."""

from __future__ import annotations

import httpx

from leadline.client.plans import Reply
from leadline.errors import AnswerBroken, LeadlineError, RequestRefused, ServiceUnavailable

_UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def timeouts(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds)


def no_answer(error: httpx.HTTPError, where: str) -> LeadlineError:
    """Why no answer came. The text of httpx's error is left out: it may hold the address with what was asked."""
    if isinstance(error, _UNREACHED):
        mend = "is it running, and is this its address?"
        return ServiceUnavailable("the service cannot be reached", where=where, mend=mend, code="unreachable")
    if isinstance(error, httpx.LocalProtocolError):
        return RequestRefused("the file has another length than it had", where=where, mend="send it when it is whole")
    if isinstance(error, httpx.DecodingError):
        return AnswerBroken("an answer that cannot be read", where=where)
    what = "no answer in time" if isinstance(error, httpx.TimeoutException) else "the connection broke before an answer"
    return ServiceUnavailable(what, where=where, mend="try again")


def whole_reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)
