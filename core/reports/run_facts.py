"""What a report and a model card tell of a finished run, read once."""

import json
from dataclasses import dataclass

from core import backbones
from core.backbones import Backbone
from core.dataset import Dataset
from core.disk import blobs
from core.errors import HeadstartError
from core.pictures import album, versions
from core.plan import Plan
from core.result import Result
from core.scores.evaluation import Evaluation
from core.scores.thresholds import Thresholds
from core.store.store import Project, Run, Store


@dataclass(frozen=True)
class RunFacts:
    """A finished run with the pictures that it learned from, its answers for the test pictures, and the limits below
    which it gives none. `left_out` test pictures were taken out before they were measured: the score may be too
    good."""

    project: Project
    run: Run
    dataset: Dataset
    test: Evaluation
    limits: Thresholds
    left_out: int

    @property
    def plan(self) -> Plan:
        known = Plan().to_dict()
        return Plan.from_dict({name: value for name, value in self.run.plan.items() if name in known})

    @property
    def result(self) -> Result:
        return self.run.outcome

    @property
    def backbone(self) -> Backbone:
        return backbones.find(self.run.plan["backbone"])


def read(store: Store, run: Run) -> RunFacts:
    """The facts of a finished run. Raises HeadstartError("run_unfinished") where there is no model,
    HeadstartError("run_incomplete") where a file of it is missing, and HeadstartError("model_damaged") where one has
    changed."""
    if run.result is None:
        raise HeadstartError("run_unfinished")
    folder, sums = store.model(run.id)
    path = folder / "evaluation-test.json"
    if not path.is_file() or path.name not in sums:
        raise HeadstartError("run_incomplete", path=str(folder))
    if not blobs.is_sound(path, sums[path.name]):
        raise HeadstartError("model_damaged", names=path.name)
    test = Evaluation.from_dict(json.loads(path.read_bytes()))
    missing = store.locked_in_test(run.project_id, run.created_at) - set(test.ids)
    classes = set(run.outcome.classes)
    left_out = sum(picture.label in classes for picture in album.pictures(store, run.project_id, list(missing)))
    dataset, project = versions.of_run(store, run.id), store.project(run.project_id)
    return RunFacts(project, run, dataset, test, Thresholds.read(folder), left_out)
