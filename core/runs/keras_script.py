"""A plain Keras script that trains a run again where nothing of Headstart is, with the files it needs, as one ZIP.

The script is `neural/train_script.py` with the run filled in. It computes in float32 and follows the settings that are
named here; `unlike` tells the others.
"""

import csv
import io
import json
import re
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from core import backbones, runfile
from core.dataset import Dataset
from core.plan import Plan
from core.store import Run, Store

_NEURAL = Path(__file__).parent / "neural"
_FOLLOWED = (
    "backbone", "pooling", "hidden_units", "hidden_layers", "dropout", "augment", "augment_kinds", "epochs", "patience",
    "learning_rate", "batch_size", "label_smoothing", "regularization", "balance", "fine_tune_blocks",
    "fine_tune_epochs", "fine_tune_patience", "fine_tune_rate", "fine_tune_schedule", "fine_tune_warmup", "seed",
)  # fmt: skip


def unlike(run: Run) -> list[str]:
    """What of a run its script does not follow, mostly names of settings."""
    plan = run.plan
    defaults = {setting.name: setting.default for setting in fields(Plan)}
    other = [name for name, value in plan.items() if name not in _FOLLOWED and value != defaults.get(name)]
    if backbones.find(plan["backbone"]).weights_given:
        other.append("weights from a file")
    return [name for name in other if plan.get("fine_tune_blocks") or not name.startswith("fine_tune")]


def build(store: Store, run: Run) -> bytes:
    """The ZIP: train.py, split.csv, use_model.py, run.yaml, and Starter itself where the run is built on it."""
    dataset = Dataset.from_bytes((store.folder(run.id) / "dataset.json").read_bytes())
    files = {"train.py": text(run, dataset).encode(), "split.csv": _split(dataset).encode()}
    files |= {"use_model.py": (_NEURAL / "use_model.py").read_bytes(), "run.yaml": runfile.write(store, run).encode()}
    if run.plan["backbone"] == backbones.STARTER.name:
        files |= {name: (_NEURAL / name).read_bytes() for name in ("starter.py", "starter.weights.h5")}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def text(run: Run, dataset: Dataset) -> str:
    """The script of a run."""
    result, backbone = run.result or {}, backbones.find(run.plan["backbone"])
    plan: dict[str, Any] = {name: run.plan[name] for name in _FOLLOWED}
    blocks: int = plan["fine_tune_blocks"]
    facts = {
        "name": backbone.name,
        "size": backbone.size,
        "fine_tune_from": backbone.blocks[blocks - 1].after if blocks else None,
    }
    n = result["test_n"]
    measured = f"Headstart: right on {round((result['test_accuracy'] or 0) * n)} of {n} test pictures."
    if unlike(run):
        measured += f" This script does not follow: {', '.join(unlike(run))}."
    lines = [
        f"BACKBONE: dict[str, Any] = {_shown(facts)}",
        f"CLASSES = {json.dumps(list(dataset.classes), ensure_ascii=False)}",
        f"PLAN: dict[str, Any] = {_shown(plan)}",
        f"MEASURED = {json.dumps(measured)}",
    ]
    template = (_NEURAL / "train_script.py").read_text(encoding="utf-8")
    filled = re.sub(
        r"(?s)(# -- the run\n).*(# -- end of the run\n)", lambda m: m[1] + "\n".join(lines) + "\n" + m[2], template
    )
    return filled.replace("from core.neural.", "from ")


def _shown(values: dict[str, Any]) -> str:
    """A dictionary as one writes it, a line for each entry."""
    lines = [f"    {json.dumps(name)}: {_value(value)},\n" for name, value in values.items()]
    return "{\n" + "".join(lines) + "}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _split(dataset: Dataset) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("sha256", "class", "part"))
    rows.writerows((picture.id, picture.label, picture.part) for picture in dataset.pictures)
    return out.getvalue()
