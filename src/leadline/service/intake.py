"""A request's files: read within bounds as they come, hashed while the rest still comes. Judges nothing."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from leadline.errors import RequestRefused
from leadline.media.limits import MIB
from leadline.scan.hashing import FileFacts
from leadline.service.calls import Call
from leadline.service.desk import Desk
from leadline.service.hashing import Arrival, Wish
from leadline.service.parts import Parts, boundary_of

_MULTIPART = b"multipart/form-data"
_AT_MOST_WAITING_BYTES = MIB


class Taken(NamedTuple):
    """What one request held: name of each part ("" of a bare body) with its facts, and fields without a file."""

    files: tuple[tuple[str, FileFacts], ...]
    fields: dict[str, str]


class _Intake:
    """Files of one request; each is handed to a decoder as soon as it is whole."""

    def __init__(self, call: Call, desk: Desk, wish: Wish, *, with_fields: bool) -> None:
        self._desk, self._wish, self._limits = desk, wish, call.options.limits
        self._hashing: list[tuple[str, asyncio.Future[FileFacts]]] = []
        self._bare: Arrival | None = None
        self._parts: Parts | None = None
        self.limit_bytes = call.bound(call.options.max_body_bytes)
        kind = call.header(b"content-type")
        if kind.partition(b";")[0].strip().lower() == _MULTIPART:
            self.limit_bytes = call.bound(call.options.max_upload_bytes)
            self._parts = Parts(
                boundary_of(kind),
                self._limits,
                self._arrive,
                max_part_bytes=call.options.max_body_bytes,
                with_fields=with_fields,
            )
        elif with_fields:
            raise RequestRefused("not a form", status=400, code="media-type", mend="send multipart/form-data")
        else:
            self._bare = Arrival("", self._limits)

    def _arrive(self, arrival: Arrival) -> None:
        told = asyncio.wrap_future(self._desk.hashers.hash(arrival, self._wish))
        self._hashing.append((arrival.name, told))

    async def write(self, piece: bytes) -> None:
        if self._parts is not None:
            self._parts.write(piece)
        elif self._bare is not None:
            self._bare.take(piece)
        coming = self._bare if self._parts is None else self._parts.file
        if coming is not None and coming.waiting_bytes >= _AT_MOST_WAITING_BYTES:
            await asyncio.get_running_loop().run_in_executor(self._desk.clerks, coming.digest)

    async def finish(self) -> Taken:
        if self._bare is not None:
            self._arrive(self._bare)
        if self._parts is not None:
            self._parts.finish()
        files = tuple([(name, await told) for name, told in self._hashing])
        for _, facts in files:
            if facts.error is not None:
                self._desk.counters.count("leadline_decode_failures", facts.error.code)
        return Taken(files, {} if self._parts is None else self._parts.fields)

    def abandon(self) -> None:
        for _, told in self._hashing:
            told.cancel()


async def take_files(call: Call, desk: Desk, wish: Wish, *, with_fields: bool = False) -> Taken:
    """Every file of a request, hashed. TooBusy, before anything is read; RequestRefused for a body that is none.

    with_fields  only a form will do, and its parts without a file name are fields; else each part is a file
    """
    if call.header(b"content-encoding").lower() not in (b"", b"identity"):
        raise RequestRefused("a packed body", status=415, code="media-type", mend="send it without Content-Encoding")
    intake = _Intake(call, desk, wish, with_fields=with_fields)
    with desk.hashers.holding(_promised(call, intake.limit_bytes)):
        try:
            async for piece in call.pieces(intake.limit_bytes):
                await intake.write(piece)
            return await intake.finish()
        finally:
            intake.abandon()


def _promised(call: Call, limit_bytes: int) -> int:
    """Bytes that the body may come to: what its header says, else all that is allowed."""
    said = call.header(b"content-length")
    return min(int(said), limit_bytes) if said.isdigit() and len(said) < 20 else limit_bytes
