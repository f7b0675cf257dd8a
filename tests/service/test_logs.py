"""The service's own log: a JSON object a line, without tokens, digests or the texts of exceptions."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from leadline.service.logs import JsonLines, scrub

TOKEN = "llt_abcdefgh_" + "x" * 43


def test_a_line_is_an_object_that_names_an_error_and_not_its_text() -> None:
    try:
        raise ValueError("what was sent: " + "ab" * 32)
    except ValueError:
        name, what = "leadline.service", "it failed\nhere: %s"
        record = logging.LogRecord(name, logging.ERROR, "", 0, what, ("x",), sys.exc_info())
    text = JsonLines().format(record)
    told = json.loads(text)
    assert "\n" not in text
    assert (told["level"], told["logger"], told["event"]) == ("error", "leadline.service", "it failed\nhere: x")
    assert told["error"] == "ValueError"
    assert told["places"][-1].startswith("test_logs.py:")
    assert "sent" not in text


def test_what_looks_like_a_token_or_a_digest_is_taken_out() -> None:
    assert scrub(f"GET /t/{TOKEN}/m/lookup?signal={'ab' * 32}") == "GET /t/llt_.../m/lookup?signal=abababab..."
    assert scrub(f"'{'0' * 32}' and llt_ and 12345678 of 2026") == "'00000000...' and llt_ and 12345678 of 2026"


SCRIPT = """
import logging, logging.config
from leadline.service.logs import CONFIG
logging.config.dictConfig(CONFIG)
logging.getLogger("leadline.service").info("one")
logging.getLogger("_granian").warning("two")
logging.getLogger("granian.access").error("never")
logging.getLogger("somebody").info("never")
logging.getLogger("somebody").error("three")
"""


def test_all_loggers_of_a_process_write_such_lines_to_standard_error() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, timeout=60)
    assert done.stdout == b""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["logger"]) for line in lines] == [
        ("one", "leadline.service"), ("two", "granian"), ("three", "somebody"),
    ]  # fmt: skip
