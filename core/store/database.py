"""The SQLite file of a home: connections, transactions, and the way from an older schema to this one.

Each thread has a connection of its own. Every write is one short `BEGIN IMMEDIATE` transaction. What goes wrong below
SQL (a busy, full, damaged or unreadable database) is raised as a HeadstartError, so that a page or a command says it
in a sentence; errors of SQL itself, such as a broken constraint, stay what they are.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import HeadstartError
from core.store import backups
from core.store.schema import SCRIPTS
from core.store.sqlite import WAIT_S, database, translated

VERSION = len(SCRIPTS)
# The values of a JSON list that is handed to a query.
LISTED = "(SELECT value FROM json_each(?))"


class Database:
    """A handle on the database of one home folder, which is made in a new home. In one that holds pictures, a database
    that is gone is begun anew only by who says so (`may_begin`): a backup should come first. Safe to share between
    threads."""

    def __init__(self, home: Path, may_begin: bool = False) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        path = database(home)
        if not path.exists() or not path.stat().st_size:
            if not may_begin and has_bytes(home):
                raise HeadstartError("store_missing", home=str(home))
            path.touch(mode=0o600)
        self._migrate()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it happens or nothing."""
        with translated(database(self.home)):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")  # a read that becomes a write would fail at once when others write
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite has rolled back by itself when the disk is full
                    connection.execute("ROLLBACK")
                raise

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query; no reader stays open, since that would block writers."""
        with translated(database(self.home)):
            return self._connection().execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query, if there is one."""
        rows = self.read(sql, *values)
        return rows[0] if rows else None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # One that is gone is not made again by the way.
            address = f"{database(self.home).as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            mode, sync = _journal(sqlite3.sqlite_version_info)
            for pragma in (f"journal_mode={mode}", f"synchronous={sync}", "foreign_keys=ON", "trusted_schema=OFF"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection = connection
        return connection

    def _migrate(self) -> None:
        with translated(database(self.home)):
            found = self._version(self._connection())
        if found == VERSION:
            return
        if found:
            backups.make(self.home, "upgrade")
        with self.write() as db:
            found = self._version(db)  # someone else may have been faster
            if found == 0 and db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                raise HeadstartError("store_foreign", path=str(database(self.home)))
            for script in SCRIPTS[found:]:
                for statement in _statements(script):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={VERSION}")

    def _version(self, db: sqlite3.Connection) -> int:
        """The version of the schema; 0 for a new database."""
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise HeadstartError("store_newer", found=found, known=VERSION, home=str(self.home))
        return found


def has_bytes(home: Path) -> bool:
    """Whether a home holds pictures or runs."""
    return any(any((home / name).glob("*/*")) for name in ("pictures", "runs", "aside"))


def _statements(script: str) -> Sequence[str]:
    """`executescript` would commit the transaction it runs in."""
    return [statement for statement in script.split(";\n") if statement.strip()]


def _journal(version: tuple[int, ...]) -> tuple[str, str]:
    """WAL only where its reset bug is fixed: https://sqlite.org/wal.html#the_wal_reset_bug."""
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return ("WAL", "FULL") if fixed else ("DELETE", "EXTRA")
