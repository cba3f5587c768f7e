"""Try a model on any picture."""

import streamlit as st

from pages.parts import runs as names
from pages.parts import shell, trial
from pages.parts.words import say

found = shell.project()
runs = shell.finished(found)
if not runs:
    shell.empty(say("demo_empty"), say("demo_empty_more"), "train", found, say("go_train"))
else:
    run = names.choose(found, runs)
    if shell.is_stale(run):
        st.info(say("stale"), icon=":material/update:")
    trial.draw(run, wide=False)
    shell.link("present", found, say("present_open"), icon=":material/present_to_all:", help=say("present_help"))
