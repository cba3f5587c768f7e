"""The kinds of jobs: a table with the name, queue, parameters and function of each.

A job names the runs that it is about in its parameters. They are written as JSON, without what is as it is by default;
what is read of a job of an older Headstart is the same value. `core.worker` has the functions, `pages` the words.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

COMPUTE = "compute"


@dataclass(frozen=True)
class OfProject:
    """Parameters of a job about all pictures of its project."""


@dataclass(frozen=True)
class OfRun:
    """Parameters of a job about one run, which keeps a plan and pictures. `suggested`: the dial chose its backbone, so
    that the job takes another run, on a backbone that is here, where the weights cannot be downloaded. Jobs about the
    same run are the same with and without it."""

    run: str = ""
    suggested: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class OfExport(OfRun):
    """Parameters of a job that makes the model of a run in a `format`, which `core.exports.formats` knows by this name;
    what a file of it says to people is in the `language`."""

    format: str = ""
    language: str = field(default="", compare=False)


@dataclass(frozen=True)
class OfRuns:
    """Parameters of a job about several runs of the same pictures."""

    runs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", tuple(self.runs))


@dataclass(frozen=True)
class Delivery:
    """Parameters of an intake: `path` of a ZIP, a folder or an inbox batch, `batch` (a name for this delivery), `label`
    (the class of pictures in no folder, or nothing); or `sample`, the seed of a sample that is drawn first, the name of
    its `sample_set` and the `language` of its classes; and whether an `audit` follows."""

    path: str = ""
    batch: str = ""
    label: str = ""
    sample: int | None = None
    sample_set: str = "signs"
    language: str = ""
    audit: bool = False


@dataclass(frozen=True)
class OfWeights:
    """Parameters of a job that gets the weights of a backbone: from the network, or from the file at `path`."""

    backbone: str = ""
    path: str = ""


@dataclass(frozen=True)
class OfOwnModel(OfWeights):
    """Parameters of a job that takes the Keras model at `path` as a backbone, which the user calls so; with the scaling
    of its pixels, and its license in his words."""

    scaling: str = ""
    license: str = ""


@dataclass(frozen=True)
class Pictures(OfRun):
    """Parameters of a job that asks the model of a run about the files of an inbox `batch`."""

    batch: str = ""


Parameters = OfProject | OfRun | OfRuns | Delivery | OfWeights
P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True)
class Kind(Generic[P]):
    """Jobs of one `queue` ("{project}": one for each project) work one after the other. `function` gets what a worker
    holds and the parameters; `words` is the key of what such a job is called."""

    name: str
    queue: str
    parameters: type[P]
    function: str
    words: str

    def work(self, ticket: Any) -> None:
        """Do the job that a worker holds."""
        module, _, name = self.function.partition(":")
        getattr(importlib.import_module(module), name)(ticket, ticket.job.parameters)

    def read(self, values: Mapping[str, Any]) -> P:
        """Parameters from their JSON."""
        names = [each.name for each in fields(self.parameters)]
        return self.parameters(**{name: values[name] for name in names if name in values})


TRAIN = Kind("train", COMPUTE, OfRun, "core.worker.run_jobs:train", "job_train")
COMPARE = Kind("compare", COMPUTE, OfRuns, "core.worker.run_jobs:compare", "job_compare")
SEARCH = Kind("search", COMPUTE, OfRun, "core.worker.run_jobs:search", "job_search")
FIT = Kind("fit", COMPUTE, OfRun, "core.worker.question_jobs:fit", "job_fit")
MORE = Kind("more", COMPUTE, OfRun, "core.worker.question_jobs:more", "job_more")
INTAKE = Kind("intake", "intake {project}", Delivery, "core.worker.take_in:take_in", "job_intake")
OPENING = Kind("open", "intake {project}", Delivery, "core.worker.take_in:open_archive", "job_open")
AUDIT = Kind("audit", "audit {project}", OfProject, "core.worker.audit_job:inspect", "job_audit")
MAP = Kind("map", "map {project}", OfRun, "core.worker.map_job:survey", "job_map")
DOWNLOAD = Kind("download", "download", OfWeights, "core.worker.weights_jobs:download", "job_download")
PREDICT = Kind("predict", "predict {project}", Pictures, "core.predictions.prediction_job:answer", "job_predict")
WEIGHTS = Kind("weights", "download", OfWeights, "core.worker.weights_jobs:receive", "job_weights")
OWN_MODEL = Kind("own_model", "download", OfOwnModel, "core.worker.weights_jobs:take_own", "job_own_model")
EXPORT = Kind("export", "export", OfExport, "core.worker.exports.export_job:make", "job_export")

KINDS: tuple[Kind[Any], ...] = (
    TRAIN, COMPARE, SEARCH, FIT, MORE, INTAKE, OPENING, AUDIT, MAP, DOWNLOAD, WEIGHTS, OWN_MODEL, EXPORT,
    PREDICT,
)  # fmt: skip


# Those that get what networks are built of.
OF_BACKBONES = (DOWNLOAD, WEIGHTS, OWN_MODEL)


def kind_named(name: str) -> Kind[Any]:
    """The kind of that name; one that this version does not know can be looked at, and has nobody who does it."""
    return next((kind for kind in KINDS if kind.name == name), Kind(name, COMPUTE, OfProject, "", "job_other"))


def written(parameters: Parameters) -> str:
    """Parameters as JSON, which `Kind.read` takes back."""
    values = {each.name: getattr(parameters, each.name) for each in fields(parameters)}
    return json.dumps(
        {each.name: values[each.name] for each in fields(parameters) if values[each.name] != each.default}
    )
