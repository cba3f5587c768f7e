"""`python -m core backup` and `restore`: copies of the database of a home."""

import argparse
import time
from typing import Any

from core.commands.command_home import folder_of, store_of
from core.disk import home
from core.errors import HeadstartError
from core.store import backups, recovery


def backup(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Copy the database now; a server may be at work on it."""
    made = backups.make(store_of(options).home, "asked")
    return {"path": str(made.path)}, f"Copied the database to {made.path}."


def restore(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """List the copies, or put one in the place of the database. Raises HeadstartError("backup_missing")."""
    folder = folder_of(options)
    found = {each.path.name: each for each in backups.all_of(folder)}
    if options.backup is None:
        when = {name: time.strftime("%Y-%m-%d %H:%M", time.localtime(each.at)) for name, each in found.items()}
        lines = [f"{name}  {at}  ({found[name].why})" for name, at in when.items()]
        return {"backups": list(found)}, "\n".join(lines) or f"There is no backup in {folder}."
    if options.backup not in found:
        raise HeadstartError("backup_missing", name=options.backup)
    home.claim(folder, "")  # a server must not be at work on it
    n = len(recovery.restore(folder, found[options.backup]).projects())
    return {"restored": options.backup, "projects": n}, f"Restored {options.backup}: {n} projects."
