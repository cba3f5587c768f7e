"""Train a model of Headstart again without Headstart: python train.py PICTURES

Needs keras, tensorflow, numpy and pillow, and beside it the files it came with: split.csv says which picture is in
which class and part by the sha256 of its file, so PICTURES may be arranged in any way. Prints the accuracy on the test
pictures and writes trained.keras, whose input is prepared as in `network_input`.
"""

import csv
import hashlib
import inspect
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image

from core.neural.use_model import decode, square

# -- the run
BACKBONE: dict[str, Any] = {"name": "Starter", "size": 128, "fine_tune_from": "block3_out"}
CLASSES = ["cat", "dog"]
PLAN: dict[str, Any] = {"augment": 0, "fine_tune_blocks": 0}
MEASURED = "Headstart: right on 0 of 0 test pictures."
# -- end of the run

HERE = Path(__file__).parent
Labelled = tuple[np.ndarray, np.ndarray]


class View(NamedTuple):
    """A picture of a class, as it is (0) or as its altered copy of that number."""

    path: Path
    sha256: str
    label: int
    number: int = 0


def find_pictures(folder: Path) -> dict[str, list[View]]:
    """The pictures of each part, found below a folder by the sha256 of their bytes."""
    paths = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    parts: dict[str, list[View]] = {"train": [], "val": [], "test": []}
    missing = 0
    with (HERE / "split.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["sha256"] in paths:
                view = View(paths[row["sha256"]], row["sha256"], CLASSES.index(row["class"]))
                parts[row["part"]].append(view)
            else:
                missing += 1
    if missing:
        sys.exit(f"{missing} pictures of split.csv are not below {folder}.")
    # First all pictures as they are, then all of their first copies, and so on.
    parts["train"] = [v._replace(number=n) for n in range(PLAN["augment"] + 1) for v in parts["train"]]
    return parts


# -- pixels


def pixels(view: View) -> np.ndarray:
    """(size, size, 3) of 0..255."""
    image = decode(str(view.path), BACKBONE["size"])
    if view.number:
        image = alter(image, view.number, PLAN["augment_kinds"].split(), bytes.fromhex(view.sha256))
    return square(image, BACKBONE["size"])


def alter(image: Image.Image, number: int, kinds: Sequence[str], seed: bytes) -> Image.Image:
    """An altered copy of the central square: turned, cropped, mirrored when its number is odd, in other light."""
    scale, down, right, contrast, brightness, turn = np.random.default_rng([number, *seed[:8]]).random(6)
    side = min(image.size)
    image = center(image, side)
    if "turn" in kinds:
        degrees = 12.0 * (2 * turn - 1)
        angle = abs(math.radians(degrees))
        side = max(8, int(side / (math.cos(angle) + math.sin(angle))))
        image = center(image.rotate(degrees, Image.Resampling.BILINEAR), side)
    if "crop" in kinds:
        smaller = max(8, int(side * (0.84 + 0.16 * scale)))
        left, top = (int(share * (side - smaller + 1)) for share in (right, down))
        image = image.crop((left, top, left + smaller, top + smaller))
    if "flip" in kinds and number % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "light" in kinds:
        values = (np.asarray(image, np.float32) - 128) * (0.8 + 0.4 * contrast) + 128 + 25 * (2 * brightness - 1)
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return image


def center(image: Image.Image, side: int) -> Image.Image:
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


# -- the backbone


def backbone() -> keras.Model:
    """The pretrained network, from what `network_input` makes to its last feature map."""
    size = BACKBONE["size"]
    if BACKBONE["name"] == "Starter":
        from core.neural.starter import starter  # beside this file only when it is used

        scaled = keras.Input((size, size, 3))
        network = keras.Model(scaled, starter(scaled))
        network.load_weights(HERE / "starter.weights.h5")
        return network
    factory: Any = getattr(keras.applications, BACKBONE["name"])
    return factory(include_top=False, weights="imagenet", input_shape=(size, size, 3))


def network_input(batch: np.ndarray) -> np.ndarray:
    """Pixels of 0..255 in the range the network was trained with."""
    values = batch.astype("float32")
    if BACKBONE["name"] == "Starter":
        return values / 127.5 - 1
    module: Any = inspect.getmodule(inspect.unwrap(getattr(keras.applications, BACKBONE["name"])))
    return module.preprocess_input(values)


def pooled(network: keras.Model) -> keras.Model:
    """With one row of features at the end."""
    layer = {
        "average": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
        "flatten": keras.layers.Flatten,
    }[PLAN["pooling"]]
    return keras.Model(network.input, layer()(network.output))


def look(model: keras.Model, views: Sequence[View]) -> np.ndarray:
    """What a model says of pictures, 64 at a time."""
    parts = [np.stack([pixels(view) for view in views[i : i + 64]]) for i in range(0, len(views), 64)]
    answers = [np.asarray(model.predict_on_batch(network_input(part))) for part in parts]
    return np.concatenate(answers) if answers else np.empty((0, *model.output_shape[1:]), np.float32)


def labels(views: Sequence[View]) -> np.ndarray:
    return np.array([view.label for view in views], np.int64)


# -- the head


def class_weights(y: np.ndarray) -> np.ndarray:
    """What a picture of each class counts; the mean over the pictures is 1."""
    counts = np.maximum(np.bincount(y, minlength=len(CLASSES)), 1)
    weights = (len(y) / (len(CLASSES) * counts)) ** PLAN["balance"]
    return (weights / weights[y].mean()).astype(np.float32)


def new_head(width: int, n: int) -> keras.Sequential:
    """Dense layers on standardized features; weights are drawn by numpy, so that each seed gives the same ones."""
    hidden = [PLAN["hidden_units"]] * PLAN["hidden_layers"] if PLAN["hidden_units"] else []
    # Keras adds l2 times the squares, so its gradient is twice that.
    pull = PLAN["regularization"] / n * (0.01 if hidden else 1.0) / 2
    head = keras.Sequential([keras.Input((width,))])
    for units in hidden:
        head.add(keras.layers.Dense(units, "relu", kernel_regularizer=keras.regularizers.L2(pull)))
    head.add(keras.layers.Dense(len(CLASSES), kernel_regularizer=keras.regularizers.L2(pull)))
    rng = np.random.default_rng([PLAN["seed"], 0])
    for layer in head.layers:
        inputs, outputs = layer.kernel.shape
        bound = np.sqrt(6 / (inputs + outputs))
        kernel = rng.uniform(-bound, bound, (inputs, outputs)) if hidden else np.zeros((inputs, outputs))
        layer.set_weights([kernel.astype(np.float32), np.zeros(outputs, np.float32)])
    return head


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """Along half a cosine to a hundredth of the rate."""

    def __init__(self, rate: float, steps: int) -> None:
        self.rate, self.steps = rate, steps

    def __call__(self, step: Any) -> Any:
        progress = (keras.ops.cast(step, "float32") + 1) / self.steps
        return self.rate * (0.01 + 0.99 * (1 + keras.ops.cos(math.pi * progress)) / 2)


def train_head(train: Labelled, val: Labelled) -> keras.Sequential:
    """Adam on the standardized features; the epoch with the lowest val loss is kept."""
    (x, y), size = train, PLAN["batch_size"]
    head = new_head(x.shape[1], len(x))
    steps = PLAN["epochs"] * math.ceil(len(x) / size)
    head.compile(
        keras.optimizers.Adam(Cosine(PLAN["learning_rate"], steps)),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=PLAN["label_smoothing"]),
    )
    weights, aims = class_weights(y), np.eye(len(CLASSES), dtype=np.float32)
    best, best_epoch, kept = math.inf, 0, head.get_weights()
    for epoch in range(1, PLAN["epochs"] + 1):
        # Order and dropout are drawn by numpy, so that the run is repeated and not merely resembled.
        rng = np.random.default_rng([PLAN["seed"], epoch])
        order = rng.permutation(len(x))
        for start in range(0, len(x), size):
            rows = order[start : start + size]
            batch = x[rows]
            if PLAN["dropout"]:
                keep = 1 - PLAN["dropout"]
                batch = batch * ((rng.random(batch.shape, dtype=np.float32) < keep) / np.float32(keep))
            head.train_on_batch(batch, aims[y[rows]], sample_weight=weights[y[rows]])
        if not len(val[1]):
            kept = head.get_weights()
            continue
        loss, accuracy = scores(head.predict(val[0], verbose=0), val[1], weights)
        print(f"head, epoch {epoch}: val loss {loss:.4f}, val accuracy {accuracy:.1%}")
        if loss < best:
            best, best_epoch, kept = loss, epoch, head.get_weights()
        elif PLAN["patience"] and epoch - best_epoch >= PLAN["patience"]:
            break
    head.set_weights(kept)
    return head


def scores(logits: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Loss and accuracy; a picture counts in the loss what its class counts."""
    logits = logits.astype(np.float64)
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[np.arange(len(y)), y]
    return float((weights[y] * losses).sum() / weights[y].sum()), float((logits.argmax(axis=1) == y).mean())


# -- fine-tuning


class FineTuneRate(keras.optimizers.schedules.LearningRateSchedule):
    """Rising evenly during warm-up, then constant or along half a cosine to a hundredth."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.warmup = PLAN["fine_tune_warmup"] * steps_per_epoch
        self.rest = max(1, PLAN["fine_tune_epochs"] * steps_per_epoch - self.warmup)

    def __call__(self, step: Any) -> Any:
        rate, step = PLAN["fine_tune_rate"], keras.ops.cast(step, "float32")
        later = keras.ops.ones_like(step)
        if PLAN["fine_tune_schedule"] == "cosine":
            later = 0.01 + 0.99 * (1 + keras.ops.cos(math.pi * (step - self.warmup) / self.rest)) / 2
        return rate * keras.ops.where(step < self.warmup, (step + 1) / max(1, self.warmup), later)


def fine_tune(network: keras.Model, model: keras.Model, parts: dict[str, list[View]]) -> None:
    """Let the top blocks and the head of `model` go on learning, with BatchNormalization as it is. The frozen model
    stays unless an epoch is better on val. What the frozen blocks say is computed once and kept in memory."""
    boundary = network.get_layer(BACKBONE["fine_tune_from"]).output
    lower, upper = keras.Model(network.input, boundary), keras.Model(boundary, model.output)
    # In the 16 bits that Headstart keeps them in.
    x, x_val = (look(lower, parts[part]).astype(np.float16) for part in ("train", "val"))
    y, y_val = labels(parts["train"]), labels(parts["val"])
    if not len(y_val):
        return
    for layer in upper.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    size = PLAN["batch_size"]
    upper.compile(
        keras.optimizers.Adam(FineTuneRate(math.ceil(len(x) / size))),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=PLAN["label_smoothing"]),
    )
    weights, aims = class_weights(y), np.eye(len(CLASSES), dtype=np.float32)[y]

    def measure() -> tuple[float, float, float]:
        """Accuracy as the classes count, minus the loss, plain accuracy."""
        logits = upper.predict(x_val.astype(np.float32), verbose=0)
        loss, accuracy = scores(logits, y_val, weights)
        right = logits.argmax(axis=1) == y_val
        return float((weights[y_val] * right).sum() / weights[y_val].sum()), -loss, accuracy

    best, best_epoch, kept = measure(), 0, upper.get_weights()
    for epoch in range(1, PLAN["fine_tune_epochs"] + 1):
        if 0 < PLAN["fine_tune_patience"] <= epoch - 1 - best_epoch:
            break
        order = np.random.default_rng([PLAN["seed"], 1, epoch]).permutation(len(x))
        for start in range(0, len(x), size):
            rows = order[start : start + size]
            upper.train_on_batch(x[rows].astype(np.float32), aims[rows], sample_weight=weights[y[rows]])
        now = measure()
        print(f"fine-tuning, epoch {epoch}: val loss {-now[1]:.4f}, val accuracy {now[2]:.1%}")
        if now > best:
            best, best_epoch, kept = now, epoch, upper.get_weights()
    upper.set_weights(kept)


def main(folder: str) -> None:
    keras.utils.set_random_seed(PLAN["seed"])
    parts = find_pictures(Path(folder))
    network = backbone()
    looking = pooled(network)
    x = {part: look(looking, parts[part]) for part in ("train", "val")}
    mean = x["train"].mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.maximum(np.sqrt(((x["train"] - mean) ** 2).mean(axis=0, dtype=np.float64)), 1e-3).astype(np.float32)
    train, val = (((x[part] - mean) / deviation, labels(parts[part])) for part in ("train", "val"))
    head = train_head(train, val)
    y = keras.layers.Normalization(mean=mean, variance=deviation**2)(looking.output)
    if PLAN["dropout"]:
        y = keras.layers.Dropout(PLAN["dropout"], seed=PLAN["seed"])(y)
    for trained in head.layers:
        dense = keras.layers.Dense(trained.units, trained.activation)  # fine-tuned without the pull on its weights
        y = dense(y)
        dense.set_weights(trained.get_weights())
    model = keras.Model(looking.input, y)  # from pixels to logits
    if PLAN["fine_tune_blocks"]:
        fine_tune(network, model, parts)
    model.save(HERE / "trained.keras")
    answers, truth = look(model, parts["test"]).argmax(axis=1), labels(parts["test"])
    print(f"Right on {(answers == truth).sum()} of {len(truth)} test pictures: {(answers == truth).mean():.2%}")
    print(MEASURED)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
