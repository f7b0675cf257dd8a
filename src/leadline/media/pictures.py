"""Hostile picture bytes -> pixels. Runs inside the sandbox only; opens no file, knows nothing of the wall.

Pixels are those of Pillow's `convert("RGB")`, because lists were made so; where Pillow would clip deep greys to white
(I;16, I, F) they are scaled instead, see `_grey_scale`. Pixels are written to the canvas row by row, so that a picture
needs little memory beyond its decoder's own.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from leadline.media import colour, wire
from leadline.media.canvas import ORIENTATION_TAG, Canvas, check_size, facts_answer, view_answer
from leadline.media.jpeg import decode_jpeg
from leadline.media.limits import Limits
from leadline.media.sniff import sniff
from leadline.media.wire import Alpha, Answer, Kind, Refused, Status, ViewName

# The allow-list: type -> Pillow's plug-in, one at a time, so that a file cannot choose its parser.
_PLUGINS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/x-icon": "ICO",
}
# These either decode or do not: Pillow's truncated mode would answer with a black picture that nobody took.
_ALL_OR_NOTHING = frozenset({"image/webp", "image/avif", "image/heic"})
_FINAL = (Refused, MemoryError, ImportError, Image.DecompressionBombError)  # another attempt would end the same
_FIRST = (ViewName.PICTURE, ViewName.ON_WHITE, ViewName.ON_BLACK)
_LATER = (ViewName.FRAME, ViewName.FRAME_ON_WHITE, ViewName.FRAME_ON_BLACK)
_WARM_UPS = 20  # CPython specialises a function's code within its first dozen calls
_HEADER_SHARE = 0.25  # of the time limit, for counting frames
_FRAMES_SHARE = 0.7  # of the time limit, after which no further frame is begun


def prepare(limits: Limits) -> None:
    """Load and set every codec, once, in the zygote: nothing may be imported behind the wall."""
    Image._initialized = 2  # else Image.open would load Pillow's other forty parsers
    Image.OPEN["JPEG"] = (JpegImagePlugin.JpegImageFile, Image.OPEN["JPEG"][1])  # no detour to the MPO plug-in
    Image.MAX_IMAGE_PIXELS = limits.max_pixels // 2  # Pillow refuses at twice this: a second net, for ICO's inner PNG
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    assert {BmpImagePlugin, GifImagePlugin, IcoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin}
    ImageCms.createProfile("LAB")
    _warm_up(limits)


def prepare_heif() -> None:
    """HEIC apart, when the first one is to be decoded: its libraries cost every fork half a millisecond."""
    import pillow_heif

    # libc sets up its signal handlers at a process's first thread; a child may not.
    first = threading.Thread(target=bool)
    first.start()
    first.join()
    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _warm_up(limits: Limits) -> None:
    """Decode a picture of ours, often enough that the interpreter has settled: a child copies every page it changes."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    canvas = Canvas(np.zeros(16 * 16 * 3, np.uint8), lambda size_bytes: None)
    for name in ("JPEG", "PNG"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, name)
        for _ in range(_WARM_UPS):
            for answer in decode(memoryview(stream.getvalue()), grey=False, limits=limits, canvas=canvas):
                answer.pack()


def versions() -> dict[str, str]:
    """Of every decoder that took part in a result."""
    from importlib import metadata

    from PIL import __version__ as pillow
    from PIL import features

    found = {"Pillow": pillow, "simplejpeg": simplejpeg.__version__}
    found |= {name: metadata.version(name) for name in ("pillow-heif", "py7zr")}
    for name in ("jpg", "zlib", "libtiff"):
        found[name] = str(features.version_codec(name))
    for name in ("webp", "avif", "littlecms2"):
        found[name] = str(features.version_module(name))
    return found


class _Source(io.BytesIO):
    """The file's bytes, for a parser; reading past its time refuses the file instead of looping on."""

    expires = math.inf

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.expires:
            raise Refused(Status.TIMEOUT)
        return super().read(size)


def decode(data: memoryview, *, grey: bool, limits: Limits, canvas: Canvas) -> Iterator[Answer]:
    """FACTS, then one VIEW after the other (each overwrites the canvas), then END. Raises Refused."""
    mime = sniff(bytes(data[:4096]))
    if mime not in _PLUGINS:
        raise Refused(Status.UNSUPPORTED)
    try:
        if mime == "image/jpeg" and (answers := decode_jpeg(data, grey, limits, canvas)):
            yield from answers
        else:
            yield from _Picture(data, mime, grey, limits, canvas).answers()
    except MemoryError:
        raise Refused(Status.OUT_OF_MEMORY) from None
    except Image.DecompressionBombError:
        raise Refused(Status.TOO_MANY_PIXELS) from None


class _Picture:
    """One picture being decoded by Pillow or pillow-heif."""

    def __init__(self, data: memoryview, mime: str, grey: bool, limits: Limits, canvas: Canvas) -> None:
        self._data, self._mime, self._grey, self._limits, self._canvas = data, mime, grey, limits, canvas
        self._started = time.monotonic()

    def answers(self) -> Iterator[Answer]:
        image, frames, is_partial = self._load_first()
        check_size(image.size, self._limits)  # again: ICO learns its size only now
        alpha = colour.alpha_of(image)
        decoder = "pillow-heif" if self._mime == "image/heic" else "Pillow"
        orientation = _orientation(image)
        yield facts_answer(self._mime, decoder, image.mode, image.size, orientation, frames, alpha, is_partial)
        seen: set[bytes] = set()
        for name, pixels in self._drawn(image, _FIRST, alpha):
            if frames > 1:
                seen.add(_digest(pixels))
            yield view_answer(pixels, name, 0, orientation, is_partial)
        yield from self._later_frames(image, frames, seen)

    def _load_first(self) -> tuple[ImageFile.ImageFile, int, bool]:
        try:
            return self._attempt()
        except _FINAL:
            raise
        except Exception as error:
            if self._mime in _ALL_OR_NOTHING:
                raise Refused(self._hopeless(error)) from None
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return *self._attempt()[:2], True
        except _FINAL:
            raise
        except Exception as error:
            raise Refused(self._hopeless(error)) from None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False

    def _attempt(self) -> tuple[ImageFile.ImageFile, int, bool]:
        """The first picture, loaded; how many there are; whether they were too many to count."""
        if self._mime == "image/webp":
            check_size(_webp_size(self._data), self._limits)  # its decoder allocates on opening
        source = _Source(self._data)
        image = self._open(source)
        source.expires = self._started + self._limits.timeout_s * _HEADER_SHARE
        uncounted = False
        try:
            frames = int(getattr(image, "n_frames", 1))
        except (Refused, EOFError, OSError, SyntaxError, ValueError):
            source.expires = math.inf
            image, frames, uncounted = self._open(source), 1, True
        source.expires = math.inf
        image.load()
        return image, max(1, min(frames, wire.MAX_DIMENSION)), uncounted

    def _open(self, source: _Source) -> ImageFile.ImageFile:
        source.seek(0)
        image = Image.open(source, formats=[_PLUGINS[self._mime]])
        check_size(image.size, self._limits)
        return image

    def _hopeless(self, error: Exception) -> Status:
        short = self._mime == "image/webp" and int.from_bytes(self._data[4:8], "little") + 8 > len(self._data)
        return Status.TRUNCATED if short or "truncated" in str(error).lower() else Status.UNDECODABLE

    def _draw(self, image: Image.Image, convert: colour.Convert) -> NDArray[np.uint8]:
        width, height = image.size
        target = self._canvas.shaped(width, height, 1 if self._grey else 3)
        for top, bottom, strip in colour.strips(image):
            piece = np.frombuffer(convert(strip).tobytes(), np.uint8)
            target[top:bottom] = piece.reshape(target[top:bottom].shape)
        return target

    def _drawn(
        self, image: Image.Image, names: tuple[ViewName, ViewName, ViewName], alpha: Alpha
    ) -> Iterator[tuple[ViewName, NDArray[np.uint8]]]:
        """The picture without its alpha and, where that varies, on white and on black; each overwrites the last."""
        yield names[0], self._draw(image, colour.plain(image, self._grey))
        if alpha is Alpha.VARIED:
            for name, backdrop in ((names[1], 255), (names[2], 0)):
                yield name, self._draw(image, partial(colour.composite, backdrop=backdrop, grey=self._grey))

    def _later_frames(self, image: ImageFile.ImageFile, frames: int, seen: set[bytes]) -> Iterator[Answer]:
        """Evenly spread, each picture once (an animation that rests repeats itself)."""
        first, spent_s, status = image.tell(), time.monotonic() - self._started, Status.OK
        for number in spread(frames, self._limits.max_frames, first):
            begun = time.monotonic()
            if spent_s > self._limits.timeout_s * _FRAMES_SHARE:
                status = Status.TIMEOUT
                break
            try:
                image.seek(number)
                check_size(image.size, self._limits)
                image.load()
                for name, pixels in self._drawn(image, _LATER, colour.alpha_of(image)):
                    if (digest := _digest(pixels)) not in seen:
                        seen.add(digest)
                        spent_s += time.monotonic() - begun  # what the parent does between two views is not counted
                        yield view_answer(pixels, name, number, _orientation(image), False)
                        begun = time.monotonic()
            except Refused as refused:
                status = refused.status
                break
            except _FINAL:
                raise
            except Exception:
                status = Status.TRUNCATED
                break
            spent_s += time.monotonic() - begun
        yield Answer(Kind.END, status)


def spread(frames: int, most: int, first: int = 0) -> list[int]:
    """At most `most` - 1 frame numbers besides `first`, evenly spread, in order."""
    last = max(1, most - 1)
    chosen = range(frames) if frames <= most else {step * (frames - 1) // last for step in range(most)}
    return sorted(set(chosen) - {first})[: most - 1]


def _webp_size(data: memoryview) -> tuple[int, int]:
    """Width and height as the first chunk says (RFC 9649), at fixed offsets."""
    chunk = bytes(data[12:16])
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    raise Refused(Status.UNDECODABLE)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation still to be applied (TIFF and HEIF are turned by their decoders, which then say 1)."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _digest(pixels: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(pixels.reshape(-1).data, digest_size=16).digest() + str(pixels.shape).encode()


assert ImageOps  # used by the TIFF plug-in; must be loaded before the wall closes
