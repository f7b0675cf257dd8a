"""What a kind of things is to search: the words of each in the index, who may see it, and how a list shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from leadline.workbench.actors import Actor
from leadline.workbench.permissions import Permission
from leadline.workbench.search.query import Query, Term, split_words

MAX_WORDS = 20_000
Codes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One thing as a list of results shows it: no text of evidence, no picture.

    page   name of the address and what it is called with
    codes  (kind of the code as workbench/words.py names it, code)
    """

    kind: str
    id: str
    title: str
    page: tuple[str, dict[str, str]]
    codes: Codes = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Of one thing, before it is an index's row."""

    at: datetime
    texts: tuple[str, ...]
    keyed: tuple[str, ...] = ()

    def joined(self) -> str:
        plain = [word for text in self.texts for word in split_words(text)]
        return " ".join((*self.keyed, *plain[:MAX_WORDS]))


class Table(ABC):
    """One kind. `order` is a keyset, newest first.

    objects  kinds of the journal's objects by whose lines things of this kind change
    also     acts of the journal by which they change without a line of their own
    """

    name: str
    permission: Permission
    model: type[Model]
    objects: tuple[str, ...]
    order: tuple[str, ...] = ("-id",)
    also: Collection[str] = ()

    @abstractmethod
    def visible(self, actor: Actor) -> QuerySet[Any]: ...

    @abstractmethod
    def exact(self, actor: Actor, text: str) -> Q:
        """Of the visible ones, those that just this text names."""

    def ways(self, query: Query) -> list[tuple[Term, ...]]:
        """What its words have to hold: all of these, each in one of its ways."""
        return [(term,) for term in query.terms]

    @abstractmethod
    def words(self, ids: Sequence[UUID], fields: Collection[str]) -> dict[UUID, Words]: ...

    @abstractmethod
    def show(self, rows: Sequence[Any]) -> list[Found]: ...

    def changed(self, object_ids: Sequence[UUID], act: str) -> Iterable[UUID]:
        """Things of this kind that a line of the journal about these objects may have changed."""
        return object_ids
