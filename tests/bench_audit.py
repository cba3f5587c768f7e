"""How often the audit is right: faults are planted into real pictures, and each check is asked for them.

    python -m tests.bench_audit DATA [--json] [--quick]

DATA holds the sets hymenoptera and sign-language-digits; features are those of MobileNetV2 where KERAS_HOME has its
weights, else of Starter. Each set gets, in one project: copies that were resized, compressed again and cropped by up
to 5 % a side (a twentieth of the pictures each), dark, bright, blurry, tiny, long and one-colored pictures, pictures of
the other set, and exact copies. Wrong labels (5 %) are planted apart from that, since they are judged by rank.
`--quick` takes every third picture.
"""

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from core.audit import findings
from core.audit.findings import BY_KIND
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.sandbox.decoding import decode
from core.store.store import Store
from tests.bench_fit import finish

SETS = ("hymenoptera", "sign-language-digits")
SHARE = 0.05
NOISE = 0.05
SINGLE = ("dark", "bright", "blurry", "tiny", "odd", "flat")


def read(root: Path, step: int) -> list[tuple[str, bytes]]:
    """(class, bytes) of every `step`-th picture that can be decoded."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file())[::step]:
        data = path.read_bytes()
        try:
            decode(data)
        except HeadstartError:
            continue
        found.append((path.parent.name, data))
    return found


def encode(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def fault(kind: str, data: bytes, rng: np.random.Generator) -> bytes:
    """A picture with one fault, or a copy of one kind."""
    if kind == "duplicate":
        return data
    image = Image.fromarray(decode(data).pixels)
    w, h = image.size
    values = np.asarray(image, np.float32)
    if kind == "resized":
        share = rng.uniform(0.5, 0.9)
        return encode(image.resize((round(share * w), round(share * h)), Image.Resampling.LANCZOS))
    if kind == "compressed":
        return encode(image, int(rng.integers(30, 60)))
    if kind == "cropped":
        left, top, right, bottom = rng.uniform(0.01, 0.05, 4)
        return encode(image.crop((round(left * w), round(top * h), round((1 - right) * w), round((1 - bottom) * h))))
    if kind == "dark":
        return encode(Image.fromarray((values * rng.uniform(0.05, 0.18)).astype(np.uint8)))
    if kind == "bright":
        return encode(Image.fromarray((255 - (255 - values) * rng.uniform(0.05, 0.2)).astype(np.uint8)))
    if kind == "blurry":
        return encode(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.03, 0.05) * max(w, h))))
    if kind == "tiny":
        return encode(image.resize((int(rng.integers(20, 38)), int(rng.integers(20, 38)))))
    if kind == "odd":
        return encode(image.resize((400, int(rng.integers(60, 120)))))
    color = rng.integers(30, 220, 3) + rng.normal(0, 1.0, values.shape)
    return encode(Image.fromarray(np.clip(color, 0, 255).astype(np.uint8)))


def scored(told: set[str], true: set[str]) -> dict[str, float | int]:
    right = len(told & true)
    return {
        "planted": len(true),
        "recall": round(right / len(true), 3) if true else 1.0,
        "precision": round(right / len(told), 3) if told else 1.0,
    }


def project(store: Store, name: str, files: dict[str, bytes], folder: Path) -> tuple[str, float]:
    """A project of these files with an audit, and the seconds that took."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    made = store.add_project(name).id
    finish(store, queue.start(store, made, INTAKE, Delivery(str(folder), "b")))
    return made, finish(store, findings.start(store, made))


def faults(store: Store, name: str, own: list[tuple[str, bytes]], foreign: list[bytes], folder: Path) -> dict[str, Any]:
    """All but wrong labels."""
    rng = np.random.default_rng(0)
    files = {f"{label}/{number}.jpg": data for number, (label, data) in enumerate(own)}
    planted: dict[str, set[str]] = {}
    count = max(8, round(SHARE * len(own)))
    pairs: dict[str, str] = {}
    for kind in ("resized", "compressed", "cropped", "duplicate"):
        for number in rng.permutation(len(own))[:count].tolist():
            copy = f"{own[number][0]}/{number}-{kind}.jpg"
            files[copy] = fault(kind, own[number][1], rng)
            pairs[copy] = f"{own[number][0]}/{number}.jpg"
            planted.setdefault(kind, set()).add(copy)
    for kind in SINGLE:
        for number in rng.permutation(len(own))[: max(4, count // 4)].tolist():
            path = f"{own[number][0]}/{number}-{kind}.jpg"
            files[path] = fault(kind, own[number][1], rng)
            planted.setdefault(kind, set()).add(path)
    for number, data in enumerate(foreign[:10]):
        path = f"{own[number][0]}/{number}-stranger.jpg"
        files[path] = data
        planted.setdefault("stranger", set()).add(path)
    made, seconds = project(store, name, files, folder)
    # Files with the same pixels are one picture, so everything is compared by picture.
    ids = {path: key for key, path in files_of(store, made)}
    root = {ids[path]: path.rsplit("/", 1)[1].split("-")[0].split(".")[0] for path in files if "stranger" not in path}
    answer: dict[str, Any] = {"pictures": len(files), "seconds_per_1k": round(1000 * seconds / len(files), 1)}
    dropped = {frozenset((file.name, file.values["twin"])) for file in store.unused(made) if file.reason == "duplicate"}
    exact = {frozenset((copy, pairs[copy])) for copy in planted.pop("duplicate")}
    answer["duplicate"] = {
        "planted": len(exact),
        "recall": round(len(dropped & exact) / len(exact), 3),
        "precision": round(len(dropped & exact) / len(dropped), 3),
    }
    group = findings.groups(store, made)
    told = findings.pairs(store, made)
    right = sum(root.get(a, a) == root.get(b, b) for a, b in told)
    copies = [path for kind in ("resized", "compressed", "cropped") for path in planted[kind]]
    joined = {path for path in copies if group.get(ids[path], "") == group.get(ids[pairs[path]], "-")}
    answer["near"] = {
        "planted": len(copies),
        "recall": round(len(joined) / len(copies), 3),
        "precision_of_pairs": round(right / len(told), 3),
    }
    for kind in ("resized", "compressed", "cropped"):
        answer[f"near_{kind}_recall"] = round(len(joined & planted[kind]) / len(planted[kind]), 3)
    found = {finding.kind: set(finding.ids) for finding in findings.findings(store, made)}
    for kind in SINGLE:
        answer[kind] = scored(found.get(kind, set()), {ids[path] for path in planted[kind]})
    # One color or darkness is like no class either.
    odd_ones = {ids[path] for kind in SINGLE for path in planted[kind]}
    answer["stranger"] = scored(found.get("stranger", set()) - odd_ones, {ids[path] for path in planted["stranger"]})
    return answer


def files_of(store: Store, made: str) -> list[tuple[str, str]]:
    """(picture id, name) of every file that has a picture."""
    rows = store.read("SELECT picture_id, name FROM file WHERE project_id = ? AND picture_id IS NOT NULL", made)
    return [(row["picture_id"], row["name"]) for row in rows]


def clean(store: Store, name: str, own: list[tuple[str, bytes]], folder: Path) -> dict[str, Any]:
    """What is found in the set as it is."""
    files = {f"{label}/{number}.jpg": data for number, (label, data) in enumerate(own)}
    made, seconds = project(store, name, files, folder)
    again = finish(store, findings.start(store, made))
    found = {finding.kind: finding.n for finding in findings.findings(store, made)}
    return {"pictures": len(files), "found": found, "seconds": round(seconds, 1), "seconds_again": round(again, 1)}


def wrong(store: Store, name: str, own: list[tuple[str, bytes]], folder: Path) -> dict[str, Any]:
    """Labels that were made wrong, by the rank of their score and at the threshold."""
    rng = np.random.default_rng(1)
    labels = sorted({label for label, _ in own})
    chosen = set(rng.permutation(len(own))[: round(NOISE * len(own))].tolist())
    files, planted = {}, set()
    for number, (label, data) in enumerate(own):
        given = str(rng.choice([other for other in labels if other != label])) if number in chosen else label
        files[f"{given}/{number}.jpg"] = data
        if number in chosen:
            planted.add(f"{given}/{number}.jpg")
    made, _ = project(store, name, files, folder)
    names = dict(files_of(store, made))
    ranked = store.read("SELECT picture_id, score FROM finding WHERE project_id = ? AND kind = 'wrong'", made)
    ranked.sort(key=lambda row: -row["score"])
    top = {names[row["picture_id"]] for row in ranked[: round(0.1 * len(own))]}
    sure = {names[row["picture_id"]] for row in ranked if row["score"] >= BY_KIND["wrong"].least}
    return {"recall_in_top_tenth": round(len(top & planted) / len(planted), 3), **scored(sure, planted)}


def measure(root: Path, quick: bool) -> dict[str, Any]:
    sets = {name: read(root / name, 3 if quick else 1) for name in SETS}
    answer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "home")
        for name, other in zip(SETS, reversed(SETS), strict=True):
            own, foreign = sets[name], [data for _, data in sets[other][:: len(sets[other]) // 10]]
            answer[name] = {
                "clean": clean(store, f"{name} clean", own, Path(folder) / name / "clean"),
                "faults": faults(store, f"{name} faults", own, foreign, Path(folder) / name / "faults"),
                "wrong": wrong(store, f"{name} wrong", own, Path(folder) / name / "wrong"),
            }
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    answer = measure(options.data.absolute(), options.quick)
    if options.json:
        print(json.dumps(answer))
        return
    for name, checks in answer.items():
        for title, facts in checks.items():
            print(f"{name}, {title}:", *(f"  {key}: {value}" for key, value in facts.items()), sep="\n", end="\n\n")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
