"""Does the backbone fit, and what would more pictures bring: the measures of the app on real pictures.

    python -m tests.bench_fit DATA [--json]

DATA holds the sets hymenoptera and sign-language-digits; MobileNetV2 is measured where KERAS_HOME has its weights.
Both questions are asked as the page asks them, as jobs of a project. For the second one the bench also checks the
answer: it is asked with half of the training pictures, and compared with what all of them then brought on test.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones
from core.dataset import Dataset
from core.disk.blobs import sha256
from core.features.feature_cache import Cache, Recipe, views
from core.jobs import queue
from core.jobs.kinds import FIT, INTAKE, MORE, Delivery
from core.learning import head, learning_curve
from core.learning.head import Labeled
from core.learning.transferability import Fit
from core.plan import Plan
from core.progress import Silent
from core.runs import questions, requests
from core.store.store import Store

SETS = ("hymenoptera", "sign-language-digits")
# Divisions of the training pictures for which the curve is checked.
HALVES = 5


def finish(store: Store, job: queue.Job) -> float:
    """Wait for a job; answers its seconds."""
    started = time.monotonic()
    while (job := queue.tend(store, job.id)).active:
        time.sleep(0.1)
    if job.state != "succeeded":
        raise SystemExit(queue.log_path(store, job.id).read_text())
    return time.monotonic() - started


def asked(store: Store, project: str, backbone: str) -> dict[str, Any]:
    """Both answers, and how long they took."""
    plan = Plan(backbone=backbone)
    fit_s = finish(store, questions.ask_fit(store, project, plan))
    more_s = finish(store, questions.ask_more(store, project, plan))
    now = store.dataset(project).fingerprint
    told = {kind.name: questions.answer(store, project, kind, plan, now) for kind in (FIT, MORE)}
    fit, curve = told["fit"].fit, told["more"].growth
    return {
        "pictures": fit.n,
        **{each.name: round(each.correct / fit.n, 3) for each in fit.sets},
        **{f"{each.name}_neighbors": round(each.neighbors / fit.n, 3) for each in fit.sets},
        **{f"{each.name}_logme": round(each.logme, 3) for each in fit.sets},
        "gain": _rounded(fit),
        "verdict": fit.verdict,
        "twice": [round(curve.gain, 3), round(curve.low, 3), round(curve.high, 3)],
        "fit_s": round(fit_s, 1),
        "more_s": round(more_s, 1),
    }


def _rounded(fit: Fit) -> list[float]:
    return [round(value, 3) for value in (fit.gain, *fit.gain_interval)]


def doubled(store: Store, project: str, backbone: str) -> dict[str, Any]:
    """What half of the pictures promise, and what all of them brought on the test pictures."""
    data = store.dataset(project)
    entry = backbones.find(backbone)
    weights = sha256(backbones.weights_path(entry))
    cache = Cache(store.home / "features", Recipe(weights, "average", entry.size))
    found = []
    train, val, test = (labeled(cache, data, data.part(part)) for part in ("train", "val", "test"))
    for seed in range(HALVES):
        rows = np.random.default_rng(seed).permutation(len(train.targets))[: len(train.targets) // 2]
        half = Labeled(train.features[rows], train.targets[rows])
        curve = learning_curve.measure(half, val, len(data.classes), Plan(), Silent())
        scores = [head.solve(part, len(data.classes), Plan()).probabilities(test.features) for part in (half, train)]
        before, after = (float((each.argmax(axis=1) == test.targets).mean()) for each in scores)
        found.append((curve.gain, curve.low, curve.high, after - before))
    gain, _, _, true = np.mean(found, axis=0)
    inside = sum(low <= brought <= high for _, low, high, brought in found)
    return {
        "half_promised": round(float(gain), 3),
        "all_brought": round(float(true), 3),
        "inside": f"{inside}/{HALVES}",
    }


def labeled(cache: Cache, data: Dataset, part: Dataset) -> Labeled:
    targets = np.array([data.classes.index(p.label) for p in part.pictures])
    return Labeled(cache.read(views([p.id for p in part.pictures]))[:], targets)


def measure(root: Path) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for name in SETS:
            project = store.add_project(name).id
            finish(store, queue.start(store, project, INTAKE, Delivery(str(root / name), "bench")))
            for backbone in ("Starter", "MobileNetV2"):
                if backbones.find(backbone).has_weights:
                    row = {"data": name, "backbone": backbone, **asked(store, project, backbone)}
                    _, job = requests.train(
                        store, project, Plan(backbone=backbone, epochs=1)
                    )  # the features of all parts
                    if job is not None:
                        finish(store, job)
                    rows.append(row | doubled(store, project, backbone))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.data.absolute())
    if options.json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        print(*(f"{name}: {value}" for name, value in row.items()), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
