"""Facts in one SQLite file, bytes on one shelf.

A row never points to bytes that are not there: files are made durable first, rows after. Bytes go only when a deletion
wrote down, in its own transaction, that they are to go: what no row knows stays (`core.store.recovery` moves it
aside). Job rows are the business of `core.jobs.queue`; it uses `write` and `read` of `core.store.database`.
"""

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from core.dataset import Dataset, Facts, File, Picture
from core.disk import blobs, locks
from core.disk.blobs import Shelf, is_sound, write
from core.errors import HeadstartError
from core.plan import Plan
from core.result import Result
from core.store.database import LISTED, Database

# The names of the deliveries of jobs, which are those of folders of the inbox.
_UPLOADS = (
    "SELECT json_extract(params, '$.batch') name FROM job WHERE kind IN ('intake', 'open', 'predict') "
    "AND json_extract(params, '$.batch') IS NOT NULL"
)
# What is a project's alone: kind of a removal -> the names of what goes with the project.
_OWN = {
    "picture": "SELECT picture_id name FROM dataset WHERE project_id = :project EXCEPT "
    "SELECT picture_id FROM dataset WHERE project_id <> :project",
    "run": "SELECT id name FROM run WHERE project_id = :project",
    "job": "SELECT id name FROM job WHERE project_id = :project",
    "upload": f"{_UPLOADS} AND project_id = :project",
    "review": "SELECT :project name",
    "project": "SELECT :project name",
}
# Where lies what a removal names: a folder there, or something in one. Other names were never ours.
_FOLDERS = {"run": "runs", "model": "runs", "upload": "inbox", "review": "reviews"}
_OURS = re.compile(r"[^\W_]+(/\w[\w.-]*)?")
_SWEPT = 500  # pictures whose bytes go in one transaction
TAKING_IN = "SELECT 1 FROM job WHERE kind IN ('intake', 'open') AND ended_at IS NULL"
# Most characters of a run's name (a line of a phone) and note (a paragraph); the rest is cut.
RUN_NAME, RUN_NOTE = 60, 2_000


@dataclass(frozen=True)
class Project:
    id: str
    name: str
    created_at: float
    split_seed: int
    val: float
    test: float
    source: str | None = None  # what it was made from, once


@dataclass(frozen=True)
class Run:
    """One training: what was asked (`plan`), on which data (`fingerprint`), and what came out (None: not yet). `name`
    and `note` are the user's, empty until there is one."""

    id: str
    project_id: str
    plan: dict[str, Any]
    fingerprint: str
    result: Result | None
    created_at: float
    name: str = ""
    note: str = ""
    starred: bool = False
    FILE: ClassVar[str] = "run.json"  # the same in the folder of the run, from which the row can be made again

    @property
    def outcome(self) -> Result:
        """The result, an empty one as long as there is none."""
        return self.result or Result()


class Store(Database):
    """A handle on one home folder. Safe to share between threads."""

    def __init__(self, home: Path, may_begin: bool = False) -> None:
        super().__init__(home, may_begin)
        self.pictures = Shelf(home / "pictures")

    # -- projects

    def add_project(self, name: str, source: str | None = None) -> Project:
        """A new project, or the one that was made from the same source."""
        key = uuid.uuid4().hex
        with self.write() as db:
            db.execute(
                "INSERT INTO project(id, name, source, created_at) VALUES (?, ?, ?, ?) ON CONFLICT(source) DO NOTHING",
                (key, name, source, time.time()),
            )
        found = self.row("SELECT id FROM project WHERE id = ? OR (source IS NOT NULL AND source = ?)", key, source)
        return self.project(found["id"] if found else key)

    def project(self, key: str) -> Project:
        row = self.row("SELECT * FROM project WHERE id = ?", key)
        if row is None:
            raise HeadstartError("project_missing", id=key)
        return _project(row)

    def projects(self) -> list[Project]:
        """All projects, the newest first."""
        return [_project(row) for row in self.read("SELECT * FROM project ORDER BY created_at DESC, rowid DESC")]

    def revision(self, project_id: str) -> int:
        """Higher after every write that changes what is told of a project: its pictures, classes, parts, groups,
        files, findings, answers and runs. What was derived at one revision holds as long as it stays."""
        row = self.row("SELECT revision FROM project WHERE id = ?", project_id)
        return row["revision"] if row else 0

    def labels_revision(self, project_id: str) -> int:
        """The revision at which the used pictures or their classes have changed last."""
        row = self.row("SELECT labels_revision FROM project WHERE id = ?", project_id)
        return row["labels_revision"] if row else 0

    def delete_project(self, project_id: str) -> None:
        """Forget a project, its runs, and the pictures that no other project has. A worker of it stops by itself."""
        with self.write() as db:
            values = {"project": project_id, "now": time.time()}
            for kind, names in _OWN.items():
                db.execute(f"INSERT OR REPLACE INTO removal SELECT '{kind}', name, :now FROM ({names})", values)
            db.execute("DELETE FROM project WHERE id = :project", values)
            db.execute("DELETE FROM picture WHERE id IN (SELECT name FROM removal WHERE at = :now)", values)
        self.sweep()

    def sweep(self) -> None:
        """Remove from the disk what deletions wrote down, and nothing else; a start finishes what a crash left over.
        While pictures are taken in, which have no row until their bytes are there, no bytes of pictures go."""
        rest = self.read("SELECT kind, name FROM removal WHERE kind <> 'picture' ORDER BY kind = 'job'")
        # A worker that has not noticed yet makes its folder anew: it sweeps once more when it ends.
        busy = any(row["kind"] == "job" and locks.is_held(self.home, row["name"]) for row in rest)
        for row in rest:
            if not _OURS.fullmatch(row["name"]):
                continue
            if row["kind"] in _FOLDERS:
                blobs.remove(self.home / _FOLDERS[row["kind"]] / row["name"])
            elif not busy and row["kind"] == "project":
                locks.forget_queues(self.home, row["name"])
            elif not busy:
                locks.forget(self.home, row["name"])
                (self.home / "logs" / f"{row['name']}.log").unlink(missing_ok=True)
        if rest and not busy:
            with self.write() as db:
                names = json.dumps([row["name"] for row in rest])
                db.execute(f"DELETE FROM removal WHERE kind <> 'picture' AND name IN {LISTED}", (names,))
        while self._sweep_pictures():
            pass

    def _sweep_pictures(self) -> bool:
        """Remove the bytes of some pictures; answers whether more may be left."""
        with self.write() as db:
            rows = db.execute("SELECT name, at FROM removal WHERE kind = 'picture' LIMIT ?", (_SWEPT,)).fetchall()
            if not rows or db.execute(TAKING_IN).fetchone():
                return False
            names = json.dumps([row["name"] for row in rows])
            back = {row["id"] for row in db.execute(f"SELECT id FROM picture WHERE id IN {LISTED}", (names,))}
            for row in rows:
                # What came again since has a row; by its time it stays even where an older database was put back.
                if row["name"] not in back and self.pictures.kept_at(row["name"]) <= row["at"]:
                    self.pictures.drop(row["name"])
                    self.thumbnail(row["name"]).unlink(missing_ok=True)
            db.execute(f"DELETE FROM removal WHERE kind = 'picture' AND name IN {LISTED}", (names,))
        return True

    def discard(self, keys: Iterable[str]) -> None:
        """Write down that the bytes which an intake could not use are to go. They do once no intake is at work: another
        one may have taken in the same bytes, and write its rows later."""
        with self.write() as db:
            rows = [("picture", key, time.time()) for key in keys]
            db.executemany("INSERT OR REPLACE INTO removal VALUES (?, ?, ?)", rows)

    # -- files and pictures

    def facts(self, picture_id: str) -> Facts | None:
        """What is known of these bytes from an earlier decoding, in any project."""
        row = self.row("SELECT * FROM picture WHERE id = ?", picture_id)
        if row is None:
            return None
        return Facts(row["id"], row["width"], row["height"], row["pixels"], tuple(json.loads(row["notes"])))

    def received(self, project_id: str, batch: str) -> set[int]:
        """The numbers of the files of a batch that have been answered for."""
        rows = self.read("SELECT number FROM file WHERE project_id = ? AND batch = ?", project_id, batch)
        return {row["number"] for row in rows}

    def outcomes(self, project_id: str) -> dict[tuple[str, str], int]:
        """How many files ended as (outcome, reason)."""
        sql = "SELECT outcome, reason, COUNT(*) n FROM file WHERE project_id = ? GROUP BY outcome, reason"
        return {(row["outcome"], row["reason"]): row["n"] for row in self.read(sql, project_id)}

    def unused(self, project_id: str) -> list[File]:
        """Every file whose picture is not used, in the order it came."""
        sql = "SELECT * FROM file WHERE project_id = ? AND outcome = 'excluded' ORDER BY at, number"
        return [
            File(
                row["number"], row["name"], row["outcome"], row["label"], row["part"], row["picture_id"],
                row["reason"], json.loads(row["facts"]),
            )
            for row in self.read(sql, project_id)
        ]  # fmt: skip

    def locked_in_test(self, project_id: str, before: float) -> set[str]:
        """The ids of the pictures that came before (epoch seconds) and must stay in the test part, whether they are
        used now or left out."""
        came = "SELECT MIN(at) FROM file f WHERE f.project_id = d.project_id AND f.picture_id = d.picture_id"
        sql = "SELECT picture_id FROM dataset d WHERE project_id = ? AND pinned = 'test' AND part = 'test'"
        return {row["picture_id"] for row in self.read(f"{sql} AND label <> '' AND ({came}) <= ?", project_id, before)}

    def dataset(self, project_id: str) -> Dataset:
        """The used pictures, all of them: pages ask `core.pictures.album` for counts and one page of rows."""
        sql = (
            "SELECT d.picture_id, d.label, p.width, p.height, d.part, d.group_key FROM dataset d "
            "JOIN picture p ON p.id = d.picture_id WHERE d.project_id = ? AND NOT d.excluded ORDER BY d.picture_id"
        )
        return Dataset(tuple(Picture(*row) for row in self.read(sql, project_id)))

    # -- runs

    def add_run(self, project_id: str, plan: dict[str, Any], dataset: Dataset) -> Run:
        """The run of this plan on this data: a new one, or the one that exists. In the plan of one that was made before
        a setting came, that setting has its default."""
        key, where, defaults = uuid.uuid4().hex, (project_id, dataset.fingerprint), Plan().to_dict()
        with self.write() as db:
            rows = db.execute("SELECT * FROM run WHERE project_id = ? AND fingerprint = ?", where).fetchall()
            same = next((run for run in map(_run, rows) if defaults | run.plan == defaults | plan), None)
            if same is None:
                db.execute(
                    "INSERT INTO run(id, project_id, fingerprint, plan, created_at) VALUES (?, ?, ?, ?, ?)",
                    (key, *where, json.dumps(plan, sort_keys=True), time.time()),
                )
        return same or self.run(key)

    def run(self, key: str) -> Run:
        row = self.row("SELECT * FROM run WHERE id = ?", key)
        if row is None:
            raise HeadstartError("run_missing", id=key)
        return _run(row)

    def runs(self, project_id: str) -> list[Run]:
        """The runs of a project, the newest first."""
        sql = "SELECT * FROM run WHERE project_id = ? ORDER BY created_at DESC, rowid DESC"
        return [_run(row) for row in self.read(sql, project_id)]

    def describe_run(
        self, run_id: str, name: str | None = None, note: str | None = None, starred: bool | None = None
    ) -> None:
        """Set what a user says about a run, but for what is None; an empty name goes back to the default one."""
        name, note = name and name.strip()[:RUN_NAME], note and note.strip()[:RUN_NOTE]
        changed = "name = COALESCE(?, name), note = COALESCE(?, note), starred = COALESCE(?, starred)"
        with self.write() as db:
            db.execute(f"UPDATE run SET {changed} WHERE id = ?", (name, note, starred, run_id))
        run = self.run(run_id)
        if run.result is not None:
            self.record(run_id, run.result, self.files(run_id))

    def record(self, run_id: str, result: Result | None, artifacts: Mapping[str, str]) -> None:
        """Write down beside the work on a run what its rows are about to say, so that lost rows can be made again."""
        run = self.run(run_id)
        facts = {
            "project_id": run.project_id, "project": self.project(run.project_id).name, "plan": run.plan,
            "result": result and result.to_dict(), "artifacts": dict(artifacts), "created_at": run.created_at,
            "name": run.name, "note": run.note, "starred": run.starred,
        }  # fmt: skip
        write(self.root(run_id) / Run.FILE, json.dumps(facts, ensure_ascii=False).encode())

    def root(self, run_id: str) -> Path:
        """The folder of a run: its pictures, its record, its unfinished work, and the folders of its models."""
        return self.home / "runs" / run_id

    def trained(self) -> list[Run]:
        """The runs of all projects that were trained or begun to be; those that were asked for as a question or a
        search keep pictures and a plan, and are not trained."""
        begun = "SELECT run_id FROM job WHERE run_id IS NOT NULL"
        return [_run(row) for row in self.read(f"SELECT * FROM run WHERE result IS NOT NULL OR id IN ({begun})")]

    def delete_run(self, db: sqlite3.Connection, run_id: str, jobs: Sequence[str]) -> None:
        """Forget a run and some jobs; `sweep` removes what they have on the disk."""
        listed, now = json.dumps(list(jobs)), time.time()
        uploads = [("upload", row["name"]) for row in db.execute(f"{_UPLOADS} AND id IN {LISTED}", (listed,))]
        gone = [("run", run_id), *(("job", key) for key in jobs), *uploads]
        db.executemany("INSERT OR REPLACE INTO removal VALUES (?, ?, ?)", [(*each, now) for each in gone])
        db.executemany("DELETE FROM job WHERE id = ?", [(key,) for key in jobs])
        db.execute("DELETE FROM run WHERE id = ?", (run_id,))

    def versions(self, project_id: str) -> list[tuple[str, tuple[str, ...], float]]:
        """The fingerprints of what finished runs were trained on, the newest first, each with the ids of these runs and
        when the first of them was asked for (epoch seconds)."""
        sql = (
            "SELECT fingerprint, GROUP_CONCAT(id) ids, MIN(created_at) at FROM run "
            "WHERE project_id = ? AND result IS NOT NULL GROUP BY fingerprint ORDER BY at DESC"
        )
        return [(row["fingerprint"], tuple(row["ids"].split(",")), row["at"]) for row in self.read(sql, project_id)]

    def promotions(self, project_id: str) -> list[tuple[str, float]]:
        """The runs that were promoted, and when (epoch seconds), the newest first."""
        sql = "SELECT run_id, at FROM promotion WHERE project_id = ? ORDER BY number DESC"
        return [(row["run_id"], row["at"]) for row in self.read(sql, project_id)]

    def promote(self, run: Run) -> None:
        """Write that a run was promoted."""
        with self.write() as db:
            values = (run.project_id, run.id, time.time())
            db.execute("INSERT INTO promotion (project_id, run_id, at) VALUES (?, ?, ?)", values)

    def folder(self, run_id: str) -> Path:
        """Where the model of a run is and what was found out with it: below `root`, or in it in homes of before."""
        return self.model(run_id)[0]

    def is_whole(self, run_id: str) -> bool:
        """Whether every finished file of a run is there, byte for byte."""
        return all(is_sound(self.root(run_id) / path, key) for path, key in self.files(run_id).items())

    def thumbnail(self, picture_id: str) -> Path:
        """Where the small JPEG of a picture is."""
        return self.home / "thumbnails" / picture_id[:2] / f"{picture_id}.jpg"

    def files(self, run_id: str) -> dict[str, str]:
        """The finished files of a run: path below `root` -> sha256."""
        return {r["name"]: r["sha256"] for r in self.read("SELECT * FROM artifact WHERE run_id = ?", run_id)}

    def model(self, run_id: str) -> tuple[Path, dict[str, str]]:
        """The folder of a run's model and its finished files, name -> sha256, both of one moment: a training may put
        another model in place."""
        files = self.files(run_id)
        folder = self.root(run_id) / next((path.rpartition("/")[0] for path in files), "")
        return folder, {path.rpartition("/")[2]: key for path, key in files.items()}

    def artifacts(self, run_id: str) -> dict[str, str]:
        """The finished files of a run by their names in `folder`."""
        return self.model(run_id)[1]


def _project(row: sqlite3.Row) -> Project:
    return Project(row["id"], row["name"], row["created_at"], row["split_seed"], row["val"], row["test"], row["source"])


def _run(row: sqlite3.Row) -> Run:
    result = Result.from_dict(json.loads(row["result"])) if row["result"] else None
    return Run(
        row["id"], row["project_id"], json.loads(row["plan"]), row["fingerprint"], result, row["created_at"],
        row["name"], row["note"], bool(row["starred"]),
    )  # fmt: skip
