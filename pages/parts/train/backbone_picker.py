"""The backbones to choose from: four cards by what they are for, and all others in a table.

One whose weights are not on this machine offers to get them, or to take them from a file of the user.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from core import backbones, jobs
from core.backbones import Backbone
from core.store import Project
from pages.parts import shell
from pages.parts.words import say

# One for each use; the figures behind the choice are in the catalogue.
_OFFERED = ("Starter", "MobileNetV2", "EfficientNetV2B0", "ConvNeXtTiny")
_MOST_MB = 600


@dataclass(frozen=True)
class Choice:
    """Where the choice stands; `use` is called with the name of a backbone that is picked."""

    found: Project
    chosen: str
    fetching: bool
    use: Callable[[str], None]


def draw(choice: Choice) -> None:
    """The backbones on offer."""
    st.markdown(f"**{say('backbone')}**", help=say("backbone_help"))
    for name in _OFFERED if choice.chosen in _OFFERED else (choice.chosen, *_OFFERED):
        entry = backbones.find(name)
        with st.container(border=True, key=f"backbone-{name}", horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(f"**{name}**")
                st.caption(_facts(entry))
            _button(choice, entry)
    with st.popover(say("all_backbones", n=len(backbones.CATALOGUE)), icon=":material/list:", width="stretch"):
        _table(choice)


def _facts(entry: Backbone) -> str:
    top1 = say("card_top1", top1=entry.top1) if entry.top1 else ""
    return f"{entry.summary} {say('card_size', mb=round(entry.megabytes), ms=round(entry.cpu_ms))}{top1}".strip()


def _button(choice: Choice, entry: Backbone) -> None:
    if entry.has_weights:
        used = entry.name == choice.chosen
        label = say("used") if used else say("use")
        st.button(label, key=f"use-{entry.name}", disabled=used, on_click=choice.use, args=(entry.name,))
        return
    fetch = shell.attempt(lambda: _start(choice.found, "download", entry))
    label = say("download", mb=round(entry.megabytes))
    st.button(label, key=f"fetch-{entry.name}", on_click=fetch, disabled=choice.fetching)


def _table(choice: Choice) -> None:
    rows = [
        {
            say("backbone"): entry.name,
            say("here"): entry.has_weights,
            say("top1"): entry.top1,
            say("ms_core"): round(entry.cpu_ms),
            say("megabytes"): round(entry.megabytes),
            say("side"): entry.size,
            say("license"): entry.license,
        }
        for entry in backbones.CATALOGUE
    ]
    help = {name: st.column_config.Column(help=say(f"{name}_help")) for name in ("top1", "ms_core", "side")}
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, on_select="rerun", selection_mode="single-row", height=320,
        column_config={say(name): column for name, column in help.items()}, key=f"backbones-{choice.found.id}",
    )  # fmt: skip
    if not event.selection.rows:
        st.caption(say("backbone_pick"))
        return
    entry = backbones.CATALOGUE[event.selection.rows[0]]
    with st.container(key="picked"):
        st.markdown(f"**{entry.name}**")
        if entry.name in _OFFERED or entry.name == choice.chosen:
            st.caption(say("backbone_card"))
        else:
            _button(choice, entry)
        if not entry.has_weights:
            _given(choice, entry)


def _given(choice: Choice, entry: Backbone) -> None:
    """Weights that the user has as a file, for machines without a network."""
    file = st.file_uploader(
        say("weights_file"), ["h5"], help=say("weights_help", url=entry.weights_url), max_upload_size=_MOST_MB,
        key=f"weights-{entry.name}",
    )  # fmt: skip
    if file is None:
        return
    folder = shell.store().home / "inbox" / secrets.token_hex(16)

    def start() -> None:
        folder.mkdir(parents=True)
        path = folder / Path(file.name).name
        path.write_bytes(file.getbuffer())
        _start(choice.found, "weights", entry, path=str(path))

    st.button(say("weights_use"), key=f"give-{entry.name}", on_click=shell.attempt(start), disabled=choice.fetching)


def _start(found: Project, kind: str, entry: Backbone, **params: str) -> None:
    jobs.start(shell.store(), found.id, kind, {"backbone": entry.name, **params})
