"""Drawn pictures, banks that know some of them, and an office that has decided to keep."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from leadline.domain import Entry, Kind
from leadline.match.bank import Bank
from leadline.match.pdq import hash_view
from leadline.media.scenes import draw_scene
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import actions, tasks
from leadline.workbench.evidence.models import MediaMode


@pytest.fixture(autouse=True)
def _new_office(office: Any) -> Iterator[None]:
    """Nothing of an earlier test's keys and banks is remembered."""
    sealing.forget()
    tasks.forget()
    yield
    sealing.forget()


@pytest.fixture(scope="session", autouse=True)
def _end_sandbox() -> Iterator[None]:
    yield
    matching.close_engine()


@functools.cache
def draw_png(seed: int) -> bytes:
    out = BytesIO()
    Image.fromarray(draw_scene(seed, 256, 192)).save(out, "PNG")
    return out.getvalue()


def near_entry(seed: int, kind: Kind = Kind.ILLEGAL, **fields: Any) -> Entry:
    """An entry that knows the drawn picture by its PDQ only."""
    return Entry(kind=kind, fingerprints={"pdq": _drawn_pdq(seed)}, **fields)


@functools.cache
def _drawn_pdq(seed: int) -> bytes:
    return hash_view(draw_scene(seed, 256, 192), view="picture", orientation=1, dihedral=False)[0][0].pdq[0]


def exact_entry(data: bytes, kind: Kind = Kind.ILLEGAL, **fields: Any) -> Entry:
    return Entry(kind=kind, fingerprints={"sha256": hashlib.sha256(data).digest()}, **fields)


MakeBank = Callable[..., Bank]


@pytest.fixture
def make_bank(office: Any) -> MakeBank:
    def make(name: str, *entries: Entry, kind: Kind = Kind.ILLEGAL, **options: Any) -> Bank:
        bank = Bank.create(office.banks / name.lower(), name=name, kind=kind, **options)
        if entries:
            assert bank.add(entries).added == len(entries)
        return bank

    return make


@pytest.fixture
def keeping(make_person: Any) -> Person:
    """The office keeps media; the administrator who decided it."""
    from leadline.workbench.permissions import Role

    person: Person = make_person("administrator", Role.ADMINISTRATOR)
    actions.set_media_mode(person, MediaMode.KEEP, "made-up law, section 1", retention_days=30)
    return person


@pytest.fixture
def let_act(make_person: Any) -> Callable[[], None]:
    """Two people stand for whatever entries of banks need that: the tests make their banks as another program does."""
    from leadline.workbench.actors import Actor
    from leadline.workbench.banks import access as banks
    from leadline.workbench.banks import actions as bank_actions
    from leadline.workbench.permissions import Role

    people = [Actor.of_person(make_person(name, Role.SENIOR)) for name in ("one", "two")]

    def confirm() -> None:
        bank_actions.follow_folders()
        for one in people:
            for proposal in banks.open_proposals(one):
                bank_actions.confirm(one, proposal)

    return confirm
