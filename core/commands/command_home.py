"""The home, the project and the run that a command is about."""

import argparse
from pathlib import Path

from core import settings
from core.disk import home
from core.errors import HeadstartError
from core.runs import own_backbones
from core.store.store import Project, Run, Store


def take_home(parser: argparse.ArgumentParser, what: str = "where everything is kept") -> None:
    """Let a command be told which home it is about."""
    parser.add_argument("--home", type=Path, help=f"{what} (default: $HEADSTART_HOME or ~/.headstart)")


def folder_of(options: argparse.Namespace) -> Path:
    """The home that was named, or the usual one; it need not be there."""
    return options.home.absolute() if options.home else settings.home()


def store_of(options: argparse.Namespace) -> Store:
    """The store of the home that was named; what goes there from now on is its owner's alone."""
    folder = folder_of(options)
    home.keep_private(folder)
    store = Store(folder)
    own_backbones.recall(store)
    return store


def project_of(store: Store, wanted: str | None) -> Project:
    """The newest project with this name or id, or of all. Raises HeadstartError("project_missing")."""
    named = [each for each in store.projects() if wanted in (None, each.id, each.name)]
    if not named:
        raise HeadstartError("project_missing", id=wanted)
    return named[0]


def run_of(store: Store, wanted: str | None) -> Run:
    """The newest finished run with this name or id, or of all. Raises HeadstartError("run_missing")."""
    runs = [run for project in store.projects() for run in store.runs(project.id) if run.result is not None]
    named = [run for run in runs if wanted in (None, run.id, run.name)]
    if not named:
        raise HeadstartError("run_missing", id=wanted)
    return max(named, key=lambda run: run.created_at)
