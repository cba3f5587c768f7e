"""A field for the files of LiteRT.js, without which no web page is made, for machines without a network.

They are small enough for the session, and kept only where they are what was published, byte for byte.
"""

import streamlit as st

from core.errors import HeadstartError
from core.exports import litert_js
from pages.parts.frame import context
from pages.parts.frame.words import say

_MB = 20  # the larger of the two has 12
_TURN = "runtime-turn"


def draw() -> None:
    """Draw the field, unless the files are here."""
    missing = litert_js.missing(context.store().home)
    if not missing:
        return
    addresses = "\n\n".join(f"[{each.file_name}]({each.url})" for each in missing)
    st.markdown(f"{say('runtime_files', n=len(missing))}\n\n{addresses}")
    key = f"runtime-files-{st.session_state.get(_TURN, 0)}"
    st.file_uploader(
        say("runtime_field"), accept_multiple_files=True, max_upload_size=_MB, key=key,
        on_change=context.attempt(lambda: _take(key)),
    )  # fmt: skip


def _take(key: str) -> None:
    """Keep the files that are right, and empty the field. Raises the first HeadstartError of the others."""
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1
    refused = []
    for file in st.session_state[key]:
        try:
            litert_js.receive(context.store().home, file.name, file.getvalue())
        except HeadstartError as error:
            refused.append(error)
    if refused:
        raise refused[0]
