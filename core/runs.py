"""What a user does with finished runs beyond looking at them: promote one, or take one away with all that only it
needed.

The promoted run is what the demo and the export begin with, whatever is trained meanwhile. When one is taken away
pictures, labels and the lock of the test part stay: other runs and later ones stand on them.
"""

import json
import shutil
import time
from dataclasses import dataclass
from datetime import datetime

from core import features, jobs
from core.errors import HeadstartError
from core.store import Run, Store

# Runs that were asked for as a question or a search keep pictures and a plan, and are not trained.
_TRAINED = "SELECT * FROM run WHERE result IS NOT NULL OR id IN (SELECT run_id FROM job WHERE run_id IS NOT NULL)"


@dataclass(frozen=True)
class Promotion:
    """That a run became the one to use."""

    run_id: str
    at: float

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.at).strftime("%Y-%m-%d %H:%M")


def promotions(store: Store, project_id: str) -> list[Promotion]:
    """All promotions of a project, the newest, which counts, first."""
    rows = store.read("SELECT run_id, at FROM promotion WHERE project_id = ? ORDER BY number DESC", project_id)
    return [Promotion(row["run_id"], row["at"]) for row in rows]


def promote(store: Store, run: Run) -> None:
    """Make a finished run the one to use.

    Raises HeadstartError("run_unfinished") for one without a model.
    """
    if run.result is None:
        raise HeadstartError("run_unfinished")
    if [each.run_id for each in promotions(store, run.project_id)[:1]] == [run.id]:
        return
    with store.write() as db:
        db.execute(
            "INSERT INTO promotion (project_id, run_id, at) VALUES (?, ?, ?)", (run.project_id, run.id, time.time())
        )


def delete(store: Store, run: Run) -> None:
    """Forget a run: its row, its files, its jobs, and the cached features that no other run was made from.

    Raises HeadstartError("run_busy") while a job works on it, or is paused.
    """
    with store.write() as db:
        for row in db.execute("SELECT id, run_id, params, state FROM job WHERE project_id = ?", (run.project_id,)):
            params = json.loads(row["params"])
            if row["run_id"] != run.id and run.id not in [params.get("run"), *params.get("runs", [])]:
                continue
            if row["state"] in jobs.OPEN:
                raise HeadstartError("run_busy")
            if params.get("run") == run.id:  # a search for something better than what is gone now
                db.execute("DELETE FROM job WHERE id = ?", (row["id"],))
        db.execute("DELETE FROM run WHERE id = ?", (run.id,))
        others = [(json.loads(r["plan"]), json.loads(r["result"] or "{}")) for r in db.execute(_TRAINED)]
    shutil.rmtree(store.folder(run.id), ignore_errors=True)
    # A run that does not say what it was made from (one of an older Headstart, or not finished) may need all there is.
    unsure = any("caches" not in result and plan.get("backbone") == run.plan.get("backbone") for plan, result in others)
    if not unsure:
        used = {key for _, result in others for key in result.get("caches", [])}
        for key in set((run.result or {}).get("caches", [])) - used:
            features.drop(store.home / "features", key)
