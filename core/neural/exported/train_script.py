"""Train a model of Headstart again without Headstart: python train.py PICTURES

Needs keras, tensorflow, numpy and pillow (and keras-hub, where hub.py is beside it), and the files of its ZIP in the
same folder. split.csv names the class and part of each picture by the sha256 of its file, so PICTURES may be arranged
in any way. Prints the accuracy on the test pictures and writes trained.keras; prepare its input as in `network_input`.
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

from core.neural.exported.augmentation import alter
from core.neural.exported.use_model import decode, square

# -- the run
BACKBONE: dict[str, Any] = {"name": "Starter", "size": 128, "depths": [], "fine_tune_from": "block3_out"}
CLASSES = ["cat", "dog"]
PLAN: dict[str, Any] = {"augment": 0, "fine_tune_blocks": 0, "exact": 0}
MEASURED = "Headstart: right on 0 of 0 test pictures."
# -- end of the run

HERE = Path(__file__).parent
# Of ImageNet, for pixels of 0..1.
MEAN, DEVIATION = (np.array(values, np.float32) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
Labeled = tuple[np.ndarray, np.ndarray]


class Copy(NamedTuple):
    """A picture with its class: unchanged (number 0), or its altered copy of that number."""

    path: Path
    sha256: str
    label: int
    number: int = 0


def find_pictures(folder: Path) -> dict[str, list[Copy]]:
    """The pictures of each part, found below a folder by the sha256 of their bytes."""
    paths = {hashlib.sha256(p.read_bytes()).hexdigest(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    parts: dict[str, list[Copy]] = {"train": [], "val": [], "test": []}
    missing = 0
    with (HERE / "split.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["sha256"] in paths:
                view = Copy(paths[row["sha256"]], row["sha256"], int(row["class"]))
                parts[row["part"]].append(view)
            else:
                missing += 1
    if missing:
        sys.exit(f"{missing} pictures of split.csv are not below {folder}.")
    # First all pictures unchanged, then the first copy of each, and so on.
    parts["train"] = [v._replace(number=n) for n in range(PLAN["augment"] + 1) for v in parts["train"]]
    return parts


# -- pixels


def pixels(view: Copy) -> np.ndarray:
    """The pixels of a view, (size, size, 3) of 0..255."""
    image = decode(str(view.path), BACKBONE["size"])
    if view.number:
        image = alter(image, view.number, PLAN["augment_kinds"].split(), bytes.fromhex(view.sha256))
    return square(image, BACKBONE["size"])


# -- the backbone


def backbone() -> keras.Model:
    """The pretrained network, from the output of `network_input` to its last feature map."""
    size = BACKBONE["size"]
    if BACKBONE["name"] == "Starter":
        from core.neural.starter import starter  # beside this file only when it is used

        scaled = keras.Input((size, size, 3))
        network = keras.Model(scaled, starter(scaled))
        network.load_weights(HERE / "starter.weights.h5")
        return network
    if "file" in BACKBONE:
        return keras.models.load_model(HERE / BACKBONE["file"], compile=False)
    if "hub" in BACKBONE:
        from core.neural.hub import pretrained  # needs keras-hub

        folder, _, name = BACKBONE["weights_file"].rpartition("/")
        given: Any = HERE / name  # else it is downloaded
        if not given.is_file() and not BACKBONE["weights_url"]:
            sys.exit(f"Put {name} beside this file.")
        if not given.is_file():
            given = keras.utils.get_file(name, BACKBONE["weights_url"], cache_subdir=f"models/{folder}")
        return pretrained(given, size, **BACKBONE["hub"])
    factory: Any = getattr(keras.applications, BACKBONE["name"])
    return factory(include_top=False, weights="imagenet", input_shape=(size, size, 3))


def network_input(batch: np.ndarray) -> np.ndarray:
    """Scale pixels of 0..255 as in the training of the network."""
    values = batch.astype("float32")
    if "file" in BACKBONE:
        return values  # the model scales them itself
    scaling = "signed" if BACKBONE["name"] == "Starter" else BACKBONE.get("scaling")
    if scaling == "signed":
        return values / 127.5 - 1
    if scaling == "unit":
        return values / 255
    if scaling == "torch":
        return (values / 255 - MEAN) / DEVIATION
    module: Any = inspect.getmodule(inspect.unwrap(getattr(keras.applications, BACKBONE["name"])))
    return module.preprocess_input(values)


def pooled(network: keras.Model) -> keras.Model:
    """The network with pooling at the end, of earlier layers too if the run used them: (n, size, size, 3) ->
    (n, width). A run with mirrored views has the mean over a picture and its mirror image."""
    entry, maps = network.input, [network.output, *(network.get_layer(name).output for name in BACKBONE["depths"])]
    if PLAN["mirrored"]:
        entry = keras.Input(network.input_shape[1:])
        both = keras.layers.Concatenate(axis=0)([entry, keras.ops.flip(entry, axis=2)])
        maps = keras.Model(network.input, maps)(both)
    other = {"max": keras.layers.GlobalMaxPooling2D, "flatten": keras.layers.Flatten}
    layer = other.get(PLAN["pooling"], keras.layers.GlobalAveragePooling2D)
    rows = [layer(name=f"pool_{i}")(feature_map) for i, feature_map in enumerate(maps)]
    x = keras.layers.Concatenate()(rows) if len(rows) > 1 else rows[0]
    if PLAN["mirrored"]:
        x = keras.ops.mean(keras.ops.reshape(x, (2, -1, x.shape[-1])), axis=0)
    return keras.Model(entry, x)


def predict(model: keras.Model, views: Sequence[Copy]) -> np.ndarray:
    """The outputs of a model for pictures, 64 at a time."""
    parts = [np.stack([pixels(view) for view in views[i : i + 64]]) for i in range(0, len(views), 64)]
    answers = [np.asarray(model.predict_on_batch(network_input(part))) for part in parts]
    return np.concatenate(answers) if answers else np.empty((0, *model.output_shape[1:]), np.float32)


def standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and deviation of each feature."""
    mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(((x - mean) ** 2).mean(axis=0, dtype=np.float64))
    return mean, np.maximum(deviation, 1e-3).astype(np.float32)


def labels(views: Sequence[Copy]) -> np.ndarray:
    return np.array([view.label for view in views], np.int64)


# -- the head


def class_weights(y: np.ndarray) -> np.ndarray:
    """The weight of a picture of each class; the mean over the pictures is 1."""
    counts = np.maximum(np.bincount(y, minlength=len(CLASSES)), 1)
    weights = (len(y) / (len(CLASSES) * counts)) ** PLAN["balance"]
    return (weights / weights[y].mean()).astype(np.float32)


def new_head(width: int, n: int) -> keras.Sequential:
    """Dense layers for standardized features. numpy draws the weights, so that a seed always gives the same ones."""
    hidden = [PLAN["hidden_units"]] * PLAN["hidden_layers"] if PLAN["hidden_units"] else []
    # Keras adds l2 times the squares, whose gradient has a factor of 2.
    l2 = PLAN["regularization"] / n * (0.01 if hidden else 1.0) / 2
    head = keras.Sequential([keras.Input((width,))])
    for units in hidden:
        head.add(keras.layers.Dense(units, "relu", kernel_regularizer=keras.regularizers.L2(l2)))
    head.add(keras.layers.Dense(len(CLASSES), kernel_regularizer=keras.regularizers.L2(l2)))
    rng = np.random.default_rng([PLAN["seed"], 0])
    for layer in head.layers:
        inputs, outputs = layer.kernel.shape
        bound = np.sqrt(6 / (inputs + outputs))
        kernel = rng.uniform(-bound, bound, (inputs, outputs)) if hidden else np.zeros((inputs, outputs))
        layer.set_weights([kernel.astype(np.float32), np.zeros(outputs, np.float32)])
    return head


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """The rate falls along half a cosine to a hundredth."""

    def __init__(self, rate: float, steps: int) -> None:
        self.rate, self.steps = rate, steps

    def __call__(self, step: Any) -> Any:
        progress = (keras.ops.cast(step, "float32") + 1) / self.steps
        return self.rate * (0.01 + 0.99 * (1 + keras.ops.cos(math.pi * progress)) / 2)


def train_head(train: Labeled, val: Labeled) -> keras.Sequential:
    """Train with Adam on standardized features and keep the epoch with the lowest val loss."""
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
        # numpy draws order and dropout as Headstart does, so that this repeats the run exactly.
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


def solve_head(x: np.ndarray, y: np.ndarray) -> keras.Sequential:
    """The linear head with the lowest loss on standardized features, by accelerated gradient descent with restarts
    (O'Donoghue and Candes, 2015). Headstart finds the same one by L-BFGS."""
    weights = class_weights(y)[y] / len(x)
    smoothing, l2 = PLAN["label_smoothing"], PLAN["regularization"] / len(x)
    aims = np.eye(len(CLASSES), dtype=np.float32)[y] * (1 - smoothing) + smoothing / len(CLASSES)
    x = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)  # the last row of a layer is the bias
    # A bound of the curvature (Boehning, 1992).
    steepest = np.linalg.norm(x * np.sqrt(weights)[:, None], 2) ** 2 / 2 + l2
    layer = ahead = np.zeros((x.shape[1], len(CLASSES)), np.float32)
    momentum = 1.0
    for _ in range(5000):
        logits = x @ ahead
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = x.T @ ((p - aims) * weights[:, None])
        gradient[:-1] += l2 * ahead[:-1]
        if np.abs(gradient).max() < 1e-5:
            break
        after = (ahead - gradient / steepest).astype(np.float32)
        if np.vdot(gradient, after - layer) > 0:
            momentum = 1.0
        faster = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = after + np.float32((momentum - 1) / faster) * (after - layer)
        layer, momentum = after, faster
    head = new_head(x.shape[1] - 1, len(x))
    head.layers[-1].set_weights([layer[:-1], layer[-1]])
    return head


def scores(logits: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Loss, weighted by class, and accuracy."""
    logits = logits.astype(np.float64)
    top = logits.max(axis=1)
    losses = top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - logits[np.arange(len(y)), y]
    return float((weights[y] * losses).sum() / weights[y].sum()), float((logits.argmax(axis=1) == y).mean())


# -- fine-tuning


class FineTuneRate(keras.optimizers.schedules.LearningRateSchedule):
    """The rate rises linearly during warm-up, then stays constant or falls along half a cosine to a hundredth."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.warmup = PLAN["fine_tune_warmup"] * steps_per_epoch
        self.rest = max(1, PLAN["fine_tune_epochs"] * steps_per_epoch - self.warmup)

    def __call__(self, step: Any) -> Any:
        rate, step = PLAN["fine_tune_rate"], keras.ops.cast(step, "float32")
        later = keras.ops.ones_like(step)
        if PLAN["fine_tune_schedule"] == "cosine":
            later = 0.01 + 0.99 * (1 + keras.ops.cos(math.pi * (step - self.warmup) / self.rest)) / 2
        return rate * keras.ops.where(step < self.warmup, (step + 1) / max(1, self.warmup), later)


def divide(network: keras.Model, model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The frozen part of a model, and the one that is fine-tuned: what the first answers is the input of the second.
    Beside its last output that is the pooled one of each earlier layer that is read as well."""
    names = [layer.name for layer in network.layers]
    last = names.index(BACKBONE["fine_tune_from"])
    pools = [i for i, name in enumerate(BACKBONE["depths"], start=1) if names.index(name) <= last]
    ends = [network.get_layer(names[last]).output, *(model.get_layer(f"pool_{i}").output for i in pools)]
    if len(ends) == 1:
        return keras.Model(network.input, ends[0]), keras.Model(ends[0], model.output)
    sizes = [math.prod(end.shape[1:]) for end in ends]
    lower = keras.Model(network.input, keras.layers.Concatenate()([keras.layers.Flatten()(end) for end in ends]))
    row = keras.Input((sum(sizes),))
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [row[:, start : start + size] for start, size in zip(starts.tolist(), sizes, strict=True)]
    parts[0] = keras.layers.Reshape(ends[0].shape[1:])(parts[0])
    return lower, keras.Model(row, keras.Model(ends, model.output)(parts))


def fresh_copies(views: list[Copy], epoch: int) -> list[Copy]:
    """Other altered copies of the training pictures in each epoch; every second one is mirrored."""
    rounds = PLAN["augment"] + 1
    n = len(views) // rounds  # the pictures stand first
    numbers = range((epoch - 1) * rounds, epoch * rounds)
    return [view._replace(number=2 * k + 1 + (i + k) % 2) for k in numbers for i, view in enumerate(views[:n])]


def fine_tune(network: keras.Model, model: keras.Model, parts: dict[str, list[Copy]]) -> None:
    """Train the top blocks and the head of `model` further, with BatchNormalization frozen. The frozen model stays
    unless an epoch is better on val. The outputs of the frozen blocks are kept in memory."""
    lower, upper = divide(network, model)

    def frozen(views: list[Copy]) -> np.ndarray:
        return predict(lower, views).astype(np.float16)  # Headstart keeps them in 16 bits too

    x_val, x = frozen(parts["val"]), frozen([] if PLAN["fine_tune_fresh"] else parts["train"])
    y, y_val = labels(parts["train"]), labels(parts["val"])
    if not len(y_val):
        return
    inner = next((layer for layer in upper.layers if isinstance(layer, keras.Model)), upper)
    for layer in inner.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    size = PLAN["batch_size"]
    upper.compile(
        keras.optimizers.Adam(FineTuneRate(math.ceil(len(y) / size))),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=PLAN["label_smoothing"]),
    )
    weights, aims = class_weights(y), np.eye(len(CLASSES), dtype=np.float32)[y]

    def measure() -> tuple[float, float, float]:
        """Accuracy weighted by class, negative loss, plain accuracy."""
        logits = upper.predict(x_val.astype(np.float32), verbose=0)
        loss, accuracy = scores(logits, y_val, weights)
        right = logits.argmax(axis=1) == y_val
        return float((weights[y_val] * right).sum() / weights[y_val].sum()), -loss, accuracy

    best, best_epoch, kept = measure(), 0, upper.get_weights()
    for epoch in range(1, PLAN["fine_tune_epochs"] + 1):
        if 0 < PLAN["fine_tune_patience"] <= epoch - 1 - best_epoch:
            break
        if PLAN["fine_tune_fresh"]:
            x = frozen(fresh_copies(parts["train"], epoch))
        order = np.random.default_rng([PLAN["seed"], 1, epoch]).permutation(len(y))
        for start in range(0, len(y), size):
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
    extractor = pooled(network)
    x = {part: predict(extractor, parts[part]) for part in ("train", "val")}
    mean, deviation = standard(x["train"])
    train, val = (((x[part] - mean) / deviation, labels(parts[part])) for part in ("train", "val"))
    head = train_head(train, val)
    if PLAN["exact"]:  # the head of the epochs is not kept
        learned, views = x["train"], parts["train"]
        if PLAN["refit"]:
            copies = [view._replace(number=n) for n in range(1, PLAN["augment"] + 1) for view in parts["val"]]
            rows = [x["val"], predict(extractor, copies)] if copies else [x["val"]]
            learned, views = np.concatenate([learned, *rows]), views + parts["val"] + copies
        mean, deviation = standard(learned)
        head = solve_head((learned - mean) / deviation, labels(views))
    y = keras.layers.Normalization(mean=mean, variance=deviation**2)(extractor.output)
    if PLAN["dropout"]:
        y = keras.layers.Dropout(PLAN["dropout"], seed=PLAN["seed"])(y)
    for trained in head.layers:
        dense = keras.layers.Dense(trained.units, trained.activation)  # fine-tuning uses no regularization
        y = dense(y)
        dense.set_weights(trained.get_weights())
    model = keras.Model(extractor.input, y)  # from pixels to logits
    if PLAN["fine_tune_blocks"]:
        fine_tune(network, model, parts)
    model.save(HERE / "trained.keras")
    answers, truth = predict(model, parts["test"]).argmax(axis=1), labels(parts["test"])
    print(f"Right on {(answers == truth).sum()} of {len(truth)} test pictures: {(answers == truth).mean():.2%}")
    print(MEASURED)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
