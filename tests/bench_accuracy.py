"""How good Headstart's defaults are on real pictures, beside the best of 24 other settings and a logistic regression.

    python -m tests.bench_accuracy DATA [--seeds 5] [--json]

DATA holds the sets hymenoptera and sign-language-digits; MobileNetV2 is measured where KERAS_HOME has its weights.
Each seed divides the pictures anew and trains through the command line, with everything else left alone. Beside that,
on the same parts and features, stand the best of 24 heads (regularization x hidden units x dropout), chosen by val
accuracy and then val loss for each seed, and a logistic regression. About ten minutes on two cores.
"""

import argparse
import contextlib
import io
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core import backbones, head
from core.__main__ import main as command
from core.dataset import PARTS, Dataset
from core.features import Cache, Recipe, views
from core.head import Labelled
from core.plan import Plan
from core.progress import Silent
from core.shelf import sha256
from core.store import Store

# 24 points around what is suggested.
GRID: dict[str, tuple[Any, ...]] = {
    "regularization": (2.0, 5.0, 10.0, 20.0, 50.0, 200.0),
    "hidden_units": (0, 256),
    "dropout": (0.0, 0.3),
}
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
    parts, _ = features(folder, backbone, store)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=3000))
    model.fit(parts["train"].features, parts["train"].targets)
    return float(model.score(parts["test"].features, parts["test"].targets))


def features(folder: Path, backbone: str, store: Store) -> tuple[dict[str, Labelled], tuple[str, ...]]:
    """The parts of a run, and its classes."""
    entry = backbones.find(backbone)
    cache = Cache(store.home / "features", Recipe(sha256(backbones.weights_path(entry)), "average", entry.size))
    data = Dataset.from_bytes((folder / "dataset.json").read_bytes())
    parts = {}
    for part in PARTS:
        pictures = data.part(part).pictures
        targets = np.array([data.classes.index(p.label) for p in pictures])
        parts[part] = Labelled(cache.read(views([p.id for p in pictures])), targets)
    return parts, data.classes


def grid(folder: Path, backbone: str, store: Store) -> tuple[float, dict[str, Any]]:
    """The test accuracy of the settings that are best on val, and those settings."""
    parts, classes = features(folder, backbone, store)
    found = []
    for pull, units, dropout in itertools.product(*GRID.values()):
        changes = dict(zip(GRID, (pull, units, dropout), strict=True))
        plan = Plan(backbone=backbone, **changes)
        fitted = head.fit(parts["train"], parts["val"], len(classes), plan, Silent())
        row = fitted.history[fitted.best_epoch - 1]
        found.append((-row["val_accuracy"], row["val_loss"], len(found), fitted.head, changes))
    _, _, _, best, changes = min(found)
    predicted = best.probabilities(parts["test"].features).argmax(axis=1)
    return float((predicted == parts["test"].targets).mean()), changes


def measure(root: Path, seeds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for name, backbone in itertools.product(SETS, ("Starter", "MobileNetV2")):
            if not backbones.find(backbone).has_weights:
                continue
            runs = [headstart(root / name, backbone, seed, store.home) for seed in range(seeds)]
            scores = [score for score, _ in runs]
            tuned = [grid(path, backbone, store) for _, path in runs]
            rows.append(
                {
                    "data": name,
                    "backbone": backbone,
                    "seeds": seeds,
                    "mean": round(float(np.mean(scores)), 4),
                    "lowest": round(min(scores), 4),
                    "grid": round(float(np.mean([score for score, _ in tuned])), 4),
                    "behind": round(float(np.mean([score for score, _ in tuned]) - np.mean(scores)), 4),
                    "logistic_regression": round(
                        float(np.mean([regression(path, backbone, store) for _, path in runs])), 4
                    ),
                    "chosen": [changes for _, changes in tuned],
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
