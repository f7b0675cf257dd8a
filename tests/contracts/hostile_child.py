"""A worker whose only codec does what the file tells it to: crash, hang, lie. Under the real lock; for tests only."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from leadline.media import containers, pictures, renditions, worker
from leadline.media.facts import pack_facts
from leadline.media.wire import Alpha, Answer, Kind, Status, ViewName

FACTS = Answer(Kind.FACTS, width=2, height=2, count=1)
VIEW = Answer(Kind.VIEW, width=2, height=2, channels=3)
END = Answer(Kind.END)
COMMAND_AT = 4  # behind the mark that makes the file look like a JPEG


def decode(data: memoryview, **_: Any) -> Iterator[Answer]:
    command = bytes(data[COMMAND_AT:]).decode()
    if command in BARE_ACTS:
        BARE_ACTS[command]()
    yield from ANSWERS.get(command, (FACTS, VIEW, END))


def _crash() -> None:
    ctypes.string_at(0)


def _spin() -> None:
    while True:
        pass


def _speak(message: bytes) -> None:
    os.write(0, message)


def _slow() -> None:
    time.monotonic()
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        pass


BARE_ACTS = {
    "crash": _crash,
    "leave": lambda: os._exit(0),
    "spin": _spin,
    "slow": _slow,
    "open a file": lambda: open("/proc/self/status"),
    "fork": os.fork,
    "take memory": lambda: bytearray(1 << 40),
    "change the input": lambda: ctypes.memset(_input_address(), 0, 1),
    "speak briefly": lambda: _speak(b"\x01"),
    "speak at length": lambda: _speak(bytes(200)),
    "speak nonsense": lambda: _speak(b"\xff" * 32),
}


def _input_address() -> int:
    return int(np.frombuffer(_MEMORY[0].input, np.uint8).ctypes.data)


def _wide(**changes: Any) -> tuple[Answer, Answer]:
    return FACTS, Answer(Kind.VIEW, **{"width": 2, "height": 2, "channels": 3, **changes})


ANSWERS: dict[str, Any] = {
    "too wide": _wide(width=1 << 30, height=1 << 30),
    "one pixel too many": _wide(width=1001, height=1000),
    "no width": _wide(width=0),
    "four channels": _wide(channels=4),
    "no channels": _wide(channels=0),
    "pixels before facts": (VIEW, FACTS),
    "facts twice": (FACTS, FACTS),
    "a chunk for a view": (FACTS, Answer(Kind.CHUNK, count=5)),
    "views for ever": itertools.chain(
        [Answer(Kind.FACTS, width=2, height=2, count=9, alpha=Alpha.VARIED)],
        itertools.repeat(Answer(Kind.VIEW, view=ViewName.FRAME, width=2, height=2, channels=3)),
    ),
}
PICTURE = Answer(Kind.FACTS, width=400, height=200, count=1)
TILE = Answer(Kind.VIEW, width=160, height=80, channels=1)
# What was asked for is a tile, 160 x 80, or a lens, 200 x 100 of 400 x 200.
RENDITIONS: dict[str, tuple[Answer, ...]] = {
    "send a tile": (PICTURE, TILE),
    "send a lens": (PICTURE, replace(TILE, width=200, height=100)),
    "send the whole": (PICTURE, replace(TILE, width=400, height=200)),
    "send one row more": (PICTURE, replace(TILE, height=81)),
    "send no row": (PICTURE, replace(TILE, height=0)),
    "send colour": (PICTURE, replace(TILE, channels=3)),
    "send no channel": (PICTURE, replace(TILE, channels=0)),
    "send another view": (PICTURE, replace(TILE, view=ViewName.ON_WHITE)),
    "send another frame": (PICTURE, replace(TILE, count=1)),
    "send it unturned": (PICTURE, replace(TILE, orientation=6)),
    "send pixels before facts": (TILE, PICTURE),
    "send facts twice": (PICTURE, PICTURE),
    "send facts and no more": (PICTURE, END),
    "send a picture beyond the limit": (replace(PICTURE, width=4000, height=2000), TILE),
    "send a picture without size": (replace(PICTURE, width=0, height=0), TILE),
}
_MEMORY: list[Any] = []
GOOD_FACTS = pack_facts({"role": "text", "subject": "x"})
# The bytes of facts, and how many of them the child says there are.
LYING_FACTS: dict[str, tuple[bytes, int]] = {
    "facts cut off": (GOOD_FACTS, len(GOOD_FACTS) - 1),
    "facts too long": (bytes(9000), 9000),
    "facts beyond the list": (b"\xff\x01\0x", 4),
    "facts out of form": (GOOD_FACTS.replace(b"x", b"\n"), len(GOOD_FACTS)),
    "facts that are no text": (GOOD_FACTS.replace(b"x", b"\xff"), len(GOOD_FACTS)),
    "facts of no role": (GOOD_FACTS.replace(b"text", b"page"), len(GOOD_FACTS)),
}


def render(data: memoryview, *_: Any) -> Iterator[Answer]:
    """Leaves sharp squares, 20 pixels wide, where the rendition should lie."""
    command = bytes(data[COMMAND_AT:]).decode()
    if command in BARE_ACTS:
        BARE_ACTS[command]()
    if command == "look around":
        seen = any(_MEMORY[0].input[len(data) : 1 << 20]) or _MEMORY[0].pixels[: 1 << 20].any()
        _MEMORY[0].pixels[: 160 * 80] = 255 if seen else 0
        yield from (PICTURE, TILE)
        return
    at = np.arange(160 * 80)
    _MEMORY[0].pixels[: 160 * 80] = (at % 160 // 20 + at // 160 // 20) % 2 * 255
    yield from RENDITIONS[command]


def unpack(source: Any, size_bytes: int, limits: Any, outlet: Any, mime: str) -> Status:
    command = source.read().decode()
    facts, size = LYING_FACTS.get(command, (GOOD_FACTS, len(GOOD_FACTS)))
    outlet._output[: 4 + len(facts)] = b"name" + facts
    outlet._child.send(Answer(Kind.MEMBER, count=4, facts_bytes=size))
    outlet._child.receive()
    if command == "facts of a piece":
        outlet._child.send(Answer(Kind.CHUNK, count=4, facts_bytes=4))
    outlet._child.send(Answer(Kind.MEMBER_END))
    return Status.OK


def main(*descriptors: int) -> None:
    make = worker.Memory.__init__

    def remember(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        _MEMORY.append(self)
        containers.unpack = unpack
        pictures.decode = decode  # type: ignore[assignment]  # only now: the worker has warmed its own one up
        renditions.render = render  # type: ignore[assignment]

    worker.Memory.__init__ = remember  # type: ignore[method-assign]
    worker.main(*descriptors)
