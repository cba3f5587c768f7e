"""What a user does with finished runs beyond looking at them: take one away, with all that only it needed.

Pictures, labels and the lock of the test part stay: other runs and later ones stand on them.
"""

import json
import shutil

from core import features, jobs
from core.errors import HeadstartError
from core.store import Run, Store

# Runs that were asked for as a question or a search keep pictures and a plan, and are not trained.
_TRAINED = "SELECT * FROM run WHERE result IS NOT NULL OR id IN (SELECT run_id FROM job WHERE run_id IS NOT NULL)"


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
