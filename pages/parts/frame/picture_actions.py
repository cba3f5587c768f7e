"""Pictures to select and the actions on them: the gallery of the data page, and `sorter` for other pictures.

Selecting, enlarging and typing happen in the browser; only an action reaches the server. So an action costs one rerun
for any number of selected pictures, and 100,000 pictures cost as much as one page of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.dataset import PARTS, Picture
from core.pictures import album
from core.pictures.album import Filter
from core.store.store import Project
from pages.parts.data import findings_panel
from pages.parts.frame import context, undo_line
from pages.parts.frame.words import class_or_any, part_name, say

PAGE = 60  # pictures at a time
_SORTER = context.component("sorter")
_WORDS = {
    "selected": "selected", "hint": "select_hint", "all": "select_all", "none": "select_none",
    "move": "move", "leave_out": "leave_out", "take_back": "take_back", "class": "move_to", "part": "move_part",
    "pictures": "pictures", "enlarge": "enlarge", "mark": "mark", "unmark": "unmark", "close": "close", "back": "back",
    "on": "on", "keys": "select_keys", "keys_why": "select_keys_why", "why": "why",
}  # fmt: skip


@context.fragment
def gallery(project: Project, names: list[str]) -> None:
    """The pictures of a project under a filter, to select and change; `names` are its classes.

    Turning to another page of pictures redraws only the gallery; a change of pictures redraws the whole page.
    """
    if st.session_state.pop("gallery-acted", False):
        st.rerun()
    st.header(say("pictures"), anchor=False)
    which = _filter(project, names)
    n = album.count(context.store(), project.id, which)
    listing, first = paginate(f"{project.id}-{hash(which)}", n)
    shown = album.page(context.store(), project.id, which, first, PAGE)
    choice = PictureChoice(
        listing,
        n,
        lambda: album.ids(context.store(), project.id, which),
        which.excluded,
        "gallery-acted",
    )
    sorter(project, [_item(p) for p in shown], names, choice, f"gallery-{project.id}")


def paginate(listing: str, n: int) -> tuple[str, int]:
    """Draw the pagination of a listing of n pictures, if it has several pages. Returns a text that identifies the open
    page, and the number of its first picture."""
    pages = max(1, -(-n // PAGE))
    current = st.pagination(pages, key=f"page-{listing}") if pages > 1 else 1
    return f"{listing} {current}", (min(current, pages) - 1) * PAGE


@dataclass(frozen=True)
class PictureChoice:
    """The pictures of a sorter: `listing`, a text that identifies them; their number on all pages and a function for
    their `ids`; whether they are left out; `noted`, the session key that is set once one was changed or asked about;
    and `asked`, the session key for a picture to explain (empty if no model can)."""

    listing: str
    n: int
    ids: Callable[[], list[str]]
    excluded: bool = False
    noted: str = ""
    asked: str = ""


def sorter(
    project: Project, items: Sequence[dict[str, str]], names: list[str], choice: PictureChoice, key: str
) -> None:
    """One page of pictures (id, label, part, facts) to select, enlarge and change; `names` are the classes."""
    change = album.last_change(context.store(), project.id)
    _SORTER(
        key=key,
        data={
            "items": list(items),
            "n": choice.n,
            "listing": f"{choice.listing} {_turn()} {hash(str(items))}",  # other tiles clear the selection
            "focus": st.session_state.pop("gallery-focus", False),
            "excluded": choice.excluded,
            "why": bool(choice.asked),
            "classes": names,
            "parts": PARTS,
            "part_names": [part_name(part) for part in PARTS],
            "undo": say("undo", what=undo_line.said(change.code, change.values)) if change else "",
            "change": change.number if change else 0,
            "words": {name: say(key) for name, key in _WORDS.items()} | {"every": say("select_every", n=choice.n)},
        },
        on_act_change=context.attempt(lambda: _act(project, choice, key)),
    )


def _filter(project: Project, names: list[str]) -> Filter:
    label_box, part_box, finding_box, out_box = st.columns([3, 2, 3, 2], vertical_alignment="bottom")
    label = label_box.selectbox(
        say("class"), [None, *names], format_func=class_or_any,
        key=f"class-{project.id}",
    )  # fmt: skip
    part = part_box.selectbox(
        say("part"),
        [None, *PARTS],
        format_func=lambda x: part_name(x) if x else say("any_part"),
        key=f"part-{project.id}",
    )
    with finding_box:
        kind = findings_panel.kind(project, f"gallery-{project.id}")
    if out_box.toggle(say("left_out"), key=f"out-{project.id}"):
        return Filter(label, excluded=True)  # these have no part and no findings
    return Filter(label, part, among=findings_panel.among(project, kind, f"gallery-{project.id}"))


def _item(picture: Picture) -> dict[str, str]:
    part = part_name(picture.part) if picture.part else ""
    facts = [picture.label, part, f"{picture.width} \u00d7 {picture.height} px"]
    group = [say("group_of", name=picture.group)] if picture.group else []
    return {
        "id": picture.id, "label": picture.label, "part": part,
        "facts": " \u00b7 ".join(text for text in facts + group if text),
    }  # fmt: skip


def _act(project: Project, choice: PictureChoice, key: str) -> None:
    """Do the action from the browser, on the selected pictures or on all of the choice."""
    asked = st.session_state[key].act
    if not asked:
        return
    if choice.noted:
        st.session_state[choice.noted] = True
    if asked["code"] == "why":
        st.session_state[choice.asked] = str(asked["ids"][0])
        return
    store, code = context.store(), asked["code"]
    change = album.last_change(store, project.id)
    ids = choice.ids() if asked["every"] else [str(key) for key in asked["ids"]]
    if code == "relabel":
        album.relabel(store, project.id, ids, str(asked["label"]))
    elif code in ("exclude", "take_back"):
        album.exclude(store, project.id, ids, code == "exclude")
    elif code == "move" and asked["part"] in PARTS:
        album.move(store, project.id, ids, asked["part"])
    elif code == "undo":
        album.undo(store, project.id, int(asked["number"]))
    undo_line.note(project, key, change.number if change else 0)
    st.session_state["gallery-turn"] = _turn() + 1  # clears the selection
    st.session_state["gallery-focus"] = True


def _turn() -> int:
    return int(st.session_state.get("gallery-turn", 0))
