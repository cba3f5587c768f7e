"""Heat maps of the evidence for a class in a picture: Grad-CAM (Selvaraju et al., ICCV 2017) in numpy.

A head is dense layers on pooled feature maps, so the gradient of a class's score with respect to those maps is known
without automatic differentiation. Where features come from several maps, their evidence is added up. A heat map is as
coarse as the finest of them, says where and not why, and covers the central square of a picture, which is the input of
the network.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from core.learning.head import Head
from core.sandbox.decoding import Pixels

Array = NDArray[np.float32]
# The feature maps of a picture from which its features are pooled, (views, h, w, channels) each; the second view, if
# there is one, is that of the mirror image.
Maps = Sequence[Array]

# Width of the border of a picture, as a share of its side.
BORDER = 1 / 8
# Vermillion of Okabe and Ito's palette, which color-blind people can tell from gray.
_COLOR = (213, 94, 0)
# Opacity of the color where the evidence is strongest.
_OPACITY = 0.75
# Share of the strongest evidence around which the outline is drawn.
_OUTLINE = 0.5


def pool(maps: Maps, pooling: str) -> Array:
    """The features of a picture, (1, inputs of the head): its maps pooled, one after the other, and averaged over the
    views."""
    if pooling == "flatten":
        rows = [each.reshape(len(each), -1) for each in maps]
    else:
        rows = [each.max(axis=(1, 2)) if pooling == "max" else each.mean(axis=(1, 2)) for each in maps]
    pooled: Array = np.concatenate(rows, axis=1).mean(axis=0, keepdims=True)
    return pooled


def grad_cam(maps: Maps, pooling: str, head: Head, index: int) -> Array:
    """The evidence for class `index` in the maps of a picture, (h, w): 1 where it is strongest, 0 where there is none
    or evidence against the class. All 0 if there is no evidence for the class."""
    heat: Array = np.maximum(evidence(maps, pooling, head, index), 0)
    return heat / heat.max() if heat.max() > 0 else heat


def evidence(maps: Maps, pooling: str, head: Head, index: int) -> Array:
    """The evidence for (and, below 0, against) class `index` in each cell, (h, w) of the finest map. With average
    pooling and a linear head the cells add up to the class's logit without its bias, and without what is the same in
    all cells, as the class token of a network of tokens is: it is about the whole picture."""
    gradient = head.gradient(pool(maps, pooling), index)[0]
    height, width = (max(each.shape[side] for each in maps) for side in (1, 2))
    total: Array = np.zeros((height, width), np.float32)
    for each in maps:
        n = math.prod(each.shape[1:]) if pooling == "flatten" else each.shape[-1]
        own, gradient = gradient[:n], gradient[n:]
        # Grad-CAM weights each channel by its gradient's mean over the map: for average pooling the pooled gradient
        # divided by the cells. For maximum pooling the constant does not matter.
        weights = own.reshape(-1, each.shape[-1]).mean(axis=0) / math.prod(each.shape[1:3])
        heat = each @ (weights * np.ptp(each, axis=(1, 2)).any(axis=0))
        heat[1:] = heat[1:, :, ::-1]  # the mirror image, as the picture is
        total += _spread(each.shape[1], height).T @ heat.mean(axis=0) @ _spread(each.shape[2], width)
    return total


def _spread(n: int, finer: int) -> Array:
    """How n cells in a row are distributed over finer ones, (n, finer): by linear interpolation, and so that each
    row adds up to 1."""
    if n == finer:
        return np.eye(n, dtype=np.float32)
    at = (np.arange(finer) + 0.5) * n / finer - 0.5
    shares: Array = np.array([np.interp(at, np.arange(n), row) for row in np.eye(n)], np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def overlay(pixels: Pixels, heat: Array) -> Pixels:
    """A square picture in gray with its heat map over it, (px, px, 3): the stronger the color, the stronger the
    evidence. A line outlines evidence at least half as strong as the strongest."""
    height, width = pixels.shape[:2]
    grown = np.asarray(Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    gray = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)[..., None]
    opacity = _OPACITY * grown[..., None]
    mixed = gray * (1 - opacity) + np.array(_COLOR, np.float32) * opacity
    inside = Image.fromarray((grown >= _OUTLINE).astype(np.uint8) * 255)
    line = max(3, width // 160) | 1
    edge = np.asarray(inside) != np.asarray(inside.filter(ImageFilter.MinFilter(line)))
    around = np.asarray(inside) != np.asarray(inside.filter(ImageFilter.MaxFilter(line)))
    mixed[edge], mixed[around] = 255, 0  # white next to black is visible on any background
    return mixed.clip(0, 255).astype(np.uint8)


def border_share(heat: Array) -> float:
    """The share of a heat map that lies in the border of the picture, 0 to 1. A cell counts by its overlap with the
    border."""
    total = float(heat.sum())
    rows, columns = (_inside(n) for n in heat.shape)
    return 1 - float(rows @ heat @ columns) / total if total else 0.0


def border_area() -> float:
    """The share of the picture that is border, and the `border_share` of a uniform heat map."""
    return 1 - (1 - 2 * BORDER) ** 2


def _inside(n: int) -> NDArray[Any]:
    """For each of n cells in a row, the share that is not in the border."""
    edges = np.linspace(0, 1, n + 1).clip(BORDER, 1 - BORDER)
    return np.diff(edges) * n
