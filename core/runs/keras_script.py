"""Exports a run as a plain Keras script that trains it again without Headstart, with the files it needs, in one ZIP.

The script is `neural/exported/train_script.py` with the settings of the run. It computes in float32 and follows the
settings in `_FOLLOWED`; `unlike` names the others. What its files say to people is in the language that is spoken.
"""

import csv
import io
import json
import re
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from core import backbones
from core.dataset import Dataset
from core.features import weights
from core.intake import label_tables
from core.language.catalog import say
from core.pictures import versions
from core.plan import Plan
from core.runs import run_file, script_language
from core.store.store import Run, Store

_NEURAL = Path(__file__).parents[1] / "neural"
_OWN_FILE = "backbone.keras"
_FOLLOWED = (
    "backbone", "pooling", "mirrored", "hidden_units", "hidden_layers", "dropout", "augment", "augment_kinds", "epochs",
    "patience", "learning_rate", "batch_size", "label_smoothing", "regularization", "choose_regularization", "refit",
    "balance", "fine_tune_blocks", "fine_tune_epochs", "fine_tune_patience", "fine_tune_rate", "fine_tune_schedule",
    "fine_tune_warmup", "fine_tune_fresh", "seed",
)  # fmt: skip


def unlike(run: Run) -> list[str]:
    """What the script of a run does not reproduce: names of settings, and `weights_given`: those that a user gave."""
    plan = run.plan
    defaults = {setting.name: setting.default for setting in fields(Plan)}
    other = [name for name, value in plan.items() if name not in _FOLLOWED and value != defaults.get(name)]
    if _tuned_blocks(run) and plan.get("mirrored"):
        other.append("mirrored")  # it cannot tell where the frozen part of both views ends
    if backbones.find(plan["backbone"]).weights_given:
        other.append("weights_given")
    return [name for name in other if _tuned_blocks(run) or not name.startswith("fine_tune")]


def _tuned_blocks(run: Run) -> int:
    """How many blocks the script fine-tunes: none where the frozen model was kept."""
    tuned = run.outcome.fine_tune
    return 0 if tuned is not None and not tuned.best_epoch else int(run.plan.get("fine_tune_blocks", 0))


def build(store: Store, run: Run) -> bytes:
    """The ZIP: train.py with the files it imports, split.csv, run.yaml, and the code that builds the run's backbone
    where `keras.applications` has none: Starter's with its weights, that for keras-hub, or a user's own model. Raises
    HeadstartError("own_missing") where that is not here."""
    dataset = versions.of_run(store, run.id)
    files = {"train.py": text(run, dataset).encode(), "split.csv": _split(dataset).encode()}
    files |= {"augmentation.py": _spoken("exported/augmentation.py").encode(), "use_model.py": use_model()}
    files["run.yaml"] = run_file.write(store, run).encode()
    if run.plan["backbone"] == backbones.STARTER.name:
        files["starter.py"] = _spoken("starter.py").encode()
        files["starter.weights.h5"] = (_NEURAL / "starter.weights.h5").read_bytes()
    backbone = backbones.find(run.plan["backbone"])
    if backbone.own:
        weights.require_here(backbone)
        files[_OWN_FILE] = backbones.weights_path(backbone).read_bytes()
    if backbone.hub:
        files["hub.py"] = _spoken("hub.py").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def text(run: Run, dataset: Dataset) -> str:
    """The script of a run."""
    result, backbone = run.outcome, backbones.find(run.plan["backbone"])
    settings = Plan().to_dict() | run.plan  # a run may be older than a setting
    plan: dict[str, Any] = {name: settings[name] for name in _FOLLOWED}
    plan |= {"mirrored": 0} if "mirrored" in unlike(run) else {}
    del plan["choose_regularization"]  # the chosen value stands in its place
    plan |= {"exact": int(result.exact is not None), "refit": int(result.learned_from_val)}
    plan |= {"regularization": result.exact.regularization} if result.exact else {}
    blocks = plan["fine_tune_blocks"] = _tuned_blocks(run)
    facts = {
        "name": backbone.name,
        "size": backbone.size,
        "depths": [depth.layer for depth in Plan(backbone=backbone.name, pooling=plan["pooling"]).depths],
        "fine_tune_from": backbone.blocks[blocks - 1].after if blocks else None,
        "terms": backbone.terms,
    }
    if backbone.own:
        facts["file"] = _OWN_FILE
    if backbone.hub:
        facts["hub"] = asdict(backbone.hub) | {"arguments": dict(backbone.hub.arguments)}
        facts |= {"scaling": backbone.scaling, "weights_file": backbone.weights_file}
        facts["weights_url"] = "" if backbone.conditions else backbone.weights_url
    measured = say("script_measured", correct=result.test_correct, n=result.test_n)
    if other := unlike(run):
        given = say("setting.weights_given").lower()
        names = ", ".join(given if name == "weights_given" else name for name in other)
        measured += f" {say('script_unlike', names=names)}"
    lines = [
        f"BACKBONE: dict[str, Any] = {_shown(facts)}",
        f"CLASSES = {json.dumps(list(dataset.classes), ensure_ascii=False)}",
        f"PLAN: dict[str, Any] = {_shown(plan)}",
        f"MEASURED = {json.dumps(measured, ensure_ascii=False)}",
    ]
    template = _spoken("exported/train_script.py")
    template = template.replace("from core.neural.exported.", "from ").replace("from core.neural.", "from ")
    return re.sub(r"(?ms)^BACKBONE: .*?(?=^# -- )", lambda _: "\n".join(lines) + "\n", template, count=1)


def use_model() -> bytes:
    """The script that answers for picture files with a model."""
    return _spoken("exported/use_model.py").encode()


def _spoken(name: str) -> str:
    return script_language.spoken((_NEURAL / name).read_text(encoding="utf-8"))


def _shown(values: dict[str, Any]) -> str:
    """A dictionary as Python code, one line for each entry."""
    lines = [f"    {json.dumps(name)}: {_value(value)},\n" for name, value in values.items()]
    return "{\n" + "".join(lines) + "}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _split(dataset: Dataset) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("sha256", "class", "part", "name"))
    number = {label: n for n, label in enumerate(dataset.classes)}
    rows.writerows((p.id, number[p.label], p.part, label_tables.inert(p.label)) for p in dataset.pictures)
    return out.getvalue()
