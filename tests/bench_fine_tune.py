"""One epoch of fine-tuning: a plain Keras loop with the lower part frozen, beside ours on cached activations.

    KERAS_HOME=... python -m tests.bench_fine_tune [--pictures 320] [--repeats 5] [--json]
    KERAS_HOME=... python -m tests.bench_fine_tune --accuracy DATA [--seeds 3] [--json]

MobileNetV2 with its last three blocks, decoded pictures in memory, batches of 32, fp32. The two take turns of about the
same length, and the fastest epoch of each counts; medians stand beside it, for a machine that does other work too.
The first turn of each does not count. Ours is without the one-time extraction, which is reported by itself.

With --accuracy: what fine-tuning brings on the sets in DATA (hymenoptera and sign-language-digits) with untouched
settings and as many blocks as the best dial suggests, through the command line: test accuracy of the frozen and of the
final model, means over seeds that divide the pictures anew, and the seconds of fine-tuning alone and of everything.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core import backbones
from core import plan as plans
from core.__main__ import main as command
from core.features.streamed import Standard
from core.learning.head import Head, Labeled
from core.neural import networks
from core.neural.tuning import Frozen, _Tuner
from core.plan import Plan
from core.progress import Silent

BACKBONE = backbones.MOBILENET_V2
BLOCKS = 3
SETS = ("hymenoptera", "sign-language-digits")
CLASSES = 5
RATE = 1e-4
# Epochs in one turn, so that what else the machine does meets both alike.
TURN = {"keras": 1, "ours": 5}


def network() -> keras.Model:
    """MobileNetV2 with the weights of ImageNet where they are; the time does not depend on them."""
    return networks.build(BACKBONE, backbones.weights_path(BACKBONE) if BACKBONE.has_weights else None)


def plain(pixels: NDArray[np.uint8], targets: NDArray[np.int64]) -> Callable[[], object]:
    """An epoch as Keras' guide to transfer learning does it: all layers below frozen, BatchNormalization too."""
    model = network()
    learning = {layer.name for layer in networks.upper(model, BACKBONE.blocks[BLOCKS - 1]).layers}
    for layer in model.layers:
        normalizes = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer.name in learning and not normalizes
    answer = keras.layers.Dense(CLASSES, activation="softmax")(networks.pool(model.output, "average"))
    whole = keras.Model(model.input, answer)
    whole.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return lambda: whole.fit(pixels, targets, batch_size=32, verbose=0)


def ours(pixels: NDArray[np.uint8], targets: NDArray[np.int64]) -> tuple[Callable[[], object], float]:
    """An epoch of Headstart on cached activations, and how long extracting them took, by Keras here."""
    model = network()
    block = BACKBONE.blocks[BLOCKS - 1]
    started = time.perf_counter()
    lower = keras.Model(model.input, model.get_layer(block.after).output)
    features = lower.predict(pixels, batch_size=32, verbose=0).astype(np.float16)
    extraction_s = time.perf_counter() - started
    head = Head(((np.zeros((BACKBONE.width, CLASSES), np.float32), np.zeros(CLASSES, np.float32)),))
    plan = Plan(backbone=BACKBONE.name, fine_tune_blocks=BLOCKS, fine_tune_rate=RATE, batch_size=32)
    data: Any = Labeled(features, targets)  # type: ignore[arg-type]
    width = BACKBONE.width
    frozen = Frozen(head, Standard(np.zeros(width, np.float32), np.ones(width, np.float32)))
    tuner = _Tuner(networks.upper(model, block), frozen, plan, Silent())
    return lambda: tuner.epoch(data, 1), extraction_s


def fine_tune_vs_keras(repeats: int = 5, pictures: int = 320) -> dict[str, float]:
    """Seconds per epoch of both, measured in turns."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (pictures, BACKBONE.size, BACKBONE.size, 3), dtype=np.uint8)
    targets = np.arange(pictures) % CLASSES
    our_epoch, extraction_s = ours(pixels, targets)
    epochs = {"keras": plain(pixels, targets), "ours": our_epoch}
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(repeats + 1):
        for name, epoch in epochs.items():
            for _ in range(TURN[name]):
                started = time.perf_counter()
                epoch()
                seconds[name].append(time.perf_counter() - started)
    counted = {name: times[TURN[name] :] for name, times in seconds.items()}
    keras_s, ours_s = min(counted["keras"]), min(counted["ours"])
    medians = {name: float(np.median(times)) for name, times in counted.items()}
    return {
        "pictures": pictures,
        "keras_epoch_s": round(keras_s, 4),
        "ours_epoch_s": round(ours_s, 4),
        "times_faster": round(keras_s / ours_s, 2),
        "keras_median_s": round(medians["keras"], 4),
        "ours_median_s": round(medians["ours"], 4),
        "times_faster_median": round(medians["keras"] / medians["ours"], 2),
        "extraction_once_s": round(extraction_s, 4),
    }


def run(data: Path, blocks: int, seed: int) -> dict[str, Any]:
    """The answer of one training in a home of its own, so that its seconds are those of a first one."""
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as home, contextlib.redirect_stdout(out):
        options = ["--backbone", BACKBONE.name, "--fine-tune", str(blocks), "--seed", str(seed), "--home", home]
        if command(["run", str(data), *options, "--json"]):
            raise SystemExit(out.getvalue())
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def accuracy(root: Path, seeds: int) -> list[dict[str, object]]:
    """One row for each set of pictures."""
    rows: list[dict[str, object]] = []
    for name in SETS:
        n = sum(path.is_file() for path in (root / name).rglob("*"))
        blocks = plans.suggest("best", {name: n}).fine_tune_blocks
        answers = [run(root / name, blocks, seed) for seed in range(seeds)]

        def mean(values: list[float], digits: int = 4) -> float:
            return round(float(np.mean(values)), digits)

        rows.append(
            {
                "data": name,
                "pictures": answers[0]["pictures"],
                "blocks": blocks,
                "seeds": seeds,
                "frozen": mean([each["before_fine_tune"]["test_accuracy"] for each in answers]),
                "fine_tuned": mean([each["test_accuracy"] for each in answers]),
                "lowest": min(each["test_accuracy"] for each in answers),
                "fine_tune_s": mean([each["seconds"]["fine_tune"] for each in answers], 1),
                "total_s": mean([each["seconds"]["total"] for each in answers], 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--accuracy", type=Path, metavar="DATA")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.accuracy:
        rows = accuracy(options.accuracy, options.seeds)
        print(json.dumps({"rows": rows}) if options.json else "\n".join(str(row) for row in rows))
        return
    result = fine_tune_vs_keras(options.repeats, options.pictures)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:>20} {value}")


if __name__ == "__main__":
    main()
