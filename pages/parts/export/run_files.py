"""The files that a finished run has already: those of its model, and those that repeat its training."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from core import backbones
from core.errors import HeadstartError
from core.explain import novelty
from core.features import weights
from core.reports import model_card, report
from core.runs import keras_script, run_file
from core.scores import thresholds
from core.store.store import Run
from pages.parts.frame import context
from pages.parts.frame.words import about, in_this_language, number, plain, say, size
from pages.parts.train import settings_form

# The last two exist only if thresholds were chosen, or the model keeps its training pictures' features.
_FILES = (
    ("model.keras", "keras_for"),
    ("model.tflite", "tflite_for"),
    ("head.npz", "head_for"),
    ("model.json", "json_for"),
    (thresholds.FILE, "limits_for"),
    (novelty.FILE, "known_for"),
)


@contextlib.contextmanager
def _row(name: str, purpose: str, n_bytes: int | None = None) -> Iterator[tuple[Any, Any]]:
    """A row for one file with its purpose and size; yields the columns for its agreement and its button."""
    with st.container(border=True, key=f"file-{name}"):
        what, how_large, agrees, button = st.columns([5, 1, 3, 2], vertical_alignment="center")
        what.markdown(f"**{name}**  \n{say(purpose)}")
        if n_bytes is not None:
            how_large.markdown(size(n_bytes))
        yield agrees, button


def _link(button: Any, run: Run, name: str) -> None:
    """A button for a file in the folder of the run."""
    address = f"/api/model/{run.id}/{name}"
    button.link_button(about(say("download_file"), name), address, icon=":material/download:", width="stretch")


def _say_agreement(agrees: Any, name: str, folder: Path, damaged: Sequence[str]) -> None:
    """How closely the answers of a file agree with those of the trained model, if that was measured."""
    if name not in ("model.keras", "model.tflite"):
        agrees.markdown(say("needed_script" if name in (thresholds.FILE, novelty.FILE) else "needed"))
    elif "model.json" in damaged:  # it holds the difference
        agrees.markdown(f":material/check: {say('agrees')}")
    else:
        difference = json.loads((folder / "model.json").read_bytes())["agreement"]
        agrees.markdown(
            f":material/check: {say('agrees')}", help=say("agrees_help", difference=number(difference, ".6f"))
        )


def _offer(button: Any, name: str, make: Callable[[], bytes]) -> None:
    """A button for a file that is built when it is clicked."""
    button.download_button(
        about(say("download_file"), name), in_this_language(make), name, "application/octet-stream",
        icon=":material/download:", on_click="ignore", key=f"get-{name}", width="stretch",
    )  # fmt: skip


def of_model(run: Run, folder: Path, damaged: Sequence[str], script: bytes) -> None:
    """Draw the files of a model, and the script that reads it."""
    st.header(say("model_files"), anchor=False)
    for name, purpose in _FILES:
        if name in (thresholds.FILE, novelty.FILE) and not (folder / name).is_file():
            continue
        with _row(name, purpose, (folder / name).stat().st_size) as (agrees, button):
            if name in damaged:
                agrees.markdown(f":material/error: {say('damaged')}")
                continue
            _say_agreement(agrees, name, folder, damaged)
            _link(button, run, name)
    with _row("use_model.py", "script_for", len(script)) as (_, button):
        _offer(button, "use_model.py", lambda: script)


def of_training(run: Run, artifacts: Mapping[str, str], damaged: Sequence[str]) -> None:
    """Draw the files that repeat the training, or show how it went."""
    st.header(say("export_run"), anchor=False, help=say("export_run_help"))
    with _row("train.zip", "train_for") as (agrees, button):
        unlike = keras_script.unlike(run)
        if unlike:
            agrees.markdown(say("train_unlike", names=", ".join(settings_form.title(name) for name in unlike)))
        else:
            agrees.markdown(say("train_close"), help=say("train_close_help"))
        try:
            weights.require_here(backbones.find(run.plan["backbone"]))
            _offer(button, "train.zip", lambda: keras_script.build(context.store(), run))
        except HeadstartError as error:
            button.caption(plain(error.message))
    with _row("run.yaml", "run_file_for") as (_, button):
        _offer(button, "run.yaml", lambda: run_file.write(context.store(), run).encode())
    with _row("logs.zip", "logs_for" if "logs.zip" in artifacts else "logs_missing") as (agrees, button):
        if "logs.zip" in damaged:
            agrees.markdown(f":material/error: {say('damaged')}")
        elif "logs.zip" in artifacts:
            _link(button, run, "logs.zip")


def of_reader(run: Run) -> None:
    """Draw what tells others about the run."""
    st.header(say("export_told"), anchor=False)
    for name, purpose, make in (
        (report.FILE, "report_for", report.build),
        (model_card.FILE, "card_for", model_card.build),
    ):
        with _row(name, purpose) as (_, button):
            _offer(button, name, partial(make, context.store(), run))
