"""A card has a list of scenes: one of a picture, the frames of an animation, none of a film. One is shown at a time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from django.test import Client
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import InputError, WrongState
from leadline.media.scenes import draw_scene
from leadline.workbench.accounts.models import Person
from leadline.workbench.actors import Actor
from leadline.workbench.evidence.actions import take_in
from leadline.workbench.evidence.models import Asset, AssetState
from leadline.workbench.review import access, actions
from leadline.workbench.review.models import Exposure, Level, Review
from leadline.workbench.review.scenes import MOST, Scene, is_all, scenes_of

from .conftest import animation

pytestmark = pytest.mark.django_db
SIZE = (320, 240)


@functools.cache
def frame(seed: int) -> Image.Image:
    return Image.fromarray(draw_scene(seed, *SIZE))


def grey(picture: Image.Image) -> NDArray[np.int64]:
    return np.asarray(picture.convert("L"), np.int64)


def nearest(png: bytes, *seeds: int) -> int:
    """Which of the drawn scenes a rendition shows: by an independent reduction of each to its size."""
    got = Image.open(BytesIO(png))
    far = {seed: float(np.abs(grey(got) - grey(frame(seed).resize(got.size))).mean()) for seed in seeds}
    return min(far, key=far.__getitem__)


Take = Callable[..., Review]


@pytest.fixture
def take(keeping: Any, analyst: Person) -> Iterator[Take]:
    """take(bytes): the review of a file that has arrived, claimed by the analyst."""

    def one(data: bytes, name: str = "moving.png") -> Review:
        take_in(data, actor="system", source="test", name=name)
        actions.sort_assets()
        actions.begin_shift(analyst, session="session")
        review = actions.claim_next(Actor.of_person(analyst))
        assert review is not None
        return review

    yield one


def test_a_picture_has_one_scene_and_an_animation_its_frames(take: Take, claimed: Review) -> None:
    assert scenes_of(claimed.cluster.centre) == [Scene(1, "picture", 400, 300)]
    asset = take_in(animation(1, 2, 3), actor="system", source="test", name="moving.png")
    assert [(one.number, one.view) for one in scenes_of(asset)] == [(1, "picture"), (2, "frame 1"), (3, "frame 2")]
    Asset.objects.filter(pk=asset.pk).update(state=AssetState.ERASED)
    asset.refresh_from_db()
    assert scenes_of(asset) == []


def test_of_many_frames_nine_are_spread_evenly(keeping: Any) -> None:
    asset = take_in(animation(*range(1, 18)), actor="system", source="test", name="moving.png")
    views = [scene.view for scene in scenes_of(asset)]
    assert views == ["picture", *(f"frame {number}" for number in range(2, 17, 2))]
    assert len(views) == MOST
    assert not is_all(asset, scenes_of(asset))


def test_each_look_shows_the_scene_that_was_asked_for_and_the_ledger_says_which(take: Take, analyst: Person) -> None:
    review = take(animation(1, 2, 3))
    asset = review.cluster.centre
    for number, seed in ((1, 1), (2, 2), (3, 3)):
        tile = actions.show_tile(analyst, review, asset, "session", scene=str(number))
        look = actions.grant(analyst, review, asset, Level.WHOLE, "session", scene=str(number))
        whole = actions.show(analyst, look.pk, "session")
        assert [nearest(made.png, 1, 2, 3) for made in (tile, whole)] == [seed, seed]
    lens = actions.grant(analyst, review, asset, Level.LENS, "session", scene="3")
    shown = actions.show(analyst, lens.pk, "session", (0.0, 0.0))
    quarter = grey(frame(3))[:120, :160]
    assert np.abs(grey(Image.open(BytesIO(shown.png))) - quarter).max() <= 2
    assert list(Exposure.objects.order_by("issued_at").values_list("view", flat=True)) == [
        "picture", "picture", "frame 1", "frame 1", "frame 2", "frame 2", "frame 2",
    ]  # fmt: skip


@pytest.mark.parametrize("scene", ["0", "4", "-1", "", "frame 1", "²", "9999999"])
def test_a_scene_that_is_none_shows_nothing_and_is_no_look(take: Take, analyst: Person, scene: str) -> None:
    review = take(animation(1, 2, 3))
    with pytest.raises(InputError):
        actions.show_tile(analyst, review, review.cluster.centre, "session", scene=scene)
    with pytest.raises(InputError):
        actions.grant(analyst, review, review.cluster.centre, Level.LENS, "session", scene=scene)
    assert not Exposure.objects.exists()


def test_a_look_at_a_scene_that_is_no_more_has_ended(take: Take, analyst: Person) -> None:
    review = take(animation(1, 2))
    look = actions.grant(analyst, review, review.cluster.centre, Level.WHOLE, "session", scene="2")
    review.cluster.centre.views.filter(view="frame 1").delete()
    with pytest.raises(WrongState):
        actions.show(analyst, look.pk, "session")
    assert Exposure.objects.get().areas == []


def test_an_animation_was_seen_whole_only_where_one_person_saw_each_scene(take: Take, analyst: Person) -> None:
    review = take(animation(1, 2))
    asset = review.cluster.centre
    for number, said in (("1", "part"), ("2", "whole")):
        actions.show(analyst, actions.grant(analyst, review, asset, Level.WHOLE, "session", scene=number).pk, "session")
        assert access.seen_of(asset) == said
    Asset.objects.filter(pk=asset.pk).update(state=AssetState.ERASED)  # what was seen stays said
    assert access.seen_of(asset) == "whole"
    Asset.objects.filter(pk=asset.pk).update(frames=65)  # more than were ever hashed
    assert access.seen_of(asset) == "part"


def test_the_card_lists_the_scenes_and_how_to_step(
    take: Take, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    review = take(animation(1, 2, 3))
    browser = browser_of(analyst)
    page = browser.get(f"/review/{review.pk}/").content.decode()
    assert re.findall(r'data-scene="(\d)" data-name="([^"]+)"', page) == [
        ("1", "frame 1 of 3"), ("2", "frame 2 of 3"), ("3", "frame 3 of 3"),
    ]  # fmt: skip
    assert page.count('aria-current="true"') == 1
    assert re.search(r"Duration</th><td>unknown", page)
    address = f"/review/{review.pk}/tile/{review.cluster.centre.pk}"
    tile = browser.get(f"{address}/?scene=2")
    assert nearest(tile.content, 1, 2, 3) == 2
    assert browser.get(f"{address}/?scene=4").status_code == 422
    given = {"asset": str(review.cluster.centre.pk), "level": "whole", "scene": "3"}
    look = browser.post(f"/review/{review.pk}/reveal/", given).json()["look"]
    assert nearest(browser.get(f"/review/look/{look}/").content, 1, 2, 3) == 3


def test_a_picture_has_no_list_and_a_film_nothing_to_show_and_no_known_duration(
    take: Take, claimed: Review, analyst: Person, browser_of: Callable[[Person], Client]
) -> None:
    page = browser_of(analyst).get(f"/review/{claimed.pk}/").content.decode()
    assert 'id="scenes"' not in page
    assert re.search(r"Duration</th><td>—", page)
    actions.give_back(analyst, claimed.pk)
    actions.end_shift(analyst)
    actions.skip(analyst, claimed.pk)
    film = take(b"\0\0\0\x18ftypmp42" + b"\0" * 64, "clip.mp4")
    assert scenes_of(film.cluster.centre) == []
    page = browser_of(analyst).get(f"/review/{film.pk}/").content.decode()
    assert 'id="picture"' not in page
    assert "no picture is held of this file" in page
    assert re.search(r"Duration</th><td>unknown", page)
