"""An office that keeps drawn pictures, and people on shift."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from leadline.media.scenes import draw_scene
from leadline.workbench import matching, sealing
from leadline.workbench.accounts.actions import set_office_setting
from leadline.workbench.accounts.models import Person
from leadline.workbench.evidence import access as evidence
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import Asset
from leadline.workbench.journal.actions import SYSTEM
from leadline.workbench.review import actions, pictures
from leadline.workbench.review.acts import sorting
from leadline.workbench.review.acts.reveals import hash_session
from leadline.workbench.review.models import Review, Shift

ANSWERS = {
    "age-band": ["adult"], "depiction": ["drawn"], "self-generated": ["no"], "live": ["no"], "commercial": ["no"],
}  # fmt: skip


@functools.cache
def png(seed: int, *, size: tuple[int, int] = (400, 300), quality: int = 0) -> bytes:
    """A drawn scene; with a quality, as JPEG: a near-duplicate of itself."""
    picture = Image.fromarray(draw_scene(seed, *size))
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality) if quality else picture.save(out, "PNG")
    return out.getvalue()


@functools.cache
def animation(*seeds: int, size: tuple[int, int] = (320, 240)) -> bytes:
    """A drawn scene a frame."""
    out, (first, *others) = BytesIO(), [Image.fromarray(draw_scene(seed, *size)) for seed in seeds]
    first.save(out, "PNG", save_all=True, append_images=others, duration=500)
    return out.getvalue()


@pytest.fixture(scope="session", autouse=True)
def _end_sandboxes() -> Iterator[None]:
    yield
    matching.close_engine()
    pictures.forget()


@pytest.fixture
def keeping(office: Any, senior: Person) -> Iterator[Any]:
    """Media are kept, sealed, and the queue is empty."""
    sealing.forget()
    set_office_setting(senior, evidence.MEDIA_MODE, "keep", "a test")
    sorting.forget()
    yield office
    pictures.forget()
    sealing.forget()


@pytest.fixture
def arrive(keeping: Any) -> Callable[..., Asset]:
    """arrive(seed, ...): a drawn picture comes in and is sorted."""

    def one(seed: int, **more: Any) -> Asset:
        asset = take_in(png(seed, **more), actor=SYSTEM, source="test", name="drawn.png")
        actions.sort_assets()
        return asset

    return one


@pytest.fixture
def claimed(arrive: Callable[..., Asset], analyst: Person) -> Review:
    """One picture, claimed by the analyst, whose shift has begun."""
    from leadline.workbench.actors import Actor

    arrive(1)
    actions.begin_shift(analyst, session="session")
    review = actions.claim_next(Actor.of_person(analyst))
    assert review is not None
    return review


@pytest.fixture
def browser_of(client_of: Callable[[Person], Client]) -> Callable[[Person], Client]:
    """A browser in whose session the person's shift has begun."""

    def browser(person: Person) -> Client:
        client = client_of(person)
        Shift.objects.filter(person=person).update(session_hash=hash_session(client.session.session_key))
        return client

    return browser


@pytest.fixture
def exact() -> Callable[..., Any]:
    """exact(seed): a bank's entry of that very drawn file."""
    import hashlib

    from leadline.domain import Entry, Kind

    def one(seed: int, kind: Kind = Kind.ILLEGAL) -> Entry:
        return Entry(kind=kind, fingerprints={"sha256": hashlib.sha256(png(seed)).digest()})

    return one


@pytest.fixture
def make_bank(office: Any) -> Callable[..., Any]:
    from leadline.domain import Entry, Kind
    from leadline.match.bank import Bank

    def make(name: str, *entries: Entry, kind: Kind = Kind.ILLEGAL) -> Bank:
        bank = Bank.create(office.banks / name, name=name, kind=kind)
        bank.add(list(entries))
        return bank

    return make
