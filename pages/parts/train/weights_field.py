"""A field for a file with the weights of a backbone, or a folder with one, for machines without a network.

It goes to the server piece by piece, as pictures do, and never through the session: such a file has up to 600 MB.
"""

import streamlit as st

from core.backbones import Backbone
from pages.parts.frame import context
from pages.parts.frame.words import say

_COMPONENT = context.component("weights", "one_file")
_WORDS = (
    "weights_use", "weights_folder", "weights_none", "uploading", "upload_failed", "upload_gave_up", "upload_foreign",
    "left",
)  # fmt: skip


def draw(project_id: str, backbone: Backbone, disabled: bool) -> None:
    """Draw the field; the browser has the file checked once all of it has arrived."""
    st.markdown(say("weights_file"), help=say("weights_help", url=backbone.weights_url))
    if backbone.conditions:
        st.caption(say(f"conditions.{backbone.name}"))
    data = {
        "project": project_id,
        "backbone": backbone.name,
        "chunk": context.PIECE,
        "disabled": disabled,
        "words": {name: say(name) for name in _WORDS},
    }
    _COMPONENT(key=f"weights-{backbone.name}", data=data, on_done_change=lambda: None)
