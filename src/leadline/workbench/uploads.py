"""Uploads stay in memory until they are hashed or sealed: no byte of them reaches the disk by Django's hand."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload


class MemoryOnlyUpload(FileUploadHandler):
    """Collects the files of a request in memory, up to LEADLINE_MAX_UPLOAD_BYTES in all; more ends the request."""

    _size_bytes = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._collected = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._size_bytes += len(raw_data)
        if self._size_bytes > settings.LEADLINE_MAX_UPLOAD_BYTES:
            raise StopUpload(connection_reset=True)
        self._collected.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self._collected.seek(0)
        return InMemoryUploadedFile(
            file=self._collected,
            field_name=self.field_name,
            name=self.file_name,
            content_type=self.content_type or "application/octet-stream",
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )
