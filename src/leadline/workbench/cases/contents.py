"""What is sealed into rows of cases and what each seal is bound to; and what makes two selectors the same."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import unicodedata
from typing import Any

from leadline.domain import IncomingItem, ItemKind
from leadline.errors import InputError
from leadline.exchange.incoming import clean_text
from leadline.selectors.defang import refang, refang_address
from leadline.workbench import sealing
from leadline.workbench.cases.states import SelectorKind
from leadline.workbench.reports.contents import open_text as open_text
from leadline.workbench.reports.keys import item_key

MAX_TITLE_CHARS, MAX_NOTE_CHARS, MAX_TASK_CHARS, MAX_VALUE_CHARS, MAX_NAME_CHARS = 200, 20_000, 500, 4000, 200
_SELECTORS, _SOURCES = "case selectors", "case sources"
_LOWER = frozenset({SelectorKind.ONION, SelectorKind.I2P, SelectorKind.EMAIL})  # their case says nothing


def title_context(case_id: Any) -> str:
    return f"case:{case_id}:title"


def source_context(case_id: Any) -> str:
    return f"case:{case_id}:source"


def party_context(party_id: Any) -> str:
    return f"case-party:{party_id}:name"


def selector_context(selector_id: Any) -> str:
    return f"case-selector:{selector_id}:value"


def task_context(task_id: Any) -> str:
    return f"case-task:{task_id}:text"


def note_context(note_id: Any) -> str:
    return f"case-note:{note_id}:text"


def record_context(case_id: Any, record: str) -> str:
    return f"case:{case_id}:record:{record}"


def seal_text(untrusted: str, context: str, most: int) -> bytes:
    """InputError where there is nothing in it, or too much."""
    text = clean_text(untrusted).strip()
    if not text or len(text) > most:
        raise InputError(f"a text of 1 to {most} characters belongs here", where=context.rpartition(":")[2])
    return sealing.seal(text, context)


def spell(kind: SelectorKind, untrusted: str) -> str:
    """A selector as it is kept: signs that are not part of it taken away, and no more than that."""
    text = unicodedata.normalize("NFC", clean_text(untrusted)).strip()
    if kind in (SelectorKind.ONION, SelectorKind.I2P, SelectorKind.LINK):
        text = refang(text)
    elif kind is SelectorKind.EMAIL:
        text = refang_address(text)
    elif kind is SelectorKind.PHONE:
        text = re.sub(r"[\s()./-]", "", text)
    elif kind is SelectorKind.PGP_KEY:
        text = re.sub(r"\s", "", text).upper().removeprefix("0X")
    if not text or len(text) > MAX_VALUE_CHARS:
        raise InputError("no selector", where="value", mend=f"write 1 to {MAX_VALUE_CHARS} characters")
    return text.lower() if kind in _LOWER else text


def selector_key(kind: SelectorKind, spelled: str) -> str:
    """A keyed hash, so that the database alone tells no selector. Of a link the key that items of reports have too."""
    if kind is SelectorKind.LINK and (key := item_key(IncomingItem(ItemKind.URL, spelled)).key):
        return key
    return _keyed(f"{kind.value} {spelled}", _SELECTORS)


def selector_keys(untrusted: str) -> list[str]:
    """Of a text that somebody looks for, the key of it as each kind of selector."""
    found = []
    for kind in SelectorKind:
        with contextlib.suppress(InputError):
            found.append(selector_key(kind, spell(kind, untrusted)))
    return found


def source_key(identity: str) -> str:
    return _keyed(identity, _SOURCES)


def _keyed(text: str, purpose: str) -> str:
    return hmac.new(sealing.derive(purpose), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
