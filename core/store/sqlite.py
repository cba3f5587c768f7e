"""What everybody who opens a database needs: where it is, and what is wrong with it in a sentence."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from core.errors import HeadstartError

WAIT_S = 10  # for another writer, before the database counts as busy
# What SQLite calls the trouble -> our code: https://sqlite.org/rescode.html
_TROUBLE = {
    "SQLITE_BUSY": "store_busy",
    "SQLITE_LOCKED": "store_busy",
    "SQLITE_FULL": "disk_full",
    "SQLITE_CORRUPT": "store_damaged",
    "SQLITE_NOTADB": "store_damaged",
    "SQLITE_IOERR": "disk_trouble",
    "SQLITE_READONLY": "disk_trouble",
    "SQLITE_CANTOPEN": "disk_trouble",
    "SQLITE_PERM": "disk_trouble",
    "SQLITE_NOLFS": "disk_trouble",
}


def database(home: Path) -> Path:
    """Where the database of a home is."""
    return home / "headstart.db"


def journal(path: Path) -> str:
    """The journal mode of the database at `path`, which is only read."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return str(db.execute("PRAGMA journal_mode").fetchone()[0])


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what is wrong below SQL with the database at `path` as a HeadstartError; errors of SQL stay what they
    are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", None) or ""
        code = next((code for start, code in _TROUBLE.items() if name.startswith(start)), None)
        if code is None:
            raise
        raise HeadstartError(code, home=str(path.parent), reason=f"{error} ({path.name})") from error
