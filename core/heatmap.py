"""Where in a picture the evidence for a class lies: Grad-CAM (Selvaraju et al., ICCV 2017) in numpy.

A head is dense layers on the pooled feature map, so the gradient of a class's score with respect to that map is known
without automatic differentiation. A heat map is as coarse as the feature map, says where and not why, and covers what
the network sees: the central square of a picture.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from core.head import Head
from core.images import Pixels

Array = NDArray[np.float32]

# How wide the border of a picture is, as a share of its side.
BORDER = 1 / 8
# Vermillion of Okabe and Ito's palette: on grey it stays apart for color-blind eyes too.
_COLOR = (213, 94, 0)
_COVER = 0.75
_HALF = 0.5


def pool(feature_map: Array, pooling: str) -> Array:
    """(n, h, w, channels) -> what the head reads, (n, inputs)."""
    if pooling == "flatten":
        return feature_map.reshape(len(feature_map), -1)
    pooled: Array = feature_map.max(axis=(1, 2)) if pooling == "max" else feature_map.mean(axis=(1, 2))
    return pooled


def grad_cam(feature_map: Array, pooling: str, head: Head, index: int) -> Array:
    """One feature map (h, w, channels) and a class -> what speaks for the class, (h, w): 1 where it is most, 0 where
    nothing or something against it is. All is 0 when nothing speaks for the class."""
    gradient = head.gradient(pool(feature_map[None], pooling), index)[0]
    # Grad-CAM weights each channel by its gradient's mean over the map. Of an average or a maximum that is the pooled
    # gradient but for one factor, which goes when the map is scaled.
    weights = gradient.reshape(-1, feature_map.shape[-1]).mean(axis=0)
    heat: Array = np.maximum(feature_map @ weights, 0)
    return heat / heat.max() if heat.max() > 0 else heat


def overlay(pixels: Pixels, heat: Array) -> Pixels:
    """A square picture in grey with its heat map over it: the stronger the color, the more speaks for the class there;
    a line around what is at least half as strong as the strongest."""
    height, width = pixels.shape[:2]
    grown = np.asarray(Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)[..., None]
    cover = _COVER * grown[..., None]
    mixed = grey * (1 - cover) + np.array(_COLOR, np.float32) * cover
    inside = Image.fromarray((grown >= _HALF).astype(np.uint8) * 255)
    line = max(3, width // 160) | 1
    edge = np.asarray(inside) != np.asarray(inside.filter(ImageFilter.MinFilter(line)))
    around = np.asarray(inside) != np.asarray(inside.filter(ImageFilter.MaxFilter(line)))
    mixed[edge], mixed[around] = 255, 0  # white beside black is seen on any ground
    return mixed.clip(0, 255).astype(np.uint8)


def border_share(heat: Array) -> float:
    """How much of a heat map lies in the border of the picture, 0 to 1; each cell counts by what it covers of it."""
    total = float(heat.sum())
    rows, columns = (_inside(n) for n in heat.shape)
    return 1 - float(rows @ heat @ columns) / total if total else 0.0


def border_area() -> float:
    """How much of the picture its border is: what an even heat map would have there."""
    return 1 - (1 - 2 * BORDER) ** 2


def _inside(n: int) -> NDArray[Any]:
    """For each of n cells in a row, the share of it that is not in the border."""
    edges = np.linspace(0, 1, n + 1).clip(BORDER, 1 - BORDER)
    return np.diff(edges) * n
