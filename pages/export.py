"""Download the model: in each format, with how closely its answers agree with the model's, and as files of the run."""

import streamlit as st

from core import backbones
from core.disk import blobs
from core.errors import HeadstartError
from core.runs import keras_script
from pages.parts.demo import damaged_files
from pages.parts.export import format_table, run_files
from pages.parts.frame import context
from pages.parts.frame.words import plain, say
from pages.parts.learn import figures
from pages.parts.results import run_list as names

project = context.project()
runs = context.finished(project)
if not runs:
    figures.coming("export")
    context.empty(say("export_empty"), say("export_empty_more"), project, ("train", say("go_train")))
    st.stop()

run = names.choose(project, runs)
folder, artifacts = context.store().model(run.id)
if not all((folder / name).is_file() for name in artifacts):
    damaged_files.show(HeadstartError("run_incomplete", path=str(folder)), run)
    st.stop()
damaged = [name for name, key in artifacts.items() if not blobs.seems_sound(folder / name, key)]
if damaged:
    damaged_files.show(HeadstartError("model_damaged", names=", ".join(damaged)), run)
st.markdown(say("export_lead"))
backbone = backbones.find(run.plan["backbone"])
st.caption(plain(backbone.terms))
if backbone.hub and backbone.hub.tokens:  # the others are layers of Keras
    st.caption(say("export_hub", install=backbones.INSTALL))
if "model.keras" not in damaged:
    format_table.panel(run)
script = keras_script.use_model()
run_files.of_reader(run)
run_files.of_model(run, folder, damaged, script)
run_files.of_training(run, artifacts, damaged)

st.header(say("script_title"), anchor=False)
st.markdown(say("script_more"))
st.code(script.decode(), language="python", wrap_lines=True)
