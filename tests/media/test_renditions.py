"""The withholding test, at the engine: a tile is small, grey and blurred, a lens holds its own pixels and no others."""

from __future__ import annotations

import io
import math
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps, PngImagePlugin
from tests.media.conftest import encode
from tests.media.test_pictures import FORMATS, in_mode

from leadline.errors import UntrustedMediaError
from leadline.media import scenes
from leadline.media.client import Rendition, Sandbox
from leadline.media.png import write_png
from leadline.media.reduction import Reduction, Shape
from leadline.media.wire import Op, Request

pillow_heif.register_heif_opener()

U8 = NDArray[np.uint8]
CORNERS_AND_MIDST = [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.3, 0.8), (1.0, 0.0)]
ORIENTATION = 0x0112


def make(sandbox: Sandbox, data: bytes, reduction: Reduction) -> Rendition:
    sandbox.input_buffer(len(data))[:] = data
    return sandbox.make_rendition(len(data), reduction)


def shown(rendition: Rendition) -> U8:
    """What a browser would show of it; the file's form is checked on the way."""
    assert chunks(rendition.png) == ["IHDR", "IDAT", "IEND"]
    image = Image.open(io.BytesIO(rendition.png))
    assert image.size == (rendition.width, rendition.height)
    assert image.mode in ("L", "RGB")
    return np.asarray(image)


def chunks(png: bytes) -> list[str]:
    """Their names, each with a right checksum, and nothing before, between or behind (PNG, section 5)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    names, at = [], 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(name + body)
        names.append(name.decode())
        at += 12 + size
    assert at == len(png)
    return names


def refused(sandbox: Sandbox, data: bytes, reduction: Reduction) -> str:
    with pytest.raises(UntrustedMediaError) as caught:
        make(sandbox, data, reduction)
    return caught.value.code


def upright(data: bytes, mode: str) -> Image.Image:
    """By Pillow alone: the other implementation."""
    with Image.open(io.BytesIO(data)) as image:
        turned = ImageOps.exif_transpose(image)
        return turned.convert("RGB").convert(mode) if turned.mode in ("LAB", "HSV") else turned.convert(mode)


def gaussian(pixels: U8, sigma_px: float) -> NDArray[np.float64]:
    """The reference: the defining sum, one shifted copy after the other, mirrored at the edge."""
    blurred = pixels.astype(np.float64)
    for axis in (0, 1):
        reach, size = math.ceil(6 * sigma_px), blurred.shape[axis]
        mirrored = np.r_[0:size, size - 1 : -1 : -1]
        total, weight = np.zeros_like(blurred), 0.0
        for offset in range(-reach, reach + 1):
            bell = math.exp(-(offset**2) / (2 * sigma_px**2))
            total += bell * np.take(blurred, mirrored[(np.arange(size) + offset) % (2 * size)], axis=axis)
            weight += bell
        blurred = total / weight
    return blurred


def expected_tile(data: bytes, *, edge_px: int = 160, share: float = 0.05) -> NDArray[np.float64]:
    """Independently decoded, turned, averaged and blurred."""
    picture = upright(data, "L")
    scale = min(1.0, edge_px / max(picture.size))
    width, height = (max(1, math.floor(side * scale + 0.5)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BOX)
    return gaussian(np.asarray(small), share * max(width, height))


def drawn(width: int = 640, height: int = 480, seed: int = 0) -> Image.Image:
    return Image.fromarray(scenes.draw_scene(seed, width, height))


# --- tiles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_a_tile_of_each_format_is_small_grey_and_blurred(sandbox: Sandbox, kind: str) -> None:
    data = encode(drawn(), kind)
    rendition = make(sandbox, data, Reduction.tile())
    tile = shown(rendition)
    assert tile.shape == (120, 160)
    assert rendition.facts.mime == FORMATS[kind]
    np.testing.assert_allclose(tile, expected_tile(data), atol=3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(1280, 960), (1279, 961), (700, 500), (333, 217), (97, 150)])
def test_a_tile_equals_an_independently_blurred_tile(sandbox: Sandbox, seed: int, size: tuple[int, int]) -> None:
    data = encode(drawn(*size, seed), "JPEG", quality=90)
    tile = shown(make(sandbox, data, Reduction.tile()))
    wanted = expected_tile(data)
    np.testing.assert_allclose(tile, wanted, atol=5)  # libjpeg halves 217 rows to 109: half a row is moved
    assert np.abs(tile - wanted).mean() < 1
    sharp = np.asarray(upright(data, "L").resize(tile.shape[::-1], Image.Resampling.BOX))
    by_pillow = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(0.05 * max(tile.shape))))
    assert np.abs(tile.astype(int) - by_pillow).mean() < 3  # Pillow's is three box blurs, each rounded
    assert np.abs(tile.astype(int) - sharp).mean() > 3  # and the test can tell a blurred tile from a sharp one


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        *[((50, 40), (50, 40)), ((160, 160), (160, 160)), ((161, 160), (160, 159)), ((1, 1), (1, 1))],
        *[((4000, 3), (160, 1)), ((1, 900), (1, 160)), ((641, 480), (160, 120)), ((2000, 1), (160, 1))],
    ],
)
def test_a_tile_is_never_larger_than_its_bound_or_its_picture(
    sandbox: Sandbox, size: tuple[int, int], tile: tuple[int, int]
) -> None:
    for kind in ("PNG", "JPEG"):
        rendition = make(sandbox, encode(drawn().resize(size), kind), Reduction.tile())
        assert shown(rendition).shape[::-1] == tile
        assert (rendition.facts.width, rendition.facts.height) == size


def test_a_stricter_floor_blurs_more(sandbox: Sandbox) -> None:
    data = encode(drawn(), "PNG")
    tile = shown(make(sandbox, data, Reduction.tile(blur_share=0.05, floor_share=0.12)))
    np.testing.assert_allclose(tile, expected_tile(data, share=0.12), atol=3)
    small = shown(make(sandbox, data, Reduction.tile(edge_px=64)))
    np.testing.assert_allclose(small, expected_tile(data, edge_px=64), atol=3)


def test_no_caller_goes_below_the_floor() -> None:
    assert Reduction.tile(blur_share=0.001).blur_share == 0.05
    assert Reduction.tile(blur_share=math.nan).blur_share == 0.05
    assert Reduction.tile(blur_share=0.06, floor_share=0.08).blur_share == 0.08
    assert Reduction.tile(blur_share=0.2, floor_share=0.08).blur_share == 0.2


@pytest.mark.parametrize(
    "weaker",
    [
        lambda: Reduction.tile(floor_share=0.049),
        lambda: Reduction.tile(floor_share=math.nan),
        lambda: Reduction(Shape.TILE, 160, blur_share=0.01),
        lambda: Reduction(Shape.TILE, 160, blur_share=math.nan),
        lambda: Reduction(Shape.TILE, 160, colour=True),
        lambda: Reduction.tile(edge_px=161),
        lambda: Reduction.tile(edge_px=0),
        lambda: Reduction.lens((0.5, 0.5), edge_px=1601),
        lambda: Reduction.whole(edge_px=1601),
        lambda: Reduction.lens((0.5, 1.01)),
        lambda: Reduction.lens((-0.01, 0.5)),
        lambda: Reduction.lens((math.nan, 0.5)),
        lambda: Reduction.whole(view="frame 0"),
        lambda: Reduction.whole(view="frame 1 "),
        lambda: Reduction.whole(view="on-white 1"),
        lambda: Reduction.whole(view="original"),
    ],
)
def test_a_reduction_that_shows_more_than_it_may_cannot_be_made(weaker: Any) -> None:
    with pytest.raises(ValueError):
        weaker()


@pytest.mark.parametrize(
    "reduction",
    [
        Reduction.tile(edge_px=99, view="on-black"),
        Reduction.lens((0.1, 1.0), colour=True, edge_px=1599, view="frame-on-white 123456789"),
        Reduction.whole(view="frame 7"),
    ],
)
def test_a_request_for_a_rendition_crosses_the_wall_whole(reduction: Reduction) -> None:
    request = Request(Op.RENDER, size_bytes=77, reduction=reduction)
    assert Request.unpack(request.pack()) == request


# --- lenses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centre", CORNERS_AND_MIDST)
@pytest.mark.parametrize("size", [(640, 480), (641, 479), (64, 900)])
def test_a_lens_holds_exactly_the_pixels_of_its_rectangle(
    sandbox: Sandbox, centre: tuple[float, float], size: tuple[int, int]
) -> None:
    data = encode(drawn(*size), "PNG")
    for colour, mode in ((False, "L"), (True, "RGB")):
        rendition = make(sandbox, data, Reduction.lens(centre, colour=colour))
        box = rendition.rectangle
        left, top = round(box.left * size[0]), round(box.top * size[1])
        assert (round(box.width * size[0]), round(box.height * size[1])) == (size[0] // 2, size[1] // 2)
        for start, length, whole, asked in zip((left, top), (size[0] // 2, size[1] // 2), size, centre, strict=True):
            nearest = min(max(asked * whole, length / 2), whole - length / 2)
            assert abs(start + length / 2 - nearest) <= 0.5
        wanted = upright(data, mode).crop((left, top, left + size[0] // 2, top + size[1] // 2))
        np.testing.assert_array_equal(shown(rendition), np.asarray(wanted))


def test_a_scaled_lens_shows_its_rectangle_at_the_pictures_scale(sandbox: Sandbox) -> None:
    picture = drawn(1600, 1200).filter(ImageFilter.GaussianBlur(3))
    for kind in ("PNG", "JPEG"):
        rendition = make(sandbox, data := encode(picture, kind), Reduction.lens((0.25, 0.75), colour=True, edge_px=640))
        lens = shown(rendition)
        assert lens.shape == (240, 320, 3)
        wanted = upright(data, "RGB").crop((0, 600, 800, 1200)).resize((320, 240), Image.Resampling.LANCZOS)
        np.testing.assert_allclose(lens, np.asarray(wanted), atol=12)
        assert np.abs(lens.astype(int) - np.asarray(wanted)).mean() < 1


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(4, 90), st.integers(4, 90)),
    centre=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    edge_px=st.integers(5, 90),
    orientation=st.integers(1, 8),
    colour=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_what_lies_outside_a_lens_never_changes_it(
    sandbox: Sandbox,
    size: tuple[int, int],
    centre: tuple[float, float],
    edge_px: int,
    orientation: int,
    colour: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    reduction = Reduction.lens(centre, colour=colour, edge_px=edge_px)
    first = make(sandbox, as_png(pixels, orientation), reduction)
    box, (width, height) = first.rectangle, (first.facts.width, first.facts.height)
    left, top, wide, high = (
        round(part) for part in (box.left * width, box.top * height, box.width * width, box.height * height)
    )
    assert wide * high * 4 <= width * height
    upright_pixels = np.array(upright(as_png(pixels, orientation), "RGB"))
    inside = upright_pixels[top : top + high, left : left + wide].copy()
    upright_pixels[...] = random.integers(0, 256, upright_pixels.shape, dtype=np.uint8)
    upright_pixels[top : top + high, left : left + wide] = inside
    assert make(sandbox, as_png(upright_pixels, 1), reduction).png == first.png


def as_png(pixels: U8, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(Image.fromarray(pixels), "PNG", exif=exif)


def test_what_lies_in_other_blocks_of_a_jpeg_never_changes_a_lens(sandbox: Sandbox) -> None:
    """Grey, and the picture larger than the rendition: where a decoder that scales would let the edge blocks in."""
    pixels = np.asarray(drawn(1600, 1200).convert("L")).copy()
    reduction = Reduction.lens((0.0, 0.0), edge_px=400)  # its 800 x 600 end with a block
    first = make(sandbox, encode(Image.fromarray(pixels), "JPEG", quality=90), reduction)
    pixels[600:], pixels[:, 800:] = 255 - pixels[600:], 0
    changed = encode(Image.fromarray(pixels), "JPEG", quality=90)
    assert make(sandbox, changed, reduction).png == first.png
    assert make(sandbox, changed, Reduction.lens((0.01, 0.01), edge_px=400)).png == first.png  # moved inside
    assert make(sandbox, changed, Reduction.lens((0.3, 0.0), edge_px=400)).png != first.png


@given(
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)) | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    centre=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    edge_px=st.integers(1, 1600),
)
def test_a_lens_lies_inside_the_picture_and_shows_a_quarter_at_most(
    size: tuple[int, int], centre: tuple[float, float], edge_px: int
) -> None:
    lens = Reduction.lens(centre, edge_px=edge_px)
    left, top, wide, high = lens.part_px(*size)
    assert 0 <= left <= left + wide <= size[0]
    assert 0 <= top <= top + high <= size[1]
    assert wide * high * 4 <= size[0] * size[1] or (wide, high) == (1, 1)
    width, height = lens.size_px(*size)
    assert 1 <= width <= wide
    assert 1 <= height <= high
    assert max(Reduction.whole(edge_px=edge_px).size_px(*size)) <= edge_px


# --- every picture ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_orientation_is_applied(sandbox: Sandbox, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(drawn(320, 200), kind, exif=exif)
    whole = make(sandbox, data, Reduction.whole(colour=True))
    wanted = np.asarray(upright(data, "RGB"))
    np.testing.assert_array_equal(shown(whole), wanted)
    assert (whole.facts.orientation, whole.facts.width) == (orientation, wanted.shape[1])
    lens = make(sandbox, data, Reduction.lens((1.0, 0.0), colour=True))
    width, height = wanted.shape[1] // 2, wanted.shape[0] // 2
    np.testing.assert_array_equal(shown(lens), wanted[:height, -width:])
    np.testing.assert_allclose(shown(make(sandbox, data, Reduction.tile())), expected_tile(data), atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"])
def test_every_colour_mode_is_shown_as_it_is_hashed(sandbox: Sandbox, scene: Image.Image, mode: str) -> None:
    data = encode(in_mode(scene, mode), "TIFF")
    np.testing.assert_array_equal(
        shown(make(sandbox, data, Reduction.whole(colour=True))), np.asarray(upright(data, "RGB"))
    )
    np.testing.assert_array_equal(shown(make(sandbox, data, Reduction.whole())), np.asarray(upright(data, "L")))
    tile = shown(make(sandbox, data, Reduction.tile()))
    assert tile.ndim == 2
    np.testing.assert_allclose(tile, expected_tile(data), atol=3)


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr"])
def test_every_kind_of_jpeg_is_scaled_down(sandbox: Sandbox, mode: str) -> None:
    data = encode(drawn(1600, 1200).filter(ImageFilter.GaussianBlur(3)).convert(mode), "JPEG", quality=95)
    for edge_px, wanted_size in ((800, (800, 600)), (790, (790, 593)), (400, (400, 300)), (1600, (1600, 1200))):
        whole = shown(make(sandbox, data, Reduction.whole(colour=True, edge_px=edge_px)))
        wanted = upright(data, "RGB").resize(wanted_size, Image.Resampling.LANCZOS)
        assert whole.shape[1::-1] == wanted_size
        assert np.abs(whole.astype(int) - np.asarray(wanted)).mean() < 1.5


def test_sixteen_bits_are_shown_by_their_high_byte(sandbox: Sandbox) -> None:
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    whole = make(sandbox, encode(Image.fromarray(ramp), "PNG"), Reduction.whole())
    np.testing.assert_array_equal(shown(whole), ramp >> 8)


def test_transparency_is_dropped_or_laid_on_white_or_black(sandbox: Sandbox, scene: Image.Image) -> None:
    alpha = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (192, 1)))
    data = encode(Image.merge("RGBA", (*scene.split(), alpha)), "PNG")
    np.testing.assert_array_equal(shown(make(sandbox, data, Reduction.whole(colour=True))), np.asarray(scene))
    for view, level in (("on-white", 255), ("on-black", 0)):
        whole = make(sandbox, data, Reduction.whole(colour=True, view=view))
        share = np.asarray(alpha)[..., None] / 255
        np.testing.assert_allclose(shown(whole), np.asarray(scene) * share + level * (1 - share), atol=1)
        assert whole.facts.alpha == "varied"
    opaque = make(sandbox, encode(scene, "PNG"), Reduction.whole(colour=True, view="on-white"))
    np.testing.assert_array_equal(shown(opaque), np.asarray(scene))
    opaque = make(sandbox, encode(scene, "JPEG"), Reduction.tile(view="on-black"))
    assert shown(opaque).shape == (120, 160)


def test_of_an_animation_the_first_frame_is_shown_or_the_one_asked_for(sandbox: Sandbox) -> None:
    frames = [np.full((20, 30, 3), level, np.uint8) for level in (10, 90, 200)]
    data = scenes.animate(frames)
    assert np.unique(shown(make(sandbox, data, Reduction.whole()))).tolist() == [10]
    assert np.unique(shown(make(sandbox, data, Reduction.whole(view="frame 2")))).tolist() == [200]
    assert make(sandbox, data, Reduction.tile(view="frame 1")).facts.frames == 3
    assert refused(sandbox, data, Reduction.whole(view="frame 3")) == "absent"
    assert refused(sandbox, encode(drawn(), "JPEG"), Reduction.tile(view="frame 1")) == "absent"


def test_a_page_is_shown_in_its_own_size(sandbox: Sandbox) -> None:
    stream = io.BytesIO()
    drawn(300, 200).save(stream, "TIFF", save_all=True, append_images=[drawn(80, 500, seed=1)])
    page = make(sandbox, stream.getvalue(), Reduction.lens((0.0, 0.0), colour=True, view="frame 1"))
    np.testing.assert_array_equal(shown(page), np.asarray(drawn(80, 500, seed=1))[:250, :40])
    assert (page.facts.width, page.facts.height, page.rectangle.height) == (80, 500, 0.5)


def test_nothing_but_pixels_goes_along(sandbox: Sandbox) -> None:
    mark = b"a name and a place"
    exif = Image.Exif()
    exif[0x010E] = mark.decode()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", mark.decode())
    png = encode(drawn(), "PNG", exif=exif, pnginfo=text, dpi=(72, 72), icc_profile=mark)
    jpeg = encode(drawn(), "JPEG", exif=exif, comment=mark, icc_profile=mark)
    assert min(png.count(mark), jpeg.count(mark)) >= 2
    for data in (png, jpeg):
        for reduction in (Reduction.tile(), Reduction.lens((0, 0), colour=True), Reduction.whole()):
            rendition = make(sandbox, data, reduction)
            assert chunks(rendition.png) == ["IHDR", "IDAT", "IEND"]
            assert mark not in rendition.png


def test_it_is_the_same_file_every_time_also_in_a_batch(sandbox: Sandbox) -> None:
    data = encode(drawn(), "JPEG")
    for reduction in (Reduction.tile(), Reduction.lens((0.2, 0.9)), Reduction.whole(colour=True)):
        alone = [make(sandbox, data, reduction).png for _ in range(2)]
        sandbox.begin_batch()
        try:
            shared = [make(sandbox, data, reduction).png for _ in range(3)]
        finally:
            sandbox.end_batch()
        assert len({*alone, *shared}) == 1


def test_the_same_input_may_be_asked_for_several_renditions(sandbox: Sandbox) -> None:
    data = encode(drawn(), "PNG")
    make(sandbox, data, Reduction.tile())
    lens = sandbox.make_rendition(len(data), Reduction.lens((0.1, 0.1)))
    assert shown(lens).shape == (240, 320)
    assert sandbox.open_picture(len(data)).width == 640
    views = sandbox.views()
    next(views)
    sandbox.make_rendition(len(data), Reduction.tile())
    assert list(views) == []  # the picture they were of is gone


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_a_truncated_picture_is_shown_as_far_as_it_goes(sandbox: Sandbox, kind: str) -> None:
    data = encode(drawn(), kind)
    kept_at = 0.5, 1.0 if kind == "BMP" else 0.0  # BMP begins with the lowest row
    for reduction in (Reduction.tile(), Reduction.lens(kept_at, colour=True), Reduction.whole(edge_px=320)):
        rendition = make(sandbox, data[: len(data) // 2], reduction)
        assert rendition.facts.partial
        assert shown(rendition).max() > 100
    assert not make(sandbox, data, Reduction.tile()).facts.partial


def test_what_cannot_be_decoded_is_refused_with_its_reason(sandbox: Sandbox) -> None:
    for reduction in (Reduction.tile(), Reduction.lens((0, 0)), Reduction.whole()):
        assert refused(sandbox, b"no picture at all", reduction) == "unsupported"
        assert refused(sandbox, b"\xff\xd8\xff\xe0 nothing behind its mark", reduction) == "undecodable"
        webp = encode(drawn(), "WEBP")
        assert refused(sandbox, webp[: len(webp) // 2], reduction) == "truncated"
        with pytest.raises(UntrustedMediaError) as caught:
            sandbox.make_rendition(0, reduction)
        assert caught.value.code == "empty"


def test_a_bomb_is_refused_by_its_header(sandbox: Sandbox) -> None:
    jpeg = bytearray(encode(Image.new("L", (16, 16)), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60000, 60000)
    for reduction in (Reduction.tile(), Reduction.lens((0, 0)), Reduction.whole()):
        assert refused(sandbox, bytes(jpeg), reduction) == "too-many-pixels"
        assert refused(sandbox, encode(Image.new("1", (3000, 3000)), "PNG"), reduction) == "too-many-pixels"


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF"]),
    at=st.floats(0, 0.999),
    flips=st.binary(min_size=1, max_size=8),
)
def test_any_damage_ends_in_a_bounded_rendition_or_a_refusal(
    sandbox: Sandbox, kind: str, at: float, flips: bytes
) -> None:
    data = bytearray(encode(drawn(200, 150), kind))
    start = int(at * len(data))
    for offset, flip in enumerate(flips):
        data[min(start + offset, len(data) - 1)] ^= flip
    for reduction in (Reduction.tile(), Reduction.lens((0.5, 0.5))):
        try:
            pixels = shown(make(sandbox, bytes(data), reduction))
        except UntrustedMediaError:
            continue
        assert pixels.ndim == 2
        assert max(pixels.shape) <= (160 if reduction.shape is Shape.TILE else 640)


# --- the file --------------------------------------------------------------------------------------------------------


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
    seed=st.integers(0, 999),
    flat=st.booleans(),
)
def test_pillow_reads_from_the_file_what_was_written(shape: tuple[int, int, int], seed: int, flat: bool) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    pixels = pixels // 200 * 255 if flat else pixels
    pixels = pixels[..., 0] if shape[2] == 1 else pixels
    png = write_png(pixels)
    assert chunks(png) == ["IHDR", "IDAT", "IEND"]
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.info == {}
    np.testing.assert_array_equal(np.asarray(image), pixels)
