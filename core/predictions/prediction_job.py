"""The answers of a run's model about many pictures, as a job: started for a delivery, made by a worker, downloaded.

A run keeps the answers of its newest job of this kind, until the next one has its own or another model takes the place
of the one that gave them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from core.disk import blobs
from core.errors import HeadstartError
from core.intake import archive, deliveries
from core.intake.upload import BATCH
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import PREDICT, Pictures
from core.predictions import answer_table, many_pictures, picture_sources
from core.predictions.answer_table import AnswerRow
from core.predictions.predictor_pool import PredictorPool
from core.store.store import Store

# The event in which a job tells how many pictures have which verdict.
TOLD = "answers"


def start(store: Store, run_id: str, batch: str, n_files: int) -> None:
    """Ask the model of a run about a delivery of `n_files` files; repeated calls start it once."""
    if not BATCH.fullmatch(batch):
        raise HeadstartError("upload_unclear")
    run = store.run(run_id)
    asked = [job.parameters for job in queue.deliveries(store) if job.kind is PREDICT]
    if any(isinstance(each, Pictures) and each.batch == batch for each in asked):
        return
    if len(archive.delivered(deliveries.path(store, batch))) < max(1, n_files):
        raise HeadstartError("upload_missing")
    queue.start(store, run.project_id, PREDICT, Pictures(run.id, batch=batch))


def path(store: Store, run_id: str, job_id: str) -> Path:
    """Where the answers of a job are, if the run's present model gave them."""
    return _place(store, run_id, store.folder(run_id), job_id)


def _place(store: Store, run_id: str, model: Path, job_id: str) -> Path:
    return store.root(run_id) / "predictions" / model.name / f"{job_id}.jsonl"


def answer(ticket: Ticket, parameters: Pictures) -> None:
    """Write one row for each picture of the delivery, and tell the sums."""
    store, delivery = ticket.store, deliveries.path(ticket.store, parameters.batch)
    folder, sums = store.model(parameters.run)
    out = _place(store, parameters.run, folder, ticket.job.id)
    if not out.is_file():
        if not sums:
            raise HeadstartError("run_incomplete", path=str(folder))
        entries = picture_sources.of_delivery(delivery)
        ticket.stage("predict", len(entries))
        with PredictorPool(folder, sums) as pool:
            rows = _ticked(ticket, many_pictures.answers(pool, entries))
            blobs.write(out, answer_table.kept(rows))
    ticket.found(TOLD, "", Counter(row.verdict for row in answer_table.read(out)))
    ticket.succeed()
    for other in out.parents[1].rglob("*.jsonl"):
        if other != out and BATCH.fullmatch(other.stem):  # a job's; others are not ours
            other.unlink(missing_ok=True)
    blobs.remove(delivery)


def _ticked(ticket: Ticket, rows: Iterable[AnswerRow]) -> Iterator[AnswerRow]:
    for row in rows:
        yield row
        ticket.tick()
