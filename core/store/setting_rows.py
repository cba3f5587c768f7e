"""What a home remembers beside its projects (table `setting`): a text for a name."""

from core.store.database import Database


def read(store: Database, name: str) -> str:
    """The text of a name; empty if there is none."""
    row = store.row("SELECT value FROM setting WHERE name = ?", name)
    return str(row["value"]) if row else ""


def write(store: Database, name: str, value: str) -> None:
    """Remember a text, in place of one of the same name."""
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
