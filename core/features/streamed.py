"""Matrices that are read by rows, from memory or disk, and the standardization of their columns.

Nothing here holds more than a part of a matrix on disk at once, so features may be larger than the memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Lower bound of the deviation: without it, a channel that hardly varies would be amplified to noise.
_SMALLEST_DEVIATION = 1e-3
# Bytes per chunk when streaming rows.
_PART_BYTES = 20 << 20


class Matrix(Protocol):
    """Numbers (n, ...) in float32, in an array or on disk, that are read by rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True)
class Standard:
    """The mean and standard deviation of each feature over the training pictures, (width,) each."""

    mean: Array
    deviation: Array

    @staticmethod
    def of(features: Matrix) -> "Standard":
        n, total, squares = len(features), np.zeros(features.shape[1]), np.zeros(features.shape[1])
        for part in parts(features):
            total = total + part.sum(axis=0, dtype=np.float64)
        mean = total / n
        for part in parts(features):
            squares = squares + ((part - mean) ** 2).sum(axis=0)
        deviation = np.sqrt(squares / n)
        return Standard(mean.astype(np.float32), np.maximum(deviation, _SMALLEST_DEVIATION).astype(np.float32))

    def apply(self, features: Matrix) -> Matrix:
        """Standardized features, (n, width); those on disk stay there."""
        if not len(features):
            return features  # without rows there may be no width either
        if isinstance(features, np.ndarray):
            return (features - self.mean) / self.deviation
        return _Standardized(self, features)

    def fold(self, layers: Sequence[tuple[Array, Array]]) -> tuple[tuple[Array, Array], ...]:
        """Turn layers for standardized features into layers for raw ones."""
        (kernel, bias), *rest = layers
        # Computes in float64 without copying the kernel, which may fill most of the memory.
        shifted = bias - np.einsum("i,io->o", self.mean.astype(np.float64) / self.deviation, kernel)
        return ((kernel / self.deviation[:, None], shifted.astype(np.float32)), *rest)

    def unfold(self, layers: Sequence[tuple[Array, Array]]) -> tuple[tuple[Array, Array], ...]:
        """The inverse of `fold`."""
        (kernel, bias), *rest = layers
        shifted = bias + self.mean.astype(np.float64) @ kernel.astype(np.float64)
        return ((kernel * self.deviation[:, None], shifted.astype(np.float32)), *rest)


@dataclass(frozen=True)
class _Standardized:
    """A matrix on disk whose rows are standardized when they are read."""

    standard: Standard
    features: Matrix

    @property
    def shape(self) -> tuple[int, ...]:
        return self.features.shape

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Any) -> Array:
        result: Array = (self.features[rows] - self.standard.mean) / self.standard.deviation
        return result


def parts(features: Matrix) -> Iterator[Array]:
    """The rows in order, in chunks of about _PART_BYTES."""
    n = max(1, _PART_BYTES // (4 * math.prod(features.shape[1:]))) if len(features) else 1
    for start in range(0, len(features), n):
        yield features[start : start + n]
