"""The backbones to choose from: the chosen one, then four cards by their use, and all others in a table.

A backbone without weights on this machine offers to download them, or to take them from a file of the user.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core import backbones
from core.backbones import Backbone
from core.jobs import queue
from core.jobs.kinds import DOWNLOAD, OfWeights
from core.language import catalog
from core.runs import backbone_gain
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import about, say, with_terms
from pages.parts.train import own_model_panel, weights_field

# One for each use; `core/backbones.py` has the figures for this choice.
_OFFERED = ("Starter", "MobileNetV2", "EfficientNetV2B0", "ConvNeXtTiny")


@dataclass(frozen=True)
class BackboneChoice:
    """The present choice; `use` is called with the name of the picked backbone."""

    project: Project
    chosen: str
    fetching: bool
    use: Callable[[str], None]


def draw(choice: BackboneChoice) -> None:
    """Draw the chosen backbone in one row, and the others behind its button: cards, then a table of all."""
    entry = backbones.find(choice.chosen)
    with st.container(border=True, key="backbone", horizontal=True, vertical_alignment="center"):
        with st.container(gap=None):
            st.caption(say("backbone"), help=with_terms("backbone_help"))
            st.markdown(f"**{choice.chosen}**", help=own_model_panel.facts(entry) if entry.own else _size(entry))
        with st.popover(say("backbone_change"), width="content"):
            _cards(choice)
            with st.expander(say("all_backbones", n=len(backbones.CATALOGUE)), icon=":material/list:"):
                _table(choice)
            own_model_panel.panel(choice.project.id, choice.fetching, partial(_button, choice))


def _cards(choice: BackboneChoice) -> None:
    is_listed = choice.chosen in _OFFERED or backbones.find(choice.chosen).own  # below, with the others of users
    for name in _OFFERED if is_listed else (choice.chosen, *_OFFERED):
        entry = backbones.find(name)
        with st.container(border=True, key=f"backbone-{name}", horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(f"**{name}**")
                st.caption(_facts(choice.project, entry), help=with_terms("top1_help") if entry.top1 else None)
            _button(choice, entry)


def with_download(label: str, backbone: str) -> str:
    """The label of a button, which says when its job first downloads the weights of a backbone."""
    entry = backbones.find(backbone)
    if entry.has_weights or not entry.is_available:
        return label
    return say("with_download", label=label, mb=round(entry.megabytes))


def _facts(project: Project, entry: Backbone) -> str:
    worth = say("card_top1", top1=round(entry.top1)) if entry.top1 else _starter(project)
    summary = say(key) if catalog.has(key := f"backbone.{entry.name}") else ""
    return f"{summary} {_size(entry)} {worth}".strip()


def _size(entry: Backbone) -> str:
    return say("card_size", mb=round(entry.megabytes), ms=round(entry.cpu_ms))


def _starter(project: Project) -> str:
    """What a better backbone has brought here, or is expected to bring."""
    gain = backbone_gain.measured(context.store(), project.id, context.dataset(project).fingerprint)
    if gain is None:
        return say("card_starter")
    pictures = say("pictures_n", n=gain.n)
    return say("card_starter_measured", ours=gain.ours, pictures=pictures, better=gain.better, theirs=gain.theirs)


def _button(choice: BackboneChoice, entry: Backbone) -> None:
    used = entry.name == choice.chosen
    if not entry.is_installed:
        st.caption(say("card_hub", install=backbones.INSTALL))
        return
    if entry.has_weights or used:  # a training downloads what it uses
        label = about(say("used" if used else "use"), entry.name)
        st.button(label, key=f"use-{entry.name}", disabled=used, on_click=choice.use, args=(entry.name,))
        return
    if entry.conditions:
        st.caption(say("card_conditions"))
        return
    start = partial(queue.start, context.store(), choice.project.id, DOWNLOAD, OfWeights(entry.name))
    fetch = context.attempt(start)
    label = about(say("download", mb=round(entry.megabytes)), entry.name)
    allowed = entry.is_available
    st.button(
        label, key=f"fetch-{entry.name}", on_click=fetch, disabled=choice.fetching or not allowed,
        help=None if allowed else say("downloads_off"),
    )  # fmt: skip


def _table(choice: BackboneChoice) -> None:
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
    event = context.table(
        rows, on_select="rerun", selection_mode="single-row", height=320,
        column_config={say(name): column for name, column in help.items()}, key=f"backbones-{choice.project.id}",
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
        if not entry.has_weights and entry.is_installed:
            weights_field.draw(choice.project.id, entry, choice.fetching)
