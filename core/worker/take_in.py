"""The job that takes a delivery in: where its files are, how their names are read, and what became of each.

Everything a user sends or points to comes through here, file by file and in order, and is committed as it goes: the
same job goes on after a crash, and what was in the project before stays as it was.
"""

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import album, archive, audit, intake, layout, sample, tables
from core.archive import Entry
from core.dataset import File
from core.errors import HeadstartError
from core.intake import Received
from core.jobs import Job
from core.layout import Place
from core.messages import REASONS
from core.store import Store
from core.ticket import Ticket

_BATCH_FILES = 64  # files answered for in one transaction
_SAMPLE_PER_CLASS = 60
_TREE = 50  # folders of a tree that are kept to be shown


@dataclass(frozen=True)
class _Source:
    """Files whose names are read together: a folder, a ZIP, or the loose files of an inbox batch."""

    key: str  # what it has received under this name is not received again
    path: Path
    name: str = ""

    def files(self, label: str, existing: Sequence[str]) -> list[tuple[Entry, Place]]:
        """The files with their places; `label` is the class of those that are in no folder, if it has one."""
        entries = archive.listing(self.path, self.name)
        places = layout.read_names([entry.name for entry in entries], label, existing)
        return tables.apply(list(zip(entries, places, strict=True)), existing)


def take_in(ticket: Ticket) -> None:
    """Params: path of a ZIP, a folder or an inbox batch, batch (a name for this delivery), label (the class of
    pictures in no folder, or nothing); or sample, the seed of a sample that is drawn first; and audit, whether to
    look for faults afterwards. What lies in the inbox is removed once all of it is taken in."""
    store, params = ticket.store, ticket.job.params
    if "sample" in params:
        path = _draw(ticket, params["sample"])
        sources = [_Source(f"sample {params['sample']}", path)]
    else:
        path = Path(params["path"])
        sources = _sources(store, path, params["batch"])
    found = [(source.key, files) for source in sources if (files := _look_inside(ticket, source, len(sources)))]
    for key, files in found:
        ticket.found("reading", key, _reading(files))
    n = sum(len(files) for _, files in found)
    ticket.stage("intake", n)
    for key, files in found:
        _receive(ticket, key, files)
    _tell(ticket, [source.key for source in sources])
    album.divide(store, ticket.job.project_id)
    ticket.succeed({}, {})
    if params.get("audit"):
        audit.start(store, ticket.job.project_id)
    if path.parent == store.home / "inbox":
        shutil.rmtree(path, ignore_errors=True)  # what stays is removed when the server starts


def _sources(store: Store, path: Path, batch: str) -> list[_Source]:
    files = archive.delivered(path)
    if not files:
        if path.parent == store.home / "inbox":
            raise HeadstartError("upload_missing")
        return [_Source(batch, path)]
    zips = {number: name for number, name in files.items() if archive.is_zip(name)}
    loose = [_Source(batch, path)] if len(zips) < len(files) else []
    return loose + [_Source(f"{batch}/{number}", path / str(number), name) for number, name in zips.items()]


def _look_inside(ticket: Ticket, source: _Source, n_sources: int) -> list[tuple[Entry, Place]]:
    """The files of a source. One of several that cannot be used counts as a file that is left out."""
    classes = [row.label for row in album.classes(ticket.store, ticket.job.project_id)]
    try:
        return source.files(ticket.job.params.get("label", ""), classes)
    except HeadstartError as error:
        if n_sources == 1:
            raise
        file = File(0, source.name or source.path.name, "excluded", reason=error.code, values=error.values)
        ticket.store.receive(ticket.job.project_id, source.key, [Received(file)])
        return []


def _reading(files: Sequence[tuple[Entry, Place]]) -> dict[str, Any]:
    """How names were understood, where a user may want to know: classes that were written in several ways, and how many
    files would be of another class if the innermost folder named it (none where a table names classes)."""
    places = [place for _, place in files]
    nested = 0
    if not any(place.reason == "file_manifest" for place in places):
        others = layout.read_names([entry.name for entry, _ in files], inner=True)
        pairs = zip(places, others, strict=True)
        nested = sum(bool(other.label) and one.spelling != other.spelling for one, other in pairs)
    facts: dict[str, Any] = {"merged": layout.merged(places), "nested": nested}
    if nested:
        tree = layout.tree([entry.name for entry, _ in files])
        facts |= {"tree": dict(list(tree.items())[:_TREE]), "folders": len(tree)}
    return facts


def _tell(ticket: Ticket, keys: Sequence[str]) -> None:
    """Say what came of a delivery, where the sums of the project would not show it: something else came before it."""
    store, project = ticket.store, ticket.job.project_id
    answers = _answers(store, project, keys)
    reasons = ", ".join(f"{count} {REASONS.get(reason, 'here already')}" for (_, reason), count in answers if reason)
    n_all = sum(count for _, count in answers)
    if not store.dataset(project).pictures:
        raise HeadstartError("nothing_usable", n=n_all, reasons=reasons)
    n = sum(count for (outcome, _), count in answers if outcome != "ignored")
    n_new = sum(count for (outcome, _), count in answers if outcome == "used")
    n_here = sum(count for (_, reason), count in answers if reason == "here")
    if n and (n_here == n or _came_before(store, ticket.job)):
        ticket.note("came_again", n=n)
    elif not n_new:
        ticket.note("came_unusable", n=n or n_all, reasons=reasons)
    elif sum(store.outcomes(project).values()) > n_all:
        ticket.note("came_some" if n_new < n else "came_all", n=n_new, of=n, reasons=reasons)


def _answers(store: Store, project_id: str, keys: Sequence[str]) -> list[tuple[tuple[str, str], int]]:
    """How many files of a delivery ended as (outcome, reason), where 'here' is the reason of a picture that had come
    before; one that came twice in this delivery had not."""
    mine = "SELECT value FROM json_each(?2)"
    rows = store.read(
        "SELECT outcome, CASE WHEN reason IN ('duplicate', 'left_out') AND picture_id NOT IN (SELECT picture_id "
        f"FROM file WHERE project_id = ?1 AND outcome = 'used' AND batch IN ({mine})) THEN 'here' ELSE reason END why, "
        f"COUNT(*) n FROM file WHERE project_id = ?1 AND batch IN ({mine}) GROUP BY outcome, why",
        project_id, json.dumps(keys),
    )  # fmt: skip
    return [((row["outcome"], row["why"]), row["n"]) for row in rows]


def _came_before(store: Store, job: Job) -> bool:
    """Whether the same delivery was taken in whole by an earlier job, as a folder that has not changed since."""
    sql = (
        "SELECT 1 FROM job WHERE project_id = ? AND kind = 'intake' AND state = 'succeeded' "
        "AND json_extract(params, '$.batch') = ?"
    )
    return store.row(sql, job.project_id, job.params.get("batch")) is not None


def _receive(ticket: Ticket, key: str, files: Sequence[tuple[Entry, Place]]) -> None:
    store, project = ticket.store, ticket.job.project_id
    done = store.received(project, key)
    ticket.tick(len(done))
    todo = [pair for pair in files if pair[0].index not in done]
    batch = []
    for answer in intake.receive(todo, store.pictures, store.facts, ticket):
        if answer.facts is not None and answer.thumbnail is not None:
            _keep_thumbnail(store, answer.facts.id, answer.thumbnail)
        batch.append(answer)
        if len(batch) >= _BATCH_FILES:
            store.receive(project, key, batch)
            batch = []
    store.receive(project, key, batch)


def _draw(ticket: Ticket, seed: int) -> Path:
    """Draw the sample into the inbox: class folders under the job's id, the same ones when the job goes on."""
    folder = ticket.store.home / "inbox" / ticket.job.id
    copies = len(sample.PLANTED.duplicates) + len(sample.PLANTED.near_duplicates) + 1
    ticket.stage("draw", len(sample.CLASSES) * _SAMPLE_PER_CLASS + copies)
    for name, data in sample.draw(seed, _SAMPLE_PER_CLASS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        ticket.tick()
    return folder


def _keep_thumbnail(store: Store, picture_id: str, data: bytes) -> None:
    path = store.thumbnail(picture_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid.uuid4().hex}")
    temporary.write_bytes(data)  # not durable: it can be made again
    temporary.replace(path)
