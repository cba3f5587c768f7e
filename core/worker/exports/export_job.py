"""The job that makes an export: made as a draft, answered by its own runtime, compared with the model, then offered."""

import json
import logging
from pathlib import Path

import numpy as np

from core.disk import blobs
from core.errors import HeadstartError
from core.exports import answering, formats, made
from core.exports.answering import Answers
from core.exports.formats import Format
from core.exports.made import Made
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfExport
from core.language import catalog
from core.progress import Cancelled
from core.scores.evaluation import Evaluation
from core.worker.exports.making import Material

# Pictures on which an export is compared: one in two hundred is half a point of accuracy.
_CHECKED = 200
# Most letters of what a converter says when it fails.
_REASON = 300


def make(ticket: Ticket, parameters: OfExport) -> None:
    """Make and verify one export. Raises HeadstartError with the reason why it is not offered."""
    kind, store = formats.find(parameters.format), ticket.store
    if not kind.is_installed:
        raise HeadstartError("export_extra", install=kind.install)
    catalog.speaking.set(parameters.language)
    if made.read(store, parameters.run, kind) is None:
        source = made.source(store, parameters.run, kind)
        material = Material(ticket, store.run(parameters.run), store.folder(parameters.run))
        expected = _expected(material)
        # Not below the model: what is written into a folder that went meanwhile would stay there for good.
        draft = store.root(parameters.run) / f"draft-{kind.key}"
        blobs.remove(draft)
        draft.mkdir(parents=True)
        try:
            ticket.stage("export", 0)
            _write(kind, material, draft / kind.file)
            ticket.stage("verify", 0)
            pixels = material.pixels(expected.ids)
            found = answering.answers(kind, draft / kind.file, pixels, lambda: ticket.tick(0))
            _measured(kind, draft / kind.file, source, expected, found).write(draft)
            if made.source(store, parameters.run, kind) != source:
                raise HeadstartError("export_outdated")
            place = made.folder(store, parameters.run, kind)
            place.parent.mkdir(exist_ok=True)
            blobs.remove(place)  # of another model, or damaged
            blobs.publish(draft, place)
        finally:
            blobs.remove(draft)
    ticket.succeed()


def _expected(material: Material) -> Evaluation:
    """What the model answers for pictures that it has not learned from: those of test, or where there are none, of val.
    Raises HeadstartError("export_unchecked")."""
    for part in ("test", "val"):
        scores = Evaluation.from_dict(json.loads((material.folder / f"evaluation-{part}.json").read_bytes()))
        rows = material.here(scores.ids, _CHECKED)
        if len(rows):
            return scores.take(rows)
    raise HeadstartError("export_unchecked")


def _write(kind: Format, material: Material, path: Path) -> None:
    """Make the file. Raises HeadstartError("export_failed") with what the converter says."""
    try:
        formats.function(kind.make)(material, path)
    except (HeadstartError, Cancelled, MemoryError):
        raise
    except Exception as error:
        logging.exception("%s", kind.key)
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:_REASON]
        raise HeadstartError("export_failed", reason=reason) from None


def _measured(kind: Format, path: Path, source: str, expected: Evaluation, found: Answers) -> Made:
    """How an export compares with its model. Raises HeadstartError where it is too different to be offered."""
    got, n = Evaluation(expected.classes, expected.ids, expected.truth, found.probabilities), expected.n
    same = int((got.predicted == expected.predicted).sum())
    difference = float(np.abs(got.probabilities - expected.probabilities).max())
    if not difference <= kind.tolerance:  # also where one is not a number
        raise HeadstartError("export_differs", difference=round(difference, 4), limit=kind.tolerance)
    if same < kind.least_same * n:
        raise HeadstartError("export_other_answers", same=same, total=n, least=round(100 * kind.least_same))
    points = 100 * (expected.correct - got.correct) / n
    sha256, size = blobs.sha256(path), path.stat().st_size
    return Made(source, sha256, size, n, same, difference, points, found.ms, found.version)
