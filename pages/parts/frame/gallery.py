"""Pictures side by side: lazy thumbnails that can be selected, with captions.

One component for every place that shows pictures, except the gallery where they are sorted (`picture_actions`). Pages
send only ids and texts; thumbnails come from the server's own route and captions are set as text, so nothing that a
user typed becomes markup.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from core.scores.evaluation import Evaluation
from pages.parts.frame import context
from pages.parts.frame.words import isolated, say

_COMPONENT = context.component("gallery")
_WORDS = {"all": "select_all", "none": "select_none", "row": "pictures"}


@dataclass(frozen=True)
class Tile:
    """One picture with the caption under it and its alternative text; `source` is the route that has it."""

    id: str
    alt: str
    caption: str = ""
    source: str = "thumbnail"


def mistaken(scores: Evaluation, ids: Sequence[str]) -> list[Tile]:
    """Tiles of these pictures with their true and predicted class."""
    place = {key: i for i, key in enumerate(scores.ids)}
    tiles = []
    for key in ids:
        truth, predicted = (scores.classes[which[place[key]]] for which in (scores.truth, scores.predicted))
        text = say("taken_for", truth=isolated(truth), predicted=isolated(predicted))
        tiles.append(Tile(key, text, text))
    return tiles


def show(tiles: Sequence[Tile], key: str, size: int = 120, strip: bool = False) -> None:
    """Pictures to look at; `strip` keeps them in one line."""
    _draw(tiles, key, size, "show", strip=strip)


def pick(tiles: Sequence[Tile], key: str, size: int = 120, current: str | None = None) -> str | None:
    """A line of pictures to click; returns the id of the one that was just clicked."""
    result = _draw(tiles, key, size, "one", selected=[current] if current else [], strip=True)
    picked: str | None = result.picked
    return picked


def select(tiles: Sequence[Tile], key: str, size: int = 120, of: str = "", first: Sequence[str] = ()) -> list[str]:
    """Pictures to select; returns the ids of the selected ones. `of` tells screen readers what pictures these are, and
    `first` are selected until somebody selects others."""
    before = (st.session_state.get(key) or {}).get("selected")
    shown = {tile.id for tile in tiles}
    selected = [picture for picture in (first if before is None else before) if picture in shown]
    result = _draw(tiles, key, size, "many", selected=selected, of=of)
    now = first if result.selected is None else result.selected
    return [picture for picture in now if picture in shown]


def _draw(
    tiles: Sequence[Tile],
    key: str,
    size: int,
    mode: str,
    selected: Sequence[str] = (),
    strip: bool = False,
    of: str = "",
) -> Any:
    name = partial(say, "about_picture", total=len(tiles))  # numbered: a class may have several pictures
    items = [
        {
            "id": tile.id,
            "alt": tile.alt,
            "caption": tile.caption,
            "source": tile.source,
            "name": name(what=tile.alt, n=n),
        }
        for n, tile in enumerate(tiles, 1)
    ]
    return _COMPONENT(
        key=key,
        data={"items": items, "size": size, "mode": mode, "selected": list(selected), "strip": strip, "of": of}
        | {name: say(key) for name, key in _WORDS.items()},
        on_selected_change=lambda: None,
        on_picked_change=lambda: None,
    )
