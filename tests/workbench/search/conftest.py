"""What the tests of search share: reports with something to find, and an index that is up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leadline.domain import Channel, IncomingItem, IncomingReport, ItemKind
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.reports import actions as reports
from leadline.workbench.reports.models import Report
from leadline.workbench.search import access, actions
from leadline.workbench.search.models import Document


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> Iterator[None]:
    sealing.forget()
    yield
    sealing.forget()


@pytest.fixture(scope="session", autouse=True)
def _end_sandbox() -> Iterator[None]:
    yield
    matching.close_engine()


def receive(value: str = "https://example.org/a", *, text: str = "", reference: str = "", **more: Any) -> Report:
    known = {name: more.pop(name) for name in ("sensitivity", "tlp", "source") if name in more}
    kind = more.pop("kind", ItemKind.URL)
    items = (IncomingItem(kind, value, **more),)
    incoming = IncomingReport(Channel.STAFF_FORM, items=items, text=text, source_reference=reference)
    return reports.receive(incoming, channel=Channel.STAFF_FORM, actor="tester", **known).report


@pytest.fixture
def found() -> Callable[..., dict[str, list[str]]]:
    """found(person, text, ...): kind -> ids of what that person finds, by an index that has followed everything."""

    def find(person: Person, text: str, **more: Any) -> dict[str, list[str]]:
        actions.follow()
        groups = access.find(Actor.of_person(person), text, limit=more.pop("limit", 10), **more)
        return {group.kind: [one.id for one in group.found] for group in groups}

    return find


def in_index(word: str) -> bool:
    return Document.objects.filter(words__contains=word).exists()
