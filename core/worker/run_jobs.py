"""The jobs that train: one run, several to compare, the best of a search for settings of the head."""

from core import backbones
from core.errors import HeadstartError
from core.features import weights
from core.jobs import eta, queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfRun, OfRuns
from core.learning import head_search
from core.pictures import counts, damage
from core.plan import Plan, best_here
from core.result import Note
from core.runs import requests
from core.worker import question_jobs, training
from core.worker.extraction import of_run, source_of

# The errors that say why weights cannot be had, and the notes that say it of a backbone that is not used for that.
_INSTEAD = {
    "weights_missing": "instead_missing", "weights_damaged": "instead_damaged", "weights_folder": "instead_folder",
}  # fmt: skip


def train(ticket: Ticket, parameters: OfRun) -> None:
    """Train a run, unless a comparison has done it while this job waited."""
    run_id = _with_weights(ticket, parameters)
    if requests.is_finished(ticket.store, ticket.store.run(run_id)):
        ticket.succeed()
    else:
        training.train(ticket, run_id, _instead(ticket))


def _with_weights(ticket: Ticket, parameters: OfRun) -> str:
    """The run to work on. Where the dial chose a backbone whose weights cannot be downloaded, it is one with the same
    settings on the best backbone that is here and no slower; the job says so, and is about that run from then on."""
    if not parameters.suggested:
        return parameters.run
    plan, data = of_run(ticket.store, parameters.run)
    backbone = backbones.find(plan.backbone)
    if backbone.has_weights:
        return parameters.run
    try:
        weights.fetch(backbone, ticket, weights.SOON_S)
        return parameters.run
    except HeadstartError as error:
        if error.code not in _INSTEAD:
            raise
        instead = best_here(backbone.cpu_ms)
        run = requests.prepare(ticket.store, ticket.job.project_id, plan.on(instead), data)
        ticket.note(_INSTEAD[error.code], **error.values, instead=instead.name)
        ticket.turn_to(run.id)
        return run.id


def _instead(ticket: Ticket) -> list[Note]:
    """What the job has said of a backbone that could not be used, before it was cut off or now."""
    notes = (event.facts for event in queue.events(ticket.store, ticket.job.id) if event.kind == "note")
    return [(note["code"], note["values"]) for note in notes if note["code"] in _INSTEAD.values()]


def compare(ticket: Ticket, parameters: OfRuns) -> None:
    """Train runs one after the other. One that cannot be trained does not stop the others: its error is an event, and
    the job's own only when it is the same for all."""
    errors: dict[str, HeadstartError] = {}
    runs = parameters.runs
    for number, run_id in enumerate(runs, start=1):
        try:
            if requests.is_finished(ticket.store, ticket.store.run(run_id)):
                continue
            ticket.ahead_s = sum(_run_s(ticket, later) for later in runs[number:])
            ticket.found("run", run_id, {})
            training.train(ticket, run_id)
        except HeadstartError as error:
            errors[run_id] = damage.named(ticket.store, ticket.job.project_id, error)
            ticket.found("run", run_id, {"code": errors[run_id].code, "values": errors[run_id].values})
    if len(errors) == len(runs):
        raise next(iter(errors.values()))
    question_jobs.compare(ticket, [run_id for run_id in runs if run_id not in errors])
    ticket.succeed()


def _run_s(ticket: Ticket, run_id: str) -> float:
    """About how long one run of several will take."""
    store = ticket.store
    try:
        run = store.run(run_id)
    except HeadstartError:  # deleted since
        return 0.0
    if run.result is not None:
        return 0.0
    n = counts.of(store, run.project_id).by_part
    return eta.estimate_s(Plan.from_dict(run.plan), n, ticket.speeds)


def search(ticket: Ticket, parameters: OfRun) -> None:
    """Better the plan of a run. Tells what was tried and the run of the best as an event, then trains that run."""
    store = ticket.store
    base = source_of(ticket, _with_weights(ticket, parameters))
    known = [event for event in queue.events(store, ticket.job.id) if event.kind == "search"]
    if not known:
        train, val = base.train_and_val()
        plans = head_search.candidates(base.plan, base.plan.seed)
        ranked = head_search.search(train, val, len(base.data.classes), plans, ticket)
        run = requests.prepare(store, ticket.job.project_id, ranked[0].plan, base.data)
        ticket.found("search", "", {"run": run.id, "tries": [found.to_dict() for found in ranked]})
    else:
        run = store.run(known[0].facts["run"])
    if not requests.is_finished(store, run):
        training.train(ticket, run.id, _instead(ticket))
    ticket.succeed()
