"""Bytes to pixels: every picture upright, sRGB, 8 bits, on white; everything else refused with its reason."""

import hashlib
import io
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from core.errors import HeadstartError
from core.language import catalog
from core.language.catalog import say
from core.plan import AUGMENTATIONS
from core.sandbox import decoding
from core.sandbox.process import Bounds, Child
from tests import cpu
from tests.bad_files import encoded, noise, photo, png, webp_of_size

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HEIC = "picture_damaged" if "HEIF" in decoding.FORMATS else "file_heic"
SEVEN = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def refused(data: bytes) -> HeadstartError:
    with pytest.raises(HeadstartError) as caught:
        decoding.decode(data)
    assert caught.value.message  # its sentences can be written
    return caught.value


def corner(data: bytes) -> tuple[int, ...]:
    return tuple(decoding.decode(data).pixels[0, 0].tolist())


def flat(color: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 12), color)


# -- what is read


@pytest.mark.parametrize("format", SEVEN)
def test_seven_formats_are_read_with_their_size(format: str) -> None:
    decoded = decoding.decode(encoded(photo(80, 64), format))
    assert decoded.pixels.shape == (64, 80, 3)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.notes == ()
    # GIF has 256 colors only; JPEG and AVIF lose grain
    limit = {"PNG": 0, "BMP": 0, "TIFF": 0, "GIF": 8}.get(format, 6)
    assert np.abs(decoded.pixels.astype(int) - np.asarray(photo(80, 64))).mean() <= limit


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "F", "I"])
def test_every_mode_gives_three_channels(mode: str) -> None:
    image = Image.new(mode, (16, 12)) if mode in ("I;16", "I", "F") else noise(16, 12).convert(mode)
    assert decoding.decode(encoded(image, "TIFF" if mode != "LA" else "PNG")).pixels.shape == (12, 16, 3)


def test_the_seven_formats_agree_with_the_list_that_pillow_may_open() -> None:
    assert set(decoding.FORMATS) - {"HEIF"} == set(SEVEN)


# -- what is not a picture


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"x", "file_not_picture"),
        (b"hello, world\n" * 100, "file_not_picture"),
        (b"%PDF-1.7\n" + bytes(500), "file_not_picture"),
        (b"MZ\x90\0" + bytes(500), "file_not_picture"),
        (b"<!DOCTYPE html><html><script>alert(1)</script>", "file_not_picture"),
        (bytes(1000), "file_not_picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "file_svg"),
        (b'<?xml version="1.0"?>\n<!-- drawn --><svg></svg>', "file_svg"),
        (b"\xef\xbb\xbf  <svg></svg>", "file_svg"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100), HEIC),
        (b"PK\3\4" + bytes(100), "file_archive"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n", "file_not_picture"),
        (b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x20\0\0\0\x20\0\x08\0\3" + bytes(500), "file_not_picture"),
        (b"SIMPLE  =                    T" + b" " * 2850, "file_not_picture"),
        (b"P6 16 16 255\n" + bytes(768), "file_not_picture"),
        (b"\0\0\1\0\1\0\x10\x10" + bytes(500), "file_not_picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(3), "picture_damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(3), "picture_damaged"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, code: str) -> None:
    assert refused(data).code == code


@pytest.mark.parametrize("format", ["PPM", "PCX", "TGA", "ICO", "SGI", "JPEG2000", "EPS", "PDF", "DDS"])
def test_formats_outside_the_list_are_not_opened(format: str) -> None:
    assert refused(encoded(noise(32, 32), format)).code in ("file_not_picture", "picture_damaged")


# -- bombs and odd sizes


def one_bit(format: str, side: int, **options: str) -> bytes:
    return encoded(Image.new("1", (side, side)), format, **options)


@pytest.mark.parametrize(
    ("data", "megapixels"),
    [
        (webp_of_size(9_000, 9_000), 81),
        (one_bit("PNG", 14_000), 196),
        (one_bit("TIFF", 12_000, compression="group4"), 144),
        (b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + encoded(noise(8, 8), "GIF")[10:], 4_295),
        (encoded(noise(16, 16), "BMP").replace(struct.pack("<LL", 16, 16), struct.pack("<LL", 40_000, 40_000)), 1_600),
        (encoded(noise(16, 16), "JPEG").replace(b"\0\x10\0\x10", b"\xff\xdc\xff\xdc"), 4_290),
    ],
    ids=["webp", "png", "tiff", "gif", "bmp", "jpeg"],
)
def test_bombs_are_refused_with_their_size_before_they_are_unpacked(data: bytes, megapixels: int) -> None:
    assert len(data) < 40_000
    with cpu.at_most(10):
        error = refused(data)
    assert error.message == f"The picture has {megapixels} megapixels; the limit is 50."


def test_a_text_bomb_in_a_png_is_refused() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * (30 << 20), zip=True)
    data = encoded(noise(16, 16), "PNG", pnginfo=text)
    assert len(data) < 60_000
    assert refused(data).code == "picture_damaged"


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (1, 1, say("error.picture_too_small", width=1, height=1, limit=8)),
        (7, 7, say("error.picture_too_small", width=7, height=7, limit=8)),
        (7, 500, say("error.picture_too_small", width=7, height=500, limit=8)),
        (1, 16_000, say("error.picture_too_small", width=1, height=16000, limit=8)),
        (20_001, 10, say("error.picture_too_long", side=20001, limit=20000)),
        (10, 1_001, say("error.picture_too_thin", width=10, height=1001, limit=100)),
        (1_001, 10, say("error.picture_too_thin", width=1001, height=10, limit=100)),
    ],
)
def test_odd_sizes_are_refused_with_the_size(width: int, height: int, message: str) -> None:
    assert refused(encoded(Image.new("L", (width, height)), "PNG")).message == message


@pytest.mark.parametrize(("width", "height"), [(8, 8), (800, 8), (8, 800), (20_000, 200), (200, 20_000)])
def test_sizes_at_the_limits_are_read(width: int, height: int) -> None:
    assert decoding.decode(encoded(Image.new("L", (width, height)), "PNG")).pixels.shape == (height, width, 3)


# -- damage


@pytest.mark.parametrize("format", SEVEN)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(format: str, share: float) -> None:
    data = encoded(photo(), format)
    code = refused(data[: int(len(data) * share)]).code
    early = 0.6 if format == "AVIF" else 0.02  # until then nothing in the file may tell how long it is
    assert code in (("picture_damaged", "picture_cut_off") if share <= early else ("picture_cut_off",))


@pytest.mark.parametrize("format", SEVEN)
def test_a_picture_without_its_last_byte_is_refused_or_complete(format: str) -> None:
    data = encoded(photo(), format)
    if format in ("PNG", "GIF"):  # what is missing comes after all pixels
        assert np.array_equal(decoding.decode(data[:-1]).pixels, decoding.decode(data).pixels)
    else:
        assert refused(data[:-1]).code == "picture_cut_off"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg", "packbits"])
def test_a_compressed_tiff_that_is_cut_is_called_a_damaged_picture(compression: str) -> None:
    data = encoded(photo(), "TIFF", compression=compression)
    assert decoding.decode(data).pixels.shape == (64, 80, 3)
    assert refused(data[: len(data) // 2]).code in ("picture_damaged", "picture_cut_off")


def test_damage_in_the_middle_of_a_png_is_seen() -> None:
    for seed in range(10):
        data = bytearray(encoded(noise(80, 60), "PNG"))
        at = len(data) // 3
        data[at : at + 400] = np.random.default_rng(seed).bytes(400)
        assert refused(bytes(data)).code in ("picture_damaged", "picture_cut_off")


def test_damage_in_the_middle_of_a_jpeg_never_does_worse_than_refuse() -> None:
    outcomes = set()
    for seed in range(40):
        data = bytearray(encoded(noise(160, 120), "JPEG", quality=90))
        at = len(data) // 2
        data[at : at + 400] = np.random.default_rng(seed).bytes(400)
        try:
            outcomes.add(decoding.decode(bytes(data)).pixels.shape)
        except HeadstartError as error:
            outcomes.add(error.code)
    assert outcomes <= {(120, 160, 3), "picture_damaged", "picture_cut_off"}
    assert (120, 160, 3) in outcomes  # the format has no checksum: such damage cannot be promised to be seen


@pytest.mark.parametrize("format", SEVEN)
def test_random_damage_raises_nothing_but_headstart_errors(format: str) -> None:
    whole, chance, codes = encoded(photo(), format), random.Random(1), set()
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 5, 50])):
            at = chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(min(200, len(data)))
            data[at] = chance.randrange(256)
        try:
            decoding.decode(bytes(data))
        except HeadstartError as error:
            codes.add(error.code)
    assert codes
    assert all(catalog.has(f"reason.{code}") for code in codes)


# -- what a file says about itself


@pytest.mark.parametrize(("format", "name"), [("PNG", "JPEG"), ("JPEG", "PNG"), ("BMP", "GIF"), ("TIFF", "PNG")])
def test_the_content_counts_and_not_the_name(format: str, name: str, tmp_path: object) -> None:
    path = f"{tmp_path}/x.{name.lower()}"
    with open(path, "wb") as file:
        file.write(encoded(flat(RED), format))
    facts, _ = decoding.answer({"path": path}, b"")
    assert (facts["width"], facts["height"]) == (16, 12)


def quarters() -> Image.Image:
    """Red, green / blue, white: no turn or mirror image of it looks the same. Blocks that JPEG keeps."""
    image = Image.new("RGB", (48, 32), WHITE)
    for color, box in ((RED, (0, 0, 16, 16)), (GREEN, (16, 0, 48, 16)), (BLUE, (0, 16, 16, 32))):
        image.paste(color, box)
    return image


# How a camera held in this way has stored an upright picture.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
    99: None,
    0: None,
}


@pytest.mark.parametrize("orientation", _STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_gives_the_same_upright_pixels(format: str, orientation: int) -> None:
    turn, exif = _STORED[orientation], Image.Exif()
    exif[0x0112] = orientation
    stored = quarters() if turn is None else quarters().transpose(turn)
    options = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    decoded = decoding.decode(encoded(stored, format, exif=exif, **options.get(format, {})))
    assert decoded.pixels.shape == (32, 48, 3)
    away = np.abs(decoded.pixels.astype(int) - np.asarray(quarters())).max()
    assert away <= {"JPEG": 3, "AVIF": 3}.get(format, 0)
    assert decoded.notes == ()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_damaged_camera_entries_do_not_cost_the_picture(format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    whole, chance, shapes, notes = exif.tobytes(), random.Random(0), set(), set()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            data[chance.randrange(6, len(data))] = chance.randrange(256)
        try:
            file = encoded(flat(RED), format, exif=bytes(data))
        except (SyntaxError, ValueError):  # Pillow writes no such file
            continue
        decoded = decoding.decode(file)
        shapes.add(decoded.pixels.shape)
        notes.update(decoded.notes)
    assert shapes == {(16, 12, 3), (12, 16, 3)}
    assert notes <= {"exif_ignored"}


def test_camera_entries_that_cannot_be_read_are_noted() -> None:
    decoded = decoding.decode(encoded(flat(RED), "PNG", exif=b"Exif\0\0junk that is no TIFF header"))
    assert decoded.notes == ("exif_ignored",)
    assert decoded.pixels[0, 0].tolist() == [255, 0, 0]


# -- colors


@pytest.mark.parametrize(
    ("ink", "color"),
    [((0, 255, 255, 0), RED), ((255, 0, 255, 0), GREEN), ((0, 0, 0, 0), WHITE), ((0, 0, 0, 255), (0, 0, 0))],
)
@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_gives_the_color_of_its_inks(format: str, ink: tuple[int, ...], color: tuple[int, ...]) -> None:
    assert np.abs(np.subtract(corner(encoded(flat(ink, "CMYK"), format)), color)).max() <= 3


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(np.arange(65_536, dtype=np.uint16).reshape(256, 256)), "PNG"),
        encoded(Image.fromarray(np.arange(65_536, dtype=np.uint16).reshape(256, 256)), "TIFF"),
        encoded(Image.fromarray(np.arange(65_536, dtype=np.dtype(">u2")).reshape(256, 256)), "TIFF"),
        encoded(Image.fromarray(np.arange(65_536, dtype=np.int32).reshape(256, 256)), "TIFF"),
    ],
    ids=["png I;16", "tiff I;16", "tiff I;16B", "tiff I"],
)
def test_a_16_bit_ramp_becomes_the_256_levels_of_its_upper_byte(data: bytes) -> None:
    decoded = decoding.decode(data)
    assert np.array_equal(decoded.pixels, np.repeat(np.arange(256, dtype=np.uint8), 768).reshape(256, 256, 3))
    assert decoded.notes == ("depth_reduced",)


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 1, 65_536, dtype=np.float32),
        np.linspace(-3e30, 7e30, 65_536, dtype=np.float32),
        np.arange(65_536, dtype=np.int32) * 1_000 - 7,
    ],
    ids=["0 to 1", "huge", "int32"],
)
def test_other_depths_are_spread_over_256_levels(values: np.ndarray) -> None:
    decoded = decoding.decode(encoded(Image.fromarray(values.reshape(256, 256)), "TIFF"))
    assert len(np.unique(decoded.pixels)) >= 255
    assert abs(decoded.pixels.mean() - 127.5) < 1
    assert decoded.notes == ("depth_reduced",)


def test_8_bit_values_in_32_bits_stay_as_they_are() -> None:
    assert corner(encoded(Image.fromarray(np.full((12, 16), 200, np.int32)), "TIFF")) == (200, 200, 200)


def test_numbers_that_are_none_do_not_hide_the_others() -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    values[0, :3] = (np.nan, np.inf, -np.inf)
    pixels = decoding.decode(encoded(Image.fromarray(values), "TIFF")).pixels
    assert pixels[0, :3].max() == 0
    assert pixels[15, 15].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "data",
    [
        encoded(flat((255, 0, 0, 0), "RGBA"), "PNG"),
        encoded(flat((255, 0, 0, 0), "RGBA"), "WEBP", lossless=True),
        encoded(flat((255, 0, 0, 0), "RGBA"), "TIFF"),
        encoded(flat((255, 0, 0, 0), "RGBA"), "PNG", icc_profile=SRGB),
        encoded(flat((0, 0), "LA"), "PNG"),
        encoded(flat(RED), "PNG", transparency=RED),
        encoded(flat(RED), "PNG", transparency=RED, icc_profile=SRGB),
        encoded(flat(RED).quantize(4), "PNG", transparency=0),
        encoded(flat(RED).quantize(4), "GIF", transparency=0),
        encoded(flat(0, "L"), "PNG", transparency=0),
    ],
    ids=["rgba", "webp", "tiff", "rgba icc", "la", "rgb", "rgb icc", "palette", "gif", "l"],
)
def test_what_is_transparent_is_white_whatever_color_hides_there(data: bytes) -> None:
    assert corner(data) == WHITE


def test_what_is_half_transparent_is_half_white() -> None:
    assert corner(encoded(flat((255, 0, 0, 128), "RGBA"), "PNG")) == (255, 127, 127)


def test_what_is_opaque_keeps_its_color() -> None:
    assert corner(encoded(flat((255, 0, 0, 255), "RGBA"), "PNG")) == RED
    assert corner(encoded(flat(RED).quantize(4), "PNG")) == RED
    assert corner(encoded(Image.new("1", (16, 12), 1), "PNG")) == WHITE


# sRGB in which red light is called blue and the other way round.
SWAPPED = SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_color_profile_is_applied(format: str) -> None:
    decoded = decoding.decode(encoded(flat(RED), format, icc_profile=SWAPPED))
    assert np.abs(decoded.pixels[0, 0].astype(int) - BLUE).max() <= 8
    assert decoded.notes == ()


def test_a_color_profile_is_applied_to_a_palette_and_beside_transparency() -> None:
    assert np.abs(np.subtract(corner(encoded(flat(RED).quantize(4), "PNG", icc_profile=SWAPPED)), BLUE)).max() <= 8
    half = corner(encoded(flat((255, 0, 0, 128), "RGBA"), "PNG", icc_profile=SWAPPED))
    assert np.abs(np.subtract(half, (127, 127, 255))).max() <= 8


def test_the_srgb_profile_changes_nothing() -> None:
    plain, profiled = encoded(noise(), "PNG"), encoded(noise(), "PNG", icc_profile=SRGB)
    away = np.abs(decoding.decode(plain).pixels.astype(int) - decoding.decode(profiled).pixels)
    assert away.max() <= 1


@pytest.mark.parametrize("profile", [b"junk" * 50, SRGB[:200], SRGB[:128] + bytes(len(SRGB) - 128)])
def test_a_broken_color_profile_is_ignored_and_noted(profile: bytes) -> None:
    decoded = decoding.decode(encoded(flat(RED), "PNG", icc_profile=profile))
    assert decoded.pixels[0, 0].tolist() == [255, 0, 0]
    assert decoded.notes == ("profile_ignored",)


def test_a_profile_for_another_kind_of_picture_is_ignored_and_noted() -> None:
    decoded = decoding.decode(encoded(flat(100, "L"), "PNG", icc_profile=SRGB))
    assert decoded.pixels[0, 0].tolist() == [100, 100, 100]
    assert decoded.notes == ("profile_ignored",)


# -- several pictures in one file


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_read_and_the_rest_noted(format: str) -> None:
    options = {"WEBP": {"lossless": True}}.get(format, {})
    data = encoded(flat(RED), format, save_all=True, append_images=[flat(BLUE), flat(GREEN)], **options)
    decoded = decoding.decode(data)
    assert np.abs(decoded.pixels.astype(int) - RED).max() <= (0 if format != "AVIF" else 3)
    assert decoded.notes == ("first_frame",)


def test_five_hundred_frames_cost_little_more_than_one() -> None:
    frames = [noise(12, 12, n) for n in range(500)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with cpu.at_most(30):
        assert decoding.decode(data).notes == ("first_frame",)


# -- resize, augment, thumbnail


@pytest.mark.parametrize("turned", [False, True])
def test_resize_takes_the_central_square(turned: bool) -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, :10], pixels[:, 10:20], pixels[:, 20:] = RED, GREEN, BLUE
    if turned:
        pixels = np.ascontiguousarray(pixels.transpose(1, 0, 2))
    assert np.array_equal(decoding.resize(pixels, 10), np.full((10, 10, 3), GREEN, np.uint8))
    smaller = decoding.resize(pixels, 4)
    assert np.array_equal(smaller[1:3, 1:3], np.full((2, 2, 3), GREEN, np.uint8))


def test_resize_to_the_same_size_changes_nothing() -> None:
    pixels = np.asarray(noise(40, 40))
    assert np.array_equal(decoding.resize(pixels, 40), pixels)


def test_resize_looks_at_every_pixel_it_reduces() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255  # without antialiasing this becomes black or white
    reduced = decoding.resize(np.repeat(board[..., None], 3, 2).astype(np.uint8), 16)
    assert 126 <= reduced.min() <= reduced.max() <= 129


def test_resize_keeps_an_even_slope() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.uint8) * 2, 300).reshape(100, 100, 3).transpose(1, 0, 2)
    reduced = decoding.resize(np.ascontiguousarray(ramp), 50)[25, :, 0].astype(int)
    assert np.abs(reduced[1:-1] - (np.arange(1, 49) * 4 + 1)).max() <= 1


USUAL = ("crop", "flip", "light")


def altered(pixels: NDArray[np.uint8], seed: int, *kinds: str, number: int = 1) -> NDArray[np.uint8]:
    """The copy of a picture whose bytes have a hash that begins with `seed`."""
    return decoding.augment(pixels, number, kinds, bytes([seed, *range(31)]))


def test_one_picture_has_one_copy_of_a_number_and_another_picture_another() -> None:
    pixels = np.asarray(noise(60, 40))
    views = [altered(pixels, seed, *AUGMENTATIONS) for seed in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])


@pytest.mark.parametrize("kinds", [("crop",), USUAL])
def test_a_crop_stays_in_the_central_square_and_keeps_at_least_seventy_percent(kinds: tuple[str, ...]) -> None:
    pixels = np.full((100, 300, 3), BLUE, np.uint8)
    pixels[:, 100:200] = GREEN
    sides = set()
    for seed in range(100):
        view = altered(pixels, seed, *kinds)
        assert view.shape[0] == view.shape[1]
        assert np.ptp(view, axis=(0, 1)).max() == 0  # one color: nothing of the blue
        assert view[0, 0, 1] > view[0, 0, 2]
        sides.add(view.shape[0])
    assert 84 <= min(sides) <= 86
    assert 98 <= max(sides) <= 100


def test_every_second_copy_is_mirrored_and_by_a_flip_alone_nothing_else_changes() -> None:
    pixels = np.asarray(noise(40, 40))
    for number in (1, 3):
        assert np.array_equal(altered(pixels, 0, "flip", number=number), pixels[:, ::-1])
    assert np.array_equal(altered(pixels, 0, "flip", number=2), pixels)


def test_light_changes_brightness_and_contrast_and_moves_nothing() -> None:
    pixels = np.full((40, 40, 3), 100, np.uint8)
    pixels[10:20, 10:20] = 150
    views = [altered(pixels, seed, "light").astype(int) for seed in range(100)]
    steps = [int(view[10, 10, 0] - view[0, 0, 0]) for view in views]
    assert min(steps) in (40, 41) and max(steps) in (59, 60)  # the difference of 50, times 0.8 to 1.2
    means = [int(view[0, 0, 0]) for view in views]
    assert 69 <= min(means) <= 80 and 120 <= max(means) <= 131
    assert all(np.array_equal(view > view[0, 0, 0], pixels > 100) for view in views)


def test_a_turned_copy_shows_nothing_from_beyond_the_picture() -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    for seed in range(60):
        view = altered(pixels, seed, "turn")
        assert view.min() == 255  # no black corner
        assert 84 <= view.shape[0] == view.shape[1] <= 100


def test_a_turn_is_by_at_most_twelve_degrees_to_either_side() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[100:] = 255
    slopes = []
    for seed in range(60):
        edge = (altered(pixels, seed, "turn")[..., 0] < 128).sum(axis=0).astype(float)
        slopes.append(np.degrees(np.arctan(np.polyfit(np.arange(len(edge)), edge, 1)[0])))
    assert -12.5 <= min(slopes) < -9 and 9 < max(slopes) <= 12.5


def test_what_a_copy_is_cropped_to_does_not_depend_on_the_other_kinds() -> None:
    pixels = np.asarray(noise(60, 60))
    assert np.array_equal(altered(pixels, 5, "crop", "flip"), altered(pixels, 5, "crop")[:, ::-1])


def test_the_smallest_picture_can_be_augmented() -> None:
    assert altered(np.asarray(noise(8, 8)), 0, *AUGMENTATIONS).shape == (8, 8, 3)


@pytest.mark.parametrize(("size", "small"), [((1000, 500), (256, 128)), ((50, 40), (50, 40)), ((10, 1000), (3, 256))])
def test_a_thumbnail_is_a_jpeg_of_at_most_256_px(size: tuple[int, int], small: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(decoding.thumbnail(np.asarray(noise(*size))))) as image:
        assert (image.format, image.size) == ("JPEG", small)


def test_a_thumbnail_has_nothing_of_the_file_but_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of Somebody"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    data = encoded(photo(), "JPEG", exif=exif, icc_profile=SRGB, comment="Somebody")
    assert b"Somebody" in data
    _, thumbnail = decoding.answer({}, data)
    assert b"Somebody" not in thumbnail
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert dict(image.getexif()) == {}
        assert not {"icc_profile", "exif", "comment"} & set(image.info)


def test_of_a_picture_that_is_also_a_zip_and_a_script_only_pixels_are_shown() -> None:
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as file:
        file.writestr("x.html", "<script>alert(1)</script>")
    facts, thumbnail = decoding.answer({}, encoded(flat(RED), "GIF") + archived.getvalue())
    assert (facts["width"], facts["height"]) == (16, 12)
    assert b"<script>" not in thumbnail
    assert b"PK\3\4" not in thumbnail


# -- the answer of the child


def test_the_answer_has_the_facts_and_a_hash_of_what_the_picture_shows() -> None:
    pixels = np.asarray(noise(40, 30))
    facts, thumbnail = decoding.answer({}, encoded(noise(40, 30), "PNG"))
    assert facts == {
        "width": 40,
        "height": 30,
        "notes": (),
        "pixels": hashlib.sha256(b"40x30" + pixels.tobytes()).hexdigest(),
    }
    assert thumbnail == decoding.thumbnail(pixels)


def test_the_hash_of_pixels_is_that_of_any_lossless_format_and_differs_with_the_shape() -> None:
    same = {decoding.answer({}, encoded(noise(), format))[0]["pixels"] for format in ("PNG", "BMP", "TIFF")}
    assert len(same) == 1
    wide, tall = Image.new("RGB", (20, 10)), Image.new("RGB", (10, 20))
    assert decoding.answer({}, encoded(wide))[0]["pixels"] != decoding.answer({}, encoded(tall))[0]["pixels"]


def squares(folder: Path, size: int, *asked: tuple[bytes, int]) -> list[NDArray[np.uint8]]:
    """What a child answers for files with these bytes, each as a view of it."""
    wanted = []
    for data, number in asked:
        path = folder / hashlib.sha256(data).hexdigest()  # as on the shelf
        path.write_bytes(data)
        wanted.append([str(path), number, USUAL])
    answer, body = decoding.answer({"squares": wanted, "size": size}, b"")
    assert answer == {}
    return list(np.frombuffer(body, np.uint8).reshape(-1, size, size, 3))


def test_the_answer_to_squares_are_the_resized_pictures_in_order(tmp_path: Path) -> None:
    first, second = squares(tmp_path, 24, (png(3), 0), (png(5), 0))
    np.testing.assert_array_equal(first, decoding.resize(np.asarray(noise(12, 12, 3)), 24))
    np.testing.assert_array_equal(second, decoding.resize(np.asarray(noise(12, 12, 5)), 24))


def test_an_altered_view_is_the_same_each_time_and_differs_by_number_and_by_picture(tmp_path: Path) -> None:
    plain, first, again, second = squares(tmp_path, 12, (png(0), 0), (png(0), 1), (png(0), 1), (png(0), 2))
    np.testing.assert_array_equal(plain, np.asarray(noise(12, 12)))
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any() and (first != second).any()
    color = Image.new("RGB", (12, 12), (100, 100, 100))
    one, other = squares(tmp_path, 12, (encoded(color, "PNG", compress_level=1), 1), (encoded(color, "BMP"), 1))
    assert (one != other).any()


@pytest.mark.parametrize("factor", [2, 3, 4, 6])
def test_a_large_jpeg_is_read_at_a_reduced_size_within_the_stated_tolerance(factor: float) -> None:
    rng = np.random.default_rng(7)
    width, height = int(96 * factor * 4 / 3), 96 * factor
    soft = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = rng.integers(-6, 7, (height, width, 1))
    data = encoded(Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8)), "JPEG", quality=90)
    reduced, whole = decoding.square(data, 96), decoding.resize(decoding.decode(data).pixels, 96)
    difference = np.abs(reduced.astype(int) - whole)
    assert difference.mean() < 1.5 and difference.max() <= 30
    assert (difference.max() > 0) == (factor >= 4)  # below, half of the size would be less than twice the square


def test_a_profile_that_is_srgb_already_changes_nothing_and_another_does() -> None:
    picture = noise(30, 20)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = decoding.decode(encoded(picture, "PNG", icc_profile=srgb)).pixels
    np.testing.assert_array_equal(same, np.asarray(picture))
    assert decoding._to_srgb(srgb, "RGB") is None


def test_a_picture_that_needs_more_memory_than_there_is_costs_only_itself() -> None:
    with Child("core.sandbox.decoding:answer", Bounds(memory_mb=500, cpu_s=10, wall_s=20)) as child:
        with pytest.raises(HeadstartError) as caught:
            child.ask({}, webp_of_size(7_000, 7_000))
        assert caught.value.code in ("picture_too_costly", "picture_damaged", "child_died")
        assert child.ask({}, png())[0]["width"] == 12


def test_the_checksum_of_png_chunks_is_honored() -> None:
    data = bytearray(encoded(noise(16, 16), "PNG"))
    at = data.index(b"IHDR")
    data[at + 8 + 3] = 17  # another height, with the old checksum
    assert refused(bytes(data)).code in ("picture_damaged", "file_not_picture")


def test_who_only_imports_the_decoder_keeps_the_limit_of_pillow() -> None:
    script = "from core.sandbox import decoding; from PIL import Image; print(Image.MAX_IMAGE_PIXELS)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1_000_000
