"""Small containers, packed by the usual libraries, and what the sandbox makes of them; for tests only."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import Any

import numpy as np
import py7zr

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB

_NOISE = np.random.default_rng(3).integers(0, 256, 3 * MIB, dtype=np.uint8).tobytes()
LONG = _NOISE + 32 * _NOISE[: MIB // 16] + _NOISE[:77]  # more than one chunk; its end packs in no time
SHORT = b"a little text\n" * 40
DEFLATE = zipfile.ZIP_DEFLATED
Told = tuple[bytes, bytes | str]  # the name, and the bytes or why there are none


def unpack(sandbox: Sandbox, data: bytes) -> tuple[list[Told], str]:
    """Every member and how it came out, and how the container ended."""
    sandbox.input_buffer(len(data))[:] = data
    told: list[Told] = []
    try:
        for member in sandbox.members(len(data), from_fd=False):
            told.append((member.name, content(member) if member.kind == "file" else member.reason))
    except UntrustedMediaError as error:
        return told, error.code
    return told, ""


def content(member: Any) -> bytes | str:
    read = bytearray()
    try:
        for chunk in member.chunks():
            read += chunk
    except UntrustedMediaError as error:
        return f"{len(read)} bytes, then {error.code}"
    return bytes(read)


def zipped(members: dict[str, bytes], method: int = DEFLATE) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def sevenzipped(members: dict[str, bytes], **options: Any) -> bytes:
    stream = io.BytesIO()
    options.setdefault("filters", None if "password" in options else [FAST])
    with py7zr.SevenZipFile(stream, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return stream.getvalue()


FAST = {"id": py7zr.FILTER_LZMA2, "preset": 0}
