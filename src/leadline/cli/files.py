"""Paths as a person gave them -> files to be read, shown as they were given. Follows no link, opens nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leadline.errors import InputError, LeadlineError
from leadline.scan.names import encode_name, show_name
from leadline.scan.sources import Listed, PathSource


@dataclass(frozen=True, slots=True)
class Named:
    """path: what to open. shown: what was given, and the way down from there. fault: why it is not to be opened."""

    path: bytes
    shown: bytes
    fault: LeadlineError | None = None


def walk_files(paths: Sequence[str]) -> Iterator[Named]:
    """Each file of each path, folders walked in the order of their names."""
    for path in paths:
        given = os.fsencode(path)
        for listed in PathSource(given).walk():
            shown = os.path.join(given, *listed.order[1]) if listed.order[1] else given
            yield Named(listed.path, shown, _fault(listed, shown))


def require_inputs(paths: Sequence[str]) -> None:
    """For commands that make one thing of all their inputs: where one is not there, nothing is done and nothing is
    touched. InputError."""
    for path in paths:
        if not os.path.lexists(path):
            raise InputError("no such file or folder", where=show_name(os.fsencode(path)), mend="check the path")


def _fault(listed: Listed, shown: bytes) -> LeadlineError | None:
    if listed.fault is not None:
        return InputError(listed.fault[1], where=show_name(shown), code=listed.fault[0])
    if listed.skip:
        return InputError(f"skipped: {listed.skip}", where=show_name(shown), code="skipped", mend="name its target")
    return None


def path_fields(shown: bytes) -> dict[str, str]:
    """`path`, and `path_b64` where the text alone does not give the bytes back."""
    text, encoded = encode_name(shown)
    return {"path": text} if encoded is None else {"path": text, "path_b64": encoded}
