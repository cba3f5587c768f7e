"""The exports of a run that were made and verified: where they lie, and what was measured of each.

They lie beside the model, in `exports/KEY`, and go with it: with the run, or when another model takes its place. One
that was made of another model than the run's present one counts as not made.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from core.disk import blobs
from core.exports import web_page
from core.exports.formats import FORMATS, Format
from core.jobs import queue
from core.jobs.kinds import EXPORT, OfExport
from core.jobs.queue import Job
from core.language import catalog
from core.scores import thresholds
from core.store.store import Run, Store

_FACTS = "facts.json"


@dataclass(frozen=True)
class Made:
    """What was measured of an export. `source`: the model it was made of. Of `n` pictures with known answers `same`
    were answered as the model does; `difference` is the largest of a probability, `points` the percent of right answers
    that were lost. `ms` a picture took here, in a `version` of the runtime."""

    source: str
    sha256: str
    bytes: int
    n: int
    same: int
    difference: float
    points: float
    ms: float
    version: str

    def write(self, folder: Path) -> None:
        blobs.write(folder / _FACTS, json.dumps(asdict(self)).encode())


def folder(store: Store, run_id: str, made: Format) -> Path:
    """Where the export of a run in a format is, or would be."""
    return store.folder(run_id) / "exports" / made.key


def read(store: Store, run_id: str, made: Format) -> Made | None:
    """What is known of an export; None if it was not made of the present model, or its file has changed."""
    place = folder(store, run_id, made)
    try:
        facts = json.loads((place / _FACTS).read_bytes())
        found = Made(**{each.name: facts[each.name] for each in fields(Made)})
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    is_ours = found.source == source(store, run_id, made) and blobs.seems_sound(place / made.file, found.sha256)
    return found if is_ours else None


def all_of(store: Store, run_id: str) -> Mapping[str, Made]:
    """The exports of a run by the keys of their formats."""
    found = {each.key: read(store, run_id, each) for each in FORMATS}
    return {key: made for key, made in found.items() if made is not None}


def source(store: Store, run_id: str, made: Format) -> str:
    """What an export is made of, as a sha256: the model, and the limits of its answers and what visitors see where they
    are inside."""
    place, sums = store.model(run_id)
    path = place / thresholds.FILE
    limits = path.read_bytes() if made.with_limits and path.is_file() else b""
    appearance = repr(web_page.appearance(store, store.run(run_id))).encode() if made.with_appearance else b""
    return hashlib.sha256(sums["model.keras"].encode() + limits + appearance).hexdigest()


def start(store: Store, run: Run, made: Format) -> Job:
    """Start the job that makes an export, or answer the one that does."""
    parameters = OfExport(run.id, format=made.key, language=catalog.current().language)
    return queue.start(store, run.project_id, EXPORT, parameters)


def jobs(store: Store, run: Run) -> Mapping[str, Job]:
    """The newest job for each format of a run."""
    mine = [job for job in queue.of_project(store, run.project_id) if job.kind is EXPORT and run.id in job.runs]
    ours = sorted(mine, key=lambda job: job.created_at)
    return {job.parameters.format: job for job in ours if isinstance(job.parameters, OfExport)}
