"""What every sandbox must withstand, whatever its child does. A subclass gives `sandbox` over the hostile worker."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from PIL import Image

from leadline.errors import UntrustedMediaError
from leadline.media.client import Rendition, Sandbox, SandboxViolation
from leadline.media.reduction import Reduction

MARK = b"\xff\xd8\xff\xe0"  # sniffed as a JPEG


def show(sandbox: Sandbox, command: str) -> list[str]:
    """Have the hostile codec do it; the names of the views that came of it."""
    data = MARK + command.encode()
    sandbox.input_buffer(len(data))[:] = data
    sandbox.open_picture(len(data))
    return [view.name for view in sandbox.views()]


def render(sandbox: Sandbox, command: str, reduction: Reduction | None = None) -> Rendition:
    """Have the hostile maker of renditions do it."""
    data = MARK + command.encode()
    sandbox.input_buffer(len(data))[:] = data
    return sandbox.make_rendition(len(data), reduction or Reduction.tile())


def unpack(sandbox: Sandbox, command: str) -> list[tuple[str, dict[str, str]]]:
    """Have the hostile reader of containers do it; role and facts of the members that came of it."""
    sandbox.input_buffer(len(command))[:] = command.encode()
    told = []
    for member in sandbox.members(len(command), from_fd=False):
        list(member.chunks())
        told.append((member.role, dict(member.facts)))
    return told


def violation(sandbox: Sandbox, command: str) -> str:
    with pytest.raises(SandboxViolation) as caught:
        show(sandbox, command)
    return caught.value.code


class SandboxContract:
    def test_it_shows_what_an_honest_child_decodes(self, sandbox: Sandbox) -> None:
        assert show(sandbox, "behave") == ["picture"]

    @pytest.mark.parametrize("command", ["crash", "leave"])
    def test_it_outlives_a_child_that_dies(self, sandbox: Sandbox, command: str) -> None:
        assert violation(sandbox, command) == "child-died"
        assert show(sandbox, "behave") == ["picture"]

    def test_it_kills_a_child_that_spins(self, sandbox: Sandbox) -> None:
        assert violation(sandbox, "spin") == "timeout"
        assert show(sandbox, "behave") == ["picture"]

    def test_it_waits_for_a_slow_child(self, sandbox: Sandbox) -> None:
        assert show(sandbox, "slow") == ["picture"]

    @pytest.mark.parametrize(
        "command",
        [
            *("too wide", "one pixel too many", "no width", "four channels", "no channels"),
            *("pixels before facts", "facts twice", "a chunk for a view", "views for ever"),
            *("speak briefly", "speak at length", "speak nonsense"),
        ],
    )
    def test_it_believes_no_answer_out_of_bounds(self, sandbox: Sandbox, command: str) -> None:
        assert violation(sandbox, command) == "out-of-bounds"
        assert show(sandbox, "behave") == ["picture"]

    @pytest.mark.parametrize(
        "command",
        [
            *("facts cut off", "facts too long", "facts beyond the list", "facts out of form"),
            *("facts that are no text", "facts of no role", "facts of a piece"),
        ],
    )
    def test_it_believes_no_fact_out_of_bounds(self, sandbox: Sandbox, command: str) -> None:
        assert unpack(sandbox, "behave") == [("text", {"subject": "x"})]
        with pytest.raises(SandboxViolation) as caught:
            unpack(sandbox, command)
        assert caught.value.code == "out-of-bounds"
        assert show(sandbox, "behave") == ["picture"]

    @pytest.mark.parametrize(
        "command",
        [
            *("send a lens", "send the whole", "send one row more", "send no row", "send colour", "send no channel"),
            *("send another view", "send another frame", "send it unturned", "send pixels before facts"),
            *("send facts twice", "send facts and no more", "send a picture beyond the limit"),
            *("send a picture without size", "speak briefly", "speak at length", "speak nonsense"),
        ],
    )
    def test_it_shows_no_more_than_was_asked_for(self, sandbox: Sandbox, command: str) -> None:
        assert render(sandbox, "send a tile").width == 160
        with pytest.raises(SandboxViolation) as caught:
            render(sandbox, command)
        assert caught.value.code == "out-of-bounds"
        assert render(sandbox, "send a tile").width == 160

    def test_it_shows_no_more_than_the_lens(self, sandbox: Sandbox) -> None:
        lens = Reduction.lens((0.5, 0.5))
        assert Image.open(io.BytesIO(render(sandbox, "send a lens", lens).png)).size == (200, 100)
        for command in ("send a tile", "send the whole", "send colour"):
            with pytest.raises(SandboxViolation) as caught:
                render(sandbox, command, lens)
            assert caught.value.code == "out-of-bounds"

    def test_a_tile_is_blurred_whatever_its_child_sends(self, sandbox: Sandbox) -> None:
        shown = np.asarray(Image.open(io.BytesIO(render(sandbox, "send a tile").png))).astype(int)
        steepest = 255 / (8 * math.sqrt(2 * math.pi))  # a pixel, of an edge from black to white blurred by sigma 8
        assert 100 < np.ptp(shown[:, 20:140])  # the squares are still there
        assert max(np.abs(np.diff(shown, axis=axis)).max() for axis in (0, 1)) <= math.ceil(steepest)

    def test_a_rendition_shows_nothing_of_the_file_before(self, sandbox: Sandbox) -> None:
        for before in ("send a lens", "send a tile", "send a picture without size"):
            with contextlib.suppress(SandboxViolation):
                render(sandbox, before)
            assert not np.asarray(Image.open(io.BytesIO(render(sandbox, "look around").png))).any()

    @pytest.mark.parametrize("command", ["crash", "leave"])
    def test_it_outlives_a_child_that_dies_over_a_rendition(self, sandbox: Sandbox, command: str) -> None:
        with pytest.raises(SandboxViolation) as caught:
            render(sandbox, command)
        assert caught.value.code == "child-died"
        assert render(sandbox, "send a tile").width == 160

    def test_it_kills_a_child_that_spins_over_a_rendition(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxViolation) as caught:
            render(sandbox, "spin")
        assert caught.value.code == "timeout"

    def test_it_keeps_the_files_bytes_from_its_child(self, sandbox: Sandbox) -> None:
        data = MARK + b"change the input"
        buffer = sandbox.input_buffer(len(data))
        buffer[:] = data
        with pytest.raises(SandboxViolation):
            sandbox.open_picture(len(data))
        assert bytes(buffer) == data

    def test_it_goes_on_with_a_batch_after_one_file_killed_the_child(self, sandbox: Sandbox) -> None:
        sandbox.begin_batch()
        try:
            assert show(sandbox, "behave") == ["picture"]
            assert violation(sandbox, "crash") == "child-died"
            assert show(sandbox, "behave") == ["picture"]
        finally:
            sandbox.end_batch()

    def test_it_tells_lack_of_memory_from_death(self, sandbox: Sandbox) -> None:
        with pytest.raises(UntrustedMediaError) as caught:
            show(sandbox, "take memory")
        assert caught.value.code == "out-of-memory"


class LockContract:
    @pytest.mark.parametrize("command", ["open a file", "fork"])
    def test_it_kills_a_child_that_reaches_out(self, sandbox: Sandbox, command: str) -> None:
        assert violation(sandbox, command) == "child-died"
        assert show(sandbox, "behave") == ["picture"]
