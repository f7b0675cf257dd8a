"""Words of the index that tell nothing by themselves: keyed hashes. Who types what one was made of finds it."""

from __future__ import annotations

import hashlib
import hmac

from leadline.workbench import sealing
from leadline.workbench.search.query import split_words

_DIGITS = 24  # 96 bits: two texts never meet
_NAMES = "search names"


def keyed_word(sign: str, purpose: str, text: str) -> str:
    """sign: a letter before the digits, so that both databases take it for one word"""
    digest = hmac.new(sealing.derive(purpose), text.encode(), hashlib.sha256).hexdigest()
    return f"{sign}{digest[:_DIGITS]}"


def keyed_name(name: str) -> tuple[str, ...]:
    """Of a person's name each word, in its order, whatever its accents and capitals."""
    return tuple(keyed_word("n", _NAMES, word) for word in split_words(name))
