"""Settings from the environment."""

from __future__ import annotations

import pytest

from leadline.cli.config import load_settings, variables
from leadline.errors import ConfigError


def test_nothing_set_gives_the_defaults() -> None:
    settings = load_settings({"PATH": "/bin", "LEADLINE_DATA": "x"})
    assert (settings.workers, settings.threads, settings.traceback) == (None, 1, False)
    assert settings.limits.max_pixels == 200_000_000


def test_numbers_units_and_switches_are_read() -> None:
    settings = load_settings(
        {
            "LEADLINE_WORKERS": "3",
            "LEADLINE_MAX_FILE_BYTES": "64M",
            "LEADLINE_TIMEOUT_S": "2.5",
            "LEADLINE_TRACEBACK": "yes",
        }
    )
    assert (settings.workers, settings.traceback) == (3, True)
    assert (settings.limits.max_file_bytes, settings.limits.timeout_s) == (64 << 20, 2.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LEADLINE_WORKERS", "many"),
        ("LEADLINE_WORKERS", "0"),
        ("LEADLINE_WORKERS", "-1"),
        ("LEADLINE_WORKERS", "1.5"),
        ("LEADLINE_WORKERS", ""),
        ("LEADLINE_TIMEOUT_S", "nan"),
        ("LEADLINE_TIMEOUT_S", "inf"),
        ("LEADLINE_MAX_PIXELS", "99999999999999999999"),
        ("LEADLINE_TRACEBACK", "maybe"),
        ("LEADLINE_NO_SUCH", "1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: text})
    assert caught.value.where == name
    assert caught.value.mend


def test_every_limit_has_a_variable() -> None:
    assert {"LEADLINE_MAX_PIXELS", "LEADLINE_TIMEOUT_S", "LEADLINE_WORKERS"} <= set(variables())
