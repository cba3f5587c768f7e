"""A run as a YAML file that people can read, and that trains it again, here or elsewhere.

It names the pictures by their fingerprint and does not hold them. What is read may come from anyone: it is bounded,
plain data only, and every value is checked.
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.metadata import version
from typing import Any

import yaml

from core import album, settings
from core.dataset import Dataset
from core.errors import HeadstartError
from core.plan import Plan
from core.store import Project, Run, Store

VERSION = 1
# A thousand classes with the longest names take 100 KB; a file of this size is read in two seconds at worst.
MOST_BYTES = 200_000
_DEEPEST = 8  # twice what a run file has
_PARTS = ("headstart_run", "name", "plan", "data", "split", "versions", "weights", "scores")
_PACKAGES = ("keras", "numpy", "pillow")


@dataclass(frozen=True)
class RunFile:
    """What a file asks for: a plan on the pictures with this fingerprint, divided by this seed and these shares."""

    plan: Plan
    fingerprint: str
    seed: int
    val: float
    test: float
    weights: str


def circumstances(weights: str, project: Project) -> dict[str, Any]:
    """What a run should remember of where and from what it was made: versions, sha256 of the weights, division."""
    versions = {"headstart": settings.VERSION, "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES}
    versions["tensorflow"] = _tensorflow()
    split = {"seed": project.split_seed, "val": project.val, "test": project.test}
    return {"versions": versions, "weights": weights, "split": split}


def _tensorflow() -> str:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return version(name)
        except ModuleNotFoundError:
            continue
    return "unknown"


def write(store: Store, run: Run) -> str:
    """The file of a finished run. A run of an older Headstart does not know its versions and weights: they are null."""
    result = run.result or {}
    made = result.get("made", {})
    project = store.project(run.project_id)
    dataset = Dataset.from_bytes((store.folder(run.id) / "dataset.json").read_bytes())
    division = made.get("split") or {"seed": project.split_seed, "val": project.val, "test": project.test}
    names = ("val_accuracy", "test_accuracy", "test_n", "test_interval")
    values = {
        "headstart_run": VERSION,
        "name": run.name,
        "plan": run.plan,
        "data": {"fingerprint": run.fingerprint, "pictures": result["pictures"], "classes": dataset.counts},
        "split": {**division, "pictures": result["split"]},
        "versions": made.get("versions"),
        "weights": {"backbone": run.plan["backbone"], "sha256": made.get("weights")},
        "scores": {name: result[name] for name in names},
    }
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    return "# A run of Headstart. To repeat it: python -m core run PICTURES --run-file THIS_FILE\n" + text


def read(data: bytes) -> RunFile:
    """The file's wishes. Raises HeadstartError when it is no run file, or asks for what this version does not know."""
    values = _parse(data)
    if "headstart_run" not in values:
        raise HeadstartError("runfile_foreign")
    found = values["headstart_run"]
    if not isinstance(found, int) or found > VERSION or found < 1:
        raise HeadstartError("runfile_newer", found=found, known=VERSION)
    for name in values:
        if name not in _PARTS:
            raise HeadstartError("runfile_unknown", part=str(name)[:60], parts=", ".join(_PARTS))
    plan, pictures, division = (_mapping(values, part) for part in ("plan", "data", "split"))
    fingerprint = pictures.get("fingerprint")
    if not isinstance(fingerprint, str) or len(fingerprint) != 64:
        raise HeadstartError("runfile_value", part="data.fingerprint", value=str(fingerprint)[:80], kind="a sha256")
    seed = _number(division, "seed", int)
    val, test = float(_number(division, "val", float)), float(_number(division, "test", float))
    if not (0 <= seed < 2**31 and val >= 0 and test >= 0 and val + test < 1):
        kind = "a seed from 0 to 2147483647, and shares of 0 or more that add up to less than 1"
        raise HeadstartError("runfile_value", part="split", value=f"{seed}, {val}, {test}", kind=kind)
    weights = _mapping(values, "weights").get("sha256") if values.get("weights") else None
    return RunFile(_plan(plan), fingerprint, int(seed), val, test, str(weights or ""))


def differences(file: RunFile, same_pictures: bool, weights: str | None) -> list[str]:
    """What a repetition has not in common with the run of a file, as codes of notes; `weights` is the sha256 of those
    it uses, if it is known."""
    codes = [] if same_pictures else ["runfile_differs"]
    if file.weights and weights and file.weights != weights:
        codes.append("runfile_weights")
    return codes


def settle(store: Store, project_id: str, file: RunFile) -> bool:
    """Divide the pictures of a project as the file says, if that makes them the file's. Answers whether they are; if
    not, nothing is changed."""
    if store.dataset(project_id).fingerprint == file.fingerprint:
        return True
    before = store.project(project_id)
    album.set_split(store, project_id, file.seed, file.val, file.test)
    if store.dataset(project_id).fingerprint == file.fingerprint:
        return True
    album.set_split(store, project_id, before.split_seed, before.val, before.test)
    return False


def _parse(data: bytes) -> dict[Any, Any]:
    if len(data) > MOST_BYTES:
        raise HeadstartError("runfile_large", kb=len(data) // 1000, limit_kb=MOST_BYTES // 1000)
    try:
        text = data.decode("utf-8-sig")
        _require_plain(text)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise HeadstartError("runfile_unreadable", line=line) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, TypeError):
        raise HeadstartError("runfile_foreign") from None
    if not isinstance(values, dict):
        raise HeadstartError("runfile_foreign")
    return values


# Longer numbers than any setting has; thousands of digits take seconds to read, or cannot be written again.
_LONG_NUMBER = re.compile(r"[-+]?(?:0x[0-9a-f_]{25,}|[0-9][0-9_:]{24,})", re.ASCII | re.IGNORECASE)


def _require_plain(text: str) -> None:
    """Refuse what costs far more to build than to send, at the first sign of it."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):  # a few lines of references can stand for gigabytes
            raise HeadstartError("runfile_references")
        if isinstance(event, yaml.ScalarEvent) and event.style is None and _LONG_NUMBER.fullmatch(event.value):
            raise HeadstartError("runfile_foreign")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:  # the time to read takes the square of the depth
            raise HeadstartError("runfile_foreign")


def _mapping(values: Mapping[Any, Any], part: str) -> dict[str, Any]:
    found = values.get(part)
    if not isinstance(found, dict):
        raise HeadstartError("runfile_value", part=part, value=str(found)[:80], kind="a list of names with values")
    return {str(name): value for name, value in found.items()}


def _number(values: Mapping[str, Any], name: str, kind: type) -> Any:
    found = values.get(name)
    if isinstance(found, bool) or not isinstance(found, (int,) if kind is int else (int, float)):
        raise HeadstartError("runfile_value", part=f"split.{name}", value=str(found)[:80], kind="a number")
    return found


def _plan(values: dict[str, Any]) -> Plan:
    """Checked by the plan itself. YAML reads 1e-4 as text and 50 as a whole number: both are meant as numbers."""
    for setting in fields(Plan):
        value = values.get(setting.name, MISSING)
        if not isinstance(setting.default, float) or isinstance(value, bool) or not isinstance(value, (int, str)):
            continue
        try:
            values[setting.name] = float(value)
        except (ValueError, OverflowError):
            continue  # the plan says what is wrong with it
    try:
        return Plan.from_dict(values)
    except (TypeError, AttributeError):  # a list where a word should be
        raise HeadstartError("runfile_value", part="plan", value=str(values)[:80], kind="plain values") from None
