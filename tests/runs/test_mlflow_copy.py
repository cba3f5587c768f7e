import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.jobs import queue
from core.jobs.kinds import TRAIN, OfRun
from core.plan import Plan
from core.result import Phase, Result
from core.runs import mlflow_copy
from core.store.store import Store
from tests.worker.test_training import prepare
from tests.workers import wait

RESULT = Result(
    val_accuracy=0.75,
    head=Phase([{"loss": 1.0, "val_loss": 2.0}, {"loss": 0.5, "val_loss": 1.5}]),
    fine_tune=Phase([{"val_loss": 1.5}, {"loss": 0.25, "val_loss": 1.25}]),
)

# MLflow warns and starts threads of its own: a process of its own keeps that from other tests.
_LOOK = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
(experiment,) = [e for e in client.search_experiments() if e.name == "Headstart"]
(run,) = client.search_runs([experiment.experiment_id])
history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "head_val_loss")]
files = [f.path for f in client.list_artifacts(run.info.run_id)]
print(json.dumps([run.info.run_name, run.info.status, run.data.params, run.data.metrics, history, files]))
"""


def logged(uri: str) -> list:
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, uri], capture_output=True, text=True, check=True,
        env=os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true"},
    )  # fmt: skip
    answer: list = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_without_an_address_nothing_is_logged_and_mlflow_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_copy.log("r", {}, RESULT, []) is None
    assert "mlflow" not in sys.modules


def test_a_missing_package_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///nowhere")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert mlflow_copy.log("r", {}, RESULT, []) == ("mlflow_missing", {})


@pytest.mark.usefixtures("forked")
def test_a_training_is_logged_to_a_folder_with_settings_epochs_scores_and_files(
    stocked: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if _is_missing():
        pytest.skip("mlflow-skinny is not installed")
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = prepare(stocked, Plan(epochs=3))
    job = wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id)))
    assert job.state == "succeeded"
    result = stocked.run(run.id).outcome
    assert not [code for code, _ in result.notes if code.startswith("mlflow")]
    name, status, params, metrics, history, files = logged(uri)
    assert name == f"Starter {run.id[:8]}" and status == "FINISHED"
    assert params["epochs"] == "3" and params["backbone"] == "Starter"
    assert metrics["test_accuracy"] == result.test_accuracy
    expected = [[epoch, row["val_loss"]] for epoch, row in enumerate(result.head.history, start=1)]
    assert history == expected
    assert {"model.keras", "model.tflite", "evaluation-test.json"} <= set(files)


@pytest.mark.usefixtures("forked")
def test_a_server_that_is_not_there_is_a_note_of_a_training_that_succeeds(
    stocked: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    run = prepare(stocked, Plan(epochs=2))
    assert wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))).state == "succeeded"
    codes = [code for code, _ in stocked.run(run.id).outcome.notes]
    assert codes[-1] == ("mlflow_missing" if _is_missing() else "mlflow_failed")


def _is_missing() -> bool:
    return importlib.util.find_spec("mlflow") is None
