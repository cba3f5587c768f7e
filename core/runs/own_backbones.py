"""Models of users' own and the runs that are made of them: each run keeps the description of its model, so that it can
be read where the model is not, and a model that a run needs is not removed."""

import json

from core import backbones
from core.backbones import DESCRIPTION, Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.features import own_models
from core.store.store import Run, Store


def describe(store: Store, run: Run) -> None:
    """Write the description of a run's model beside its pictures, if it is a user's own."""
    backbone = backbones.find(run.plan["backbone"])
    if backbone.own:
        text = json.dumps(backbones.to_description(backbone), ensure_ascii=False)
        blobs.write(store.root(run.id) / DESCRIPTION, text.encode())


def used(store: Store) -> frozenset[str]:
    """The names of all backbones that runs are made of."""
    runs = (run for project in store.projects() for run in store.runs(project.id))
    return frozenset(run.plan["backbone"] for run in runs)


def remove(store: Store, backbone: Backbone) -> None:
    """Remove a model of a user's own from this machine. Raises HeadstartError("own_used") where a run is made of it."""
    if backbone.name in used(store):
        raise HeadstartError("own_used", backbone=backbone.name)
    own_models.remove(backbone)


def recall(store: Store) -> None:
    """Know the models of all runs again, whose descriptions may be gone from the Keras cache."""
    for path in (store.home / "runs").glob(f"*/{DESCRIPTION}"):  # a start reads no rows for that
        own_models.learn(path.read_bytes())
