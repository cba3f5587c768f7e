"""Pictures to select and what can be done with those: the gallery of the data page, and `sorter` for any others.

Selecting, enlarging and typing happen in the browser; only an action comes here. So a page of pictures costs one
rerun however many of them are selected, and 100,000 pictures cost what one page of them does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import album
from core.album import Filter
from core.dataset import PARTS, Picture
from core.store import Project
from pages.parts import findings, shell
from pages.parts.words import WORDS, say

PAGE = 60  # pictures at a time
_SORTER = shell.component("sorter")
_WORDS = {
    "selected": "selected", "hint": "select_hint", "all": "select_all", "every": "select_every", "none": "select_none",
    "move": "move", "leave_out": "leave_out", "take_back": "take_back", "class": "move_to", "part": "move_part",
    "pictures": "pictures", "enlarge": "enlarge", "mark": "mark", "unmark": "unmark", "close": "close", "back": "back",
    "on": "on", "keys": "select_keys", "keys_why": "select_keys_why", "why": "why",
}  # fmt: skip


@st.fragment
def gallery(found: Project, names: list[str]) -> None:
    """The pictures of a project under a filter, to be selected and changed; `names` are its classes.

    Another page of pictures draws nothing else anew; what was done to pictures draws all of the page.
    """
    if st.session_state.pop("gallery-acted", False):
        st.rerun()
    st.subheader(say("pictures"), anchor=False)
    which = _filter(found, names)
    n = album.count(shell.store(), found.id, which)
    pages = max(1, -(-n // PAGE))
    listing = f"{found.id}-{hash(which)}"
    current = st.pagination(pages, key=f"page-{listing}") if pages > 1 else 1
    first = (min(current, pages) - 1) * PAGE
    shown = album.page(shell.store(), found.id, which, first, PAGE)
    choice = Choice(
        f"{listing} {current}", n, lambda: album.ids(shell.store(), found.id, which), which.excluded, "gallery-acted"
    )
    sorter(found, [_item(p) for p in shown], names, choice, f"gallery-{found.id}")


@dataclass(frozen=True)
class Choice:
    """Which pictures a sorter is about: a text that is the same as long as they are, how many there are on all its
    pages and their `ids` when asked for, whether they are left out, what the session notes once one was changed or
    asked about, and where it notes a picture that is asked about (if a model can say why)."""

    listing: str
    n: int
    ids: Callable[[], list[str]]
    excluded: bool = False
    noted: str = ""
    asked: str = ""


def sorter(found: Project, items: Sequence[dict[str, str]], names: list[str], choice: Choice, key: str) -> None:
    """One page of pictures (id, label, part, facts) to be selected, enlarged and changed; `names` are the classes."""
    change = album.last_change(shell.store(), found.id)
    _SORTER(
        key=key,
        data={
            "items": list(items),
            "n": choice.n,
            "listing": f"{choice.listing} {_turn()} {hash(str(items))}",  # other tiles are other pictures to select
            "focus": st.session_state.pop("gallery-focus", False),
            "excluded": choice.excluded,
            "why": bool(choice.asked),
            "classes": names,
            "parts": PARTS,
            "undo": say("undo", what=said(change.code, change.values)) if change else "",
            "change": change.number if change else 0,
            "words": {name: WORDS[key] for name, key in _WORDS.items()},
        },
        on_act_change=shell.attempt(lambda: _act(found, choice, key)),
    )


def said(code: str, values: dict[str, Any]) -> str:
    """A change in words, as its undo button says it."""
    return say(f"change_{code}", **values)


def _filter(found: Project, names: list[str]) -> Filter:
    label_box, part_box, finding_box, out_box = st.columns([3, 2, 3, 2], vertical_alignment="bottom")
    label = label_box.selectbox(
        say("class"), [None, *names], format_func=lambda x: say("any_class") if x is None else x,
        key=f"class-{found.id}",
    )  # fmt: skip
    part = part_box.selectbox(
        say("part"), [None, *PARTS], format_func=lambda x: x or say("any_part"), key=f"part-{found.id}"
    )
    with finding_box:
        kind = findings.kind(found, f"gallery-{found.id}")
    if out_box.toggle(say("left_out"), key=f"out-{found.id}"):
        return Filter(label, excluded=True)  # those are in no part, and nothing is found about them
    return Filter(label, part, among=findings.among(found, kind, f"gallery-{found.id}"))


def _item(picture: Picture) -> dict[str, str]:
    part = picture.part or ""
    facts = [picture.label, part, f"{picture.width} \u00d7 {picture.height} px"]
    group = [say("group_of", name=picture.group)] if picture.group else []
    return {
        "id": picture.id, "label": picture.label, "part": part,
        "facts": " \u00b7 ".join(text for text in facts + group if text),
    }  # fmt: skip


def _act(found: Project, choice: Choice, key: str) -> None:
    """Do what the browser asks for, with the selected pictures or with all of the choice."""
    asked = st.session_state[key].act
    if not asked:
        return
    if choice.noted:
        st.session_state[choice.noted] = True
    if asked["code"] == "why":
        st.session_state[choice.asked] = str(asked["ids"][0])
        return
    store, code = shell.store(), asked["code"]
    ids = choice.ids() if asked["every"] else [str(key) for key in asked["ids"]]
    if code == "relabel":
        album.relabel(store, found.id, ids, str(asked["label"]))
    elif code in ("exclude", "take_back"):
        album.exclude(store, found.id, ids, code == "exclude")
    elif code == "move" and asked["part"] in PARTS:
        album.move(store, found.id, ids, asked["part"])
    elif code == "undo":
        album.undo(store, found.id, int(asked["number"]))
    st.session_state["gallery-turn"] = _turn() + 1  # nothing is selected then
    st.session_state["gallery-focus"] = True


def _turn() -> int:
    return int(st.session_state.get("gallery-turn", 0))
