"""What a row of an archive may say: nothing about another project, nor about a file of this machine, and nothing that a
page could not read."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core import backbones
from core.archives.contents import PLAIN, travels
from core.dataset import PARTS
from core.demos import accent, published
from core.intake.folder_labels import class_name
from core.jobs.kinds import kind_named, written
from core.language import messages
from core.plan import Plan
from core.result import Result

# Columns that name a row of another table; that row is of the same archive.
_NAMED: Mapping[str, Mapping[str, str]] = {
    "artifact": {"run_id": "run"},
    "job": {"run_id": "run"},
    "event": {"job_id": "job"},
    "promotion": {"run_id": "run"},
    "demo": {"run_id": "run"},
}
_LABELS = ("label", "confirmed")  # columns with a class
_TIMES = {"at", "created_at", "ended_at", "ends_at", "revoked_at", "stage_at"}
_LATEST = 32_503_680_000  # epoch seconds: the year 3000, which every clock can show
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Own:
    """What an archive itself has, as it is called here: the id of its project, the ids of its rows by table, the names
    of its deliveries, and the sha256 of the files of its runs, by the id of the run and the path below its folder."""

    project: str
    ids: Mapping[str, frozenset[str]]
    batches: frozenset[str]
    files: Mapping[tuple[str, str], str]


def check(table: str, row: Mapping[str, Any], own: Own) -> None:
    """Raises ValueError, LookupError, TypeError, AttributeError or HeadstartError where a row, as it is to be written
    here, makes no sense."""
    if any(row.get(name) and class_name(row[name]) != row[name] for name in _LABELS):
        raise ValueError
    if row.get("project_id", own.project) != own.project:
        raise ValueError
    if table in own.ids and row["id"] not in own.ids[table]:
        raise ValueError
    if any(row[name] not in own.ids[of] for name, of in _NAMED.get(table, {}).items() if row[name] is not None):
        raise ValueError
    if table == "artifact":
        is_whole = own.files.get((row["run_id"], row["name"])) == row["sha256"]
        if not is_whole or not travels(row["name"], row["name"].rpartition("/")[0]):
            raise ValueError
    if not all(0 <= row[name] <= _LATEST for name in _TIMES & row.keys() if row[name] is not None):
        raise ValueError
    if table in _READERS and not _READERS[table](row):
        raise ValueError


def _project(row: Mapping[str, Any]) -> bool:
    is_split = min(row["val"], row["test"]) >= 0 and row["val"] + row["test"] < 1
    whole = (row["split_seed"], row["revision"], row["labels_revision"])
    return bool(row["name"].strip()) and is_split and all(isinstance(each, int) for each in whole)


def _dataset(row: Mapping[str, Any]) -> bool:
    parts = {row["part"], row["pinned"], row.get("placed")}
    return _SHA256.fullmatch(row["picture_id"]) is not None and parts <= {*PARTS, None}


def _file(row: Mapping[str, Any]) -> bool:
    if row["outcome"] == "excluded":
        messages.error(row["reason"], _object(row["facts"]))
    if row["reason"]:
        messages.reason(row["reason"])
    return row["outcome"] in ("used", "excluded", "ignored") and isinstance(_object(row["facts"]), dict)


def _run(row: Mapping[str, Any]) -> bool:
    backbones.find(Plan.from_dict(_object(row["plan"])).backbone)
    result = Result.from_dict(_object(row["result"] or "{}"))
    for code, values in result.notes:
        messages.note(code, values)
    return all(class_name(label) == label for label in result.classes)


def _event(row: Mapping[str, Any]) -> bool:
    facts = _object(row["facts"])
    if row["kind"] == "note":
        messages.note(facts["code"], facts["values"])
    if row["kind"] == "run" and facts:
        messages.error(facts["code"], facts["values"])
    if row["kind"] == "reading":
        trees = [facts["tree"], {"": facts["folders"]}] if facts["nested"] or facts.get("outer") else []
        return isinstance(facts["merged"], dict) and all(int(n) >= 0 for tree in trees for n in tree.values())
    return True


def _finding(row: Mapping[str, Any]) -> bool:
    facts = _object(row["facts"])
    return all(isinstance(like, int | float) for like in facts.get("twins", {}).values())


def _change(row: Mapping[str, Any]) -> bool:
    what, before = _object(row["what"]), _object(row["before"])
    for key, rows in ((1, before["pictures"]), (2, before["files"])):
        # A key, the values before, and as many after.
        if any(len(each) <= key or (len(each) - key) % 2 or len(each) != len(rows[0]) for each in rows):
            raise ValueError
        if not all(each is None or isinstance(each, str | int) for values in rows for each in values):
            raise ValueError
    labels = {values[at] for values in before["pictures"] for at in (1, 1 + (len(values) - 1) // 2)}
    return isinstance(what["code"], str) and all(class_name(label) == label for label in labels)


def _demo(row: Mapping[str, Any]) -> bool:
    appearance = published.read({**row, "token": "", "passcode": ""}).appearance
    accent.checked(appearance.accent)
    is_picture = not appearance.logo or appearance.logo.startswith(b"\xff\xd8\xff")
    return is_picture and all(_SHA256.fullmatch(key) for key in appearance.examples) and row["asked"] >= 0


def _review(row: Mapping[str, Any]) -> bool:
    return bool(row["word"]) and class_name(row["word"]) == row["word"] and 0 <= row["probability"] <= 1


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError
    return found


# Whether a row can be read as those do who show it; what they cannot read raises here too.
_READERS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "project": _project,
    "dataset": _dataset,
    "file": _file,
    "run": _run,
    "event": _event,
    "finding": _finding,
    "change": _change,
    "demo": _demo,
    "review": _review,
}


def folders(artifacts: list[dict[str, Any]]) -> dict[str, str]:
    """The folder of each run's model, by the id of the run. Raises ValueError where a run has several."""
    found: dict[str, str] = {}
    for row in artifacts:
        folder = row["name"].rpartition("/")[0]
        if found.setdefault(row["run_id"], folder) != folder:
            raise ValueError
    return found


def job(row: Mapping[str, Any], own: Own) -> dict[str, Any]:
    """A job that is over, whose parameters lead to no file of this machine, and to no run or delivery of another
    project: one that has been deleted gets a name that nothing has. Raises as `check` does."""
    if row["state"] != "succeeded" or not row["ended_at"]:
        raise ValueError
    kind = kind_named(row["kind"])
    parameters = kind.read(json.loads(row["params"]))
    names = {each.name for each in fields(parameters)}
    told: dict[str, Any] = {"path": ""} if "path" in names else {}
    if "run" in names:
        told["run"] = _one_of(own.ids["run"], parameters.run)
    if "runs" in names:
        told["runs"] = tuple(_one_of(own.ids["run"], run) for run in parameters.runs)
    if "batch" in names and PLAIN.fullmatch(parameters.batch):  # others name no folder of the inbox
        told["batch"] = _one_of(own.batches, parameters.batch)
    return {"params": written(replace(parameters, **told)), "line": kind.queue.format(project=own.project)}


def _one_of(own: frozenset[str], key: str) -> str:
    return key if key in own or not key else uuid.uuid4().hex
