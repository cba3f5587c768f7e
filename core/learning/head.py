"""The trainable head on frozen features, in numpy, so that the first score needs no TensorFlow.

A `Head` is a stack of what Keras calls Dense layers (relu between, softmax at the end), so its weights go into a Keras
model unchanged. `fit` standardizes the features, trains with Adam, keeps the best epoch by val loss, and folds the
standardization into the first layer. `solve` finds the exact linear head.
"""

import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.disk import blobs
from core.errors import HeadstartError
from core.features.streamed import Matrix, Standard, parts
from core.learning import curves, exact
from core.plan import Plan
from core.progress import Progress
from core.settings import cores, memory_bytes

Array = NDArray[np.float32]

# Keras' defaults for Adam, https://keras.io/api/optimizers/adam/.
_BETA1 = 0.9
_BETA2 = 0.999
_EPSILON = 1e-7
# Large layers are divided among all cores. Workers keep BLAS itself to one thread, because several BLAS threads wait
# for each other when the machine does anything else.
_CORES = cores()
_POOL = ThreadPoolExecutor(_CORES)
# Largest features, in float32, on which exact heads are solved beside a training or to answer a question: each takes
# seconds, and four times as much memory.
MOST_BYTES = 128 << 20
# Up to this many weights, threads cost more than they gain.
_SMALL = 100_000
# Memory while training: weights, two moments of Adam, two work arrays, best weights. Saving and checking takes less.
_BYTES_PER_WEIGHT = 32
# A head that needs at most this many bytes is never refused.
_ALWAYS_ALLOWED_BYTES = 1 << 29
# Regularization from which on the start does not matter: two starts end within 5e-4 of each other. At 0,
# probabilities differed by up to 0.07.
_UNIQUE = 5.0


@dataclass(frozen=True)
class Head:
    """Dense layers as (kernel (inputs, outputs), bias (outputs,)), float32."""

    layers: tuple[tuple[Array, Array], ...]

    def probabilities(self, features: Matrix) -> Array:
        """(n, inputs) -> (n, classes); each row adds up to 1."""
        return _in_parts(self.layers, features)

    def gradient(self, features: Array, index: int) -> Array:
        """The gradient of the logit of class `index` by each feature, (n, inputs) -> (n, inputs)."""
        *lower, (kernel, _) = self.layers
        delta = np.repeat(kernel[None, :, index], len(features), axis=0)
        values = _forward(self.layers, features)
        for (kernel, _), value in zip(reversed(lower), values[-2:0:-1], strict=True):
            delta = (delta * (value > 0)) @ kernel.T
        return delta

    def tempered(self, temperature: float) -> "Head":
        """This head with all logits divided by a temperature."""
        *lower, (kernel, bias) = self.layers
        scale = np.float32(1 / temperature)
        return Head((*lower, (kernel * scale, bias * scale)))

    def to_bytes(self) -> bytes:
        """The bytes of an .npz file of plain arrays."""
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


def sizes(path: Path) -> list[int]:
    """The widths of the head in a file, from its inputs to its classes; its numbers are not read. Raises ValueError if
    it is not such a file."""
    found = []
    try:
        with zipfile.ZipFile(path) as file:
            for i in range(len(file.namelist()) // 2):
                with file.open(f"k_{i}.npy") as array:
                    np.lib.format.read_magic(array)
                    found.append(np.lib.format.read_array_header_1_0(array)[0])
        return [found[0][0], *(shape[1] for shape in found)]
    except blobs.DAMAGE as error:
        raise ValueError(path) from error


def n_weights(sizes: Sequence[int]) -> int:
    """The number of weights and biases of a head of these widths."""
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


@dataclass(frozen=True)
class Labeled:
    """Features (n, width) and their class indices (n,)."""

    features: Matrix
    targets: NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A trained head, one row of scores for each epoch, and the epoch that the head comes from (1 is the first)."""

    head: Head
    history: tuple[dict[str, float], ...]
    best_epoch: int


def class_indices(labels: Iterable[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The index of each label among the classes, (n,)."""
    index = {label: i for i, label in enumerate(classes)}
    return np.array([index[label] for label in labels], np.int64)


def class_weights(targets: NDArray[np.int64], n_classes: int, balance: float) -> Array:
    """The weight of one picture of each class, (classes,): inversely proportional to the size of the class, raised to
    the power `balance`. 0: all pictures weigh the same; 1: all classes do. The mean over the pictures is 1."""
    counts = np.maximum(np.bincount(targets, minlength=n_classes), 1)
    weights = (len(targets) / (n_classes * counts)) ** balance
    result: Array = (weights / weights[targets].mean()).astype(np.float32)
    return result


def fit(train: Labeled, val: Labeled, n_classes: int, plan: Plan, progress: Progress) -> Fitted:
    """Train a head by a plan: its head settings, epochs, rate, batch, balance and seed.

    Losses in the history use the labels without smoothing and leave out the penalty on weights, so they can be compared
    between train and val and between plans. The same input gives bit-equal weights on the same machine. Training stops
    by the plan's patience; with an empty val part it goes on to the last epoch and keeps that.

    Raises HeadstartError("head_too_large") as `require_memory` does, and HeadstartError("diverged") when the loss is no
    longer finite.
    """
    require_memory(train.features.shape[1], n_classes, plan)
    standard = Standard.of(train.features)
    x, x_val = standard.apply(train.features), standard.apply(val.features)
    weights = class_weights(train.targets, n_classes, plan.balance)
    trainer = _Trainer(x.shape[1], weights, len(x), plan)
    history: list[dict[str, float]] = []
    best = [(kernel.copy(), bias.copy()) for kernel, bias in trainer.layers]
    progress.stage("head", plan.epochs)
    for epoch in range(1, plan.epochs + 1):
        scores = trainer.epoch(x, train.targets, epoch, progress)
        if not np.isfinite(scores["loss"]):
            raise HeadstartError("diverged", epoch=epoch)
        if len(x_val):
            scores |= _scores(trainer.layers, x_val, val.targets, weights)
        history.append(scores)
        if curves.best_epoch(history) == epoch:
            for kept, now in zip(best, trainer.layers, strict=True):
                np.copyto(kept[0], now[0])
                np.copyto(kept[1], now[1])
        progress.epoch(epoch, scores)
        progress.tick()
        if curves.is_over(history, plan.patience):
            break
    del trainer  # most of the memory, if the head is large
    return Fitted(Head(standard.fold(best)), tuple(history), curves.best_epoch(history))


def require_memory(width: int, n_classes: int, plan: Plan) -> None:
    """Raises HeadstartError("head_too_large") when a head on features of this width would take more than half of the
    machine's memory."""
    sizes = _sizes(width, n_classes, plan)
    n_weights = sum(a * b for a, b in itertools.pairwise(sizes))
    needed, limit = n_weights * _BYTES_PER_WEIGHT, memory_bytes() // 2
    if limit and needed > max(limit, _ALWAYS_ALLOWED_BYTES):
        raise HeadstartError(
            "head_too_large", millions=round(n_weights / 1e6), needed_gb=needed / 1e9, limit_gb=limit / 1e9
        )


def _sizes(width: int, n_classes: int, plan: Plan) -> list[int]:
    return [width, *([plan.hidden_units] * plan.hidden_layers if plan.hidden_units else []), n_classes]


def solve(
    train: Labeled, n_classes: int, plan: Plan, start: "Head | None" = None, progress: "Progress | None" = None
) -> Head:
    """The linear head with the lowest loss for a plan's regularization, balance and label smoothing. Its rate and
    epochs do not matter.

    `start`, a head of similar settings, makes it faster. It is ignored where too little regularization leaves several
    minima, so that the answer never depends on it."""
    problem, standard = whole_problem(train, n_classes, plan)
    warm = start is not None and plan.regularization >= _UNIQUE
    first = standard.unfold(start.layers)[0] if start and warm else None
    tick = partial(progress.tick, 0) if progress is not None else None  # lets a user cancel
    return Head(standard.fold([problem.minimum(plan.regularization / len(train.targets), first, tick=tick)]))


def whole_problem(train: Labeled, n_classes: int, plan: Plan) -> tuple[exact.Problem, Standard]:
    """What `solve` minimizes, and the standardization of its features."""
    standard = Standard.of(train.features)
    x = np.asarray(standard.apply(train.features)[:])
    aims = smoothed(train.targets, n_classes, plan.label_smoothing)
    weight = class_weights(train.targets, n_classes, plan.balance)[train.targets] / len(x)
    return exact.Problem(x, aims, weight.astype(np.float32)), standard


class _Trainer:
    """Adam on a small dense network; the rate falls along half a cosine to a hundredth."""

    def __init__(self, width: int, class_weights: Array, n: int, plan: Plan) -> None:
        self.plan = plan
        self.weights = class_weights
        self.steps = plan.epochs * -(-n // plan.batch_size)
        self.step = 0
        rng = np.random.default_rng([plan.seed, 0])
        sizes = _sizes(width, len(class_weights), plan)
        self.layers = [_glorot(rng, a, b) for a, b in itertools.pairwise(sizes)]
        # A linear softmax starts from 0: its loss is convex, so there is no symmetry to break.
        if not plan.hidden_units:
            self.layers = [(np.zeros_like(kernel), bias) for kernel, bias in self.layers]
        self.moments = [tuple(np.zeros_like(a) for a in (k, b, k, b)) for k, b in self.layers]
        self.scratch = [(np.empty_like(kernel), np.empty_like(kernel)) for kernel, _ in self.layers]
        self.l2 = np.float32(plan.regularization / n * (0.01 if plan.hidden_units else 1.0))

    def epoch(self, x: Matrix, targets: NDArray[np.int64], epoch: int, progress: Progress) -> dict[str, float]:
        rng = np.random.default_rng([self.plan.seed, epoch])
        order = rng.permutation(len(x))
        loss, correct = 0.0, 0
        for start in range(0, len(x), self.plan.batch_size):
            rows = order[start : start + self.plan.batch_size]
            batch_loss, hits = self._step(x[rows], targets[rows], rng)
            loss += batch_loss
            correct += hits
            progress.tick(0)
        return {"loss": loss / len(x), "accuracy": correct / len(x)}

    def _step(self, x: Array, targets: NDArray[np.int64], rng: np.random.Generator) -> tuple[float, int]:
        if self.plan.dropout:
            keep = 1 - self.plan.dropout
            x = x * ((rng.random(x.shape, dtype=np.float32) < keep).astype(np.float32) / np.float32(keep))
        activations = _forward(self.layers, x)
        delta = _softmax(activations[-1])
        rows = np.arange(len(x))
        weights = self.weights[targets]
        loss = float(-(weights * np.log(np.maximum(delta[rows, targets], 1e-7))).sum())
        hits = int((delta.argmax(axis=1) == targets).sum())
        delta -= smoothed(targets, len(self.weights), self.plan.label_smoothing)
        delta *= (weights / np.float32(len(x)))[:, None]
        deltas = [delta]
        for i in reversed(range(1, len(self.layers))):
            deltas.append((deltas[-1] @ self.layers[i][0].T) * (activations[i] > 0))
        self._adam(activations, deltas[::-1])
        return loss, hits

    def _adam(self, inputs: Sequence[Array], deltas: Sequence[Array]) -> None:
        self.step += 1
        progress = self.step / self.steps
        rate = self.plan.learning_rate * (0.01 + 0.99 * (1 + np.cos(np.pi * progress)) / 2)
        scale = np.float32(rate * np.sqrt(1 - _BETA2**self.step) / (1 - _BETA1**self.step) * _SCALE)
        for layer, x, delta in zip(range(len(self.layers)), inputs, deltas, strict=False):
            kernel, bias = self.layers[layer]
            update = partial(self._update, layer, x, delta, scale)
            _on_all_cores(update, len(kernel), kernel.size)
            _, m, _, v = self.moments[layer]
            _adam_step(bias, delta.sum(axis=0), m, v, scale)

    def _update(self, layer: int, x: Array, delta: Array, scale: np.float32, rows: slice) -> None:
        """One step of Adam for some rows of a kernel."""
        kernel = self.layers[layer][0][rows]
        m, _, v, _ = self.moments[layer]
        # Writes into existing arrays: allocating memory of this size costs as much as the multiplication.
        gradient, penalty = (array[rows] for array in self.scratch[layer])
        np.matmul(x[:, rows].T, delta, out=gradient)
        if self.l2:
            np.multiply(kernel, self.l2, out=penalty)
            gradient += penalty
        _adam_step(kernel, gradient, m[rows], v[rows], scale)


# The moments are kept without the textbook's factors 1 - beta, which saves two passes over the weights; the step size
# and epsilon make up for that.
_SCALE = (1 - _BETA1) / (1 - _BETA2) ** 0.5
_SCALED_EPSILON = np.float32(_EPSILON / (1 - _BETA2) ** 0.5)


def _adam_step(weight: Array, gradient: Array, m: Array, v: Array, scale: np.float32) -> None:
    """One step of Adam in place; overwrites the gradient."""
    m *= np.float32(_BETA1)
    m += gradient
    v *= np.float32(_BETA2)
    gradient *= gradient
    v += gradient
    np.sqrt(v, out=gradient)
    gradient += _SCALED_EPSILON
    np.divide(m, gradient, out=gradient)
    gradient *= scale
    weight -= gradient


def _on_all_cores(work: Callable[[slice], object], length: int, size: int) -> None:
    """Call `work` on slices that cover `length`: one slice per core when `size`, the number of weights, is large."""
    n = _CORES if size > _SMALL else 1
    shares = [slice(length * i // n, length * (i + 1) // n) for i in range(n)]
    list(_POOL.map(work, shares) if n > 1 else map(work, shares))


def _product(x: Array, kernel: Array) -> Array:
    result = np.empty((len(x), kernel.shape[1]), np.float32)
    _on_all_cores(
        lambda columns: np.matmul(x, kernel[:, columns], out=result[:, columns]), kernel.shape[1], kernel.size
    )
    return result


def _glorot(rng: np.random.Generator, inputs: int, outputs: int) -> tuple[Array, Array]:
    bound = np.sqrt(6 / (inputs + outputs))
    kernel = rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32)
    return kernel, np.zeros(outputs, np.float32)


def smoothed(targets: NDArray[np.int64], n_classes: int, smoothing: float) -> Array:
    """Target probabilities, (n, classes): one-hot labels with label smoothing (Szegedy et al., 2016,
    https://arxiv.org/abs/1512.00567; as `label_smoothing` in Keras)."""
    aims = np.full((len(targets), n_classes), smoothing / n_classes, np.float32)
    aims[np.arange(len(targets)), targets] += np.float32(1 - smoothing)
    return aims


def _forward(layers: Sequence[tuple[Array, Array]], x: Array) -> list[Array]:
    """The input of each layer, then the logits."""
    values: list[Any] = [x]
    for i, (kernel, bias) in enumerate(layers):
        y = _product(values[-1], kernel) + bias
        values.append(y if i == len(layers) - 1 else np.maximum(y, 0))
    return values


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def _scores(
    layers: Sequence[tuple[Array, Array]], x: Matrix, targets: NDArray[np.int64], weights: Array
) -> dict[str, float]:
    probabilities = _in_parts(layers, x)
    losses = -np.log(np.maximum(probabilities[np.arange(len(x)), targets], 1e-7))
    return {
        "val_loss": float((weights[targets] * losses).sum() / weights[targets].sum()),
        "val_accuracy": float((probabilities.argmax(axis=1) == targets).mean()),
    }


def _in_parts(layers: Sequence[tuple[Array, Array]], x: Matrix) -> Array:
    answers = [_softmax(_forward(layers, part)[-1]) for part in parts(x)]
    return np.concatenate(answers) if answers else np.empty((0, len(layers[-1][1])), np.float32)
