"""What somebody typed -> what to look for. Knows no database; takes whatever is typed, and falls over nothing."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MAX_QUERY_CHARS = 16_384  # a URL may be so long
MAX_WORD_CHARS = 64
MAX_TERMS = 20
_WORD = re.compile(r"[^\W_]+")
# kind:report, a phrase in quotation marks (the last may have no end), or whatever has no blank in it.
_PIECE = re.compile(
    r'kind:(?P<kind>[a-z]{1,20})(?!\S)|"(?P<phrase>[^"]*)(?:"|\Z)(?P<star>\*?)|(?P<plain>[^\s"]+)', re.I
)


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand side by side; of the last, perhaps only its beginning."""

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """text   what was typed, without its filters: to be met exactly
    kinds  what `kind:` named, in the words of the person; empty: everything
    terms  all of them have to be there; none where more was typed than is looked for
    """

    text: str
    kinds: frozenset[str] = frozenset()
    terms: tuple[Term, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.text


def read_query(untrusted: str) -> Query:
    text = " ".join(untrusted[:MAX_QUERY_CHARS].replace("\0", " ").split())
    kinds, terms, rest = set(), [], []
    for piece in _PIECE.finditer(text):
        if piece["kind"]:
            kinds.add(piece["kind"].lower())
            continue
        rest.append(piece.group())
        term = _term(piece)
        if term.words:
            terms.append(term)
    plain = " ".join(rest)
    is_too_much = len(terms) > MAX_TERMS or len(untrusted) > MAX_QUERY_CHARS
    return Query(_unquoted(plain), frozenset(kinds), () if is_too_much else tuple(terms))


def _term(piece: re.Match[str]) -> Term:
    if piece["phrase"] is not None:
        return Term(tuple(split_words(piece["phrase"])), bool(piece["star"]))
    return Term(tuple(split_words(piece["plain"])), piece["plain"].endswith("*"))


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text.startswith('"') and text.endswith('"') and text.count('"') == 2
    return text[1:-1].strip() if is_quoted else text


def split_words(text: str) -> list[str]:
    """Words as they stand in the index: letters and digits, small, without accents; a longer one is cut."""
    taken_apart = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", taken_apart) if not unicodedata.combining(sign))
    return [found[:MAX_WORD_CHARS] for found in _WORD.findall(plain)]
