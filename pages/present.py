"""The demo for an audience: full width, no menus, an address of its own."""

import streamlit as st

from pages.parts import runs as names
from pages.parts import shell, trial
from pages.parts.words import plain, say

# Streamlit leaves an empty sidebar standing when one comes here from a page that has one. The examples stay in view.
st.html(
    "<style>[data-testid=stSidebar], [data-testid=stHeader] { display: none }"
    " [data-testid=stImage] img { max-height: 52vh; object-fit: contain }</style>"
)

found = shell.project()
runs = shell.finished(found)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.subheader(plain(found.name), anchor=False)
    shell.link("demo", found, say("present_leave"), icon=":material/close:")
if not runs:
    shell.empty(say("demo_empty"), say("demo_empty_more"))
else:
    trial.draw(names.current(found, runs), wide=True)
