"""Opens an archive of a project: a copy under ids of its own, however often it is opened.

An archive may come from anyone. Its ZIP is checked as every delivery is, each entry by its sha256, each picture is
decoded in a limited process, and each value has the type of its column; nothing in it names a path. Bytes are written
first; one transaction then makes the project what the archive says, so that a worker that is killed leaves none of it.
"""

import contextlib
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from sqlite3 import IntegrityError
from typing import Any

from core.archives import contents, foreign_models, row_checks
from core.archives.contents import SUFFIX, Manifest
from core.backbones import DESCRIPTION
from core.dataset import Dataset, Facts
from core.demos import reviews
from core.disk import blobs
from core.errors import HeadstartError
from core.features import own_models
from core.intake import archive, deliveries, file_check
from core.intake.archive import Entry
from core.intake.folder_labels import Place, class_name
from core.intake.upload import BATCH
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import OPENING, Delivery
from core.jobs.queue import Job
from core.pictures import receiving
from core.sandbox import decoding
from core.sandbox.process import Children
from core.settings import LIMITS
from core.store.rows import archive_rows, picture_rows
from core.store.store import Store

_MOST_MANIFEST = 64 << 20  # bytes: 100,000 entries take 15 MB
_MOST_TABLE = 512 << 20  # all rows of one: 100,000 pictures with some findings each take 100 MB
_MOST_DESCRIPTION = 100_000  # of a model of a user's own: names of some dozen layers
_MOST_LINE = 32 << 20  # of a row: the result of a run, or what a user did to 100,000 pictures at once
_MOST = {"tables": _MOST_TABLE, "reviews": LIMITS.review_bytes}  # by kind, of what is read as a whole
# Columns that hold the id of the row itself.
_OWN_ID = ("run", "job", "demo", "review")
_REVISIONS = ("revision", "labels_revision")
_NAME = 80  # characters of a project's, as the page takes them


def begin(store: Store, batch: str) -> Job:
    """Begin to open an archive that was uploaded as a delivery of one file, as a new project; repeated calls begin it
    once. Raises HeadstartError("upload_missing") where not all of it has arrived."""
    if not BATCH.fullmatch(batch):
        raise HeadstartError("upload_unclear")
    for job in queue.deliveries(store):
        if job.kind is OPENING and isinstance(job.parameters, Delivery) and job.parameters.batch == batch:
            return job
    folder = deliveries.path(store, batch)
    names = archive.delivered(folder)
    if not names:
        raise HeadstartError("upload_missing")
    return begin_file(store, folder, names[min(names)], batch)


def begin_file(store: Store, path: Path, title: str, batch: str = "") -> Job:
    """Begin to open the archive at a path."""
    project = store.add_project(title.removesuffix(SUFFIX)[:_NAME])
    return queue.start(store, project.id, OPENING, Delivery(str(path), batch))


def open_archive(ticket: Ticket, path: Path, title: str) -> None:
    """Make the project of a job that of an archive, and end the job. `title` is what errors call the archive. Raises
    HeadstartError when it is not one, is damaged, or was written by a newer Headstart."""
    store = ticket.store
    ticket.stage("check", 0)
    # Models are larger than pictures.
    entries = {entry.name: entry for entry in archive.listing(path, title, file_bytes=LIMITS.archive_bytes)}
    manifest = _manifest(entries, title)
    _Opening(ticket, title, manifest, entries).do()
    store.sweep()


def _manifest(entries: Mapping[str, Entry], title: str) -> Manifest:
    entry = entries.get(contents.MANIFEST)
    if entry is None or entry.size > _MOST_MANIFEST:
        raise HeadstartError("archive_foreign", name=title)
    manifest = Manifest.from_bytes(b"".join(entry.chunks()), title)
    if manifest.sums.keys() != entries.keys() - {contents.MANIFEST}:
        raise HeadstartError("archive_damaged", name=title, entry=contents.MANIFEST)
    for name in manifest.sums:
        kind = name.partition("/")[0]
        is_large = entries[name].size > _MOST.get(kind, LIMITS.archive_bytes)
        if not contents.PLAIN.fullmatch(name) or entries[name].reason or kind not in contents.KINDS or is_large:
            raise HeadstartError("archive_damaged", name=title, entry=name[:100])
    return manifest


class _Opening:
    """One archive on its way into a home. New ids follow from the job's, so that a job that goes on after a crash
    writes over what it had written."""

    def __init__(self, ticket: Ticket, title: str, manifest: Manifest, entries: Mapping[str, Entry]) -> None:
        self.ticket, self.store, self.title = ticket, ticket.store, title
        self.manifest, self.entries = manifest, entries
        self.project = ticket.job.project_id
        self.ids: dict[str, str] = {}
        self.own = row_checks.Own(self.project, {}, frozenset(), {})
        self.facts: dict[str, Facts] = {}

    def do(self) -> None:
        self._know_models()
        rows = {table: self._rows(table) for table in archive_rows.CARRIED}
        self._name(rows)
        tables = {table: list(self._told(table, each)) for table, each in rows.items()}
        with self._checked("artifact"):
            models = row_checks.folders(tables["artifact"])
        try:
            self._take_pictures()
            self._take_files(models)
            self._check_runs(tables["run"])
            self._settle_pictures(tables)
            self.ticket.succeed(lambda db: self._write(db, tables))
        except BaseException:
            self._forget()
            raise
        for row in tables["run"]:
            run = self.store.run(row["id"])
            self.store.record(run.id, run.result, self.store.files(run.id))

    def _know_models(self) -> None:
        """Know the models of users' own that runs are made of, and say which are not on this machine."""
        missing = set()
        for name in self._of("runs"):
            if name.endswith(f"/{DESCRIPTION}") and self.entries[name].size <= _MOST_DESCRIPTION:
                backbone = own_models.learn(self._read(name))
                if backbone is not None and not backbone.has_weights:
                    missing.add(backbone.name)
        for backbone_name in sorted(missing):
            self.ticket.note("archive_own_missing", backbone=backbone_name)

    # -- rows

    def _rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table; none where the archive is older than the table."""
        name = f"tables/{table}.jsonl"
        if name not in self.entries:
            return []
        try:
            found = [json.loads(line) for line in self._lines(name) if line]
            if not all(isinstance(row, dict) for row in found):
                raise ValueError
        except (ValueError, RecursionError):
            raise self._damaged(name) from None
        return found

    def _name(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        """Give everything an id of its own. Raises HeadstartError where there is not exactly one project."""
        if len(rows["project"]) != 1:
            raise self._damaged("tables/project.jsonl")
        old = {table: {str(row.get("id")) for row in rows[table]} for table in _OWN_ID}
        # Names of deliveries are those of folders of the inbox, which a deletion removes.
        batches = {str(row.get("batch")).partition("/")[0] for row in rows["file"]}
        hexadecimal = {key for key in set().union(batches, *old.values()) if len(key) == 32}
        self.ids = {key: uuid.uuid5(uuid.UUID(self.ticket.job.id), key).hex for key in hexadecimal}
        files = {}
        for name in self._of("runs"):
            run, _, path = name.removeprefix("runs/").partition("/")
            files[self.ids.get(run, ""), path] = self.manifest.sums[name]
        ids = {table: self._new(keys) for table, keys in old.items()}
        self.own = row_checks.Own(self.project, ids, self._new(batches), files)
        self.ids[str(rows["project"][0].get("id"))] = self.project

    def _new(self, old: Iterable[str]) -> frozenset[str]:
        return frozenset(self.ids[key] for key in old if key in self.ids)

    def _told(self, table: str, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Rows as they are written here."""
        kinds = archive_rows.types(self.store, table)
        without = archive_rows.CARRIED[table].without
        for row in rows:
            told = {name: self._renamed(value) for name, value in row.items() if name not in without}
            if not told.keys() <= kinds.keys() or not all(_fits(value, kinds[name]) for name, value in told.items()):
                raise self._damaged(f"tables/{table}.jsonl")
            with self._checked(table):
                told |= self._own(table, told)
            yield told

    def _own(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """What of a row is this home's to say. Raises ValueError, LookupError or TypeError where a row makes no
        sense."""
        row_checks.check(table, row, self.own)
        if table == "job":
            return row_checks.job(row, self.own)
        if table == "demo":  # one address must not lead to two servers
            token = secrets.token_urlsafe(16)
            key = hashlib.sha256(token.encode()).hexdigest()
            return {"token": token, "token_hash": key, "passcode": "", "revoked_at": row["revoked_at"] or time.time()}
        return {}

    def _renamed(self, value: Any) -> Any:
        """A value with new ids for old ones, also inside of JSON."""
        if not isinstance(value, str):
            return value
        head, slash, rest = value.partition("/")
        if head in self.ids:
            return self.ids[head] + slash + rest
        if value[:1] not in ("{", "["):
            return value
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(value)
            told = self._walk(found)
            return value if told == found else json.dumps(told, ensure_ascii=False)
        return value

    def _walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._walk(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._walk(each) for each in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    def _write(self, db: Any, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        """Make the project what the archive says."""
        if not archive_rows.is_empty(db, self.project):
            raise HeadstartError("archive_not_empty")
        (project,) = tables["project"]
        for facts in self.facts.values():
            picture_rows.know(db, facts)
        own = ("id", "created_at", *_REVISIONS)  # it is the newest project here
        told = {name: value for name, value in project.items() if name not in own}
        told["name"] = " ".join(project["name"].split())[:_NAME] or self.title[:_NAME]
        archive_rows.settle_project(db, self.project, told)
        for table, rows in tables.items():
            with self._checked(table):
                archive_rows.add(db, table, rows if table != "project" else ())
        # After the triggers: an answer holds as long as the revision that it was given at.
        archive_rows.settle_project(db, self.project, {name: project[name] for name in _REVISIONS})

    # -- bytes

    def _read(self, name: str) -> bytes:
        return b"".join(self._sound(name))

    def _lines(self, name: str) -> Iterator[bytes]:
        rest = b""
        for chunk in self._sound(name):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MOST_LINE:
                raise self._damaged(name)
            yield from lines
        yield rest

    def _sound(self, name: str) -> Iterator[bytes]:
        """The bytes of an entry. Raises HeadstartError where they are not those of the manifest, once all are read."""
        digest = hashlib.sha256()
        try:
            for chunk in self.entries[name].chunks():
                digest.update(chunk)
                yield chunk
        except HeadstartError:
            raise self._damaged(name) from None
        if digest.hexdigest() != self.manifest.sums[name]:
            raise self._damaged(name)

    def _take_pictures(self) -> None:
        store, names = self.store, self._of("pictures")
        self.ticket.stage("intake", len(names))
        entries = [(self.entries[name], Place()) for name in names]
        for answer in file_check.receive(entries, store.pictures, store.facts, self.ticket, store.discard):
            key = answer.file.name.rpartition("/")[2]
            if answer.facts is not None:
                self.facts[answer.facts.id] = answer.facts
            if answer.facts is None or answer.facts.id != key or self.manifest.sums[answer.file.name] != key:
                raise self._damaged(answer.file.name)
            if answer.thumbnail is not None:
                receiving.keep_thumbnail(store, key, answer.thumbnail)

    def _settle_pictures(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        """Leave out the rows of pictures that were damaged where the archive was written, and say how many."""
        named = {row["picture_id"] for row in tables["dataset"]}
        lost = named - self.facts.keys()
        if not lost <= set(self.manifest.lost):
            raise self._damaged("tables/dataset.jsonl")
        for table in ("dataset", "finding"):
            tables[table] = [row for row in tables[table] if row["picture_id"] in self.facts]
        for row in tables["dataset"]:
            row["pixels"] = self.facts[row["picture_id"]].pixels
        if lost:
            self.ticket.note("archive_lacks", n=len(lost))

    def _take_files(self, models: Mapping[str, str]) -> None:
        """Take what belongs to runs and to reviews. An archive of an older Headstart has more, which is left out."""
        names = [*self._of("runs"), *self._of("reviews")]
        self.ticket.stage("save", len(names))
        with Children(file_check.DECODER, decoding.DECODING) as children:
            for name in names:
                kind, old, *rest = name.split("/")
                key = self.ids.get(old)
                if key is None or bool(rest) != (kind == "runs"):
                    raise self._damaged(name)
                if kind == "runs":
                    path = "/".join(rest)
                    if contents.travels(path, models.get(key)):
                        self._take(self.store.root(key) / path, name)
                else:
                    _, shown = children.insist({"show": reviews.KEPT_PX}, self._read(name))
                    blobs.write(reviews.path(self.store, self.project, key), shown)
                self.ticket.tick()

    def _take(self, path: Path, name: str) -> None:
        blobs.write(path, self._sound(name))
        if path.suffix == ".keras":
            try:
                foreign_models.check(path)
            except ValueError:
                raise HeadstartError("archive_foreign_model", name=self.title, entry=name[:100]) from None

    def _check_runs(self, runs: Iterable[Mapping[str, Any]]) -> None:
        """Check the pictures of each run, which pages read as they are."""
        for run in runs:
            with self._checked("run"):
                dataset = Dataset.from_bytes((self.store.root(run["id"]) / "dataset.json").read_bytes())
                if dataset.fingerprint != run["fingerprint"] or any(class_name(c) != c for c in dataset.classes):
                    raise ValueError

    def _forget(self) -> None:
        """Remove what no row will know."""
        self.store.discard(self.facts)
        for key in self.ids.values():
            if key != self.project:
                blobs.remove(self.store.root(key))
        blobs.remove(self.store.home / "reviews" / self.project)

    def _of(self, kind: str) -> list[str]:
        return [name for name in self.manifest.sums if name.startswith(f"{kind}/")]

    @contextlib.contextmanager
    def _checked(self, table: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, OSError, IntegrityError, HeadstartError):
            raise self._damaged(f"tables/{table}.jsonl") from None

    def _damaged(self, entry: str) -> HeadstartError:
        return HeadstartError("archive_damaged", name=self.title, entry=entry[:100])


def _fits(value: Any, kind: str) -> bool:
    """Whether a value may stand in a column of this type."""
    if value is None:
        return True
    if kind == "TEXT":
        return isinstance(value, str) and len(value) <= _MOST_LINE
    return isinstance(value, (int, float) if kind == "REAL" else int) and abs(value) < 2**53
