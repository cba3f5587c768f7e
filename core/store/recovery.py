"""What a start of the server finds in its home, and what it does where something is wrong.

A damaged database is kept and the newest sound backup put in its place; bytes that no row knows are moved aside and
come back when a row knows them again; projects can be rebuilt from what each run wrote down. Nothing is deleted here.
What was done stands in notices, which every page shows until someone has read them.
"""

import contextlib
import json
import logging
import os
import signal
import sqlite3
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from core.dataset import Dataset
from core.disk import blobs, locks
from core.disk.blobs import Shelf, is_sound
from core.errors import HeadstartError
from core.store import backups
from core.store.database import LISTED, VERSION, has_bytes
from core.store.sqlite import database
from core.store.store import TAKING_IN, Run, Store

_AT_ONCE = 500  # files that are moved in one transaction
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """Something that a start found or did; `code` names its sentence, `at` (epoch seconds) tells two apart."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


def open_home(home: Path) -> Store:
    """Open a home as the server does, alone with it: check its database, put a backup in its place if it is damaged or
    gone, finish deletions that were cut short, and move aside what no row knows."""
    _restore_if_needed(home)
    store = Store(home, may_begin=True)
    with _tolerated("the home could not be put in order"):
        store.sweep()
        _settle_unknown(store)
        for run in (run for project in store.projects() for run in store.runs(project.id)):
            if run.result is not None and not (store.root(run.id) / Run.FILE).exists():
                store.record(run.id, run.result, store.files(run.id))  # of a version that kept none
    return store


def back_up(store: Store, stopping: bool = False) -> None:
    """Make today's backup, or the one of a stop, if there is something to keep; that none could be made is a notice."""
    try:
        if store.row("SELECT 1 FROM project LIMIT 1") is not None:
            (backups.at_stop if stopping else backups.daily)(store.home)
            _write(store.home, [each for each in notices(store.home) if each.code != "backup_failed"])
    except (HeadstartError, OSError, sqlite3.Error) as error:
        _logger.warning("no backup: %s", error)
        with contextlib.suppress(OSError):
            _tell(store.home, Notice("backup_failed", {"reason": str(error)}))


def restore(home: Path, backup: backups.Backup) -> Store:
    """Put a backup in the place of the database, which is copied first. Only while no server uses the home."""
    if database(home).exists():
        with contextlib.suppress(HeadstartError):  # of a damaged one there is no copy, but it is kept below
            backups.make(home, "restore")
    _put_back(home, backup, "chosen")
    store = Store(home)
    _settle_unknown(store)
    return store


# -- the database


def _restore_if_needed(home: Path) -> None:
    path = database(home)
    found = backups.version(path) if path.is_file() and path.stat().st_size else 0
    if found == 0 and _has_tables(path):
        return  # another program's, which opening refuses
    if found or (found == 0 and not has_bytes(home)):
        return  # sound, or a new home
    why = "missing" if found == 0 else "damaged"
    backup = backups.newest_sound(home, VERSION)
    if backup is not None:
        _put_back(home, backup, why)
        return
    _stop_workers(home)
    kept = backups.set_aside(home)
    pictures = len(Shelf(home / "pictures").keys())
    _tell(home, Notice(f"begun_{why}", {"pictures": pictures, "kept": _inside(home, kept)}))


def _has_tables(path: Path) -> bool:
    if not path.is_file():
        return False
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _put_back(home: Path, backup: backups.Backup, why: str) -> None:
    _stop_workers(home)
    kept = backups.put_back(home, backup, partial(_settle, home))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(backup.at))
    _tell(home, Notice(f"restored_{why}", {"when": when, "kept": _inside(home, kept)}))


def _stop_workers(home: Path) -> None:
    """End the workers of this home: they would go on with a file that is no longer the database."""
    for path in (home / "locks").glob("*"):
        pid = locks.holder(home, path.name)
        if pid is not None and pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _settle(home: Path, db: sqlite3.Connection) -> None:
    """Change what an older state says that is no longer so: work in progress, deletions to come, bytes that have
    gone."""
    here = Shelf(home / "pictures").keys() | _shelf_aside(home).keys()
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'removal'").fetchone():
        db.execute("DELETE FROM removal")
    ended = "UPDATE job SET state = 'cancelled', token = NULL, ended_at = ? WHERE ended_at IS NULL"
    db.execute(ended, (time.time(),))
    gone = [row[0] for row in db.execute("SELECT id FROM picture") if row[0] not in here]
    db.execute(f"UPDATE dataset SET excluded = 1 WHERE picture_id IN {LISTED}", (json.dumps(gone),))
    _end_what_ended(home, db)


def _end_what_ended(home: Path, db: sqlite3.Connection) -> None:
    """A demo or a key that the database of now calls ended, or does not know, lets nobody in again. Where nothing can
    be read of that database, what the backup says holds."""
    for table in ("demo", "api_key"):
        with (
            contextlib.suppress(sqlite3.Error),  # damaged, or of a version without such a table
            contextlib.closing(sqlite3.connect(f"{database(home).as_uri()}?mode=ro", uri=True)) as now,
        ):
            still = [row[0] for row in now.execute(f"SELECT id FROM {table} WHERE revoked_at IS NULL")]
            ended = f"UPDATE {table} SET revoked_at = ? WHERE revoked_at IS NULL AND id NOT IN {LISTED}"
            db.execute(ended, (time.time(), json.dumps(still)))


# -- what no row knows


def _settle_unknown(store: Store) -> None:
    """Bring back what a row knows again, and move aside what none knows: pictures and folders of runs."""
    aside, runs = _shelf_aside(store.home), store.home / "aside" / "runs"
    for keys in _unknown(store, "picture", aside.keys(), known=True):
        for key in keys:
            came_again = not _move(aside.path(key), store.pictures.path(key))
            if came_again and is_sound(store.pictures.path(key), key):
                aside.drop(key)  # the same bytes, by their hash
    for keys in _unknown(store, "run", _folders(runs), known=True):
        for key in keys:
            _move(runs / key, store.root(key))
    moved = 0
    for keys in _unknown(store, "picture", store.pictures.keys(), known=False):
        for key in keys:
            moved += _move(store.pictures.path(key), aside.path(key))
    for keys in _unknown(store, "run", _folders(store.home / "runs"), known=False):
        for key in keys:
            moved += _move(store.root(key), runs / key)
    # Told again at each start for as long as projects can be rebuilt: nothing else leads back to them.
    if moved or _can_rebuild(store.home):
        _tell_aside(store.home)


def _can_rebuild(home: Path) -> bool:
    aside = _shelf_aside(home).keys()
    for path in (home / "aside" / "runs").glob("*/dataset.json") if aside else ():
        with contextlib.suppress(ValueError, TypeError, OSError):
            if any(picture.id in aside for picture in Dataset.from_bytes(path.read_bytes()).pictures):
                return True
    return False


def set_aside(store: Store, upload: Path) -> None:
    """Move an upload aside that no job knows."""
    if _move(upload, store.home / "aside" / "inbox" / upload.name):
        _tell_aside(store.home)


def _tell_aside(home: Path) -> None:
    pictures = len(_shelf_aside(home).keys())
    runs, uploads = (len(_folders(home / "aside" / name)) for name in ("runs", "inbox"))
    _tell(home, Notice("aside", {"pictures": pictures, "runs": runs, "uploads": uploads, "path": "aside"}))


def _unknown(store: Store, kind: str, names: Iterable[str], known: bool) -> Iterator[list[str]]:
    """Those of the names that are in no row (or, `known`, in one), some at a time, each time in a transaction: nobody
    adds a row meanwhile. While pictures are taken in, bytes without a row are nothing unusual, so none are named."""
    listed = f"SELECT id FROM {kind} WHERE id IN {LISTED}"
    waiting = f"SELECT name FROM removal WHERE kind = '{kind}' AND name IN {LISTED}"
    names = sorted(names)
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        with store.write() as db:
            if not known and db.execute(TAKING_IN).fetchone():
                return
            text = (json.dumps(some),)
            rows = {row[0] for row in db.execute(listed, text)}
            if not known:
                rows |= {row[0] for row in db.execute(waiting, text)}
            yield [name for name in some if (name in rows) == known]


def _move(source: Path, target: Path) -> bool:
    """Move a file or folder to a place that is free; what stands there already stays, and so does the source."""
    if target.exists():
        return False
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.replace(source, target)
    return True


# -- rebuilding


def rebuild(store: Store, name: str) -> int:
    """Make projects again from the runs that lie aside, as far as these go: classes, parts and groups of the pictures
    that each was trained on, the newest first, and the run itself where it was written down. A picture that only an
    older run of a project had was left out since, and stays so. Pictures of a run that does not say whose it was go to
    the project that has most of them, else to a new one called `name` and a number. Returns how many pictures are in a
    project again."""
    folder = store.home / "aside" / "runs"
    before = len(_shelf_aside(store.home).keys())
    found = [(path, path.stat().st_mtime) for path in folder.glob("*/dataset.json")]
    rebuilt: set[str] = set()
    for path, _ in sorted(found, key=lambda pair: pair[1], reverse=True):
        try:
            data = Dataset.from_bytes(path.read_bytes())
        except (ValueError, TypeError, OSError):  # cut off, or another program's
            continue
        _bring(store, data)
        rebuilt.add(_adopt(store, path.parent.name, data, _read_record(path.parent / Run.FILE), name, rebuilt))
    _settle_unknown(store)
    after = len(_shelf_aside(store.home).keys())
    left = [each for each in notices(store.home) if each.code not in ("aside", "begun_missing", "begun_damaged")]
    _write(store.home, [*left, Notice("rebuilt", {"pictures": before - after, "left": after})])
    return before - after


def _bring(store: Store, data: Dataset) -> None:
    """Bytes first, rows after."""
    aside = _shelf_aside(store.home)
    for picture in data.pictures:
        if aside.path(picture.id).is_file():
            _move(aside.path(picture.id), store.pictures.path(picture.id))


def _adopt(
    store: Store, run_id: str, data: Dataset, written: dict[str, Any], name: str, rebuilt: Collection[str]
) -> str:
    """Add the pictures of a run, and the run, to its project. Answers which that is."""
    pictures = [p for p in data.pictures if store.pictures.path(p.id).is_file()]
    with store.write() as db:
        project = _project_of(db, [p.id for p in pictures], written, name)
        for number, p in enumerate(pictures):
            # What the pixels hash to is not written down; the bytes' own hash serves to know the same file again.
            db.execute("INSERT OR IGNORE INTO picture VALUES (?, ?, ?, ?, '[]')", (p.id, p.width, p.height, p.id))
            added = db.execute(
                "INSERT OR IGNORE INTO dataset(project_id, picture_id, label, part, pinned, excluded, pixels, "
                "group_key, group_source) SELECT ?, id, ?, ?, ?, ?, pixels, ?, ? FROM picture WHERE id = ?",
                (project, p.label, p.part, p.part, project in rebuilt, p.group, p.group and "manifest", p.id),
            ).rowcount
            if added:
                name_of_file = f"{p.label}/{p.id[:12]}"  # that which it had is lost
                db.execute(
                    "INSERT OR IGNORE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, 'used', '', '{}', ?)",
                    (project, f"rebuilt {run_id}", number, name_of_file, p.label, p.part, p.id, time.time()),
                )
        if written:
            _adopt_run(db, run_id, project, data.fingerprint, written)
    return project


def _adopt_run(db: sqlite3.Connection, run_id: str, project: str, fingerprint: str, written: dict[str, Any]) -> None:
    added = db.execute(
        "INSERT OR IGNORE INTO run(id, project_id, plan, fingerprint, result, created_at, name, note, starred) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run_id, project, json.dumps(written["plan"], sort_keys=True), fingerprint, json.dumps(written["result"]),
            written["created_at"], written["name"], written["note"], written["starred"],
        ),
    ).rowcount  # fmt: skip
    if added:
        rows = [(run_id, file, key) for file, key in written["artifacts"].items()]
        db.executemany("INSERT OR IGNORE INTO artifact VALUES (?, ?, ?)", rows)


def _project_of(db: sqlite3.Connection, ids: list[str], written: dict[str, Any], name: str) -> str:
    """The project that a run belongs to, made where there is none."""
    key = written.get("project_id") or uuid.uuid4().hex
    if not written:
        sql = f"SELECT project_id, COUNT(*) n FROM dataset WHERE picture_id IN {LISTED} GROUP BY 1 ORDER BY n DESC"
        most = db.execute(sql, (json.dumps(ids),)).fetchone()
        if most is not None and 2 * most["n"] > len(ids):
            return str(most["project_id"])
        n = db.execute("SELECT COUNT(*) FROM project WHERE name LIKE ? || ' %'", (name,)).fetchone()[0]
        name = f"{name} {n + 1}"
    db.execute(
        "INSERT OR IGNORE INTO project(id, name, created_at) VALUES (?, ?, ?)",
        (key, written.get("project", name), written.get("created_at", time.time())),
    )
    return str(key)


def _read_record(path: Path) -> dict[str, Any]:
    """What `Store.record` wrote down of a run; empty where that is not there or not whole."""
    try:
        written = dict(json.loads(path.read_bytes()))
        keys = ("project_id", "project", "plan", "result", "artifacts", "created_at", "name", "note", "starred")
        return written if all(key in written for key in keys) and written["result"] else {}
    except (OSError, ValueError, TypeError):
        return {}


# -- notices


def notices(home: Path) -> list[Notice]:
    """What nobody has called read yet, the oldest first."""
    try:
        return [Notice(**each) for each in json.loads((home / "notices.json").read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def dismiss(home: Path, notice: Notice) -> None:
    """Do not show a notice again."""
    _write(home, [each for each in notices(home) if each != notice])


def _tell(home: Path, notice: Notice) -> None:
    """Add a notice; of one kind only the newest counts."""
    _logger.warning("%s %s", notice.code, notice.values)
    _write(home, [*(each for each in notices(home) if each.code != notice.code), notice])


def _write(home: Path, rest: list[Notice]) -> None:
    if rest != notices(home):
        blobs.write(home / "notices.json", json.dumps([asdict(each) for each in rest]).encode())


# -- places


def _shelf_aside(home: Path) -> Shelf:
    return Shelf(home / "aside" / "pictures")


def _folders(root: Path) -> set[str]:
    return {path.name for path in root.glob("*") if path.is_dir()}


def _inside(home: Path, path: Path | None) -> str:
    return "" if path is None else path.relative_to(home).as_posix()


@contextlib.contextmanager
def _tolerated(what: str) -> Iterator[None]:
    """A home that can only be read is still served."""
    try:
        yield
    except (OSError, HeadstartError) as error:
        _logger.warning("%s: %s", what, error)
