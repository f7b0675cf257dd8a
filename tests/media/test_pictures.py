"""Pixels through the sandbox are Pillow's, in every format and colour mode; what is more is told in facts and views."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, features
from tests.media.conftest import by_pillow, decode, encode

from leadline.errors import UntrustedMediaError
from leadline.media.client import Sandbox
from leadline.media.limits import MIB, Limits

pillow_heif.register_heif_opener()

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "ICO": "image/x-icon",
}


def test_the_oracle_has_every_decoder() -> None:
    assert all(features.check(name) for name in ("webp", "avif", "libtiff", "jpg", "zlib"))


@pytest.mark.parametrize("kind", FORMATS)
def test_it_decodes_each_format_as_pillow_does(sandbox: Sandbox, scene: Image.Image, kind: str) -> None:
    data = encode(scene, kind)
    facts, views = decode(sandbox, data)
    wanted = by_pillow(data)
    assert facts.mime == FORMATS[kind]
    assert (facts.height, facts.width) == wanted.shape[:2]
    assert (facts.frames, facts.orientation, facts.partial) == (1, 1, False)
    assert list(views) == ["picture"]
    np.testing.assert_array_equal(views["picture"], wanted)


@pytest.mark.parametrize("kind", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_it_decodes_compressed_tiffs(sandbox: Sandbox, scene: Image.Image, kind: str) -> None:
    data = encode(scene, "TIFF", compression=kind)
    np.testing.assert_array_equal(decode(sandbox, data)[1]["picture"], by_pillow(data))


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 95, "subsampling": 0}, {"optimize": True}])
def test_it_decodes_jpegs_as_pillow_does_to_the_bit(
    sandbox: Sandbox, scene: Image.Image, options: dict[str, int]
) -> None:
    data = encode(scene.resize((251, 187)), "JPEG", **options)
    facts, views = decode(sandbox, data)
    assert facts.decoder.startswith("simplejpeg ")
    np.testing.assert_array_equal(views["picture"], by_pillow(data))


def in_mode(scene: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return ImageCms.profileToProfile(
            scene, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    return scene.convert("L").convert(mode) if mode in ("1", "I", "F") else scene.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"])
def test_it_converts_each_colour_mode_as_pillow_does(sandbox: Sandbox, scene: Image.Image, mode: str) -> None:
    data = encode(in_mode(scene, mode), "TIFF")
    facts, views = decode(sandbox, data)
    assert facts.mode == mode
    np.testing.assert_array_equal(views["picture"], by_pillow(data))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "L"])
def test_it_converts_jpegs_of_each_colour_mode_as_pillow_does(
    sandbox: Sandbox, scene: Image.Image, mode: str
) -> None:
    data = encode(scene.convert(mode), "JPEG")
    np.testing.assert_array_equal(decode(sandbox, data)[1]["picture"], by_pillow(data))


def test_it_reads_adobe_cmyk_as_inverted(sandbox: Sandbox) -> None:
    """Adobe stores inverted ink; Pillow knows by the APP14 mark. Without the mark the same bytes are plain ink."""
    data = encode(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    red = decode(sandbox, data)[1]["picture"][16, 16]
    assert red[0] > 240 > 15 > max(red[1:])
    np.testing.assert_array_equal(decode(sandbox, data)[1]["picture"], by_pillow(data))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["1.png", "CMYK.jpg", "L.png", "LA.png", "P.png", "RGB.jpg", "YCbCr.jpg"])
def test_published_colour_modes_come_out_as_pillows_rgb(sandbox: Sandbox, data_dir: Path, name: str) -> None:
    data = (data_dir / "pdq" / f"mode-{name}").read_bytes()
    np.testing.assert_array_equal(decode(sandbox, data)[1]["picture"], by_pillow(data))


def test_it_takes_the_high_byte_of_deep_greys_where_pillow_clips(sandbox: Sandbox) -> None:
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    for kind in ("PNG", "TIFF"):
        facts, views = decode(sandbox, encode(Image.fromarray(ramp), kind))
        assert facts.mode == "I;16"
        np.testing.assert_array_equal(views["picture"], np.repeat((ramp >> 8)[..., None], 3, axis=2))


def test_it_keeps_deep_greys_that_only_hold_bytes(sandbox: Sandbox) -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for pixels in (ramp, ramp.astype(np.int32), ramp.astype(np.float32)):
        _, views = decode(sandbox, encode(Image.fromarray(pixels), "TIFF"))
        np.testing.assert_array_equal(views["picture"][..., 0], ramp)


def test_it_scales_floats_between_nought_and_one(sandbox: Sandbox) -> None:
    _, views = decode(sandbox, encode(Image.fromarray(np.float32([[0.0, 0.5], [0.25, 1.0]])), "TIFF"))
    assert views["picture"][..., 1].tolist() == [[0, 127], [63, 255]]


def test_it_survives_floats_that_are_not_numbers(sandbox: Sandbox) -> None:
    values = np.float32([[np.nan, np.inf], [-np.inf, 1e30]])
    _, views = decode(sandbox, encode(Image.fromarray(values), "TIFF"))
    assert views["picture"].shape == (2, 2, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_it_decodes_to_grey_on_request(sandbox: Sandbox, scene: Image.Image, kind: str) -> None:
    data = encode(scene, kind)
    _, views = decode(sandbox, data, grey=True)
    with Image.open(io.BytesIO(data)) as image:
        if kind == "JPEG":
            image.draft("L", image.size)  # the luma plane as stored, which is what the grey mode is for
        np.testing.assert_array_equal(views["picture"], np.asarray(image.convert("L")))


# --- alpha -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def faded(scene: Image.Image) -> Image.Image:
    """The scene, fading out to the left."""
    picture = scene.convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (192, 1))))
    return picture


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_where_alpha_varies_it_shows_the_picture_on_white_and_on_black_too(
    sandbox: Sandbox, faded: Image.Image, kind: str
) -> None:
    data = encode(faded, kind)
    facts, views = decode(sandbox, data)
    assert facts.alpha == "varied"
    assert list(views) == ["picture", "on-white", "on-black"]
    np.testing.assert_array_equal(views["picture"], by_pillow(data))
    with Image.open(io.BytesIO(data)) as image:
        for name, colour in (("on-white", "white"), ("on-black", "black")):
            wanted = Image.alpha_composite(Image.new("RGBA", image.size, colour), image.convert("RGBA"))
            np.testing.assert_array_equal(views[name], np.asarray(wanted.convert("RGB")))


@pytest.mark.parametrize("alpha", [255, 128])
def test_constant_alpha_is_dropped_as_lists_were_made(sandbox: Sandbox, scene: Image.Image, alpha: int) -> None:
    scene = scene.copy()
    scene.putalpha(alpha)
    facts, views = decode(sandbox, encode(scene, "PNG"))
    assert facts.alpha == "constant"
    assert list(views) == ["picture"]
    np.testing.assert_array_equal(views["picture"], np.asarray(scene)[..., :3])


def test_palette_transparency_is_alpha(sandbox: Sandbox, scene: Image.Image) -> None:
    picture = scene.convert("P")
    data = encode(picture, "PNG", transparency=picture.getpixel((0, 0)))
    facts, views = decode(sandbox, data)
    assert facts.mode == "P"
    assert facts.alpha == "varied"
    np.testing.assert_array_equal(views["picture"], by_pillow(data))
    assert not np.array_equal(views["on-white"], views["on-black"])


# --- orientation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_it_reports_orientation_and_leaves_the_pixels(
    sandbox: Sandbox, scene: Image.Image, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(scene, kind, exif=exif)
    facts, views = decode(sandbox, data)
    assert facts.orientation == orientation
    assert (facts.width, facts.height) == ((256, 192) if orientation < 5 else (192, 256))
    assert views["picture"].shape == (192, 256, 3)


@pytest.mark.parametrize("kind", ["TIFF", "HEIF"])
def test_decoders_that_turn_the_picture_themselves_leave_nothing_to_turn(
    sandbox: Sandbox, scene: Image.Image, kind: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    facts, views = decode(sandbox, encode(scene, kind, exif=exif.tobytes()))
    assert facts.orientation == 1
    turned = np.rot90(np.asarray(scene), -1)
    assert views["picture"].shape == turned.shape
    assert np.abs(views["picture"].astype(int) - turned).mean() < 12  # HEIC is lossy


@pytest.mark.parametrize("order", ["little", "big"])
def test_it_reads_orientation_in_either_byte_order(sandbox: Sandbox, scene: Image.Image, order: str) -> None:
    number = {2: lambda n: n.to_bytes(2, order), 4: lambda n: n.to_bytes(4, order)}  # type: ignore[arg-type]
    entry = number[2](0x0112) + number[2](3) + number[4](1) + number[2](8) + bytes(2)
    tiff = (b"II" if order == "little" else b"MM") + number[2](42) + number[4](8) + number[2](1) + entry + bytes(4)
    data = encode(scene, "JPEG", exif=b"Exif\0\0" + tiff)
    assert decode(sandbox, data)[0].orientation == 8


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_counts_as_upright(sandbox: Sandbox, scene: Image.Image, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    for kind in ("JPEG", "PNG"):
        assert decode(sandbox, encode(scene, kind, exif=exif))[0].orientation == 1


# --- frames ----------------------------------------------------------------------------------------------------------


def moving(scene: Image.Image, count: int) -> list[Image.Image]:
    return [Image.fromarray(np.roll(np.asarray(scene), 5 * step, axis=1)) for step in range(count)]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_it_shows_the_frames_of_animations_and_the_pages_of_documents(
    sandbox: Sandbox, scene: Image.Image, kind: str
) -> None:
    frames = moving(scene, 4)
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    facts, views = decode(sandbox, data)
    assert facts.frames == 4
    assert list(views) == ["picture", "frame 1", "frame 2", "frame 3"]
    for number, pixels in enumerate(views.values()):
        assert np.abs(pixels.astype(int) - np.asarray(frames[number])).mean() < 12  # some are lossy


def test_it_spreads_frames_evenly_and_counts_all(scene: Image.Image) -> None:
    frames = moving(scene.resize((64, 48)), 9)
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    limits = Limits(max_file_bytes=MIB, max_pixels=100_000, max_frames=3)
    with Sandbox(limits) as sandbox:
        facts, views = decode(sandbox, data)
    assert facts.frames == 9
    assert list(views) == ["picture", "frame 4", "frame 8"]
    np.testing.assert_array_equal(views["frame 4"], np.asarray(frames[4]))


def test_it_shows_a_frame_that_repeats_only_once(sandbox: Sandbox, scene: Image.Image) -> None:
    first, second = moving(scene, 2)
    pages = [first, second, first, second, first]
    facts, views = decode(sandbox, encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert facts.frames == 5
    assert list(views) == ["picture", "frame 1"]


def transparent(scene: Image.Image, number: int) -> Image.Image:
    """Another picture with another transparency, both from the seed."""
    blocks = np.random.default_rng(number).integers(0, 256, (12, 16), dtype=np.uint8)
    image = Image.fromarray(np.roll(np.asarray(scene), 40 * number, axis=1))
    image.putalpha(Image.fromarray(np.kron(blocks, np.ones((16, 16), np.uint8))))
    return image


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_later_frames_are_shown_on_white_and_on_black_too_where_their_alpha_varies(
    sandbox: Sandbox, scene: Image.Image, kind: str
) -> None:
    frames = [transparent(scene, 1), transparent(scene, 2), scene.convert("RGBA")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True, disposal=1)
    facts, views = decode(sandbox, data)
    assert (facts.frames, facts.alpha) == (3, "varied")
    assert list(views) == [
        "picture", "on-white", "on-black", "frame 1", "frame-on-white 1", "frame-on-black 1", "frame 2",
    ]  # fmt: skip
    for name, backdrop in (("frame-on-white 1", 255), ("frame-on-black 1", 0)):
        below = Image.new("RGBA", scene.size, (backdrop,) * 3 + (255,))
        wanted = np.asarray(Image.alpha_composite(below, frames[1]).convert("RGB")).astype(int)
        assert np.abs(views[name].astype(int) - wanted).max() <= 1


def test_a_frame_that_only_fades_is_shown_by_what_is_new_of_it(sandbox: Sandbox, scene: Image.Image) -> None:
    solid, half = scene.convert("RGBA"), scene.convert("RGBA")
    half.putalpha(Image.linear_gradient("L").resize(scene.size))
    data = encode(solid, "PNG", save_all=True, append_images=[half], disposal=1)
    assert list(decode(sandbox, data)[1]) == ["picture", "frame-on-white 1", "frame-on-black 1"]


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_it_decodes_a_truncated_file_as_far_as_it_goes(sandbox: Sandbox, scene: Image.Image, kind: str) -> None:
    data = encode(scene, kind)
    whole = by_pillow(data)
    facts, views = decode(sandbox, data[: len(data) * 3 // 4])
    assert facts.partial
    assert views["picture"].shape == whole.shape
    there = slice(-80, None) if kind == "BMP" else slice(80)  # BMP begins with its last row
    np.testing.assert_array_equal(views["picture"][there], whole[there])
    assert not np.array_equal(views["picture"], whole)


def test_of_a_truncated_icon_the_largest_picture_is_decoded_as_far_as_it_goes(
    sandbox: Sandbox, scene: Image.Image
) -> None:
    data = encode(scene.resize((128, 128)), "ICO", sizes=[(64, 64), (128, 128)])
    facts, views = decode(sandbox, data[: len(data) * 3 // 4])
    assert (facts.partial, facts.width) == (True, 128)
    np.testing.assert_array_equal(views["picture"][:40], by_pillow(data)[:40])


def test_a_jpeg_without_its_end_mark_is_partial_with_every_pixel(sandbox: Sandbox, scene: Image.Image) -> None:
    data = encode(scene, "JPEG")
    facts, views = decode(sandbox, data[:-2])
    assert facts.partial
    np.testing.assert_array_equal(views["picture"], by_pillow(data))


def test_stray_bytes_in_a_jpeg_count_as_damage_and_behind_it_as_nothing(sandbox: Sandbox, scene: Image.Image) -> None:
    """libjpeg says of a hole in the picture what it says of harmless padding, so both are marked."""
    data = encode(scene, "JPEG")
    for changed, partial in ((data[:-2] + bytes(7) + data[-2:], True), (data + b"trailer", False)):
        facts, views = decode(sandbox, changed)
        assert facts.partial is partial
        np.testing.assert_array_equal(views["picture"], by_pillow(data))


@pytest.mark.parametrize(("kind", "code"), [("WEBP", "truncated"), ("AVIF", "undecodable"), ("HEIF", "undecodable")])
def test_it_invents_no_picture_where_a_codec_gives_all_or_nothing(
    sandbox: Sandbox, scene: Image.Image, kind: str, code: str
) -> None:
    data = encode(scene, kind)
    with pytest.raises(UntrustedMediaError) as caught:
        decode(sandbox, data[: len(data) // 2])
    assert caught.value.code == code


def test_a_damaged_page_ends_the_views_and_leaves_those_before(sandbox: Sandbox, scene: Image.Image) -> None:
    frames = moving(scene, 3)
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    sandbox.input_buffer(len(data))[:] = data
    size = len(data) * 3 // 5
    assert sandbox.open_picture(size).frames >= 1
    views = sandbox.views()
    assert next(views).name == "picture"
    with pytest.raises(UntrustedMediaError) as caught:
        list(views)
    assert caught.value.code == "truncated"
    sandbox.open_picture(len(data))
    assert [view.name for view in sandbox.views()] == ["picture", "frame 1", "frame 2"]


def test_views_of_an_open_picture_come_once(sandbox: Sandbox, scene: Image.Image) -> None:
    data = encode(scene, "PNG")
    sandbox.input_buffer(len(data))[:] = data
    sandbox.open_picture(len(data))
    assert len(list(sandbox.views())) == 1
    assert list(sandbox.views()) == []


def test_pixels_cannot_be_written_by_mistake(sandbox: Sandbox, scene: Image.Image) -> None:
    data = encode(scene, "PNG")
    sandbox.input_buffer(len(data))[:] = data
    sandbox.open_picture(len(data))
    with pytest.raises(ValueError, match="read-only"):
        next(sandbox.views()).pixels[0, 0, 0] = 1
