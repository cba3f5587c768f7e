"""The demo for an audience: full width, no menus, an address of its own."""

import streamlit as st

from pages.parts.demo import try_model
from pages.parts.frame import context
from pages.parts.frame.words import plain, say
from pages.parts.learn import figures
from pages.parts.results import run_list as names

# Streamlit keeps an empty sidebar when the user comes from a page with one, and space for its header. The limits of the
# picture keep the examples in view, and its round corners where it is narrower than its column.
st.html(
    "<style>[data-testid=stSidebar], [data-testid=stHeader] { display: none }"
    " [data-testid=stMainBlockContainer] { padding-top: 2rem }"
    " [data-testid=stImage] img { max-height: 52vh; width: auto !important; max-width: 100% }</style>"
)

project = context.project()
runs = context.finished(project)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.header(plain(project.name), anchor=False)
    context.link("demo", project, say("present_leave"), icon=":material/close:")
if not runs:
    figures.coming("demo")
    context.empty(say("demo_empty"), say("demo_empty_more"))
else:
    try_model.draw(names.present(project, runs), wide=True)
