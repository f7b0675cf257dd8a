"""One file as it arrives: hashed, and where it may be kept sealed, piece by piece. Never writes a byte in clear."""

from __future__ import annotations

import weakref
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from leadline.scan.arriving import Readable, read_pieces
from leadline.workbench import matching, sealing


class Received:
    """A file that is arriving, or has arrived. Discard it, whatever becomes of it: what was kept stays kept."""

    def __init__(self, *, keep: bool) -> None:
        self.reading = matching.start_reading()
        self._draft = sealing.open_vault().begin() if keep else None
        if self._draft is not None:  # whoever forgets it: its file and descriptor go with the object
            weakref.finalize(self, self._draft.discard)

    @property
    def is_sealing(self) -> bool:
        return self._draft is not None

    def feed(self, untrusted: bytes) -> None:
        self.reading.feed(untrusted)
        if self._draft is not None:
            self._draft.write(untrusted)

    def keep(self) -> str:
        """Make the sealed file stand under its SHA-256, synced; also one that stood there before and was erased."""
        assert self._draft is not None
        return self._draft.commit(allow_erased=True).sha256

    def discard(self) -> None:
        if self._draft is not None:
            self._draft.discard()


def receive(content: Readable | bytes, *, keep: bool) -> Received:
    received = Received(keep=keep)
    try:
        for piece in read_pieces(content):
            received.feed(piece)
    except BaseException:
        received.discard()
        raise
    return received


class ReceivedUpload(UploadedFile):
    """Stands in a form for a file whose bytes are gone, or sealed, already: there is nothing in it to read."""

    def __init__(self, received: Received, **said: Any) -> None:
        super().__init__(file=None, **said)
        self.received = received

    def close(self) -> None:
        """At the end of every request, also of one that was refused: what was not kept is gone."""
        self.received.discard()


class SealingUpload(FileUploadHandler):
    """Hashes, and where media are kept seals, an upload while it comes in. Memory does not grow with the file."""

    def __init__(self, request: HttpRequest | None = None, *, mode: str = "refuse") -> None:
        super().__init__(request)
        self._mode = mode
        self._received: Received | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._mode == "refuse":
            raise SkipFile
        self.drop()
        self._received = Received(keep=self._mode == "keep")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._received is not None
        self._received.feed(raw_data)
        if self._received.reading.size_bytes > settings.LEADLINE_MAX_UPLOAD_BYTES:
            self.drop()
            raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> ReceivedUpload:
        assert self._received is not None
        received, self._received = self._received, None
        return ReceivedUpload(
            received,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )

    def upload_interrupted(self) -> None:
        self.drop()

    def drop(self) -> None:
        """What was arriving is gone. Call it when the request ends: of a sender that went away Django tells nobody."""
        if self._received is not None:
            self._received.discard()
            self._received = None
