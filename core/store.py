"""Facts in one SQLite file, bytes on one shelf.

A row never points to bytes that are not there: files are made durable first, rows after. Every write is one short
`BEGIN IMMEDIATE` transaction. Job rows are `core.jobs`' business; it uses `write` and `read` of this module.
"""

import contextlib
import json
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.dataset import Dataset, File, Picture
from core.errors import HeadstartError
from core.intake import Facts, Received
from core.schema import SCRIPTS
from core.shelf import Shelf, sha256

VERSION = len(SCRIPTS)
# The values of a JSON list that is handed to a query.
LISTED = "(SELECT value FROM json_each(?))"
# Other facts of a file than before, but for the name that it had: that is true whatever becomes of it.
# (json_patch leaves a key out that is null; `->>` would ask for SQLite 3.38.)
FACTS = "json_patch(?, json_object('source', json_extract(facts, '$.source')))"
_SWEPT = 500  # pictures whose bytes go in one transaction
_TAKING_IN = "SELECT 1 FROM job WHERE kind = 'intake' AND ended_at IS NULL LIMIT 1"
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


@dataclass(frozen=True)
class Run:
    """One training: what was asked (`plan`), on which data (`fingerprint`), and what came out (None: not yet). `name`
    and `note` are the user's, empty until there is one."""

    id: str
    project_id: str
    plan: dict[str, Any]
    fingerprint: str
    result: dict[str, Any] | None
    created_at: float
    name: str = ""
    note: str = ""
    starred: bool = False


class Store:
    """A handle on one home folder. Safe to share between threads; each has its own connection."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.pictures = Shelf(home / "pictures")
        self._local = threading.local()
        self._migrate()

    # -- transactions

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it happens or nothing."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")  # a read that becomes a write would fail at once when someone else writes
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite has rolled back by itself when the disk is full
                connection.execute("ROLLBACK")
            raise

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query; no reader stays open, since that would block writers."""
        return self._connection().execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        rows = self.read(sql, *values)
        return rows[0] if rows else None

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
        return Project(row["id"], row["name"], row["created_at"], row["split_seed"], row["val"], row["test"])

    def projects(self) -> list[Project]:
        """All projects, the newest first."""
        rows = self.read("SELECT id FROM project ORDER BY created_at DESC, rowid DESC")
        return [self.project(row["id"]) for row in rows]

    def delete_project(self, project_id: str) -> None:
        """Forget a project, its runs, and the pictures that no other project has. A worker of it stops by itself."""
        folders = [self.folder(run.id) for run in self.runs(project_id)]
        with self.write() as db:
            own = db.execute(
                "SELECT picture_id FROM dataset WHERE project_id = ? EXCEPT "
                "SELECT picture_id FROM dataset WHERE project_id <> ?",
                (project_id, project_id),
            ).fetchall()
            db.execute("DELETE FROM project WHERE id = ?", (project_id,))
            db.executemany("DELETE FROM picture WHERE id = ?", own)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        self.sweep()

    def sweep(self) -> None:
        """Forget the bytes that are no project's. While pictures are taken in, which have no row until the bytes are
        there, nothing is forgotten: the next deletion or start does it."""
        kept = {row["id"] for row in self.read("SELECT id FROM picture")}
        loose = sorted(self.pictures.keys() - kept)
        for first in range(0, len(loose), _SWEPT):
            keys = loose[first : first + _SWEPT]
            with self.write() as db:
                if db.execute(_TAKING_IN).fetchone():
                    return
                again = db.execute(f"SELECT id FROM picture WHERE id IN {LISTED}", (json.dumps(keys),)).fetchall()
                for key in set(keys) - {row["id"] for row in again}:
                    self.pictures.drop(key)
                    self.thumbnail(key).unlink(missing_ok=True)

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

    def receive(self, project_id: str, batch: str, answers: Iterable[Received]) -> None:
        """Record what became of some files. A picture that is there already is not added again: same class, it is a
        duplicate; another class, both are left out until someone decides, or, if it came with an earlier delivery, it
        stays as it is: nobody loses what was there. The group that a table gave (`values`) is that of the picture,
        whatever becomes of the file, unless another table gave it one before."""
        with self.write() as db:
            for answer in answers:
                file = answer.file
                if answer.facts is not None and file.outcome == "used":
                    file = self._add_picture(db, project_id, batch, file, answer.facts)
                db.execute(
                    "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        project_id, batch, file.index, file.name, file.label, file.part, file.picture_id,
                        file.outcome, file.reason, json.dumps(file.values), time.time(),
                    ),
                )  # fmt: skip

    def _add_picture(self, db: sqlite3.Connection, project_id: str, batch: str, file: File, facts: Facts) -> File:
        twin = db.execute(
            "SELECT picture_id, label, excluded FROM dataset WHERE project_id = ? AND pixels = ?",
            (project_id, facts.pixels),
        ).fetchone()
        group = file.values.get("group")
        if twin is None:
            db.execute(
                "INSERT OR IGNORE INTO picture VALUES (?, ?, ?, ?, ?)",
                (facts.id, facts.width, facts.height, facts.pixels, json.dumps(facts.notes)),
            )
            db.execute(
                "INSERT INTO dataset(project_id, picture_id, label, pinned, pixels, group_key, group_source) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (project_id, facts.id, file.label, file.part, facts.pixels, group, group and "manifest"),
            )
            return file
        if group:
            db.execute(
                "UPDATE dataset SET group_key = ?, group_source = 'manifest' "
                "WHERE project_id = ? AND picture_id = ? AND group_source IS NOT 'manifest'",
                (group, project_id, twin["picture_id"]),
            )
        came = db.execute(
            "SELECT name, batch, number, reason, label FROM file WHERE project_id = ? AND picture_id = ? "
            "ORDER BY outcome <> 'used', at, number",
            (project_id, twin["picture_id"]),
        ).fetchall()
        first = came[0]
        # A set that is delivered again says nothing new, whatever class the user has given the picture meanwhile.
        said = {label.casefold() for label in (twin["label"], *(row["label"] for row in came))}
        is_new = file.label.casefold() not in said
        together = first["batch"].partition("/")[0] == batch.partition("/")[0]  # archives of one delivery
        if is_new and (together or first["reason"] == "label_conflict"):
            reason = "label_conflict"
            self._leave_out_both(db, project_id, file, twin, first)
        elif twin["excluded"]:
            reason = first["reason"] or "left_out"
        else:
            reason = "label_other" if is_new else "duplicate"
        values = {"twin": first["name"], "twin_label": twin["label"], "label": file.label}
        # All files of one picture carry its id, so that a decision about it reaches all of them.
        return File(file.index, file.name, "excluded", file.label, file.part, twin["picture_id"], reason, values)

    def _leave_out_both(
        self, db: sqlite3.Connection, project_id: str, file: File, twin: sqlite3.Row, first: sqlite3.Row
    ) -> None:
        """The same picture in two classes: nobody but the user knows which is right."""
        db.execute(
            "UPDATE dataset SET excluded = 1 WHERE project_id = ? AND picture_id = ?", (project_id, twin["picture_id"])
        )
        facts = json.dumps({"twin": file.name, "twin_label": file.label, "label": twin["label"]})
        db.execute(
            f"UPDATE file SET outcome = 'excluded', reason = 'label_conflict', facts = {FACTS} "
            "WHERE project_id = ? AND batch = ? AND number = ?",
            (facts, project_id, first["batch"], first["number"]),
        )

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

    def undecided(self, project_id: str) -> dict[str, tuple[str, ...]]:
        """The pictures that came in several classes, by id, with these classes; none is used until someone decides."""
        found: dict[str, tuple[str, ...]] = {}
        sql = (
            "SELECT picture_id, label FROM file WHERE project_id = ? AND reason = 'label_conflict' ORDER BY at, number"
        )
        for row in self.read(sql, project_id):
            labels = found.get(row["picture_id"], ())
            found[row["picture_id"]] = labels if row["label"] in labels else (*labels, row["label"])
        return found

    def left_out_of_test(self, project_id: str) -> set[str]:
        """The ids of pictures that a run was measured on, and that were left out since."""
        sql = (
            "SELECT picture_id FROM dataset WHERE project_id = ? AND pinned = 'test' AND excluded = 1 AND part = 'test'"
        )
        return {row["picture_id"] for row in self.read(sql, project_id)}

    def dataset(self, project_id: str) -> Dataset:
        """The used pictures, all of them: pages ask `core.album` for counts and one page of rows."""
        sql = (
            "SELECT d.picture_id, d.label, p.width, p.height, d.part, d.group_key FROM dataset d "
            "JOIN picture p ON p.id = d.picture_id WHERE d.project_id = ? AND NOT d.excluded ORDER BY d.picture_id"
        )
        return Dataset(tuple(Picture(*row) for row in self.read(sql, project_id)))

    # -- runs

    def add_run(self, project_id: str, plan: dict[str, Any], dataset: Dataset) -> Run:
        """The run of this plan on this data: a new one, or the one that exists."""
        text, key = json.dumps(plan, sort_keys=True), uuid.uuid4().hex
        with self.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO run(id, project_id, plan, fingerprint, created_at) VALUES (?, ?, ?, ?, ?)",
                (key, project_id, text, dataset.fingerprint, time.time()),
            )
        sql = "SELECT * FROM run WHERE project_id = ? AND plan = ? AND fingerprint = ?"
        row = self.row(sql, project_id, text, dataset.fingerprint)
        return _run(row) if row is not None else self.run(key)

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

    def folder(self, run_id: str) -> Path:
        """Where the files of a run are."""
        return self.home / "runs" / run_id

    def is_whole(self, run_id: str) -> bool:
        """Whether every finished file of a run is there, byte for byte."""
        folder = self.folder(run_id)
        return all(
            (folder / name).is_file() and sha256(folder / name) == key for name, key in self.artifacts(run_id).items()
        )

    def thumbnail(self, picture_id: str) -> Path:
        """Where the small JPEG of a picture is."""
        return self.home / "thumbnails" / picture_id[:2] / f"{picture_id}.jpg"

    def artifacts(self, run_id: str) -> dict[str, str]:
        """The finished files of a run: name -> sha256."""
        return {r["name"]: r["sha256"] for r in self.read("SELECT * FROM artifact WHERE run_id = ?", run_id)}

    # -- opening

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.home / "headstart.db", timeout=10, isolation_level=None)
            connection.row_factory = sqlite3.Row
            mode, sync = _journal(sqlite3.sqlite_version_info)
            for pragma in (f"journal_mode={mode}", f"synchronous={sync}", "foreign_keys=ON", "trusted_schema=OFF"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        connection = self._connection()
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        with self.write() as db:
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found > VERSION:
                raise HeadstartError("store_newer", found=found, known=VERSION, home=str(self.home))
            for script in SCRIPTS[found:]:
                for statement in _statements(script):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")


def _statements(script: str) -> Sequence[str]:
    """`executescript` would commit the transaction it runs in."""
    return [statement for statement in script.split(";\n") if statement.strip()]


def _journal(version: tuple[int, ...]) -> tuple[str, str]:
    """WAL only where its reset bug is fixed: https://sqlite.org/wal.html#the_wal_reset_bug."""
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return ("WAL", "FULL") if fixed else ("DELETE", "EXTRA")


def _run(row: sqlite3.Row) -> Run:
    result = json.loads(row["result"]) if row["result"] else None
    return Run(
        row["id"], row["project_id"], json.loads(row["plan"]), row["fingerprint"], result, row["created_at"],
        row["name"], row["note"], bool(row["starred"]),
    )  # fmt: skip
