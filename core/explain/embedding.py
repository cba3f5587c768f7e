"""Embeds the features of pictures in two dimensions, so that pictures with similar features are near each other.

`components` (PCA) is fast and preserves large distances; `neighborhoods` (t-SNE) is slower and preserves
neighborhoods. Only nearness can be read from either: axes and distances between clusters mean nothing.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core.features import streamed
from core.features.streamed import Matrix
from core.progress import Progress
from core.settings import cores

Array = NDArray[np.float32]

# Components that t-SNE compares; more are mostly noise and cost time.
WIDTH = 50
# Oversampling and power iterations of the randomized PCA: Halko, Martinsson and Tropp (2011), section 1.3.
_OVERSAMPLING = 10
_PASSES = 2
# Perplexity and steps of t-SNE, early ones with exaggeration: van der Maaten and Hinton (2008).
_PERPLEXITY = 30
_EARLY_STEPS = 250
_LATE_STEPS = 500
STEPS = _EARLY_STEPS + _LATE_STEPS
# Steps of t-SNE between two reports of progress.
_EVERY = 10
# Pictures from which on several threads are worth it.
_THREADED = 1_000
# Pictures from which on t-SNE shows more than PCA.
_LEAST = 10


def components(features: Matrix, width: int = WIDTH) -> Array:
    """The first principal components, (n, at most `width`), by falling variance. Memory grows with n, not with the
    width of the features: these are read in parts, a few times."""
    n, d = len(features), math.prod(features.shape[1:])
    width = min(width, n, d)
    mean = sum((part.reshape(len(part), d).sum(axis=0, dtype=np.float64) for part in streamed.parts(features)), 0.0) / n
    mean = np.asarray(mean, np.float32)
    directions = np.random.default_rng(0).normal(size=(d, min(width + _OVERSAMPLING, n, d))).astype(np.float32)
    for _ in range(_PASSES):
        rows, _ = np.linalg.qr(_project(features, mean, directions))
        turned = np.zeros((d, rows.shape[1]), np.float32)
        start = 0
        for part in streamed.parts(features):
            turned += (part.reshape(len(part), d) - mean).T @ rows[start : start + len(part)]
            start += len(part)
        directions, _ = np.linalg.qr(turned)
    left, scales, _ = np.linalg.svd(_project(features, mean, directions), full_matrices=False)
    # The sign of a component is arbitrary, but must be the same every time.
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    result: Array = (left * (scales * signs))[:, :width].astype(np.float32)
    return result


def _project(features: Matrix, mean: Array, directions: Array) -> Array:
    d = len(directions)
    return np.concatenate([(part.reshape(len(part), d) - mean) @ directions for part in streamed.parts(features)])


def neighborhoods(points: Array, progress: Progress) -> Array:
    """Positions (n, 2) by t-SNE of components (n, width). Ticks `STEPS` times in all."""
    n = len(points)
    if n < _LEAST:
        return places(points)
    from openTSNE import TSNE  # with scikit-learn, which takes a second: only a worker needs it

    def report(step: int, error: float, embedding: Array) -> None:
        progress.tick(_EVERY)

    fitted = TSNE(
        perplexity=min(_PERPLEXITY, (n - 1) / 3), early_exaggeration_iter=_EARLY_STEPS, n_iter=_LATE_STEPS,
        initialization="pca", n_jobs=cores() if n >= _THREADED else 1, random_state=0,
        callbacks=report, callbacks_every_iters=_EVERY,
    ).fit(points)  # fmt: skip
    return np.asarray(fitted, np.float32)


def places(points: Array) -> Array:
    """The first two components, (n, 2); the second is 0 where there is only one."""
    flat = np.zeros((len(points), 2), np.float32)
    flat[:, : min(2, points.shape[1])] = points[:, :2]
    return flat
