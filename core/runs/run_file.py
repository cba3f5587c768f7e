"""Run files: a run as readable YAML, from which it can be trained again, here or elsewhere.

A run file names the pictures by their fingerprint and does not contain them. A file may come from anyone, so its size
is limited, it may contain only plain data, and every value is checked.
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import version
from typing import Any

import yaml

from core import backbones, settings
from core.errors import HeadstartError
from core.language.catalog import say
from core.pictures import album, versions
from core.plan import Plan
from core.result import Origin, SplitSettings
from core.store.store import Project, Run, Store

VERSION = 1
# A thousand classes with the longest names take 100 KB and 2,100 YAML events. A larger file is not a run file, which is
# detected within half a second of processor time.
MOST_BYTES = 200_000
_MOST_EVENTS = 5_000
# Deepest nesting: twice that of a run file.
_DEEPEST = 8
_PARTS = ("headstart_run", "name", "plan", "data", "split", "versions", "weights", "scores")
_PACKAGES = ("keras", "numpy", "pillow")


@dataclass(frozen=True)
class RunFile:
    """The contents of a run file: a plan, the fingerprint of the pictures, the seed and shares of their split, and the
    sha256 of the weights."""

    plan: Plan
    fingerprint: str
    seed: int
    val: float
    test: float
    weights: str


def origin(weights: str, project: Project) -> Origin:
    """The origin of a run that is trained now: versions of the software, weights and split."""
    versions = {"headstart": settings.VERSION, "python": platform.python_version()}
    versions |= {name: version(name) for name in _PACKAGES}
    versions["tensorflow"] = _tensorflow()
    return Origin(versions, weights, _split(project))


def _split(project: Project) -> SplitSettings:
    return SplitSettings(project.split_seed, project.val, project.test)


def _tensorflow() -> str:
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return version(name)
        except ModuleNotFoundError:
            continue
    return "unknown"


def write(store: Store, run: Run) -> str:
    """The file of a finished run. A run of an older Headstart does not know its versions and weights: they are null."""
    result, made = run.outcome, run.outcome.made
    split = made.split if made else _split(store.project(run.project_id))
    dataset, backbone = versions.of_run(store, run.id), backbones.find(run.plan["backbone"])
    values = {
        "headstart_run": VERSION,
        "name": run.name,
        "plan": run.plan,
        "data": {"fingerprint": run.fingerprint, "pictures": result.pictures, "classes": dataset.counts},
        "split": {**asdict(split), "pictures": asdict(result.split)},
        "versions": made and dict(made.versions),
        "weights": {"backbone": backbone.name, "sha256": made and made.weights, "terms": backbone.terms},
        "scores": {
            "val_accuracy": result.val_accuracy,
            "test_accuracy": result.test_accuracy,
            "test_n": result.test_n,
            "test_interval": result.test_interval and list(result.test_interval),
        },
    }
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    lines = (
        f"# {say('run_file_repeat')}",
        f"# {say('run_file_pictures', download=say('take_out'), page=say('data'))}",
    )
    return "\n".join([*lines, text])


def read(data: bytes) -> RunFile:
    """Parse a run file. Raises HeadstartError when it is not one, or has a value that this version does not know."""
    values = _parse(data)
    if "headstart_run" not in values:
        raise HeadstartError("runfile_foreign")
    found = values["headstart_run"]
    if not isinstance(found, int) or found > VERSION or found < 1:
        raise HeadstartError("runfile_newer", found=found, known=VERSION)
    for name in values:
        if name not in _PARTS:
            raise HeadstartError("runfile_unknown", part=str(name)[:60], parts=", ".join(_PARTS))
    plan, pictures, split = (_mapping(values, part) for part in ("plan", "data", "split"))
    fingerprint = pictures.get("fingerprint")
    if not isinstance(fingerprint, str) or len(fingerprint) != 64:
        raise HeadstartError("runfile_value", part="data.fingerprint", value=str(fingerprint)[:80], kind="sha256")
    seed = _number(split, "seed", int)
    val, test = float(_number(split, "val", float)), float(_number(split, "test", float))
    if not (0 <= seed < 2**31 and val >= 0 and test >= 0 and val + test < 1):
        raise HeadstartError("runfile_value", part="split", value=f"{seed}, {val}, {test}", kind="split")
    weights = _mapping(values, "weights").get("sha256") if values.get("weights") else None
    return RunFile(_plan(plan), fingerprint, int(seed), val, test, str(weights or ""))


def differences(file: RunFile, same_pictures: bool, weights: str | None) -> list[str]:
    """The differences between a repetition and the run of a file, as codes of notes. `weights` is the sha256 of the
    weights of the repetition, if known."""
    codes = [] if same_pictures else ["runfile_differs"]
    if file.weights and weights and file.weights != weights:
        codes.append("runfile_weights")
    return codes


def settle(store: Store, project_id: str, file: RunFile) -> bool:
    """Split the pictures of a project as the file says, if that gives the file's fingerprint. Returns whether it does;
    otherwise changes nothing."""
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


# Numbers longer than any setting has: thousands of digits take seconds to parse, or cannot be printed.
_LONG_NUMBER = re.compile(r"[-+]?(?:0x[0-9a-f_]{25,}|[0-9][0-9_:]{24,})", re.ASCII | re.IGNORECASE)


def _require_plain(text: str) -> None:
    """Refuse YAML that would take far more memory or time than its size suggests. Raises HeadstartError."""
    depth = 0
    for n, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if n > _MOST_EVENTS:
            raise HeadstartError("runfile_foreign")
        if isinstance(event, yaml.AliasEvent):  # a few lines of references can stand for gigabytes
            raise HeadstartError("runfile_references")
        if isinstance(event, yaml.ScalarEvent):
            event.value.encode()  # half of a character, such as "\ud800", cannot be shown: raises ValueError
            if event.style is None and _LONG_NUMBER.fullmatch(event.value):
                raise HeadstartError("runfile_foreign")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:  # the time to parse grows with the square of the depth
            raise HeadstartError("runfile_foreign")


def _mapping(values: Mapping[Any, Any], part: str) -> dict[str, Any]:
    found = values.get(part)
    if not isinstance(found, dict):
        raise HeadstartError("runfile_value", part=part, value=str(found)[:80], kind="mapping")
    return {str(name): value for name, value in found.items()}


def _number(values: Mapping[str, Any], name: str, kind: type) -> Any:
    found = values.get(name)
    if isinstance(found, bool) or not isinstance(found, (int,) if kind is int else (int, float)):
        raise HeadstartError("runfile_value", part=f"split.{name}", value=str(found)[:80], kind="number")
    return found


def _plan(values: dict[str, Any]) -> Plan:
    """The plan, which checks itself. YAML parses 1e-4 as text and 50 as a whole number: both become floats."""
    for setting in fields(Plan):
        value = values.get(setting.name, MISSING)
        if not isinstance(setting.default, float) or isinstance(value, bool) or not isinstance(value, (int, str)):
            continue
        try:
            values[setting.name] = float(value)
        except (ValueError, OverflowError):
            continue  # the plan raises the error
    try:
        return Plan.from_dict(values)
    except (TypeError, AttributeError):  # a list where a word should be
        raise HeadstartError("runfile_value", part="plan", value=str(values)[:80], kind="plain_values") from None
