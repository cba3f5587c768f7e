"""Measures a picture by itself: light, sharpness, entropy, border, thumbnail.

The first of three steps of an audit. Measures are stored for the bytes and never computed again; `core.audit.findings`
decides what they mean. Pictures are decoded in a limited child process (`answer`).
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.sandbox import decoding

Array = NDArray[np.float32]

# The kind under which measures are stored; change its number whenever the measures change.
KIND = "look 1"
# A picture is reduced to this side before it is measured, so that a large one is judged as users see it.
SIDE_PX = 256
# The side of the gray thumbnail by which near duplicates are compared.
THUMBNAIL_PX = 32
# The border is the outer tenth of each side.
_BORDER = 0.1
# Width of the blur with which the measure `blur` compares, as in the reference.
_BLUR_PX = 11
# Differences of one shade come from rounding to 8 bits, and would look sharp in a smooth picture.
_STEP = 1.0


def measure(pixels: decoding.Pixels, n_bytes: int) -> dict[str, Any]:
    """The measures of a picture (height, width, 3) with a file of `n_bytes`, ready for JSON: luma percentiles 1, 5, 95
    and 99 and mean (0..255), `blur` and `entropy`, mean and deviation of the border's color, `bytes`, and the thumbnail
    in base64."""
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
    """The gray thumbnail in the measures of a picture, (THUMBNAIL_PX, THUMBNAIL_PX)."""
    data = base64.b64decode(facts["thumbnail"])
    return np.frombuffer(data, np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX)


def blur(gray: Array) -> float:
    """How blurry a gray picture is, 0..1: the share of the differences between neighboring pixels that another blur
    does not remove (Crete et al., "The Blur Effect", SPIE 6492, 2007). Contrast and brightness do not matter."""
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
    """Entropy of the shades of a gray picture in bits, 0 (one shade) to 6: shades are rounded to 64 values, so that the
    noise of a camera on an even ground adds little."""
    counts = np.bincount((gray.ravel() / 4).astype(np.int64), minlength=64)
    shares = counts[counts > 0] / gray.size
    return float(-(shares * np.log2(shares)).sum())


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Runs in a child process: `{"paths"}` -> `{"facts"}`, the measures of each path."""
    facts = []
    for path in question["paths"]:
        data = Path(path).read_bytes()
        facts.append(measure(decoding.decode(data, SIDE_PX).pixels, len(data)))
    return {"facts": facts}, b""


def _border(colors: Array) -> Array:
    """The pixels (n, 3) of the border of a picture (height, width, 3)."""
    height, width = colors.shape[:2]
    down, across = max(1, round(_BORDER * height)), max(1, round(_BORDER * width))
    inside = np.zeros((height, width), bool)
    inside[down:-down, across:-across] = True
    result: Array = colors[~inside]
    return result
