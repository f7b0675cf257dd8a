from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from leadline.errors import ConfigError
from leadline.match.pdq import distance_bits, hash_view
from leadline.media import scenes
from leadline.scan.demo import GOOD, KNOWN, MARKED, UNSEEN, run_demo


def test_it_draws_scenes_that_differ_and_bear_matching() -> None:
    hashes = []
    for seed in (*KNOWN, *MARKED, *GOOD, *UNSEEN):
        (view,), _ = hash_view(scenes.draw_scene(seed))
        assert view.quality >= 50
        hashes.append(view.pdq)
    for first, second in combinations(hashes, 2):
        assert min(distance_bits(first[0], turned) for turned in second) > 62  # altered copies stay apart too


def test_it_draws_the_same_picture_for_the_same_number() -> None:
    assert (scenes.draw_scene(5) == scenes.draw_scene(5)).all()
    assert scenes.pack_zip({"a": b"1"}) == scenes.pack_zip({"a": b"1"})


def test_it_never_empties_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    with pytest.raises(ConfigError, match="not empty"):
        run_demo(tmp_path)
    assert (tmp_path / "evidence").exists()
