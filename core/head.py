"""The trainable head on frozen features, in numpy: no TensorFlow until there is a score.

A `Head` is what Keras calls Dense layers (relu between, softmax at the end), so its weights go into a Keras model
unchanged. `fit` standardizes the features, trains with Adam, keeps the best epoch by val loss, and folds the
standardization into the first layer.
"""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import curves
from core.errors import HeadstartError
from core.plan import Plan
from core.progress import Progress

Array = NDArray[np.float32]

# Keras' defaults for Adam, https://keras.io/api/optimizers/adam/.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-7
# A channel that never varies carries nothing; without a floor it would be blown up to noise.
_SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True)
class Head:
    """Dense layers as (kernel (inputs, outputs), bias (outputs,)), float32."""

    layers: tuple[tuple[Array, Array], ...]

    def probabilities(self, features: Array) -> Array:
        """(n, inputs) -> (n, classes), rows add up to 1."""
        return _softmax(_forward(self.layers, features)[-1])

    def to_bytes(self) -> bytes:
        """as .npz, plain arrays."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {}
        for i, (kernel, bias) in enumerate(self.layers):
            arrays |= {f"k_{i}": kernel, f"b_{i}": bias}
        np.savez(out, **arrays)
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> "Head":
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return Head(tuple((file[f"k_{i}"], file[f"b_{i}"]) for i in range(len(file.files) // 2)))


@dataclass(frozen=True)
class Labelled:
    """Features (n, width) and their class indices (n,)."""

    features: Array
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A trained head, one row of scores for each epoch, and the epoch it is from (1 is the first)."""

    head: Head
    history: tuple[dict[str, float], ...]
    best_epoch: int


@dataclass(frozen=True)
class Standard:
    """The mean and deviation of each feature over the training pictures, (width,) each."""

    mean: Array
    deviation: Array

    @staticmethod
    def of(features: Array) -> "Standard":
        deviation = features.std(axis=0, dtype=np.float64)
        mean = features.mean(axis=0, dtype=np.float64)
        return Standard(mean.astype(np.float32), np.maximum(deviation, _SMALLEST_DEVIATION).astype(np.float32))

    def fold(self, layers: Sequence[tuple[Array, Array]]) -> tuple[tuple[Array, Array], ...]:
        """Layers for raw features from layers for standardized ones."""
        (kernel, bias), *rest = layers
        folded = kernel.astype(np.float64) / self.deviation[:, None]
        shifted = bias - self.mean.astype(np.float64) @ folded
        return ((folded.astype(np.float32), shifted.astype(np.float32)), *rest)

    def unfold(self, layers: Sequence[tuple[Array, Array]]) -> tuple[tuple[Array, Array], ...]:
        """The inverse of `fold`."""
        (kernel, bias), *rest = layers
        shifted = bias + self.mean.astype(np.float64) @ kernel.astype(np.float64)
        return ((kernel * self.deviation[:, None], shifted.astype(np.float32)), *rest)


def fit(train: Labelled, val: Labelled, n_classes: int, plan: Plan, progress: Progress) -> Fitted:
    """Train a head by a plan (epochs, rate, batch, dropout, hidden units, regularization, seed).

    The same input gives bit-equal weights on the same machine. An empty val part means: keep the last epoch.
    """
    standard = Standard.of(train.features)
    x = (train.features - standard.mean) / standard.deviation
    # No rows may have no width either: an empty part is left as it is.
    x_val = (val.features - standard.mean) / standard.deviation if len(val.targets) else val.features
    trainer = _Trainer(x.shape[1], n_classes, len(x), plan)
    history: list[dict[str, float]] = []
    best: tuple[tuple[Array, Array], ...] = ()
    progress.stage("head", plan.epochs)
    for epoch in range(1, plan.epochs + 1):
        scores = trainer.epoch(x, train.targets, epoch)
        if not np.isfinite(scores["loss"]):
            raise HeadstartError("diverged", epoch=epoch)
        if len(x_val):
            scores |= _scores(trainer.layers, x_val, val.targets)
        history.append(scores)
        if curves.best_epoch(history) == epoch:
            best = tuple((kernel.copy(), bias.copy()) for kernel, bias in trainer.layers)
        progress.epoch(epoch, scores)
        progress.tick()
    return Fitted(Head(standard.fold(best)), tuple(history), curves.best_epoch(history))


class _Trainer:
    """Adam on a small dense network, with a cosine schedule to a hundredth of the rate."""

    def __init__(self, width: int, n_classes: int, n: int, plan: Plan) -> None:
        self.plan = plan
        self.steps = plan.epochs * -(-n // plan.batch_size)
        self.step = 0
        rng = np.random.default_rng([plan.seed, 0])
        sizes = [width, *([plan.hidden_units] if plan.hidden_units else []), n_classes]
        self.layers = [_glorot(rng, a, b) for a, b in itertools.pairwise(sizes)]
        # A linear softmax starts from 0: its loss is convex, so there is no symmetry to break.
        if not plan.hidden_units:
            self.layers = [(np.zeros_like(kernel), bias) for kernel, bias in self.layers]
        self.moments = [tuple(np.zeros_like(a) for a in (k, b, k, b)) for k, b in self.layers]
        self.pull = plan.regularization / n * (0.01 if plan.hidden_units else 1.0)

    def epoch(self, x: Array, targets: NDArray[np.int64], epoch: int) -> dict[str, float]:
        rng = np.random.default_rng([self.plan.seed, epoch])
        order = rng.permutation(len(x))
        loss, correct = 0.0, 0
        for start in range(0, len(x), self.plan.batch_size):
            rows = order[start : start + self.plan.batch_size]
            batch_loss, hits = self._step(x[rows], targets[rows], rng)
            loss += batch_loss
            correct += hits
        return {"loss": loss / len(x), "accuracy": correct / len(x)}

    def _step(self, x: Array, targets: NDArray[np.int64], rng: np.random.Generator) -> tuple[float, int]:
        if self.plan.dropout:
            keep = 1 - self.plan.dropout
            x = x * ((rng.random(x.shape, dtype=np.float32) < keep).astype(np.float32) / np.float32(keep))
        activations = _forward(self.layers, x)
        probabilities = _softmax(activations[-1])
        rows = np.arange(len(x))
        loss = float(-np.log(np.maximum(probabilities[rows, targets], 1e-7)).sum())
        hits = int((probabilities.argmax(axis=1) == targets).sum())
        delta = probabilities
        delta[rows, targets] -= 1
        delta /= len(x)
        gradients: list[tuple[Array, Array]] = []
        for i in reversed(range(len(self.layers))):
            kernel = self.layers[i][0]
            inputs = activations[i]
            gradients.append((inputs.T @ delta + np.float32(self.pull) * kernel, delta.sum(axis=0)))
            if i:
                delta = (delta @ kernel.T) * (inputs > 0)
        self._adam(gradients[::-1])
        return loss, hits

    def _adam(self, gradients: Sequence[tuple[Array, Array]]) -> None:
        self.step += 1
        progress = self.step / self.steps
        rate = self.plan.learning_rate * (0.01 + 0.99 * (1 + np.cos(np.pi * progress)) / 2)
        scale = np.float32(rate * np.sqrt(1 - _BETA2**self.step) / (1 - _BETA1**self.step))
        for (kernel, bias), (d_kernel, d_bias), (m_k, m_b, v_k, v_b) in zip(
            self.layers, gradients, self.moments, strict=True
        ):
            for weight, gradient, m, v in ((kernel, d_kernel, m_k, v_k), (bias, d_bias, m_b, v_b)):
                m += np.float32(1 - _BETA1) * (gradient - m)
                v += np.float32(1 - _BETA2) * (gradient * gradient - v)
                weight -= scale * m / (np.sqrt(v) + np.float32(_EPSILON))


def _glorot(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[Array, Array]:
    bound = np.sqrt(6 / (inputs + outputs))
    kernel = rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)
    return kernel, np.zeros(outputs, np.float32)


def _forward(layers: Sequence[tuple[Array, Array]], x: Array) -> list[Array]:
    """The input of each layer, then the logits."""
    values: list[Any] = [x]
    for i, (kernel, bias) in enumerate(layers):
        y = values[-1] @ kernel + bias
        values.append(y if i == len(layers) - 1 else np.maximum(y, 0))
    return values


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def _scores(layers: Sequence[tuple[Array, Array]], x: Array, targets: NDArray[np.int64]) -> dict[str, float]:
    probabilities = _softmax(_forward(layers, x)[-1])
    chosen = probabilities[np.arange(len(x)), targets]
    return {
        "val_loss": float(-np.log(np.maximum(chosen, 1e-7)).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == targets).mean()),
    }
