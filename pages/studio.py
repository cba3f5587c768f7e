"""The frame that app.py serves: page settings, the router, and around every page the way and the sidebar."""

import streamlit as st

from core.errors import HeadstartError
from pages.parts import bell, shell, way
from pages.parts.words import say

st.set_page_config(page_title=say("app"), page_icon=str(shell.ART / "icon.png"), layout="wide")

shell.PAGES.update(
    {
        name: st.Page(
            f"{name}.py", title=say(name), url_path="" if name == "projects" else name, default=name == "projects"
        )
        for name in ("projects", *shell.STEPS, "present")
    }
)
page = st.navigation(list(shell.PAGES.values()), position="hidden")
current = next(name for name, entry in shell.PAGES.items() if entry.url_path == page.url_path)

try:
    if current != "present":
        way.frame(current)
        shell.show_pending_error()
        bell.watch()  # before the page, which may stop early
    page.run()
except HeadstartError as error:
    shell.show(error)
except Exception as error:  # noqa: BLE001 - the last stop: an error id for the user, the traceback for the log
    shell.fault(error)
