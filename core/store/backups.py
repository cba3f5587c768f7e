"""Copies of the database: made while others write, checked, kept for some days, and put back.

A copy has a name that says when and why it was made (`20261128-152200-daily.db`, UTC). Only copies of that form are
ever removed, the oldest of their kind first. Whether a file is sound is SQLite's own quick check.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import time
import uuid
from calendar import timegm
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core.disk import blobs
from core.errors import HeadstartError
from core.store.sqlite import WAIT_S, database, translated

# How many copies of a kind are kept: a week of days, and the last few moments before something changed all of it. Those
# that somebody asked for are kept until somebody removes them.
KEPT = {"daily": 7, "stop": 3, "upgrade": 3, "restore": 3}
DAY_S = 24 * 3600
_NAME = re.compile(r"(\d{8}-\d{6})-(daily|stop|upgrade|restore|asked)\.db")
_STAMP = "%Y%m%d-%H%M%S"
_BESIDE = ("", "-journal", "-wal", "-shm")  # the files of one database


class Backup(NamedTuple):
    """A copy, when it was made (epoch seconds), and why."""

    path: Path
    at: float
    why: str


def all_of(home: Path) -> list[Backup]:
    """The copies of a home, the newest first."""
    found = [(path, _NAME.fullmatch(path.name)) for path in (home / "backups").glob("*.db")]
    made = [Backup(path, timegm(time.strptime(name[1], _STAMP)), name[2]) for path, name in found if name]
    return sorted(made, key=lambda backup: (backup.at, backup.why), reverse=True)


def make(home: Path, why: str) -> Backup:
    """Copy the database while others may use it; the copy is checked before it gets its name.

    Raises HeadstartError("store_damaged") when what was copied is not sound: a copy of that is none.
    """
    folder = home / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    now = int(time.time())
    while (path := folder / f"{time.strftime(_STAMP, time.gmtime(now))}-{why}.db").exists():
        now += 1
    draft = folder / f".tmp-{uuid.uuid4().hex}"
    try:
        with (
            contextlib.closing(sqlite3.connect(database(home), timeout=WAIT_S)) as source,
            contextlib.closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy)
        if version(draft) is None:
            raise HeadstartError("store_damaged", home=str(home))
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        blobs.publish(draft, path)
    except sqlite3.DatabaseError as error:
        raise HeadstartError("backup_failed", reason=str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    return Backup(path, now, why)


def at_stop(home: Path) -> None:
    """Make a copy, if the database has changed since the newest one."""
    if not any(each.at >= int(database(home).stat().st_mtime) for each in all_of(home)):
        make(home, "stop")


def daily(home: Path) -> None:
    """Make today's copy, unless the newest of them is younger than a day, and remove the oldest of each kind."""
    newest = next((each.at for each in all_of(home) if each.why == "daily"), None)
    # A clock that was set back must not mean that no copy is made for years.
    if newest is None or abs(time.time() - newest) >= DAY_S:
        make(home, "daily")
    for why, kept in KEPT.items():
        for old in [each for each in all_of(home) if each.why == why][kept:]:
            old.path.unlink(missing_ok=True)


def version(path: Path) -> int | None:
    """The version of the schema in a file that is sound, 0 for one without tables; None for one that is damaged or no
    database. Raises HeadstartError where that cannot be known: the file is busy, or may not be read."""
    try:
        with translated(path), contextlib.closing(sqlite3.connect(path, timeout=WAIT_S)) as db:
            found: int = db.execute("PRAGMA user_version").fetchone()[0]
            sound = [row[0] for row in db.execute("PRAGMA quick_check(1)")] == ["ok"]
    except HeadstartError as error:
        if error.code != "store_damaged":
            raise
        return None
    return found if sound else None


def newest_sound(home: Path, known: int) -> Backup | None:
    """The newest copy that is sound and of no newer version than `known`."""
    for each in all_of(home):
        with contextlib.suppress(HeadstartError):  # one that may not be read: the next
            if 0 < (version(each.path) or 0) <= known:
                return each
    return None


def set_aside(home: Path) -> Path | None:
    """Move the database, as it is, out of the way; nothing of it is lost. None where there is none."""
    name = f"headstart-{time.strftime(_STAMP, time.gmtime())}.db"
    folder = home / "replaced"
    moved = None
    for ending in _BESIDE:
        path = Path(f"{database(home)}{ending}")
        if path.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            moved = folder / name
            os.replace(path, f"{moved}{ending}")
    return moved


def put_back(home: Path, backup: Backup, settle: Callable[[sqlite3.Connection], None]) -> Path | None:
    """Let a copy, after `settle` has changed it, be the database of a home. The copy stays, and so does the database
    before it: answers where that was moved. Nothing has changed if there is no room."""
    draft = home / f".tmp-{uuid.uuid4().hex}"
    try:
        shutil.copyfile(backup.path, draft)
        draft.chmod(0o600)
        with translated(draft), contextlib.closing(sqlite3.connect(draft)) as db, db:
            settle(db)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        moved = set_aside(home)
        blobs.publish(draft, database(home))
    finally:
        draft.unlink(missing_ok=True)
    return moved
