"""Pictures side by side: lazy thumbnails that can be selected, with captions.

One component for every place that shows pictures, but for the gallery where they are sorted (`sorting`). Only ids
travel between page and browser; thumbnails come from the server's own route and captions are set as text, so nothing a
user typed becomes markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.evaluation import Evaluation
from pages.parts import shell
from pages.parts.words import say

_COMPONENT = shell.component("gallery")
_WORDS = {"all": say("select_all"), "none": say("select_none")}


@dataclass(frozen=True)
class Tile:
    """One picture with what stands under it and what it shows in words."""

    id: str
    alt: str
    caption: str = ""


def mistaken(scores: Evaluation, ids: Sequence[str]) -> list[Tile]:
    """These pictures with what was said of each."""
    place = {key: i for i, key in enumerate(scores.ids)}
    tiles = []
    for key in ids:
        truth, predicted = (scores.classes[which[place[key]]] for which in (scores.truth, scores.predicted))
        text = say("taken_for", truth=truth, predicted=predicted)
        tiles.append(Tile(key, text, text))
    return tiles


def show(tiles: Sequence[Tile], key: str, size: int = 120, strip: bool = False) -> None:
    """Pictures to look at; `strip` keeps them in one line."""
    _draw(tiles, key, size, "show", strip=strip)


def pick(tiles: Sequence[Tile], key: str, size: int = 120, current: str | None = None) -> str | None:
    """A line of pictures to click; answers the id of the one that was clicked just now."""
    result = _draw(tiles, key, size, "one", selected=[current] if current else [], strip=True)
    return result.picked


def select(tiles: Sequence[Tile], key: str, size: int = 120) -> list[str]:
    """Pictures to select; answers the ids of those that are."""
    before = (st.session_state.get(key) or {}).get("selected") or []
    shown = {tile.id for tile in tiles}
    result = _draw(tiles, key, size, "many", selected=[picture for picture in before if picture in shown])
    return [picture for picture in result.selected or [] if picture in shown]


def _draw(tiles, key, size, mode, selected=(), strip=False):  # type: ignore[no-untyped-def]
    items = [{"id": tile.id, "alt": tile.alt, "caption": tile.caption} for tile in tiles]
    return _COMPONENT(
        key=key,
        data={"items": items, "size": size, "mode": mode, "selected": list(selected), "strip": strip} | _WORDS,
        on_selected_change=lambda: None,
        on_picked_change=lambda: None,
    )
