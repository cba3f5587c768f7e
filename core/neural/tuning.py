"""Fine-tuning: the last blocks of the network go on learning, slowly, together with the head.

The frozen blocks run once: training starts from their cached outputs at the boundary. BatchNormalization stays in
inference mode (its statistics are those of pretraining; https://keras.io/guides/transfer_learning/). Epoch 0 is the
frozen model: it is kept unless an epoch is better on val. After each epoch a checkpoint is offered to `keep`, so that
work that was cut off goes on from there.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.backbones import Block
from core.errors import HeadstartError
from core.head import Head, Labelled, Standard
from core.neural import networks
from core.plan import Plan
from core.progress import Progress

Array = NDArray[np.float32]

# Epochs without a better one after which fine-tuning stops by itself.
_PATIENCE = 5


@dataclass(frozen=True)
class Tuned:
    """The network's weights and head after tuning; `best_epoch` 0 means that the frozen model was better."""

    head: Head
    weights: tuple[Array, ...]
    history: tuple[dict[str, float], ...]
    best_epoch: int


def fine_tune(
    network: keras.Model,
    block: Block,
    head: Head,
    data: tuple[Labelled, Labelled],
    plan: Plan,
    progress: Progress,
    keep: "Checkpoints",
) -> Tuned:
    """Train `network` from `block` on, and the head. `data` is (train, val): boundary activations and targets.

    `network` is left with the best weights. Stops early when val has not improved for five epochs.
    """
    train, val = data
    upper = networks.upper(network, block)
    tuner = _Tuner(upper, head, train, plan)
    state = keep.load()
    if state is None or not tuner.fits(state.current):
        state = _State([], 0, tuner.arrays(), tuner.arrays())
        first = tuner.score(val)
        state.history.append(first)
    else:
        tuner.restore(state.current)
    progress.stage("fine_tune", plan.fine_tune_epochs)
    for row, scores in enumerate(state.history[1:], start=1):
        progress.epoch(row, scores)
        progress.tick()
    for epoch in range(len(state.history), plan.fine_tune_epochs + 1):
        if epoch - state.best > _PATIENCE:
            break
        scores = tuner.epoch(train, epoch, progress) | tuner.score(val)
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


@dataclass
class _State:
    """Where a training stands: everything needed to go on as if it had not stopped."""

    history: list[dict[str, float]]
    best: int
    current: list[Array]
    best_arrays: list[Array]


class Checkpoints:
    """Keeps the newest state through two functions: `write(bytes)` must be durable, `read()` answers None at first."""

    def __init__(self, read: Callable[[], bytes | None], write: Callable[[bytes], None]) -> None:
        self._read = read
        self._write = write

    def save(self, state: _State) -> None:
        arrays: dict[str, Any] = {f"current_{i}": a for i, a in enumerate(state.current)}
        arrays |= {f"best_{i}": a for i, a in enumerate(state.best_arrays)}
        names = sorted({name for row in state.history for name in row})
        table = [[row.get(name, np.nan) for name in names] for row in state.history]
        out = io.BytesIO()
        np.savez(out, history=np.array(table), names=np.array(names), best_epoch=np.array(state.best), **arrays)
        self._write(out.getvalue())

    def load(self) -> _State | None:
        """The newest state, or None: at first, and when what was kept cannot be read."""
        data = self._read()
        if data is None:
            return None
        try:
            return self._parse(data)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    @staticmethod
    def _parse(data: bytes) -> _State:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            names = [str(name) for name in file["names"]]
            history = [
                {name: float(x) for name, x in zip(names, row, strict=True) if not np.isnan(x)}
                for row in file["history"]
            ]
            n = sum(name.startswith("current_") for name in file.files)
            current = [file[f"current_{i}"] for i in range(n)]
            best = [file[f"best_{i}"] for i in range(n)]
            return _State(history, int(file["best_epoch"]), current, best)


class _Tuner:
    """The upper network with a head on standardized features, and one optimizer for both."""

    def __init__(self, upper: keras.Model, head: Head, train: Labelled, plan: Plan) -> None:
        self.plan = plan
        self.upper = upper
        for layer in upper.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        pooled = keras.Model(upper.input, networks.pool(upper.output, plan.pooling))
        # The head was trained on standardized features; its weights have a sensible scale only there.
        self.standard = Standard.of(pooled.predict(train.features, batch_size=64, verbose=0))
        x = keras.layers.Normalization(mean=self.standard.mean, variance=self.standard.deviation**2, name="standard")(
            pooled.output
        )
        self.dense = []
        layers = self.standard.unfold(head.layers)
        for i, (_, bias) in enumerate(layers):
            x = keras.layers.Dropout(plan.dropout, seed=plan.seed)(x) if plan.dropout and not i else x
            self.dense.append(keras.layers.Dense(len(bias), None if i == len(layers) - 1 else "relu"))
            x = self.dense[-1](x)
        self.model = keras.Model(upper.input, x)
        for layer, weights in zip(self.dense, layers, strict=True):
            layer.set_weights(weights)
        self.optimizer = keras.optimizers.Adam(plan.fine_tune_rate)
        self.optimizer.build(self.model.trainable_variables)
        self.model.compile(
            self.optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        )

    def epoch(self, train: Labelled, epoch: int, progress: Progress) -> dict[str, float]:
        """One pass, in an order that depends on (seed, epoch) alone; the state of dropout is among the variables."""
        order = np.random.default_rng([self.plan.seed, 1, epoch]).permutation(len(train.targets))

        class Report(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                progress.tick(0)

        history = self.model.fit(
            train.features[order],
            train.targets[order],
            batch_size=self.plan.batch_size,
            shuffle=False,
            verbose=0,
            callbacks=[Report()],
        ).history
        return {"loss": float(history["loss"][0]), "accuracy": float(history["accuracy"][0])}

    def score(self, val: Labelled) -> dict[str, float]:
        if not len(val.targets):
            return {}
        loss, accuracy = self.model.evaluate(val.features, val.targets, batch_size=64, verbose=0)
        return {"val_loss": float(loss), "val_accuracy": float(accuracy)}

    def arrays(self) -> list[Array]:
        variables = [*self.model.variables, *self.optimizer.variables]
        return [np.array(v.numpy()) for v in variables]

    def fits(self, arrays: list[Array]) -> bool:
        """Whether arrays of a checkpoint are of this network and optimizer (another Keras may lay them out anew)."""
        return [a.shape for a in arrays] == [a.shape for a in self.arrays()]

    def restore(self, arrays: list[Array]) -> None:
        for variable, value in zip([*self.model.variables, *self.optimizer.variables], arrays, strict=True):
            variable.assign(value)

    def head(self) -> Head:
        """The head for raw features, as it is now."""
        layers = [(np.array(k), np.array(b)) for k, b in (layer.get_weights() for layer in self.dense)]
        return Head(self.standard.fold(layers))


def _better(scores: dict[str, float], best: dict[str, float]) -> bool:
    """By val accuracy, then by val loss. Without a val part no epoch is better than the frozen model."""
    if "val_loss" not in scores:
        return False
    return (scores["val_accuracy"], -scores["val_loss"]) > (best["val_accuracy"], -best["val_loss"])
