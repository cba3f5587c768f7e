"""`python -m core export-data`, `archive` and `report`: what can be taken away, each written to one file."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.archives import packing
from core.commands.command_home import project_of, run_of, store_of
from core.disk import blobs, home
from core.language import messages
from core.pictures import album, export_zip
from core.reports import report


def export_data(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Write the pictures of a project."""
    store, lost = store_of(options), list[str]()
    project = project_of(store, options.project)
    _write(options.out, export_zip.chunks(store, project.id, lost))
    n = album.count(store, project.id, album.Filter()) - len(lost)
    return _told(options.out, f"Wrote {n} pictures of {project.name} to {options.out}.", n, lost)


def archive(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Write a whole project."""
    store, lost = store_of(options), list[str]()
    project = project_of(store, options.project)
    _write(options.out, packing.chunks(store, project.id, lost))
    n = album.count(store, project.id, album.Filter()) - len(lost)
    return _told(options.out, f"Wrote {project.name} with {n} pictures to {options.out}.", n, lost)


def write_report(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Write the report of a run."""
    store = store_of(options)
    run = run_of(store, options.run)
    _write(options.out, [report.build(store, run)])
    return {"path": str(options.out.resolve()), "run": run.id}, f"Wrote the report to {options.out}."


def _write(out: Path, chunks: Iterable[bytes]) -> None:
    with home.as_the_user_does():
        blobs.write(out, chunks)


def _told(out: Path, text: str, n: int, lost: list[str]) -> tuple[dict[str, Any], str]:
    lines = [text, *([messages.note("taken_out_but", {"n": len(lost)}), *lost] if lost else [])]
    return {"path": str(out.resolve()), "pictures": n, "damaged": lost}, "\n".join(lines)
