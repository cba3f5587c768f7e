"""The drop zone: files go to the server piece by piece, never through the session, and go on after a lost connection.

It answers with a batch once all of its files have arrived; what is in them is the intake's business.
"""

import secrets

import streamlit as st

from pages.parts import shell
from pages.parts.words import say

_CHUNK = 8_000_000

_COMPONENT = shell.component("uploader")


def receive(key: str, slim: bool) -> str | None:
    """Draw the drop zone; answers the batch whose files have all arrived just now."""
    batch = st.session_state.setdefault(f"batch-{key}", secrets.token_hex(16))
    words = {
        name: say(name)
        for name in (
            "drop", "drop_more", "choose_files", "choose_folder", "uploading", "upload_failed", "upload_gave_up",
            "left",
        )
    }  # fmt: skip
    data = {"batch": batch, "chunk": _CHUNK, "slim": slim, "words": words}
    return shell.batch(_COMPONENT(key=f"uploader-{key}-{batch}", data=data, on_done_change=lambda: None).done)


def forget(key: str) -> None:
    """The batch is taken care of: the next files make a new one."""
    st.session_state.pop(f"batch-{key}", None)
