"""Pictures that came in several classes: which is right, the user decides."""

import streamlit as st

from core import album
from core.store import Project
from pages.parts import shell, sorting
from pages.parts.words import say


def panel(found: Project, names: list[str]) -> None:
    """Nothing while every picture has one class; else those that have several, to be moved into one."""
    classes = shell.store().undecided(found.id)
    if not classes:
        return
    ids = list(classes)
    names = sorted({*names, *(name for several in classes.values() for name in several)})
    with st.container(border=True, key="undecided"):
        st.markdown(f":material/call_split: {say('undecided', n=len(ids))}")
        items = []
        for picture in album.pictures(shell.store(), found.id, ids[: sorting.PAGE]):
            label = say("undecided_or").join(classes[picture.id])
            items.append({"id": picture.id, "label": label, "part": "", "facts": label})
        choice = sorting.Choice(f"undecided {len(ids)}", len(ids), lambda: ids, excluded=True)
        sorting.sorter(found, items, names, choice, f"undecided-{found.id}")
