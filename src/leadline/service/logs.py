"""The service's own log: one JSON object a line on standard error. Holds no media, no token, no whole hash.

What is logged is written here and by the server; its messages are texts of ours with codes and names in them. As a
second wall every line is searched for what looks like a token or a digest. Of an exception the kind and the places in
the code are told, never its text, which may repeat what was sent.
"""

from __future__ import annotations

import logging
import re
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

_TOKEN = re.compile(r"llt_[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"\b([0-9A-Fa-f]{8})[0-9A-Fa-f]{16,}\b")
_MOST_PLACES = 20


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name.lstrip("_"),
            "pid": record.process,
            "event": scrub(record.getMessage()),
        }
        if record.exc_info and record.exc_info[0] is not None:
            places = traceback.extract_tb(record.exc_info[2])[-_MOST_PLACES:]
            told["error"] = record.exc_info[0].__name__
            told["places"] = [f"{place.filename.rpartition('/')[2]}:{place.lineno}" for place in places]
        return msgspec.json.encode(told).decode()


def scrub(text: str) -> str:
    """Without what looks like a token; of what looks like a digest only the first eight digits."""
    return _DIGEST.sub(r"\1...", _TOKEN.sub("llt_...", text))


CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "leadline.service.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "leadline": {"level": "INFO"},
        "_granian": {"level": "WARNING"},
        "granian.access": {"level": "CRITICAL"},  # addresses may hold tokens
    },
}
