"""Altered copies of pictures for training, the same as in Headstart. Used by train.py beside it."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image


def alter(image: Image.Image, number: int, kinds: Sequence[str], seed: bytes) -> Image.Image:
    """An altered copy of the central square: rotated, cropped, mirrored if its number is odd, with other contrast and
    brightness."""
    scale, down, right, contrast, brightness, turn = np.random.default_rng([number, *seed[:8]]).random(6)
    side = min(image.size)
    image = center(image, side)
    if "turn" in kinds:
        degrees = 12.0 * (2 * turn - 1)
        angle = abs(math.radians(degrees))
        side = max(8, int(side / (math.cos(angle) + math.sin(angle))))
        image = center(image.rotate(degrees, Image.Resampling.BILINEAR), side)
    if "crop" in kinds:
        smaller = max(8, int(side * (0.84 + 0.16 * scale)))
        left, top = (int(share * (side - smaller + 1)) for share in (right, down))
        image = image.crop((left, top, left + smaller, top + smaller))
    if "flip" in kinds and number % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "light" in kinds:
        values = (np.asarray(image, np.float32) - 128) * (0.8 + 0.4 * contrast) + 128 + 25 * (2 * brightness - 1)
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return image


def center(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
