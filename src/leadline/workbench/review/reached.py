"""Ways by which a decision leaves this office: what a revision lists as reached, to be told by a person.

Apps above this one (sharing, operations) register theirs in their AppConfig.ready, so nothing here knows of them. A way
finds and names; it sends nothing. A remedy is the page on which a person proposes what puts it right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from leadline.errors import ConfigError
from leadline.workbench.actors import Actor
from leadline.workbench.review.models import Assessment


@dataclass(frozen=True, slots=True)
class Left:
    """Something that left, or may have been read, since the assessment was made: by its id, and when last."""

    object_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """Who it reached, as a page names them, and where more of it is to be read ("": nowhere)."""

    who: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Remedy:
    """address: of the page where it is proposed, filled in. is_proposed: somebody has; the page is that proposal's."""

    address: str
    is_proposed: bool = False


class Way(Protocol):
    def find(self, made: Assessment) -> Iterable[Left]:
        """What left here that this assessment may have gone with; rather one too many."""

    def show(self, actor: Actor, object_id: str) -> Shown | None:
        """None where it is not for this actor, or is gone."""


# None where there is none, or not for this actor.
FindRemedy: TypeAlias = Callable[[Actor, Assessment, str], Remedy | None]
_ways: dict[str, Way] = {}
_remedies: dict[str, FindRemedy] = {}


def register(kind: str, way: Way) -> None:
    """`kind`: a code of at most 32 characters; its word stands in `words` under "reached"."""
    if kind in _ways and type(_ways[kind]) is not type(way):
        raise ConfigError("two ways of one name", where=kind, mend="give one of them another name")
    _ways[kind] = way


def register_remedy(kind: str, find: FindRemedy) -> None:
    """For what went by the way `kind`, also where another app registered that way."""
    _remedies[kind] = find


def find_all(made: Assessment) -> Iterator[tuple[str, Left]]:
    for kind, way in sorted(_ways.items()):
        for left in way.find(made):
            yield kind, left


def show(actor: Actor, kind: str, object_id: str) -> Shown | None:
    """Also None where the app that knew of it is gone."""
    way = _ways.get(kind)
    return None if way is None else way.show(actor, object_id)


def remedy(actor: Actor, made: Assessment, kind: str, object_id: str) -> Remedy | None:
    find = _remedies.get(kind)
    return None if find is None else find(actor, made, object_id)
