"""A field for a file with the weights of a backbone, or a folder with one, for machines without a network; and the same
for a model.

It goes to the server piece by piece, as pictures do, and never through the session: such a file has up to 600 MB.
"""

from typing import Any

import streamlit as st

from core.backbones import Backbone
from pages.parts.frame import context
from pages.parts.frame.words import say

_COMPONENT = context.component("weights", "one_file")
_WORDS = (
    "weights_folder", "weights_none", "uploading", "upload_failed", "upload_gave_up", "upload_foreign", "left",
)  # fmt: skip


def draw(project_id: str, backbone: Backbone, disabled: bool) -> None:
    """Draw the field; the browser has the file checked once all of it has arrived."""
    st.markdown(say("weights_file"), help=say("weights_help", url=backbone.weights_url))
    if backbone.conditions:
        st.caption(say(f"conditions.{backbone.name}"))
    data = {"project": project_id, "address": "weights", "values": {"backbone": backbone.name}, "disabled": disabled}
    field(backbone.name, data | {"accept": ".h5,.zip", "folders": True}, say("weights_use"))


def field(name: str, data: dict[str, Any], choose: str) -> None:
    """Draw the button that takes a file, which says `choose`, and what becomes of it: `data` has the `project`, the
    `address` that it is checked at with its `values`, the endings to `accept`, and whether `folders` will do too. The
    page is drawn anew when a file has arrived."""
    words = {each: say(each) for each in _WORDS} | {"choose": choose}
    told = data | {"field": name, "chunk": context.PIECE, "words": words}
    _COMPONENT(key=f"weights-{name}", data=told, on_done_change=lambda: None)
