"""What stays of a training beside its model: its curves for TensorBoard, and a copy in MLflow where one is wanted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core import shelf, tracking

if TYPE_CHECKING:
    from core.training import Training


def keep(training: "Training", result: Mapping[str, Any], files: Sequence[str]) -> dict[str, str]:
    """Write the logs into the folder of the run and log it with its `files`; answers what is added to those, with its
    sha256."""
    from core.neural import logs

    folder, settings = training.folder, training.plan.to_dict()
    facts = settings | tracking.scores(result)
    shelf.write(folder / "logs.zip", logs.write(folder / "logs", tracking.phases(result), facts))
    name = training.store.run(training.run_id).name or f"{training.backbone.name} {training.run_id[:8]}"
    told = tracking.log(name, settings, result, [folder / file for file in files])
    if told:
        training.say(told[0], **told[1])
    return {"logs.zip": shelf.sha256(folder / "logs.zip")}
