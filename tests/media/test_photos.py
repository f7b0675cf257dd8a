"""Photographs are found where a package put them, in one order; without packages there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from leadline.media import photos


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    told = {"one": (tmp_path, {"b.jpg": (4, 3), "a.jpg": (2, 1)}), "two": (tmp_path / "no", {"c.jpg": (1, 1)})}
    monkeypatch.setattr(photos, "PACKAGES", told)
    return tmp_path


def test_those_that_are_there_are_found_in_the_order_of_the_table(installed: Path) -> None:
    for name in ("a.jpg", "b.jpg", "other.jpg"):
        (installed / name).write_bytes(b"x")
    assert photos.find_photos() == [
        photos.Photo(installed / "b.jpg", 4, 3), photos.Photo(installed / "a.jpg", 2, 1),
    ]  # fmt: skip


def test_without_a_package_there_are_none(installed: Path) -> None:
    assert photos.find_photos() == []


def test_what_a_package_installed_is_as_large_as_the_table_says() -> None:
    for photo in photos.find_photos():  # none where `make bench-data` was not asked for
        with Image.open(photo.path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (photo.width, photo.height)), photo.path
