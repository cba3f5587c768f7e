"""How good Headstart's defaults are on real pictures, beside a logistic regression on the same features.

    python -m tests.bench_accuracy DATA [--seeds 5] [--json]

DATA holds the sets hymenoptera and sign-language-digits; MobileNetV2 is measured where KERAS_HOME has its weights.
Each seed divides the pictures anew and trains through the command line, with everything else left alone. Beside that
stand other settings, on the same parts: altered copies of each training picture, and training features in bfloat16
(null where the machine has none); these heads are scored on float32 features, as the saved Keras model computes them.
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core import backbones, engine, head
from core.__main__ import main as command
from core.dataset import PARTS, Dataset
from core.features import Cache, Recipe, View, extract
from core.head import Labelled
from core.plan import Plan
from core.progress import Silent
from core.shelf import sha256
from core.store import Store

SETS = ("hymenoptera", "sign-language-digits")


def headstart(data: Path, backbone: str, seed: int, home: Path) -> tuple[float, Path]:
    """The test accuracy of a run with untouched settings, and the run's folder."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        arguments = ["run", str(data), "--backbone", backbone, "--seed", str(seed), "--home", str(home), "--json"]
        if command(arguments):
            raise SystemExit(out.getvalue())
    answer = json.loads(out.getvalue())
    return answer["test_accuracy"], Path(answer["model"]).parent


def regression(folder: Path, backbone: str, store: Store) -> float:
    """Standardized features, C = 0.02: the reference, on the same pictures in the same parts."""
    entry = backbones.find(backbone)
    cache = Cache(store.home / "features", Recipe(sha256(backbones.weights_path(entry)), "average", entry.size))
    data = Dataset.from_bytes((folder / "dataset.json").read_bytes())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=3000))
    x, y = {}, {}
    for part in ("train", "test"):
        x[part] = cache.read([View(p.id) for p in data.part(part).pictures])
        y[part] = [p.label for p in data.part(part).pictures]
    return float(model.fit(x["train"], y["train"]).score(x["test"], y["test"]))


def variant(folder: Path, backbone: str, store: Store, **changes: Any) -> float:
    """The test accuracy with other settings, on the parts of a run."""
    entry, plan = backbones.find(backbone), Plan(backbone=backbone, **changes)
    data = Dataset.from_bytes((folder / "dataset.json").read_bytes())
    parts = {}
    for part in PARTS:
        precision, copies = (plan.precision, plan.augment) if part == "train" else ("float32", 0)
        weights = sha256(backbones.weights_path(entry))
        recipe = Recipe(weights, "average", entry.size, computed_in=precision)
        cache = Cache(store.home / "features", recipe)
        pictures = data.part(part).pictures
        views = [View(p.id, number) for number in range(copies + 1) for p in pictures]
        loaded = engine.load(store.home / "networks" / f"{recipe.network}.tflite", precision, len(views))
        extract(cache, loaded, store.pictures, views, Silent())
        targets = np.array([data.classes.index(p.label) for p in pictures])
        parts[part] = Labelled(cache.read(views), np.tile(targets, copies + 1))
    fitted = head.fit(parts["train"], parts["val"], len(data.classes), plan, Silent()).head
    predicted = fitted.probabilities(parts["test"].features).argmax(axis=1)
    return float((predicted == parts["test"].targets).mean())


def measure(root: Path, seeds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for name in SETS:
            for backbone in ("Starter", "MobileNetV2"):
                if not backbones.find(backbone).has_weights:
                    continue
                runs = [headstart(root / name, backbone, seed, store.home) for seed in range(seeds)]
                rivals = [regression(path, backbone, store) for _, path in runs]
                scores = [score for score, _ in runs]

                def others(backbone: str = backbone, runs: Any = runs, **changes: Any) -> float:
                    found = [variant(path, backbone, store, **changes) for _, path in runs]
                    return round(float(np.mean(found)), 4)

                rows.append(
                    {
                        "data": name,
                        "backbone": backbone,
                        "seeds": seeds,
                        "mean": round(float(np.mean(scores)), 4),
                        "lowest": round(min(scores), 4),
                        "logistic_regression": round(float(np.mean(rivals)), 4),
                        "augment_1": others(augment=1),
                        "augment_3": others(augment=3),
                        "bfloat16": others(precision="bfloat16") if engine.has_bfloat16() else None,
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.data, options.seeds)
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()))


if __name__ == "__main__":
    main()
