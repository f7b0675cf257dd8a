"""Keeps visitors out of the log of the public form: no address, no text of an error that may hold what was written."""

from __future__ import annotations

import ipaddress
import logging
import re

_MAYBE = re.compile(
    r"(?<![\w.:])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)|(?<![\w.:])[0-9A-Fa-f:][0-9A-Fa-f:.]{1,44}(?:%\w+)?"
)
_UNKNOWN = "[address]"


def _strike(found: re.Match[str]) -> str:
    """Only what is an address: a time of day and a version stay, and so do full stops and colons after an address."""
    text = found[0]
    while text:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            if text[-1] not in ".:":
                return found[0]
            text = text[:-1]
        else:
            return _UNKNOWN + found[0][len(text) :]
    return found[0]


class NoVisitor(logging.Filter):
    """Rewrites a record: addresses are struck out; of an exception only its type is left."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = _MAYBE.sub(_strike, record.getMessage())
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}: {record.exc_info[0].__name__}"
        record.msg, record.args = text, ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True
