"""The linear head with the lowest loss, found exactly: the problem is convex, and L-BFGS (Liu and Nocedal, Mathematical
Programming 45, 1989) finds its minimum.

Several problems can share the same features in memory, each learning from other rows of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.features.streamed import Standard

Array = NDArray[np.float32]
# A kernel (width, classes) and a bias (classes,).
Layer = tuple[Array, Array]

# The relative change of the loss at which the solver stops. The loss is computed in float32: with a smaller tolerance
# the solver would only follow rounding errors.
TOLERANCE = 1e-7


@dataclass(frozen=True)
class Problem:
    """Features `x` (n, width), the probabilities `aims` (n, classes) that a head should answer for them, and the
    `weight` (n,) of the loss of each row: 0 for those that are not learned from, which then change nothing at all.
    `standard` standardizes the columns of x over the rows that are learned from; None: they are so already."""

    x: Array
    aims: Array
    weight: Array
    standard: Standard | None = None

    def minimum(
        self,
        l2: float,
        start: Layer | None = None,
        tolerance: float = TOLERANCE,
        tick: Callable[[], None] | None = None,
    ) -> Layer:
        """The layer for standardized features with the lowest weighted loss plus `l2` / 2 times the squares of its
        kernel, searched from `start` (None: from zeros). `tick` is called at each step and may raise."""
        from scipy.optimize import minimize  # imported here, because it takes a third of a second

        shape = (self.x.shape[1] + 1, self.aims.shape[1])

        def loss(flat: Any) -> tuple[float, Any]:
            if tick is not None:
                tick()
            layer = flat.astype(np.float32).reshape(shape)
            value, gradient = self._loss(layer[:-1], layer[-1])
            gradient[:-1] += l2 * layer[:-1]
            penalty = l2 / 2 * float(np.vdot(layer[:-1], layer[:-1]))
            return value + penalty, gradient.ravel().astype(np.float64)

        first = np.zeros(shape) if start is None else np.concatenate([start[0], start[1][None]]).astype(np.float64)
        options = {"maxiter": 200, "ftol": tolerance, "gtol": 100 * tolerance}
        found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
        layer = found.x.astype(np.float32).reshape(shape)
        return layer[:-1], layer[-1]

    def folded(self, layer: Layer) -> Layer:
        """A layer for standardized features as one for x."""
        if self.standard is None:
            return layer
        ((kernel, bias),) = self.standard.fold([layer])
        return kernel, bias

    def _loss(self, kernel: Array, bias: Array) -> tuple[float, Array]:
        """The weighted loss, and its gradient by kernel and bias, (width + 1, classes)."""
        kernel, bias = self.folded((kernel, bias))
        logits = self.x @ kernel + bias
        logits -= logits.max(axis=1, keepdims=True)
        delta = np.exp(logits)
        total = delta.sum(axis=1, keepdims=True)
        value = float(self.weight @ (np.log(total[:, 0]) - np.einsum("nc,nc->n", self.aims, logits)))
        delta /= total
        delta -= self.aims
        delta *= self.weight[:, None]
        by_bias, by_kernel = delta.sum(axis=0), self.x.T @ delta
        if self.standard is not None:
            by_kernel -= self.standard.mean[:, None] * by_bias
            by_kernel /= self.standard.deviation[:, None]
        return value, np.concatenate([by_kernel, by_bias[None]])
