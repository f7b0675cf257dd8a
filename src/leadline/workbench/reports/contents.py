"""What is sealed into rows of reports, and what each seal is bound to: a value moved to another row does not open."""

from __future__ import annotations

import json
from typing import Any

from leadline.exchange.incoming import clean_text
from leadline.workbench.sealing import seal, unseal


def text_context(report_id: Any) -> str:
    return f"report:{report_id}:text"


def facts_context(report_id: Any) -> str:
    return f"report:{report_id}:facts"


def contact_context(report_id: Any) -> str:
    return f"report:{report_id}:contact"


def item_context(item_id: Any) -> str:
    return f"item:{item_id}:value"


def message_context(message_id: Any) -> str:
    return f"message:{message_id}:text"


def delivery_context(delivery_id: Any) -> str:
    return f"delivery:{delivery_id}:data"


def seal_value(text: str, context: str) -> bytes:
    return seal(clean_text(text), context)


def open_text(sealed: bytes | memoryview | None, context: str) -> str:
    """ "" where it was erased or never there."""
    return "" if sealed is None else unseal(bytes(sealed), context)


def open_json(sealed: bytes | memoryview | None, context: str) -> Any:
    """None where it was erased or never there."""
    return None if sealed is None else json.loads(unseal(bytes(sealed), context))
