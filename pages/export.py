"""Take the model away: each file with what it is for, its size, and how far its answers agree."""

import json
from pathlib import Path

import streamlit as st

from core import settings
from pages.parts import runs as names
from pages.parts import shell
from pages.parts.words import say, size

SCRIPT = Path(settings.__file__).parent / "neural" / "use_model.py"
_FILES = (
    ("model.keras", "keras_for"),
    ("model.tflite", "tflite_for"),
    ("head.npz", "head_for"),
    ("model.json", "json_for"),
)

found = shell.project()
runs = shell.finished(found)
if not runs:
    shell.empty(say("export_empty"), say("export_empty_more"), "train", found, say("go_train"))
    st.stop()

run = names.choose(found, runs)
folder = shell.store().folder(run.id)
difference = json.loads((folder / "model.json").read_bytes())["agreement"]
st.markdown(say("export_lead"))
for name, purpose in _FILES:
    with st.container(border=True, key=f"file-{name}"):
        what, how_large, agrees, button = st.columns([5, 1, 3, 2], vertical_alignment="center")
        what.markdown(f"**{name}**  \n{say(purpose)}")
        how_large.markdown(size((folder / name).stat().st_size))
        checked = name.startswith("model.") and name != "model.json"
        agrees.markdown(
            f":material/check: {say('agrees')}" if checked else say("exact"),
            help=say("agrees_help", difference=f"{difference:.6f}") if checked else None,
        )
        button.link_button(
            say("download_file"), f"/api/model/{run.id}/{name}", icon=":material/download:", width="stretch"
        )
with st.container(border=True, key="file-script"):
    what, button = st.columns([9, 2], vertical_alignment="center")
    what.markdown(f"**use_model.py**  \n{say('script_for')}")
    button.download_button(
        say("download_file"), SCRIPT.read_text(), "use_model.py", "text/x-python", icon=":material/download:",
        on_click="ignore", key="script", width="stretch",
    )  # fmt: skip
st.subheader(say("script_title"), anchor=False)
st.markdown(say("script_more"))
st.code(SCRIPT.read_text(), language="python")
