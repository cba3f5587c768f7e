"""Features of pictures as two numbers each: places on a map where what looks alike to a network lies together.

`components` (PCA) is quick and keeps what is far apart apart; `neighborhoods` (t-SNE) takes longer and keeps together
what is near. Of both only nearness can be read: axes and the distance between islands mean nothing.
"""

import math

import numpy as np
from numpy.typing import NDArray

from core import matrix
from core.matrix import Matrix
from core.progress import Progress
from core.settings import cores

Array = NDArray[np.float32]

# Components that t-SNE compares; more are mostly noise, and cost time.
WIDTH = 50
# Random directions beside those that are wanted, and refinements: Halko, Martinsson and Tropp (2011), section 1.3.
_SPARE, _PASSES = 10, 2
# As in van der Maaten and Hinton (2008): about so many pictures count as near, and at first all is drawn together.
_PERPLEXITY, _EARLY, _LATE = 30, 250, 500
STEPS = _EARLY + _LATE
# Steps of t-SNE between two reports.
_EVERY = 10
# Fewer pictures are not worth a second thread.
_THREADED = 1_000
# Fewer pictures have no neighborhoods that PCA would not show.
_LEAST = 10


def components(features: Matrix, width: int = WIDTH) -> Array:
    """The first principal components (n, at most `width`), the widest first. Memory grows with n, not with the width of
    the features: these are read by parts, a few times."""
    n, d = len(features), math.prod(features.shape[1:])
    width = min(width, n, d)
    mean = sum((part.reshape(len(part), d).sum(axis=0, dtype=np.float64) for part in matrix.parts(features)), 0.0) / n
    mean = np.asarray(mean, np.float32)
    directions = np.random.default_rng(0).normal(size=(d, min(width + _SPARE, n, d))).astype(np.float32)
    for _ in range(_PASSES):
        rows, _ = np.linalg.qr(_project(features, mean, directions))
        turned = np.zeros((d, rows.shape[1]), np.float32)
        start = 0
        for part in matrix.parts(features):
            turned += (part.reshape(len(part), d) - mean).T @ rows[start : start + len(part)]
            start += len(part)
        directions, _ = np.linalg.qr(turned)
    left, scales, _ = np.linalg.svd(_project(features, mean, directions), full_matrices=False)
    # Which side is which is arbitrary, but must not change from one time to the next.
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    result: Array = (left * (scales * signs))[:, :width].astype(np.float32)
    return result


def _project(features: Matrix, mean: Array, directions: Array) -> Array:
    d = len(directions)
    return np.concatenate([(part.reshape(len(part), d) - mean) @ directions for part in matrix.parts(features)])


def neighborhoods(points: Array, progress: Progress) -> Array:
    """Places (n, 2) by t-SNE of components (n, width). Reports its steps, of which there are `STEPS`."""
    n = len(points)
    if n < _LEAST:
        return places(points)
    from openTSNE import TSNE  # with scikit-learn, which takes a second: only a worker needs it

    def report(step: int, error: float, embedding: Array) -> None:
        progress.tick(_EVERY)

    fitted = TSNE(
        perplexity=min(_PERPLEXITY, (n - 1) / 3), early_exaggeration_iter=_EARLY, n_iter=_LATE, initialization="pca",
        n_jobs=cores() if n >= _THREADED else 1, random_state=0, callbacks=report, callbacks_every_iters=_EVERY,
    ).fit(points)  # fmt: skip
    return np.asarray(fitted, np.float32)


def places(points: Array) -> Array:
    """The first two components (n, 2); a second one of zeros where there is none."""
    flat = np.zeros((len(points), 2), np.float32)
    flat[:, : min(2, points.shape[1])] = points[:, :2]
    return flat
