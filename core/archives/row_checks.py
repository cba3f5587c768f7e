"""What a row of an archive may say: nothing about another project, nor about a file of this machine."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core.archives.contents import PLAIN, travels
from core.intake.folder_labels import class_name
from core.jobs.kinds import kind_named, written
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


@dataclass(frozen=True)
class Own:
    """What an archive itself has, as it is called here: the id of its project, the ids of its rows by table, the names
    of its deliveries, and the sha256 of the files of its runs, by the id of the run and the path below its folder."""

    project: str
    ids: Mapping[str, frozenset[str]]
    batches: frozenset[str]
    files: Mapping[tuple[str, str], str]


def check(table: str, row: Mapping[str, Any], own: Own) -> None:
    """Raises ValueError, LookupError or TypeError where a row, as it is to be written here, makes no sense."""
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
    if table == "run":
        Plan.from_dict(json.loads(row["plan"]))
        Result.from_dict(json.loads(row["result"] or "{}"))


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
