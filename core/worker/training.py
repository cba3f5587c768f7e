"""One training from labeled pictures to a checked model, phase by phase.

Each step answers what the next ones need. Features, the trained head and each epoch of fine-tuning are kept as soon as
they are there, so a training that was cut off goes on after the last of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import HeadstartError
from core.jobs import eta
from core.jobs.job_context import Ticket
from core.learning import calibration, cross_validation, curves
from core.learning.head import Fitted
from core.pictures import album
from core.result import Accuracies, Extracted, Note, PartSizes, Phase, Result
from core.runs import mlflow_copy, run_file
from core.scores.evaluation import Evaluation
from core.worker import fitting, measuring, publishing
from core.worker.extraction import FeatureSource, TimeRecord, of_run
from core.worker.fitting import Candidate, FineTuned


class Notes:
    """What a training has to say: notes of the job at once, and of the run for good."""

    def __init__(self, ticket: Ticket, said: Sequence[Note]) -> None:
        self._ticket = ticket
        self.said = list(said)

    def say(self, code: str, **values: Any) -> None:
        self.said.append((code, values))
        self._ticket.note(code, **values)


def train(ticket: Ticket, run_id: str, said: Sequence[Note] = ()) -> None:
    """Train a run, publish its model and its result, and end the job if it is the job's own run. `said`: notes of the
    job that the run keeps too. Features or a head that are kept may be wrong in a way that only the check of the model
    shows: then they are gone, and the run is trained once more, from its pictures."""
    try:
        _train(ticket, run_id, Notes(ticket, said))
    except HeadstartError as error:
        if error.code != "model_differs":
            raise
        notes = Notes(ticket, said)
        notes.say("kept_damaged")
        _train(ticket, run_id, notes)


def _train(ticket: Ticket, run_id: str, notes: Notes) -> None:
    store, root = ticket.store, ticket.store.root(run_id)
    asked, data = of_run(store, run_id)
    plan = asked.with_val(len(data.part("val").pictures))
    if plan != asked:
        notes.say("tuning_needs_val")
    times = TimeRecord(root)
    with times.phase("features"):
        source = FeatureSource(ticket, plan, data, times)
        work = fitting.remaining(source, root, measuring.unseen(source))
        ticket.expect(eta.steps(plan, work, ticket.speeds))
        tflite = source.network.convert(source.recipe("test"))
        frozen = source.frozen()
    with times.phase("head"):
        fitted = fitting.fit_head(source, frozen, root)
        solved = fitting.solve_head(source, frozen, notes.say)
    model, found = solved or (fitted.head, None)
    before = measuring.held_out(source, model, frozen, found)
    mirror = None
    if before["val"].n:
        if plan.fine_tune_blocks:  # else it is the score itself
            notes.say("frozen_score", correct=before["val"].correct, n=before["val"].n)
        with times.phase("evaluate"):
            mirror = measuring.measure_effects(source, frozen, before["val"], notes.say)
    tuned = None
    if plan.fine_tune_blocks:
        with times.phase("fine_tune"):
            tuned = fitting.fine_tune(source, fitted, frozen, root, notes.say)
    with times.phase("evaluate"):
        final, after, kept = Candidate(model, tflite, frozen, found), before, False
        if tuned is not None and tuned.best_epoch:
            candidate = fitting.tuned_candidate(source, tuned, root, measuring.remembered(source))
            after = measuring.held_out(source, candidate.head, candidate.features)
            kept = measuring.is_clearly_better(source, before["val"], after["val"], found)
            final = candidate if kept else final
        for code, values in curves.remarks(tuned, before, after, found is not None, kept):
            notes.say(code, **values)
        if tuned is not None and not kept:
            tuned, after = replace(tuned, best_epoch=0), before
        draft, temperature, learned = _draft(source, final, tuned, after, root)
        publishing.write_map(draft, data, frozen["val"])
    album.lock_test(store, ticket.job.project_id, after["test"].ids)
    result = replace(_result(source, fitted, tuned, before, after), exact=final.exact)
    terms = {"weights": source.backbone.terms}
    publishing.write_logs(draft, result.phases, plan.to_dict() | result.accuracies | terms)
    files = [draft / name for name in publishing.RECORDED]
    name = store.run(run_id).name or f"{source.backbone.name} {run_id[:8]}"
    if told := mlflow_copy.log(name, plan.to_dict() | terms, result, files):
        notes.say(told[0], **told[1])
    result = replace(result, mirror=mirror, notes=tuple(notes.said), temperature=temperature, learned=learned)
    ticket.publish(run_id, result, publishing.publish(store, run_id, draft))
    publishing.remove_working(root, fitting.WORKING)


def _draft(
    source: FeatureSource, final: Candidate, tuned: FineTuned | None, scores: Mapping[str, Evaluation], root: Path
) -> tuple[Path, float, float]:
    """The files of a model, compared with what was measured, in a draft folder; and the temperature of its answers
    with the share of its training pictures that it is right on. A model that does not answer as was measured leaves
    nothing that a training could go on from."""
    temperature = calibration.temperature(cross_validation.calibrating(scores["val"], final.out_of_fold))
    known, learned = measuring.known(source, final.head, final.features)
    part = next((part for part in ("test", "val") if scores[part].n), "train")
    checked = scores[part] if part == "test" else measuring.scores(source, final.head, final.features[part], part)
    draft = publishing.new_draft(root)
    model = replace(final, head=final.head.tempered(temperature))
    try:
        publishing.write_model(
            draft, source, lambda: tuned.network if tuned and tuned.best_epoch else source.network.keras, model, known,
            checked.tempered(temperature),
        )  # fmt: skip
    except HeadstartError as error:
        if error.code == "model_differs":
            source.discard()
            fitting.discard_head(root)
            publishing.remove_working(root, fitting.WORKING)
        raise
    publishing.write_scores(draft, {name: each.tempered(temperature) for name, each in scores.items()})
    return draft, temperature, learned


def _result(
    source: FeatureSource,
    fitted: Fitted,
    tuned: FineTuned | None,
    before: Mapping[str, Evaluation],
    after: Mapping[str, Evaluation],
) -> Result:
    """What the steps came to; what is known once the model is saved is added then."""
    data, times, store = source.data, source.times, source.ticket.store
    return Result(
        classes=data.classes,
        pictures=len(data.pictures),
        split=PartSizes(*(len(data.part(part).pictures) for part in ("train", "val", "test"))),
        backbone=source.backbone.name,
        val_accuracy=after["val"].accuracy,
        test_accuracy=after["test"].accuracy,
        test_n=after["test"].n,
        test_interval=after["test"].interval,
        before_fine_tune=Accuracies(before["val"].accuracy, before["test"].accuracy) if tuned else None,
        seconds={name: round(value, 3) for name, value in times.seconds.items()},
        extracted=Extracted(int(times.extracted["n"]), times.extracted["seconds"], source.milliseconds),
        head=Phase(fitted.history, fitted.best_epoch),
        fine_tune=Phase(tuned.history, tuned.best_epoch) if tuned else None,
        caches=tuple(source.cache_keys),
        made=run_file.origin(source.weights, store.project(source.ticket.job.project_id)),
    )
