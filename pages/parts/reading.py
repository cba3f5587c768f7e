"""What the user should know about how names were read: spellings that became one class, and folders in folders."""

from pathlib import PurePosixPath

import streamlit as st

from core import reading
from core.store import Project
from pages.parts import shell
from pages.parts.words import plain, say

_SHOWN = 24  # folders of the tree; more would push the classes away


def show(found: Project) -> None:
    """The reading of the last delivery, where it is worth a word."""
    read = reading.latest(shell.store(), found.id)
    if read is None:
        return
    for label, names in list(read.merged.items())[:5]:
        others = ", ".join(f"\u201c{plain(name)}\u201d" for name in names)
        st.caption(f":material/merge: {say('merged', label=plain(label), names=others)}")
    if read.nested:
        with st.container(border=True, key="reading"):
            st.markdown(say("nested", n=read.nested))
            st.markdown("\n".join(_tree(read.tree, read.folders)))
            with st.container(horizontal=True):
                inner = shell.attempt(lambda: _settle(found, True))
                st.button(say("nested_inner"), key="reading-inner", on_click=inner)
                st.button(say("nested_keep"), key="reading-keep", on_click=shell.attempt(lambda: _settle(found, False)))


def _settle(found: Project, inner: bool) -> None:
    reading.settle(shell.store(), found.id, inner)


def _tree(folders, n_folders) -> list[str]:  # type: ignore[no-untyped-def]
    """The folders as a list in lists, with the number of files in each."""
    lines, seen = [], set()
    for folder, n in list(folders.items())[:_SHOWN]:
        parts = PurePosixPath(folder).parts
        for depth in range(1, len(parts) + 1):
            if parts[:depth] not in seen:
                seen.add(parts[:depth])
                here = f" \u00b7 {n}" if depth == len(parts) else ""
                lines.append(f"{'    ' * (depth - 1)}- {plain(parts[depth - 1])}{here}")
    more = n_folders - min(len(folders), _SHOWN)
    return lines + ([f"- {say('more_folders', n=more)}"] if more > 0 else [])
