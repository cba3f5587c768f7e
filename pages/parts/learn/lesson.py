"""How transfer learning works, in five short sections with a drawing each, and the user's own numbers in them."""

from collections.abc import Mapping

import streamlit as st

from pages.parts.frame.words import say
from pages.parts.learn import figures

# Section -> its drawing; the texts of a section are `learn_NAME` and `learn_NAME_text`.
SECTIONS = {"frozen": "frozen", "head": "head", "tuning": "fine_tuning", "over": "over_fitting", "fit": "fit"}


def panel(own: Mapping[str, str]) -> None:
    """Draw the sections; `own` has the sentences with the user's numbers, by section, as far as there are any."""
    for name, figure in SECTIONS.items():
        text, drawing = st.columns([3, 2], gap="large", vertical_alignment="center")
        with text:
            st.header(say(f"learn_{name}"), anchor=False)
            st.markdown(say(f"learn_{name}_text"))
            if name in own:
                with st.container(border=True, key=f"own-{name}"):
                    st.markdown(f"**{say('learn_own')}.** {own[name]}")
        with drawing:
            figures.draw(figure)
