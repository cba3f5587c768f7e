"""A copy of each finished run in MLflow, where `MLFLOW_TRACKING_URI` names one.

MLflow is optional. Whatever goes wrong with it is a note of the run: no training fails for it, or waits long.
"""

import importlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.result import Result

_DEFAULTS = {
    # A server that is not there is asked for seconds, not for the minutes that MLflow would take.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # MLflow refuses folders unless one insists, as who names one does.
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
# MLflow takes so many at once: https://mlflow.org/docs/latest/rest-api.html#request-limits
_METRICS, _PARAMS, _LONGEST = 1000, 100, 500
_EXPERIMENT = "Headstart"


def log(
    name: str, params: Mapping[str, Any], result: Result, files: Iterable[Path]
) -> tuple[str, dict[str, Any]] | None:
    """Log a run with its settings, the scores of each epoch, the final scores and its files. Answers the code and
    values of a note when it could not be, None when it was or nobody asked for it."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return None
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    try:
        client = importlib.import_module("mlflow").MlflowClient(uri)
        entities = importlib.import_module("mlflow.entities")
        run_id = _begin(client, name)
        values = [entities.Param(key, str(value)[:_LONGEST]) for key, value in params.items()]
        for start in range(0, len(values), _PARAMS):
            client.log_batch(run_id, params=values[start : start + _PARAMS])
        points = [entities.Metric(*point) for point in _points(result)]
        for start in range(0, len(points), _METRICS):
            client.log_batch(run_id, metrics=points[start : start + _METRICS])
        for path in files:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id)
    except ImportError:
        return "mlflow_missing", {}
    except Exception as error:  # code and servers of others; the training is done and stays done
        logging.getLogger(__name__).exception("not logged to MLflow")
        return "mlflow_failed", {"reason": _first_line(error)}
    return None


def _begin(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(_EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(_EXPERIMENT)
    run_id: str = client.create_run(experiment, run_name=name).info.run_id
    return run_id


def _points(result: Result) -> Iterable[tuple[str, float, int, int]]:
    """(key, value, timestamp, step)."""
    for phase, history in result.phases.items():
        for epoch, row in enumerate(history, start=1):
            yield from ((f"{phase}_{key}", float(value), 0, epoch) for key, value in row.items())
    yield from ((key, value, 0, 0) for key, value in result.accuracies.items())
    if result.exact is not None:
        yield ("exact_regularization", result.exact.regularization, 0, 0)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
