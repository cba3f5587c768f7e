"""Take the model away: each file with what it is for, its size, and how far its answers agree."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import streamlit as st

from core import runfile, script, settings, thresholds, unknowns
from core.errors import HeadstartError
from pages.parts import drawer, shell
from pages.parts import runs as names
from pages.parts.words import say, size

SCRIPT = Path(settings.__file__).parent / "neural" / "use_model.py"
# The last two only where something was chosen, and where it was kept.
_FILES = (
    ("model.keras", "keras_for"),
    ("model.tflite", "tflite_for"),
    ("head.npz", "head_for"),
    ("model.json", "json_for"),
    (thresholds.FILE, "limits_for"),
    (unknowns.FILE, "known_for"),
)


@contextlib.contextmanager
def _row(name: str, purpose: str, n_bytes: int | None = None) -> Iterator[tuple[Any, Any]]:
    """One file: what it is for and its size; answers where to say how far it agrees, and where its button goes."""
    with st.container(border=True, key=f"file-{name}"):
        what, how_large, agrees, button = st.columns([5, 1, 3, 2], vertical_alignment="center")
        what.markdown(f"**{name}**  \n{say(purpose)}")
        if n_bytes is not None:
            how_large.markdown(size(n_bytes))
        yield agrees, button


def _link(button: Any, name: str) -> None:
    """A file that lies in the folder of the run."""
    button.link_button(say("download_file"), f"/api/model/{run.id}/{name}", icon=":material/download:", width="stretch")


def _offer(button: Any, name: str, make: Callable[[], bytes]) -> None:
    """A file that is made when it is asked for."""
    button.download_button(
        say("download_file"), make, name, "application/octet-stream", icon=":material/download:", on_click="ignore",
        key=f"get-{name}", width="stretch",
    )  # fmt: skip


found = shell.project()
runs = shell.finished(found)
if not runs:
    shell.empty(say("export_empty"), say("export_empty_more"), "train", found, say("go_train"))
    st.stop()

run = names.choose(found, runs)
folder = shell.store().folder(run.id)
artifacts = shell.store().artifacts(run.id)
if not all((folder / name).is_file() for name in artifacts):
    shell.show(HeadstartError("run_incomplete", path=str(folder)))
    st.stop()
difference = json.loads((folder / "model.json").read_bytes())["agreement"]
st.markdown(say("export_lead"))
for name, purpose in _FILES:
    if name in (thresholds.FILE, unknowns.FILE) and not (folder / name).is_file():
        continue
    checked = name in ("model.keras", "model.tflite")
    with _row(name, purpose, (folder / name).stat().st_size) as (agrees, button):
        agrees.markdown(
            f":material/check: {say('agrees')}" if checked else say("exact"),
            help=say("agrees_help", difference=f"{difference:.6f}") if checked else None,
        )
        _link(button, name)
with _row("use_model.py", "script_for", SCRIPT.stat().st_size) as (_, button):
    _offer(button, "use_model.py", SCRIPT.read_bytes)

st.subheader(say("export_run"), anchor=False, help=say("export_run_help"))
with _row("train.zip", "train_for") as (agrees, button):
    unlike = script.unlike(run)
    if unlike:
        agrees.markdown(say("train_unlike", names=", ".join(drawer.title(name) for name in unlike)))
    else:
        agrees.markdown(say("train_close"), help=say("train_close_help"))
    _offer(button, "train.zip", lambda: script.build(shell.store(), run))
with _row("run.yaml", "run_file_for") as (agrees, button):
    agrees.markdown(say("exact"))
    _offer(button, "run.yaml", lambda: runfile.write(shell.store(), run).encode())
with _row("logs.zip", "logs_for" if "logs.zip" in artifacts else "logs_missing") as (agrees, button):
    if "logs.zip" in artifacts:
        agrees.markdown(say("exact"))
        _link(button, "logs.zip")

st.subheader(say("script_title"), anchor=False)
st.markdown(say("script_more"))
st.code(SCRIPT.read_text(), language="python")
