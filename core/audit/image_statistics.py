"""What can be said of one picture's bytes without knowing others: light, sharpness, information, border, thumbnail.

The first of three steps of an audit. Measures are kept for the bytes and never taken again; what they mean is decided
in `core.audit`. Pictures are decoded in a limited child (`answer`).
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core import images

Array = NDArray[np.float32]

# Part of the kind under which measures are kept: other numbers are other measures.
KIND = "look 1"
# Everything is measured on the picture at this size at most, so that a large one is judged as it will be seen.
SIDE_PX = 256
# The side of the gray thumbnail by which near duplicates are compared.
THUMBNAIL_PX = 32
# The border is the outer tenth of each side.
_BORDER = 0.1
# Width of the blur by which a picture is compared with itself, as in the reference.
_BLUR_PX = 11
# Differences of one shade are the rounding of 8 bits, which looks sharp where all else is smooth.
_STEP = 1.0


def measure(pixels: images.Pixels, n_bytes: int) -> dict[str, Any]:
    """The facts about a picture (height, width, 3) and the length of its file, as JSON takes them: luma percentiles 1,
    5, 95 and 99 and mean of 0..255, `blur` and `entropy`, the mean color and the deviation of its border, `bytes`, and
    the thumbnail in base64."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
    gray = np.asarray(image.convert("L"), np.float32)
    dark, low, high, light = (round(float(value), 1) for value in np.percentile(gray, [1, 5, 95, 99]))
    colors = np.asarray(image, np.float32)
    edge = _border(colors)
    small = image.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return {
        "luma": [dark, low, high, light],
        "mean": round(float(gray.mean()), 1),
        "blur": round(blur(gray), 3),
        "entropy": round(entropy(gray), 2),
        "border": [round(float(value), 1) for value in (*edge.mean(axis=0), *edge.std(axis=0))],
        "bytes": n_bytes,
        "thumbnail": base64.b64encode(small.tobytes()).decode(),
    }


def thumbnail(facts: dict[str, Any]) -> NDArray[np.uint8]:
    """The gray thumbnail in some facts, (THUMBNAIL_PX, THUMBNAIL_PX)."""
    data = base64.b64decode(facts["thumbnail"])
    return np.frombuffer(data, np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX)


def blur(gray: Array) -> float:
    """How blurry a gray picture is, 0..1: the share of its differences between neighbors that one more blur does not
    take away (Crete et al., "The Blur Effect", SPIE 6492, 2007). Contrast and brightness do not matter."""
    shares = []
    for values in (gray, gray.T):
        if values.shape[1] < 2 * _BLUR_PX:
            continue
        sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
        blurred = (sums[:, _BLUR_PX:] - sums[:, :-_BLUR_PX]) / _BLUR_PX
        half = _BLUR_PX // 2
        sharp = np.abs(np.diff(values[:, half : half + blurred.shape[1]], axis=1))
        sharp[sharp <= _STEP] = 0
        lost = np.maximum(0, sharp - np.abs(np.diff(blurred, axis=1)))
        total = float(sharp.sum())
        shares.append((total - float(lost.sum())) / total if total else 0.0)
    return max(shares, default=0.0)


def entropy(gray: Array) -> float:
    """Bits that tell one pixel of a gray picture, 0 (one shade) to 6: shades are rounded to 64, so that the noise of a
    camera on an even ground tells little."""
    counts = np.bincount((gray.ravel() / 4).astype(np.int64), minlength=64)
    shares = counts[counts > 0] / gray.size
    return float(-(shares * np.log2(shares)).sum())


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In a child: `{"paths"}` -> `{"facts"}`, one for each path."""
    facts = []
    for path in question["paths"]:
        data = Path(path).read_bytes()
        facts.append(measure(images.decode(data, SIDE_PX).pixels, len(data)))
    return {"facts": facts}, b""


def _border(colors: Array) -> Array:
    """The pixels of the border of a picture (height, width, 3), (n, 3)."""
    height, width = colors.shape[:2]
    down, across = max(1, round(_BORDER * height)), max(1, round(_BORDER * width))
    inside = np.zeros((height, width), bool)
    inside[down:-down, across:-across] = True
    result: Array = colors[~inside]
    return result
