"""Notices of the server's start, above every page until the user dismisses them."""

import streamlit as st

from core.language import catalog
from core.store import recovery
from core.store.recovery import Notice
from pages.parts.frame import context
from pages.parts.frame.words import plain, say


def show() -> None:
    """Draw the notices that were not dismissed."""
    for notice in recovery.notices(context.store().home):
        if catalog.has(f"notice_{notice.code}"):  # else from another version
            _show(notice)


def _show(notice: Notice) -> None:
    values = notice.values | ({"reason": plain(notice.values["reason"])} if "reason" in notice.values else {})
    read = context.attempt(lambda: recovery.dismiss(context.store().home, notice))
    with st.container(border=True, key=f"notice-{notice.code}"):
        st.markdown(f":material/database: {say(f'notice_{notice.code}', **values)}")
        with st.container(horizontal=True):
            if notice.code == "aside" and notice.values["runs"]:
                begin, more = context.attempt(_rebuild), say("notice_rebuild_help")
                st.button(say("notice_rebuild"), type="primary", key="rebuild", help=more, on_click=begin)
            st.button(say("notice_read"), key=f"read-{notice.code}", on_click=read)


def _rebuild() -> None:
    recovery.rebuild(context.store(), say("notice_rebuilt_name"))
