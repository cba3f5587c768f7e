"""The job that takes a delivery in: where its files are, how their names are read, and what became of each.

Everything a user sends or points to comes through here, file by file and in order, and is committed as it goes: the
same job goes on after a crash, and what was in the project before stays as it was.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.archives import opening
from core.audit import findings
from core.dataset import File, Received
from core.errors import HeadstartError
from core.intake import archive, file_check, folder_labels, sample_sets, table_effects
from core.intake.archive import Entry
from core.intake.folder_labels import Place
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import Delivery
from core.language import catalog, messages
from core.pictures import album, receiving, unsorted
from core.store.rows import file_rows
from core.store.store import Store

_BATCH_FILES = 64  # files answered for in one transaction
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
        places = folder_labels.read_names([entry.name for entry in entries], label, existing)
        return table_effects.apply(list(zip(entries, places, strict=True)), existing)


def take_in(ticket: Ticket, parameters: Delivery) -> None:
    """Take a delivery in. What lies in the inbox is removed once all of it is taken in."""
    store = ticket.store
    if parameters.sample is not None:
        path = _draw(ticket, parameters)
        sources = [_Source(f"sample {parameters.sample}", path)]
    elif parameters.path:
        path = Path(parameters.path)
        sources = _sources(store, path, parameters.batch)
    else:
        raise HeadstartError("upload_missing")
    found = [
        (source.key, files)
        for source in sources
        if (files := _look_inside(ticket, source, parameters.label, len(sources)))
    ]
    for key, files in found:
        ticket.found("reading", key, _reading(files))
    n = sum(len(files) for _, files in found)
    ticket.stage("intake", n)
    for key, files in found:
        _receive(ticket, key, files)
    _tell(ticket, parameters.batch, [source.key for source in sources])
    album.divide(store, ticket.job.project_id)
    ticket.succeed()
    if parameters.audit:
        findings.start(store, ticket.job.project_id)
    if path.parent == store.home / "inbox":
        shutil.rmtree(path, ignore_errors=True)  # what stays is removed when the server starts


def open_archive(ticket: Ticket, parameters: Delivery) -> None:
    """Open an archive of a project, as the project of the job. What lies in the inbox is removed after that."""
    path = Path(parameters.path)
    names = archive.delivered(path)
    if names:
        opening.open_archive(ticket, path / str(min(names)), names[min(names)])
    else:
        opening.open_archive(ticket, path, path.name)
    if path.parent == ticket.store.home / "inbox":
        shutil.rmtree(path, ignore_errors=True)


def _sources(store: Store, path: Path, batch: str) -> list[_Source]:
    files = archive.delivered(path)
    if not files:
        if path.parent == store.home / "inbox":
            raise HeadstartError("upload_missing")
        return [_Source(batch, path)]
    zips = {number: name for number, name in files.items() if archive.is_zip(name)}
    loose = [_Source(batch, path)] if len(zips) < len(files) else []
    return loose + [_Source(f"{batch}/{number}", path / str(number), name) for number, name in zips.items()]


def _look_inside(ticket: Ticket, source: _Source, label: str, n_sources: int) -> list[tuple[Entry, Place]]:
    """The files of a source. One of several that cannot be used counts as a file that is left out."""
    classes = [row.label for row in album.classes(ticket.store, ticket.job.project_id)]
    try:
        return source.files(label, classes)
    except HeadstartError as error:
        if n_sources == 1:
            raise
        file = File(0, source.name or source.path.name, "excluded", reason=error.code, values=error.values)
        receiving.receive(ticket.store, ticket.job.project_id, source.key, [Received(file)])
        return []


def _reading(files: Sequence[tuple[Entry, Place]]) -> dict[str, Any]:
    """How names were understood, where a user may want to know: classes that were written in several ways, and how many
    files would be of another class if the innermost folder named it, or the outermost although a file lies beside all
    others (none where a table names classes)."""
    places, names = [place for _, place in files], [entry.name for entry, _ in files]
    facts: dict[str, Any] = {"merged": folder_labels.merged(places), "nested": 0, "outer": 0}
    if not any(place.reason == "file_manifest" for place in places):
        for way, what in (("inner", "nested"), ("outer", "outer")):
            pairs = zip(places, folder_labels.read_names(names, way=way), strict=True)
            facts[what] = sum(bool(other.label) and one.spelling != other.spelling for one, other in pairs)
    if facts["nested"] or facts["outer"]:
        tree = folder_labels.tree(names)
        facts |= {"tree": dict(list(tree.items())[:_TREE]), "folders": len(tree)}
    return facts


def _tell(ticket: Ticket, batch: str, keys: Sequence[str]) -> None:
    """Say what came of a delivery, where the sums of the project would not show it: something else came before it."""
    store, project = ticket.store, ticket.job.project_id
    answers = file_rows.outcomes_of(store, project, keys)
    reasons = ", ".join(f"{count} {messages.reason(reason)}" for (_, reason), count in answers if reason)
    n_all = sum(count for _, count in answers)
    n_asked = sum(count for (_, reason), count in answers if reason == "class_unknown")
    if not store.dataset(project).pictures and not unsorted.waiting(store, project):
        raise HeadstartError("nothing_usable", n=n_all, reasons=reasons)
    n = sum(count for (outcome, _), count in answers if outcome != "ignored")
    n_new = sum(count for (outcome, _), count in answers if outcome == "used")
    n_here = sum(count for (_, reason), count in answers if reason == "here")
    # The same delivery may have been taken in whole by an earlier job, as a folder that has not changed since.
    before = queue.intakes(store, project, batch) if batch else []
    if n and (n_here == n or any(job.state == "succeeded" for job in before)):
        ticket.note("came_again", n=n)
    elif not n_new and n_asked:
        return  # the question for their class says it
    elif not n_new:
        ticket.note("came_unusable", n=n or n_all, reasons=reasons)
    elif sum(store.outcomes(project).values()) > n_all:
        ticket.note("came_some" if n_new < n else "came_all", n=n_new, of=n, reasons=reasons)


def _receive(ticket: Ticket, key: str, files: Sequence[tuple[Entry, Place]]) -> None:
    store, project = ticket.store, ticket.job.project_id
    done = store.received(project, key)
    ticket.tick(len(done))
    todo = [pair for pair in files if pair[0].index not in done]
    batch: list[Received] = []
    try:
        for answer in file_check.receive(todo, store.pictures, store.facts, ticket, store.discard):
            if answer.facts is not None and answer.thumbnail is not None:
                receiving.keep_thumbnail(store, answer.facts.id, answer.thumbnail)
            batch.append(answer)
            if len(batch) >= _BATCH_FILES:
                receiving.receive(store, project, key, batch)
                batch = []
        receiving.receive(store, project, key, batch)
    except BaseException:
        store.discard(answer.file.picture_id for answer in batch if answer.file.picture_id)  # no row will know them
        raise


def _draw(ticket: Ticket, parameters: Delivery) -> Path:
    """Draw a sample into the inbox: class folders under the job's id, the same ones when the job goes on."""
    folder, chosen = ticket.store.home / "inbox" / ticket.job.id, sample_sets.SETS[parameters.sample_set]
    ticket.stage("draw", chosen.n_files)
    for name, data in sample_sets.spoken(chosen.draw(parameters.sample or 0), parameters.language or catalog.ENGLISH):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        ticket.tick()
    return folder
