"""Sandboxes and pictures for the tests of media."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leadline.media.client import PictureFacts, Sandbox
from leadline.media.limits import MIB, Limits

SMALL = Limits(max_file_bytes=32 * MIB, max_pixels=4_000_000, timeout_s=10.0, memory_bytes=512 * MIB)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SMALL) as started:
        yield started


@pytest.fixture(scope="session")
def second_sandbox() -> Iterator[Sandbox]:
    with Sandbox(SMALL) as started:
        yield started


@pytest.fixture(scope="session")
def scene() -> Image.Image:
    """256 x 192, blocks of colour, no two alike."""
    blocks = np.random.default_rng(7).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8)))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decode(
    sandbox: Sandbox, data: bytes, *, grey: bool = False
) -> tuple[PictureFacts, dict[str, NDArray[np.uint8]]]:
    sandbox.input_buffer(len(data))[:] = data
    facts = sandbox.open_picture(len(data), grey=grey)
    return facts, {view.name: view.pixels.copy() for view in sandbox.views()}


def by_pillow(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
