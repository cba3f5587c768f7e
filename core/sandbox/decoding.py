"""The one place where bytes become pixels.

Every picture that is checked, shown or kept goes through `decode`: upright, sRGB, 8 bits, on white, first frame. Every
picture that a network sees goes through `square`, which is `decode` and `resize`, so training, evaluation, demo and
export see the same pixels. `VERSION` names this rule and is part of every cache key. `answer` does this in a limited
child process (`core.sandbox.process`); nothing else should decode bytes that Headstart has not decoded before.
"""

import hashlib
import io
import math
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from core.disk import blobs
from core.errors import HeadstartError
from core.sandbox.process import Bounds
from core.settings import LIMITS

Pixels = NDArray[np.uint8]

VERSION = "square-2"


def _heif() -> tuple[str, ...]:
    """The format of iPhone pictures, if its decoder is installed (`pip install pi-heif`, LGPL, which is why it is not
    required)."""
    try:
        import pi_heif
    except ImportError:
        return ()
    pi_heif.options.DECODE_THREADS = 1  # children use all cores, and threads count against their memory
    pi_heif.register_heif_opener()
    return ("HEIF",)


# Never EPS (starts Ghostscript), PDF or the other forty plugins: https://pillow.readthedocs.io/en/latest/handbook/security.html
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *_heif())
# The file endings that a file dialog offers; the content decides. Without HEIC, so that phones send JPEG instead.
ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
THUMBNAIL_PX = 256
# A moderate tilt of a hand-held camera; the largest upright square inside a square turned by it is 84 % as wide.
_TURN_DEGREES = 12.0
DECODING = Bounds(LIMITS.decode_memory_mb, LIMITS.decode_cpu_s, LIMITS.decode_wall_s)
_SRGB = ImageCms.createProfile("sRGB")
# A JPEG is read at a half, a quarter or an eighth of its size while each side stays this many times the square's.
# Measured at 2: the square differs by 1.2 of 255 on average (28 at most) from that of the whole picture, and a picture
# of 12 megapixels is read in a third of the time. At 1 it would be 3.2 (89).
_ENOUGH = 2
# Bytes that only pictures start with: a file that has them and that Pillow cannot identify is a damaged picture.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")
# The errors that Pillow's decoders raise on damaged bytes (AVIF: RuntimeError).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError)
_TURNS: dict[Any, Image.Transpose] = {  # value of EXIF Orientation (any type) -> transpose
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """Pixels (height, width, 3) uint8 sRGB, and notes on changes that decoding made."""

    pixels: Pixels
    notes: tuple[str, ...]


def decode(data: bytes, enough_px: int | None = None) -> Decoded:
    """Decode one picture; a large JPEG may be reduced to no less than `enough_px` per side, which is faster. Raises
    HeadstartError with a code that says why the picture cannot be used."""
    notes: list[str] = []
    image = _decode(data, notes, enough_px)
    return Decoded(np.asarray(image), tuple(notes))


def square(data: bytes, size: int, number: int = 0, kinds: Sequence[str] = ()) -> Pixels:
    """Decode one picture as a network sees it: (size, size, 3). A `number` over 0 gives its altered copy with that
    number, altered in these `kinds` (`core.plan.AUGMENTATIONS`); the same bytes always give the same copy. Large JPEGs
    are read at a reduced size. Raises HeadstartError like `decode`."""
    image = _decode(data, [], _ENOUGH * size)
    if number and kinds:
        image = Image.fromarray(augment(np.asarray(image), number, kinds, hashlib.sha256(data).digest()))
    return _resize(image, size)


def _decode(data: bytes, notes: list[str], enough_px: int | None = None) -> Image.Image:
    """The picture in RGB; appends changes to `notes`. JPEGs may be reduced to no less than `enough_px` per side."""
    if not data:
        raise HeadstartError("file_empty")
    # Pillow's own limit is higher than that of `_check_size`, and its error does not say how large the picture is. It
    # is lifted where pictures are decoded, in limited processes, and not in the server, which only imports this.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata, and about sizes that `_check_size` bounds more tightly.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(image.width, image.height)
            if getattr(image, "n_frames", 1) > 1:
                notes.append("first_frame")
            image.seek(0)
            if enough_px is not None:
                image.draft(None, (enough_px, enough_px))
            image.load()
            return _rgb(_upright(image, notes), notes)
    except UnidentifiedImageError:
        raise HeadstartError(_kind(data)) from None
    except (*_DAMAGE, struct.error) as error:
        cut_off = "truncated" in str(error).lower() or _webp_ends_early(data)
        raise HeadstartError("picture_cut_off" if cut_off else "picture_damaged") from None
    except MemoryError:
        raise HeadstartError("picture_too_costly") from None


def resize(pixels: Pixels, size: int) -> Pixels:
    """Reduce to (size, size, 3): the central square, bilinear with antialiasing.

    Measured with ImageNet MobileNetV2 and logistic regression on photographs of ants and bees (20 draws of 195 of 244
    training pictures): central square 95.9 %, whole picture squeezed 94.0 %, padded 93.8 %.
    """
    return _resize(Image.fromarray(pixels), size)


def _resize(image: Image.Image, size: int) -> Pixels:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def augment(pixels: Pixels, number: int, kinds: Sequence[str], seed: bytes) -> Pixels:
    """An altered copy of the central square: rotated by up to 12 degrees, cropped to 70 to 100 % of its area, mirrored
    (copies with an odd number, so that a single copy already adds the mirror image), in other light. The random values
    of one kind do not depend on the other kinds."""
    rng = np.random.default_rng([number, *seed[:8]])
    scale, down, right, contrast, brightness, turn = rng.random(6)
    side = min(pixels.shape[:2])
    image = _center(Image.fromarray(pixels), side)
    if "turn" in kinds:
        degrees = _TURN_DEGREES * (2 * turn - 1)
        angle = abs(math.radians(degrees))
        side = max(LIMITS.smallest_side_px, int(side / (math.cos(angle) + math.sin(angle))))
        image = _center(image.rotate(degrees, Image.Resampling.BILINEAR), side)
    if "crop" in kinds:
        smaller = max(LIMITS.smallest_side_px, int(side * (0.84 + 0.16 * scale)))  # 0.84 squared is 70 % of the area
        left, top = (int(share * (side - smaller + 1)) for share in (right, down))
        image = image.crop((left, top, left + smaller, top + smaller))
    if "flip" in kinds and number % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "light" not in kinds:
        return np.asarray(image)
    values = (np.asarray(image, np.float32) - 128) * (0.8 + 0.4 * contrast) + 128 + 25 * (2 * brightness - 1)
    altered: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return altered


def _center(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def thumbnail(pixels: Pixels, px: int = THUMBNAIL_PX) -> bytes:
    """A JPEG of at most `px` per side, made from pixels alone: it has no metadata of the original."""
    image = Image.fromarray(pixels)
    image.thumbnail((px, px), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Runs in a child process: `{"path"}` or a body of bytes -> facts and a thumbnail; with `{"show": px}` -> a JPEG of
    at most `px` per side. `{"squares": [[path, number, kinds], ...], "size"}` -> the squares of files of the shelf,
    concatenated."""
    if "squares" in question:
        size = question["size"]
        pixels = [square(blobs.read(Path(path)), size, number, kinds) for path, number, kinds in question["squares"]]
        return {}, np.stack(pixels).tobytes()
    if "path" in question:
        path = Path(question["path"])
        body = blobs.read(path) if "show" in question else path.read_bytes()  # intake has just hashed the file
    decoded = decode(body)
    if "show" in question:
        return {}, thumbnail(decoded.pixels, question["show"])
    height, width = decoded.pixels.shape[:2]
    facts = {
        "width": width,
        "height": height,
        "notes": decoded.notes,
        # The shape is hashed too: two pictures of one color differ when their sizes do.
        "pixels": hashlib.sha256(f"{width}x{height}".encode() + decoded.pixels.tobytes()).hexdigest(),
    }
    return facts, thumbnail(decoded.pixels)


def _check_size(width: int, height: int) -> None:
    megapixels = width * height / 1e6
    if megapixels > LIMITS.picture_megapixels:
        raise HeadstartError("picture_too_large", megapixels=round(megapixels), limit=LIMITS.picture_megapixels)
    if max(width, height) > LIMITS.picture_side_px:
        raise HeadstartError("picture_too_long", side=max(width, height), limit=LIMITS.picture_side_px)
    if min(width, height) < LIMITS.smallest_side_px:
        raise HeadstartError("picture_too_small", width=width, height=height, limit=LIMITS.smallest_side_px)
    if max(width, height) > LIMITS.aspect * min(width, height):
        raise HeadstartError("picture_too_thin", width=width, height=height, limit=LIMITS.aspect)


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    # Not ImageOps.exif_transpose: it writes the EXIF back, and refuses the picture when another entry of it is damaged.
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except (*_DAMAGE, struct.error):
        notes.append("exif_ignored")
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # convert("RGB") clips these to white: https://github.com/python-pillow/Pillow/issues/3011
        notes.append("depth_reduced")
        return _eight_bits(image).convert("RGB")
    # Convert palettes first: a color profile needs colors, and applying it would drop a transparent color.
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    image = _srgb(image, notes)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float32)
    if image.mode == "I" and 0 <= values.min() and values.max() <= 255:
        return Image.fromarray(values.astype(np.uint8))  # 8 bits in a wider type
    if image.mode.startswith("I;16") or (image.mode == "I" and 0 <= values.min() and values.max() <= 65535):
        return Image.fromarray((values / 256).astype(np.uint8))  # 16 bits: drop the lower byte
    values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def _srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        transform = _to_srgb(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append("profile_ignored")
        return image


@lru_cache(maxsize=16)  # pictures of one camera have the same profile; building a transform takes a millisecond
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform from a color profile to sRGB; None when it would change no color by more than one step of 255, as
    for most: the transform costs more than decoding a photograph."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, _SRGB, mode, mode if mode == "RGBA" else "RGB")
    if mode != "RGB":
        return transform
    steps = np.linspace(0, 255, 33).astype(np.uint8)
    colors = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(33, -1, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(colors), transform), dtype=np.int16)
    return None if np.abs(changed - colors).max() <= 1 else transform


def _kind(data: bytes) -> str:
    start = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<svg", b"<?xml")) and b"svg" in start:
        return "file_svg"
    if data[4:8] == b"ftyp" and data[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        return "picture_damaged" if "HEIF" in FORMATS else "file_heic"
    if data[:4] == b"PK\x03\x04":
        return "file_archive"
    if data.startswith(_STARTS) or data[4:12] == b"ftypavif" or data[8:12] == b"WEBP":
        return "picture_damaged"
    return "file_not_picture"


def _webp_ends_early(data: bytes) -> bool:
    """Whether a WebP is shorter than its header says; Pillow's error does not tell."""
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)
