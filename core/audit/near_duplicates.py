"""Finds near duplicates: copies that were resized, compressed again, slightly cropped or made lighter.

`candidates` finds pairs with similar coarse thumbnails; `likeness` aligns the gray thumbnails of each pair and measures
how well they agree; `groups` joins pairs. This module only computes scores; `core.audit.findings` has the thresholds.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress

Array = NDArray[np.float32]
Gray = NDArray[np.uint8]

# Pairs that are aligned at once (a few MB of numbers).
_BATCH = 256
# Steps of the alignment.
_ROUNDS = 8
# The numbers for candidates were measured on 150 pictures of each real set, each resized (40 to 90 %), compressed
# (quality 25 to 60) and cropped (up to 5 % per side): for 99 of 100 copies the original is among the candidates.
# Side of a coarse thumbnail.
_COARSE_PX = 8
# Lowest correlation of the coarse thumbnails of a candidate pair.
_COARSE = 0.8
# Lowest correlation of the differences between their neighboring pixels.
_EDGES = 0.78
# How many of the most similar thumbnails are candidates for each picture.
_NEAREST = 8


def candidates(thumbnails: Gray, progress: Progress) -> NDArray[np.int64]:
    """Pairs (m, 2) of rows of gray thumbnails (n, side, side) that may be near duplicates, each once, the smaller row
    first. Reports progress after each block of rows."""
    n, side = thumbnails.shape[:2]
    step = side // _COARSE_PX
    coarse = thumbnails.reshape(n, _COARSE_PX, step, _COARSE_PX, step).mean(axis=(2, 4), dtype=np.float32)
    near, like = nearest(unit(_centered(coarse)), _NEAREST, progress)
    first = np.repeat(np.arange(n), near.shape[1])[like.ravel() >= _COARSE]
    second = near.ravel()[like.ravel() >= _COARSE]
    pairs = np.unique(np.sort(np.stack([first, second], axis=1), axis=1), axis=0)
    edges = unit(np.concatenate([np.diff(coarse, axis=axis).reshape(n, -1) for axis in (1, 2)], axis=1))
    agree = [np.einsum("nw,nw->n", edges[part[:, 0]], edges[part[:, 1]]) for part in _slices(pairs)]
    result: NDArray[np.int64] = pairs[np.concatenate(agree) >= _EDGES] if agree else pairs
    return result


def nearest(vectors: Array, k: int, progress: Progress) -> tuple[NDArray[np.int64], Array]:
    """For each of the unit vectors (n, width) the `k` others with the largest cosine, the nearest first: their rows and
    cosines, (n, k) each; k is at most n - 1. In blocks, so that memory grows with n and not with its square; reports
    progress after each."""
    n = len(vectors)
    k = min(k, n - 1)
    rows, cosines = np.zeros((n, max(0, k)), np.int64), np.zeros((n, max(0, k)), np.float32)
    for start in range(0, n if k > 0 else 0, _BLOCK):
        own = slice(start, min(start + _BLOCK, n))
        best_rows, best = np.empty((own.stop - start, 0), np.int64), np.empty((own.stop - start, 0), np.float32)
        for other in range(0, n, 8 * _BLOCK):
            block = vectors[own] @ vectors[other : other + 8 * _BLOCK].T
            here = np.arange(start, own.stop) - other
            inside = (here >= 0) & (here < block.shape[1])
            block[np.flatnonzero(inside), here[inside]] = -2  # a row is not its own neighbor
            top = np.argpartition(-block, min(k, block.shape[1] - 1), axis=1)[:, :k]
            best_rows = np.concatenate([best_rows, top + other], axis=1)
            best = np.concatenate([best, np.take_along_axis(block, top, axis=1)], axis=1)
            order = np.argsort(-best, axis=1)[:, :k]
            best_rows, best = np.take_along_axis(best_rows, order, axis=1), np.take_along_axis(best, order, axis=1)
        rows[own], cosines[own] = best_rows, best
        progress.tick(0)
    return rows, cosines


# Rows at a time: a block of cosines is 32 MB.
_BLOCK = 1024


def unit(vectors: Array) -> Array:
    """Rows (n, width) scaled to length 1; rows of zeros stay zero."""
    result: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return result


def groups(n: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of rows 0..n-1 that have two rows or more, in order; `pairs` are the edges."""
    root = list(range(n))

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    found: dict[int, list[int]] = {}
    for row in range(n):
        found.setdefault(find(row), []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def _centered(coarse: Array) -> Array:
    flat = coarse.reshape(len(coarse), -1)
    result: Array = flat - flat.mean(axis=1, keepdims=True)
    return result


def _slices(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[at : at + 65_536] for at in range(0, len(rows), 65_536)]


def likeness(first: Gray, second: Gray) -> Array:
    """How well pairs of gray thumbnails (n, side, side) agree after one was aligned with the other: the correlation
    (n,) of the differences between neighboring pixels, at most 1.

    Both are smoothed first: the finest detail of a thumbnail does not survive a shift by half a pixel. Each pair is
    aligned in scale and position per axis and in brightness and contrast by Gauss-Newton (Lucas and Kanade, 1981;
    Baker and Matthews, IJCV 56, 2004), starting from the identity.
    """
    found = [_likeness(first[at : at + _BATCH], second[at : at + _BATCH]) for at in range(0, len(first), _BATCH)]
    return np.concatenate(found) if found else np.empty(0, np.float32)


def _likeness(first: Gray, second: Gray) -> Array:
    a, b = _soft(first), _soft(second)
    n, side = len(a), a.shape[1]
    place = (np.arange(side, dtype=np.float32) - (side - 1) / 2) / side
    down, across = np.gradient(a, axis=1), np.gradient(a, axis=2)
    stretch, shift = np.ones((n, 2), np.float32), np.zeros((n, 2), np.float32)
    u, v = np.broadcast_to(place[:, None], (n, side, side)), np.broadcast_to(place[None, :], (n, side, side))
    for _ in range(_ROUNDS):
        rows, columns, inside = _places(stretch, shift, place, side)
        warped = _sample(a, rows, columns)
        gy, gx = _sample(down, rows, columns), _sample(across, rows, columns)
        basis = np.stack([warped, np.ones_like(warped), gy * u, gy, gx * v, gx], axis=-1).reshape(n, -1, 6)
        weight = inside.reshape(n, -1, 1).astype(np.float32)
        left = (basis * weight).transpose(0, 2, 1)
        normal = (left @ basis).astype(np.float64) + 1e-3 * np.eye(6)
        aim = (left @ b.reshape(n, -1, 1)).astype(np.float64)
        step = np.linalg.solve(normal, aim)[..., 0].astype(np.float32)
        gain = np.where(np.abs(step[:, :1]) < 0.2, 0.2, step[:, :1])
        moved = np.clip(step[:, 2:] / gain / side, -0.05, 0.05)
        stretch = np.clip(stretch + moved[:, 0::2], 0.8, 1.25)
        shift = np.clip(shift + moved[:, 1::2], -0.15, 0.15)
    rows, columns, inside = _places(stretch, shift, place, side)
    return _agreement(_sample(a, rows, columns), b, inside)


def _soft(values: Gray) -> Array:
    """Thumbnails smoothed by (1, 2, 1) / 4 along both axes."""
    wide = np.pad(values.astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    result: Array = ((down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]) / 4).astype(np.float32)
    return result


def _places(stretch: Array, shift: Array, place: Array, side: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    spots = (stretch[:, :, None] * place + shift[:, :, None]) * side + (side - 1) / 2  # (n, 2, side)
    good = (spots >= -0.5) & (spots <= side - 0.5)
    inside = good[:, 0, :, None] & good[:, 1, None, :]
    spots = np.clip(spots, 0, side - 1)
    return spots[:, 0], spots[:, 1], inside


def _sample(values: Array, rows: Array, columns: Array) -> Array:
    """Bilinear samples of values (n, side, side) at fractional rows and columns (n, side); separable."""
    n = np.arange(len(values))[:, None]
    low = np.minimum(rows.astype(np.int32), values.shape[1] - 2)
    part = (rows - low)[..., None]
    values = values[n, low] * (1 - part) + values[n, low + 1] * part
    low = np.minimum(columns.astype(np.int32), values.shape[2] - 2)
    part = (columns - low)[:, None, :]
    columns_of = values.transpose(0, 2, 1)
    left, right = columns_of[n, low].transpose(0, 2, 1), columns_of[n, low + 1].transpose(0, 2, 1)
    result: Array = left * (1 - part) + right * part
    return result


def _agreement(a: Array, b: Array, inside: NDArray[np.bool_]) -> Array:
    top = np.zeros(len(a), np.float32)
    left, right = top.copy(), top.copy()
    for axis in (1, 2):
        x, y = np.diff(a, axis=axis), np.diff(b, axis=axis)
        both = np.minimum(*(np.take(inside, range(k, inside.shape[axis] - 1 + k), axis=axis) for k in (0, 1)))
        top += (x * y * both).sum(axis=(1, 2))
        left += (x * x * both).sum(axis=(1, 2))
        right += (y * y * both).sum(axis=(1, 2))
    result: Array = top / np.sqrt(left * right + 1e-6)
    return result
