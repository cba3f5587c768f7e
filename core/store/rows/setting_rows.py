"""What a user has set about how things are shown.

A home remembers a text for a name, beside its projects (table `setting`); a project, the color that was chosen for a
class and its place among the others (table `look`). A look stays when its class has no pictures for a while.
"""

import sqlite3
from collections.abc import Sequence

from core.store.database import Database


def read(store: Database, name: str) -> str:
    """The text of a name; empty if there is none."""
    row = store.row("SELECT value FROM setting WHERE name = ?", name)
    return str(row["value"]) if row else ""


def write(store: Database, name: str, value: str) -> None:
    """Remember a text, in place of one of the same name."""
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


def colors_of_classes(store: Database, project_id: str) -> dict[str, int]:
    """Class -> its color, a position in the palette, where one was chosen."""
    sql = "SELECT label, color FROM look WHERE project_id = ? AND color IS NOT NULL"
    return {row["label"]: row["color"] for row in store.read(sql, project_id)}


def places_of_classes(store: Database, project_id: str) -> dict[str, int]:
    """Class -> its place, where the classes were put in order."""
    sql = "SELECT label, place FROM look WHERE project_id = ? AND place IS NOT NULL"
    return {row["label"]: row["place"] for row in store.read(sql, project_id)}


def paint_class(db: sqlite3.Connection, project_id: str, label: str, color: int | None) -> None:
    """Give a class a color, or (None) none of its own."""
    db.execute(
        "INSERT INTO look(project_id, label, color) VALUES (?, ?, ?) "
        "ON CONFLICT(project_id, label) DO UPDATE SET color = excluded.color",
        (project_id, label, color),
    )


def order_classes(db: sqlite3.Connection, project_id: str, labels: Sequence[str]) -> None:
    """Give these classes their places."""
    db.executemany(
        "INSERT INTO look(project_id, label, place) VALUES (?, ?, ?) "
        "ON CONFLICT(project_id, label) DO UPDATE SET place = excluded.place",
        [(project_id, label, place) for place, label in enumerate(labels)],
    )


def inherit_look(db: sqlite3.Connection, project_id: str, label: str, new: str) -> None:
    """Show the class `new` as `label` was, unless it has a look of its own. The old one stays for an undo."""
    db.execute(
        "INSERT OR IGNORE INTO look(project_id, label, color, place) "
        "SELECT project_id, ?, color, place FROM look WHERE project_id = ? AND label = ?",
        (new, project_id, label),
    )
