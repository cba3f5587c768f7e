"""The script that app.py serves: page settings, the router, and the frame (steps and sidebar) around every page."""

import streamlit as st

from core.jobs import queue
from pages.parts.frame import banners, context, navigation, notifications, style
from pages.parts.frame.words import say, speak
from pages.parts.learn import tour

speak()
st.set_page_config(page_title=say("app"), page_icon=str(context.ART / "icon.png"), layout="wide")

context.PAGES.update(
    {
        name: st.Page(
            f"{name}.py", title=say(name), url_path="" if name == "projects" else name, default=name == "projects"
        )
        for name in ("projects", *context.STEPS, "present", "learn")
    }
)
page = st.navigation(list(context.PAGES.values()), position="hidden")
current = next(name for name, entry in context.PAGES.items() if entry.url_path == page.url_path)

try:
    queue.tend_all(context.store())  # so that the page reads the present states below
    style.draw(current)
    if current != "present":
        navigation.frame(current)
        banners.show()
        context.show_pending_error()
        notifications.watch()  # before the page, which may stop early
        tour.show(current)
    else:
        navigation.title(current)
    page.run()
except Exception as error:  # noqa: BLE001 - the last stop
    context.report(error)
