"""How it works: a lesson on transfer learning, with the numbers of the user's own run, and the terms of the field."""

import streamlit as st

from pages.parts.frame import context
from pages.parts.frame.words import plain, say
from pages.parts.learn import glossary, lesson, own_numbers
from pages.parts.results import run_list

_WIDE = 1040  # pixels: longer lines are hard to read

project = context.asked()
run = own_numbers.shown(project) if project else None
with st.container(width=_WIDE, key="learn"):
    st.title(say("learn"), anchor=False)
    st.markdown(say("learn_lead"))
    if project and run:
        st.caption(say("learn_of", project=plain(project.name), run=plain(run_list.name(run))))
        lesson.panel(own_numbers.sentences(project, run))
    else:
        st.caption(say("learn_no_run"))
        lesson.panel({})
    st.divider()
    glossary.panel()
