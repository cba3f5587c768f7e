"""Try a model on any picture."""

import streamlit as st

from core.jobs import queue
from pages.parts.demo import api_panel, batch_panel, publish_panel, try_model
from pages.parts.frame import context
from pages.parts.frame.words import say
from pages.parts.learn import figures
from pages.parts.results import run_list as names

project = context.project()
runs = context.finished(project)
if not runs:
    figures.coming("demo")
    context.empty(say("demo_empty"), say("demo_empty_more"), project, ("train", say("go_train")))
else:
    run = names.choose(project, runs)
    if context.is_stale(run) and not queue.computing(context.store()):
        st.info(say("stale"), icon=":material/update:")
    try_model.draw(run, wide=False)
    context.link("present", project, say("present_open"), icon=":material/present_to_all:", help=say("present_help"))
    publish_panel.panel(project, run)
    api_panel.panel(project)
    batch_panel.panel(run)
