"""How fast the engine is beside the plain way: `python -m tests.bench_engine [--quick] [--json]`.

MobileNetV2 at 224 px (with ImageNet weights where KERAS_HOME has them: the time does not depend on them). Rivals are
measured in the same run, taking turns, and the fastest turn of each counts. Needs an idle machine.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1"}  # as the workers have it

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from core import backbones
from core.dataset import Facts, File, Received
from core.disk import blobs
from core.disk.blobs import Shelf
from core.explain.predictor import Predictor
from core.features import feature_cache, runtime
from core.features.feature_cache import Cache, Recipe, View
from core.features.runtime import Engine
from core.learning import head
from core.learning.head import Labeled
from core.pictures import receiving
from core.plan import PRESETS, Plan
from core.progress import Silent
from core.runs.what_if import Refit
from core.sandbox import decoding
from core.sandbox.process import Children
from core.store.store import Store

BACKBONE = backbones.MOBILENET_V2
RECIPE = Recipe("bench", "average", BACKBONE.size)
Numbers = dict[str, float | None]

# name: (what it is, target)
ROWS = {
    "features_vs_keras_predict": ("Features in float32, times the speed of Keras predict", ">= 2.7"),
    "features_bf16_vs_keras_predict": ("Features in bfloat16, times the speed of Keras predict", ">= 4.5"),
    "features_vs_raw_engine": ("Features in float32, share of the raw engine's best", ">= 0.9"),
    "files_vs_limit": ("From 0.2 MP JPEG files, share of the slower of decoding and engine", ">= 0.8"),
    "add_ten_fraction": ("Ten pictures more, share of the time for the first 1,000", "< 0.05"),
    "head_vs_keras_fit": ("Linear head, times the speed of Keras fit", ">= 10"),
    "hidden_head_vs_keras_fit": ("Head with 1,024 neurons, times the speed of Keras fit", ">= 3"),
    "slider_refit_seconds": ("Moving a slider with 2,000 pictures, s", "< 1"),
    "fine_tune_vs_keras": ("Fine-tuning of 3 blocks, times the speed of Keras fit", ">= 2"),
    "predict_ms_p50": ("Warm prediction of a photograph, median, ms", "< 30"),
    "predict_ms_p95": ("Warm prediction of a photograph, 95th percentile, ms", "< 60"),
    "rss_mb_1k": ("Memory for extraction and head of 1,000 pictures, MB", ""),
    "rss_mb_10k": ("Memory for extraction and head of 10,000 pictures, MB", ""),
    "rss_mb_100k": ("Memory for extraction and head of 100,000 pictures, MB", "flat"),
    "seconds_per_1k_pictures_1k": ("Extraction from small pictures, s per 1,000, of 1,000", ""),
    "seconds_per_1k_pictures_10k": ("Extraction from small pictures, s per 1,000, of 10,000", ""),
    "seconds_per_1k_pictures_100k": ("Extraction from small pictures, s per 1,000, of 100,000", "flat"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without 100,000 pictures, fewer turns: under 3 minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    notes: list[str] = []
    if options.alone:
        name, *arguments = options.alone
        print(json.dumps([ALONE[name](*arguments, notes), notes]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder), options.quick, notes)
    if options.json:
        print(json.dumps({name: numbers[name] for name in ROWS}))
        return 0
    print(f"{'':74}{'measured':>10}{'target':>10}")
    for name, (what, target) in ROWS.items():
        value = numbers[name]
        print(f"{what:74}{'-' if value is None else f'{value:.3g}':>10}{target:>10}")
    print("\n".join(notes))
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} in the last minute")
    return 0


def measure(folder: Path, quick: bool, notes: list[str]) -> Numbers:
    """All numbers of ROWS; `notes` gets what a reader should know besides."""
    turns = 2 if quick else 4
    path = convert(folder)
    numbers = throughput(path, turns, notes) | heads(notes) | tuning(quick, notes)
    numbers |= alone(notes, "files", str(path), str(turns))
    numbers |= alone(notes, "add_ten", str(path))
    numbers |= alone(notes, "slider")
    numbers |= alone(notes, "predict", str(path))
    for name, n in (("1k", 1_000), ("10k", 10_000), ("100k", 100_000)):
        left_out = quick and n > 10_000
        found: Numbers = {"rss_mb": None, "seconds_per_1k": None} if left_out else alone(notes, "scale", str(n))
        numbers[f"rss_mb_{name}"] = found["rss_mb"]
        numbers[f"seconds_per_1k_pictures_{name}"] = found["seconds_per_1k"]
    return numbers


def alone(notes: list[str], *command: str) -> Numbers:
    """A part in a process of its own, without TensorFlow, as workers and predictors are."""
    call = [sys.executable, "-m", "tests.bench_engine", "--alone", *command]
    numbers, said = json.loads(subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout)
    notes.extend(said)
    return dict(numbers)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fastest(rivals: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """The fastest of `turns` turns of each, in seconds; they alternate, and the first time of each does not count."""
    for work in rivals.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(turns):
        for name, work in rivals.items():
            times[name].append(seconds(work))
    return {name: min(values) for name, values in times.items()}


def network() -> Any:
    import keras

    from core.neural import networks

    built = networks.build(BACKBONE, backbones.weights_path(BACKBONE) if BACKBONE.has_weights else None)
    return keras.Model(built.input, networks.pool(built.output, "average"))


def convert(folder: Path) -> Path:
    from core.neural import conversion

    model = network()
    path = folder / "network.tflite"
    path.write_bytes(conversion.to_tflite(model.input, model.output))
    return path


def draw_photographs(folder: Path, n: int, size: tuple[int, int] = (500, 375)) -> list[View]:
    """JPEGs of the size and the bytes of usual photographs, on a shelf."""
    rng = np.random.default_rng(0)
    views = []
    for _ in range(n):
        soft = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
        grain = rng.integers(-12, 13, (size[1], size[0], 1))
        picture = Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))
        path = folder / "picture.jpg"
        picture.save(path, quality=90)
        shelf = Shelf(folder / "pictures")
        views.append(View(shelf.settle(shelf.stage([path.read_bytes()]))))
    return views


def throughput(path: Path, turns: int, notes: list[str]) -> Numbers:
    """Pictures through the network: Keras predict, ours in both precisions, and the engines by themselves."""
    pixels = np.random.default_rng(1).integers(0, 256, (192, BACKBONE.size, BACKBONE.size, 3), dtype=np.uint8)
    model, ours = network(), runtime.load(path, n_pictures=10_000)
    rivals: dict[str, Callable[[], object]] = {
        "keras": lambda: model.predict(pixels, batch_size=32, verbose=0),
        "ours": lambda: ours.run(pixels),
        **{name: (lambda work=work: work(pixels)) for name, work in raw_engines(path).items()},
    }
    if runtime.has_bfloat16():
        coarse = runtime.load(path, "bfloat16", 10_000)
        rivals["bfloat16"] = lambda: coarse.run(pixels)
    times = fastest(rivals, turns)
    expected = np.asarray(model.predict(pixels, batch_size=32, verbose=0))
    notes.append(
        f"Cosine of float32 features ({ours.name}) and Keras' own, lowest: {lowest(ours, pixels, expected):.6f}."
    )
    if "bfloat16" in rivals:
        notes.append(f"Cosine of bfloat16 features, lowest: {lowest(coarse, pixels, expected):.4f}.")
    notes.append("Pictures per second: " + ", ".join(f"{k} {len(pixels) / s:.0f}" for k, s in times.items()) + ".")
    notes.append(
        f"Ours computes {_GFLOP * len(pixels) / times['ours']:.0f} GFLOP/s in float32; the product of large matrices, "
        f"which is what a processor does fastest, reaches {matrix_gflops():.0f} here."
    )
    raw = min(value for name, value in times.items() if name.startswith("raw"))
    return {
        "features_vs_keras_predict": times["keras"] / times["ours"],
        "features_bf16_vs_keras_predict": times["keras"] / times["bfloat16"] if "bfloat16" in times else None,
        "features_vs_raw_engine": raw / times["ours"],
    }


# Two for each of the 300 million multiplications and additions, https://arxiv.org/abs/1801.04381, table 4.
_GFLOP = 0.6


def matrix_gflops(n: int = 3_072) -> float:
    """By TensorFlow, on all cores."""
    import tensorflow as tf

    a = tf.random.normal((n, n))
    return 2e-9 * n**3 / fastest({"product": lambda: tf.matmul(a, a).numpy()}, 3)["product"]


def lowest(loaded: Engine, pixels: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    rows = loaded.run(pixels)
    return float(
        ((rows * expected).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)).min()
    )


def raw_engines(path: Path) -> dict[str, Callable[[NDArray[np.uint8]], object]]:
    """LiteRT by itself with all threads, in the ways its users run it."""
    from ai_edge_litert.interpreter import Interpreter

    def alone(batch: int) -> Callable[[NDArray[np.uint8]], object]:
        interpreter = Interpreter(str(path), num_threads=os.cpu_count())
        entry = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(entry, (batch, BACKBONE.size, BACKBONE.size, 3))
        interpreter.allocate_tensors()

        def run(pixels: NDArray[np.uint8]) -> None:
            for start in range(0, len(pixels), batch):
                interpreter.set_tensor(entry, pixels[start : start + batch].astype(np.float32))
                interpreter.invoke()

        return run

    return {f"raw LiteRT, batch {batch}": alone(batch) for batch in (1, 4, 8, 32)}


def in_a_folder(work: Callable[..., Numbers]) -> Callable[..., Numbers]:
    """A part that gets a folder of its own first."""

    def run(*arguments: Any) -> Numbers:
        with tempfile.TemporaryDirectory() as folder:
            return work(Path(folder), *arguments)

    return run


@in_a_folder
def files(folder: Path, path: str, turns: str, notes: list[str]) -> Numbers:
    """From files to features, beside decoding alone and the engine alone, each with all cores."""
    views = draw_photographs(folder, 400)
    pictures, loaded = Shelf(folder / "pictures"), runtime.load(Path(path), n_pictures=len(views))
    turn = 0

    def whole() -> None:
        nonlocal turn
        turn += 1
        cache = Cache(folder / "files", Recipe(f"files {turn}", "average", BACKBONE.size))
        feature_cache.extract(cache, loaded, pictures, views, Silent())

    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
        decoded = list(feature_cache.decode(children, pictures, views, BACKBONE.size))
        pixels = np.stack(decoded)
        times = fastest(
            {
                "decoding": lambda: list(feature_cache.decode(children, pictures, views, BACKBONE.size)),
                "engine": lambda: loaded.run(pixels),
                "whole": whole,
            },
            int(turns),
        )
    n, bound = len(views), times["decoding"] + times["engine"]
    rates = ", ".join(f"{name} {n / value:.0f}" for name, value in times.items())
    notes.append(
        f"0.2 MP files, pictures per second: {rates}. Decoding and engine share {os.cpu_count()} cores, so "
        f"{n / bound:.0f} is the limit; {bound / times['whole']:.2f} of it was reached."
    )
    return {"files_vs_limit": max(times["decoding"], times["engine"]) / times["whole"]}


@in_a_folder
def add_ten(folder: Path, path: str, notes: list[str]) -> Numbers:
    """The first thousand, then three times ten more (the fastest counts, as elsewhere), each as a training does it:
    open the cache, load the engine, extract."""
    views = draw_photographs(folder, 1_030)
    pictures = Shelf(folder / "pictures")

    def work(n: int) -> None:
        cache = Cache(folder / "ten", RECIPE)
        missing = cache.missing(views[:n])
        feature_cache.extract(cache, runtime.load(Path(path), n_pictures=len(missing)), pictures, views[:n], Silent())

    first = seconds(lambda: work(1_000))
    ten = min(seconds(partial(work, n)) for n in (1_010, 1_020, 1_030))
    return {"add_ten_fraction": ten / first}


def heads(notes: list[str]) -> Numbers:
    """20 epochs on 2,000 x 1,280 features of 10 classes, with val scores after each, as for live curves."""
    import keras

    rng = np.random.default_rng(2)
    targets = rng.integers(0, 10, 3_000)
    # Like features of pictures: few directions tell the classes apart, and all channels see a mixture of them.
    hidden = rng.normal(0, 0.45, (10, 40))[targets] + rng.normal(0, 1, (3_000, 40))
    rows = np.maximum(hidden @ rng.normal(0, 0.16, (40, 1280)) + rng.normal(0, 0.5, (3_000, 1280)), 0)
    rows = rows.astype(np.float32)
    train, val = Labeled(rows[:2_000], targets[:2_000]), Labeled(rows[2_000:], targets[2_000:])
    numbers: Numbers = {}
    for name, units in (("head_vs_keras_fit", 0), ("hidden_head_vs_keras_fit", 1024)):
        plan = (PRESETS["mlp"] if units else Plan()).with_(epochs=20, hidden_units=units, patience=0)

        def plain(units: int = units) -> float:
            hidden = [keras.layers.Dense(units, "relu")] if units else []
            model = keras.Sequential([keras.Input((1280,)), *hidden, keras.layers.Dense(10, "softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            data = {"batch_size": 32, "validation_data": (val.features, val.targets), "verbose": 0}
            history = model.fit(train.features, train.targets, epochs=20, **data).history
            return float(history["val_accuracy"][int(np.argmin(history["val_loss"]))])

        def ours(plan: Plan = plan) -> float:
            fitted = head.fit(train, val, 10, plan, Silent())
            return float(fitted.history[fitted.best_epoch - 1]["val_accuracy"])

        scores = {"keras": plain(), "ours": ours()}
        times = fastest({"keras": plain, "ours": ours}, 2)
        numbers[name] = times["keras"] / times["ours"]
        notes.append(
            f"Head with {units} neurons: ours {times['ours']:.2f} s, val accuracy {scores['ours']:.3f}; Keras "
            f"{times['keras']:.2f} s, {scores['keras']:.3f}."
        )
    return numbers


@in_a_folder
def slider(folder: Path, notes: list[str]) -> Numbers:
    """The slower of two moves, regularization and balance, of a process that is warm. 2,000 train and val pictures."""
    store = Store(folder / "home")
    project = store.add_project("bench")
    rng = np.random.default_rng(3)
    keys = [hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(2_000)]
    targets = rng.integers(0, 10, 2_000)
    files = [File(i, f"{i}.jpg", "used", f"class {targets[i]}", None, key) for i, key in enumerate(keys)]
    receiving.receive(
        store,
        project.id,
        "bench",
        [Received(f, Facts(f.picture_id or "", 9, 9, f.picture_id or "", ())) for f in files],
    )
    with store.write() as db:
        db.execute("UPDATE dataset SET part = CASE WHEN picture_id < '2' THEN 'val' ELSE 'train' END")
    starter = backbones.STARTER
    weights = blobs.sha256(backbones.weights_path(starter))
    cache = Cache(store.home / "features", Recipe(weights, "average", starter.size))
    rows = rng.normal(0, 0.12, (10, 1280))[targets] + rng.normal(0.3, 1, (2_000, 1280))
    cache.add([View(key) for key in keys], np.maximum(rows, 0).astype(np.float32))
    refit = Refit(store.home)
    refit.fit(project.id, Plan())
    moves = (Plan(regularization=20.0), Plan(regularization=20.0, balance=1.0))
    slowest = max(seconds(lambda plan=plan: refit.fit(project.id, plan)) for plan in moves)
    refit.close()
    return {"slider_refit_seconds": slowest}


def tuning(quick: bool, notes: list[str]) -> Numbers:
    from tests.bench_fine_tune import fine_tune_vs_keras

    found = fine_tune_vs_keras(1, 160) if quick else fine_tune_vs_keras(3, 320)
    notes.append(f"Fine-tuning, an epoch: Keras {found['keras_epoch_s']:.2f} s, ours {found['ours_epoch_s']:.2f} s.")
    return {"fine_tune_vs_keras": min(found["times_faster"], found["times_faster_median"])}


@in_a_folder
def predict(folder: Path, path: str, notes: list[str]) -> Numbers:
    """One photograph after the other in a warm process."""
    model = folder / "model"
    model.mkdir()
    rng = np.random.default_rng(4)
    layer = (rng.normal(size=(1280, 10)).astype(np.float32), np.zeros(10, np.float32))
    (model / "model.tflite").write_bytes(Path(path).read_bytes())
    (model / "head.npz").write_bytes(head.Head((layer,)).to_bytes())
    (model / "model.json").write_text(json.dumps({"classes": [str(i) for i in range(10)]}))
    pictures = [Shelf(folder / "pictures").path(view.picture_id).read_bytes() for view in draw_photographs(folder, 200)]
    with Predictor(model) as predictor:
        for data in pictures[:5]:
            predictor.predict(data)
        times = [1000 * seconds(lambda data=data: predictor.predict(data)) for data in pictures]
        process = predictor._child._process
        rss = psutil.Process(process.pid).memory_info().rss / 1e6 if process else 0.0
    notes.append(f"The process that predicts holds {rss:.0f} MB.")
    return {"predict_ms_p50": float(np.percentile(times, 50)), "predict_ms_p95": float(np.percentile(times, 95))}


@in_a_folder
def scale(folder: Path, count: str, notes: list[str]) -> Numbers:
    """Extraction of small pictures and a head on them, with a network of 32 px: time for 1,000 and highest memory."""
    n = int(count)
    subprocess.run([sys.executable, "-c", _TINY, str(folder / "tiny.tflite")], check=True, stderr=subprocess.DEVNULL)
    pictures, views = Shelf(folder / "pictures"), draw_small(folder / "pictures", n)
    cache = Cache(folder / "features", Recipe("tiny", "average", 32))
    loaded = runtime.load(folder / "tiny.tflite", n_pictures=2)
    took = seconds(lambda: feature_cache.extract(cache, loaded, pictures, views, Silent()))
    data = Labeled(cache.read(views), np.arange(n) % 10)
    few = Labeled(cache.read(views[:500]), np.arange(500) % 10)
    head.fit(data, few, 10, Plan(epochs=2), Silent())
    return {"rss_mb": highest_mb(), "seconds_per_1k": took / n * 1_000}


def highest_mb() -> float:
    """The most memory this process has held; getrusage would count what its parent held when it was started."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else float("nan")


# Made in a process of its own, so that TensorFlow does not count.
_TINY = """
import sys
from dataclasses import replace
from pathlib import Path
from core import backbones
from core.neural import conversion, networks
tiny = networks.build(replace(backbones.STARTER, size=32), None)
Path(sys.argv[1]).write_bytes(conversion.to_tflite(tiny.input, networks.pool(tiny.output, "average")))
"""


def draw_small(root: Path, n: int) -> list[View]:
    """Small PNGs, put where a shelf has them without waiting for the disk."""
    rng = np.random.default_rng(5)
    views = []
    for _ in range(n):
        path = root / "picture.png"
        root.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path, compress_level=1)
        key = blobs.sha256(path)
        target = Shelf(root).path(key)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
        views.append(View(key))
    return views


ALONE = {"files": files, "add_ten": add_ten, "slider": slider, "predict": predict, "scale": scale}


if __name__ == "__main__":
    sys.exit(main())
