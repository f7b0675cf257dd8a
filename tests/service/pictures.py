"""Drawn scenes as files, and requests that carry them. All benign."""

from __future__ import annotations

import functools
import io
from typing import Any

from PIL import Image

from leadline.media.scenes import draw_scene

BOUNDARY = "leadline-test-boundary"


_drawn = functools.cache(draw_scene)


def scene(seed: int = 1, width: int = 320, height: int = 240) -> Image.Image:
    return Image.fromarray(_drawn(seed, width, height))


def encoded(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def form(*parts: tuple[str, str | None, bytes], end: bool = True) -> dict[str, Any]:
    """A multipart request of (name, file name or None, content), for `Worker.ask`."""
    body = b""
    for name, filename, content in parts:
        named = f'; filename="{filename}"' if filename is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'
        body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    if end:
        body += f"--{BOUNDARY}--\r\n".encode()
    return {"content": body, "headers": {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}}
