"""How file names were read: spellings that were merged into one class, and nested folders."""

from functools import partial
from pathlib import PurePosixPath

import streamlit as st

from core.pictures import folder_reading
from core.pictures.folder_reading import Reading
from core.store.store import Project
from pages.parts.frame import context, undo_line
from pages.parts.frame.words import brief, plain, say

_NAMED = 5  # classes named whose spelling was changed
_LONGEST = 120  # maximum characters of a spelling; it may be as long as a file name
_PLACE = "reading"  # place of the undo line of a decision
_SHOWN = 24  # folders of the tree; more would push the classes away


def show(project: Project) -> None:
    """Draw how the last delivery was read, if there is something to say about it."""
    read = folder_reading.latest(context.store(), project.id)
    for label, names in list(read.merged.items())[:_NAMED]:
        others = ", ".join(f"\u201c{plain(brief(name, _LONGEST))}\u201d" for name in names)
        key = "merged" if len(names) > 1 else "renamed"
        st.caption(f":material/merge: {say(key, label=plain(label), names=others)}")
    if len(read.merged) > _NAMED:
        st.caption(say("merged_more", n=len(read.merged) - _NAMED))
    undo_line.line(project, _PLACE)
    if read.asked:
        _ask(project, read)
    elif read.tree:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":material/account_tree: {say('nested_kept')}", width="content")
            again = context.attempt(lambda: folder_reading.ask(context.store(), project.id))
            st.button(say("nested_again"), key="reading-again", type="tertiary", on_click=again)


def _ask(project: Project, read: Reading) -> None:
    """Draw the folders, and a button for each way to read them that would change a class."""
    offers = _offers(project.id, context.store().revision(project.id), read.asked)
    if not offers:
        return
    with st.container(border=True, key="reading"):
        st.markdown(f":material/account_tree: {say('nested')}")
        st.markdown("\n".join(_tree(read.tree, read.folders)))
        with st.container(horizontal=True):
            for way, n in offers.items():
                settle = undo_line.at(project, _PLACE, partial(_settle, project, way))
                help_text = say("nested_help", n=n)
                st.button(say(f"nested_{way}"), key=f"reading-{way}", help=help_text, on_click=settle)
            keep = context.attempt(partial(_settle, project, None))
            st.button(say("nested_keep"), key="reading-keep", type="tertiary", on_click=keep)


@st.cache_data(show_spinner=False, max_entries=8)
def _offers(project_id: str, revision: int, asked: tuple[str, ...]) -> dict[str, int]:
    """The offered ways, cached by the revision of the project and the deliveries in question."""
    return folder_reading.offers(context.store(), project_id)


def _settle(project: Project, way: str | None) -> None:
    folder_reading.settle(context.store(), project.id, way)


def _tree(folders, n_folders) -> list[str]:  # type: ignore[no-untyped-def]
    """The folders as lines of a nested Markdown list, with the number of files in each."""
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
