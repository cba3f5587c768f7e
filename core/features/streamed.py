"""Numbers by rows, in memory or on disk, and what brings each column to mean 0 and deviation 1.

Nothing here holds more than a part of a matrix at once, so that features may be larger than the memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# A channel that never varies carries nothing; without a floor it would be blown up to noise.
_SMALLEST_DEVIATION = 1e-3
# What is looked at at once when it does not matter how many rows it is.
_PART_BYTES = 20 << 20


class Matrix(Protocol):
    """Numbers (n, ...) in float32, as an array or on disk, that are read by rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True)
class Standard:
    """The mean and deviation of each feature over the training pictures, (width,) each."""

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
        """Standardized features; those that are on disk stay there."""
        if not len(features):
            return features  # no rows may have no width either
        if isinstance(features, np.ndarray):
            return (features - self.mean) / self.deviation
        return _Standardized(self, features)

    def fold(self, layers: Sequence[tuple[Array, Array]]) -> tuple[tuple[Array, Array], ...]:
        """Layers for raw features from layers for standardized ones."""
        (kernel, bias), *rest = layers
        # In float64, but without a copy of a kernel that may be most of the memory.
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
    """The rows in their order, as many at a time as are worth it."""
    n = max(1, _PART_BYTES // (4 * math.prod(features.shape[1:]))) if len(features) else 1
    for start in range(0, len(features), n):
        yield features[start : start + n]
