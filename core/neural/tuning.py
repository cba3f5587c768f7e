"""Fine-tuning: trains the last blocks of the network together with the head, at a low rate.

Training starts from the outputs of the frozen blocks at the boundary. They are cached, or, where each epoch has fresh
copies of the pictures, computed in it. BatchNormalization stays in inference mode (its statistics are those of
pretraining; https://keras.io/guides/transfer_learning/), folded into the convolutions, unless the plan says otherwise.
Epoch 0 is the frozen model: it is kept unless an epoch is better on val. After each epoch `keep` stores a checkpoint,
so that interrupted work continues from there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core import backbones
from core.errors import HeadstartError
from core.features.streamed import Standard
from core.learning.head import Head, Labeled
from core.neural import networks, schedule
from core.neural.checkpoints import Checkpoints, State
from core.neural.folding import fold
from core.plan import Plan
from core.progress import Progress

Array = NDArray[np.float32]
Rows = NDArray[np.int64]

# Batch size for inference; on two cores larger batches gain nothing.
_FORWARD_BATCH = 64


@dataclass(frozen=True)
class Frozen:
    """What fine-tuning begins with: the head on the features of the frozen network, and the mean and deviation of those
    of train."""

    head: Head
    standard: Standard


@dataclass(frozen=True)
class Tuned:
    """Head and network weights after fine-tuning; `best_epoch` 0 means that the frozen model was better."""

    head: Head
    weights: tuple[Array, ...]
    history: tuple[dict[str, float], ...]
    best_epoch: int


def fine_tune(
    upper: keras.Model,
    frozen: Frozen,
    data: tuple[Callable[[int], Labeled], Labeled],
    plan: Plan,
    progress: Progress,
    keep: Checkpoints,
    class_weights: Array | None = None,
) -> Tuned:
    """Train the upper part of a network (see `networks.upper`) and the head of the `frozen` model.

    `data` is (train, val): boundary activations (see `networks.lower`) and targets, those of train by the number of an
    epoch. The activations need only a length and indexing by an array of row numbers. `class_weights` (classes,) weight
    the losses and the choice of the best epoch. The network ends with the best weights. Stops early when val has not
    improved for `fine_tune_patience` epochs.

    Raises HeadstartError("diverged") when the loss is no longer finite.
    """
    train, val = data
    state = keep.load()
    progress.stage("fine_tune", plan.fine_tune_epochs, max(0, len(state.history) - 1) if state else 0)
    tuner = _Tuner(upper, frozen, plan, progress)
    if class_weights is not None:
        tuner.class_weights = np.asarray(class_weights, np.float32)
    if state is not None and not tuner.fits(state.current):
        state = None
        progress.stage("fine_tune", plan.fine_tune_epochs)
    if state is None:
        state = State([], 0, tuner.arrays(), tuner.arrays())
        state.history.append(tuner.score(val))
    else:
        tuner.restore(state.current)
    for row, scores in enumerate(state.history[1:], start=1):
        progress.epoch(row, scores)
    for epoch in range(len(state.history), plan.fine_tune_epochs + 1):
        if schedule.is_over(plan, epoch, state.best):
            break
        scores = tuner.epoch(train(epoch), epoch) | tuner.score(val)
        if not np.isfinite(scores["loss"]):
            raise HeadstartError("diverged", epoch=epoch)
        state.history.append(scores)
        state.current = tuner.arrays()
        if _better(scores, state.history[state.best]):
            state.best, state.best_arrays = epoch, state.current
        keep.save(state)
        progress.epoch(epoch, scores)
        progress.tick()
    tuner.restore(state.best_arrays)
    return Tuned(tuner.head(), tuple(upper.get_weights()), tuple(state.history), state.best)


class _Tuner:
    """The upper network with a head on standardized features, and one optimizer for both."""

    def __init__(self, upper: keras.Model, frozen: Frozen, plan: Plan, progress: Progress) -> None:
        self.plan = plan
        self.progress = progress
        self.class_weights = np.ones(len(frozen.head.layers[-1][1]), np.float32)
        self.blocks = _blocks(upper, plan)
        for number, layer in enumerate(upper.layers):
            if hasattr(layer, "seed_generator"):  # dropout inside a backbone, whose seed is otherwise random
                layer.seed_generator.state.assign([plan.seed, number])
        self._unfreeze(len(self.blocks))
        # Normalizations whose statistics move with every batch cannot be folded: they compute differently in training.
        folded = upper if plan.fine_tune_batch_norm == "adapt" else fold(upper)
        pooled = networks.joined(folded, plan)
        # The head was trained on standardized features, and its weights have a useful scale only for those.
        self.standard = frozen.standard
        x = keras.layers.Normalization(mean=self.standard.mean, variance=self.standard.deviation**2, name="standard")(
            pooled.output
        )
        self.dense = []
        layers = self.standard.unfold(frozen.head.layers)
        for i, (_, bias) in enumerate(layers):
            x = keras.layers.Dropout(plan.dropout, seed=plan.seed)(x) if plan.dropout and not i else x
            self.dense.append(keras.layers.Dense(len(bias), None if i == len(layers) - 1 else "relu"))
            x = self.dense[-1](x)
        self.model = keras.Model(pooled.input, x)
        for layer, weights in zip(self.dense, layers, strict=True):
            layer.set_weights(weights)
        self.groups = [[v for layer in block for v in layer.trainable_variables] for block in self.blocks]
        self.groups[0] += [v for layer in self.dense for v in layer.trainable_variables]
        # One optimizer per block: Adam's first steps are only right where its count of steps starts with its moments.
        self.optimizers = [keras.optimizers.Adam(plan.fine_tune_rate) for _ in self.groups]
        for optimizer, group in zip(self.optimizers, self.groups, strict=True):
            optimizer.build(group)
        # Our own function in place of Keras' fit: batches can come from memory, disk or decoding, and a step costs
        # little more than its arithmetic.
        self._step = tf.function(self._learn, reduce_retracing=True)

    def _unfreeze(self, n: int) -> None:
        """Make the top `n` blocks trainable and freeze the others. For a normalization, `trainable` also decides
        whether its statistics move."""
        for number, block in enumerate(self.blocks):
            for layer in block:
                normalizes = isinstance(layer, keras.layers.BatchNormalization)
                layer.trainable = number < n and not (normalizes and self.plan.fine_tune_batch_norm == "frozen")

    def epoch(self, train: Labeled, epoch: int) -> dict[str, float]:
        """One pass, in an order that depends only on (seed, epoch); the state of dropout is part of the checkpoint."""
        n, size = len(train.targets), self.plan.batch_size
        order = np.random.default_rng([self.plan.seed, 1, epoch]).permutation(n)
        steps, n_blocks = -(-n // size), schedule.blocks(self.plan, epoch)
        self._unfreeze(n_blocks)
        loss, correct = 0.0, 0
        for step, (rows, x) in enumerate(self._batches(train, order, size), start=(epoch - 1) * steps):
            targets = train.targets[rows]
            rate = tf.constant(schedule.rate(self.plan, step, steps), tf.float32)
            batch_loss, hits = self._step(x, targets, self.class_weights[targets], rate, n_blocks)
            loss += float(batch_loss) * len(rows)
            correct += int(hits)
        return {"loss": loss / n, "accuracy": correct / n}

    def _learn(self, x: Any, targets: Any, weights: Any, rate: Any, n_blocks: int) -> tuple[Any, Any]:
        """One step of the top blocks. Returns the weighted loss of the batch without smoothing, and the number of
        correct pictures, both before the step."""
        groups = self.groups[:n_blocks]
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            reported = tf.reduce_mean(losses * weights)  # without smoothing, so that it can be compared with val
            if self.plan.label_smoothing:  # as in the training of the head
                even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
                losses += self.plan.label_smoothing * (even - losses)
            loss = tf.reduce_mean(losses * weights)
        for number, gradients in enumerate(tape.gradient(loss, groups)):
            optimizer = self.optimizers[number]
            optimizer.learning_rate.assign(rate * schedule.share(self.plan, number))
            optimizer.apply(gradients, groups[number])
        return reported, tf.math.count_nonzero(tf.argmax(logits, axis=1) == targets)

    def score(self, val: Labeled) -> dict[str, float]:
        if not len(val.targets):
            return {}
        logits = self._predict(self.model, val).astype(np.float64)
        top = logits.max(axis=1)
        true = logits[np.arange(len(logits)), val.targets]
        losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - true
        right, weights = logits.argmax(axis=1) == val.targets, self.class_weights[val.targets].astype(np.float64)
        return {
            "val_loss": float((weights * losses).sum() / weights.sum()),
            "val_accuracy": float(right.mean()),
            "val_balanced": float((weights * right).sum() / weights.sum()),
        }

    def _predict(self, model: keras.Model, data: Labeled) -> Array:
        """The outputs of a model for all rows, in order, (n, ...)."""
        batches = self._batches(data, np.arange(len(data.targets)), _FORWARD_BATCH)
        return np.concatenate([model.predict_on_batch(x) for _, x in batches])

    def _batches(self, data: Labeled, order: Rows, size: int) -> Iterator[tuple[Rows, Array]]:
        """Row numbers and their activations, in batches; a user can cancel at each batch."""
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield rows, np.asarray(data.features[rows], np.float32)
            self.progress.tick(0)

    @property
    def _variables(self) -> list[Any]:
        return [*self.model.variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    def arrays(self) -> list[Array]:
        return [np.array(v.numpy()) for v in self._variables]

    def fits(self, arrays: list[Array]) -> bool:
        """Whether the arrays of a checkpoint match this network and optimizer; another version of Keras may arrange
        them differently."""
        return [a.shape for a in arrays] == [a.shape for a in self.arrays()]

    def restore(self, arrays: list[Array]) -> None:
        for variable, value in zip(self._variables, arrays, strict=True):
            variable.assign(value)

    def head(self) -> Head:
        """The present head, for features that are not standardized."""
        layers = [(np.array(k), np.array(b)) for k, b in (layer.get_weights() for layer in self.dense)]
        return Head(self.standard.fold(layers))


def _blocks(upper: keras.Model, plan: Plan) -> list[list[keras.layers.Layer]]:
    """The layers of each block that is fine-tuned, the topmost first."""
    layers = list(upper.layers)  # in the order of computation: a block is the layers between two boundaries
    blocks = []
    for block in backbones.find(plan.backbone).blocks[: plan.fine_tune_blocks - 1]:
        start = 1 + [layer.name for layer in layers].index(block.after)
        blocks.append(layers[start:])
        layers = layers[:start]
    return [*blocks, layers]


def _better(scores: dict[str, float], best: dict[str, float]) -> bool:
    """Whether an epoch is better: by weighted val accuracy, then by val loss. Without a val part no epoch is better
    than the frozen model."""
    if "val_loss" not in scores:
        return False
    return (scores["val_balanced"], -scores["val_loss"]) > (best["val_balanced"], -best["val_loss"])
