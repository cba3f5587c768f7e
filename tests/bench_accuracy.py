"""How accurate Headstart is with untouched settings, beside rivals on the same pictures in the same parts.

    python -m tests.bench_accuracy DATA [--sets NAME ...] [--seeds 3] [--dial balanced] [--backbone NAME]
                                        [--rivals regression tutorial ...] [--few] [--json]

DATA is a folder of data sets: each folder in it holds class folders, or train, val and test folders of class folders.
Each seed divides the pictures anew (an uploaded division stays) and trains through the command line, with everything
else left alone. The rivals (`tests/rivals.py`: regression, grid, tutorial, careful) get the same parts and the same
backbone. --few: instead of all pictures, 5, 10, 20 and 50 a class of train and val are drawn 5 times; test stays whole.

`low` and `high` bound the mean accuracy at 95 %. `ahead` is Headstart's accuracy minus that of a rival, with its bounds
and p-value, paired by seed and picture; the line of Headstart has the rival that does best on test, which favors the
rivals. `seconds` are those of a first training: for Headstart in an empty home, for rivals with decoding.
On two cores regression takes minutes, tutorial and careful take hours for several sets and seeds.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.__main__ import SHARES
from core.__main__ import main as command
from core.dataset import Dataset, Picture
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.learning import calibration, head
from core.learning.transferability import difference
from core.pictures import album
from core.plan import DIALS
from core.runs import requests
from core.scores.evaluation import Evaluation, wilson
from core.store.store import Store

NAMES = ("regression", "grid", "tutorial", "careful")
FEW = (5, 10, 20, 50)
DRAWS = 5
OURS = "Headstart"
_RESAMPLES = 4_000
_AT_ONCE = 500


@dataclass(frozen=True)
class Trained:
    """What Headstart answered for one division: its test scores, its pictures, its backbone, its seconds."""

    scores: Evaluation
    data: Dataset
    backbone: str
    seconds: float


def headstart(data: Path, seed: int, home: Path, options: argparse.Namespace) -> Trained:
    """A run with untouched settings through the command line."""
    out = io.StringIO()
    arguments = ["run", str(data), "--dial", options.dial, "--seed", str(seed), "--home", str(home), "--json"]
    arguments += ["--backbone", options.backbone] if options.backbone else []
    with contextlib.redirect_stdout(out):
        if command(arguments):
            logs = sorted((home / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
            raise SystemExit(out.getvalue() + "".join(path.read_text() for path in logs[-1:]))  # the home goes now
    answer = json.loads(out.getvalue())
    model = Path(answer["model"]).parent
    scores = Evaluation.from_dict(json.loads((model / "evaluation-test.json").read_text()))
    pictures = Dataset.from_bytes((model.parent / "dataset.json").read_bytes())
    return Trained(scores, pictures, answer["backbone"], answer["seconds"]["total"])


def resampled(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Means of `values` (seeds, pictures), where nan is a picture that a seed did not test, over draws of both seeds
    and pictures with replacement (A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007): a
    picture that several seeds test is one picture."""
    rng, known = np.random.default_rng(seed), ~np.isnan(values)
    filled, (n_seeds, n) = np.where(known, values, 0.0), values.shape
    means = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), _AT_ONCE).astype(float)
        pictures = rng.multinomial(n, np.full(n, 1 / n), _AT_ONCE)
        tested = ((seeds @ known) * pictures).sum(axis=1)
        means.append(((seeds @ filled) * pictures).sum(axis=1)[tested > 0] / tested[tested > 0])
    return np.concatenate(means)


def bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """The bounds at 95 % of the mean of `values` as in `resampled`: 1 for a picture that is right, 0 for a wrong one.
    All right or all wrong is no certainty: then Wilson's."""
    if np.nanmin(values) == np.nanmax(values):
        n = values.shape[1]
        return wilson(int(np.nanmax(values)) * n, n)
    low, high = np.percentile(resampled(values), (2.5, 97.5))
    return float(low), float(high)


def paired(ours: NDArray[np.float64], rival: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """How far the first of two is ahead on the same seeds and pictures, (seeds, pictures) as in `bounds`: the mean
    difference, its bounds at 95 %, and the p-value of no difference. Two that agree on every picture get the bounds
    that so many pictures allow."""
    apart = ours - rival
    if not np.nan_to_num(apart).any():
        return (0.0, *difference(0, 0, apart.shape[1]), 1.0)
    draws = resampled(apart)
    low, high = np.percentile(draws, (2.5, 97.5))
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(np.nanmean(apart)), float(low), float(high), float(min(1.0, 2 * (tail + 1) / (len(draws) + 1)))


def draw(pictures: Sequence[Picture], k: int, seed: int) -> list[Picture]:
    """k pictures of each class, at random; a larger k of the same seed has them too. Empty where a class has fewer."""
    rng, chosen = np.random.default_rng(seed), []
    for label in sorted({picture.label for picture in pictures}):
        own = sorted((picture for picture in pictures if picture.label == label), key=lambda picture: picture.id)
        if len(own) < k:
            return []
        chosen += [own[i] for i in rng.permutation(len(own))[:k]]
    return chosen


def hits(scores: Sequence[Evaluation]) -> NDArray[np.float64]:
    """Whether each picture is right for each seed, (seeds, pictures); nan where it is not in that seed's test part."""
    ids = sorted({key for each in scores for key in each.ids})
    column = {key: i for i, key in enumerate(ids)}
    table = np.full((len(scores), len(ids)), np.nan)
    for row, each in zip(table, scores, strict=True):
        row[[column[key] for key in each.ids]] = each.predicted == each.truth
    return table


# -- Headstart and its rivals


def contest(
    divisions: Sequence[tuple[Path, int]], home: Path, options: argparse.Namespace, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """Headstart and the rivals on divisions of the same pictures, each a folder and a seed: a row for each."""
    from tests import rivals  # imports TensorFlow

    scores: dict[str, list[Evaluation]] = {OURS: []}
    seconds: dict[str, list[float]] = {OURS: []}
    runs = []
    for data, seed in divisions:
        runs.append(headstart(data, seed, home, options))
        scores[OURS].append(runs[-1].scores)
        seconds[OURS] = seconds[OURS] or [runs[-1].seconds]  # later ones find features and a converted network
        _tell(facts, seed, OURS, runs[-1].scores, runs[-1].seconds)
    ids = sorted({picture.id for run in runs for picture in run.data.pictures})
    backbone = backbones.find(runs[0].backbone)
    with tempfile.TemporaryDirectory() as folder:
        looked = rivals.look(Store(home), ids, backbone, Path(folder)) if options.rivals else None
        for name in options.rivals:
            rival = rivals.RIVALS[name]
            for (_, seed), run in zip(divisions, runs, strict=True):
                started = time.monotonic()
                found = rival.answer(_task(looked, run, seed))
                taken = time.monotonic() - started + looked.decoding_s + rival.on_features * looked.features_s
                answered = Evaluation(run.scores.classes, run.scores.ids, run.scores.truth, found)
                scores.setdefault(rival.title, []).append(answered)
                seconds.setdefault(rival.title, []).append(taken)
                _tell(facts, seed, rival.title, answered, taken)
    facts |= {"backbone": backbone.name, "test": runs[0].scores.n, "seeds": len(runs)}
    return rows(scores, seconds, facts)


def _task(looked: Any, run: Trained, seed: int) -> Any:
    from tests.rivals import Task

    def known(part: str) -> tuple[Any, Any]:
        pictures = run.data.part(part).pictures
        targets = head.class_indices((picture.label for picture in pictures), run.scores.classes)
        return np.array([looked.row[picture.id] for picture in pictures], np.int64), targets

    test = np.array([looked.row[key] for key in run.scores.ids], np.int64)
    return Task(looked, run.scores.classes, *known("train"), *known("val"), test, seed)


def _tell(facts: dict[str, Any], seed: int, method: str, scores: Evaluation, seconds: float) -> None:
    few = f", {facts['a_class']} a class" if facts["a_class"] else ""
    print(f"{facts['data']}{few}, seed {seed}: {method} {scores.accuracy:.1%} ({seconds:.0f} s)", file=sys.stderr)


def rows(
    scores: dict[str, list[Evaluation]], seconds: dict[str, list[float]], facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """The table: the first line is Headstart's, beside its best rival."""
    right = {method: hits(found) for method, found in scores.items()}
    others = [method for method in right if method != OURS]
    best = max(others, key=lambda method: np.nanmean(right[method]), default=None)
    table = []
    for method, found in scores.items():
        low, high = bounds(right[method])
        against = best if method == OURS else method
        apart = [round(each, 4) for each in paired(right[OURS], right[against])] if against else [None] * 4
        table.append(
            {
                **facts,
                "method": method,
                "accuracy": round(float(np.nanmean(right[method])), 4),
                "low": round(low, 4),
                "high": round(high, 4),
                "against": against,
                **dict(zip(("ahead", "ahead_low", "ahead_high", "p"), apart, strict=True)),
                "log_loss": round(float(np.mean([each.log_loss for each in found])), 4),
                "calibration_error": round(float(np.mean([calibration.error(each) for each in found])), 4),
                "seconds": round(float(np.mean(seconds[method])), 1),
            }
        )
    return table


def few(data: Path, home: Path, options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """The rows for each number of pictures a class. They are drawn from train and val of the division of seed 0."""
    store = Store(home)
    project = store.add_project(data.name)
    album.set_split(store, project.id, 0, *SHARES)
    job = queue.start(store, project.id, INTAKE, Delivery(str(data), "bench"))
    while (job := queue.tend(store, job.id)).active:
        time.sleep(0.1)
    if job.state != "succeeded":
        raise SystemExit(queue.log_path(store, job.id).read_text())
    pictures = requests.trainable(store, project.id).pictures
    test = [picture for picture in pictures if picture.part == "test"]
    pool = [picture for picture in pictures if picture.part != "test"]
    for k in FEW:
        folder, divisions = home / str(k), []
        for seed in range(DRAWS):
            if chosen := draw(pool, k, seed):
                _lay(store, folder / str(seed), {"train": chosen, "test": test})
                divisions.append((folder / str(seed), seed))
        if divisions:
            yield contest(divisions, folder / "home", options, {"data": data.name, "a_class": k})


def _lay(store: Store, folder: Path, parts: dict[str, list[Picture]]) -> None:
    """Put pictures into part and class folders; their content says what kind of file they are, whatever their name."""
    for part, pictures in parts.items():
        for picture in pictures:
            path = folder / part / picture.label.replace("/", "_") / f"{picture.id}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(store.pictures.path(picture.id), path)


def measure(options: argparse.Namespace) -> Iterator[list[dict[str, Any]]]:
    """The rows of one set after the other; each has a home of its own."""
    for data in found_sets(options.data.absolute(), options.sets):
        with tempfile.TemporaryDirectory() as home:
            if options.few:
                yield from few(data, Path(home), options)
            else:
                divisions = [(data, seed) for seed in range(options.seeds)]
                yield contest(divisions, Path(home), options, {"data": data.name, "a_class": None})


def found_sets(root: Path, names: Sequence[str]) -> list[Path]:
    """The folders of the sets that were named, or of all. Ends the program where there is none of a name."""
    here = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    missing = set(names) - {path.name for path in here}
    if missing or not here:
        raise SystemExit(f"{root} has no set {', '.join(sorted(missing))}; it has: {', '.join(p.name for p in here)}")
    return [path for path in here if not names or path.name in names]


def text(row: dict[str, Any]) -> str:
    few = f", {row['a_class']} a class" if row["a_class"] else ""
    apart = ""
    if row["against"]:
        beside = f" of {row['against']}" if row["method"] == OURS else ""
        apart = f"{row['ahead']:+.1%} ({row['ahead_low']:+.1%} to {row['ahead_high']:+.1%}), p {row['p']:.3f}{beside}"
    return " | ".join(
        [
            f"{row['data']}{few} ({row['backbone']}, test {row['test']}, seeds {row['seeds']})",
            row["method"],
            f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})",
            apart,
            f"{row['log_loss']:.3f}",
            f"{row['calibration_error']:.3f}",
            f"{row['seconds']:.0f}",
        ]
    )


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dial", choices=DIALS, default="balanced")
    parser.add_argument("--backbone", help="in place of what the dial suggests")
    parser.add_argument("--rivals", nargs="*", choices=NAMES, default=["regression", "tutorial"])
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main() -> None:
    options = parsed()
    if not options.json:
        print("data | method | test accuracy | Headstart ahead by | log loss | calibration error | seconds")
    found = []
    for table in measure(options):
        found += table
        if not options.json:
            print(*map(text, table), sep="\n", flush=True)
    if options.json:
        print(json.dumps({"dial": options.dial, "rows": found}))


if __name__ == "__main__":
    main()
