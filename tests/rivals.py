"""What `bench_accuracy` measures Headstart against: other ways to learn from the same pictures in the same parts.

A rival gets the pictures of train and val with their classes and those of test without, and answers with probabilities,
so none can choose anything by the test part. All see the pixels of the same decoder. The fine-tunings are plain Keras.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from core import backbones
from core.backbones import Backbone
from core.features.feature_cache import decode, views
from core.learning import head
from core.learning.head import Labeled
from core.neural import networks
from core.plan import Plan, may_flip
from core.progress import Silent
from core.sandbox import decoding
from core.sandbox.process import Children
from core.store.store import Store

Rows = NDArray[np.int64]
Array = NDArray[np.float32]

BATCH = 32
# Values of C for the logistic regression, on standardized features: two a decade.
_CS = np.logspace(-4, 0, 9)
_FOLDS = 5
# 24 settings of the head around what is suggested.
GRID: dict[str, tuple[Any, ...]] = {
    "regularization": (2.0, 5.0, 10.0, 20.0, 50.0, 200.0),
    "hidden_units": (0, 256),
    "dropout": (0.0, 0.3),
}
# The tutorial has 2,000 pictures and 10 epochs in each of its two phases: fewer pictures get as many steps.
_TUTORIAL_EPOCHS = 10
_TUTORIAL_STEPS = 630
# The tutorial's MobileNetV2 has 154 layers and learns from number 100 on; another network from the same share on.
_TUTORIAL_FROM = 100 / 154
# Steps of the careful fine-tuning, and fewest and most epochs.
_CAREFUL_STEPS = 1_500
_CAREFUL_EPOCHS = (20, 60)


@dataclass(frozen=True)
class Looked:
    """All pictures of a set as the rivals see them: id -> row, pixels (n, size, size, 3), features of the frozen
    backbone (n, width), average pooled, and the seconds that decoding and the features took."""

    backbone: Backbone
    row: dict[str, int]
    pixels: NDArray[np.uint8]
    features: Array
    decoding_s: float
    features_s: float


@dataclass(frozen=True)
class Task:
    """What a rival is told: rows of `looked` for each part, the classes of train and val, the seed."""

    looked: Looked
    classes: tuple[str, ...]
    train: Rows
    train_targets: Rows
    val: Rows
    val_targets: Rows
    test: Rows
    seed: int

    @property
    def learned(self) -> tuple[Rows, Rows]:
        """Rows and targets of train and val together."""
        return np.concatenate([self.train, self.val]), np.concatenate([self.train_targets, self.val_targets])


def look(store: Store, ids: Sequence[str], backbone: Backbone, folder: Path) -> Looked:
    """Decode pictures and compute their features by plain Keras. The pixels lie in a file of `folder`."""
    started = time.monotonic()
    shape = (len(ids), backbone.size, backbone.size, 3)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, shape)
    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
        for row, square in enumerate(decode(children, store.pictures, views(ids), backbone.size)):
            pixels[row] = square
    decoded = time.monotonic()
    network = _network(backbone)
    pooled = keras.Model(network.input, networks.pool(network.output, "average"))
    features = _predicted(pooled, pixels, np.arange(len(ids)))
    row = {key: number for number, key in enumerate(ids)}
    return Looked(backbone, row, pixels, features, decoded - started, time.monotonic() - decoded)


def regression(task: Task) -> Array:
    """Logistic regression on standardized features of train and val, C by 5-fold cross-validation of the log loss."""
    rows, targets = task.learned
    folds = min(_FOLDS, int(np.bincount(targets).min()))
    if folds > 1:
        parts = StratifiedKFold(folds, shuffle=True, random_state=task.seed)
        fitted = LogisticRegressionCV(
            Cs=_CS, l1_ratios=(0,), cv=parts, scoring="neg_log_loss", max_iter=2000, use_legacy_attributes=False
        )
    else:
        fitted = LogisticRegression(C=0.02, max_iter=2000)
    model = make_pipeline(StandardScaler(), fitted)
    with threadpool_limits(1):  # several threads of a small matrix wait for each other
        model.fit(task.looked.features[rows], targets)
    return np.asarray(model.predict_proba(task.looked.features[task.test]), np.float32)


def grid(task: Task) -> Array:
    """The best of 24 heads of Headstart on train, chosen by val accuracy and then val loss."""
    features = task.looked.features
    train, val = Labeled(features[task.train], task.train_targets), Labeled(features[task.val], task.val_targets)
    found: list[tuple[Any, ...]] = []
    for values in itertools.product(*GRID.values()):
        plan = Plan(backbone=task.looked.backbone.name, **dict(zip(GRID, values, strict=True)))
        fitted = head.fit(train, val, len(task.classes), plan, Silent())
        row = fitted.history[fitted.best_epoch - 1]
        found.append((-row.get("val_accuracy", 0.0), row.get("val_loss", 0.0), len(found), fitted.head))
    return min(found)[-1].probabilities(features[task.test])


def tutorial(task: Task) -> Array:
    """TensorFlow's tutorial "Transfer learning and fine-tuning": frozen with Dropout(0.2) and Dense at 1e-4, then the
    layers from number 100 on at 1e-5; pictures are rotated, and mirrored where that keeps their class."""
    keras.utils.set_random_seed(task.seed)
    network = _network(task.looked.backbone)
    mirror = [keras.layers.RandomFlip("horizontal")] if may_flip(task.classes) else []
    network.trainable = False
    model = _classifier(task, network, [*mirror, keras.layers.RandomRotation(0.2)], dropout=0.2)
    batches = Batches(task, task.train, task.train_targets)
    epochs = max(_TUTORIAL_EPOCHS, math.ceil(_TUTORIAL_STEPS / len(batches)))
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    model.fit(batches, epochs=epochs, verbose=0)
    network.trainable = True
    for layer in network.layers[: round(len(network.layers) * _TUTORIAL_FROM)]:
        layer.trainable = False
    model.compile(keras.optimizers.RMSprop(1e-5), "sparse_categorical_crossentropy")
    model.fit(batches, epochs=epochs, verbose=0)
    return _answers(model, task)


def careful(task: Task) -> Array:
    """All layers on train and val: AdamW with warm-up and half a cosine, fresh crops each epoch, label smoothing,
    BatchNormalization with its stored statistics, a fixed number of epochs, so that nothing is left to choose."""
    keras.utils.set_random_seed(task.seed)
    model = _classifier(task, _network(task.looked.backbone), [], dropout=0.0)
    alter = partial(crops, rng=np.random.default_rng(task.seed), mirror=may_flip(task.classes))
    batches = Batches(task, *task.learned, alter)
    low, high = _CAREFUL_EPOCHS
    epochs = min(max(_CAREFUL_STEPS // len(batches), low), high)
    steps = epochs * len(batches)
    warm = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warm, warmup_target=3e-4, warmup_steps=warm)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    batches.one_hot = len(task.classes)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), loss)
    model.fit(batches, epochs=epochs, verbose=0)
    return _answers(model, task)


@dataclass(frozen=True)
class Rival:
    """A way to answer the test pictures of a task with probabilities (n, classes), and whether it needs features."""

    title: str
    answer: Callable[[Task], Array]
    on_features: bool


RIVALS = {
    "regression": Rival("logistic regression", regression, True),
    "grid": Rival("best of 24 heads", grid, True),
    "tutorial": Rival("TensorFlow tutorial", tutorial, False),
    "careful": Rival("careful fine-tuning", careful, False),
}


class Batches(keras.utils.PyDataset):
    """Shuffled batches of some rows, anew each epoch; `alter` changes the pixels of a batch. Targets are numbers, or
    one-hot with `one_hot` columns."""

    def __init__(self, task: Task, rows: Rows, targets: Rows, alter: Callable[[Array], Array] | None = None) -> None:
        super().__init__()
        self.pixels, self.rows, self.targets, self.alter = task.looked.pixels, rows, targets, alter
        self.one_hot = 0
        self.rng = np.random.default_rng(task.seed)
        self.order = self.rng.permutation(len(rows))

    def __len__(self) -> int:
        return -(-len(self.rows) // BATCH)

    def __getitem__(self, index: int) -> tuple[Array, NDArray[Any]]:
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        pixels = self.pixels[self.rows[chosen]].astype(np.float32)
        targets = self.targets[chosen]
        answers = np.eye(self.one_hot, dtype=np.float32)[targets] if self.one_hot else targets
        return self.alter(pixels) if self.alter else pixels, answers

    def on_epoch_end(self) -> None:
        self.order = self.rng.permutation(len(self.rows))


def crops(pixels: Array, rng: np.random.Generator, mirror: bool) -> Array:
    """A random crop of each picture, (n, size, size, 3), at its size again: 35 to 100 % of the area, sides up to 4:3,
    half of them mirrored if `mirror`."""
    n, size = len(pixels), pixels.shape[1]
    area, ratio = rng.uniform(0.35, 1, n), np.exp(rng.uniform(-math.log(4 / 3), math.log(4 / 3), n))
    height, width = np.minimum(np.sqrt(area / ratio), 1), np.minimum(np.sqrt(area * ratio), 1)
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    right = left + width
    turned = rng.random(n) < 0.5 * mirror
    left, right = np.where(turned, right, left), np.where(turned, left, right)
    boxes = np.stack([top, left, top + height, right], axis=1).astype(np.float32)
    return np.asarray(tf.image.crop_and_resize(pixels, boxes, np.arange(n), (size, size)))


def _network(backbone: Backbone) -> keras.Model:
    keras.backend.clear_session()
    return networks.build(backbone, backbones.weights_path(backbone))


def _classifier(task: Task, network: keras.Model, before: Sequence[Any], dropout: float) -> keras.Model:
    pixels = keras.Input(network.input_shape[1:])
    values = pixels
    for layer in before:
        values = layer(values)
    values = networks.pool(network(values, training=False), "average")
    if dropout:
        values = keras.layers.Dropout(dropout)(values)
    start = "glorot_uniform" if dropout else "zeros"
    return keras.Model(
        pixels, keras.layers.Dense(len(task.classes), activation="softmax", kernel_initializer=start)(values)
    )


def _answers(model: keras.Model, task: Task) -> Array:
    return _predicted(model, task.looked.pixels, task.test)


def _predicted(model: keras.Model, pixels: NDArray[np.uint8], rows: Rows) -> Array:
    """By batches: Keras' `predict` would copy all pixels."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return np.concatenate([model.predict_on_batch(pixels[part].astype(np.float32)) for part in parts])
