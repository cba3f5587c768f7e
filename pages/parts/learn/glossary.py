"""The terms of the field that pages use, each with what it means, in the order of the alphabet of the language."""

import unicodedata

import streamlit as st

from pages.parts.frame.words import TERMS, say
from pages.parts.learn import figures

_WIDE = 620  # pixels of a text
# Terms with a drawing -> its name.
_DRAWN = {
    "augmentation": "augmentation", "calibration": "calibration", "confusion-matrix": "matrix",
    "fine-tuning": "fine_tuning", "heat-map": "heat_map", "overfitting": "over_fitting", "split": "split",
    "threshold": "threshold",
}  # fmt: skip


def panel() -> None:
    """Draw all terms; the address of each is that of the page with `#` and its name."""
    names = {term: say(f"term.{term}") for term in TERMS}
    ordered = sorted(names, key=lambda term: _letters(names[term]))
    st.header(say("glossary", n=len(ordered)), anchor=False)
    st.markdown(" \u00b7 ".join(f"[{names[term]}](#{term})" for term in ordered))
    for term in ordered:
        if term not in _DRAWN:
            _term(term, names[term])
            continue
        text, drawing = st.columns([3, 2], gap="large", vertical_alignment="center")
        with text:
            _term(term, names[term])
        with drawing:
            figures.draw(_DRAWN[term])


def _term(term: str, name: str) -> None:
    with st.container(width=_WIDE, gap="xsmall"):
        st.subheader(name, anchor=term)
        st.markdown(say(f"meaning.{term}"))


def _letters(name: str) -> str:
    """A name without accents, for its place in the alphabet."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
